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
