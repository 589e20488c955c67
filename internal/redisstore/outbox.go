package redisstore

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Outbox keeps entries in their order until somebody has done with them. Any
// number of processes may put and take; each entry is taken by one of them, and
// by another if that one dies. It is safe for concurrent use.
type Outbox struct{ rdb redis.UniversalClient }

// NewOutbox keeps entries in rdb.
func NewOutbox(rdb redis.UniversalClient) *Outbox { return &Outbox{rdb} }

// The takers are one consumer of one group: which of them has an entry does not
// matter, only for how long.
const (
	outboxGroup = "takers"
	outboxTaker = "any"
	outboxField = "e"
	// outboxBlock is how long a take waits, outboxLots how much it brings, and
	// outboxIdle when an entry that was taken and not done is somebody else's.
	outboxBlock = time.Second
	outboxLots  = 200
	outboxIdle  = 30 * time.Second
)

// Put returns once an entry is in Redis.
func (o *Outbox) Put(ctx context.Context, entry []byte) error {
	err := o.rdb.XAdd(ctx, &redis.XAddArgs{Stream: outboxKey, Values: []any{outboxField, entry}}).Err()
	if err != nil {
		return fmt.Errorf("redisstore: put into the outbox: %w", away(err))
	}
	return nil
}

// Take returns entries that nobody has, waiting up to a second for one. Those
// whose taker has not done with them for half a minute come first.
func (o *Outbox) Take(ctx context.Context) (ids []string, entries [][]byte, err error) {
	left, _, err := o.rdb.XAutoClaim(ctx, &redis.XAutoClaimArgs{
		Stream: outboxKey, Group: outboxGroup, Consumer: outboxTaker, MinIdle: outboxIdle, Start: "0", Count: outboxLots,
	}).Result()
	if err != nil && strings.HasPrefix(err.Error(), "NOGROUP") {
		left, err = nil, o.makeGroup(ctx)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("redisstore: take from the outbox: %w", away(err))
	}
	if len(left) == 0 {
		fresh, err := o.rdb.XReadGroup(ctx, &redis.XReadGroupArgs{
			Group: outboxGroup, Consumer: outboxTaker, Streams: []string{outboxKey, ">"}, Count: outboxLots, Block: outboxBlock,
		}).Result()
		if err != nil && !errors.Is(err, redis.Nil) {
			return nil, nil, fmt.Errorf("redisstore: take from the outbox: %w", away(err))
		}
		for _, s := range fresh {
			left = append(left, s.Messages...)
		}
	}
	for _, m := range left {
		text, _ := m.Values[outboxField].(string)
		ids, entries = append(ids, m.ID), append(entries, []byte(text))
	}
	return ids, entries, nil
}

func (o *Outbox) makeGroup(ctx context.Context) error {
	err := o.rdb.XGroupCreateMkStream(ctx, outboxKey, outboxGroup, "0").Err()
	if err != nil && strings.HasPrefix(err.Error(), "BUSYGROUP") {
		return nil
	}
	return err
}

// Done forgets entries.
func (o *Outbox) Done(ctx context.Context, ids []string) error {
	pipe := o.rdb.TxPipeline()
	pipe.XAck(ctx, outboxKey, outboxGroup, ids...)
	pipe.XDel(ctx, outboxKey, ids...)
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("redisstore: done with the outbox: %w", away(err))
	}
	return nil
}

// Len is how many entries there are, taken or not.
func (o *Outbox) Len(ctx context.Context) (int64, error) {
	n, err := o.rdb.XLen(ctx, outboxKey).Result()
	if err != nil {
		return 0, fmt.Errorf("redisstore: length of the outbox: %w", away(err))
	}
	return n, nil
}
