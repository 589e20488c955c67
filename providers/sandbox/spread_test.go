package sandbox

import (
	"slices"
	"testing"
	"time"
)

func TestSpreadsAreWhatTheySay(t *testing.T) {
	const n = 20_000
	for name, tt := range map[string]struct {
		spread       Spread
		median, high time.Duration // half and a sixth take longer
		worst        time.Duration
	}{
		"fixed":     {Fixed, 100 * time.Millisecond, 100 * time.Millisecond, 100 * time.Millisecond},
		"uniform":   {Uniform, 125 * time.Millisecond, 142 * time.Millisecond, 150 * time.Millisecond},
		"lognormal": {LogNormal, 100 * time.Millisecond, 150 * time.Millisecond, 10 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			draws := make([]time.Duration, n)
			for i := range draws {
				draws[i] = tt.spread.draw(100, 50)
			}
			slices.Sort(draws)
			near := func(got, want time.Duration) bool { return (got - want).Abs() < want/20 }
			if !near(draws[n/2], tt.median) || !near(draws[n*841/1000], tt.high) || draws[n-1] > tt.worst {
				t.Errorf("median %v, a sixth over %v, worst %v", draws[n/2], draws[n*841/1000], draws[n-1])
			}
		})
	}
}
