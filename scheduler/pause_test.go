package scheduler

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/herald-push/herald/internal/redisstore"
	"github.com/herald-push/herald/push"
)

// fleet adds n devices and returns a campaign to all of them.
func (h *house) fleet(n int) *push.Notification {
	for i := range n {
		h.lives(fmt.Sprintf("phone-%05d", i), "apns")
	}
	c := note("c1", "")
	c.To, c.Class = push.Audience{All: true}, push.Marketing
	return c
}

func (h *house) sent() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.sends)
}

// heardOnce fails unless each of n devices heard exactly once.
func (h *house) heardOnce(n int) {
	h.t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	times := make(map[string]int)
	for _, s := range h.sends {
		times[s.device]++
	}
	for id, k := range times {
		if k != 1 {
			h.t.Errorf("%s heard %d times", id, k)
		}
	}
	if len(times) != n {
		h.t.Errorf("%d devices heard, want %d", len(times), n)
	}
}

func TestCampaignIsPausedAndResumed(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	c := h.fleet(3000)
	c.RatePerMinute = 60_000
	d := h.door()
	h.work()
	h.enqueue(d, c)
	h.await(d, "c1", "begun", func(p push.Progress) bool { return p.Counts.Accepted > 300 })
	p, err := d.Pause(t.Context(), "demo", "c1")
	if err != nil || p.State != push.Paused || p.Audience != 3000 {
		t.Fatalf("Pause() = %+v, %v; want it paused and an audience of 3,000", p, err)
	}
	still := h.settled()
	if still >= 3000 {
		t.Fatal("all were sent before the pause")
	}
	if p, err = d.Resume(t.Context(), "demo", "c1"); err != nil || p.State == push.Paused {
		t.Fatalf("Resume() = %+v, %v", p, err)
	}
	if p = h.awaitDone(d, "c1"); p.Counts.Accepted != 3000 || p.Counts.Deliveries != 3000 {
		t.Errorf("counts = %+v, want 3,000", p.Counts)
	}
	h.heardOnce(3000)
}

// settled waits until nothing is sent for a second, and returns how many were.
func (h *house) settled() int {
	h.t.Helper()
	last, since := h.sent(), time.Now()
	eventually(h.t, func() string {
		if n := h.sent(); n != last {
			last, since = n, time.Now()
		}
		if time.Since(since) < time.Second {
			return "something is still sent"
		}
		return ""
	})
	return last
}

// The worker of a paused campaign is killed in the middle, and another resumes.
func TestPausedCampaignSurvivesItsWorker(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	c := h.fleet(2000)
	c.To = push.Audience{Filter: `platform = "ios"`}
	c.RatePerMinute = 60_000
	d := h.door()
	_, stop := h.work()
	h.enqueue(d, c)
	h.await(d, "c1", "begun", func(p push.Progress) bool { return p.Counts.Accepted > 300 })
	if _, err := d.Pause(t.Context(), "demo", "c1"); err != nil {
		t.Fatal(err)
	}
	stop()
	for _, q := range queues { // what a kill -9 leaves: tasks that nobody holds
		h.orphan(q, time.Now().Add(time.Second))
	}
	if _, err := d.Resume(t.Context(), "demo", "c1"); err != nil {
		t.Fatal(err)
	}
	h.work()
	if p := h.awaitDone(d, "c1"); p.Counts.Accepted != 2000 || p.Counts.Deliveries != 2000 {
		t.Errorf("counts = %+v, want 2,000", p.Counts)
	}
	h.heardOnce(2000)
}

func TestWhatIsPausedCanBeTakenBackOrExpire(t *testing.T) {
	tests := map[string]struct {
		ttl  time.Duration
		end  func(h *house, d *Door) error
		want func(push.Counts) int
	}{
		"taken back": {time.Hour, func(h *house, d *Door) error {
			_, err := d.Cancel(h.t.Context(), "demo", "n1")
			return err
		}, func(c push.Counts) int { return c.Cancelled }},
		"expired": {2 * time.Second, func(*house, *Door) error { return nil }, func(c push.Counts) int { return c.Expired }},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			h.lives("a", "apns")
			h.lives("b", "apns")
			d := h.door()
			n := note("n1", "a,b")
			n.DeliverAt = time.Now().Add(time.Second)
			n.ExpiresAt = n.DeliverAt.Add(tt.ttl)
			h.enqueue(d, n)
			if p, err := d.Pause(t.Context(), "demo", "n1"); err != nil || p.State != push.Paused {
				t.Fatalf("Pause() = %+v, %v", p, err)
			}
			h.work()
			if err := tt.end(h, d); err != nil {
				t.Fatal(err)
			}
			h.await(d, "n1", "ended", func(p push.Progress) bool { return tt.want(p.Counts) == 2 })
			if h.sent() != 0 {
				t.Error("it was sent all the same")
			}
		})
	}
}

func TestPausedBeforeItsTimeGoesNoEarlierWhenResumed(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.lives("phone", "apns")
	d := h.door()
	n := note("n1", "phone")
	n.DeliverAt = time.Now().Add(2 * time.Second)
	h.enqueue(d, n)
	h.work()
	for _, change := range []func() (push.Progress, error){
		func() (push.Progress, error) { return d.Pause(t.Context(), "demo", "n1") },
		func() (push.Progress, error) { return d.Resume(t.Context(), "demo", "n1") },
	} {
		if _, err := change(); err != nil {
			t.Fatal(err)
		}
	}
	h.awaitDone(d, "n1")
	h.heardOnce(1)
	if early := n.DeliverAt.Sub(h.sends[0].at); early > 0 {
		t.Errorf("it was sent %v too early", early)
	}
}

func TestRateIsKeptByManyWorkers(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	c := h.fleet(400)
	c.RatePerMinute = 6000 // a hundred a second
	d := h.door()
	for range 3 {
		h.work()
	}
	began := time.Now()
	h.enqueue(d, c)
	h.awaitDone(d, "c1")
	h.heardOnce(400)
	slices.SortFunc(h.sends, func(a, b sent) int { return a.at.Compare(b.at) })
	for i, s := range h.sends {
		if most := int(s.at.Sub(began).Seconds()*100) + 1; i+1 > most {
			t.Fatalf("delivery %d began after %v, where the rate allows %d", i+1, s.at.Sub(began), most)
		}
	}
}

func TestNamedDevicesKeepARateToo(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	d := h.door()
	n := note("n1", "a,b,c,d")
	for _, id := range n.To.Devices {
		h.lives(id, "apns")
	}
	n.RatePerMinute = 120 // two a second
	h.work()
	began := time.Now() // not when the first came, which a busy machine may have held up
	if p := h.enqueue(d, n); p.State != push.Queued {
		t.Errorf("state = %s", p.State)
	}
	h.awaitDone(d, "n1")
	h.heardOnce(4)
	slices.SortFunc(h.sends, func(a, b sent) int { return a.at.Compare(b.at) })
	if got := h.sends[3].at.Sub(began); got < time.Second {
		t.Errorf("the fourth came %v after the start, want at least a second", got)
	}
}

func TestPaceGivesLostTimeUp(t *testing.T) {
	h := newHouse(t)
	w := NewWorker(h.cfg, h.parts())
	n := note("n1", "")
	n.RatePerMinute = 600 // a step of ten a second
	h.enqueue(h.door(), n)
	e := &expander{w, "bulk"}
	r := &redisstore.Record{Notification: n, Devices: 50, Pace: redisstore.Pace{At: time.Now().Add(-5500 * time.Millisecond), From: 0}}
	if _, early, err := e.pace(t.Context(), r); err != nil || early < 400*time.Millisecond || early > 500*time.Millisecond {
		t.Errorf("on time: %v early, %v; want half a second", early, err)
	}
	r.Pace.At = time.Now().Add(-7 * time.Second)
	if due, early, err := e.pace(t.Context(), r); err != nil || early != 0 || due < 20 || due > 25 {
		t.Errorf("a second behind: %d due, %v early, %v; want the second's ten and the step", due, early, err)
	}
	r.Pace.At = time.Now().Add(-time.Hour)
	if _, early, err := e.pace(t.Context(), r); err != nil || early < 900*time.Millisecond || r.Pace.From != 50 {
		t.Errorf("an hour behind: %v early, %v, from %d; want to begin anew", early, err, r.Pace.From)
	}
}
