package scheduler

import (
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/herald-push/herald/internal/redisstore"
	"github.com/herald-push/herald/push"
)

func TestTimersAreReadAsTheyWereWritten(t *testing.T) {
	check := job{App: "shop", ID: "order-1", Chunk: 3}
	some := job{App: "shop", ID: "order:2", Chunk: 0, Indexes: []int{0, 7, 255}}
	got, err := dueWork([]string{
		dueText(taskCheck, 0, 0, check), dueText(taskDeliver, 2, 1, some), dueText(taskCheck, 0, 0, some), dueText(taskDeliver, 0, 1, check),
	})
	want := map[string][]*work{
		taskCheck: {{Jobs: []job{check, some}}},
		taskDeliver: {
			{Jobs: []job{some}, Try: 2, Parks: 1, Timed: true},
			{Jobs: []job{check}, Parks: 1, Timed: true},
		},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("dueWork() = %v, %v; want %v", got, err, want)
	}
	for _, bad := range []string{"", "1 c shop n 0", "1 x shop n 0 *", "1 c shop n zero *", "1 c shop n 0 1,", "1 dx shop n 0 *"} {
		if _, err := dueWork([]string{bad}); err == nil {
			t.Errorf("%q was read as a timer", bad)
		}
	}
}

// impatient is a picker that has learned how long silence is worth bearing.
type impatient struct {
	*house
	waits map[string]time.Duration
}

func (p impatient) Patience(provider string, _ *push.Device, _ *push.Notification, hasNext bool) time.Duration {
	if !hasNext {
		return 0
	}
	return p.waits[provider]
}

func TestWaitsAreLearned(t *testing.T) {
	tests := map[string]struct {
		said int // wait_seconds
		want time.Duration
	}{
		"the picker's where the caller says nothing": {0, 1500 * time.Millisecond},
		"the caller's goes before it":                {1, time.Second},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			h.lives("phone", "apns", "fcm")
			parts := h.parts()
			parts.Picker = impatient{h, map[string]time.Duration{"apns": 1500 * time.Millisecond}}
			d, n := h.door(), note("n1", "phone")
			n.Route.WaitSeconds = tt.said
			h.enqueue(d, n)
			w := NewWorker(h.cfg, parts)
			h.run(w)
			eventually(t, func() string {
				if got := h.sentTo("phone"); !slices.Equal(got, []string{"apns", "fcm"}) {
					return "sent through " + join(got)
				}
				return ""
			})
			if gap := h.sends[1].at.Sub(h.sends[0].at); gap < tt.want || gap > tt.want+5*time.Second {
				t.Errorf("the next road was taken after %v, want %v", gap, tt.want)
			}
		})
	}
}

// A worker dies with a fallback in hand: another takes it up.
func TestFallbackOfADeadWorkerIsTakenUp(t *testing.T) {
	h := newHouse(t)
	h.lives("phone", "apns", "fcm")
	d, n := h.door(), note("n1", "phone")
	n.Route.WaitSeconds = 1
	h.enqueue(d, n)
	_, stop := h.work()
	h.await(d, "n1", "accepted", func(p push.Progress) bool { return p.Counts.Accepted == 1 })
	stop()
	due := redisstore.NewDue(h.rdb)
	eventually(t, func() string {
		if _, ok, err := due.Take(t.Context(), "default", 1, 2*time.Second); !ok || err != nil {
			return "nothing is due"
		}
		return ""
	})
	h.work()
	eventually(t, func() string {
		if got := h.sentTo("phone"); !slices.Equal(got, []string{"apns", "fcm"}) {
			return "sent through " + join(got)
		}
		return ""
	})
}

func TestAChunkIsOneJobHoweverManyTimersNameIt(t *testing.T) {
	entry := func(kind string, chunk int, indexes ...int) string {
		return dueText(kind, 0, 0, job{"demo", "n1", chunk, indexes})
	}
	kinds, err := dueWork([]string{
		entry(taskCheck, 0, 1, 2), entry(taskCheck, 0, 2, 3), entry(taskCheck, 1, 4), entry(taskCheck, 1), entry(taskDeliver, 0, 5),
	})
	if err != nil {
		t.Fatal(err)
	}
	want := []job{{"demo", "n1", 0, []int{1, 2, 3}}, {"demo", "n1", 1, nil}}
	if got := kinds[taskCheck]; len(got) != 1 || !reflect.DeepEqual(got[0].Jobs, want) {
		t.Errorf("checks = %+v, want one with %+v", got, want)
	}
	if got := kinds[taskDeliver]; len(got) != 1 || len(got[0].Jobs) != 1 {
		t.Errorf("deliveries = %+v, want one job of their own", got)
	}
}
