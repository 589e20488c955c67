package redisstore

import (
	"context"
	_ "embed"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"
)

//go:embed quota.lua
var quotaLua string

// quotaLease is how long a worker's block of a quota is kept for it. What a
// worker that was killed held comes back after it.
const quotaLease = 30 * time.Second

// Quotas counts what services take in a day. It is safe for concurrent use.
type Quotas struct {
	rdb   redis.UniversalClient
	lease script
}

// NewQuotas counts in rdb.
func NewQuotas(rdb redis.UniversalClient) *Quotas {
	return &Quotas{rdb: rdb, lease: newScript(quotaLua)}
}

// Lease is what a worker says about a quota of an app, and asks for.
type Lease struct {
	App, Provider, Quota, Day string
	Ends                      time.Time // of the day
	Limit                     int64     // 0 is unknown: whatever is asked for is granted
	Used                      int64     // since the worker last said
	Holds                     int64     // and has not used yet
	Wants                     int64
}

// Grant is the answer to a [Lease].
type Grant struct {
	More int64 // that the worker may use
	Used int64 // by all workers so far
}

// Lease makes all leases in one round trip. A block that is not renewed within
// 30 seconds goes back to the others.
func (q *Quotas) Lease(ctx context.Context, now time.Time, worker string, leases []Lease) ([]Grant, error) {
	calls := make([]call, len(leases))
	for i, l := range leases {
		calls[i] = call{q.lease, quotaKey(l.App, l.Provider, l.Quota, l.Day), []any{
			now.UnixMilli(), worker, l.Used, l.Holds, l.Wants, l.Limit, quotaLease.Milliseconds(), keptUntil(l.Ends),
		}}
	}
	cmds, err := run(ctx, q.rdb, calls)
	if err != nil {
		return nil, err
	}
	grants := make([]Grant, len(leases))
	for i, cmd := range cmds {
		pair, err := cmd.Int64Slice()
		if err != nil || len(pair) != 2 {
			return nil, fmt.Errorf("redisstore: lease quota: %w", err)
		}
		grants[i] = Grant{pair[0], pair[1]}
	}
	return grants, nil
}

// keptUntil leaves a day's counts an hour for whoever is late.
func keptUntil(ends time.Time) int64 { return ends.Add(time.Hour).Unix() }

// DeviceUse is one more use of a quota that each device has for itself.
type DeviceUse struct {
	App, Provider, Quota, Day, Device string
	Ends                              time.Time // of the day
	Limit                             int64
}

// Use counts each use, in one round trip, unless it is over the limit: those
// are true in the answer.
func (q *Quotas) Use(ctx context.Context, uses []DeviceUse) (over []bool, err error) {
	counts, err := q.add(ctx, uses, 1)
	if err != nil {
		return nil, err
	}
	over = make([]bool, len(uses))
	var back []DeviceUse
	for i, n := range counts {
		if over[i] = n > uses[i].Limit; over[i] {
			back = append(back, uses[i])
		}
	}
	if len(back) > 0 {
		err = q.Return(ctx, back)
	}
	return over, err
}

// Return takes uses back that the service did not take.
func (q *Quotas) Return(ctx context.Context, uses []DeviceUse) error {
	_, err := q.add(ctx, uses, -1)
	return err
}

func (q *Quotas) add(ctx context.Context, uses []DeviceUse, n int64) ([]int64, error) {
	pipe := q.rdb.Pipeline()
	cmds := make([]*redis.IntCmd, len(uses))
	ends := make(map[string]time.Time, len(uses))
	for i, u := range uses {
		key := deviceQuotaKey(u.App, u.Provider, u.Quota, u.Day, u.Device)
		cmds[i] = pipe.HIncrBy(ctx, key, u.Device, n)
		ends[key] = u.Ends
	}
	if n > 0 {
		for key, end := range ends {
			pipe.ExpireAt(ctx, key, time.Unix(keptUntil(end), 0))
		}
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("redisstore: count device quota: %w", away(err))
	}
	counts := make([]int64, len(cmds))
	for i, cmd := range cmds {
		counts[i] = cmd.Val()
	}
	return counts, nil
}
