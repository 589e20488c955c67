package scheduler

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/herald-push/herald/internal/redisstore"
	"github.com/herald-push/herald/push"
)

// quota is this worker's part in a quota of an app and provider. Of one that
// the app has as a whole, blocks are leased from Redis, so that a delivery costs
// a subtraction here; of one that each device has, it only keeps the count.
type quota struct {
	name string
	now  func() time.Time
	busy chan struct{} // held by whoever speaks to Redis about it

	mu      sync.Mutex
	rule    push.Quota
	clock   push.Limits // whose day it is
	day     string
	ends    time.Time
	left    int64     // leased and not used yet
	untold  int64     // used since Redis was last told
	used    int64     // by all workers, when Redis was last told; of one for each device: here
	refused int64     // deliveries that took another road
	dry     time.Time // nothing was left; it is not asked for again before
	pace    meter
}

const (
	// blockTime is how long a block should last at the present pace, and
	// leastBlock how small it may be. Near the end of a quota Redis gives less.
	blockTime  = 5
	leastBlock = 50
	// dryTime is when a quota of which nothing was left is asked for again:
	// another worker may have given something back.
	dryTime = 5 * time.Second
	// idleTime is how long an unused block is kept.
	idleTime = 10 * time.Second
)

func newQuota(name string, now func() time.Time) *quota {
	return &quota{name: name, now: now, busy: make(chan struct{}, 1)}
}

// declare tells what the provider documents.
func (q *quota) declare(rule push.Quota, clock *push.Limits) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if rule.Limit != q.rule.Limit {
		q.dry = time.Time{}
	}
	q.rule, q.clock = rule, push.Limits{OffsetHours: clock.OffsetHours}
	q.roll(q.now())
}

// roll begins a new day if the old one is over. Callers hold mu.
func (q *quota) roll(now time.Time) {
	if now.Before(q.ends) {
		return
	}
	q.day, q.ends = q.clock.Day(now)
	q.left, q.untold, q.used, q.refused, q.dry = 0, 0, 0, 0, time.Time{}
}

// dryFor tells why a class finds nothing left of it; nil if it may, or nobody
// knows.
func (q *quota) dryFor(c push.Class, now time.Time) *closed {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.roll(now); q.rule.PerDevice || !q.rule.Binds(c) || !now.Before(q.dry) {
		return nil
	}
	return q.closed()
}

// closed is the refusal. Callers hold mu.
func (q *quota) closed() *closed {
	return &closed{until: q.ends, why: fmt.Sprintf("the day's quota %q of %d is used up", q.name, q.rule.Limit), sure: true}
}

// take uses n of the quota.
func (q *quota) take(ctx context.Context, ask asker, n int64) *closed {
	for {
		if done, refusal := q.tryTake(n); done {
			return refusal
		}
		select {
		case q.busy <- struct{}{}:
		case <-ctx.Done():
			return nil // the attempt will see that its time is over
		}
		if q.mustAsk(n) {
			q.ask(ctx, ask, n)
		}
		<-q.busy
	}
}

// tryTake takes from what is leased; done is false if Redis must be asked.
func (q *quota) tryTake(n int64) (done bool, refusal *closed) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.now()
	q.roll(now)
	switch {
	case q.rule.Limit == 0 || q.left >= n:
	case now.Before(q.dry):
		q.refused += n
		return true, q.closed()
	default:
		return false, nil
	}
	q.left = max(0, q.left-n)
	q.untold += n
	q.pace.add(int(n), now)
	return true, nil
}

func (q *quota) mustAsk(n int64) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.left < n && !q.now().Before(q.dry)
}

// ask leases a block with room for n. A Redis that is away stops nobody: what is
// used meanwhile is told later.
func (q *quota) ask(ctx context.Context, ask asker, n int64) {
	l := q.lease(func(now time.Time) int64 {
		return max(n, leastBlock, int64(blockTime*q.pace.perSecond(now)))
	})
	grants, err := ask(ctx, []redisstore.Lease{l})
	if err != nil {
		q.untell(l)
		q.granted(l, redisstore.Grant{More: l.Wants, Used: -1}, n)
		return
	}
	q.granted(l, grants[0], n)
}

// asker speaks to Redis about quotas of one app and provider.
type asker func(ctx context.Context, leases []redisstore.Lease) ([]redisstore.Grant, error)

// lease is what to tell Redis, and to ask for. Whoever calls it holds busy, and
// owes [quota.granted] or [quota.untell].
func (q *quota) lease(wants func(now time.Time) int64) redisstore.Lease {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.now()
	q.roll(now)
	l := redisstore.Lease{Quota: q.name, Day: q.day, Ends: q.ends, Limit: q.rule.Limit, Used: q.untold, Holds: q.left, Wants: wants(now)}
	q.untold = 0
	return l
}

// granted takes Redis' answer in; n is how much is needed at once.
func (q *quota) granted(l redisstore.Lease, g redisstore.Grant, n int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if l.Day != q.day {
		return
	}
	if g.Used >= 0 {
		q.used = g.Used
	}
	if q.rule.Limit == 0 {
		return
	}
	if q.left += g.More; q.left < n {
		q.dry = q.now().Add(dryTime)
	}
}

// untell undoes a lease that Redis did not hear.
func (q *quota) untell(l redisstore.Lease) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if l.Day == q.day {
		q.untold += l.Used
	}
}

// give returns what the provider did not take.
func (q *quota) give(n int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.roll(q.now())
	q.untold -= n
	if q.rule.Limit > 0 {
		q.left += n
	}
}

// note counts uses of a quota that each device has, and refusals.
func (q *quota) note(used, refused int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.roll(q.now())
	q.used += used
	q.refused += refused
}

// report is what to tell Redis by the clock; ok is false if there is nothing.
// An unused block goes back, and all of it at the end.
func (q *quota) report(end bool) (l redisstore.Lease, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := q.now()
	q.roll(now)
	if q.rule.PerDevice || q.untold == 0 && q.left == 0 {
		return l, false
	}
	if end || now.Sub(q.pace.second) > idleTime {
		q.left = 0
	}
	l = redisstore.Lease{Quota: q.name, Day: q.day, Ends: q.ends, Limit: q.rule.Limit, Used: q.untold, Holds: q.left}
	q.untold = 0
	return l, true
}

// use is what people see of it.
func (q *quota) use(now time.Time) push.QuotaUse {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.roll(now)
	return push.QuotaUse{
		Name: q.name, PerDevice: q.rule.PerDevice, Limit: q.rule.Limit, Used: max(0, q.used+q.untold),
		Refused: q.refused, PerSecond: q.pace.steady(now), RenewsAt: q.ends.UTC(),
	}
}
