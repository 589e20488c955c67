package analytics

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/herald-push/herald/internal/clickhousetest"
	"github.com/herald-push/herald/push"
)

// decidedWorld is a log with a known truth: roads a and b deliver with 0.9 and
// 0.5, and a was taken with 0.25, b with 0.75.
func decidedWorld(n int) []push.Receipt {
	rng := rand.New(rand.NewPCG(4, 2))
	chance := map[string]float64{"a": 0.9, "b": 0.5}
	var rs []push.Receipt
	for i := range n {
		road, propensity := "b", 0.75
		if rng.Float64() < 0.25 {
			road, propensity = "a", 0.25
		}
		r := push.Receipt{
			App: "demo", Notification: "n", Delivery: push.DeliveryID("n", i/256, i%256), Device: "d", Class: push.Chat,
			Provider: road, Attempt: 1, Stage: push.Accepted, Source: push.VendorReply, Platform: "android", OS: "14.1", Country: "DE",
			At: dawn, ReceivedAt: dawn,
			Decision: &push.Decision{Policy: "auto", Propensity: propensity, Roads: []push.Candidate{
				{Provider: "a", Score: 0.8, Propensity: 0.25}, {Provider: "b", Score: 0.6, Propensity: 0.75},
			}},
		}
		rs = append(rs, r)
		if rng.Float64() < chance[road] {
			r.Stage, r.Source, r.Decision = push.Delivered, push.VendorCallback, nil
			r.ReceivedAt, r.SinceAccepted = dawn.Add(3*time.Second), 3*time.Second
			rs = append(rs, r)
		}
	}
	return rs
}

func TestReplayFindsTheTruthBehindALog(t *testing.T) {
	store := openStore(t, clickhousetest.DSN(t))
	if err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := store.write(t.Context(), "decided", decidedWorld(8000)); err != nil {
		t.Fatal(err)
	}
	from, to := dawn.Add(-time.Hour), dawn.Add(time.Hour)
	tests := map[string]struct {
		policy Replayed
		want   float64
	}{
		"what was done":          {Replayed{Name: "logged"}, 0.25*0.9 + 0.75*0.5},
		"always a":               {Replayed{Name: "order", Order: []string{"a", "b"}}, 0.9},
		"always b":               {Replayed{Name: "order", Order: []string{"b", "a"}}, 0.5},
		"the best by its scores": {Replayed{Name: "best"}, 0.9},
		"any of them":            {Replayed{Name: "random"}, 0.7},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := store.Replay(t.Context(), "demo", from, to, tt.policy)
			if err != nil {
				t.Fatal(err)
			}
			if got.Decisions != 8000 {
				t.Errorf("%d decisions, want 8000", got.Decisions)
			}
			for estimator, e := range map[string]Estimate{"ips": got.IPS, "snips": got.SNIPS, "dr": got.DR} {
				if math.Abs(e.Value-tt.want) > 0.03 || e.Low > tt.want+0.005 || e.High < tt.want-0.005 || e.High-e.Low > 0.1 {
					t.Errorf("%s = %.3f [%.3f, %.3f], want %.3f within", estimator, e.Value, e.Low, e.High, tt.want)
				}
			}
		})
	}
}

func TestRoadsAreWhatAMemoryIsRebuiltFrom(t *testing.T) {
	store := openStore(t, clickhousetest.DSN(t))
	if err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	rs := decidedWorld(1000)
	clicked := rs[len(rs)-1]
	clicked.Stage, clicked.Source, clicked.Provider, clicked.Delivery = push.Clicked, push.AppReport, "a", "other.0.0"
	if err := store.write(t.Context(), "roads", append(rs, clicked)); err != nil {
		t.Fatal(err)
	}
	got, err := store.Roads(t.Context(), dawn.Add(-time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	var tried, delivered, delays, clicks, received uint64
	for _, r := range got {
		tried += r.Tried
		delivered += r.Delivered
		delays += r.Delays[4]
		clicks += r.Clicked
		received += r.ClickedReceived
		if r.Tried > 0 && (r.OS != "14" || r.Country != "DE" || r.App != "demo") {
			t.Errorf("row %+v, want the devices' kind in it", r)
		}
	}
	if math.Abs(float64(tried)-1000) > 20 || delivered < 500 || delivered > 720 || math.Abs(float64(delays)-float64(delivered)) > 20 {
		t.Errorf("%d tried, %d delivered, %d of them within 4 s; want about 1000, 600, all", tried, delivered, delays)
	}
	if clicks != 1 || received != 0 {
		t.Errorf("%d clicked and %d of them received, want 1 and 0", clicks, received)
	}
}
