package providers

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/herald-push/herald/push"
)

const (
	// leastHold is how long an address is left alone where its service does not
	// say for how long.
	leastHold = 5 * time.Second
	// maxHolds bounds the addresses that are remembered. One that is not is asked
	// about again.
	maxHolds = 16384
)

// Addresser is a provider whose messages may go to another address than the
// device's own.
type Addresser interface {
	// AddressOf is the address that a delivery goes to.
	AddressOf(d *push.Delivery) string
}

// holds remembers the addresses that their services want left alone for a while.
// What a service says of one device holds that device's messages, in this
// process: the next finds out here instead of there, and everybody else's go on.
// It is safe for concurrent use.
type holds struct {
	some atomic.Bool // there are any: nearly always there is none

	mu sync.Mutex
	by map[heldKey]hold
}

type heldKey struct{ app, provider, address string }

type hold struct {
	until time.Time
	code  string // the service's word
}

// of is why a delivery must wait; nil if it need not.
func (h *holds) of(app, provider string, p Provider, d *push.Delivery) *push.Error {
	if !h.some.Load() {
		return nil
	}
	k := heldKey{app, provider, addressOf(p, d)}
	h.mu.Lock()
	defer h.mu.Unlock()
	held, ok := h.by[k]
	if !ok {
		return nil
	}
	left := time.Until(held.until)
	if left <= 0 {
		delete(h.by, k)
		h.some.Store(len(h.by) > 0)
		return nil
	}
	return &push.Error{
		Provider: provider, Kind: push.ErrThrottled, Code: held.code, Scope: push.ScopeToken, RetryAfter: left,
		Detail: "the service wants this device left alone for a while",
	}
}

// learn notes what an attempt says of its address. It returns the answer, with the
// time that the address is left alone.
func (h *holds) learn(app, provider string, p Provider, d *push.Delivery, answer error) error {
	if answer == nil || push.ScopeOf(answer) != push.ScopeToken || !errors.Is(answer, push.ErrThrottled) {
		return answer
	}
	e, _ := errors.AsType[*push.Error](answer)
	told := *e
	told.RetryAfter = max(e.RetryAfter, leastHold)
	h.note(heldKey{app, provider, addressOf(p, d)}, hold{time.Now().Add(told.RetryAfter), told.Code})
	return &told
}

// note remembers an address, if there is room.
func (h *holds) note(k heldKey, until hold) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, known := h.by[k]; !known && len(h.by) >= maxHolds && !h.forgetLocked() {
		return
	}
	if h.by == nil {
		h.by = make(map[heldKey]hold)
	}
	if until.until.After(h.by[k].until) {
		h.by[k] = until
	}
	h.some.Store(true)
}

// forgetLocked drops those whose time is over, and reports whether there is room
// now.
func (h *holds) forgetLocked() bool {
	now := time.Now()
	for k, held := range h.by {
		if !now.Before(held.until) {
			delete(h.by, k)
		}
	}
	return len(h.by) < maxHolds
}

// sift splits a batch: replies to those that must wait, and the rest with their
// places. Where nobody must, all are the rest and places is nil.
func (h *holds) sift(app, provider string, p Provider, ds []*push.Delivery) (replies []push.Reply, rest []*push.Delivery, places []int) {
	if !h.some.Load() {
		return nil, ds, nil
	}
	replies, places = make([]push.Reply, len(ds)), []int{}
	for i, d := range ds {
		if held := h.of(app, provider, p, d); held != nil {
			replies[i].Err = held
			continue
		}
		rest, places = append(rest, d), append(places, i)
	}
	return replies, rest, places
}

func addressOf(p Provider, d *push.Delivery) string {
	if a, ok := p.(Addresser); ok {
		return a.AddressOf(d)
	}
	return d.Address.Token
}
