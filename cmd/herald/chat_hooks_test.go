package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/herald-push/herald/im"
	"github.com/herald-push/herald/internal/need"
)

// censor is an app's service that is asked before messages and told after.
type censor struct {
	mu   sync.Mutex
	told []string
	sick bool
}

func (c *censor) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var event struct {
		Type string
		Data struct{ Message im.ChatMessage }
	}
	if err := json.NewDecoder(r.Body).Decode(&event); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	body := string(event.Data.Message.Body)
	switch {
	case r.Header.Get("webhook-signature") == "":
		http.Error(w, "no signature", http.StatusUnauthorized)
	case event.Type == "chat.after_send":
		c.told = append(c.told, fmt.Sprintf("%s: %s", event.Data.Message.Sender, body))
	case event.Type != "chat.before_send":
	case c.sick:
		http.Error(w, "sick", http.StatusInternalServerError)
	case strings.Contains(body, "rude"):
		fmt.Fprint(w, `{"refuse":true,"detail":"please be kind"}`)
	case strings.Contains(body, "secret"):
		fmt.Fprint(w, `{"body":{"text":"***"}}`)
	case strings.Contains(body, "broken"):
		fmt.Fprint(w, `{"body":{"no":"text"}}`)
	default:
		fmt.Fprint(w, `{}`)
	}
}

// TestAnAppDecidesAboutItsMessages has a service refuse, change and hear what
// users say.
func TestAnAppDecidesAboutItsMessages(t *testing.T) {
	need.Program(t, "redis-server", howToGet)
	t.Parallel()
	service := &censor{}
	server := httptest.NewServer(service)
	t.Cleanup(server.Close)
	p := startDev(t, t.TempDir(), "--no-demo")
	p.person("ann", "ann-phone", "live")
	status := p.call(http.MethodPost, "/v1/webhooks", map[string]any{
		"url": server.URL, "events": []string{"chat.before_send", "chat.after_send"},
	}, nil)
	if status != http.StatusCreated {
		t.Fatalf("webhook: status %d", status)
	}
	var token struct{ Token string }
	p.call(http.MethodPost, "/v1/devices/ann-phone/token", nil, &token)
	n := 0
	say := func(text string) (int, string) { // as the user's own device
		n++
		var answer struct {
			Body   json.RawMessage
			Code   string
			Detail string
		}
		status, err := call(t.Context(), p.facts.URL, token.Token, http.MethodPost, "/v1/im/messages", map[string]any{
			"to": "bob", "client_id": fmt.Sprint("m", n), "body": map[string]string{"text": text},
		}, &answer)
		if err != nil {
			return status, err.Error()
		}
		return status, string(answer.Body) + answer.Code + answer.Detail
	}
	eventually(t, 60*time.Second, "the service is asked", func() error {
		if status, said := say("rude"); status != http.StatusForbidden && status != http.StatusUnprocessableEntity || !strings.Contains(said, "kind") {
			return fmt.Errorf("status %d: %s", status, said)
		}
		return nil
	})
	if status, said := say("hello"); status != http.StatusCreated || !strings.Contains(said, "hello") {
		t.Errorf("status %d: %s", status, said)
	}
	if status, said := say("a secret"); status != http.StatusCreated || !strings.Contains(said, "***") {
		t.Errorf("status %d: %s", status, said)
	}
	if status, said := say("broken"); status < 400 {
		t.Errorf("a body that no text has was said: %d %s", status, said)
	}
	service.mu.Lock()
	service.sick = true
	service.mu.Unlock()
	if status, said := say("while it is sick"); status != http.StatusCreated { // the app is not on the list of those that fail closed
		t.Errorf("status %d: %s", status, said)
	}
	for unscreened, want := range map[string]int{"refuse": http.StatusForbidden, "pass": http.StatusCreated} {
		policy := map[string]any{"chat": map[string]string{"unscreened": unscreened}}
		if status := p.call(http.MethodPut, "/v1/apps/demo", map[string]any{"name": "Demo", "policy": policy}, nil); status != http.StatusOK {
			t.Fatalf("policy: status %d", status)
		}
		if status, said := say("by the app's own policy"); status != want || (status == http.StatusForbidden) != strings.Contains(said, "not_screened") {
			t.Errorf("an app that wants it %s: %d %s", unscreened, status, said)
		}
	}
	eventually(t, 60*time.Second, "the service is told", func() error {
		service.mu.Lock()
		defer service.mu.Unlock()
		for _, want := range []string{`ann: {"text":"hello"}`, `ann: {"text":"***"}`, `ann: {"text":"while it is sick"}`} {
			if !slices.Contains(service.told, want) {
				return fmt.Errorf("told %q", service.told)
			}
		}
		return nil
	})
}
