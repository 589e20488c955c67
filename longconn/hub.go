package longconn

import (
	"context"
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
	conns  table
	parked map[string]*absent
}

// holder is a connection that a key may belong to.
type holder interface {
	peer
	// number is that of its CONNECT.
	number() uint64
	// name is the key that it claims.
	name() string
}

// table is a set of holders, found by name. It does without keys of its own:
// sixteen bytes a slot, of which at most three in four are taken.
type table struct {
	slots []holder
	n     int
}

// find is where the holder of a key is, or would be.
func (t *table) find(key string) int {
	mask := len(t.slots) - 1
	for i := int(hash(key)>>6) & mask; ; i = (i + 1) & mask {
		if t.slots[i] == nil || t.slots[i].name() == key {
			return i
		}
	}
}

func (t *table) get(key string) holder {
	if t.n == 0 {
		return nil
	}
	return t.slots[t.find(key)]
}

func (t *table) put(key string, c holder) {
	if 4*(t.n+1) > 3*len(t.slots) {
		t.resize(max(8, 2*len(t.slots)))
	}
	i := t.find(key)
	if t.slots[i] == nil {
		t.n++
	}
	t.slots[i] = c
}

func (t *table) resize(size int) {
	old := t.slots
	t.slots = make([]holder, size)
	for _, c := range old {
		if c != nil {
			t.slots[t.find(c.name())] = c
		}
	}
}

// remove takes out the holder of a key and moves up those that were put behind
// it because its place was taken.
func (t *table) remove(key string) {
	i := t.find(key)
	if t.slots[i] == nil {
		return
	}
	t.n--
	mask := len(t.slots) - 1
	t.slots[i] = nil
	for j := (i + 1) & mask; t.slots[j] != nil; j = (j + 1) & mask {
		c := t.slots[j]
		t.slots[j] = nil
		t.slots[t.find(c.name())] = c
	}
	if len(t.slots) > 64 && 8*t.n < len(t.slots) {
		t.resize(len(t.slots) / 2)
	}
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
		h.shards[i].parked = map[string]*absent{}
	}
	return h
}

func (h *Hub) shard(key string) *shard { return &h.shards[hash(key)%uint64(len(h.shards))] }

// Get returns the connection that holds the key.
func (h *Hub) Get(key string) (Conn, bool) {
	s := h.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.conns.get(key)
	return c, c != nil
}

// Len is the number of sessions that have a connection.
func (h *Hub) Len() int {
	n := 0
	for i := range h.shards {
		s := &h.shards[i]
		s.mu.Lock()
		n += s.conns.n
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
		for _, c := range s.conns.slots {
			if c != nil {
				batch = append(batch, pair{c.name(), c})
			}
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
	old := s.conns.get(key)
	if old != nil && old.number() > c.number() {
		return nil, nil, false
	}
	s.conns.put(key, c)
	if old != nil {
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
	if s.conns.get(key) != c {
		return
	}
	s.conns.remove(key)
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
