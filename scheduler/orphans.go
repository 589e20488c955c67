package scheduler

import (
	"context"
	_ "embed"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

//go:embed orphan.lua
var orphanLua string

// orphanage is the time between two looks for orphans. Living workers extend
// the leases of their tasks every 5 s; a lease that is the same at two looks
// in a row, with Redis there both times, has nobody behind it.
const orphanage = 12 * time.Second

// orphans finds tasks that were handed to a worker that is dead, or to none
// because Redis went away in the middle of handing over. asynq finds them too,
// but takes up to two minutes, which is longer than an otp is good for.
type orphans struct {
	rdb    redis.UniversalClient
	script *redis.Script
	seen   map[string]map[string]float64 // by queue and task: the end of the lease at the last look
}

func newOrphans(rdb redis.UniversalClient) *orphans {
	return &orphans{rdb: rdb, script: redis.NewScript(orphanLua), seen: make(map[string]map[string]float64)}
}

// adopt looks for orphans until ctx ends.
func (w *Worker) adopt(ctx context.Context) {
	o := newOrphans(w.parts.Redis)
	tick := time.NewTicker(orphanage)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		n, err := o.look(ctx)
		switch {
		case err != nil && ctx.Err() == nil:
			w.log.WarnContext(ctx, "orphaned tasks not looked for", "err", err)
		case n > 0:
			w.log.InfoContext(ctx, "tasks of a dead worker taken over", "tasks", n)
		}
	}
}

// look puts the orphans of all queues back, and tells how many there were.
func (o *orphans) look(ctx context.Context) (found int, err error) {
	for _, q := range allRows() {
		prefix := "asynq:{" + q + "}:"
		leases, err := o.rdb.ZRangeWithScores(ctx, prefix+"lease", 0, -1).Result()
		if err != nil {
			clear(o.seen) // two looks count only if Redis was there for both
			return found, fmt.Errorf("scheduler: read leases: %w", err)
		}
		now := make(map[string]float64, len(leases))
		for _, z := range leases {
			id, _ := z.Member.(string)
			if before, ok := o.seen[q][id]; !ok || before != z.Score {
				now[id] = z.Score
				continue
			}
			keys := []string{prefix + "active", prefix + "lease", prefix + "pending", prefix + "t:" + id}
			n, err := o.script.Run(ctx, o.rdb, keys, id, z.Score, time.Now().UnixNano()).Int()
			if err != nil {
				clear(o.seen)
				return found, fmt.Errorf("scheduler: put orphan back: %w", err)
			}
			found += n
		}
		o.seen[q] = now
	}
	return found, nil
}
