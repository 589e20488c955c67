// Package webhooks tells apps what happened to their messages, by signed HTTP
// calls to endpoints of theirs (standardwebhooks.com).
//
// An event is safe once [Hooks.Emit] returns: it lies in the outbox, which is as
// durable as the queue. From there it goes into SQL, once for each endpoint that
// wants it, and is called out until the endpoint takes it, for three days. A
// crash at any point repeats a step and skips none, so an endpoint hears at
// least once, under an id that stays the same.
package webhooks

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/herald-push/herald/internal/database"
	"github.com/herald-push/herald/internal/publicnet"
	"github.com/herald-push/herald/push"
)

//go:embed migrations
var migrations embed.FS

// Outbox keeps what was emitted until it is in SQL. All processes share one.
type Outbox interface {
	// Put returns once the entry is as durable as the queue; [push.ErrAway].
	Put(ctx context.Context, entry []byte) error
	// Take waits a moment for entries. What was taken and not done comes again.
	Take(ctx context.Context) (ids []string, entries [][]byte, err error)
	Done(ctx context.Context, ids []string) error
	// Len is how many entries there are, taken or not.
	Len(ctx context.Context) (int64, error)
}

// Sealer keeps secrets unreadable at rest.
type Sealer interface {
	Seal(secret []byte, app, what string) []byte
	Open(sealed []byte, app, what string) ([]byte, error)
}

// Parts are what [Hooks] are made with. All are needed.
type Parts struct {
	Database string // its URL; the tables may lie beside those of other rooms
	Sealer   Sealer
	Outbox   Outbox
	Log      *slog.Logger
	Metrics  prometheus.Registerer
}

// Hooks are the webhooks of all apps. They are safe for concurrent use.
//
// What is not there is [push.ErrNotFound]; a store that does not answer is
// [push.ErrAway]; an input with faults is a [*push.Invalid].
type Hooks struct {
	cfg     Config
	db      *database.DB
	sealer  Sealer
	outbox  Outbox
	log     *slog.Logger
	metrics *metrics
	client  *http.Client
	now     func() time.Time

	known  atomic.Pointer[known]
	places chan struct{}
	wake   chan struct{} // something may be due

	mu    sync.Mutex
	lines map[string]*line // how calls to an endpoint go, in this process
}

// known are all endpoints that are enabled, as they were a moment ago.
type known struct {
	byApp map[string][]*endpoint
	byID  map[string]*endpoint
}

// versionTable says which migrations have run.
const versionTable = "herald_webhook_versions"

// Open opens the database and brings its tables up to date; see
// [database.Open].
func Open(ctx context.Context, cfg Config, parts Parts) (*Hooks, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, fail("migrations", err)
	}
	db, err := database.Open(ctx, parts.Database, database.Migrations{Files: files, Table: versionTable}, parts.Log)
	if err != nil {
		return nil, fail("open", err)
	}
	h := &Hooks{
		cfg: cfg, db: db, sealer: parts.Sealer, outbox: parts.Outbox, log: parts.Log, now: time.Now,
		client: newClient(cfg), places: make(chan struct{}, cfg.Places), wake: make(chan struct{}, 1), lines: make(map[string]*line),
	}
	h.metrics = newMetrics()
	if err := parts.Metrics.Register(h.metrics); err != nil {
		return nil, errors.Join(fail("metrics", err), db.Close())
	}
	if err := h.refresh(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return h, nil
}

// Close ends all connections. Nothing works afterwards.
func (h *Hooks) Close() error { return fail("close", h.db.Close()) }

// newClient follows no redirect and, unless it is allowed, connects to public
// addresses alone: they are looked at when the connection is made, so a name
// that leads elsewhere the second time gains nothing.
func newClient(cfg Config) *http.Client {
	dialer := &net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}
	if !cfg.AllowPrivate {
		dialer.Control = publicnet.Control
	}
	return &http.Client{
		Transport: &http.Transport{
			DialContext: dialer.DialContext, TLSHandshakeTimeout: 10 * time.Second, ForceAttemptHTTP2: true,
			MaxIdleConnsPerHost: cfg.PerEndpoint, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: 32 << 10,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Wants tells whether an app has an endpoint for a type. It costs a look into a
// map, so it may be asked on the hot path. An endpoint that was made a moment
// ago in another process is known within two seconds.
func (h *Hooks) Wants(app, event string) bool {
	for _, e := range h.known.Load().byApp[app] {
		if e.Takes(event) {
			return true
		}
	}
	return false
}

// Any tells whether an app has endpoints at all.
func (h *Hooks) Any(app string) bool { return len(h.known.Load().byApp[app]) > 0 }

// outgoing is an event as it lies in the outbox.
type outgoing struct {
	App   string          `json:"app"`
	ID    string          `json:"id"`
	Type  string          `json:"type"`
	Event json.RawMessage `json:"event"` // as it is sent
}

// Emit tells the endpoints that want them of events. When it returns nil they
// are durable; [push.ErrAway] means that they are not, and the caller must not
// go on as if they were. Emitting an event again changes nothing.
func (h *Hooks) Emit(ctx context.Context, events ...push.Event) error {
	var out []outgoing
	for i := range events {
		e := &events[i]
		if !h.Wants(e.App, e.Type) {
			continue
		}
		e.At = e.At.UTC()
		body, err := json.Marshal(e)
		if err != nil {
			return fmt.Errorf("webhooks: event %s: %w", e.Type, err)
		}
		out = append(out, outgoing{e.App, e.ID, e.Type, body})
	}
	if len(out) == 0 {
		return nil
	}
	entry, err := json.Marshal(out)
	if err != nil {
		return fmt.Errorf("webhooks: events: %w", err)
	}
	if err := h.outbox.Put(ctx, entry); err != nil {
		return fmt.Errorf("webhooks: emit: %w", err)
	}
	return nil
}

// fail gives err its place, what was being done, and its kind.
func fail(what string, err error) error {
	switch {
	case err == nil:
		return nil
	case database.Missing(err):
		return fmt.Errorf("webhooks: %s: %w", what, push.ErrNotFound)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("webhooks: %s: %w", what, err)
	case database.Away(err):
		return fmt.Errorf("webhooks: %s: %w: %w", what, push.ErrAway, err)
	default:
		return fmt.Errorf("webhooks: %s: %w", what, err)
	}
}
