package redisstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// Notes keep what a provider must know again after a restart, or in another
// process: notes under keys of its own, sheets of words, and which apps wait for
// receipts. All of it is forgotten at a time given. It is safe for concurrent use.
type Notes struct{ rdb redis.UniversalClient }

// NewNotes keeps notes in rdb.
func NewNotes(rdb redis.UniversalClient) *Notes { return &Notes{rdb} }

// Keep writes a note under a key.
func (n *Notes) Keep(ctx context.Context, key string, note []byte, until time.Time) error {
	if err := n.rdb.SetArgs(ctx, noteKey(key), note, redis.SetArgs{ExpireAt: until}).Err(); err != nil {
		return fmt.Errorf("redisstore: keep note: %w", away(err))
	}
	return nil
}

// Find returns the first of the keys that has a note; "" if none has.
func (n *Notes) Find(ctx context.Context, keys []string) (key string, note []byte, err error) {
	pipe := n.rdb.Pipeline()
	found := make([]*redis.StringCmd, len(keys))
	for i, k := range keys {
		found[i] = pipe.Get(ctx, noteKey(k))
	}
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return "", nil, fmt.Errorf("redisstore: find note: %w", away(err))
	}
	for i, cmd := range found {
		if text, err := cmd.Bytes(); err == nil {
			return keys[i], text, nil
		}
	}
	return "", nil, nil
}

// Mark writes a word under a name on the sheet of a key, and returns all words
// that are on it.
func (n *Notes) Mark(ctx context.Context, key, name, word string, until time.Time) (map[string]string, error) {
	pipe := n.rdb.TxPipeline()
	pipe.HSet(ctx, noteKey(key), name, word)
	pipe.ExpireAt(ctx, noteKey(key), until)
	all := pipe.HGetAll(ctx, noteKey(key))
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("redisstore: mark: %w", away(err))
	}
	return all.Val(), nil
}

// Await notes that an app waits for receipts of a provider until then.
func (n *Notes) Await(ctx context.Context, app, provider string, until time.Time) error {
	pipe := n.rdb.TxPipeline()
	pipe.ZAddGT(ctx, awaitedKey, redis.Z{Score: float64(until.Unix()), Member: provider + "\x00" + app})
	pipe.ZRemRangeByScore(ctx, awaitedKey, "-inf", strconv.FormatInt(time.Now().Unix(), 10))
	if _, err := pipe.Exec(ctx); err != nil {
		return fmt.Errorf("redisstore: await: %w", away(err))
	}
	return nil
}

// Awaited is an app that waits for receipts of a provider.
type Awaited struct {
	App, Provider string
	Until         time.Time
}

// Awaiting lists those who wait for receipts now.
func (n *Notes) Awaiting(ctx context.Context) ([]Awaited, error) {
	now := strconv.FormatInt(time.Now().Unix(), 10)
	zs, err := n.rdb.ZRangeArgsWithScores(ctx, redis.ZRangeArgs{Key: awaitedKey, ByScore: true, Start: "(" + now, Stop: "+inf"}).Result()
	if err != nil {
		return nil, fmt.Errorf("redisstore: awaiting: %w", away(err))
	}
	all := make([]Awaited, 0, len(zs))
	for _, z := range zs {
		member, _ := z.Member.(string)
		if provider, app, ok := strings.Cut(member, "\x00"); ok {
			all = append(all, Awaited{app, provider, time.Unix(int64(z.Score), 0)})
		}
	}
	return all, nil
}
