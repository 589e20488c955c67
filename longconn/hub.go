package longconn

import (
	"hash/maphash"
	"sync"
)

// Hub finds the connection of a session. Several servers may share one.
type Hub struct {
	shards [64]shard
}

type shard struct {
	mu    sync.Mutex
	conns map[string]entry
}

type entry struct {
	conn   Conn
	serial uint64
}

// NewHub returns an empty one.
func NewHub() *Hub {
	h := &Hub{}
	for i := range h.shards {
		h.shards[i].conns = map[string]entry{}
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
	e, ok := s.conns[key]
	return e.conn, ok
}

// Len is the number of sessions.
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
		for key, e := range s.conns {
			batch = append(batch, pair{key, e.conn})
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
// It returns the connection that lost the key, which the caller must close.
func (h *Hub) claim(key string, c Conn, serial uint64) (loser Conn, ok bool) {
	s := h.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	old, held := s.conns[key]
	if held && old.serial > serial {
		return nil, false
	}
	s.conns[key] = entry{c, serial}
	return old.conn, true
}

// release takes the key from c, if it still holds it.
func (h *Hub) release(key string, c Conn) {
	s := h.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns[key].conn == c {
		delete(s.conns, key)
	}
}
