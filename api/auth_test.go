package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"github.com/herald-push/herald/push"
)

func TestKeysOpenWhatTheyMay(t *testing.T) {
	wrongSecret := adminKey[:len(adminKey)-1] + "x"
	tests := map[string]struct {
		method, path, key string
		status            int
		challenge         string
	}{
		"no key":                      {"POST", "/v1/notifications", "", 401, `Bearer realm="herald"`},
		"a word that is no key":       {"POST", "/v1/notifications", "secret", 401, `Bearer realm="herald", error="invalid_token"`},
		"a key that is none":          {"POST", "/v1/notifications", "hk_short", 401, `Bearer realm="herald", error="invalid_token"`},
		"an id nobody has":            {"POST", "/v1/notifications", "hk_nobody00_" + strings.Repeat("A", 43), 401, `Bearer realm="herald", error="invalid_token"`},
		"a wrong secret":              {"POST", "/v1/notifications", wrongSecret, 401, `Bearer realm="herald", error="invalid_token"`},
		"a device's token":            {"POST", "/v1/notifications", deviceToken, 401, `Bearer realm="herald", error="invalid_token"`},
		"the scope send sends":        {"POST", "/v1/notifications", sendKey, 202, ""},
		"the scope send reads not":    {"GET", "/v1/notifications/order-1", sendKey, 403, `Bearer realm="herald", error="insufficient_scope", scope="read"`},
		"the scope send rules not":    {"GET", "/v1/apps/demo/keys", sendKey, 403, `Bearer realm="herald", error="insufficient_scope", scope="admin"`},
		"the scope send reports not":  {"POST", "/v1/receipts", sendKey, 403, ""},
		"another app's notification":  {"GET", "/v1/notifications/order-1", otherKey, 404, ""},
		"another app's device":        {"GET", "/v1/devices/d1", otherKey, 404, ""},
		"another app's keys":          {"GET", "/v1/apps/demo/keys", otherKey, 404, ""},
		"another app's key":           {"DELETE", "/v1/apps/other/keys/sender00", otherKey, 404, ""},
		"an app that is not there":    {"GET", "/v1/apps/nobody", adminKey, 404, ""},
		"receipts with a wrong token": {"POST", "/v1/receipts", "eyJ.x.y", 401, `Bearer realm="herald", error="invalid_token"`},
		"receipts with nothing":       {"POST", "/v1/receipts", "", 401, `Bearer realm="herald"`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := open(t).ask(tt.method, tt.path, tt.key, hello)
			if got.status != tt.status || got.header.Get("WWW-Authenticate") != tt.challenge {
				t.Errorf("answer = %d, challenge %q; want %d, %q: %s", got.status, got.header.Get("WWW-Authenticate"), tt.status, tt.challenge, got.raw)
			}
			if tt.status >= 400 {
				got.problem(t)
			}
		})
	}
}

func TestKeysAreReadOnceInAWhile(t *testing.T) {
	now := noon
	h := open(t, func(_ *Config, p *Parts) { p.Now = func() time.Time { return now } })
	for range 5 {
		h.ask("GET", "/v1/devices/d1", adminKey, "")
	}
	if h.keyReads != 1 {
		t.Errorf("the store was asked %d times for one key, want once", h.keyReads)
	}
	delete(h.keys, "admin000") // as another process would
	if got := h.ask("GET", "/v1/devices/d1", adminKey, ""); got.status != 200 {
		t.Errorf("status = %d a moment after another process revoked the key, want 200 still", got.status)
	}
	now = now.Add(authTTL)
	if got := h.ask("GET", "/v1/devices/d1", adminKey, ""); got.status != 401 {
		t.Errorf("status = %d after %v, want 401", got.status, authTTL)
	}
}

func TestANewKeyWorksUntilItIsRevoked(t *testing.T) {
	h := open(t)
	made := h.ask("POST", "/v1/apps/demo/keys", adminKey, `{"name":"shop","scopes":["send"]}`)
	var k keyResponse
	if err := json.Unmarshal([]byte(made.raw), &k); err != nil || made.status != http.StatusCreated {
		t.Fatalf("%d %v: %s", made.status, err, made.raw)
	}
	if got := h.ask("POST", "/v1/notifications", k.Key, hello); got.status != http.StatusAccepted {
		t.Errorf("the new key is answered %d: %s", got.status, got.raw)
	}
	if list := h.ask("GET", "/v1/apps/demo/keys", adminKey, ""); strings.Contains(list.raw, k.Key) || !strings.Contains(list.raw, k.ID) {
		t.Errorf("the list must have the key's id and not the key: %s", list.raw)
	}
	if got := h.ask("DELETE", "/v1/apps/demo/keys/"+k.ID, adminKey, ""); got.status != http.StatusNoContent {
		t.Fatalf("revoking is answered %d: %s", got.status, got.raw)
	}
	if got := h.ask("POST", "/v1/notifications", k.Key, hello); got.status != http.StatusUnauthorized {
		t.Errorf("the revoked key is answered %d, want 401 at once", got.status)
	}
}

// Every route asks who is there, but for those that are meant for all.
func TestNothingIsOpenByAccident(t *testing.T) {
	open4all := []string{"/healthz", "/readyz", "/metrics", "/openapi.yaml", "/v1/callbacks/{provider}", "/v1/inbound/{service}/{event}"} // the last two by signature
	h := open(t)
	for _, r := range h.echo.Routes() {
		path := plainPath(r.Path)
		if slices.Contains(open4all, path) || r.Method == echo.RouteNotFound {
			continue
		}
		if got := h.ask(r.Method, strings.NewReplacer("{", "", "}", "").Replace(path), "", "{}"); got.status != http.StatusUnauthorized {
			t.Errorf("%s %s answers a stranger with %d", r.Method, path, got.status)
		}
	}
}

func TestRate(t *testing.T) {
	now := noon
	h := open(t, func(c *Config, p *Parts) {
		c.Rate, c.Burst = 100, maxItems
		p.Now = func() time.Time { return now }
	})
	batch := `{"notifications":[` + strings.TrimSuffix(strings.Repeat(hello+",", maxItems), ",") + `]}`
	if got := h.ask("POST", "/v1/notifications:batch", sendKey, batch); got.status != 200 {
		t.Fatalf("a full batch is answered %d: %s", got.status, got.raw)
	}
	got := h.ask("POST", "/v1/notifications", sendKey, hello)
	if got.status != http.StatusTooManyRequests || got.header.Get("Retry-After") != "1" || got.problem(t).Code != "rate_limited" {
		t.Errorf("beyond the rate: %d, Retry-After %q: %s", got.status, got.header.Get("Retry-After"), got.raw)
	}
	if got := h.ask("GET", "/v1/apps/other", otherKey, ""); got.status != 200 && got.status != 404 {
		t.Errorf("another app pays for it: %d %s", got.status, got.raw)
	}
	now = now.Add(time.Second)
	if got := h.ask("POST", "/v1/notifications", sendKey, hello); got.status != http.StatusAccepted {
		t.Errorf("a second later: %d %s", got.status, got.raw)
	}
}

// Nothing that was planted may be seen in an answer, a metric or the log,
// whichever way the request goes.
func TestSecretsAreSeenNowhere(t *testing.T) {
	const planted = "PLANTED"
	credentials := `{"key":"` + planted + `-credential","endpoint":"https://x","secret":"` + planted + `"}`
	wrongKey := "hk_nobody00_" + planted + strings.Repeat("A", 43-len(planted))
	h := open(t)
	answers := []answer{
		h.ask("PUT", "/v1/apps/demo/providers/apns", adminKey, credentials),
		h.ask("GET", "/v1/apps/demo/providers/apns", adminKey, ""),
		h.ask("PUT", "/v1/apps/demo/providers/fcm", adminKey, `{"secret":"`+planted+`"}`),
		h.ask("PUT", "/v1/apps/demo/providers/fcm", adminKey, `{"secret":"`+planted+`"`),
		h.ask("GET", "/v1/devices/d1", wrongKey, ""),
		h.ask("POST", "/v1/receipts", planted+".token", `{}`),
	}
	h.onEnqueue = func(context.Context, *push.Notification) error { return errors.New("boom") }
	answers = append(answers, h.ask("POST", "/v1/notifications", adminKey, `{"to":{"device":"d1"},"title":"`+planted+`"}`),
		h.ask("GET", "/metrics", "", ""))
	if h.secrets["demo/apns"] != credentials {
		t.Errorf("the store was given %q", h.secrets["demo/apns"])
	}
	for i, a := range answers {
		if strings.Contains(a.raw, planted) {
			t.Errorf("answer %d shows a secret: %s", i, a.raw)
		}
	}
	for _, secret := range []string{planted, adminKey, adminKey[12:]} {
		if strings.Contains(h.log.String(), secret) {
			t.Errorf("the log shows a secret")
		}
	}
}
