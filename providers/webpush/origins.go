package webpush

import (
	"errors"
	"sync"
	"time"

	"github.com/herald-push/herald/push"
)

const (
	// trip is how many refusals or failures in a row close an origin. One alone
	// says nothing: a subscription that was made with another VAPID key is
	// refused by a service that takes all others.
	trip = 5
	// refusedPause is how long an origin that refuses us is left alone,
	// failedPause one that is down, at first; it doubles up to mostPause.
	refusedPause = 5 * time.Minute
	failedPause  = 5 * time.Second
	mostPause    = time.Minute
	// maxOrigins bounds those that are remembered: devices name them, and could
	// name any number.
	maxOrigins = 4096
)

// origins remembers the push services that do not want us just now. Browsers of
// one maker use one service, and what it refuses says nothing about the others':
// so its faults bind it alone, and not the app's lane. It is safe for concurrent
// use.
type origins struct {
	mu  sync.Mutex
	now func() time.Time
	by  map[string]*origin
}

type origin struct {
	until   time.Time // closed until then
	why     *push.Error
	refused int           // refusals of our token in a row
	failed  int           // failures in a row
	pause   time.Duration // for the next time it fails
}

func newOrigins() *origins { return &origins{now: time.Now, by: make(map[string]*origin)} }

// closed is why nothing is to be sent to an origin now; nil if it may be.
func (os *origins) closed(name string) *push.Error {
	os.mu.Lock()
	defer os.mu.Unlock()
	o := os.by[name]
	if o == nil || !os.now().Before(o.until) {
		return nil
	}
	e := *o.why
	e.RetryAfter = o.until.Sub(os.now())
	return &e
}

// learn notes what came of an attempt at an origin. Of an error it also says
// what it binds: the subscription as long as the origin takes others, and at
// most the origin.
func (os *origins) learn(name string, failure *push.Error) {
	os.mu.Lock()
	defer os.mu.Unlock()
	o := os.of(name)
	if failure == nil {
		*o = origin{}
		return
	}
	failure.Scope = push.ScopeOrigin
	switch {
	case errors.Is(failure.Kind, push.ErrCredentials):
		o.failed = 0
		if o.refused++; o.refused >= trip {
			os.close(o, refusedPause, failure)
		} else {
			failure.Scope = push.ScopeToken
		}
	case errors.Is(failure.Kind, push.ErrThrottled):
		os.close(o, failure.RetryAfter, failure)
	case errors.Is(failure.Kind, push.ErrUnavailable), errors.Is(failure.Kind, push.ErrUnknown):
		if o.failed++; o.failed >= trip {
			o.pause = min(max(2*o.pause, failedPause), mostPause)
			os.close(o, max(o.pause, failure.RetryAfter), failure)
		}
	default: // an answer about the subscription or the message
		o.failed, o.pause = 0, 0
		failure.Scope = push.ScopeToken
	}
}

// close leaves an origin alone for a time. Of what was refused there nothing
// has been sent.
func (os *origins) close(o *origin, d time.Duration, why *push.Error) {
	e := push.Error{Provider: name, Kind: why.Kind, Code: why.Code, Scope: push.ScopeOrigin}
	switch {
	case errors.Is(e.Kind, push.ErrCredentials):
		e.Detail = "this push service refuses the VAPID key"
	case errors.Is(e.Kind, push.ErrThrottled):
		e.Detail = "this push service asked us to slow down"
	default:
		e.Kind, e.Detail = push.ErrUnavailable, "this push service does not answer"
	}
	if until := os.now().Add(d); until.After(o.until) {
		o.until, o.why = until, &e
	}
}

// of finds an origin, or makes room for it. Callers hold mu.
func (os *origins) of(name string) *origin {
	if o := os.by[name]; o != nil {
		return o
	}
	if len(os.by) >= maxOrigins {
		os.forget()
	}
	o := &origin{}
	os.by[name] = o
	return o
}

// forget drops those that are open, and half of all at least. Callers hold mu.
func (os *origins) forget() {
	for name, o := range os.by {
		if !os.now().Before(o.until) {
			delete(os.by, name)
		}
	}
	for name := range os.by {
		if len(os.by) <= maxOrigins/2 {
			return
		}
		delete(os.by, name)
	}
}
