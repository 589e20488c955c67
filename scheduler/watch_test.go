package scheduler

import (
	"fmt"
	"testing"
	"time"

	"github.com/herald-push/herald/internal/redisstore"
	"github.com/herald-push/herald/push"
)

// awaitLane waits until the lane to a provider is as wanted, as the API shows it.
func (h *house) awaitLane(d *Door, provider, what string, is func(push.Lane) bool) push.Lane {
	h.t.Helper()
	var found push.Lane
	eventually(h.t, func() string {
		all, err := d.Lanes(h.t.Context(), "demo")
		if err != nil {
			return err.Error()
		}
		for _, l := range all {
			if found = l; l.Provider == provider && is(l) {
				return ""
			}
		}
		return fmt.Sprintf("no lane of %s is %s: %+v", provider, what, all)
	})
	return found
}

func TestOperatorSwitchesALaneOffOnAllWorkers(t *testing.T) {
	h := newHouse(t)
	h.lives("d1", "apns", "fcm")
	d := h.door()
	one, _ := h.work()
	two, stop := h.work()
	h.enqueue(d, note("first", "d1"))
	h.await(d, "first", "taken", func(p push.Progress) bool { return p.Counts.Accepted == 1 })
	if err := d.SwitchLane(t.Context(), "demo", "apns", "the vendor asked us to"); err != nil {
		t.Fatal(err)
	}
	h.awaitLane(d, "apns", "off", func(l push.Lane) bool { return l.State == push.LaneOff && l.Why == "the vendor asked us to" })
	// A lane that a worker has not used yet learns of it as it is made.
	eventually(t, func() string {
		for i, w := range []*Worker{one, two} {
			w.lanes.of(t.Context(), "demo", "apns")
			if w.LaneOpen("demo", "apns", push.OTP) {
				return fmt.Sprintf("on worker %d it is open", i+1)
			}
		}
		return ""
	})
	h.enqueue(d, note("second", "d1"))
	h.await(d, "second", "taken", func(p push.Progress) bool { return p.Counts.Accepted == 1 })
	if last := h.sends[len(h.sends)-1]; last.provider != "fcm" {
		t.Errorf("it went by %s, which is off", last.provider)
	}
	if l := h.awaitLane(d, "fcm", "used", func(l push.Lane) bool { return l.Workers > 0 }); l.State != push.LaneOpen {
		t.Errorf("another lane is %s", l.State)
	}

	stop()
	three, _ := h.work() // it stays off over restarts
	eventually(t, func() string {
		if three.lanes.of(t.Context(), "demo", "apns"); three.LaneOpen("demo", "apns", push.OTP) {
			return "on a new worker it is open"
		}
		return ""
	})
	if err := d.SwitchLane(t.Context(), "demo", "apns", ""); err != nil {
		t.Fatal(err)
	}
	eventually(t, func() string {
		if !one.LaneOpen("demo", "apns", push.OTP) || !three.LaneOpen("demo", "apns", push.OTP) {
			return "it is not on again"
		}
		return ""
	})
}

func TestWorkersShareADocumentedRate(t *testing.T) {
	h := newHouse(t)
	h.limits["apns"] = push.Limits{PerSecond: 1000}
	h.lives("d1", "apns")
	d := h.door()
	one, _ := h.work()
	h.enqueue(d, note("n0", "d1"))
	h.awaitLane(d, "apns", "bound by the whole rate", func(l push.Lane) bool { return l.Bound == 1000 })
	two, stop := h.work()
	busy := func(w *Worker) float64 { // keeps the lane in use
		l := w.lanes.of(t.Context(), "demo", "apns")
		if p, err := l.enter(t.Context(), push.OTP, 1); err == nil {
			l.leave(p, nil)
		}
		return l.state(redisstore.LaneName{}).Bound
	}
	eventually(t, func() string {
		if a, b := busy(one), busy(two); a != 500 || b != 500 {
			return fmt.Sprintf("the workers have %v and %v of 1000", a, b)
		}
		return ""
	})
	stop()
	eventually(t, func() string {
		if a := busy(one); a != 1000 {
			return fmt.Sprintf("the worker that is left has %v of 1000", a)
		}
		return ""
	})
}

func TestLanesOfSeveralWorkersAreOne(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	midnight := now.Add(4 * time.Hour)
	words := [][]push.Lane{
		{{
			App: "a", Provider: "oppo", State: push.LaneOpen, Workers: 1, InFlight: 3, Limit: 10, Waiting: 1, PerSecond: 50, Bound: 100,
			Quotas: []push.QuotaUse{{Name: "public", Limit: 1000, Used: 400, PerSecond: 0.5, RenewsAt: midnight}, {Name: "each", PerDevice: true, Limit: 2, Used: 5, Refused: 1, RenewsAt: midnight}},
		}},
		{{
			App: "a", Provider: "oppo", State: push.LaneClosed, Why: "it is down", Until: now.Add(time.Minute), Workers: 1, Closed: 1, Limit: 20, PerSecond: 10, Bound: 100,
			Quotas: []push.QuotaUse{{Name: "public", Limit: 1000, Used: 410, PerSecond: 0.5, RenewsAt: midnight}, {Name: "each", PerDevice: true, Limit: 2, Used: 7, Refused: 2, RenewsAt: midnight}},
		}},
	}
	off := map[redisstore.LaneName]push.LaneSwitch{{App: "a", Provider: "vivo"}: {Reason: "a test"}}
	got := merge(now, words, off)
	if len(got) != 2 || got[1].Provider != "vivo" || got[1].State != push.LaneOff || got[1].Why != "a test" {
		t.Fatalf("merge() = %+v, want oppo, and vivo that is off though nobody has used it", got)
	}
	l := got[0]
	if l.State != push.LaneClosed || l.Why != "it is down" || l.Workers != 2 || l.Closed != 1 {
		t.Errorf("it is %s on %d of %d: %q; want closed on 1 of 2", l.State, l.Closed, l.Workers, l.Why)
	}
	if l.InFlight != 3 || l.Limit != 30 || l.Waiting != 1 || l.PerSecond != 60 || l.Bound != 200 {
		t.Errorf("sums = %+v", l)
	}
	if q := l.Quotas[0]; q.Used != 410 || !q.EndsAt.Equal(now.Add(590*time.Second)) {
		t.Errorf("public: %d used, ends at %v; want 410, and in 590 s at one a second", q.Used, q.EndsAt)
	}
	if q := l.Quotas[1]; q.Used != 12 || q.Refused != 3 || !q.EndsAt.IsZero() {
		t.Errorf("each: %+v; want 12 used, 3 refused, no end", q)
	}
}
