package scheduler

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestWhoHandsInMuchStandsBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newShare(time.Now)
		time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(time.Second)))
		steps := []struct {
			after   time.Duration
			app     string
			urgency string
			devices int
			want    string
		}{
			{0, "flood", "default", muchDevices, "default"},
			{0, "small", "default", 1, "default"},
			{0, "flood", "default", 1, "default-behind"},
			{0, "flood", "critical", 1, "critical"},
			{0, "small", "default", 1, "default"},
			{time.Second, "flood", "default", 1, "default-behind"}, // it was much a second ago
			{time.Second, "flood", "default", 1, "default"},
			{3 * time.Second, "flood", "default", 1, "default"},
		}
		for i, step := range steps {
			time.Sleep(step.after)
			if got := s.row(step.app, step.urgency, step.devices); got != step.want {
				t.Errorf("step %d: %s stands in %s, want %s", i+1, step.app, got, step.want)
			}
		}
	})
}
