package scheduler

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/herald-push/herald/internal/redisstore"
	"github.com/herald-push/herald/push"
)

func TestRepeatsAndConflicts(t *testing.T) {
	h := newHouse(t)
	d := h.door()
	first := note("n1", "phone")
	want := h.enqueue(d, first)

	again := note("n1", "phone")
	again.AcceptedAt = again.AcceptedAt.Add(time.Minute)
	if got := h.enqueue(d, again); got != want {
		t.Errorf("a repeat answers %+v, want the first answer %+v", got, want)
	}
	other := note("n1", "phone")
	other.Title = "Something else"
	if _, err := d.Enqueue(t.Context(), other, hashOf(other)); !errors.Is(err, push.ErrConflict) {
		t.Errorf("another body under the same id: %v, want a conflict", err)
	}
	if got := h.pending("default"); got != 1 {
		t.Errorf("%d tasks are queued, want 1", got)
	}
}

// The process died after the record was made and before the task was queued.
func TestRepeatQueuesWhatACrashLeftUnqueued(t *testing.T) {
	h := newHouse(t)
	h.lives("phone", "apns")
	d := h.door()
	n := note("n1", "phone")
	_, err := d.journal.Accept(t.Context(), []redisstore.Entry{{Notification: n, Hash: hashOf(n), Devices: 1}})
	if err != nil {
		t.Fatal(err)
	}
	h.enqueue(d, n)
	h.work()
	h.awaitDone(d, "n1")
}

func TestNotificationsAreCommittedTogether(t *testing.T) {
	h := newHouse(t)
	h.cfg.Window = 200 * time.Millisecond
	d := h.door()
	h.enqueue(d, note("first", "phone")) // alone: it waits for nobody
	began := time.Now()
	var group sync.WaitGroup
	for i := range 300 {
		group.Go(func() {
			n := note(fmt.Sprintf("n%d", i), "phone")
			if _, err := d.Enqueue(t.Context(), n, hashOf(n)); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if got := h.pending("default"); got < 3 || got > 5 {
		t.Errorf("301 notifications became %d tasks, want 3 to 5", got)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestUrgenciesAreQueuedApart(t *testing.T) {
	h := newHouse(t)
	d := h.door()
	for class, queue := range map[push.Class]string{
		push.OTP: "critical", push.Call: "critical", push.Chat: "default",
		push.Transactional: "default", push.Marketing: "bulk",
	} {
		before := h.pending(queue)
		n := note(string(class), "phone")
		n.Class = class
		h.enqueue(d, n)
		if got := h.pending(queue); got != before+1 {
			t.Errorf("%s did not go to %s", class, queue)
		}
	}
}

func TestEnqueueEndsWithItsCaller(t *testing.T) {
	h := newHouse(t)
	d := h.door()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	n := note("n1", "phone")
	if _, err := d.Enqueue(ctx, n, hashOf(n)); err != nil && !errors.Is(err, context.Canceled) {
		t.Errorf("Enqueue() = %v, want the caller's error", err)
	}
}

func TestPlanShowsTheRoads(t *testing.T) {
	h := newHouse(t)
	h.lives("a", "live", "apns")
	h.lives("b", "fcm", "sms")
	h.lives("c")
	h.connects["a"] = true
	n := note("n1", "a,b,c,unknown")
	n.Route.Roads = []string{"live", "auto", "sms"}
	p, err := h.door().Plan(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}
	if p.Devices != 4 || fmt.Sprint(p.Roads) != "[{ 2} {fcm 1} {live 1}]" {
		t.Errorf("plan is for %d devices by roads %v", p.Devices, p.Roads)
	}
	got := fmt.Sprint(p.Payloads)
	if !strings.Contains(got, "{apns 120 4096 ") || !strings.Contains(got, "too large") {
		t.Errorf("payloads = %v", got)
	}
	if s := p.Sample[1].Roads; s[0].Skipped == "" || s[1].Why != "fcm ranks 1" || !strings.Contains(s[2].Skipped, "policy") {
		t.Errorf("roads to b = %+v", s)
	}
	if h.pending("default") != 0 || len(h.sends) != 0 {
		t.Error("a plan sent something")
	}
}

func TestReadySaysWhatIsWrong(t *testing.T) {
	h := newHouse(t)
	h.cfg.Stuck = time.Millisecond
	d := h.door()
	if err := d.Ready(t.Context()); err != nil {
		t.Errorf("an empty queue: %v", err)
	}
	h.enqueue(d, note("n1", "phone"))
	eventually(t, func() string {
		if err := d.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "queue default does not drain") {
			return fmt.Sprintf("Ready() = %v though nobody works", err)
		}
		return ""
	})
	h.redis.Kill()
	if err := d.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), "Redis does not answer") {
		t.Errorf("Ready() without Redis = %v", err)
	}
}

func TestConfigNamesEveryFault(t *testing.T) {
	if err := DefaultConfig().Validate(); err != nil {
		t.Errorf("the default is not valid: %v", err)
	}
	bad := DefaultConfig()
	bad.Slots, bad.Attempt, bad.Lane.Most = 0, -1, 1
	err := bad.Validate()
	for _, key := range []string{"scheduler.slots", "scheduler.attempt", "scheduler.lane.most"} {
		if err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("%v does not name %s", err, key)
		}
	}
}

// pending counts the tasks of a queue that wait to be taken.
func (h *house) pending(queue string) int {
	h.t.Helper()
	n, err := h.rdb.LLen(h.t.Context(), "asynq:{"+queue+"}:pending").Result()
	if err != nil {
		h.t.Fatal(err)
	}
	return int(n)
}
