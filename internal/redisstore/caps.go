package redisstore

import (
	"context"
	_ "embed"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/herald-push/herald/push"
)

//go:embed cap.lua
var capLua string

// Caps counts what users have been sent. It is safe for concurrent use.
type Caps struct {
	rdb redis.UniversalClient
	cap script
}

// NewCaps counts in rdb.
func NewCaps(rdb redis.UniversalClient) *Caps { return &Caps{rdb: rdb, cap: newScript(capLua)} }

// Tick is one notification for one person. Who is a user, or a device that has
// none; all devices of a user tick once.
type Tick struct {
	App, Who, Notification string
	Class                  push.Class
	Caps                   []push.Cap // those that bind the class; at least one
}

// Who names whom rules count: the user of a device, or else the device.
func Who(d *push.Device) string {
	if d.User != "" {
		return "u:" + d.User
	}
	return "d:" + d.ID
}

// Count counts each tick once, however often it is given, and answers the cap
// that forbids it, or nil. One round trip. What is forbidden is not counted.
func (c *Caps) Count(ctx context.Context, now time.Time, ticks []Tick) ([]*push.Cap, error) {
	calls := make([]call, len(ticks))
	for i, t := range ticks {
		var longest int64
		args := []any{now.UnixMilli(), t.Notification, nil}
		for _, limit := range t.Caps {
			window := limit.Window().Milliseconds()
			longest = max(longest, window)
			args = append(args, window, limit.Limit)
		}
		args[2] = longest
		calls[i] = call{c.cap, capKey(t.App, string(t.Class), t.Who), args}
	}
	cmds, err := run(ctx, c.rdb, calls)
	if err != nil {
		return nil, err
	}
	broken := make([]*push.Cap, len(ticks))
	for i, cmd := range cmds {
		n, err := cmd.Int()
		if err != nil {
			return nil, fmt.Errorf("redisstore: count cap: %w", err)
		}
		if n > 0 && n <= len(ticks[i].Caps) {
			broken[i] = &ticks[i].Caps[n-1]
		}
	}
	return broken, nil
}
