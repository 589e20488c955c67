package longconn

import (
	"context"
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"
)

// Hub finds the connection of a session, and keeps the sessions that wait for
// theirs to come back. Several servers may share one.
type Hub struct {
	shards [64]shard
	parked atomic.Int64
}

type shard struct {
	mu     sync.Mutex
	conns  map[string]holder
	parked map[string]*absent
}

// holder is a connection that a key may belong to.
type holder interface {
	peer
	// number is that of its CONNECT.
	number() uint64
}

// absent is a session whose connection is gone, and until when.
type absent struct {
	*parked

	gate    *gate
	ends    time.Time
	willDue time.Time
}

// NewHub returns an empty one.
func NewHub() *Hub {
	h := &Hub{}
	for i := range h.shards {
		h.shards[i].conns = map[string]holder{}
		h.shards[i].parked = map[string]*absent{}
	}
	return h
}

func (h *Hub) shard(key string) *shard {
	return &h.shards[maphash.String(seed, key)%uint64(len(h.shards))]
}

// Get returns the connection that holds the key.
func (h *Hub) Get(key string) (Conn, bool) {
	s := h.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.conns[key]
	return c, ok
}

// Len is the number of sessions that have a connection.
func (h *Hub) Len() int {
	n := 0
	for i := range h.shards {
		s := &h.shards[i]
		s.mu.Lock()
		n += len(s.conns)
		s.mu.Unlock()
	}
	return n
}

// Each calls f with every session that exists during the whole call, and
// perhaps with others, until f returns false. f may use the hub.
func (h *Hub) Each(f func(key string, c Conn) bool) {
	type pair struct {
		key  string
		conn Conn
	}
	var batch []pair
	for i := range h.shards {
		s := &h.shards[i]
		batch = batch[:0]
		s.mu.Lock()
		for key, c := range s.conns {
			batch = append(batch, pair{key, c})
		}
		s.mu.Unlock()
		for _, p := range batch {
			if !f(p.key, p.conn) {
				return
			}
		}
	}
}

// claim gives the key to c, unless a connection with a later CONNECT holds it.
// It returns the connection that lost the key, which the caller must make
// surrender, or else what an earlier one left.
func (h *Hub) claim(key string, c holder) (loser peer, left *parked, ok bool) {
	s := h.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	old, held := s.conns[key]
	if held && old.number() > c.number() {
		return nil, nil, false
	}
	s.conns[key] = c
	if held {
		return old, nil, true
	}
	if a := s.parked[key]; a != nil {
		h.forget(s, key, a)
		return nil, a.parked, true
	}
	return nil, nil, true
}

// release takes the key from c, if it still holds it, and keeps what is left
// of its session, which park tells under the lock.
func (h *Hub) release(key string, c holder, srv *services, park func() *parked) {
	s := h.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns[key] != c {
		return
	}
	delete(s.conns, key)
	p := park()
	if p == nil || h.parked.Load() >= int64(srv.cfg.MaxSessions) || srv.gate.crowded() {
		return // the session ends now; what the handler keeps is not lost
	}
	now := time.Now()
	a := &absent{parked: p, gate: srv.gate, ends: now.Add(time.Duration(p.expiry) * time.Second)}
	if p.will != nil {
		a.willDue = now.Add(time.Duration(min(p.will.delay, p.expiry)) * time.Second)
	}
	s.parked[key] = a
	h.parked.Add(1)
	srv.gate.hold(p.weight())
}

// forget ends the keeping of a session.
func (h *Hub) forget(s *shard, key string, a *absent) {
	delete(s.parked, key)
	h.parked.Add(-1)
	a.gate.hold(-a.weight())
}

// tend ends sessions whose time is over, and publishes wills that are due,
// until ctx ends.
func (h *Hub) tend(ctx context.Context) {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case now := <-tick.C:
			h.sweep(now)
		case <-ctx.Done():
			return
		}
	}
}

func (h *Hub) sweep(now time.Time) {
	if h.parked.Load() == 0 {
		return
	}
	for i := range h.shards {
		s := &h.shards[i]
		var due []parked
		s.mu.Lock()
		for key, a := range s.parked {
			if a.will != nil && !now.Before(a.willDue) {
				due = append(due, *a.parked)
				a.gate.hold(-a.weight())
				a.will = nil
				a.gate.hold(a.weight())
			}
			if !now.Before(a.ends) {
				h.forget(s, key, a)
			}
		}
		s.mu.Unlock()
		for i := range due {
			due[i].publishWill()
		}
	}
}
