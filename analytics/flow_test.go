package analytics

import (
	"fmt"
	"testing"
	"time"

	"github.com/herald-push/herald/internal/clickhousetest"
	"github.com/herald-push/herald/push"
)

func TestFlowIsTheSameFromEveryTable(t *testing.T) {
	store := openStore(t, clickhousetest.DSN(t))
	rs := world(5, 300)
	send(t, store, 5000, rs)
	// Sums count evidence that was written twice as two; receipts keep one, once
	// they are merged.
	written, kept := map[push.Stage]uint64{}, map[push.Stage]uint64{}
	seen := map[string]bool{}
	for _, r := range rs {
		written[r.Stage]++
		if id := fmt.Sprint(r.Delivery, r.Attempt, r.Stage); !seen[id] {
			seen[id] = true
			kept[r.Stage]++
		}
	}
	whole := Lens{App: "demo", From: dawn, To: dawn.Add(4 * time.Hour)}
	group := whole
	group.Platform = "android" // everybody here
	stranger := whole
	stranger.App = "other"
	tests := map[string]struct {
		lens        Lens
		step        time.Duration
		least, most map[push.Stage]uint64
	}{
		"sums of minutes":     {whole, 10 * time.Minute, written, written},
		"sums of hours":       {whole, 2 * time.Hour, written, written},
		"receipts of a group": {group, 10 * time.Minute, kept, written},
		"another app":         {stranger, time.Hour, nil, nil},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			steps, err := store.Flow(t.Context(), tt.lens, tt.step)
			if err != nil {
				t.Fatal(err)
			}
			sum := map[push.Stage]uint64{}
			for _, s := range steps {
				if !s.Start.Equal(s.Start.Truncate(tt.step)) {
					t.Errorf("step at %s is not a multiple of %v", s.Start, tt.step)
				}
				if s.Delivered > 0 && (s.P50Ms <= 0 || s.P95Ms < s.P50Ms) {
					t.Errorf("times of %+v", s)
				}
				sum[push.Accepted] += s.Accepted // with handed over
				sum[push.Delivered] += s.Delivered
				sum[push.Displayed] += s.Displayed
				sum[push.Clicked] += s.Clicked
				sum[push.Failed] += s.Failed
			}
			for stage, n := range sum {
				least, most := tt.least[stage], tt.most[stage]
				if stage == push.Accepted {
					least, most = least+tt.least[push.HandedOver], most+tt.most[push.HandedOver]
				}
				if n < least || n > most {
					t.Errorf("%d %s, want %d to %d", n, stage, least, most)
				}
			}
			kinds, err := store.Kinds(t.Context(), tt.lens, tt.step)
			failed := uint64(0)
			for _, k := range kinds {
				failed += k.Receipts
			}
			if err != nil || failed < tt.least[push.Failed] || failed > tt.most[push.Failed] {
				t.Errorf("%d failures by kind, %v; want %d to %d", failed, err, tt.least[push.Failed], tt.most[push.Failed])
			}
		})
	}
}

// Of a large window every question is asked of a sample, and what it counts there
// stands for all.
func TestLargeWindowsAreReadFromASample(t *testing.T) {
	store := openStore(t, clickhousetest.DSN(t))
	config := smallSeed()
	config.Events, config.Batch = 60_000, 20_000
	if err := store.Seed(t.Context(), config, 1, func(int) {}); err != nil {
		t.Fatal(err)
	}
	l := Lens{App: config.App, From: config.Until.AddDate(0, 0, -config.Days), To: config.Until}
	exact, err := store.ByClass(t.Context(), l)
	if err != nil || len(exact) == 0 {
		t.Fatalf("exactly: %+v, %v", exact, err)
	}
	whole := exact[len(exact)-1]
	tests := map[string]struct {
		few   uint64
		scale uint64
		off   float64 // by how much a number of all may differ
	}{
		"one in 16":   {10_000, 16, 0.2},
		"one in 128":  {600, 128, 0.4},
		"one in 8192": {1, 8192, 8}, // perhaps nothing
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			few := *store
			few.large, few.few = 1000, tt.few
			if basis, err := few.Basis(t.Context(), l); err != nil || basis.Scale != tt.scale {
				t.Fatalf("basis %+v, %v; want %d", basis, err, tt.scale)
			}
			classes, err := few.ByClass(t.Context(), l)
			var all ClassRow
			if len(classes) > 0 {
				all = classes[len(classes)-1]
			}
			for what, n := range map[string][2]uint64{
				"deliveries": {all.Deliveries, whole.Deliveries}, "delivered": {all.Delivered, whole.Delivered}, "notifications": {all.Notifications, whole.Notifications},
			} {
				if off := float64(n[0])/float64(n[1]) - 1; err != nil || off < -tt.off || off > tt.off {
					t.Errorf("%d %s of %d, %v", n[0], what, n[1], err)
				}
			}
			if _, err := few.Bench(t.Context(), config.App, config.Until, config.Days, 1); err != nil {
				t.Error(err)
			}
		})
	}
}
