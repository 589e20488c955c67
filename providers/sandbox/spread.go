package sandbox

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

// Spread is how a time varies around what is asked for.
type Spread string

// The spreads, of a time and a jitter.
const (
	Uniform   Spread = "uniform"   // from the time to the time and the jitter; "" is the same
	Fixed     Spread = "fixed"     // the time, always
	LogNormal Spread = "lognormal" // half take longer than the time, one in six longer than the time and the jitter
)

func (s Spread) validate(field string) error {
	switch s {
	case "", Uniform, Fixed, LogNormal:
		return nil
	}
	return fmt.Errorf("%s must be fixed, uniform or lognormal, not %q", field, string(s))
}

// draw takes a time by lot. One of a long tail is at most a hundred times the
// time.
func (s Spread) draw(ms, jitter float64) time.Duration {
	switch {
	case s == LogNormal && ms > 0 && jitter > 0:
		ms = min(ms*math.Exp(math.Log1p(jitter/ms)*rand.NormFloat64()), 100*ms)
	case s != Fixed && s != LogNormal && jitter > 0:
		ms += jitter * rand.Float64()
	}
	return time.Duration(ms * float64(time.Millisecond))
}
