package api

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/herald-push/herald/push"
)

func (w *world) BeginChange(_ context.Context, c *push.Change) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.auditErr != nil {
		return w.auditErr
	}
	w.changes = append(w.changes, *c)
	return nil
}

func (w *world) EndChange(_ context.Context, id string, status int, after json.RawMessage) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := slices.IndexFunc(w.changes, func(c push.Change) bool { return c.ID == id })
	w.changes[i].Status, w.changes[i].After = status, after
	return nil
}

func (w *world) Changes(_ context.Context, app string, q push.ChangeQuery) (found []push.Change, _ error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range slices.Backward(w.changes) {
		if c.App == app && strings.Contains(c.Action, q.Action) {
			found = append(found, c)
		}
	}
	return found[:min(len(found), q.Limit)], nil
}

func (w *world) PutMember(_ context.Context, m *push.Member) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	m.CreatedAt, m.UpdatedAt = noon, noon
	w.members[m.App+"/"+m.Email] = *m
	return nil
}

func (w *world) Member(_ context.Context, app, email string) (push.Member, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	m, ok := w.members[app+"/"+email]
	if !ok {
		return m, push.ErrNotFound
	}
	return m, nil
}

func (w *world) Members(_ context.Context, app string) (all []push.Member, _ error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, m := range w.members {
		if m.App == app {
			all = append(all, m)
		}
	}
	slices.SortFunc(all, func(a, b push.Member) int { return cmp.Compare(a.Email, b.Email) })
	return all, nil
}

func (w *world) DeleteMember(_ context.Context, app, email string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, ok := w.members[app+"/"+email]; !ok {
		return push.ErrNotFound
	}
	delete(w.members, app+"/"+email)
	return nil
}

func TestEveryChangeIsWrittenDown(t *testing.T) {
	t.Parallel()
	secret := `{"key":"s3cr3t"}`
	tests := map[string]struct {
		method, path, body string
		action             string
		status             int
		before, after      string // parts of both; "" is nothing
	}{
		"an app's policy":      {"PUT", "/v1/apps/demo", `{"name":"New","policy":{}}`, "app.put", 200, `"name":"Demo"`, `"name":"New"`},
		"a key is made":        {"POST", "/v1/apps/demo/keys", `{"name":"ci","scopes":["read"]}`, "key.create", 201, "", `"key":"***"`},
		"a key is revoked":     {"DELETE", "/v1/apps/demo/keys/sender00", "", "key.revoke", 204, `"scopes":["send"]`, ""},
		"credentials":          {"PUT", "/v1/apps/demo/providers/apns", secret, "credentials.put", 200, "", `"version":1`},
		"a lane":               {"PUT", "/v1/lanes/huawei", `{"state":"off","reason":"a test"}`, "lane.put", 200, `"state":"open"`, `"provider":"huawei"`},
		"a campaign is paused": {"POST", "/v1/notifications/campaign:1:pause", "", "notification.pause", 200, `"state":"sending"`, `"id":"campaign:1"`},
		"a member":             {"PUT", "/v1/apps/demo/members/Bob@example.com", `{"role":"viewer"}`, "member.put", 200, "", `"email":"bob@example.com"`},
		"a member leaves":      {"DELETE", "/v1/apps/demo/members/ann@example.com", "", "member.delete", 204, `"role":"operator"`, ""},
		"a refused change":     {"PUT", "/v1/apps/demo/members/ann@example.com", `{"role":"king"}`, "member.put", 422, `"role":"operator"`, ""},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			h := open(t)
			if got := h.ask(tt.method, tt.path, adminKey, tt.body); got.status != tt.status {
				t.Fatalf("%d, want %d: %s", got.status, tt.status, got.raw)
			}
			c := h.changes[len(h.changes)-1]
			if len(h.changes) != 2 || c.Action != tt.action || c.Status != tt.status || c.Who != "key admin000" || c.Via != "key" || c.From == "" || c.App != "demo" {
				t.Fatalf("written down: %+v", c)
			}
			for what, pair := range map[string][2]string{"before": {string(c.Before), tt.before}, "after": {string(c.After), tt.after}} {
				if got, want := pair[0], pair[1]; (want == "") != (got == "") || !strings.Contains(got, want) {
					t.Errorf("%s = %s, want %s", what, got, want)
				}
			}
			if strings.Contains(string(c.Before)+string(c.After), "s3cr3t") || strings.Contains(string(c.After), "hk_") {
				t.Errorf("a secret was written down: %s", c.After)
			}
		})
	}
}

func TestWhatCannotBeWrittenDownIsNotDone(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.auditErr = push.ErrAway
	if got := h.ask("PUT", "/v1/apps/demo", adminKey, `{"name":"New","policy":{}}`); got.status != http.StatusServiceUnavailable {
		t.Errorf("answered %d", got.status)
	}
	if h.world.apps["demo"].Name != "Demo" {
		t.Error("the app was changed all the same")
	}
}

func TestTrafficByKeysIsNoChange(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.ask("PUT", "/v1/devices/d9", adminKey, `{"platform":"ios"}`)
	h.ask("POST", "/v1/notifications", adminKey, `{"to":{"device":"d1"},"class":"otp","title":"Hi"}`)
	if len(h.changes) != 1 {
		t.Errorf("written down: %+v", h.changes[1:])
	}
}

func TestAnActorDoesWhatTheirScopesAllow(t *testing.T) {
	t.Parallel()
	h := open(t)
	do := func(a Actor, method, path, body string) int {
		rec := httptest.NewRecorder()
		h.As(a).ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body)))
		return rec.Code
	}
	operator := Actor{App: "demo", Scopes: []Scope{ScopeRead, ScopeOperate}, Who: "ann@example.com", Via: "person", From: "192.0.2.1"}
	for _, tt := range []struct {
		method, path, body string
		want               int
	}{
		{"GET", "/v1/devices/d1", "", 200},
		{"PUT", "/v1/lanes/huawei", `{"state":"off","reason":"x"}`, 200},
		{"POST", "/v1/notifications/campaign:1:pause", "", 200},
		{"POST", "/v1/notifications", `{}`, 403},
		{"PUT", "/v1/apps/demo", `{"name":"x","policy":{}}`, 403},
		{"GET", "/v1/apps/other", "", 404},
		{"DELETE", "/v1/devices/d1", "", 403},
	} {
		if got := do(operator, tt.method, tt.path, tt.body); got != tt.want {
			t.Errorf("%s %s: %d, want %d", tt.method, tt.path, got, tt.want)
		}
	}
	c := h.changes[1]
	if c.Who != "ann@example.com" || c.Via != "person" || c.From != "192.0.2.1" {
		t.Errorf("written down: %+v", c)
	}
	admin := Actor{App: "demo", Scopes: []Scope{ScopeAdmin}, Who: "ann@example.com", Via: "person"}
	if got := do(admin, "DELETE", "/v1/devices/d1", ""); got != 204 || h.changes[len(h.changes)-1].Action != "device.delete" {
		t.Errorf("a device erased by a person: %d, %+v", got, h.changes[len(h.changes)-1])
	}
}
