package scheduler

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/hibiken/asynq"

	"github.com/herald-push/herald/push"
)

func TestFallbackComesAfterRetriesToo(t *testing.T) {
	h := newHouse(t)
	h.lives("phone", "apns", "fcm")
	h.answer = func(context.Context, string, *push.Delivery) (push.Answer, error) {
		if len(h.sentTo("phone")) == 1 {
			return push.Answer{}, fault("apns", push.ErrUnavailable, 0)
		}
		return push.Answer{Stage: push.Accepted}, nil
	}
	n := note("n1", "phone")
	n.Route.WaitSeconds = 4
	d := h.door()
	h.enqueue(d, n)
	h.work()
	want := []string{"apns", "apns", "fcm"}
	eventually(t, func() string {
		if got := h.sentTo("phone"); !slices.Equal(got, want) {
			return "sent through " + join(got)
		}
		return ""
	})
}

func TestRetryGivesWayToTheNextRoadInTime(t *testing.T) {
	h := newHouse(t)
	h.lives("phone", "apns", "fcm")
	h.answer = func(_ context.Context, provider string, _ *push.Delivery) (push.Answer, error) {
		if provider == "apns" {
			return push.Answer{}, fault("apns", push.ErrThrottled, time.Hour)
		}
		return push.Answer{Stage: push.Accepted}, nil
	}
	d := h.door()
	h.enqueue(d, note("n1", "phone"))
	h.work()
	h.awaitDone(d, "n1")
	if got := h.sentTo("phone"); !slices.Equal(got, []string{"apns", "fcm"}) {
		t.Errorf("sent through %s", join(got))
	}
	// The lane is closed now: the next notification does not even ask.
	h.enqueue(d, note("n2", "phone"))
	h.awaitDone(d, "n2")
	if got := h.story("n2.0.0"); !slices.Equal(got, []string{"fcm accepted"}) {
		t.Errorf("receipts of the second = %q", got)
	}
}

func TestDeliveryWithoutAnotherRoadWaitsForItsLane(t *testing.T) {
	h := newHouse(t)
	h.lives("phone", "apns")
	h.answer = func(context.Context, string, *push.Delivery) (push.Answer, error) {
		if len(h.sentTo("phone")) == 1 {
			return push.Answer{}, fault("apns", push.ErrCredentials, 0)
		}
		return push.Answer{Stage: push.Accepted}, nil
	}
	d := h.door()
	w, _ := h.work()
	h.enqueue(d, note("n1", "phone"))
	h.awaitDone(d, "n1") // failed: the credentials are refused, and no road is left
	h.enqueue(d, note("n2", "phone"))
	h.await(d, "n2", "sending", func(p push.Progress) bool { return p.State == push.Sending })
	w.ReopenLane("demo", "apns")
	if p := h.awaitDone(d, "n2"); p.Counts.Accepted != 1 {
		t.Errorf("counts = %+v, want it accepted", p.Counts)
	}
}

func TestWhatNobodyFetchedExpires(t *testing.T) {
	h := newHouse(t)
	h.lives("phone", "live")
	n := note("n1", "phone")
	n.ExpiresAt = n.AcceptedAt.Add(1200 * time.Millisecond)
	d := h.door()
	h.enqueue(d, n)
	w, _ := h.work()
	if p := h.awaitDone(d, "n1"); p.Counts.Expired != 1 {
		t.Errorf("counts = %+v, want it expired", p.Counts)
	}
	eventually(t, func() string {
		if letters, _ := w.inbox.List(t.Context(), "demo", "phone"); len(letters) > 0 {
			return fmt.Sprintf("the inbox still has %v", letters)
		}
		return ""
	})
}

func TestDeliverAtIsKept(t *testing.T) {
	h := newHouse(t)
	h.lives("phone", "apns")
	n := note("n1", "phone")
	n.DeliverAt = n.AcceptedAt.Add(1300 * time.Millisecond)
	d := h.door()
	h.enqueue(d, n)
	h.work()
	h.awaitDone(d, "n1")
	if at := h.sends[0].at; at.Before(n.DeliverAt) {
		t.Errorf("sent %v too early", n.DeliverAt.Sub(at))
	}
}

func TestAudienceOfAUserIsLookedUp(t *testing.T) {
	tests := map[string]int{"nobody": 0, "a few devices": 3, "exactly a chunk": 256, "more than a chunk": 700}
	for name, devices := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			for i := range devices {
				h.lives(fmt.Sprintf("phone-%03d", i), "apns")
			}
			n := note("n1", "")
			n.To = push.Audience{User: "ada"}
			d := h.door()
			h.enqueue(d, n)
			h.work()
			if p := h.awaitDone(d, "n1"); p.Counts.Deliveries != devices || p.Counts.Accepted != devices {
				t.Errorf("counts = %+v, want %d", p.Counts, devices)
			}
		})
	}
}

func TestStoppedWorkerGivesItsTasksBack(t *testing.T) {
	h := newHouse(t)
	h.cfg.Grace = 100 * time.Millisecond
	h.lives("phone", "apns")
	h.answer = func(ctx context.Context, _ string, _ *push.Delivery) (push.Answer, error) {
		if len(h.sentTo("phone")) == 1 {
			<-ctx.Done()
			return push.Answer{}, fault("apns", push.ErrUnknown, 0)
		}
		return push.Answer{Stage: push.Accepted}, nil
	}
	d := h.door()
	h.enqueue(d, note("n1", "phone"))
	_, stop := h.work()
	eventually(t, func() string {
		if len(h.sentTo("phone")) == 0 {
			return "not tried yet"
		}
		return ""
	})
	stop()
	h.work()
	if p := h.awaitDone(d, "n1"); p.Counts.Accepted != 1 || p.Counts.Unknown != 0 {
		t.Errorf("counts = %+v, want it accepted", p.Counts)
	}
}

func TestTaskNobodyCanReadIsArchived(t *testing.T) {
	h := newHouse(t)
	client := asynq.NewClientFromRedisClient(h.rdb)
	for _, kind := range []string{taskBundle, taskExpand, taskDeliver, taskCheck} {
		if _, err := client.Enqueue(asynq.NewTask(kind, []byte("{")), asynq.Queue("bulk")); err != nil {
			t.Fatal(err)
		}
	}
	h.work()
	d := h.door()
	eventually(t, func() string {
		states, err := d.QueueStates()
		if err != nil || states[2].Archived != 4 {
			return fmt.Sprintf("queues = %+v, %v; want 4 archived in bulk", states, err)
		}
		return ""
	})
}
