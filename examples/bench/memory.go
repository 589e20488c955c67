package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/herald-push/herald/internal/redisstore"
)

// deadlines is how many fallback deadlines are put down.
const deadlines = 1_000_000

// memory measures what Redis pays for a delivery that waits for proof, and for
// a million pending fallback deadlines.
func (o options) memory(ctx context.Context, s *stack) ([]figure, error) {
	ctx, stop := context.WithTimeout(ctx, time.Minute)
	defer stop()
	rdb, err := redisstore.Connect(s.redis)
	if err != nil {
		return nil, err
	}
	defer rdb.Close()
	body := fmt.Sprintf(`{"id":"all-%s","to":{"all":true},"class":"transactional","title":"News","body":"For everybody"}`, runName())
	if _, err := s.api.do(ctx, "POST", "/v1/notifications", []byte(body)); err != nil {
		return nil, err
	}
	if err := until(ctx, o.devices, s.accepted); err != nil {
		return nil, err
	}
	broadcast, err := journalSize(ctx, rdb)
	if err != nil {
		return nil, err
	}
	singles := o.devices / 5
	err = s.api.flood(ctx, 16, singles, "/v1/notifications", func(i int) []byte {
		return notification(fmt.Sprintf("order-%d", i), i, 1, o.devices)
	})
	if err != nil {
		return nil, err
	}
	if err := until(ctx, o.devices+singles, s.accepted); err != nil {
		return nil, err
	}
	both, err := journalSize(ctx, rdb)
	if err != nil {
		return nil, err
	}
	million, err := dueSize(ctx, rdb)
	if err != nil {
		return nil, err
	}
	return []figure{
		of("Redis memory, a delivery of a broadcast that waits for proof", "bytes", []float64{float64(broadcast) / float64(o.devices)}),
		of("Redis memory, a notification of one device that waits for proof", "bytes", []float64{float64(both-broadcast) / float64(singles)}),
		of("Redis memory, 1,000,000 pending fallback deadlines", "MiB", []float64{float64(million) / (1 << 20)}),
	}, nil
}

// journalSize is what notifications and chunks take in Redis (MEMORY USAGE).
func journalSize(ctx context.Context, rdb redis.UniversalClient) (bytes int64, err error) {
	var keys []string
	scan := rdb.Scan(ctx, 0, "herald:{*", 10_000).Iterator()
	for scan.Next(ctx) {
		if k := scan.Val(); strings.Contains(k, "/n:") || strings.Contains(k, "/c:") {
			keys = append(keys, k)
		}
	}
	if err := scan.Err(); err != nil {
		return 0, fmt.Errorf("bench: redis: %w", err)
	}
	pipe := rdb.Pipeline()
	cmds := make([]*redis.IntCmd, len(keys))
	for i, k := range keys {
		cmds[i] = pipe.MemoryUsage(ctx, k, 0) // of all fields, not a sample
	}
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return 0, fmt.Errorf("bench: redis: %w", err)
	}
	for _, cmd := range cmds {
		bytes += cmd.Val()
	}
	return bytes, nil
}

// dueSize puts deadlines down over half a minute that is a while ahead, as
// single notifications would have them, and tells by how much Redis grew.
func dueSize(ctx context.Context, rdb redis.UniversalClient) (bytes int64, err error) {
	before, err := usedMemory(ctx, rdb)
	if err != nil {
		return 0, err
	}
	due, begin := redisstore.NewDue(rdb), time.Now().Add(55*time.Second)
	for i := 0; i < deadlines; i += 1000 {
		entries := make([]redisstore.DueEntry, 1000)
		for k := range entries {
			at := begin.Add(time.Duration(i+k) * 30 * time.Second / deadlines)
			entries[k] = redisstore.DueEntry{At: at, Text: fmt.Sprintf("1 c %s order-%d 0 0", app, 1_000_000+i+k)}
		}
		if err := due.Put(ctx, "bench", entries...); err != nil { // a queue that no worker looks after
			return 0, err
		}
	}
	after, err := usedMemory(ctx, rdb)
	return after - before, err
}

func usedMemory(ctx context.Context, rdb redis.UniversalClient) (int64, error) {
	info, err := rdb.Info(ctx, "memory").Result()
	if err != nil {
		return 0, fmt.Errorf("bench: redis: %w", err)
	}
	for line := range strings.Lines(info) {
		if n, ok := strings.CutPrefix(strings.TrimSpace(line), "used_memory:"); ok {
			return strconv.ParseInt(n, 10, 64)
		}
	}
	return 0, errors.New("bench: redis tells no used_memory")
}
