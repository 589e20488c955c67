package redisstore

import (
	"context"
	_ "embed" // evidence.lua
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/herald-push/herald/push"
)

const (
	// evidenceLife is how long a device's evidence is kept after it last
	// changed: three of its half-lives, by when little of it is left.
	evidenceLife = 30 * 24 * time.Hour
	// newsKept is about how many exchanges are kept for those who listen late.
	newsKept = 2000
	// spentLife is how long a day's spending is kept.
	spentLife = 48 * time.Hour
)

// Brains keeps what the selectors of all workers have learned. It is safe for
// concurrent use.
type Brains struct {
	rdb      redis.UniversalClient
	evidence script
}

//go:embed evidence.lua
var evidenceLua string

// NewBrains keeps it in rdb.
func NewBrains(rdb redis.UniversalClient) *Brains { return &Brains{rdb, newScript(evidenceLua)} }

// Evidence returns what is kept for each device, "" for nothing: one round trip.
func (b *Brains) Evidence(ctx context.Context, devices []push.DeviceKey) ([]string, error) {
	keys := make([]string, len(devices))
	for i, d := range devices {
		keys[i] = evidenceKey(d.App, d.ID)
	}
	found, err := getAll(ctx, b.rdb, keys)
	if err != nil {
		return nil, fmt.Errorf("redisstore: evidence of %d devices: %w", len(devices), away(err))
	}
	return found, nil
}

// KeepEvidence replaces what was kept for each device by new evidence, unless
// somebody else has changed it, and returns what stands there now.
func (b *Brains) KeepEvidence(ctx context.Context, devices []push.DeviceKey, was, evidence []string) ([]string, error) {
	calls := make([]call, len(devices))
	for i, d := range devices {
		calls[i] = call{b.evidence, evidenceKey(d.App, d.ID), []any{was[i], evidence[i], evidenceLife.Milliseconds()}}
	}
	cmds, err := run(ctx, b.rdb, calls)
	if err != nil {
		return nil, fmt.Errorf("redisstore: keep evidence of %d devices: %w", len(devices), err)
	}
	stands := make([]string, len(devices))
	for i, cmd := range cmds {
		switch text, err := cmd.Text(); {
		case errors.Is(err, redis.Nil):
			stands[i] = evidence[i]
		case err != nil:
			return nil, fmt.Errorf("redisstore: keep evidence: %w", err)
		default:
			stands[i] = text
		}
	}
	return stands, nil
}

// Spend adds to what an app has spent on a day, and returns the sum.
func (b *Brains) Spend(ctx context.Context, app, day string, micros int64) (int64, error) {
	key := spentKey(app, day)
	pipe := b.rdb.Pipeline()
	sum := pipe.IncrBy(ctx, key, micros)
	pipe.Expire(ctx, key, spentLife)
	if _, err := pipe.Exec(ctx); err != nil {
		return 0, fmt.Errorf("redisstore: spend: %w", away(err))
	}
	return sum.Val(), nil
}

// Tell passes news on to the other workers.
func (b *Brains) Tell(ctx context.Context, news []byte) error {
	err := b.rdb.XAdd(ctx, &redis.XAddArgs{
		Stream: newsKey, MaxLen: newsKept, Approx: true, Values: []any{"news", news},
	}).Err()
	if err != nil {
		return fmt.Errorf("redisstore: tell: %w", away(err))
	}
	return nil
}

// Hear returns what was told after a place ("" is from now on), with the place
// to go on from.
func (b *Brains) Hear(ctx context.Context, after string) (news [][]byte, last string, err error) {
	if after == "" {
		at, err := b.end(ctx)
		return nil, at, err
	}
	const most = 200
	found, err := b.rdb.XRangeN(ctx, newsKey, "("+after, "+", most).Result()
	if err != nil {
		return nil, after, fmt.Errorf("redisstore: hear: %w", away(err))
	}
	last = after
	for _, m := range found {
		last = m.ID
		if text, ok := m.Values["news"].(string); ok {
			news = append(news, []byte(text))
		}
	}
	return news, last, nil
}

// end is the place of the newest news.
func (b *Brains) end(ctx context.Context) (string, error) {
	found, err := b.rdb.XRevRangeN(ctx, newsKey, "+", "-", 1).Result()
	if err != nil {
		return "", fmt.Errorf("redisstore: hear: %w", away(err))
	}
	if len(found) == 0 {
		return "0-0", nil
	}
	return found[0].ID, nil
}

// Snapshot is the last one kept with its place, nil if there is none.
func (b *Brains) Snapshot(ctx context.Context) (snapshot []byte, at string, err error) {
	found, err := b.rdb.HGetAll(ctx, snapshotKey).Result()
	if err != nil {
		return nil, "", fmt.Errorf("redisstore: snapshot: %w", away(err))
	}
	if found["snapshot"] == "" {
		at, err := b.end(ctx)
		return nil, at, err
	}
	return []byte(found["snapshot"]), found["at"], nil
}

// KeepSnapshot keeps one, unless another worker has within every.
func (b *Brains) KeepSnapshot(ctx context.Context, snapshot []byte, at string, every time.Duration) error {
	now := time.Now()
	last, err := b.rdb.HGet(ctx, snapshotKey, "made").Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return fmt.Errorf("redisstore: keep a snapshot: %w", away(err))
	}
	if made, err := strconv.ParseInt(last, 10, 64); err == nil && now.Sub(time.UnixMilli(made)) < every {
		return nil
	}
	if err := b.rdb.HSet(ctx, snapshotKey, "snapshot", snapshot, "at", at, "made", now.UnixMilli()).Err(); err != nil {
		return fmt.Errorf("redisstore: keep a snapshot: %w", away(err))
	}
	return nil
}
