package sim

import (
	"math"
	"math/rand/v2"
)

// Named is a policy with its name in the table.
type Named struct {
	Name string
	Policy
}

// All are the policies of the table, made anew for a world.
func All(w *World) []Named {
	seed := func(n uint64) *rand.Rand { return rand.New(rand.NewPCG(w.cfg.Seed, n)) }
	all := []Named{
		{"random", &random{rng: seed(1)}},
		{"oracle", oracle{}},
		{"fair oracle", fairOracle{}},
		{"static order", static{order: []int{Live, FCM, Huawei, Xiaomi, Oppo, Vivo}}},
		{"vendor rule", vendorRule{}},
		{"round robin", &roundRobin{}},
		{"best provider", newRates(everyone)},
		{"success rate", newRates(everyoneWindow)},
		{"rate per segment", newRates(segmentWindow)},
		{"thompson per segment", &thompson{rates: newRates(segmentLong), rng: seed(2)}},
		{"herald", Ours(w)},
	}
	return all
}

// quiet has nothing to learn.
type quiet struct{}

func (quiet) Sent(*Notice, int)                            {}
func (quiet) Refused(*Notice, int)                         {}
func (quiet) Receipt(*Notice, int, float64, float64)       {}
func (quiet) Timeout(*Notice, int)                         {}
func (quiet) Clicked(*Notice, int, bool, float64)          {}
func (quiet) Tick(float64)                                 {}
func (quiet) Patience(*Notice, int) float64                { return 60 }
func (quiet) Choose(*Notice, *Truth) (road int, p float64) { return 0, 1 }

type random struct {
	quiet
	rng *rand.Rand
}

func (r *random) Choose(n *Notice, _ *Truth) (int, float64) {
	roads := roadsOf(n)
	return roads[r.rng.IntN(len(roads))], 1 / float64(len(roads))
}

func roadsOf(n *Notice) []int {
	roads := make([]int, 0, Roads)
	for r := range Roads {
		if n.Roads&(1<<r) != 0 {
			roads = append(roads, r)
		}
	}
	return roads
}

// oracle knows everything; fairOracle all but the hidden state of the moment.
type (
	oracle     struct{ quiet }
	fairOracle struct{ quiet }
)

func (oracle) Choose(n *Notice, t *Truth) (int, float64)     { return best(&t.OnTime, n.Roads), 1 }
func (fairOracle) Choose(n *Notice, t *Truth) (int, float64) { return best(&t.Fair, n.Roads), 1 }

type static struct {
	quiet
	order []int
}

func (s static) Choose(n *Notice, _ *Truth) (int, float64) {
	for _, r := range s.order {
		if n.Roads&(1<<r) != 0 {
			return r, 1
		}
	}
	return roadsOf(n)[0], 1
}

// vendorRule is live if the device is online, else its maker's road, else FCM.
type vendorRule struct{ quiet }

func (vendorRule) Choose(n *Notice, _ *Truth) (int, float64) {
	if n.Online && n.Roads&(1<<Live) != 0 {
		return Live, 1
	}
	own := Xiaomi + int(n.Maker)
	if n.Maker == honor {
		own = Huawei
	}
	if own <= Vivo && n.Roads&(1<<own) != 0 {
		return own, 1
	}
	return static{order: []int{FCM, Huawei, Xiaomi, Oppo, Vivo, Live}}.Choose(n, nil)
}

type roundRobin struct {
	quiet
	turn int
}

func (r *roundRobin) Choose(n *Notice, _ *Truth) (int, float64) {
	for {
		r.turn++
		if road := r.turn % Roads; n.Roads&(1<<road) != 0 {
			return road, 1
		}
	}
}

// rates chooses by the success rates of a window: receipts come against
// receipts that stayed out for ten minutes. It explores one message in fifty.
type rates struct {
	quiet
	of   func(n *Notice) int
	keep float64 // of the counts, at each new one
	yes  [][Roads]float64
	all  [][Roads]float64
	turn int
}

type window struct {
	of   func(n *Notice) int
	size float64
}

func global(*Notice) int { return 0 }

func bySegment(n *Notice) int {
	s := (int(n.Maker)*countries+int(n.Country))*carriers + int(n.Carrier)
	if n.Online {
		return 2*s + 1
	}
	return 2 * s
}

var (
	everyone       = window{global, 1e9}
	everyoneWindow = window{global, 200}
	segmentWindow  = window{bySegment, 200}
	segmentLong    = window{bySegment, 5000}
)

func newRates(w window) *rates {
	const segments = 2 * makers * countries * carriers
	return &rates{of: w.of, keep: 1 - 1/w.size, yes: make([][Roads]float64, segments), all: make([][Roads]float64, segments)}
}

func (r *rates) Choose(n *Notice, _ *Truth) (int, float64) {
	s := r.of(n)
	roads := roadsOf(n)
	if r.turn++; r.turn%50 == 0 {
		return roads[r.turn/50%len(roads)], 1
	}
	best, value := roads[0], -1.0
	for _, road := range roads {
		if v := (r.yes[s][road] + 1) / (r.all[s][road] + 1.5); v > value {
			best, value = road, v
		}
	}
	return best, 1
}

func (r *rates) count(n *Notice, road int, yes float64) {
	s := r.of(n)
	r.yes[s][road] = r.keep*r.yes[s][road] + yes
	r.all[s][road] = r.keep*r.all[s][road] + 1
}

func (r *rates) Receipt(n *Notice, road int, _, _ float64) { r.count(n, road, 1) }
func (r *rates) Timeout(n *Notice, road int)               { r.count(n, road, 0) }
func (r *rates) Refused(n *Notice, road int)               { r.count(n, road, 0) }

// thompson draws each road's rate from what is known of it in the segment.
type thompson struct {
	*rates
	rng *rand.Rand
}

func (t *thompson) Choose(n *Notice, _ *Truth) (int, float64) {
	s := t.of(n)
	best, value := -1, -1.0
	for _, road := range roadsOf(n) {
		yes, all := t.yes[s][road]+1, t.all[s][road]+2
		mean := yes / all
		if v := mean + math.Sqrt(mean*(1-mean)/(all+1))*t.rng.NormFloat64(); v > value {
			best, value = road, v
		}
	}
	return best, 1
}

// ours is the selector that ships.
type ours struct{ *Driver }

// Ours is the shipping selector as a policy.
func Ours(w *World) Policy {
	return ours{NewDriver(Beliefs(), w.cfg.Devices, Roads)}
}

func (o ours) Choose(n *Notice, _ *Truth) (int, float64) { return o.Driver.Choose(n) }
func (o ours) Refused(n *Notice, road int)               { o.Driver.Refused(n, road, false) }
func (o ours) Timeout(*Notice, int)                      {}
func (o ours) Patience(*Notice, int) float64             { return 60 }

func (o ours) Receipt(n *Notice, road int, age, now float64) {
	o.Driver.Receipt(n.ID, road, age, now)
}
