package scheduler

import (
	"testing"
	"time"

	"github.com/herald-push/herald/internal/redisstore"
	"github.com/herald-push/herald/push"
)

func TestWhatARoundTakesInHand(t *testing.T) {
	now := time.UnixMilli(1_800_000_000_000)
	ago := func(d time.Duration) int64 { return now.Add(-d).UnixMilli() }
	tests := map[string]struct {
		kind  string
		cell  redisstore.Cell
		wants bool
		again bool // a look is to be taken again
	}{
		"fresh":                              {taskDeliver, redisstore.Cell{}, true, false},
		"fresh, at a look":                   {taskCheck, redisstore.Cell{}, false, false},
		"claimed by this task":               {taskDeliver, redisstore.Cell{Hold: redisstore.Hold{Kind: redisstore.Claimed, Owner: "me", At: ago(time.Second)}}, true, false},
		"claimed by another task":            {taskDeliver, redisstore.Cell{Hold: redisstore.Hold{Kind: redisstore.Claimed, Owner: "you", At: ago(time.Second)}}, false, true},
		"claimed by another task, at a look": {taskCheck, redisstore.Cell{Hold: redisstore.Hold{Kind: redisstore.Claimed, Owner: "you", At: ago(time.Second)}}, false, true},
		"claimed by a task long dead":        {taskCheck, redisstore.Cell{Hold: redisstore.Hold{Kind: redisstore.Claimed, Owner: "you", At: ago(time.Hour)}}, true, false},
		"its retry is due":                   {taskDeliver, redisstore.Cell{Hold: redisstore.Hold{Kind: redisstore.Retry, Provider: "fcm", At: ago(0)}}, true, false},
		"its retry is due, at a look":        {taskCheck, redisstore.Cell{Hold: redisstore.Hold{Kind: redisstore.Retry, Provider: "fcm", At: ago(0)}}, false, true},
		"nobody came for its retry":          {taskCheck, redisstore.Cell{Hold: redisstore.Hold{Kind: redisstore.Retry, Provider: "fcm", At: ago(time.Minute)}}, true, false},
		"held by a rule":                     {taskCheck, redisstore.Cell{Hold: redisstore.Hold{Kind: redisstore.Retry, At: ago(time.Minute)}}, false, false},
		"failed":                             {taskDeliver, redisstore.Cell{Stage: push.Failed}, false, false},
		"delivered":                          {taskCheck, redisstore.Cell{Stage: push.Delivered, Attempt: 1}, false, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			p := &parcel{n: &push.Notification{Class: push.Transactional, ExpiresAt: now.Add(time.Hour)}}
			r := &round{kind: tt.kind, owner: "me", now: now}
			if got := r.wants(p, 0, &tt.cell); got != tt.wants {
				t.Errorf("wants = %v, want %v", got, tt.wants)
			}
			if again := len(p.undecided) > 0; again != tt.again {
				t.Errorf("looks again = %v, want %v", again, tt.again)
			}
		})
	}
}
