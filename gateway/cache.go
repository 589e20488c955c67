package gateway

import (
	"container/list"
	"context"
	"crypto/sha256"
	"strconv"
	"sync"
	"time"
)

// cache keeps answers, those used last, up to so many bytes.
type cache struct {
	most int

	mu      sync.Mutex
	bytes   int
	entries map[cacheKey]*list.Element
	order   *list.List // of *entry, used last in front
}

type cacheKey [sha256.Size]byte

// entry is a stored answer. It is never changed.
type entry struct {
	key          cacheKey
	res          *result
	fresh, stale time.Time // until when it serves; and while it is asked for anew
	iferror      time.Time // until when it serves if that fails
}

// entryCost is what an entry takes beside its text: the decoded value is some
// times as large.
const entryCost = 512

func (e *entry) size() int { return entryCost + 4*len(e.res.raw) }

func newCache(most int) *cache {
	return &cache{most: most, entries: map[cacheKey]*list.Element{}, order: list.New()}
}

func (c *cache) get(k cacheKey) *entry {
	c.mu.Lock()
	defer c.mu.Unlock()
	el, ok := c.entries[k]
	if !ok {
		return nil
	}
	c.order.MoveToFront(el)
	return el.Value.(*entry) //nolint:forcetypeassert // the list has nothing else
}

func (c *cache) put(e *entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if old, ok := c.entries[e.key]; ok {
		c.drop(old)
	}
	if e.size() > c.most {
		return
	}
	c.entries[e.key] = c.order.PushFront(e)
	c.bytes += e.size()
	for c.bytes > c.most {
		c.drop(c.order.Back())
	}
}

func (c *cache) drop(el *list.Element) {
	e := c.order.Remove(el).(*entry) //nolint:forcetypeassert // the list has nothing else
	delete(c.entries, e.key)
	c.bytes -= e.size()
}

// key is the same for requests that may have one answer. A declaration that
// changed has none in common with the one before.
func (c *call) key(o *operation, st []*step, input any, page PageRequest) cacheKey {
	h := sha256.New()
	field := func(s string) {
		_, _ = h.Write(strconv.AppendInt(nil, int64(len(s)), 10)) // never fails
		_, _ = h.Write([]byte{':'})
		_, _ = h.Write([]byte(s))
	}
	_, _ = h.Write(c.service.digest[:])
	field(c.who.App)
	field(o.version)
	field(o.name)
	if o.canary != nil && st[0] == o.canary.step {
		field("canary")
	}
	per := ""
	if o.declared.Cache != nil {
		per = o.declared.Cache.Per
	}
	if per != "app" {
		field(c.who.User)
	}
	if per != "app" && per != "user" {
		field(c.who.Device)
		for _, r := range c.who.Roles {
			field(r)
		}
	}
	raw, _ := encode(input) // it was decoded from JSON
	field(string(raw))
	field(page.Cursor)
	field(strconv.Itoa(page.Limit))
	return cacheKey(h.Sum(nil))
}

// cached answers from the store, or asks and stores.
func (c *call) cached(ctx context.Context, o *operation, st []*step, input any, page PageRequest) (*result, error) {
	k := c.key(o, st, input, page)
	now := c.gateway.parts.Now()
	held := c.gateway.cache.get(k)
	ask := func(ctx context.Context) (*result, error) { return c.store(ctx, k, held, o, st, input, page) }
	switch {
	case held != nil && now.Before(held.fresh):
		return held.serve("hit"), nil
	case held != nil && now.Before(held.stale):
		if !c.gateway.flights.underWay(k) {
			c.gateway.spawn(func(life context.Context) { _, _ = c.together(life, k, ask) }) // a failure leaves what is stored
		}
		return held.serve("stale"), nil
	}
	res, err := c.together(ctx, k, ask)
	if err != nil && held != nil && now.Before(held.iferror) && asError(err).holdable() {
		return held.serve("stale"), nil
	}
	return res, err
}

// holdable tells whether an older answer is better than this error.
func (e *Error) holdable() bool { return e.backend() || e.Code == CodeBusy || e.Code == CodeOpen }

func (e *entry) serve(how string) *result {
	res := *e.res
	res.cached = how
	return &res
}

// store asks the back end and keeps its answer for as long as it may be kept.
func (c *call) store(ctx context.Context, k cacheKey, held *entry, o *operation, st []*step, input any, page PageRequest) (*result, error) {
	etag := ""
	if held != nil {
		etag = held.res.etag
	}
	res, err := c.run(ctx, o, st, input, page, etag)
	if err != nil {
		return nil, err
	}
	if res.unchanged {
		if held == nil {
			return nil, fail(CodeFailed, "the back end answered 304 to what was not asked so", nil)
		}
		kept := *held.res
		kept.fresh = res.fresh
		res = &kept
	}
	if res.raw == nil {
		if res.raw, err = encode(res.value); err != nil {
			return nil, err
		}
		res.tag = tagOf(res.raw)
	}
	rule := o.declared.Cache
	life := time.Duration(rule.Seconds) * time.Second
	if life == 0 {
		life = max(res.fresh, 0)
	}
	if len(res.partial) > 0 || res.fresh < 0 && len(o.declared.Calls) == 0 {
		return res, nil
	}
	e := &entry{key: k, res: res, fresh: c.gateway.parts.Now().Add(life)}
	e.stale = e.fresh.Add(time.Duration(rule.StaleWhileRevalidateSeconds) * time.Second)
	e.iferror = e.fresh.Add(time.Duration(rule.StaleIfErrorSeconds) * time.Second)
	c.gateway.cache.put(e)
	return res, nil
}
