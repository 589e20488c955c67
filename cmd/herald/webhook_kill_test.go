package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/herald-push/herald/internal/need"
)

// ear is an endpoint of an app that refuses everything until it is told to hear.
type ear struct {
	hears atomic.Bool
	mu    sync.Mutex
	asked int
	heard map[string]int // events by type and device
	wrong []string
	hook  *standardwebhooks.Webhook
}

func (e *ear) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.asked++
	body, _ := io.ReadAll(r.Body)
	if !e.hears.Load() {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	if err := e.hook.Verify(body, r.Header); err != nil {
		e.wrong = append(e.wrong, err.Error())
	}
	var event struct {
		Type string
		Data struct{ Device, Provider, Fate string }
	}
	if err := json.Unmarshal(body, &event); err != nil {
		e.wrong = append(e.wrong, err.Error())
	}
	e.heard[event.Type+" "+event.Data.Device+" "+event.Data.Provider+" "+event.Data.Fate]++
}

// What an app is to be told of survives the death of the whole of Herald: an
// address that is dead is told of by the process after the one that learned it.
// On the way, no id becomes a label of a metric.
func TestWhatWebhooksAreToTellSurvivesAKill(t *testing.T) {
	need.Program(t, "redis-server", howToGet)
	t.Parallel()
	e := &ear{heard: map[string]int{}}
	app := httptest.NewServer(e)
	defer app.Close()
	dir := t.TempDir()
	p := startDev(t, dir, "--no-demo")

	var hook struct{ ID, Secret string }
	if status := p.call(http.MethodPost, "/v1/webhooks", map[string]any{"url": app.URL, "events": []string{"*"}}, &hook); status != http.StatusCreated {
		t.Fatalf("create a webhook: %d", status)
	}
	var err error
	if e.hook, err = standardwebhooks.NewWebhook(hook.Secret); err != nil {
		t.Fatal(err)
	}
	const device = "planted-device"
	token := strings.Repeat("cd", 32)
	if status := p.call(http.MethodPut, "/v1/devices/"+device, map[string]any{
		"user": "planted-user", "platform": "ios", "addresses": []map[string]string{{"provider": "apns", "token": token}},
	}, nil); status >= 300 {
		t.Fatalf("register: %d", status)
	}
	if _, err := call(t.Context(), p.facts.Sandbox, "", http.MethodPut, "/control/vendors/apns/dead/"+token, map[string]any{}, nil); err != nil {
		t.Fatal(err)
	}
	if status := p.call(http.MethodPost, "/v1/notifications", map[string]any{
		"id": "planted-notification", "to": map[string]string{"device": device}, "class": "transactional", "title": "Hi", "campaign": "planted-campaign",
	}, nil); status != http.StatusAccepted {
		t.Fatalf("send: %d", status)
	}
	eventually(t, 60*time.Second, "the event is kept, and was refused once", func() error {
		var list struct {
			Deliveries []struct {
				Type  string
				Tries int
			}
		}
		p.call(http.MethodGet, "/v1/webhooks/"+hook.ID+"/deliveries?state=pending&type=address.dead", nil, &list)
		if len(list.Deliveries) != 1 || list.Deliveries[0].Tries < 1 {
			return fmt.Errorf("%+v", list)
		}
		return nil
	})
	noIDsInLabels(t, p)
	p.kill()
	e.hears.Store(true)
	p = startDev(t, dir, "--no-demo")
	// It has been waiting since before the kill; it need not wait for its turn now.
	p.call(http.MethodPost, "/v1/webhooks/"+hook.ID+":replay", map[string]any{"state": "pending"}, nil)
	eventually(t, 90*time.Second, "the app hears of it from the next process", func() error {
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.heard["address.dead "+device+" apns forgotten"] == 0 {
			return fmt.Errorf("heard %v in %d calls", e.heard, e.asked)
		}
		return nil
	})
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.wrong) > 0 {
		t.Errorf("calls that do not verify: %v", e.wrong)
	}
}

// noIDsInLabels looks at every label of every metric: what callers name things
// by, of which there is no end, is in none.
func noIDsInLabels(t *testing.T, p *program) {
	t.Helper()
	res, err := http.Get(p.facts.URL + "/metrics") //nolint:noctx // a test's question to its own child
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("metrics: %s, %v", res.Status, err)
	}
	known := []string{
		"app", "cause", "class", "fate", "kind", "method", "operation", "outcome", "provider", "queue", "quota", "result", "route", "service", "state", "status", "urgency",
		"le", "quantile", "version", // of the client library's own
	}
	labels := regexp.MustCompile(`(\w+)="((?:[^"\\]|\\.)*)"`)
	seen := 0
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		for _, l := range labels.FindAllStringSubmatch(line, -1) {
			seen++
			if strings.Contains(l[2], "planted") || !slices.Contains(known, l[1]) {
				t.Errorf("a label that has no bound: %s", line)
			}
		}
	}
	if seen < 100 {
		t.Errorf("only %d labels: the test shows nothing", seen)
	}
}
