package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/herald-push/herald/push"
)

// world is a gateway whose declarations are text, with one business.
type world struct {
	*Gateway
	t      *testing.T
	folder string
	clock  *clock
	seen   *seen
}

type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// newWorld declares a service; BACKEND in the text is where h answers.
func newWorld(t *testing.T, declaration string, h http.HandlerFunc) *world {
	t.Helper()
	business := httptest.NewServer(h)
	t.Cleanup(business.Close)
	w := &world{t: t, folder: t.TempDir(), clock: &clock{at: time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)}, seen: &seen{}}
	cfg := DefaultConfig()
	cfg.Folder = w.folder
	w.Gateway = New(cfg, Parts{Now: w.clock.now, Secrets: secrets{"key": "s3cret-k3y"}, Seen: w.seen})
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = w.Run(ctx)
	})
	w.declare(strings.ReplaceAll(declaration, "BACKEND", business.URL))
	return w
}

func (w *world) declare(text string) {
	w.t.Helper()
	if err := os.WriteFile(filepath.Join(w.folder, "service.yaml"), []byte(text), 0o600); err != nil {
		w.t.Fatal(err)
	}
	if err := w.Load(w.t.Context()); err != nil {
		w.t.Fatalf("Load() = %v", err)
	}
}

func phone() Caller {
	return Caller{App: "demo", Device: "phone-1", User: "ada", Roles: []string{"device"}}
}

// ask calls jobs.OPERATION and returns the output, or the code of the error.
func (w *world) ask(operation, input string, change ...func(*Request)) (string, *Answer, *Error) {
	w.t.Helper()
	r := Request{Service: "jobs", Operation: operation, Input: json.RawMessage(input)}
	for _, f := range change {
		f(&r)
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), 3*time.Minute)
	defer cancel()
	a, err := w.Call(ctx, phone(), r)
	if err != nil {
		var e *Error
		if !errors.As(err, &e) {
			w.t.Fatalf("Call() = %v, which is no *Error", err)
		}
		return e.Code, nil, e
	}
	return string(a.Output), a, nil
}

func inVersion(n int) func(*Request)  { return func(r *Request) { r.Version = n } }
func cursor(at string) func(*Request) { return func(r *Request) { r.Page.Cursor = at } }
func limit(n int) func(*Request)      { return func(r *Request) { r.Page.Limit = n } }
func answerJSON(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, text)
	}
}

type secrets map[string]string

func (s secrets) GatewaySecret(_ context.Context, _, name string) ([]byte, error) {
	if v, ok := s[name]; ok {
		return []byte(v), nil
	}
	return nil, fmt.Errorf("secret %s: %w", name, push.ErrNotFound)
}

// seen keeps events as the database does.
type seen struct {
	mu sync.Mutex
	of map[string]InboundEvent
}

func (s *seen) PutInbound(_ context.Context, e *InboundEvent) (*InboundEvent, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.of == nil {
		s.of = map[string]InboundEvent{}
	}
	k := e.App + "/" + e.Service + "/" + e.Event + "/" + e.ID
	if before, ok := s.of[k]; ok {
		return &before, nil
	}
	s.of[k] = *e
	return nil, nil
}

func (s *seen) SetInbound(_ context.Context, e *InboundEvent) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.of[e.App+"/"+e.Service+"/"+e.Event+"/"+e.ID] = *e
	return nil
}

func (s *seen) InboundEvent(_ context.Context, app, service, event, id string) (*InboundEvent, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.of[app+"/"+service+"/"+event+"/"+id]
	if !ok {
		return nil, push.ErrNotFound
	}
	return &e, nil
}

func (s *seen) InboundEvents(context.Context, string, string, int) ([]*InboundEvent, error) {
	return nil, nil
}

// eventually waits until a thing is so.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(30 * time.Second); !so(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%s did not come about within 30 s", what)
		}
	}
}
