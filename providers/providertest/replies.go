package providertest

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/push"
)

// Replies is a file of a service's answers as its documents show them, each with
// what it must become: testdata/replies.json of the provider's folder.
type Replies struct {
	Source  string  `json:"source"` // whose documents
	Date    string  `json:"date"`   // when they were read, YYYY-MM-DD
	Replies []Reply `json:"replies"`
}

// Reply is one answer.
type Reply struct {
	When   string            `json:"when"` // a sentence
	Status int               `json:"status"`
	Header map[string]string `json:"header,omitempty"`
	Body   json.RawMessage   `json:"body,omitempty"` // JSON; a string is sent as it reads

	Kind       string     `json:"kind,omitempty"` // "" is accepted
	RetryAfter int        `json:"retry_after_seconds,omitempty"`
	Scope      push.Scope `json:"scope,omitempty"`

	// Word is the row of the table of codes that decides, by which an app may
	// correct it; "" where a status decides, or no row.
	Word string `json:"word,omitempty"`
}

// ReadReplies reads the file of the provider that is tested.
func ReadReplies(t *testing.T) Replies {
	t.Helper()
	raw, err := os.ReadFile("testdata/replies.json")
	if err != nil {
		t.Fatal(err)
	}
	var all Replies
	if err := json.Unmarshal(raw, &all); err != nil {
		t.Fatal(err)
	}
	if all.Source == "" || all.Date == "" || len(all.Replies) == 0 {
		t.Fatalf("replies.json lacks source, date or replies")
	}
	return all
}

// Replay has the service answer as recorded, and checks what each answer
// becomes; and, of those that a row of the table decides, that the app's own
// word takes its place.
func Replay(t *testing.T, s Service) {
	for _, r := range ReadReplies(t).Replies {
		t.Run(r.When, func(t *testing.T) {
			s := s
			s.Accept = r.serve
			p := HTTP(s).Start(t, Accepts).Provider
			_, err := p.Send(t.Context(), s.Delivery("n1.0.0"))
			r.Check(t, err)
			Corrected(t, p, r, func() error {
				_, err := p.Send(t.Context(), s.Delivery("n1.0.1"))
				return err
			})
		})
	}
}

// Check holds the outcome of an attempt against the record.
func (r Reply) Check(t *testing.T, err error) {
	t.Helper()
	if got := push.KindName(err); got != r.Kind {
		t.Fatalf("Send() error = %v, kind %q, want %q", err, got, r.Kind)
	}
	e, ok := errors.AsType[*push.Error](err)
	if !ok {
		return
	}
	if want := time.Duration(r.RetryAfter) * time.Second; want != 0 && e.RetryAfter != want {
		t.Errorf("RetryAfter = %v, want %v", e.RetryAfter, want)
	}
	if e.Scope != r.Scope {
		t.Errorf("Scope = %q, want %q", e.Scope, r.Scope)
	}
}

// Corrected checks that an app's own word takes the place of the row that
// decided about the reply; again makes another attempt.
func Corrected(t *testing.T, p providers.Provider, r Reply, again func() error) {
	t.Helper()
	if r.Word == "" {
		return
	}
	coded, ok := p.(providers.Coded)
	if !ok {
		t.Fatal("the provider has no table that an app could correct")
	}
	coded.Codes().Correct([]push.Correction{{Code: r.Word, Kind: "policy", Means: "so the app says"}})
	if err := again(); !errors.Is(err, push.ErrPolicy) {
		t.Errorf("with %s corrected: error = %v, want policy", r.Word, err)
	}
	coded.Codes().Correct(nil)
}

// serve answers an attempt as recorded.
func (r Reply) serve(w http.ResponseWriter, req *http.Request) {
	_, _ = io.Copy(io.Discard, req.Body)
	w.Header().Set("Content-Type", "application/json")
	for name, value := range r.Header {
		w.Header().Set(name, value)
	}
	w.WriteHeader(r.Status)
	var text string
	if json.Unmarshal(r.Body, &text) == nil {
		_, _ = io.WriteString(w, text)
		return
	}
	_, _ = w.Write(r.Body)
}
