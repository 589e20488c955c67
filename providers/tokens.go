package providers

import (
	"cmp"
	"context"
	"sync"
	"time"

	"github.com/herald-push/herald/push"
)

// fetchTimeout bounds one fetch of an access token.
const fetchTimeout = 10 * time.Second

// Tokens keeps the access token that an app's requests to one service carry.
//
// One fetch is under way at a time and serves all who wait, each no longer than
// its own context lasts. A token is renewed early, while it still serves, so
// that only the first callers ever wait. After a fetch that failed its error
// serves for a pause: a service that is down, or refuses the credentials, is
// not asked again for every message. [Tokens.Share] shares the token with other
// processes.
//
// Set the fields before the first Get; where one is zero the default holds.
type Tokens struct {
	Provider string // registry name, for errors

	// Fetch gets a new token, which is good for life, counted from the moment
	// Fetch was called. Its error is a *push.Error: no message was sent. Its
	// context is no caller's, and lasts ten seconds.
	Fetch func(ctx context.Context) (token string, life time.Duration, err error)

	RefreshEarly time.Duration // before a token's end, while it still serves; 5 minutes, and at most half its life
	LastMoment   time.Duration // before a token's end it serves no more; 20 seconds, and at most a quarter of its life
	Pause        time.Duration // after a failed fetch; a second
	Young        time.Duration // a token refused at this age is not simply old; a minute

	store TokenStore // nil for none
	key   string

	mu      sync.Mutex
	token   string    // "" for none
	refused string    // the last that was refused and given up
	since   time.Time // when token was asked for
	renewAt time.Time
	endAt   time.Time // when it serves no more
	err     error     // of the last fetch
	errAt   time.Time
	flight  *flight // the fetch under way; nil if none is
}

// flight is one fetch. What came of it may be read once done is closed.
type flight struct {
	done  chan struct{}
	token string
	err   error
}

// Get returns a token that is good for the next request. Its error is a
// *push.Error: nothing has been sent.
func (t *Tokens) Get(ctx context.Context) (string, error) {
	token, f, err := t.look()
	if f == nil {
		return token, err
	}
	select {
	case <-f.done:
		return f.token, f.err // whatever its life: to ask again could go on for ever
	case <-ctx.Done():
		return "", &push.Error{Provider: t.Provider, Kind: push.ErrUnavailable, Detail: "no access token in time", Err: ctx.Err()}
	}
}

// look returns what there is now, or the flight to wait for. It begins a fetch
// where one is due.
func (t *Tokens) look() (token string, wait *flight, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	if t.token != "" && now.Before(t.renewAt) {
		return t.token, nil, nil
	}
	resting := t.err != nil && now.Sub(t.errAt) < t.pause()
	if t.flight == nil && !resting {
		t.flight = &flight{done: make(chan struct{})}
		go t.fly(t.flight)
	}
	switch {
	case t.token != "" && now.Before(t.endAt):
		return t.token, nil, nil
	case resting:
		return "", nil, t.err
	default:
		return "", t.flight, nil
	}
}

// fly gets a token for all who wait. It ends when Fetch does, within
// fetchTimeout.
func (t *Tokens) fly(f *flight) {
	ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
	defer cancel()
	g, err := t.obtain(ctx)
	f.token, f.err = g.token, err

	t.mu.Lock()
	defer t.mu.Unlock()
	t.err = err
	if err != nil {
		t.errAt = time.Now()
	} else {
		t.token, t.since, t.renewAt = g.token, g.since, t.renewal(g)
		t.endAt = g.end.Add(-min(cmp.Or(t.LastMoment, 20*time.Second), g.end.Sub(g.since)/4))
	}
	t.flight = nil
	close(f.done)
}

// renewal is when a token is to be renewed.
func (t *Tokens) renewal(g granted) time.Time {
	return g.end.Add(-min(cmp.Or(t.RefreshEarly, 5*time.Minute), g.end.Sub(g.since)/2))
}

func (t *Tokens) pause() time.Duration { return cmp.Or(t.Pause, time.Second) }

// Refused says that the service refuses a token that Get returned, and reports
// whether the token was young: then another would be refused too, and what is
// wrong are the credentials. A young one is kept, so that a service which
// refuses them all is asked for one in every Young only. Else the next Get
// fetches another.
func (t *Tokens) Refused(token string) (young bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.token != token {
		return false // somebody has seen to it
	}
	if time.Since(t.since) < cmp.Or(t.Young, time.Minute) {
		return true
	}
	t.token, t.refused = "", token
	return false
}
