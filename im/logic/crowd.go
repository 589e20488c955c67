package logic

import (
	"context"
	"sync"

	"github.com/herald-push/herald/im"
)

// crowds remembers who is in the large groups that were last spoken in. Every
// message tells which roster was in force when it was numbered, whatever process
// changed it, so nothing here is ever out of date.
type crowds struct {
	mu    sync.Mutex
	known map[place]roster
	names int // in all of known
}

type place struct{ app, conversation string }

type roster struct {
	version uint64
	users   []string
}

// maxNames bounds the users that are remembered: some 30 MB.
const maxNames = 500_000

// of is the members of a group at a version of its roster.
func (c *crowds) of(ctx context.Context, from Members, app, conversation string, version uint64) ([]string, error) {
	at := place{app, conversation}
	c.mu.Lock()
	r, ok := c.known[at]
	c.mu.Unlock()
	if ok && r.version == version {
		return r.users, nil
	}
	users, err := everyone(ctx, from, app, conversation)
	if err != nil {
		return nil, err
	}
	c.keep(at, roster{version, users})
	return users, nil
}

func everyone(ctx context.Context, from Members, app, conversation string) (users []string, err error) {
	const page = 2000
	after := ""
	for {
		found, err := from.Members(ctx, app, conversation, after, page)
		if err != nil {
			return nil, err
		}
		for _, m := range found {
			if after = m.User; m.Role != im.Asking {
				users = append(users, m.User)
			}
		}
		if len(found) < page {
			return users, nil
		}
	}
}

// keep remembers a roster, and forgets others where there are too many: which
// ones is left to chance.
func (c *crowds) keep(at place, r roster) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known == nil {
		c.known = map[place]roster{}
	}
	old := c.known[at]
	if old.version > r.version {
		return
	}
	c.names += len(r.users) - len(old.users)
	c.known[at] = r
	for other, o := range c.known {
		if c.names <= maxNames {
			break
		}
		if other != at {
			c.names -= len(o.users)
			delete(c.known, other)
		}
	}
}
