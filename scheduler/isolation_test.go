package scheduler

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald/push"
)

// One vendor hangs. The others' deliveries, in the same bundles, arrive as if
// nothing were, and the hanging lane closes.
func TestHangingVendorSlowsNobody(t *testing.T) {
	h := newHouse(t)
	h.cfg.Attempt = time.Minute
	release := make(chan struct{})
	h.lives("bad", "apns")
	h.lives("good", "fcm")
	h.answer = func(ctx context.Context, provider string, _ *push.Delivery) (push.Answer, error) {
		if provider == "apns" {
			select {
			case <-release:
			case <-ctx.Done():
				t.Error("the good vendor's deliveries had to wait for the hanging one")
			}
			return push.Answer{}, fault("apns", push.ErrUnknown, 0)
		}
		return push.Answer{Stage: push.Accepted}, nil
	}
	d := h.door()
	w, _ := h.work()
	for i := range 200 {
		h.enqueue(d, note(fmt.Sprintf("bad-%d", i), "bad"))
		h.enqueue(d, note(fmt.Sprintf("good-%d", i), "good"))
	}
	for i := range 200 {
		h.awaitDone(d, fmt.Sprintf("good-%d", i))
	}
	close(release) // only now does the bad vendor let go
	eventually(t, func() string {
		for _, s := range w.OwnLanes() {
			if s.Provider == "apns" && s.Why != "" {
				return ""
			}
		}
		return "the hanging lane is open"
	})
}

// How much of its throughput a healthy lane keeps while another vendor is sick:
// compare the deliveries a second with those beside a vendor that is well.
func BenchmarkIsolation(b *testing.B) {
	sicknesses := map[string]func(ctx context.Context) (push.Answer, error){
		"well": func(ctx context.Context) (push.Answer, error) { return served(ctx, 5*time.Millisecond, nil) },
		"hangs": func(ctx context.Context) (push.Answer, error) {
			<-ctx.Done()
			return push.Answer{}, fault("apns", push.ErrUnknown, 0)
		},
		"slow": func(ctx context.Context) (push.Answer, error) { return served(ctx, 2*time.Second, nil) },
		"floods 429": func(ctx context.Context) (push.Answer, error) {
			return served(ctx, 5*time.Millisecond, fault("apns", push.ErrThrottled, 0))
		},
		"bad keys": func(ctx context.Context) (push.Answer, error) {
			return served(ctx, 5*time.Millisecond, fault("apns", push.ErrCredentials, 0))
		},
	}
	for _, name := range []string{"well", "hangs", "slow", "floods 429", "bad keys"} {
		b.Run(name, func(b *testing.B) {
			h := newHouse(b)
			const devices = 100
			var bad, good []string
			for i := range devices {
				bad, good = append(bad, fmt.Sprintf("bad%d", i)), append(good, fmt.Sprintf("good%d", i))
				h.lives(bad[i], "apns")
				h.lives(good[i], "fcm")
			}
			h.answer = func(ctx context.Context, provider string, _ *push.Delivery) (push.Answer, error) {
				if provider == "apns" {
					return sicknesses[name](ctx)
				}
				return served(ctx, 5*time.Millisecond, nil)
			}
			d := h.door()
			h.work()
			b.ResetTimer()
			pace := time.NewTicker(50 * time.Millisecond) // 2,000 deliveries a second in each lane
			defer pace.Stop()
			for i := range b.N {
				<-pace.C
				h.enqueue(d, note(fmt.Sprintf("bad-%d", i), strings.Join(bad, ",")))
				h.enqueue(d, note(fmt.Sprintf("good-%d", i), strings.Join(good, ",")))
			}
			for i := range b.N {
				h.await(d, fmt.Sprintf("good-%d", i), "taken", func(p push.Progress) bool { return p.Counts.Accepted == devices })
			}
			b.ReportMetric(float64(b.N*devices)/b.Elapsed().Seconds(), "deliveries/s")
		})
	}
}

// served answers after a time.
func served(ctx context.Context, after time.Duration, err error) (push.Answer, error) {
	select {
	case <-time.After(after):
		return push.Answer{Stage: push.Accepted}, err
	case <-ctx.Done():
		return push.Answer{}, fault("p", push.ErrUnknown, 0)
	}
}
