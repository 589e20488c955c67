package webhooks

import (
	"context"
	"encoding/json"
	"sync"
	"testing"
	"time"

	"github.com/herald-push/herald/push"
)

// sights are what a test says they are.
type sights struct {
	mu       sync.Mutex
	lanes    []push.Lane
	progress map[string]push.Progress
}

func (s *sights) Lanes(context.Context, string) ([]push.Lane, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]push.Lane(nil), s.lanes...), nil
}

func (s *sights) Progress(_ context.Context, _, id string) (push.Progress, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.progress[id]
	if !ok {
		return p, push.ErrNotFound
	}
	return p, nil
}

func TestAppsHearOnceOfEachChangeOfALane(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, house *house) {
		hooks := house.open()
		w, _ := house.create(hooks, "https://example.com/hook", func(w *push.Webhook) { w.Events = []string{push.EventLaneChanged} })
		s := &sights{}
		one, two := hooks.NewWatcher(s), house.open().NewWatcher(s)
		for _, state := range []push.LaneState{
			push.LaneOpen, push.LaneClosed, push.LaneProbing, push.LaneClosed, push.LaneOpen, push.LaneOff, push.LaneOpen, push.LaneClosed,
		} {
			s.lanes = []push.Lane{{App: "demo", Provider: "oppo", State: state, Why: "for a test"}}
			for _, watcher := range []*Watcher{one, two, one} {
				if err := watcher.lookAtLanes(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
		}
		if err := take(t, hooks); err != nil {
			t.Fatal(err)
		}
		var states []push.LaneState
		for _, d := range deliveries(t, hooks, w, push.WebhookQuery{}) {
			states = append([]push.LaneState{dataOf[laneData](t, d).State}, states...)
		}
		want := []push.LaneState{push.LaneClosed, push.LaneOpen, push.LaneOff, push.LaneOpen, push.LaneClosed}
		if len(states) != len(want) {
			t.Fatalf("the app is told of %v, want %v", states, want)
		}
		for i := range want {
			if states[i] != want[i] {
				t.Fatalf("the app is told of %v, want %v", states, want)
			}
		}
	})
}

func TestAppsHearOnceADayThatAQuotaIsNear(t *testing.T) {
	t.Parallel()
	house := sqlite(t)
	hooks := house.open()
	w, _ := house.create(hooks, "https://example.com/hook", func(w *push.Webhook) { w.Events = []string{push.EventQuotaNear} })
	s := &sights{}
	midnight := time.Now().Add(4 * time.Hour)
	for _, used := range []int64{10, 79, 80, 81, 99, 100, 120} {
		s.lanes = []push.Lane{{App: "demo", Provider: "oppo", State: push.LaneOpen, Quotas: []push.QuotaUse{
			{Name: "public", Limit: 100, Used: used, RenewsAt: midnight}, {Name: "each", PerDevice: true, Limit: 2, Used: 100, RenewsAt: midnight},
		}}}
		for range 2 { // the second is of a process that started just now
			if err := hooks.NewWatcher(s).lookAtLanes(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := take(t, hooks); err != nil {
		t.Fatal(err)
	}
	all := deliveries(t, hooks, w, push.WebhookQuery{})
	if len(all) != 2 {
		t.Fatalf("the app is told %d times, want 2", len(all))
	}
	for i, want := range []quotaData{{Used: 100, Part: 1}, {Used: 80, Part: 0.8}} {
		if got := dataOf[quotaData](t, all[i]); got.Used != want.Used || got.Part != want.Part || got.Quota != "public" {
			t.Errorf("the app is told of %+v, want %+v", got, want)
		}
	}
}

func TestAppsHearThatACampaignIsFinished(t *testing.T) {
	t.Parallel()
	both(t, func(t *testing.T, house *house) {
		hooks := house.open()
		w, _ := house.create(hooks, "https://example.com/hook", func(w *push.Webhook) { w.Events = []string{push.EventCampaignFinished} })
		s := &sights{progress: map[string]push.Progress{
			"sending": {ID: "sending", State: push.Sending}, "later": {ID: "later", State: push.Scheduled, DeliverAt: house.now().Add(time.Hour)},
			"done": {ID: "done", State: push.Done, Counts: push.Counts{Deliveries: 7}}, "back": {ID: "back", State: push.TakenBack},
		}}
		for _, id := range []string{"sending", "later", "done", "done", "back", "refused"} {
			if err := hooks.Watch(t.Context(), "demo", id); err != nil {
				t.Fatal(err)
			}
		}
		if err := hooks.Watch(t.Context(), "other", "x"); err != nil {
			t.Fatal(err)
		}
		watcher := hooks.NewWatcher(s)
		look := func(want ...string) {
			t.Helper()
			if err := watcher.lookAtCampaigns(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := take(t, hooks); err != nil {
				t.Fatal(err)
			}
			told := map[string]bool{}
			for _, d := range deliveries(t, hooks, w, push.WebhookQuery{}) {
				told[dataOf[push.Progress](t, d).ID] = true
			}
			for _, id := range want {
				if !told[id] {
					t.Errorf("the app is not told of %s", id)
				}
			}
			if len(told) != len(want) {
				t.Errorf("the app is told of %v, want %v", told, want)
			}
		}
		look("done", "back")
		s.progress["sending"] = push.Progress{ID: "sending", State: push.Done}
		house.advance(11 * time.Minute)
		look("done", "back", "sending")
		s.progress["later"] = push.Progress{ID: "later", State: push.Done}
		s.progress["refused"] = push.Progress{ID: "refused", State: push.Done} // another's, long after
		house.advance(time.Hour)
		look("done", "back", "sending", "later")
	})
}

// take writes what lies in the outbox into SQL.
func take(t *testing.T, hooks *Hooks) error {
	t.Helper()
	for {
		n, err := hooks.outbox.Len(t.Context())
		if n == 0 || err != nil {
			return err
		}
		ids, entries, err := hooks.outbox.Take(t.Context())
		if err == nil && len(entries) > 0 {
			err = hooks.take(t.Context(), ids, entries)
		}
		if err != nil {
			return err
		}
	}
}

func dataOf[T any](t *testing.T, d push.WebhookDelivery) T {
	t.Helper()
	var e struct{ Data T }
	if err := json.Unmarshal(d.Body, &e); err != nil {
		t.Fatal(err)
	}
	return e.Data
}
