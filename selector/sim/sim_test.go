package sim

import (
	"testing"
)

// small is a world of a few hours, busy enough that its outages show.
func small(seed uint64) Config {
	return Config{Seed: seed, Devices: 2000, Days: 0.06, PerDay: 900}
}

func TestTheSelectorThatShipsBeatsTheRules(t *testing.T) {
	t.Parallel()
	w := New(small(5))
	policies := []Named{
		{"random", &random{rng: w.rng}},
		{"oracle", oracle{}},
		{"fair oracle", fairOracle{}},
		{"vendor rule", vendorRule{}},
		{"rate per segment", newRates(segmentWindow)},
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
	if ours.LostVendor > 0.5 {
		t.Errorf("outages cost %.0f %% of what they cost the vendor rule, want less than half", 100*ours.LostVendor)
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
