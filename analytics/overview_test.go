package analytics

import (
	"fmt"
	"testing"
	"time"

	"github.com/herald-push/herald/internal/clickhousetest"
	"github.com/herald-push/herald/push"
)

func TestStepsAreTheSameFromReceiptsAndRollup(t *testing.T) {
	store := openStore(t, clickhousetest.DSN(t))
	rs := world(5, 300)
	send(t, store, 5000, rs)
	// The rollup counts evidence that was written twice as two; the table of
	// receipts keeps one.
	written, kept := map[push.Stage]uint64{}, map[push.Stage]uint64{}
	seen := map[string]bool{}
	for _, r := range rs {
		written[r.Stage]++
		if id := fmt.Sprint(r.Delivery, r.Attempt, r.Stage); !seen[id] {
			seen[id] = true
			kept[r.Stage]++
		}
	}
	tests := map[string]struct {
		step time.Duration
		want map[push.Stage]uint64
	}{
		"from the receipts themselves": {15 * time.Second, kept},
		"from the rollup":              {10 * time.Minute, written},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			step, want := tt.step, tt.want
			steps, err := store.Steps(t.Context(), "demo", dawn, dawn.Add(4*time.Hour), step)
			if err != nil {
				t.Fatal(err)
			}
			var sum StepRow
			for _, s := range steps {
				if !s.Start.Equal(s.Start.Truncate(step)) {
					t.Errorf("step at %s is not a multiple of %v", s.Start, step)
				}
				if s.Delivered > 0 && (s.P50Ms <= 0 || s.P95Ms < s.P50Ms) {
					t.Errorf("latency %+v", s)
				}
				sum.Accepted += s.Accepted
				sum.Delivered += s.Delivered
				sum.Clicked += s.Clicked
				sum.Failed += s.Failed
			}
			if sum.Accepted != want[push.Accepted]+want[push.HandedOver] || sum.Delivered != want[push.Delivered] ||
				sum.Clicked != want[push.Clicked] || sum.Failed != want[push.Failed] {
				t.Errorf("sums %+v, want %v", sum, want)
			}
		})
	}
}

func TestRecentListsTheNewestWithTheirFunnels(t *testing.T) {
	store := openStore(t, clickhousetest.DSN(t))
	rs := world(6, 1000) // ten notifications
	send(t, store, 5000, rs)
	totals, err := store.Totals(t.Context(), "demo", dawn.Add(-time.Hour), dawn.Add(5*time.Hour))
	if err != nil || totals.Notifications != 10 || totals.P95Ms < totals.P50Ms || totals.CostMicros == 0 {
		t.Errorf("totals %+v, %v", totals, err)
	}
	recent, err := store.Recent(t.Context(), "demo", dawn.Add(-time.Hour), 4)
	if err != nil || len(recent) != 4 {
		t.Fatalf("%d recent, want 4: %v", len(recent), err)
	}
	for i, r := range recent {
		if i > 0 && r.AcceptedAt.After(recent[i-1].AcceptedAt) {
			t.Errorf("%s is newer than the one above", r.Notification)
		}
		if r.Deliveries != 100 || r.Class != "chat" || r.Accepted == 0 || r.Accepted > r.Deliveries {
			t.Errorf("recent %+v", r)
		}
	}
}
