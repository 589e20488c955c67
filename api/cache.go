package api

import (
	"sync"
	"time"
)

// cache keeps answers of a store for a moment, so that a key costs no query at
// every request. What another process changes is seen after ttl.
type cache[K comparable, V any] struct {
	ttl  time.Duration
	most int // entries; when full it starts empty again
	now  func() time.Time

	mu sync.RWMutex
	m  map[K]cached[V]
}

type cached[V any] struct {
	value V
	until time.Time
}

// get answers from the cache or from load, whose errors are not kept.
func (c *cache[K, V]) get(k K, load func() (V, error)) (V, error) {
	now := c.now()
	c.mu.RLock()
	e, ok := c.m[k]
	c.mu.RUnlock()
	if ok && now.Before(e.until) {
		return e.value, nil
	}
	v, err := load()
	if err != nil {
		return v, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.m == nil || len(c.m) >= c.most {
		c.m = make(map[K]cached[V])
	}
	c.m[k] = cached[V]{v, now.Add(c.ttl)}
	return v, nil
}

// clear forgets everything, after a change made here.
func (c *cache[K, V]) clear() {
	c.mu.Lock()
	c.m = nil
	c.mu.Unlock()
}
