package redisstore

import (
	"context"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

// inboxSize is the most messages that wait for one device; the oldest give way.
const inboxSize = 256

// Inbox keeps what devices of the live connection have not acknowledged yet.
// It is safe for concurrent use.
type Inbox struct {
	rdb redis.UniversalClient
	put script
}

// NewInbox keeps inboxes in rdb.
func NewInbox(rdb redis.UniversalClient) *Inbox {
	return &Inbox{rdb: rdb, put: newScript(inboxLua)}
}

// Letter is one message for one device. A payload is JSON with a sent_at.
type Letter struct {
	App, Device, Delivery string
	Payload               []byte
	Expires               time.Time
}

// Put lays letters in their inboxes, in one round trip.
func (b *Inbox) Put(ctx context.Context, letters []Letter) error {
	calls := make([]call, len(letters))
	for i, l := range letters {
		calls[i] = call{b.put, inboxKey(l.App, l.Device), []any{l.Delivery, l.Payload, l.Expires.Unix() + 1, inboxSize}}
	}
	_, err := run(ctx, b.rdb, calls)
	return err
}

// Drop takes letters out again, which need only their names. One that is not
// there is no error.
func (b *Inbox) Drop(ctx context.Context, letters []Letter) error {
	pipe := b.rdb.Pipeline()
	for _, l := range letters {
		pipe.HDel(ctx, inboxKey(l.App, l.Device), l.Delivery)
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("redisstore: drop letters: %w", away(err))
	}
	return nil
}

// List returns what waits for a device, payloads by delivery.
func (b *Inbox) List(ctx context.Context, app, device string) (map[string]string, error) {
	all, err := b.rdb.HGetAll(ctx, inboxKey(app, device)).Result()
	if err != nil {
		return nil, fmt.Errorf("redisstore: list inbox: %w", away(err))
	}
	return all, nil
}
