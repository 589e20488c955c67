package scheduler

import (
	"context"
	"fmt"
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
