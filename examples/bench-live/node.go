//go:build linux

package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/herald-push/herald/im"
	"github.com/herald-push/herald/im/access"
	"github.com/herald-push/herald/im/routing"
	"github.com/herald-push/herald/internal/devicetoken"
	"github.com/herald-push/herald/internal/redisstore"
	"github.com/herald-push/herald/longconn"
)

// app is the app of all devices, secret what signs their tokens.
const app = "demo"

var secret = bytes.Repeat([]byte("s"), 32)

// stores are what a node is connected to when it is not measured.
type stores struct{}

func (stores) TokenSecret(context.Context, string) ([]byte, error) { return secret, nil }

func (stores) Pending(context.Context, string, string) ([]im.Message, error) { return nil, nil }

func (stores) Receive(context.Context, []im.Receipt) []error { return nil }

// Receive lets the logic floor know what was acknowledged.
func (c *chat) Receive(_ context.Context, reports []im.Receipt) []error {
	if c.Logic != nil {
		for _, r := range reports {
			c.Acked(r.App, r.User, r.ID)
		}
	}
	return nil
}

// mail is inboxes in Redis, which acknowledgements empty.
type mail struct{ *redisstore.Inbox }

// Pending implements [access.Inbox].
func (m mail) Pending(ctx context.Context, app, device string) ([]im.Message, error) {
	letters, err := m.List(ctx, app, device)
	waiting := make([]im.Message, 0, len(letters))
	for id, payload := range letters {
		waiting = append(waiting, im.Message{ID: id, Payload: []byte(payload)})
	}
	return waiting, err
}

// Receive implements [access.Receipts].
func (m mail) Receive(ctx context.Context, reports []im.Receipt) []error {
	letters := make([]redisstore.Letter, len(reports))
	for i, r := range reports {
		letters[i] = redisstore.Letter{App: r.App, Device: r.Device, Delivery: r.ID}
	}
	if err := m.Drop(ctx, letters); err != nil {
		errs := make([]error, len(reports))
		for i := range errs {
			errs[i] = err
		}
		return errs
	}
	return nil
}

func tokens() *devicetoken.Tokens { return devicetoken.New(stores{}, devicetoken.DefaultConfig()) }

func device(i int) string { return "d" + strconv.Itoa(i) }

// node is a Herald node reduced to its live connections: listeners, sessions,
// tokens, presence and routing are the real ones.
type node struct {
	*access.Access

	hub    *longconn.Hub
	server *longconn.Server
	router *routing.Router
	chat   *chat
	inbox  *redisstore.Inbox // nil where devices have none
	run    atomic.Pointer[trial]
	sent   int // in earlier trials
}

// trial is one load: which message was to go when, and how long it took.
type trial struct {
	base  int // number of the first message: no two of a process have the same
	begin time.Time
	every time.Duration // between messages; 0: as fast as they are acknowledged
	took  []time.Duration
	room  chan struct{}
	left  atomic.Int64
	done  chan struct{}
}

// Acked notes when a message was acknowledged; see [longconn.Handler].
func (n *node) Acked(c longconn.Conn, id string) {
	if t := n.run.Load(); t != nil {
		if i, err := strconv.Atoi(id); err == nil && i >= t.base {
			i -= t.base
			t.took[i] = time.Since(t.begin) - time.Duration(i)*t.every
			if t.room != nil {
				<-t.room
			}
			if t.left.Add(-1) == 0 {
				close(t.done)
			}
		}
	}
	n.Access.Acked(c, id)
}

// kind is what a node is besides its connections.
type kind struct {
	transport string
	secure    bool
	talks     bool   // it has the floors of messaging
	redis     string // where presence and the devices' users are; empty for memory
	inbox     bool   // devices have inboxes there, too
}

func serveNode(ctx context.Context, k kind) error {
	log := slog.New(slog.DiscardHandler)
	n := &node{hub: longconn.NewHub()}
	runs, err := n.open(ctx, k, log)
	if err != nil {
		return err
	}
	defer n.chat.close()
	cfg := longconn.DefaultConfig()
	cfg.TCP, cfg.WebSocket, cfg.Transport = "127.0.0.1:0", "", k.transport
	cfg.ConnectRate, cfg.UnprovenPerAddress, cfg.EvictRate = 0, 0, 1<<20
	if k.secure {
		cert, err := selfSigned()
		if err != nil {
			return err
		}
		cfg.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13}
	}
	if n.server, err = longconn.Open(ctx, cfg, n.hub, n, log); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	var parts sync.WaitGroup
	for _, run := range append(runs, n.router.Run, n.Run, n.server.Run) {
		parts.Go(func() { _ = run(ctx) })
	}
	b, err := json.Marshal(result{Addr: n.server.TCPAddr().String()})
	if err == nil {
		_, err = os.Stdout.Write(append(b, '\n'))
	}
	err = errors.Join(err, answer(n.do))
	cancel()
	parts.Wait()
	return err
}

// open makes the floors above the connections, and returns what is to be run of
// the uppermost.
func (n *node) open(ctx context.Context, k kind, log *slog.Logger) (runs []func(context.Context) error, err error) {
	cfg := routing.DefaultConfig()
	memory := routing.NewMemory()
	n.router = routing.New(cfg, memory, memory, log)
	n.chat = &chat{}
	if k.redis != "" {
		rdb, err := redisstore.Connect(k.redis)
		if err != nil {
			return nil, err
		}
		shared := routing.NewRedis(rdb, cfg)
		n.router = routing.New(cfg, shared, shared, log)
		n.chat.cache = redisstore.NewDevices(rdb, &n.chat.book)
		if k.inbox {
			n.inbox = redisstore.NewInbox(rdb)
		}
	}
	if k.talks {
		if n.chat, err = openChat(ctx, n.router); err != nil {
			return nil, err
		}
		runs = append(runs, n.chat.kept.Run, n.chat.Run)
	}
	var letters access.Inbox = stores{}
	var record access.Receipts = n.chat
	if n.inbox != nil {
		letters, record = mail{n.inbox}, mail{n.inbox}
	}
	n.Access = access.New(access.DefaultConfig(), n.hub, tokens(), n.router, letters, record, log)
	if k.talks || k.redis != "" {
		n.Talk(n.chat)
	}
	n.router.Host(n.Access)
	return runs, nil
}

func (n *node) do(o order) (map[string]float64, error) {
	switch o.Do {
	case "memory":
		stats := n.server.Stats()
		grown := rss(os.Getpid())
		runtime.GC()
		debug.FreeOSMemory()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return map[string]float64{
			"rss": rss(os.Getpid()), "before": grown, "sessions": float64(stats.Sessions),
			"reads": float64(n.chat.book.reads.Load()),
			"heap":  float64(m.HeapAlloc), "inuse": float64(m.HeapInuse), "stacks": float64(m.StackInuse),
		}, nil
	case "talk":
		return n.chat.talk(o)
	case "group":
		return nil, n.chat.group(o)
	case "crowd":
		return nil, n.chat.crowd()
	case "post":
		return n.post(o)
	case "empty":
		n.server.Empty(context.Background(), o.Rate)
		return nil, nil
	case "singles":
		return n.load(&trial{room: make(chan struct{}, 8_000)}, o)
	case "rate":
		return n.load(&trial{every: time.Second / time.Duration(o.Rate)}, o)
	case "broadcast":
		begin := time.Now()
		var all sync.WaitGroup
		m := longconn.Message{ID: "b", Payload: stamped(200, begin), Lossy: true}
		n.hub.Each(func(_ string, c longconn.Conn) bool {
			all.Add(1)
			c.Deliver(m, func(error) { all.Done() })
			return true
		})
		all.Wait()
		return map[string]float64{"written": time.Since(begin).Seconds(), "writes": float64(n.server.Stats().Writes)}, nil
	default:
		return nil, fmt.Errorf("order %q", o.Do)
	}
}

// stamped is a payload that tells when it was to be sent.
func stamped(size int, at time.Time) []byte {
	return fmt.Appendf(nil, "%020d%*s", at.UnixNano(), size-20, "")
}

// load sends o.N messages of 200 bytes to o.First devices in turn and waits
// until all are acknowledged.
func (n *node) load(t *trial, o order) (map[string]float64, error) {
	t.took, t.done = make([]time.Duration, o.N), make(chan struct{})
	t.left.Store(int64(o.N))
	t.base = n.sent
	n.sent += o.N
	t.begin = time.Now()
	n.run.Store(t)
	defer n.run.Store(nil)
	var lost atomic.Int64
	for i := range o.N {
		at := t.begin.Add(time.Duration(i) * t.every)
		if t.room != nil {
			t.room <- struct{}{}
			at = time.Now()
		} else if wait := time.Until(at); wait > 500*time.Microsecond {
			time.Sleep(wait) // what is late is sent at once, and counted from when it was due
		}
		n.Deliver(app, device(i%o.First), im.Message{ID: strconv.Itoa(t.base + i), Payload: stamped(200, at)}, func(err error) {
			if err != nil {
				lost.Add(1)
			}
		})
	}
	select {
	case <-t.done:
	case <-time.After(30 * time.Second):
		return nil, fmt.Errorf("%d of %d messages were not acknowledged, %d not sent", t.left.Load(), o.N, lost.Load())
	}
	took := time.Since(t.begin).Seconds()
	slices.Sort(t.took)
	at := func(q float64) float64 { return t.took[int(float64(o.N-1)*q)].Seconds() * 1000 }
	return map[string]float64{"seconds": took, "p50": at(0.5), "p99": at(0.99), "p999": at(0.999), "max": at(1)}, nil
}

// selfSigned is a certificate that nobody checks.
func selfSigned() (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}
