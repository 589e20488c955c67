package xmpp

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/herald-push/herald/push"
)

// Waits between attempts to connect, doubled after each failure in a row.
const (
	firstWait = 500 * time.Millisecond
	lastWait  = time.Minute
)

// link keeps one stream: it makes it when it is first asked for, and again with
// growing waits whenever it breaks, until it is stopped.
type link struct {
	connect func(ctx context.Context) (*stream, *push.Error)

	mu       sync.Mutex
	current  *stream
	trying   chan struct{} // closed when the attempt under way has ended; nil if there is none
	cancel   context.CancelFunc
	again    *time.Timer
	failed   *push.Error // the last attempt's
	until    time.Time   // no further attempt before
	failures int
	kept     bool // reconnect when it breaks
}

func newLink(connect func(context.Context) (*stream, *push.Error)) *link {
	return &link{connect: connect}
}

// get returns the stream, waiting for an attempt that is under way as long as
// ctx does. Between attempts it gives the error of the last.
func (l *link) get(ctx context.Context) (*stream, error) {
	for first := true; ; first = false {
		l.mu.Lock()
		l.kept = true
		if l.current != nil {
			defer l.mu.Unlock()
			return l.current, nil
		}
		if wait := time.Until(l.until); l.failed != nil && l.trying == nil && (wait > 0 || !first) {
			defer l.mu.Unlock()
			e := *l.failed
			e.RetryAfter = max(wait, e.RetryAfter)
			return nil, &e
		}
		l.try()
		trying := l.trying
		l.mu.Unlock()
		select {
		case <-trying:
		case <-ctx.Done():
			return nil, late(ctx)
		}
	}
}

// stop ends the stream, or the attempt to make one, and makes no other until
// one is asked for.
func (l *link) stop() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.kept = false
	if l.again != nil {
		l.again.Stop()
	}
	if l.cancel != nil {
		l.cancel()
	}
	if l.current != nil {
		l.current.finish()
		l.current = nil
	}
}

// try begins an attempt if none is under way. The lock is held.
func (l *link) try() {
	if l.trying != nil {
		return
	}
	if l.again != nil {
		l.again.Stop()
	}
	done := make(chan struct{})
	ctx, cancel := context.WithCancel(context.Background())
	l.trying, l.cancel = done, cancel
	go func() {
		defer cancel()
		s, err := l.connect(ctx)
		l.tried(s, err)
		close(done)
	}()
}

// tried notes what came of an attempt.
func (l *link) tried(s *stream, err *push.Error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.trying, l.cancel = nil, nil
	switch {
	case err != nil:
		l.failed = err
		l.later()
	case !l.kept: // stopped meanwhile
		l.failed = &push.Error{Provider: name, Kind: push.ErrUnavailable, Detail: "the connection was closed"}
		s.finish()
	default:
		l.current, l.failed = s, nil
		go func() {
			<-s.ended
			l.broke(s)
		}()
	}
}

// broke notes that a stream has ended. One that served for a while was good, so
// the waits begin anew.
func (l *link) broke(s *stream) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.current != s {
		return // it was told to
	}
	l.current, l.failed = nil, s.why()
	if time.Since(s.since) > lastWait {
		l.failures = 0
	}
	l.later()
}

// later has the next attempt made after a wait. The lock is held.
func (l *link) later() {
	wait := min(firstWait<<min(l.failures, 10), lastWait)
	wait = wait/2 + rand.N(wait/2) // many processes do not come back at one moment
	l.failures++
	l.until = time.Now().Add(wait)
	if l.kept {
		l.again = time.AfterFunc(wait, func() {
			l.mu.Lock()
			defer l.mu.Unlock()
			if l.kept && l.current == nil {
				l.try()
			}
		})
	}
}
