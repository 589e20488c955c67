package redisstore

import (
	"context"
	_ "embed"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/herald-push/herald/push"
)

//go:embed collapse.lua
var collapseLua string

// Newest knows the newest notification of each collapse key on each device. It
// is safe for concurrent use.
type Newest struct {
	rdb      redis.UniversalClient
	collapse script
}

// NewNewest keeps them in rdb.
func NewNewest(rdb redis.UniversalClient) *Newest {
	return &Newest{rdb: rdb, collapse: newScript(collapseLua)}
}

// Rival is a delivery with a collapse key.
type Rival struct {
	Notification     *push.Notification
	Device, Delivery string
}

// Standing is how a rival stands.
type Standing struct {
	By       string // the newer notification that has its place; "" if none
	Replaces string // the older delivery whose place it takes, ""
}

// Register notes the rivals and tells how they stand, in one round trip. The
// one that was accepted last is the newest; the same again changes nothing.
func (s *Newest) Register(ctx context.Context, rivals []Rival) ([]Standing, error) {
	calls := make([]call, len(rivals))
	for i, r := range rivals {
		n := r.Notification
		calls[i] = call{s.collapse, collapseKey(n.App, r.Device), []any{
			n.CollapseKey, n.AcceptedAt.UnixMilli(), n.ID, r.Delivery, expiry(n),
		}}
	}
	cmds, err := run(ctx, s.rdb, calls)
	if err != nil {
		return nil, err
	}
	all := make([]Standing, len(rivals))
	for i, cmd := range cmds {
		words, err := cmd.StringSlice()
		if err != nil || len(words) != 2 {
			return nil, fmt.Errorf("redisstore: collapse answered %q: %w", words, err)
		}
		if words[0] == "old" {
			all[i].By = words[1]
		} else {
			all[i].Replaces = words[1]
		}
	}
	return all, nil
}
