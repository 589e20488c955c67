package h2

import (
	"context"
	"crypto/tls"
	"math/rand/v2"
	"net/url"
	"slices"
	"sync"
	"time"
)

// host is the pool of connections to one address. It grows while requests wait
// for a place and shrinks as connections go without any.
type host struct {
	t     *Transport
	url   *url.URL
	proxy func(*url.URL) (*url.URL, error)
	addr  string
	tls   *tls.Config

	mu      sync.Mutex
	conns   []*conn // that take requests
	dialing bool
	later   *time.Timer  // of a dial that is put off; nil if there is none
	dialed  time.Time    // when the last dial began
	waiting []chan error // requests without a place, first come first served
	retired bool         // the transport has forgotten it
}

// acquire finds a connection with a free place, opens one, or waits. The caller
// owes a release.
func (h *host) acquire(ctx context.Context) (*conn, error) {
	for {
		h.mu.Lock()
		if c := h.freeLocked(); c != nil {
			h.mu.Unlock()
			return c, nil
		}
		h.widenLocked()
		turn := make(chan error, 1)
		h.waiting = append(h.waiting, turn)
		h.mu.Unlock()

		select {
		case err := <-turn:
			if err != nil {
				return nil, err
			}
		case <-ctx.Done():
			h.leave(turn)
			return nil, ctx.Err()
		}
	}
}

// freeLocked takes a place on the first connection that has one: full
// connections coalesce best, and the others may go.
func (h *host) freeLocked() *conn {
	for _, c := range h.conns {
		if !c.closing.Load() && c.places < int(c.limit.Load()) {
			c.places++
			return c
		}
	}
	return nil
}

func (h *host) release(c *conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if c.places--; c.places == 0 {
		c.unused = time.Now()
	}
	h.wakeLocked(1, nil)
}

// leave gives up a turn, or hands it on if it came at the same moment.
func (h *host) leave(turn chan error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if i := slices.Index(h.waiting, turn); i >= 0 {
		h.waiting = slices.Delete(h.waiting, i, i+1)
		return
	}
	h.wakeLocked(1, nil)
}

// wakeLocked gives n of those who wait a turn to look again, or an error.
func (h *host) wakeLocked(n int, err error) {
	n = min(n, len(h.waiting))
	for _, turn := range h.waiting[:n] {
		turn <- err
	}
	h.waiting = h.waiting[n:]
}

// wake takes note that a connection may carry more streams than before.
func (h *host) wake(c *conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.wakeLocked(max(0, int(c.limit.Load())-c.places), nil)
}

// drop takes a connection out that accepts no more requests. Who waits may open
// another, and need not hold back if this one was of use.
func (h *host) drop(c *conn) {
	h.mu.Lock()
	defer h.mu.Unlock()
	i := slices.Index(h.conns, c)
	if i < 0 {
		return
	}
	h.conns = slices.Delete(h.conns, i, i+1)
	if c.useful.Load() {
		h.dialed = time.Time{}
		if h.later != nil && h.later.Stop() {
			h.later = nil
			go h.dial()
		}
	}
	h.wakeLocked(1, nil)
}

// widenLocked sees to it that another connection is opened, now or as soon as
// it is not too early for one.
func (h *host) widenLocked() {
	if h.dialing || len(h.conns) >= or(h.t.MaxConns, defaultMaxConns) {
		return
	}
	h.dialing = true
	early := growEvery - time.Since(h.dialed)
	if len(h.conns) == 0 || early <= 0 {
		go h.dial()
		return
	}
	h.later = time.AfterFunc(early, func() {
		h.mu.Lock()
		h.later = nil
		h.dialing = len(h.waiting) > 0
		needed := h.dialing
		h.mu.Unlock()
		if needed {
			h.dial()
		}
	})
}

// dial opens one connection for all who wait. It has a time of its own: the
// request that happened to come first may be given up without harm to others.
func (h *host) dial() {
	ctx, cancel := context.WithTimeout(context.Background(), dialTimeout)
	defer cancel()
	h.mu.Lock()
	h.dialed = time.Now()
	h.mu.Unlock()
	c, err := h.open(ctx)

	h.mu.Lock()
	defer h.mu.Unlock()
	h.dialing = false
	if err != nil {
		if len(h.conns) == 0 {
			h.wakeLocked(len(h.waiting), err)
		}
		return
	}
	if h.retired && len(h.waiting) == 0 {
		go c.close(errDone) // not here: it wants our lock
		return
	}
	h.conns = append(h.conns, c)
	h.wakeLocked(int(c.limit.Load()), nil)
	if len(h.waiting) > 0 {
		h.widenLocked()
	}
}

// review decides whether a connection stays. It is asked every now and then by
// each of them.
func (h *host) review(c *conn, now time.Time) {
	h.mu.Lock()
	keep := h.t.keep()
	switch {
	case h.retired:
		keep = 0
	case len(h.conns) > 1:
		keep /= 10
	}
	goes := c.places == 0 && now.Sub(c.unused) >= keep
	if !goes && now.After(c.expires) {
		if goes = c.places == 0 || len(h.conns) > 1; !goes {
			h.widenLocked() // the next review finds another in its place
		}
	}
	h.mu.Unlock()
	if goes {
		h.retireOne(c)
	}
}

func (h *host) retireOne(c *conn) {
	c.closing.Store(true)
	h.drop(c)
	c.rest()
}

func (h *host) retire() {
	h.mu.Lock()
	h.retired = true
	conns := slices.Clone(h.conns)
	h.mu.Unlock()
	for _, c := range conns {
		h.retireOne(c)
	}
}

// lifetime is how old a connection may grow.
func (h *host) lifetime() time.Duration {
	age := h.t.age()
	return age*9/10 + rand.N(age/5+1)
}
