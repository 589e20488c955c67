package devicetoken

import (
	"context"
	"sync"
	"time"
)

// cache keeps secrets for a short while, so that ten thousand devices that come
// back at once do not ask the database ten thousand times. Apps are few; only
// those that exist are kept, so strangers cannot fill it.
type cache struct {
	secrets Secrets
	keep    time.Duration

	mu    sync.RWMutex
	byApp map[string]kept
}

type kept struct {
	secret []byte
	until  time.Time
}

func newCache(secrets Secrets, keep time.Duration) *cache {
	return &cache{secrets: secrets, keep: keep, byApp: map[string]kept{}}
}

func (c *cache) get(ctx context.Context, app string) ([]byte, error) {
	c.mu.RLock()
	k, ok := c.byApp[app]
	c.mu.RUnlock()
	if ok && time.Now().Before(k.until) {
		return k.secret, nil
	}

	secret, err := c.secrets.TokenSecret(ctx, app)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		delete(c.byApp, app)
		return nil, err
	}
	c.byApp[app] = kept{secret: secret, until: time.Now().Add(c.keep)}
	return secret, nil
}

// provenTokens are tokens that were found good, by their hash: a device shows
// the same one with each of its calls, and to read a signed text takes ten times
// as long as to find it here.
type provenTokens struct {
	mu sync.RWMutex
	of map[[32]byte]provenToken
}

// provenToken is what such a token says, and the secret that it was signed with.
type provenToken struct {
	app, device string
	until       time.Time
	secret      []byte
}

// provenMost bounds the memory to some 15 MB; when it is full it begins anew.
const provenMost = 50_000

func (p *provenTokens) get(key [32]byte) (provenToken, bool) {
	p.mu.RLock()
	defer p.mu.RUnlock()
	known, ok := p.of[key]
	return known, ok
}

func (p *provenTokens) put(key [32]byte, known provenToken) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.of == nil || len(p.of) >= provenMost {
		p.of = map[[32]byte]provenToken{}
	}
	p.of[key] = known
}
