package providers

import (
	"context"
	"time"

	"github.com/herald-push/herald/push"
)

const (
	// peek is how often a process looks whether another has fetched the token.
	peek = 100 * time.Millisecond
	// storeTimeout bounds each question to a [TokenStore]: a token of our own is
	// better than a long wait for a shared one.
	storeTimeout = time.Second
)

// TokenStore keeps access tokens where all processes find them, so that ten
// workers fetch one. Its errors are no trouble: a process then fetches its own.
type TokenStore interface {
	// Token returns what is kept under a key with its times; "" for nothing.
	Token(ctx context.Context, key string) (token string, since, end time.Time, err error)
	// Keep keeps a token until its end.
	Keep(ctx context.Context, key, token string, since, end time.Time) error
	// Turn gives one process at a time the right to fetch, for so long at most.
	// done gives it back after a while; it is nil if it is another's turn.
	Turn(ctx context.Context, key string, lasting time.Duration) (done func(after time.Duration), err error)
}

// TokenSharer is a provider whose access token serves other processes too.
type TokenSharer interface {
	// ShareTokens says where to keep it, under which key. It is called once,
	// before the first Send.
	ShareTokens(store TokenStore, key string)
}

// Share has the token kept in a store under a key of the app's credentials.
// Call it before the first Get.
func (t *Tokens) Share(store TokenStore, key string) { t.store, t.key = store, key }

// granted is a token with its times.
type granted struct {
	token      string
	since, end time.Time
}

// obtain gets a token: another process's, or a new one when it is our turn.
func (t *Tokens) obtain(ctx context.Context) (granted, error) {
	if t.store == nil {
		return t.fetch(ctx)
	}
	for {
		if g, err := t.kept(ctx); err != nil || g.token != "" {
			return t.orFetch(ctx, g, err)
		}
		done, err := t.turn(ctx)
		if err != nil {
			return t.fetch(ctx)
		}
		if done != nil {
			return t.fetchForAll(ctx, done)
		}
		select {
		case <-time.After(peek):
		case <-ctx.Done():
			return granted{}, &push.Error{Provider: t.Provider, Kind: push.ErrUnavailable, Detail: "no access token in time", Err: ctx.Err()}
		}
	}
}

func (t *Tokens) orFetch(ctx context.Context, g granted, err error) (granted, error) {
	if err != nil {
		return t.fetch(ctx)
	}
	return g, nil
}

// kept is the token in the store, if it is worth having.
func (t *Tokens) kept(ctx context.Context) (granted, error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	token, since, end, err := t.store.Token(ctx, t.key)
	g := granted{token, since, end}
	if err != nil || token == "" {
		return granted{}, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if token == t.refused || !time.Now().Before(t.renewal(g)) {
		return granted{}, nil
	}
	return g, nil
}

func (t *Tokens) turn(ctx context.Context) (done func(time.Duration), err error) {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	return t.store.Turn(ctx, t.key, fetchTimeout)
}

// fetchForAll fetches a token in our turn and keeps it for the others. Another
// may have done so between our look and our turn.
func (t *Tokens) fetchForAll(ctx context.Context, done func(time.Duration)) (granted, error) {
	if g, err := t.kept(ctx); err == nil && g.token != "" {
		done(0)
		return g, nil
	}
	g, err := t.fetch(ctx)
	if err != nil {
		done(t.pause())
		return g, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), storeTimeout)
	defer cancel()
	_ = t.store.Keep(ctx, t.key, g.token, g.since, g.end) // else the others fetch their own
	done(0)
	return g, nil
}

// fetch asks the service.
func (t *Tokens) fetch(ctx context.Context) (granted, error) {
	asked := time.Now()
	token, life, err := t.Fetch(ctx)
	return granted{token, asked, asked.Add(life)}, err
}
