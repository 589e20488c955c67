package scheduler

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"github.com/herald-push/herald/internal/redisstore"
	"github.com/herald-push/herald/push"
)

// QueueStates lists the queues, most urgent first.
func (d *Door) QueueStates() ([]push.QueueState, error) {
	inspector := asynq.NewInspectorFromRedisClient(d.parts.Redis)
	begun, err := inspector.Queues()
	if err != nil {
		return nil, fmt.Errorf("scheduler: list queues: %w", err)
	}
	states := make([]push.QueueState, 0, len(queues))
	for _, q := range queues {
		due, err := d.due.State(context.Background(), q)
		if err != nil {
			return nil, fmt.Errorf("scheduler: %w", err)
		}
		states = append(states, push.QueueState{Queue: q, Active: due.Held, Scheduled: due.Entries})
		s, total := &states[len(states)-1], 0
		for _, row := range rows(q) {
			if !slices.Contains(begun, row) {
				continue // nothing was ever put there
			}
			info, err := inspector.GetQueueInfo(row)
			if err != nil {
				return nil, fmt.Errorf("scheduler: state of queue %s: %w", row, err)
			}
			s.Pending += info.Pending
			s.Retry += info.Retry
			s.Archived += info.Archived
			s.Active += info.Active
			s.Scheduled += info.Scheduled
			s.OldestSeconds = max(s.OldestSeconds, info.Latency.Seconds())
			s.Processed += info.Processed
			s.Failed += info.Failed
			total += info.ProcessedTotal
		}
		s.PerSecond = d.flow.rate(q, total, time.Now())
	}
	return states, nil
}

// Ready tells in words why the queue cannot be relied on: Redis does not
// answer, or due tasks wait for longer than [Config.Stuck] and no worker takes
// them. nil is well.
func (d *Door) Ready(ctx context.Context) error {
	if err := redisstore.Ping(ctx, d.parts.Redis); err != nil {
		return fmt.Errorf("scheduler: Redis does not answer: %w", err)
	}
	var errs []error
	for _, q := range queues {
		var oldest time.Duration
		for _, row := range rows(q) {
			waits, err := d.oldest(ctx, row)
			if err != nil {
				return err
			}
			oldest = max(oldest, waits)
		}
		due, err := d.due.State(ctx, q)
		if err != nil {
			return fmt.Errorf("scheduler: %w", err)
		}
		if !due.Oldest.IsZero() {
			oldest = max(oldest, time.Since(due.Oldest))
		}
		if oldest > d.cfg.Stuck {
			errs = append(errs, fmt.Errorf("scheduler: queue %s does not drain: its oldest task has waited for %s; is a worker running?",
				q, oldest.Round(time.Second)))
		}
	}
	return errors.Join(errs...)
}

// oldest is how long the next task of a queue has been waiting.
func (d *Door) oldest(ctx context.Context, queue string) (time.Duration, error) {
	prefix := "asynq:{" + queue + "}:"
	id, err := d.parts.Redis.LIndex(ctx, prefix+"pending", -1).Result()
	if errors.Is(err, redis.Nil) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("scheduler: look at queue %s: %w", queue, err)
	}
	since, err := d.parts.Redis.HGet(ctx, prefix+"t:"+id, "pending_since").Result()
	if errors.Is(err, redis.Nil) {
		return 0, nil // taken at this moment
	}
	if err != nil {
		return 0, fmt.Errorf("scheduler: look at queue %s: %w", queue, err)
	}
	nanos, err := strconv.ParseInt(since, 10, 64)
	if err != nil {
		return 0, fmt.Errorf("scheduler: look at queue %s: %w", queue, err)
	}
	return time.Since(time.Unix(0, nanos)), nil
}

// Reclaim hands the tasks of dead workers over at the next start of a worker,
// instead of up to a minute and a half later when their leases end.
//
// It takes them from living workers too, so it may be called only when there is
// none: by a process that has its Redis to itself, before [Worker.Run].
func Reclaim(ctx context.Context, rdb redis.UniversalClient) error {
	due := redisstore.NewDue(rdb)
	for _, q := range queues {
		if err := due.Reclaim(ctx, q); err != nil {
			return fmt.Errorf("scheduler: reclaim: %w", err)
		}
		for _, row := range rows(q) {
			if err := reclaim(ctx, rdb, "asynq:{"+row+"}:lease"); err != nil {
				return fmt.Errorf("scheduler: reclaim: %w", err)
			}
		}
	}
	return nil
}

// reclaim ends all leases of a queue of asynq's.
func reclaim(ctx context.Context, rdb redis.UniversalClient, leases string) error {
	ids, err := rdb.ZRange(ctx, leases, 0, -1).Result()
	if err != nil || len(ids) == 0 {
		return err
	}
	ended := make([]redis.Z, len(ids))
	for i, id := range ids {
		ended[i] = redis.Z{Member: id}
	}
	return rdb.ZAddXX(ctx, leases, ended...).Err()
}
