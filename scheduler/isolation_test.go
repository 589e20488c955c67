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
	h.cfg.Attempt = 5 * time.Second
	h.lives("bad", "apns")
	h.lives("good", "fcm")
	h.answer = func(ctx context.Context, provider string, _ *push.Delivery) (push.Answer, error) {
		if provider == "apns" {
			<-ctx.Done()
			return push.Answer{}, fault("apns", push.ErrUnknown, 0)
		}
		return push.Answer{Stage: push.Accepted}, nil
	}
	d := h.door()
	w, _ := h.work()
	began := time.Now()
	for i := range 200 {
		h.enqueue(d, note(fmt.Sprintf("bad-%d", i), "bad"))
		h.enqueue(d, note(fmt.Sprintf("good-%d", i), "good"))
	}
	for i := range 200 {
		h.awaitDone(d, fmt.Sprintf("good-%d", i))
	}
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("the good vendor's deliveries took %v", took)
	}
	eventually(t, func() string {
		for _, s := range w.Lanes() {
			if s.Provider == "apns" && s.Why != "" {
				return ""
			}
		}
		return "the hanging lane is open"
	})
}
