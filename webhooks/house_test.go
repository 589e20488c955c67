package webhooks

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/herald-push/herald/internal/postgrestest"
	"github.com/herald-push/herald/internal/redisstore"
	"github.com/herald-push/herald/internal/redistest"
	"github.com/herald-push/herald/internal/seal"
	"github.com/herald-push/herald/push"
)

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

// house is a Redis and a database with the means to run any number of Hooks
// over them, one after the other or side by side.
type house struct {
	t     testing.TB
	url   string
	redis redis.UniversalClient
	keys  *seal.Keys
	log   *buffer
	cfg   Config

	mu    sync.Mutex
	ahead time.Duration // what the clock of all Hooks is ahead
}

// both runs a test over each database.
func both(t *testing.T, test func(t *testing.T, h *house)) {
	t.Helper()
	for name, place := range map[string]func() string{
		"sqlite":   func() string { return "sqlite:" + filepath.Join(t.TempDir(), "hooks.db") },
		"postgres": func() string { return postgrestest.URL(t) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, newHouse(t, place()))
		})
	}
}

func sqlite(t testing.TB) *house {
	return newHouse(t, "sqlite:"+filepath.Join(t.TempDir(), "hooks.db"))
}

func newHouse(t testing.TB, url string) *house {
	t.Helper()
	rdb, err := redisstore.Connect(redistest.Start(t).URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = rdb.Close() })
	keys, err := seal.Parse(strings.Repeat("ab", 32))
	if err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, url: url, redis: rdb, keys: keys, log: &buffer{}, cfg: DefaultConfig()}
	h.cfg.AllowPrivate = true
	return h
}

// open opens Hooks that carry nothing until somebody runs them.
func (h *house) open() *Hooks {
	h.t.Helper()
	hooks, err := Open(context.Background(), h.cfg, Parts{
		Database: h.url, Sealer: h.keys, Outbox: redisstore.NewOutbox(h.redis),
		Log: slog.New(slog.NewTextHandler(h.log, nil)), Metrics: prometheus.NewRegistry(),
	})
	if err != nil {
		h.t.Fatal(err)
	}
	hooks.now = h.now
	h.t.Cleanup(func() {
		if err := hooks.Close(); err != nil {
			h.t.Error(err)
		}
	})
	return hooks
}

func (h *house) now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return time.Now().Add(h.ahead)
}

// advance moves the clock of all Hooks.
func (h *house) advance(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ahead += d
}

// run runs Hooks until the test ends or end is called.
func (h *house) run(hooks *Hooks) (end func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = hooks.Run(ctx) // never fails
	}()
	end = func() { cancel(); <-done }
	h.t.Cleanup(end)
	return end
}

// create makes an endpoint of the app "demo" that hears of all.
func (h *house) create(hooks *Hooks, url string, change ...func(*push.Webhook)) (push.Webhook, string) {
	h.t.Helper()
	w := push.Webhook{App: "demo", URL: url, Events: []string{"*"}, Batch: 1, Enabled: true}
	for _, f := range change {
		f(&w)
	}
	secret, err := hooks.CreateWebhook(h.t.Context(), &w)
	if err != nil {
		h.t.Fatal(err)
	}
	return w, secret
}

// call is what an endpoint heard.
type call struct {
	header http.Header
	body   []byte
}

// event reads the body.
func (c *call) event(t testing.TB) (e struct {
	ID, Type  string
	Timestamp time.Time
	Data      json.RawMessage
}) {
	t.Helper()
	if err := json.Unmarshal(c.body, &e); err != nil {
		t.Fatalf("the body is not an event: %v: %s", err, c.body)
	}
	return e
}

// app is an endpoint that writes down what it hears, and answers as it is told.
type app struct {
	*httptest.Server
	mu     sync.Mutex
	calls  []call
	answer func(w http.ResponseWriter, n int) // n counts the calls from 1; nil answers 204
}

func startApp(t testing.TB, answer func(w http.ResponseWriter, n int)) *app {
	t.Helper()
	a := &app{answer: answer}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		a.mu.Lock()
		a.calls = append(a.calls, call{r.Header.Clone(), body})
		n, answer := len(a.calls), a.answer
		a.mu.Unlock()
		if answer == nil {
			w.WriteHeader(http.StatusNoContent)
			return
		}
		answer(w, n)
	}))
	t.Cleanup(a.Close)
	return a
}

func (a *app) answers(f func(w http.ResponseWriter, n int)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.answer = f
}

func (a *app) heard() []call {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]call(nil), a.calls...)
}

// wait waits until something is so.
func wait(t testing.TB, what string, so func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !so(); {
		if time.Now().After(end) {
			t.Fatalf("in %v it never came to this: %s", patience, what)
		}
		time.Sleep(10 * time.Millisecond) // between two looks
	}
}

// deliveries lists all that went to an endpoint.
func deliveries(t testing.TB, h *Hooks, w push.Webhook, q push.WebhookQuery) []push.WebhookDelivery {
	t.Helper()
	q.Limit = 1000
	all, _, err := h.WebhookDeliveries(t.Context(), w.App, w.ID, q)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func inState(t testing.TB, h *Hooks, w push.Webhook, state push.WebhookState) int {
	t.Helper()
	return len(deliveries(t, h, w, push.WebhookQuery{State: state}))
}

type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// receipt is proof of stage s about a delivery of "demo".
func receipt(delivery string, s push.Stage, source push.Source) push.Receipt {
	return push.Receipt{
		ID: delivery + "/1/" + string(s), App: "demo", Notification: "n1", Delivery: delivery, Device: "d1", Class: push.OTP,
		Provider: "apns", Attempt: 1, Stage: s, Source: source, At: time.Now(), ReceivedAt: time.Now(), SinceAccepted: 840 * time.Millisecond,
	}
}

// abandon makes entries look as if their taker had died long ago.
func (h *house) abandon(ids []string) {
	h.t.Helper()
	args := []any{"XCLAIM", "herald:{hooks}/out", "takers", "any", 0}
	for _, id := range ids {
		args = append(args, id)
	}
	if err := h.redis.Do(h.t.Context(), append(args, "IDLE", time.Hour.Milliseconds())...).Err(); err != nil {
		h.t.Fatal(err)
	}
}

// pendingAll asks for what was taken and not done.
func pendingAll() *redis.XPendingExtArgs {
	return &redis.XPendingExtArgs{Stream: "herald:{hooks}/out", Group: "takers", Start: "-", End: "+", Count: 100}
}
