package vivo

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/herald-push/herald/push"
)

const (
	tokenLife    = 24 * time.Hour
	fetchTimeout = 10 * time.Second // of one request for a token
	refreshEarly = time.Hour        // before the end of a token, while it still serves
	lastMoment   = time.Minute      // before the end of a token it serves no more
	fetchPause   = time.Second      // after a failed fetch; its error serves meanwhile. The service takes ten a second
	young        = time.Minute      // a token refused at this age is not simply old
)

// tokens keeps the app's auth token. A caller waits for a fetch no longer than
// its own context lasts.
type tokens struct {
	ask func(ctx context.Context) (string, *push.Error) // makes one request for a token
	now func() time.Time

	mu     sync.Mutex
	token  string
	since  time.Time // when token was asked for
	err    *push.Error
	errAt  time.Time
	flight chan struct{} // closed when the fetch under way ends; nil if none is
}

// get returns a token that is good for the next request. Its error is a
// *push.Error: nothing has been sent.
func (t *tokens) get(ctx context.Context) (string, error) {
	for {
		t.mu.Lock()
		left := time.Duration(0)
		if t.token != "" {
			left = tokenLife - t.now().Sub(t.since)
		}
		if left > refreshEarly {
			defer t.mu.Unlock()
			return t.token, nil
		}
		resting := t.err != nil && t.now().Sub(t.errAt) < fetchPause
		if t.flight == nil && !resting {
			t.flight = make(chan struct{})
			go t.fetch(t.flight)
		}
		if left > lastMoment {
			defer t.mu.Unlock()
			return t.token, nil
		}
		if resting {
			defer t.mu.Unlock()
			return "", t.err
		}
		flight := t.flight
		t.mu.Unlock()

		select {
		case <-flight:
		case <-ctx.Done():
			return "", &push.Error{Provider: name, Kind: push.ErrUnavailable, Detail: "no auth token in time", Err: ctx.Err()}
		}
	}
}

// fetch gets a token for all who wait. It ends within fetchTimeout.
func (t *tokens) fetch(flight chan struct{}) {
	ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
	defer cancel()
	asked := t.now()
	token, err := t.ask(ctx)

	t.mu.Lock()
	defer t.mu.Unlock()
	if t.err = err; err != nil {
		t.errAt = t.now()
	} else {
		t.token, t.since = token, asked
	}
	t.flight = nil
	close(flight)
}

// refused forgets a token that the service refuses, and returns what to make of
// the refusal: a new one would be refused too if this one was young.
func (t *tokens) refused(token string, e *push.Error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.token != token {
		return // somebody has seen to it
	}
	t.token = ""
	if t.now().Sub(t.since) < young {
		e.Kind, e.Detail = push.ErrCredentials, "a new auth token is refused"
	}
}

// notGranted is the error of a fetch that failed: nothing was sent, and what is
// refused are the credentials.
func notGranted(e *push.Error) *push.Error {
	switch {
	case errors.Is(e.Kind, push.ErrUnknown):
		e.Kind = push.ErrUnavailable
	case errors.Is(e.Kind, push.ErrRejected):
		e.Kind = push.ErrCredentials
	}
	e.Detail = "no auth token: " + e.Detail
	return e
}
