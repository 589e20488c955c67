package scheduler

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/herald-push/herald/internal/redisstore"
	"github.com/herald-push/herald/push"
)

// The first request is written and its answer never comes.
func TestUnansweredMessageIsRepeatedOnlyWhereItIsSeenOnce(t *testing.T) {
	tests := map[string]struct {
		class push.Class
		dedup []string
		sends int
		story []string
	}{
		"the provider sees to it":                {push.Transactional, []string{"apns"}, 2, []string{"apns unknown unknown", "apns accepted"}},
		"nobody sees to it: proof is waited for": {push.Transactional, nil, 1, []string{"apns unknown unknown"}},
		"a code twice is better than none":       {push.OTP, nil, 2, []string{"apns unknown unknown", "apns accepted"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			h.dedup = tt.dedup
			h.lives("phone", "apns")
			h.answer = func(context.Context, string, *push.Delivery) (push.Answer, error) {
				if len(h.sentTo("phone")) == 1 {
					return push.Answer{}, fault("apns", push.ErrUnknown, 0)
				}
				return push.Answer{Stage: push.Accepted}, nil
			}
			n := note("n1", "phone")
			n.Class = tt.class
			d := h.door()
			h.enqueue(d, n)
			_, stop := h.work()
			if tt.sends > 1 {
				h.await(d, "n1", "accepted", func(p push.Progress) bool { return p.Counts.Accepted == 1 })
			} else {
				h.awaitDone(d, "n1")
			}
			stop()
			if got := len(h.sentTo("phone")); got != tt.sends {
				t.Errorf("it was sent %d times, want %d", got, tt.sends)
			}
			if got := h.story("n1.0.0"); !slices.Equal(got, tt.story) {
				t.Errorf("story = %v, want %v", got, tt.story)
			}
		})
	}
}

func TestUnansweredMessageIsNotRepeatedForEver(t *testing.T) {
	h := newHouse(t)
	h.dedup = []string{"apns"}
	h.lives("phone", "apns")
	h.answer = func(context.Context, string, *push.Delivery) (push.Answer, error) {
		return push.Answer{}, fault("apns", push.ErrUnknown, 0)
	}
	d, n := h.door(), note("n1", "phone")
	h.enqueue(d, n)
	_, stop := h.work()
	eventually(t, func() string {
		chunk := redisstore.Chunk{Notification: n, Number: 0}
		slots, err := redisstore.NewJournal(h.rdb).Read(t.Context(), []redisstore.Chunk{chunk}, [][]int{{0}})
		if err != nil || len(slots[0]) == 0 {
			return fmt.Sprint("no cell: ", err)
		}
		if c := slots[0][0].Cell; c.Attempt != 1+mostRepeats || c.Hold.Kind != redisstore.Free {
			return fmt.Sprintf("it is to go on: %+v", c)
		}
		return ""
	})
	stop()
	if got := len(h.sentTo("phone")); got != 1+mostRepeats {
		t.Errorf("it was sent %d times, want %d", got, 1+mostRepeats)
	}
}
