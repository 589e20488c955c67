package api

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/herald-push/herald/push"
)

// Export implements [Persons]: "many" has more than one piece of an answer holds,
// "broken" ends in the middle of it, "away" before it begins.
func (w *world) Export(_ context.Context, app, user string, tell func(what string, thing any) error) error {
	n := map[string]int{"many": 5000, "broken": 5000, "ann": 1}[user]
	for i := range n {
		d := push.Device{App: app, ID: fmt.Sprintf("phone-%d", i), User: user, Addresses: []push.Address{{Provider: "fcm", Token: "f-<1>"}}}
		if err := tell("device", d); err != nil {
			return err
		}
	}
	if user == "away" || user == "broken" {
		return fmt.Errorf("clickhouse at 10.0.0.7: %w", push.ErrAway)
	}
	return nil
}

// AskErasure implements [Persons].
func (w *world) AskErasure(_ context.Context, _, user string) (push.Erasure, error) {
	return push.Erasure{User: user, State: push.Erasing, AskedAt: noon}, nil
}

// Erasure implements [Persons].
func (w *world) Erasure(_ context.Context, _, user string) (push.Erasure, error) {
	if user != "bob" {
		return push.Erasure{}, push.ErrNotFound
	}
	return push.Erasure{
		User: user, State: push.Erased, AskedAt: noon, EndedAt: noon, Tries: 1,
		Stores: []push.ErasedPart{{Store: "clickhouse", What: "events", Found: 12}},
	}, nil
}

func TestOnlyAdminsErasePersonsAndItIsWrittenDown(t *testing.T) {
	h := open(t)
	for _, method := range []string{http.MethodPost, http.MethodGet} {
		if got := h.ask(method, "/v1/users/bob:erase", sendKey, ""); got.status != http.StatusForbidden {
			t.Errorf("%s with a key that may not: %d", method, got.status)
		}
	}
	if got := h.ask(http.MethodPost, "/v1/users/"+strings.Repeat("x", 129)+":erase", adminKey, ""); got.status != 422 || !strings.Contains(got.raw, `"field":"user"`) {
		t.Errorf("an id that is none: %d %s", got.status, got.raw)
	}
	h.ask(http.MethodPost, "/v1/users/bob:erase", adminKey, "")
	if got := h.ask(http.MethodGet, "/v1/audit?action=user.erase", adminKey, ""); !strings.Contains(got.raw, `"target":"/v1/users/bob:erase"`) {
		t.Errorf("the audit: %s", got.raw)
	}
}

func TestAnExportIsStreamedAndSaysHowItEnded(t *testing.T) {
	tests := map[string]struct {
		path, key string
		status    int
		lines     int
		says      string // in the last line, or the problem
	}{
		"one device":               {"/v1/users/ann:export", adminKey, 200, 2, `{"what":"end","data":{"lines":1}}`},
		"a colon that was escaped": {"/v1/users/ann%3Aexport", adminKey, 200, 2, `{"what":"end","data":{"lines":1}}`},
		"many":                     {"/v1/users/many:export", adminKey, 200, 5001, `{"what":"end","data":{"lines":5000}}`},
		"a store goes away":        {"/v1/users/broken:export", adminKey, 200, 5001, `{"what":"fault","data":{"detail":"a store that Herald needs is away`},
		"a store is away":          {"/v1/users/away:export", adminKey, 503, 0, `"code":"unavailable"`},
		"an id that is none":       {"/v1/users/" + strings.Repeat("x", 129) + ":export", adminKey, 422, 0, `"field":"user"`},
		"a key that may not":       {"/v1/users/ann:export", sendKey, 403, 0, "scope admin"},
		"no key":                   {"/v1/users/ann:export", "", 401, 0, "unauthorized"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			h := open(t)
			got := h.ask(http.MethodGet, tt.path, tt.key, "")
			lines := strings.Split(strings.TrimSpace(got.raw), "\n")
			if got.status != tt.status || !strings.Contains(lines[len(lines)-1], tt.says) {
				t.Fatalf("%d, last line %s", got.status, lines[len(lines)-1])
			}
			if strings.Contains(got.raw, "10.0.0.7") {
				t.Error("the answer tells where a store is")
			}
			if tt.status != http.StatusOK {
				got.problem(t)
				return
			}
			if len(lines) != tt.lines || got.header.Get("Content-Type") != exportMedia || !strings.Contains(lines[0], `"token":"f-<1>"`) {
				t.Errorf("%d lines of %s, the first %s", len(lines), got.header.Get("Content-Type"), lines[0])
			}
		})
	}
}

func TestAnExportIsWrittenDownWithoutWhatItTells(t *testing.T) {
	h := open(t)
	h.ask(http.MethodGet, "/v1/users/ann:export", adminKey, "")
	got := h.ask(http.MethodGet, "/v1/audit?action=user.export", adminKey, "")
	if !strings.Contains(got.raw, `"target":"/v1/users/ann:export"`) || strings.Contains(got.raw, "phone-0") {
		t.Errorf("the audit: %s", got.raw)
	}
}
