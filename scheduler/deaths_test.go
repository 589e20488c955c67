package scheduler

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald/push"
)

// fates counts what became of dead addresses.
func (n *neighbours) fates() map[push.Fate]int {
	n.mu.Lock()
	defer n.mu.Unlock()
	counts := make(map[push.Fate]int)
	for _, d := range n.deaths {
		counts[d.Fate]++
	}
	return counts
}

// All of an app's tokens are refused: it speaks to the wrong environment. None
// is forgotten, the lane closes and says why, and the next road is taken.
func TestMassDeathIsAWrongEnvironment(t *testing.T) {
	h := newHouse(t)
	h.together = map[string]int{"huawei": 1000}
	h.answer = func(_ context.Context, provider string, _ *push.Delivery) (push.Answer, error) {
		if provider == "huawei" {
			return push.Answer{}, &push.Error{Provider: provider, Kind: push.ErrUnregistered, Code: "80300007"}
		}
		return push.Answer{Stage: push.Accepted}, nil
	}
	d := h.door()
	w, stop := h.work()
	h.enqueue(d, h.crowd("n1", 256, "huawei", "fcm"))
	h.await(d, "n1", "256 accepted", func(p push.Progress) bool { return p.Counts.Accepted == 256 })
	stop()
	if len(h.forgot) != 0 {
		t.Errorf("%d addresses are forgotten, want none", len(h.forgot))
	}
	if got := h.fates(); got[push.Suspected] != 256 {
		t.Errorf("fates = %v, want 256 kept", got)
	}
	lane := laneOf(t, w, "huawei")
	if lane.State != push.LaneClosed || !strings.Contains(lane.Why, "256 of the last 256 addresses are dead") {
		t.Errorf("lane = %+v, want it closed for that", lane)
	}
	w.ReopenLane("demo", "huawei")
	if lane := laneOf(t, w, "huawei"); lane.State != push.LaneOpen || !w.deaths.believes("demo", "huawei") {
		t.Errorf("lane = %+v, want it open again, and deaths believed", lane)
	}
}

func laneOf(t *testing.T, w *Worker, provider string) push.Lane {
	t.Helper()
	all := w.OwnLanes()
	i := slices.IndexFunc(all, func(l push.Lane) bool { return l.Provider == provider })
	if i < 0 {
		t.Fatalf("there is no lane to %s among %+v", provider, all)
	}
	return all[i]
}

func TestDeviceThatCameBackKeepsItsAddress(t *testing.T) {
	h := newHouse(t)
	h.lives("phone", "apns", "fcm")
	h.answer = func(_ context.Context, provider string, _ *push.Delivery) (push.Answer, error) {
		if provider == "apns" {
			return push.Answer{}, &push.Error{Provider: provider, Kind: push.ErrUnregistered, Code: "410", Since: time.Now().Add(-time.Hour)}
		}
		return push.Answer{Stage: push.Accepted}, nil
	}
	d := h.door()
	_, stop := h.work()
	h.enqueue(d, note("n1", "phone"))
	h.await(d, "n1", "accepted", func(p push.Progress) bool { return p.Counts.Accepted == 1 })
	stop()
	if len(h.forgot) != 0 || len(h.deaths) != 1 || h.deaths[0].Fate != push.Renewed || h.deaths[0].Code != "410" {
		t.Errorf("forgot %v, deaths %+v, want one that was renewed", h.forgot, h.deaths)
	}
}

// A vendor's report ends in the same event as its answer.
func TestReportedDeathIsTheSameEvent(t *testing.T) {
	h := newHouse(t)
	h.lives("phone", "xiaomi")
	d := h.door()
	_, stop := h.work()
	h.enqueue(d, note("n1", "phone"))
	h.awaitDone(d, "n1")
	stop()
	report := push.Receipt{
		App: "demo", Delivery: "n1.0.0", Provider: "xiaomi", Stage: push.Failed, Source: push.VendorCallback,
		Kind: "unregistered", Code: "callback_16", At: time.Now().Add(time.Second),
	}
	if errs := d.Receive(t.Context(), []push.Receipt{report}); errs[0] != nil {
		t.Fatal(errs[0])
	}
	want := push.Death{
		App: "demo", Device: "phone", Address: push.Address{Provider: "xiaomi", Token: "xiaomi-phone"}, Source: push.VendorCallback,
		Code: "callback_16", Since: report.At, Fate: push.Forgotten, Delivery: "n1.0.0",
	}
	if len(h.deaths) != 1 || h.deaths[0] != want || !slices.Equal(h.forgot, []string{"phone at xiaomi"}) {
		t.Errorf("deaths = %+v, forgot %v", h.deaths, h.forgot)
	}
	report.At = time.Now().Add(-time.Hour) // older than the registration
	d.Receive(t.Context(), []push.Receipt{report})
	if got := h.fates(); got[push.Renewed] != 1 || len(h.forgot) != 1 {
		t.Errorf("fates = %v, forgot %v, want the second kept", got, h.forgot)
	}
}

func TestDeathsAreBelievedWhileMostLive(t *testing.T) {
	type step struct {
		lives, dead int
		alarm       bool
		believes    bool
	}
	tests := map[string][]step{
		"a few":                          {{0, 4, false, true}},
		"a few more than live":           {{0, 5, false, false}, {5, 0, false, true}},
		"some of many":                   {{250, 6, false, true}},
		"most of many":                   {{10, 30, true, false}, {0, 1, true, false}},
		"they live again":                {{0, 30, true, false}, {31, 0, false, true}},
		"not enough live":                {{0, 30, true, false}, {20, 0, false, false}},
		"no news of any":                 {{0, 0, false, true}},
		"many that died one by one":      slices.Concat(slices.Repeat([]step{{0, 1, false, true}}, 4), slices.Repeat([]step{{0, 1, false, false}}, 15), []step{{0, 1, true, false}}),
		"all at once, after a busy hour": {{5000, 0, false, true}, {0, 256, true, false}},
		"some, after a busy hour":        {{5000, 0, false, true}, {200, 56, false, true}},
		"half of them is no verdict":     {{50, 50, false, true}},
	}
	for name, steps := range tests {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t)
			d := newDeaths(h.parts())
			for i, s := range steps {
				if alarm := d.count(t.Context(), "demo", "apns", s.lives, s.dead); (alarm != "") != s.alarm {
					t.Errorf("step %d: alarm %q, want one: %v", i+1, alarm, s.alarm)
				}
				if got := d.believes("demo", "apns"); got != s.believes {
					t.Errorf("step %d: believes = %v", i+1, got)
				}
				if !d.believes("other", "apns") {
					t.Error("another app's addresses are suspected too")
				}
			}
		})
	}
}

func TestAlarmOutlivesItsWindow(t *testing.T) {
	h := newHouse(t)
	d := newDeaths(h.parts())
	now := time.Now()
	d.now = func() time.Time { return now }
	d.count(t.Context(), "demo", "apns", 0, 100)
	now = now.Add(deathWindow + time.Second)
	if d.believes("demo", "apns") {
		t.Error("a new window forgets the alarm")
	}
	if why := d.count(t.Context(), "demo", "apns", 0, 1); why == "" {
		t.Error("the probe found a dead address again, and the lane opens")
	}
	if why := d.count(t.Context(), "demo", "apns", 2, 0); why != "" || !d.believes("demo", "apns") {
		t.Error("the share has fallen, and the alarm stays")
	}
}
