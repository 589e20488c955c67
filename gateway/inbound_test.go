package gateway

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald/push"
)

const eventsYAML = `
app: demo
service: jobs
inbound:
  viewed:
    verify: {type: standard_webhooks, secret: hook}
    schema: {type: object, required: [user]}
    notify: '{to: {user: .user}, title: "Read"}'
    message: 'if .say then {to: .user, text: .say} else null end'
  paid:
    verify: {type: hmac, secret: key, header: X-Sign, prefix: "sha256=", tolerance_seconds: 60}
    id: .body.no
    notify: '{title: ("Paid " + .no)}'
`

var hookKey = []byte("0123456789abcdef0123456789abcdef")

// signed are the headers of an event as Standard Webhooks has them.
func signed(id string, at time.Time, body string) http.Header {
	m := hmac.New(sha256.New, hookKey)
	fmt.Fprintf(m, "%s.%d.%s", id, at.Unix(), body)
	h := http.Header{}
	h.Set("Webhook-Id", id)
	h.Set("Webhook-Timestamp", strconv.FormatInt(at.Unix(), 10))
	h.Set("Webhook-Signature", "v1,bm90IHRoaXMgb25l v1,"+base64.StdEncoding.EncodeToString(m.Sum(nil)))
	return h
}

func newEvents(t *testing.T) *world {
	w := newWorld(t, "app: demo\nservice: jobs\ninbound: {x: {verify: {type: standard_webhooks, secret: hook}, notify: .}}", nil)
	w.parts.Secrets = secrets{"hook": "whsec_" + base64.StdEncoding.EncodeToString(hookKey), "key": "s3cret-k3y"}
	w.declare(eventsYAML)
	return w
}

// letters are what events were mapped to, by the id they went out under.
type letters struct {
	ids []string
	of  []Outcome
	err error
}

func (l *letters) deliver(_ context.Context, _, id string, o Outcome) error {
	if l.err != nil {
		return l.err
	}
	l.ids, l.of = append(l.ids, id), append(l.of, o)
	return nil
}

func TestAnEventBecomesANotificationOnce(t *testing.T) {
	w, sent := newEvents(t), &letters{}
	body := `{"user":"ada","say":"hello"}`
	for i := range 3 {
		duplicate, err := w.Receive(t.Context(), "", "jobs", "viewed", signed("e1", w.clock.now(), body), []byte(body), sent.deliver)
		if err != nil || duplicate != (i > 0) {
			t.Fatalf("time %d: duplicate %v, error %v", i+1, duplicate, err)
		}
	}
	if len(sent.of) != 1 || string(sent.of[0].Notification) != `{"title":"Read","to":{"user":"ada"}}` || string(sent.of[0].Message) != `{"text":"hello","to":"ada"}` {
		t.Fatalf("it became %+v", sent.of)
	}
	other := `{"user":"bob"}`
	_, err := w.Receive(t.Context(), "", "jobs", "viewed", signed("e1", w.clock.now(), other), []byte(other), sent.deliver)
	if e := asError(err); e.Code != CodeReplayed {
		t.Errorf("another event under its id: %v", err)
	}
	if err := w.Replay(t.Context(), "demo", "jobs", "viewed", "e1", sent.deliver); err != nil {
		t.Fatal(err)
	}
	if len(sent.ids) != 2 || sent.ids[0] == sent.ids[1] {
		t.Errorf("replayed it goes out again under an id of its own: %v", sent.ids)
	}
}

func TestEventsThatProveNothingAreRefused(t *testing.T) {
	w := newEvents(t)
	body := `{"user":"ada"}`
	now := w.clock.now()
	changed := func(f func(http.Header)) http.Header { h := signed("e1", now, body); f(h); return h }
	recipe := func(key string, at time.Time, text string) http.Header {
		m := hmac.New(sha256.New, []byte(key))
		fmt.Fprintf(m, "%d.%s", at.Unix(), text)
		h := http.Header{}
		h.Set("X-Timestamp", strconv.FormatInt(at.Unix(), 10))
		h.Set("X-Sign", "sha256="+hex.EncodeToString(m.Sum(nil)))
		return h
	}
	tests := map[string]struct {
		event, body string
		head        http.Header
		want        string // "" is taken
	}{
		"as it should be":          {"viewed", body, signed("e1", now, body), ""},
		"by the recipe":            {"paid", `{"no":"7"}`, recipe("s3cret-k3y", now, `{"no":"7"}`), ""},
		"another key":              {"paid", `{"no":"7"}`, recipe("s3cret-k3z", now, `{"no":"7"}`), CodeSignature},
		"no signature":             {"viewed", body, http.Header{}, CodeSignature},
		"another body":             {"viewed", `{"user":"eve"}`, signed("e1", now, body), CodeSignature},
		"another id":               {"viewed", body, changed(func(h http.Header) { h.Set("Webhook-Id", "e2") }), CodeSignature},
		"an old one sent again":    {"viewed", body, signed("e1", now.Add(-6*time.Minute), body), CodeStale},
		"from the future":          {"viewed", body, signed("e1", now.Add(6*time.Minute), body), CodeStale},
		"stale by its own measure": {"paid", `{"no":"7"}`, recipe("s3cret-k3y", now.Add(-61*time.Second), `{"no":"7"}`), CodeStale},
		"not what was agreed on":   {"viewed", `{}`, signed("e1", now, `{}`), CodeInvalidInput},
		"not JSON":                 {"viewed", `{`, signed("e1", now, `{`), CodeInvalidInput},
		"no id in it":              {"paid", `{}`, recipe("s3cret-k3y", now, `{}`), CodeNoEventID},
		"an id too long":           {"viewed", body, signed(strings.Repeat("e", maxEventID+1), now, body), CodeNoEventID},
		"no such event":            {"sold", body, signed("e1", now, body), CodeUnknownEvent},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			w.parts.Seen = &seen{}
			sent := &letters{}
			_, err := w.Receive(t.Context(), "demo", "jobs", tt.event, tt.head, []byte(tt.body), sent.deliver)
			if tt.want == "" {
				if err != nil || len(sent.of) != 1 {
					t.Fatalf("Receive() = %v, %d went out", err, len(sent.of))
				}
				return
			}
			if e := asError(err); e.Code != tt.want || len(sent.of) != 0 {
				t.Errorf("Receive() = %v, want %s; %d went out", err, tt.want, len(sent.of))
			}
		})
	}
}

func TestAnEventThatCouldNotBePassedOnComesAgain(t *testing.T) {
	w, sent := newEvents(t), &letters{err: fmt.Errorf("queue: %w", push.ErrAway)}
	body := `{"user":"ada"}`
	send := func() error {
		_, err := w.Receive(t.Context(), "", "jobs", "viewed", signed("e1", w.clock.now(), body), []byte(body), sent.deliver)
		return err
	}
	if err := send(); !errors.Is(err, push.ErrAway) {
		t.Fatalf("while the queue is away: %v", err)
	}
	sent.err = nil
	if err := send(); err != nil || len(sent.of) != 1 {
		t.Fatalf("afterwards: %v, %d went out", err, len(sent.of))
	}
	sent.err = &push.Invalid{Faults: []push.Fault{{Field: "to", Detail: "is missing"}}}
	if err := w.Replay(t.Context(), "demo", "jobs", "viewed", "e1", sent.deliver); asError(err).Code != CodeNotDelivered || len(asError(err).Faults) != 1 {
		t.Errorf("what the mapping made is refused: %v", err)
	}
}
