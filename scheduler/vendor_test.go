package scheduler

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/herald-push/herald/push"
)

// vendor plays a provider on the test's clock. Zero fields bind nothing.
type vendor struct {
	places   int           // that serve at a time; who comes beyond them queues
	atOnce   int           // requests in flight above which it answers 429
	rate     float64       // requests a second above which it answers 429
	takes    time.Duration // to serve a request
	inFlight atomic.Int64
	most     atomic.Int64 // there ever were in flight
	slots    chan struct{}

	mu     sync.Mutex
	tokens float64
	filled time.Time
}

func (v *vendor) send() error {
	n := v.inFlight.Add(1)
	defer v.inFlight.Add(-1)
	for m := v.most.Load(); n > m && !v.most.CompareAndSwap(m, n); m = v.most.Load() {
	}
	if v.atOnce > 0 && int(n) > v.atOnce || v.rate > 0 && !v.allows() {
		time.Sleep(v.takes / 2)
		return fault("p", push.ErrThrottled, 0)
	}
	if v.places > 0 {
		v.slots <- struct{}{}
		defer func() { <-v.slots }()
	}
	time.Sleep(v.takes)
	return nil
}

// allows is a bucket of a tenth of a second.
func (v *vendor) allows() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	now := time.Now()
	if v.filled.IsZero() {
		v.tokens = v.rate / 10
	} else {
		v.tokens = min(v.rate/10, v.tokens+now.Sub(v.filled).Seconds()*v.rate)
	}
	v.filled = now
	if v.tokens < 1 {
		return false
	}
	v.tokens--
	return true
}

// A lane that always has more to send finds what a vendor bears: little is
// wasted, little is refused, and no long queue is built up on the other side.
func TestLaneFindsWhatAVendorBears(t *testing.T) {
	tests := map[string]struct {
		vendor   *vendor
		width    width   // to begin with; all zero is a new lane's
		bears    float64 // requests a second
		share    float64 // of it that must go through
		refused  float64 // share of all requests that may be refused
		inFlight int64   // that there may ever be
	}{
		"a wide one":                          {&vendor{takes: 250 * time.Millisecond}, width{}, 1000 / 0.25, 0.9, 0, 1000},
		"a narrow one that queues":            {&vendor{places: 40, takes: 50 * time.Millisecond}, width{}, 800, 0.95, 0, 400},
		"a slow one that queues":              {&vendor{places: 8, takes: time.Second}, width{}, 8, 0.9, 0, 128},
		"one that refuses what comes at once": {&vendor{atOnce: 100, takes: 50 * time.Millisecond}, width{}, 2000, 0.8, 0.05, 300},
		"one that refuses what comes fast":    {&vendor{rate: 500, takes: 5 * time.Millisecond}, width{}, 500, 0.8, 0.05, 1000},
		"one that was near": {
			&vendor{takes: 50 * time.Millisecond}, width{limit: 90, fast: 0.002, base: 0.002, samples: 100},
			1000 / 0.05, 0.9, 0, 1000,
		},
		"fast from far away": {&vendor{rate: 2000, takes: 200 * time.Millisecond}, width{}, 2000, 0.8, 0.05, 1000},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := tt.vendor
				v.slots = make(chan struct{}, v.places)
				l := newLane(DefaultConfig().Lane, time.Now)
				if tt.width.limit > 0 {
					most := l.width.most
					l.width = tt.width
					l.width.most, l.width.shrunk = most, time.Now()
				}
				const lead, measured = 10 * time.Second, 5 * time.Second
				ctx, cancel := context.WithTimeout(t.Context(), lead+measured)
				defer cancel()
				began := time.Now()
				var good, refused atomic.Int64
				var group sync.WaitGroup
				for range 1100 {
					group.Go(func() {
						for ctx.Err() == nil {
							p, err := l.enter(ctx, push.Marketing, 1)
							var shut *closed
							if errors.As(err, &shut) {
								time.Sleep(100 * time.Millisecond)
								continue
							} else if err != nil {
								return
							}
							answer := v.send()
							l.leave(p, answer)
							switch past := time.Since(began); {
							case past < lead || past > lead+measured:
							case answer == nil:
								good.Add(1)
							default:
								refused.Add(1)
							}
						}
					})
				}
				group.Wait()
				rate := float64(good.Load()) / measured.Seconds()
				share := float64(refused.Load()) / float64(good.Load()+refused.Load())
				t.Logf("%.0f of %.0f a second, %.1f%% refused, at most %d in flight, limit %.0f", rate, tt.bears, 100*share, v.most.Load(), l.width.limit)
				if rate < tt.share*tt.bears {
					t.Errorf("%.0f requests a second go through, want %.0f%% of %.0f", rate, 100*tt.share, tt.bears)
				}
				if share > tt.refused {
					t.Errorf("%.1f%% are refused, want at most %.1f%%", 100*share, 100*tt.refused)
				}
				if most := v.most.Load(); most > tt.inFlight {
					t.Errorf("%d were in flight, want at most %d", most, tt.inFlight)
				}
			})
		})
	}
}
