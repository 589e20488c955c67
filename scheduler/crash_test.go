package scheduler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hibiken/asynq"

	"github.com/herald-push/herald/internal/redisstore"
	"github.com/herald-push/herald/push"
)

func task(t testing.TB, kind string, payload any) *asynq.Task {
	t.Helper()
	body, err := json.Marshal(payload)
	if err != nil {
		t.Fatal(err)
	}
	return asynq.NewTask(kind, body)
}

// A worker dies when 60 of 100 outcomes are recorded. Its task is handed over
// again, and only the other 40 devices hear a second time.
func TestRepeatedTaskResendsOnlyWhatHasNoOutcome(t *testing.T) {
	h := newHouse(t)
	n := note("n1", "")
	for i := range 100 {
		id := fmt.Sprintf("phone-%02d", i)
		h.lives(id, "apns")
		n.To.Devices = append(n.To.Devices, id)
	}
	n.To.Device = ""
	h.dieAmid(n, "apns", "phone-%02d", 60, 100)
}

// dieAmid has a worker die when the first taken of all devices of n have their
// outcome and the others' attempts are under way, and the queue hand the task
// over again: only the others are sent to once more.
func (h *house) dieAmid(n *push.Notification, provider, names string, taken, all int) {
	t := h.t
	t.Helper()
	from := fmt.Sprintf(names, taken)
	var dies atomic.Bool
	dies.Store(true)
	h.answer = func(ctx context.Context, _ string, d *push.Delivery) (push.Answer, error) {
		if dies.Load() && d.Device >= from {
			<-ctx.Done()
			return push.Answer{}, fault(provider, push.ErrUnknown, 0)
		}
		return push.Answer{Stage: push.Accepted}, nil
	}
	d := h.door()
	h.enqueue(d, n)
	w := NewWorker(h.cfg, h.parts())
	first := task(t, taskBundle, bundle{Refs: []redisstore.Ref{{App: "demo", ID: "n1"}}})
	ctx, die := context.WithCancel(t.Context())
	dead := make(chan error, 1)
	go func() { dead <- (&bundler{w, "default"}).ProcessTask(ctx, first) }()
	h.await(d, "n1", fmt.Sprint(taken, " accepted"), func(p push.Progress) bool { return p.Counts.Accepted == taken })
	die()
	if err := <-dead; err == nil {
		t.Fatal("the dying worker called its task done")
	}
	dies.Store(false)
	if err := (&bundler{w, "default"}).ProcessTask(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	if p := h.awaitDone(d, "n1"); p.Counts.Accepted != all {
		t.Errorf("counts = %+v, want %d accepted", p.Counts, all)
	}
	for i := range all {
		id, want := fmt.Sprintf(names, i), 1
		if i >= taken {
			want = 2
		}
		if got := len(h.sentTo(id)); got != want {
			t.Errorf("%s heard %d times, want %d", id, got, want)
		}
	}
	if len(h.receipts) != all {
		t.Errorf("%d receipts, want %d: a repeated attempt has the number of the first", len(h.receipts), all)
	}
}

func TestTaskLeavesAnothersClaimAlone(t *testing.T) {
	h := newHouse(t)
	h.lives("phone", "apns")
	d := h.door()
	h.enqueue(d, note("n1", "phone"))
	w := NewWorker(h.cfg, h.parts())
	hangs, released := make(chan struct{}), make(chan struct{})
	h.answer = func(context.Context, string, *push.Delivery) (push.Answer, error) {
		close(hangs)
		<-released
		return push.Answer{Stage: push.Accepted}, nil
	}
	first := make(chan error, 1)
	go func() {
		b := task(t, taskBundle, bundle{Refs: []redisstore.Ref{{App: "demo", ID: "n1"}}})
		first <- (&bundler{w, "default"}).ProcessTask(t.Context(), b)
	}()
	<-hangs
	for _, kind := range []string{taskDeliver, taskCheck} {
		parcels, err := w.open(t.Context(), "default", []job{{App: "demo", ID: "n1"}})
		if err != nil {
			t.Fatal(err)
		}
		room, err := w.takeRoom(t.Context(), "default", "demo", 1)
		if err != nil {
			t.Fatal(err)
		}
		r := &round{w: w, kind: kind, urgency: "default", owner: "another", now: time.Now(), parcels: parcels, room: room}
		if err := r.run(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	close(released)
	if err := <-first; err != nil {
		t.Fatal(err)
	}
	if got := len(h.sentTo("phone")); got != 1 {
		t.Errorf("the device heard %d times, want once", got)
	}
}

// The expansion of 10,000 devices is cut off halfway, the audience changes,
// and it is done again: every device that was there all the time hears once.
func TestExpansionIsDoneAgainFromWhereItStopped(t *testing.T) {
	h := newHouse(t)
	for i := range 10_000 {
		h.lives(fmt.Sprintf("phone-%05d", i), "apns")
	}
	n := note("n1", "")
	n.To = push.Audience{All: true}
	n.Class = push.Marketing
	d := h.door()
	h.enqueue(d, n)
	w := NewWorker(h.cfg, h.parts())
	ctx, die := context.WithCancel(t.Context())
	h.paged = func(after string) {
		if after > "phone-05" {
			die()
		}
	}
	first := task(t, taskExpand, redisstore.Ref{App: "demo", ID: "n1"})
	if err := (&expander{w, "bulk"}).ProcessTask(ctx, first); err == nil {
		t.Fatal("the expansion was not cut off")
	}
	h.paged = nil
	h.lives("phone-00000-new", "apns") // before the cursor: too late for this one
	h.work()
	p := h.awaitDone(d, "n1")
	if p.Counts.Deliveries != 10_000 || p.Counts.Accepted != 10_000 {
		t.Errorf("counts = %+v, want 10,000", p.Counts)
	}
	times := make(map[string]int)
	for _, s := range h.sends {
		times[s.device]++
	}
	for id, n := range times {
		if n != 1 {
			t.Errorf("%s heard %d times", id, n)
		}
	}
	if len(times) != 10_000 {
		t.Errorf("%d devices heard, want 10,000", len(times))
	}
}

func TestExpansionPausesWhileTheQueueIsLong(t *testing.T) {
	h := newHouse(t)
	h.cfg.Backlog = 3
	for i := range 6000 {
		h.lives(fmt.Sprintf("phone-%05d", i), "apns")
	}
	n := note("n1", "")
	n.To = push.Audience{Tag: "news"}
	d := h.door()
	h.enqueue(d, n)
	w := NewWorker(h.cfg, h.parts())
	expand := task(t, taskExpand, redisstore.Ref{App: "demo", ID: "n1"})
	if err := (&expander{w, "bulk"}).ProcessTask(t.Context(), expand); !errors.Is(err, errBacklog) {
		t.Fatalf("ProcessTask() = %v, want it put off", err)
	}
	states, err := d.QueueStates()
	if err != nil {
		t.Fatal(err)
	}
	if got := states[2].Pending; got < 3 || got > 3+pageSize/redisstore.ChunkSize {
		t.Errorf("%d tasks are pending, want about 3", got)
	}
	h.work()
	if p := h.awaitDone(d, "n1"); p.Counts.Accepted != 6000 {
		t.Errorf("counts = %+v, want 6,000 accepted", p.Counts)
	}
}

// Redis is killed under load and comes back with its file.
func TestNothingAcceptedIsLostWhenRedisRestarts(t *testing.T) {
	h := newHouse(t)
	h.lives("phone", "apns")
	d := h.door()
	h.work()
	var mu sync.Mutex
	var accepted []string
	var away atomic.Int64
	ctx, stop := context.WithCancel(t.Context())
	var group sync.WaitGroup
	for c := range 8 {
		group.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				n := note(fmt.Sprintf("n-%d-%d", c, i), "phone")
				_, err := d.Enqueue(ctx, n, hashOf(n))
				switch {
				case err == nil:
					mu.Lock()
					accepted = append(accepted, n.ID)
					mu.Unlock()
				case errors.Is(err, push.ErrAway):
					away.Add(1)
				case ctx.Err() == nil:
					t.Errorf("Enqueue() = %v, want ErrAway", err)
				}
			}
		})
	}
	count := func() int { mu.Lock(); defer mu.Unlock(); return len(accepted) }
	reach := func(what string, is func() bool) {
		eventually(t, func() string {
			if is() {
				return ""
			}
			return what
		})
	}
	reach("few were accepted", func() bool { return count() > 200 })
	h.redis.Kill()
	reach("Enqueue does not notice", func() bool { return away.Load() > 8 })
	h.redis.Restart()
	before := count()
	reach("few were accepted after the restart", func() bool { return count() > before+200 })
	stop()
	group.Wait()
	for _, id := range accepted {
		h.awaitDone(d, id)
	}
}

func TestOrphanIsPutBackAtTheSecondLook(t *testing.T) {
	h := newHouse(t)
	h.lives("phone", "apns")
	d := h.door()
	h.enqueue(d, note("n1", "phone"))
	id := h.orphan("default", time.Now().Add(30*time.Second))
	o := newOrphans(h.rdb)
	for look, want := range []int{0, 1, 0} {
		if n, err := o.look(t.Context()); n != want || err != nil {
			t.Fatalf("look %d found %d, %v; want %d", look+1, n, err, want)
		}
	}
	if got := h.rdb.HGet(t.Context(), "asynq:{default}:t:"+id, "state").Val(); got != "pending" {
		t.Errorf("the task is %s, want pending", got)
	}
	h.work()
	h.awaitDone(d, "n1")
}

// orphan takes a queue's next task as a worker does that dies at once.
func (h *house) orphan(queue string, lease time.Time) (id string) {
	h.t.Helper()
	prefix := "asynq:{" + queue + "}:"
	id, err := h.rdb.RPopLPush(h.t.Context(), prefix+"pending", prefix+"active").Result()
	if err != nil {
		return ""
	}
	h.rdb.HSet(h.t.Context(), prefix+"t:"+id, "state", "active")
	h.rdb.Do(h.t.Context(), "ZADD", prefix+"lease", lease.Unix(), id)
	return id
}

func TestReclaimHandsTasksOfTheDeadOver(t *testing.T) {
	h := newHouse(t)
	h.lives("phone", "apns")
	d := h.door()
	h.enqueue(d, note("n1", "phone"))
	h.orphan("default", time.Now().Add(30*time.Second))
	if err := Reclaim(t.Context(), h.rdb); err != nil {
		t.Fatal(err)
	}
	h.work()
	h.awaitDone(d, "n1")
}

// A worker dies in the middle of an attempt, and then the notification is taken
// back: nobody can say that it was taken back in time.
func TestWhatMayHaveLeftIsNotCalledCancelled(t *testing.T) {
	h := newHouse(t)
	h.lives("phone", "apns")
	hangs := make(chan struct{})
	h.answer = func(ctx context.Context, _ string, _ *push.Delivery) (push.Answer, error) {
		close(hangs)
		<-ctx.Done()
		return push.Answer{}, fault("apns", push.ErrUnknown, 0)
	}
	d := h.door()
	h.enqueue(d, note("n1", "phone"))
	w := NewWorker(h.cfg, h.parts())
	b := task(t, taskBundle, bundle{Refs: []redisstore.Ref{{App: "demo", ID: "n1"}}})
	ctx, die := context.WithCancel(t.Context())
	dead := make(chan error, 1)
	go func() { dead <- (&bundler{w, "default"}).ProcessTask(ctx, b) }()
	<-hangs
	die()
	<-dead
	if _, err := d.Cancel(t.Context(), "demo", "n1"); err != nil {
		t.Fatal(err)
	}
	if err := (&bundler{w, "default"}).ProcessTask(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	p, err := d.Progress(t.Context(), "demo", "n1")
	if err != nil || p.Counts.Unknown != 1 || p.Counts.Cancelled != 0 {
		t.Errorf("counts = %+v, %v; want 1 unknown", p.Counts, err)
	}
	if got := h.story("n1.0.0"); !slices.Equal(got, []string{"unknown"}) {
		t.Errorf("receipts = %q", got)
	}
}
