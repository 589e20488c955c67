package places

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/herald-push/herald/internal/redisstore"
	"github.com/herald-push/herald/internal/redistest"
	"github.com/herald-push/herald/internal/seal"
	"github.com/herald-push/herald/internal/sqlstore"
	"github.com/herald-push/herald/push"
)

// world is a room with real stores, a clock of its own and a bell that
// remembers.
type world struct {
	*Places
	t     testing.TB
	redis *redistest.Server
	rdb   redis.UniversalClient
	store *sqlstore.Store

	mu    sync.Mutex
	clock time.Time
	rung  []rung
	deny  error // what the bell answers
}

type rung struct {
	id, device, fence string
	what              push.Crossing
}

var noon = time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC) // a Wednesday

// newWorld has an app demo whose room runs until the test ends.
func newWorld(t testing.TB) *world {
	t.Helper()
	w := newStillWorld(t)
	run(t, w.Places)
	return w
}

// newStillWorld is one whose room does not run yet.
func newStillWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, redis: redistest.Start(t), clock: noon}
	var err error
	if w.rdb, err = redisstore.Connect(w.redis.URL()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.rdb.Close() })
	keys, err := seal.Parse(strings.Repeat("0f", 32))
	if err != nil {
		t.Fatal(err)
	}
	w.store, err = sqlstore.Open(context.Background(), "sqlite:"+filepath.Join(t.TempDir(), "h.db"), keys, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.store.Close() })
	if err := w.store.CreateApp(context.Background(), push.App{ID: "demo", Name: "Demo"}); err != nil {
		t.Fatal(err)
	}
	w.Places = w.another()
	return w
}

// another is one more process with the same stores.
func (w *world) another() *Places {
	w.t.Helper()
	cfg := DefaultConfig()
	cfg.RecordEvery, cfg.Refresh = 10*time.Millisecond, 10*time.Millisecond
	p, err := New(cfg, Parts{
		Redis: w.rdb, Store: w.store, Bell: w, Secret: []byte("secret"), Log: slog.New(slog.DiscardHandler),
		Metrics: prometheus.NewRegistry(), Now: w.time,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

func run(t testing.TB, p *Places) {
	ctx, end := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	t.Cleanup(func() {
		end()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}

func (w *world) time() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.clock
}

// pass moves the clock.
func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.clock = w.clock.Add(d)
}

// Ring implements [Bell].
func (w *world) Ring(_ context.Context, id, device string, what push.Crossing, _ time.Time, f *push.Fence) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.deny != nil {
		return w.deny
	}
	w.rung = append(w.rung, rung{id, device, f.ID, what})
	return nil
}

func (w *world) refuse(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.deny = err
}

// heard is what the bell was asked for, as "enter home by d1".
func (w *world) heard() (all []string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.rung {
		all = append(all, fmt.Sprintf("%s %s by %s", r.what, r.fence, r.device))
	}
	return all
}

// device registers one that agrees to a mode.
func (w *world) device(id string, mode push.PlaceMode, nearby bool) {
	w.t.Helper()
	d := &push.Device{App: "demo", ID: id, User: "u-" + id, Platform: "ios"}
	if _, err := w.store.PutDevice(w.t.Context(), d); err != nil {
		w.t.Fatal(err)
	}
	if mode == "" {
		return
	}
	if err := w.PutConsent(w.t.Context(), &push.Consent{App: "demo", Device: id, Mode: mode, Nearby: nearby}); err != nil {
		w.t.Fatal(err)
	}
}

// at reports where a device is now.
func (w *world) at(device string, lat, lon float64) {
	w.t.Helper()
	w.pass(time.Second)
	_, err := w.Report(w.t.Context(), "demo", device, []push.Position{{Lat: lat, Lon: lon, At: w.time()}})
	if err != nil {
		w.t.Fatalf("report of %s: %v", device, err)
	}
}

func (w *world) fence(f push.Fence) {
	w.t.Helper()
	f.App, f.Notification, f.TTLSeconds = "demo", &push.Notification{Title: "Hi"}, 60
	f.Request = []byte(`{"title":"Hi"}`)
	if err := w.store.PutFence(w.t.Context(), &f); err != nil {
		w.t.Fatal(err)
	}
	if err := w.Changed(w.t.Context(), "demo"); err != nil {
		w.t.Fatal(err)
	}
}

// eventually waits until check finds nothing wrong.
func eventually(t testing.TB, what string, check func() error) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %v", what, err)
		}
		time.Sleep(5 * time.Millisecond) // polls with a deadline
	}
}
