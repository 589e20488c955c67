package longconn

import (
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// gate keeps a storm at the door: how many CONNECTs a second are looked at, how
// many connections of one address, and how much memory waits in queues.
type gate struct {
	cfg  *Config
	held atomic.Int64 // bytes waiting in queues and half-read packets

	mu     sync.Mutex
	tokens float64
	filled time.Time
	turned float64 // turned away of late
	addrs  map[netip.Addr]visitors
}

// visitors are the connections of one address.
type visitors struct{ all, unproven int32 }

func newGate(cfg *Config) *gate {
	return &gate{cfg: cfg, tokens: float64(cfg.ConnectBurst), filled: time.Now(), addrs: map[netip.Addr]visitors{}}
}

// admit takes a token for one CONNECT; false means that there is none, or no
// memory.
func (g *gate) admit() bool {
	if g.crowded() {
		return false
	}
	if g.cfg.ConnectRate == 0 {
		return true
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	gained := now.Sub(g.filled).Seconds() * float64(g.cfg.ConnectRate)
	g.filled = now
	g.tokens = min(g.tokens+gained, float64(g.cfg.ConnectBurst))
	g.turned = max(g.turned-gained, 0)
	if g.tokens < 1 {
		g.turned++
		return false
	}
	g.tokens--
	return true
}

// retryAfter is in how many seconds a client that is sent away should come
// again. It spreads those of late over the time that letting them all in takes,
// so that they do not come at once.
func (g *gate) retryAfter() int {
	g.mu.Lock()
	turned := g.turned
	g.mu.Unlock()
	const shortest = 5
	window := shortest
	if g.cfg.ConnectRate > 0 {
		window += int(turned / float64(g.cfg.ConnectRate))
	}
	return 1 + rand.IntN(min(window, 600)) //nolint:gosec // spreads load, guards nothing
}

// enter lets a connection of an address speak; false means that the address
// has too many.
func (g *gate) enter(addr netip.Addr) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	v := g.addrs[addr]
	if g.cfg.PerAddress > 0 && int(v.all) >= g.cfg.PerAddress ||
		g.cfg.UnprovenPerAddress > 0 && int(v.unproven) >= g.cfg.UnprovenPerAddress {
		return false
	}
	v.all++
	v.unproven++
	g.addrs[addr] = v
	return true
}

// proven says that a connection that entered has been let in.
func (g *gate) proven(addr netip.Addr) { g.count(addr, 0, -1) }

// leave ends what [gate.enter] began.
func (g *gate) leave(addr netip.Addr, proven bool) {
	if proven {
		g.count(addr, -1, 0)
		return
	}
	g.count(addr, -1, -1)
}

// count changes what is known of an address. Where only the unproven count,
// those that proved themselves are forgotten.
func (g *gate) count(addr netip.Addr, all, unproven int32) {
	g.mu.Lock()
	defer g.mu.Unlock()
	v, ok := g.addrs[addr]
	if !ok {
		return
	}
	v.all += all
	v.unproven += unproven
	if v.all <= 0 || g.cfg.PerAddress == 0 && v.unproven <= 0 {
		delete(g.addrs, addr)
		return
	}
	g.addrs[addr] = v
}

// hold notes bytes that wait, or with a negative n no longer do.
func (g *gate) hold(n int) { g.held.Add(int64(n)) }

// crowded reports that no more may wait.
func (g *gate) crowded() bool { return g.held.Load() > g.cfg.MaxMemory }
