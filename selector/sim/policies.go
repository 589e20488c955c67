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
	return []Named{
		{"random", &random{rng: seed(1)}},
		{"oracle", oracle{}},
		{"fair oracle", fairOracle{}},
		{"static order", static{order: []int{Huawei, Xiaomi, Oppo, Vivo, FCM, Live}}},
		{"vendor rule", vendorRule{}},
		{"round robin", &roundRobin{}},
		{"best provider", newRates(w, everyone)},
		{"success rate", newRates(w, everyoneWindow)},
		{"rate per segment", newRates(w, segmentWindow)},
		{"UCB per segment", &ucb{newRates(w, segmentLong)}},
		{"Thompson per segment", &thompson{rates: newRates(w, segmentLong), rng: seed(2)}},
		{"Thompson per device", &thompson{rates: newRates(w, eachDevice), rng: seed(3)}},
		{"greedy per device", newRates(w, eachDevice)},
		{"herald without device effects", withoutDevices(w)},
		{"herald", Ours(w)},
	}
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

// rates chooses by success rates that fade: receipts that came against those
// that stayed out for ten minutes. It tries any road in one message of fifty.
type rates struct {
	quiet
	of   func(n *Notice) int32
	keep float64 // of the counts, at each new one
	yes  [][Roads]float64
	all  [][Roads]float64
	turn int
}

// window says whose messages are counted together, and how many are remembered.
type window struct {
	of   func(n *Notice) int32
	size float64
}

func global(*Notice) int32 { return 0 }

func bySegment(n *Notice) int32 {
	s := (int32(n.Maker)*countries+int32(n.Country))*carriers + int32(n.Carrier)
	if n.Online {
		return 2*s + 1
	}
	return 2 * s
}

func byDevice(n *Notice) int32 {
	if n.Online {
		return 2*n.Device + 1
	}
	return 2 * n.Device
}

var (
	everyone       = window{global, 1e9}
	everyoneWindow = window{global, 200}
	segmentWindow  = window{bySegment, 200}
	segmentLong    = window{bySegment, 5000}
	eachDevice     = window{byDevice, 100}
)

func newRates(w *World, by window) *rates {
	groups := 2 * max(len(w.devices), makers*countries*carriers)
	return &rates{of: by.of, keep: 1 - 1/by.size, yes: make([][Roads]float64, groups), all: make([][Roads]float64, groups)}
}

func (r *rates) Choose(n *Notice, _ *Truth) (int, float64) {
	roads := roadsOf(n)
	if r.turn++; r.turn%50 == 0 {
		return roads[r.turn/50%len(roads)], 1
	}
	return r.highest(n, func(yes, all float64) float64 { return (yes + 1) / (all + 1.5) }), 1
}

// highest is the road whose counts have the highest value.
func (r *rates) highest(n *Notice, value func(yes, all float64) float64) int {
	s := r.of(n)
	best, most := -1, math.Inf(-1)
	for _, road := range roadsOf(n) {
		if v := value(r.yes[s][road], r.all[s][road]); v > most {
			best, most = road, v
		}
	}
	return best
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
	return t.highest(n, func(yes, all float64) float64 {
		mean := (yes + 1) / (all + 2)
		return mean + math.Sqrt(mean*(1-mean)/(all+3))*t.rng.NormFloat64()
	}), 1
}

// ucb takes the road that might at best be the best.
type ucb struct{ *rates }

func (u *ucb) Choose(n *Notice, _ *Truth) (int, float64) {
	s := u.of(n)
	total := 1.0
	for r := range Roads {
		total += u.all[s][r]
	}
	doubt := math.Log(total)
	return u.highest(n, func(yes, all float64) float64 {
		return (yes+0.5)/(all+1) + 0.5*math.Sqrt(doubt/(all+1))
	}), 1
}

// ours is the selector that ships.
type ours struct{ *Driver }

// Ours is the shipping selector as a policy.
func Ours(w *World) Policy {
	return ours{NewDriver(Beliefs(), w.cfg.Devices, Roads)}
}

// withoutDevices is the same believing that all devices of a kind are alike.
func withoutDevices(w *World) Policy {
	cfg := Beliefs()
	cfg.Device = 1e-3
	return ours{NewDriver(cfg, w.cfg.Devices, Roads)}
}

func (o ours) Choose(n *Notice, _ *Truth) (int, float64) { return o.Driver.Choose(n) }
func (o ours) Refused(n *Notice, road int)               { o.Driver.Refused(n, road, false) }
func (o ours) Timeout(*Notice, int)                      {}
func (o ours) Patience(*Notice, int) float64             { return 60 }

func (o ours) Receipt(n *Notice, road int, age, now float64) {
	o.Driver.Receipt(n.ID, road, age, now)
}
