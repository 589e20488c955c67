package gateway

import (
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// limits holds how often whom may ask for what, in this process.
type limits struct {
	mu sync.Mutex
	of map[limitKey]*rate.Limiter
}

type limitKey struct{ app, service, version, operation, per, who string }

// limitsMost bounds the memory: past it those that are full again are forgotten.
const limitsMost = 100_000

// take takes one from each rate that binds a call, or from none.
func (l *limits) take(c *call) error {
	rates := c.operation.declared.Limits
	if len(rates) == 0 {
		return nil
	}
	now := c.gateway.parts.Now()
	var taken []*rate.Reservation
	for per, r := range rates {
		who := map[string]string{"app": c.who.App, "user": c.who.User, "device": c.who.Device}[per]
		if who == "" {
			continue
		}
		k := limitKey{c.who.App, c.service.declaration.Service, c.version.id, c.operation.name, per, who}
		got := l.limiter(k, r, now).ReserveN(now, 1)
		wait := got.DelayFrom(now)
		taken = append(taken, got)
		if wait == 0 {
			continue
		}
		for _, t := range taken {
			t.CancelAt(now)
		}
		e := fail(CodeRateLimited, "this "+per+" asks for it more often than it may", nil)
		e.RetryAfter = max(wait, time.Second)
		return e
	}
	return nil
}

func (l *limits) limiter(k limitKey, r Rate, now time.Time) *rate.Limiter {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.of == nil {
		l.of = map[limitKey]*rate.Limiter{}
	}
	if len(l.of) >= limitsMost {
		for k, one := range l.of {
			if one.TokensAt(now) >= float64(one.Burst()) {
				delete(l.of, k)
			}
		}
	}
	one := l.of[k]
	if one == nil || one.Limit() != rate.Limit(r.PerSecond) || one.Burst() != r.Burst {
		one = rate.NewLimiter(rate.Limit(r.PerSecond), r.Burst)
		l.of[k] = one
	}
	return one
}
