package scheduler

import (
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/hibiken/asynq"

	"github.com/herald-push/herald/internal/redisstore"
	"github.com/herald-push/herald/push"
)

// givenUp puts a task of an app into the archive, as forty failed runs would.
func (h *house) givenUp(d *Door, app, id string) {
	h.t.Helper()
	w := work{Jobs: []job{{App: app, ID: id, Chunk: 0, Indexes: []int{0, 2}}}}
	if err := d.tasks.put(h.t.Context(), taskDeliver, "default", "t-"+id, w, time.Time{}); err != nil {
		h.t.Fatal(err)
	}
	if err := asynq.NewInspectorFromRedisClient(h.rdb).ArchiveTask("default", "t-"+id); err != nil {
		h.t.Fatal(err)
	}
}

func TestWhatWasGivenUpIsSeenRunAndDropped(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	d := h.door()
	for _, id := range []string{"n1", "n2", "n3"} {
		h.givenUp(d, "demo", id)
	}
	h.givenUp(d, "other", "n4")
	ctx := t.Context()
	archived := func() []push.QueueTask {
		t.Helper()
		all, err := d.Tasks(ctx, "demo", "", "archived", 10)
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	if all := archived(); len(all) != 3 || all[0].Queue != "default" || all[0].Kind != taskDeliver || all[0].Size != 2 || all[0].State != "archived" {
		t.Fatalf("archive of demo: %+v, want its three", all)
	}
	one, err := d.Task(ctx, "demo", "default", "t-n1")
	var carried work
	if err != nil || json.Unmarshal(one.Payload, &carried) != nil || carried.Jobs[0].ID != "n1" {
		t.Errorf("one task: %+v, %v", one, err)
	}
	if err := d.RunTask(ctx, "demo", "default", "t-n1"); err != nil {
		t.Errorf("RunTask: %v", err)
	}
	if pending, err := d.Tasks(ctx, "demo", "default", "pending", 10); err != nil || len(pending) != 1 || pending[0].ID != "t-n1" {
		t.Errorf("pending after a retry: %+v, %v", pending, err)
	}
	if err := d.DropTask(ctx, "demo", "default", "t-n2"); err != nil || len(archived()) != 1 {
		t.Errorf("DropTask: %v, left %+v", err, archived())
	}
	for name, err := range map[string]error{
		"another app's":   d.RunTask(ctx, "demo", "default", "t-n4"),
		"another queue's": d.DropTask(ctx, "demo", "bulk", "t-n3"),
		"one that is not": d.DropTask(ctx, "demo", "default", "nothing"),
		"twice":           d.RunTask(ctx, "demo", "default", "t-n1"),
	} {
		if !errors.Is(err, push.ErrNotFound) {
			t.Errorf("%s: %v, want ErrNotFound", name, err)
		}
	}
	if _, err := d.Tasks(ctx, "demo", "", "lost", 1); !errors.Is(err, push.ErrNotFound) {
		t.Errorf("a state that is none: %v", err)
	}
	states, err := d.QueueStates()
	if err != nil || states[1].Archived != 2 || states[1].Pending != 1 {
		t.Errorf("QueueStates: %+v, %v", states, err)
	}
}

func TestFlowIsMeasuredOverSeconds(t *testing.T) {
	t.Parallel()
	var f flow
	at := time.Unix(1e9, 0)
	for i, step := range []struct {
		after time.Duration
		total int
		want  float64
	}{{0, 100, 0}, {time.Second, 150, 0}, {2 * time.Second, 300, 100}, {3 * time.Second, 900, 100}, {6 * time.Second, 700, 100}, {200 * time.Second, 900, 0}, {202 * time.Second, 880, 0}} {
		if got := f.rate("q", step.total, at.Add(step.after)); got != step.want {
			t.Errorf("step %d: %v a second, want %v", i, got, step.want)
		}
	}
}

func TestARateIsChangedUnderWay(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	c := h.fleet(2000)
	c.RatePerMinute = 60 // it would take half an hour
	d := h.door()
	h.work()
	h.enqueue(d, c)
	h.await(d, "c1", "begun", func(p push.Progress) bool { return p.Counts.Accepted > 0 })
	if _, err := d.SetRate(t.Context(), "demo", "c1", 600_000); err != nil {
		t.Fatal(err)
	}
	h.awaitDone(d, "c1")
	h.heardOnce(2000)
	if _, err := d.SetRate(t.Context(), "demo", "nothing", 1); !errors.Is(err, push.ErrNotFound) {
		t.Errorf("a notification that is not there: %v", err)
	}
}

func TestCampaignsAreFoundByTime(t *testing.T) {
	t.Parallel()
	h := newHouse(t)
	h.lives("phone-1", "apns")
	d := h.door()
	begun := time.Now().Truncate(time.Second)
	for i := range 3 {
		c := note(fmt.Sprintf("c%d", i), "")
		c.To, c.Class, c.AcceptedAt = push.Audience{All: true}, push.Marketing, begun.Add(time.Duration(i)*time.Second)
		h.enqueue(d, c)
	}
	h.enqueue(d, note("single", "phone-1"))
	later := note("later", "phone-1")
	later.AcceptedAt, later.DeliverAt = begun.Add(-time.Minute), begun.Add(time.Hour)
	h.enqueue(d, later)
	names := func(all []redisstore.Noted, err error) (ids string) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range all {
			ids += n.ID + " "
		}
		return ids
	}
	if got := names(d.Campaigns(t.Context(), "demo", begun.Add(-time.Hour), begun.Add(time.Hour), 10)); got != "c2 c1 c0 later " {
		t.Errorf("all: %q", got)
	}
	if got := names(d.Campaigns(t.Context(), "demo", begun, begun.Add(time.Second), 1)); got != "c1 " {
		t.Errorf("a window and a limit: %q", got)
	}
}
