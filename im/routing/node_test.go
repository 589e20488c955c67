package routing_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/herald-push/herald/im"
	"github.com/herald-push/herald/im/routing"
	"github.com/herald-push/herald/internal/redistest"
	"github.com/herald-push/herald/internal/watched"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const soon = 10 * time.Second

// store is both sides of what nodes share.
type store interface {
	routing.Registry
	routing.Link
}

func config(node string) routing.Config {
	cfg := routing.DefaultConfig()
	cfg.Node, cfg.Lease, cfg.Wait = node, 300*time.Millisecond, time.Second
	return cfg
}

func client(t *testing.T, s *redistest.Server) *redis.Client {
	t.Helper()
	opt, err := redis.ParseURL(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	opt.MaxRetries = -1
	c := redis.NewClient(opt)
	t.Cleanup(func() { c.Close() })
	return c
}

// eachStore runs a test against both implementations.
func eachStore(t *testing.T, test func(t *testing.T, s store)) {
	t.Run("memory", func(t *testing.T) { test(t, routing.NewMemory()) })
	t.Run("redis", func(t *testing.T) {
		test(t, routing.NewRedis(client(t, redistest.Start(t)), config("")))
	})
}

// desk is a node's connections.
type desk struct {
	*watched.State

	sessions  map[string]im.Session
	got       []string
	displaced []im.Session
	dismissed []im.Session
	restored  []im.Session
	answer    error
	mute      bool // never report
}

func newDesk() *desk { return &desk{State: watched.New(soon), sessions: map[string]im.Session{}} }

func (d *desk) Here(app, device string) bool {
	d.Lock()
	defer d.Unlock()
	_, ok := d.sessions[im.Key(app, device)]
	return ok
}

func (d *desk) Deliver(app, device string, m im.Message, done func(error)) {
	var answer error
	mute := false
	d.Change(func() {
		answer, mute = d.answer, d.mute
		if _, ok := d.sessions[im.Key(app, device)]; !ok {
			answer = im.ErrNotHere
		}
		if answer == nil {
			d.got = append(d.got, fmt.Sprintf("%s %s %s %v", im.Key(app, device), m.ID, m.Payload, m.Expires.UTC().Format(time.RFC3339)))
		}
	})
	if !mute {
		done(answer)
	}
}

func (d *desk) Displace(s im.Session) {
	d.Change(func() {
		d.displaced = append(d.displaced, s)
		if d.sessions[s.Key()].Serial == s.Serial {
			delete(d.sessions, s.Key())
		}
	})
}

func (d *desk) Dismiss(s im.Session) { d.Change(func() { d.dismissed = append(d.dismissed, s) }) }

func (d *desk) Restored(s im.Session) { d.Change(func() { d.restored = append(d.restored, s) }) }

func (d *desk) Each(f func(im.Session) bool) {
	d.Lock()
	var all []im.Session
	for _, s := range d.sessions {
		all = append(all, s)
	}
	d.Unlock()
	for _, s := range all {
		if !f(s) {
			return
		}
	}
}

// node is a running router with its desk.
type node struct {
	*routing.Router
	desk *desk
	stop func()
}

func start(t *testing.T, s store, name string, change ...func(*routing.Config)) *node {
	t.Helper()
	cfg := config(name)
	for _, f := range change {
		f(&cfg)
	}
	n := &node{Router: routing.New(cfg, s, s, slog.New(slog.DiscardHandler)), desk: newDesk()}
	n.Host(n.desk)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx) }()
	n.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run() = %v", err)
		}
	})
	t.Cleanup(n.stop)
	eventually(t, "channel of "+name, func() bool {
		heard, err := s.Send(t.Context(), name, nil)
		return err == nil && heard
	})
	return n
}

// eventually polls what has no event to wait for.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(soon)
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("no %s within %s", what, soon)
		}
	}
}

// connect brings a device in, "user:device" or "device" for nobody's, that has
// been there for an hour.
func (n *node) connect(t *testing.T, device string, serial uint64) im.Session {
	t.Helper()
	s := im.Session{App: "demo", Device: device, Serial: serial, Since: time.Now().Add(-time.Hour)}
	if user, own, ok := strings.Cut(device, ":"); ok {
		s.User, s.Device = user, own
	}
	n.desk.Change(func() { n.desk.sessions[s.Key()] = s })
	if err := n.Register(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	return s
}

func (n *node) disconnect(s im.Session) {
	n.desk.Change(func() { delete(n.desk.sessions, s.Key()) })
	n.Unregister(s)
}

func (n *node) online(t *testing.T, device string) bool {
	t.Helper()
	got, err := n.Online(t.Context(), "demo", []string{device})
	return err == nil && got[0]
}
