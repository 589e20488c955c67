package scheduler

import (
	"context"
	"sync"
	"time"

	"github.com/herald-push/herald/push"
)

// Users knows what people have said about being reached.
type Users interface {
	// HasUsers reports whether anybody of an app has said anything.
	HasUsers(ctx context.Context, app string) (bool, error)
	// Users returns those of ids that have, by id.
	Users(ctx context.Context, app string, ids []string) (map[string]push.User, error)
}

// userCache spares apps whose users have said nothing a question per task.
type userCache struct {
	of  Users
	now func() time.Time
	mu  sync.Mutex
	any map[string]anyUsers
}

type anyUsers struct {
	any   bool
	until time.Time
}

func newUserCache(of Users) *userCache {
	if of == nil {
		return nil
	}
	return &userCache{of: of, now: time.Now, any: make(map[string]anyUsers)}
}

func (c *userCache) users(ctx context.Context, app string, ids []string) (map[string]push.User, error) {
	c.mu.Lock()
	known := c.any[app]
	c.mu.Unlock()
	if !c.now().Before(known.until) {
		any, err := c.of.HasUsers(ctx, app)
		if err != nil {
			return nil, err
		}
		known = anyUsers{any, c.now().Add(appLife)}
		c.mu.Lock()
		c.any[app] = known
		c.mu.Unlock()
	}
	if !known.any {
		return nil, nil
	}
	return c.of.Users(ctx, app, ids)
}
