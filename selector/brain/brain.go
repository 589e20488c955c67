// Package brain is the choice of a road as pure code: what is believed of each
// road to each device, how evidence changes it, and which road is taken with
// which probability. It reads no clock, rolls no dice and asks nobody; times,
// chance and the words for its numbers come from outside.
//
// Beliefs have two speeds. The slow one is what a road is worth for a device:
//
//	logit P(delivered) = Σ effects shared with devices like it + the device's own
//
// every term a Gaussian. Receipts are a thinned Bernoulli: one comes with the
// probability delivered × covered × healthy, so a receipt that is missing where
// receipts get lost, or while the road is sick, says little. The fast one is
// whether a road is sick right now ([Brain.Tick]). The fast one explains
// silence away before the slow one learns from it.
package brain

import "math/bits"

// Config shapes a brain. Start from [DefaultConfig].
type Config struct {
	// Spread is the variance of each family's effects before anything is known.
	Spread [families]float32
	// Device is the same for a device's own difference, and HalfLife the
	// seconds in which half of what was learned of it is forgotten.
	Device   float32
	HalfLife float32
	// Check is the age in seconds at which an attempt without a receipt counts as
	// silent.
	Check float64
	// Drift is how much the variance of a shared effect grows in a day.
	Drift float32
	// Explore scales the doubt that a choice is drawn from; Floor is the part of
	// choices that are spread over all roads so that each keeps being tried, by
	// value at Temperature.
	Explore, Floor, Temperature float32
	// Prior is the mean of an effect before anything is known; nil is 0.
	Prior func(r Row, provider int) float32
}

// DefaultConfig are the values that the simulator was won with.
func DefaultConfig() Config {
	return Config{
		Spread:   [families]float32{ByBias: 4, ByMaker: 1, ByCarrier: 0.25, ByOS: 0.15, ByApp: 0.1, ByTrio: 0.4},
		Device:   2,
		HalfLife: 240 * 3600,
		Check:    Check,
		Drift:    0.05,
		Explore:  0.15, Floor: 0.01, Temperature: 0.25,
	}
}

const (
	// MostProviders is how many providers a brain can tell apart.
	MostProviders = 31
	// MostRoads is how many roads one decision can weigh.
	MostRoads = 12
	// Check is the usual [Config.Check]; Horizon is the age in seconds after which
	// no receipt is waited for.
	Check, Horizon = 60, 600
	// upkeep is how often curves and the drift of effects are worked out.
	upkeep = 5
)

// Brain holds the beliefs. It is not safe for concurrent use.
type Brain struct {
	cfg       Config
	providers int
	curves    *curves
	effects   *effects
	delays    *delays
	coverage  *coverage
	health    *monitor

	cells map[Features]int32
	kinds []cell
	well  []float32 // cell × providers: health, where some road is sick
	now   float64
	kept  float64 // when curves and drift were last worked out
}

// cell is one kind of device.
type cell struct {
	Features
	rows     [2][families]int32 // by online
	segments [levels]int32
}

// New makes a brain that knows nothing, for providers numbered from 0.
func New(cfg Config, providers int) *Brain {
	b := &Brain{
		cfg: cfg, providers: providers, curves: newCurves(),
		delays: newDelays(providers), coverage: newCoverage(providers),
		cells: map[Features]int32{},
	}
	b.effects = newEffects(&b.cfg, providers)
	b.health = newMonitor(providers, b.delays)
	return b
}

// Cell returns the number of a kind of device, by which decisions name it.
func (b *Brain) Cell(f Features) int32 {
	if c, ok := b.cells[f]; ok {
		return c
	}
	i := int32(len(b.kinds))
	b.cells[f] = i
	c := cell{Features: f, segments: b.health.segmentsOf(f)}
	for online := range c.rows {
		for k, row := range rowsOf(f, online == 1) {
			c.rows[online][k] = b.effects.row(row)
		}
	}
	b.kinds = append(b.kinds, c)
	b.coverage.grow(f.Country)
	b.well = append(b.well, make([]float32, b.providers)...)
	b.judge(i)
	return i
}

// Providers is how many providers the brain was made for.
func (b *Brain) Providers() int { return b.providers }

// Cells is how many kinds of device are known.
func (b *Brain) Cells() int { return len(b.kinds) }

// shared is the sum of the effects of one road that devices of a kind share.
func (b *Brain) shared(c *cell, online, provider int) (sum gauss) {
	for _, row := range c.rows[online] {
		g := b.effects.now[int(row)*b.providers+provider]
		sum.m += g.m
		sum.v += g.v
	}
	return sum
}

// judge notes the health of every road to one kind of device.
func (b *Brain) judge(i int32) {
	for p := range b.providers {
		b.well[int(i)*b.providers+p] = b.health.of(&b.kinds[i], p)
	}
}

// Ask is the question for one decision.
type Ask struct {
	Cell   int32
	Online bool    // its live connection is believed to stand
	Roads  uint32  // the providers that can be taken, a bit each
	Now    float64 // unix seconds
	TTL    float64 // seconds that are left
	// Explore scales the exploration: 1 is all of it, 0 takes the best road.
	Explore float32
	// Chance is in [0, 1) and picks the road; the same chance picks the same.
	Chance float32
	// Price and Annoyance are taken from a road's value, by provider; nil is 0.
	Cost func(provider int) float32
}

// Road is one road of a decision with what it was judged by.
type Road struct {
	Provider   uint8
	Mean       float32 // shared and own effects, logits
	Variance   float32
	Delivered  float32 // P(delivered) of a healthy road
	OnTime     float32 // of that, within the ttl
	Health     float32
	Cost       float32
	Value      float32
	Propensity float32 // with which it was to be chosen
}

// Decision is the answer.
type Decision struct {
	Roads    [MostRoads]Road
	N        int  // roads that were weighed
	Best     int  // of the highest value
	Chosen   int  // the one to take; meaningless if N is 0
	Explored bool // Chosen is not Best
}

// Choose weighs the roads and picks one. It writes to d alone.
func (b *Brain) Choose(ask *Ask, e *Evidence, d *Decision) {
	d.N, d.Best, d.Chosen, d.Explored = 0, 0, 0, false
	online := 0
	if ask.Online {
		online = 1
	}
	fade := e.fade(ask.Now, b.cfg.HalfLife)
	c := &b.kinds[ask.Cell]
	sick := b.health.sick
	for rest := ask.Roads; rest != 0 && d.N < MostRoads; rest &= rest - 1 {
		p := bits.TrailingZeros32(rest)
		if p >= b.providers {
			break
		}
		r := &d.Roads[d.N]
		g := b.shared(c, online, p)
		own := gauss{0, b.cfg.Device}
		if i := e.slot(p); i >= 0 {
			own = e.get(i).faded(fade, b.cfg.Device)
		}
		*r = Road{Provider: uint8(p), Mean: g.m + own.m, Variance: g.v + own.v, Health: 1}
		r.Delivered = b.curves.chance(r.Mean)
		r.OnTime = b.delays.onTime(p, ask.Online, ask.TTL)
		if sick&(1<<p) != 0 {
			r.Health = b.well[int(ask.Cell)*b.providers+p]
		}
		if ask.Cost != nil {
			r.Cost = ask.Cost(p)
		}
		r.Value = r.Delivered*r.OnTime*r.Health - r.Cost
		if r.Value > d.Roads[d.Best].Value {
			d.Best = d.N
		}
		d.N++
	}
	b.draw(ask, d)
}

// draw gives each road its propensity and picks one by them.
func (b *Brain) draw(ask *Ask, d *Decision) {
	d.Chosen = d.Best
	if d.N == 0 {
		return
	}
	if d.N == 1 || ask.Explore <= 0 {
		for i := range d.N {
			d.Roads[i].Propensity = 0
		}
		d.Roads[d.Best].Propensity = 1
		return
	}
	b.propensities(ask.Explore, d.Roads[:d.N])
	left := ask.Chance
	for i := range d.N {
		left -= d.Roads[i].Propensity
		if left < 0 {
			d.Chosen = i
			break
		}
	}
	d.Explored = d.Chosen != d.Best
}

// propensities are the probability that each road is the best, by comparing
// each pair as normals, and the floor. They sum to 1.
func (b *Brain) propensities(scale float32, roads []Road) {
	var doubt, weight [MostRoads]float32
	sum, softest := float32(0), float32(-10)
	for i := range roads {
		r := &roads[i]
		s := r.Delivered * (1 - r.Delivered) * r.OnTime * r.Health * b.cfg.Explore * scale
		doubt[i] = s*s*r.Variance + 1e-9
		r.Propensity = 1
		softest = max(softest, r.Delivered*r.OnTime-r.Cost)
	}
	for i := range roads {
		for j := i + 1; j < len(roads); j++ {
			p := b.curves.below((roads[i].Value - roads[j].Value) / sqrt(doubt[i]+doubt[j]))
			roads[i].Propensity *= p
			roads[j].Propensity *= 1 - p
		}
		sum += roads[i].Propensity
	}
	soft := float32(0)
	for i := range roads {
		r := &roads[i]
		weight[i] = exp((r.Delivered*r.OnTime - r.Cost - softest) / b.cfg.Temperature)
		soft += weight[i]
	}
	floor := b.cfg.Floor * scale
	for i := range roads {
		roads[i].Propensity = (1-floor)*roads[i].Propensity/sum + floor*weight[i]/soft
	}
}

// exp is e to a power that is not positive, exact to a part in a hundred
// thousand: (1 + x/1024 + x²/2/1024²) to the 1024th.
func exp(x float32) float32 {
	x = max(x, -80) / 1024
	y := 1 + x + x*x/2
	for range 10 {
		y *= y
	}
	return y
}
