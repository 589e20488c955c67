package sim

import (
	"math"
	"testing"
)

// small is a world of few devices that get many messages, so that the outages of
// its days show.
func small(seed uint64) Config {
	return Config{Seed: seed, Devices: 500, Days: 0.3, PerDay: 300}
}

func TestTheSelectorThatShipsBeatsTheRules(t *testing.T) {
	t.Parallel()
	w := New(small(5))
	policies := []Named{
		{"random", &random{rng: w.rng}},
		{"oracle", oracle{}},
		{"fair oracle", fairOracle{}},
		{"vendor rule", vendorRule{}},
		{"rate per segment", newRates(w, segmentWindow)},
		{"herald", Ours(w)},
	}
	rows := map[string]Row{}
	for _, r := range Compare(w.Run(policies, nil)) {
		rows[r.Policy] = r
		t.Logf("%-18s %.1f %% share %.3f, lost %.0f, 1/(K p) %.3f", r.Policy, 100*r.OnTime, r.Share, r.Lost, r.InversePK)
	}
	ours := rows["herald"]
	for _, other := range []string{"random", "vendor rule", "rate per segment"} {
		if ours.OnTime <= rows[other].OnTime {
			t.Errorf("%.1f %% arrive in time, and %.1f %% by %s", 100*ours.OnTime, 100*rows[other].OnTime, other)
		}
	}
	if ours.OnTime > rows["oracle"].OnTime {
		t.Errorf("%.3f arrive in time, which is more than the oracle's %.3f: the world leaks", ours.OnTime, rows["oracle"].OnTime)
	}
	if ours.LostVendor > 0.9 {
		t.Errorf("outages cost %.0f %% of what they cost the vendor rule, want much less", 100*ours.LostVendor)
	}
	if ours.InversePK < 0.8 || ours.InversePK > 1.2 {
		t.Errorf("the mean of 1/(K propensity) is %.3f, want about 1: the propensities are not true", ours.InversePK)
	}
}

func TestTheSameSeedIsTheSameWorld(t *testing.T) {
	t.Parallel()
	cfg := Config{Seed: 9, Devices: 200, Days: 0.05, PerDay: 200}
	total := func() float64 {
		w := New(cfg)
		return w.Run([]Named{{"herald", Ours(w)}}, nil)[0].OnTime
	}
	if a, b := total(), total(); a != b {
		t.Errorf("two runs of one seed delivered %v and %v", a, b)
	}
}

// The reference's own table has these figures; policies that learn nothing reach
// them in a small world too.
func TestTheWorldTreatsSimpleRulesAsTheReferenceDoes(t *testing.T) {
	t.Parallel()
	const worlds = 3
	var rows [5]Row
	for seed := range uint64(worlds) {
		cfg := DefaultConfig(seed + 1)
		cfg.Devices, cfg.Days = 1200, 1.5
		w := New(cfg)
		for i, r := range Compare(w.Run(All(w)[:5], nil)) {
			rows[i].Policy = r.Policy
			rows[i].OnTime += r.OnTime / worlds
			rows[i].Share += r.Share / worlds
		}
	}
	for i, want := range []struct{ onTime, share, within float64 }{
		{onTime: 0.528, share: 0.00, within: 0.03},
		{onTime: 0.736, share: 1.00, within: 0.03},
		{onTime: 0.729, share: 0.97, within: 0.03},
		{onTime: 0.593, share: 0.32, within: 0.10},
		{onTime: 0.677, share: 0.72, within: 0.05},
	} {
		got := rows[i]
		if math.Abs(got.OnTime-want.onTime) > want.within || math.Abs(got.Share-want.share) > want.within {
			t.Errorf("%s: %.3f in time, share %.3f; the reference has %.3f and %.2f", got.Policy, got.OnTime, got.Share, want.onTime, want.share)
		}
	}
}
