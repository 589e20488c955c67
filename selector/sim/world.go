// Package sim is a world to try policies in: devices with hidden likings for
// roads, apps that are killed in the background, connections that are dead
// before anybody notices, receipts that come late or never, outages, drift. A
// policy sees what a gateway sees; the world knows what really arrives.
//
// It drives the selector that ships through the same few calls that
// `herald selector stdio` offers to other simulators ([Driver]).
package sim

import (
	"math"
	"math/rand/v2"
	"slices"
)

// The six roads of the world, by number and by the bit of their number in
// [Notice.Roads].
const (
	FCM = iota
	Xiaomi
	Huawei
	Oppo
	Vivo
	Live
	Roads
)

// Makers, in their order; the first four have a road of their own.
const (
	makers    = 7
	honor     = 4
	countries = 6 // the first is one where FCM hardly works
	carriers  = 3
	systems   = 4
	apps      = 3
)

// Names are what the roads are called.
func Names() [Roads]string { return [...]string{"fcm", "xiaomi", "huawei", "oppo", "vivo", "live"} }

// Class is what a message is for.
type Class uint8

// The classes of the world with their ttl: 2 min, 30 min, and 2 min with an SMS
// allowed.
const (
	RealTime Class = iota
	Normal
	Critical
)

// TTL is how long a message of the class is worth anything, in seconds.
func (c Class) TTL() float64 {
	if c == Normal {
		return 1800
	}
	return 120
}

// Notice is one message to one device as a policy sees it.
type Notice struct {
	ID      uint64
	At      float64 // seconds since the world began
	TTL     float64
	Device  int32
	Roads   uint32 // that can be taken, a bit each
	Class   Class
	Maker   uint16
	Country uint16
	Carrier uint16
	OS      uint16
	App     uint16
	Online  bool // the live connection is believed to stand
	Attempt int
}

// Config shapes a world. [DefaultConfig] is the reference.
type Config struct {
	Seed    uint64
	Devices int
	Days    float64
	// PerDay is how many messages a device gets a day.
	PerDay float64
}

// DefaultConfig is the reference world: 200,000 devices over ten days, 24.5
// million messages.
func DefaultConfig(seed uint64) Config {
	return Config{Seed: seed, Devices: 200_000, Days: 10, PerDay: 12.25}
}

// Scale makes the world smaller: fewer devices, each as busy as before.
func (c Config) Scale(by float64) Config {
	c.Devices = max(100, int(float64(c.Devices)*by))
	return c
}

// device is one device as it really is.
type device struct {
	maker, country, carrier, os, app uint8
	roads                            uint8
	effect                           [Roads]float32
	broken                           uint8 // pairs that are broken now, a bit each
	nextBreak                        [Roads]float32
	offline, killed                  bool
	offlineTo, killedTo              float32 // when that changes
	lost                             float32 // when the live connection was last lost
	seen                             int     // messages so far
	born                             float64
}

// World is the truth. Time only goes forward in it.
type World struct {
	cfg      Config
	nature   nature
	rng      *rand.Rand
	devices  []device
	base     [Roads][makers][countries][carriers][systems][apps]float32
	drift    [Roads][countries]float32
	coverage [Roads][countries][2]float32
	delay    [Roads]lognormal
	slow     [Roads]lognormal // of the receipt, after delivery
	outages  []Outage
	busy     []float64 // by device: the sum of how busy it and those before it are
	drifted  float64
}

type lognormal struct{ median, sigma float64 }

func (l lognormal) by(seconds float64) float64 {
	if seconds <= 0 {
		return 0
	}
	return math.Erfc(-math.Log(seconds/l.median)/(l.sigma*math.Sqrt2)) / 2
}

func (l lognormal) draw(rng *rand.Rand) float64 {
	return l.median * math.Exp(l.sigma*rng.NormFloat64())
}

// New makes a world.
func New(cfg Config) *World {
	w := &World{cfg: cfg, nature: reference(), rng: rand.New(rand.NewPCG(cfg.Seed, 7))}
	w.makeRoads()
	w.devices = make([]device, cfg.Devices)
	w.busy = make([]float64, cfg.Devices)
	sum := 0.0
	for i := range w.devices {
		w.makeDevice(&w.devices[i])
		sum += math.Exp(w.nature.busy * w.rng.NormFloat64())
		w.busy[i] = sum
	}
	w.outages = outagesOf(cfg, w.rng)
	return w
}

func (w *World) normal(sd float64) float32 { return float32(sd * w.rng.NormFloat64()) }

// makeRoads draws what the roads are like for every kind of device.
func (w *World) makeRoads() {
	nat := &w.nature
	for r := range Roads {
		var maker [makers][countries]float32
		var carrier [countries][carriers]float32
		var system [makers][systems]float32
		var app [apps]float32
		for c := range countries {
			for m := range makers {
				maker[m][c] = w.normal(nat.maker)
				switch {
				case r == FCM && c == 0:
					maker[m][c] += nat.blocked
				case nat.own(r, m):
					maker[m][c] += nat.atHome
				}
			}
			for k := range carriers {
				carrier[c][k] = w.normal(nat.carrier)
			}
			for on := range 2 {
				w.coverage[r][c][on] = 0.70 + 0.29*w.rng.Float32()
			}
		}
		for m := range makers {
			for o := range systems {
				system[m][o] = w.normal(nat.system)
			}
		}
		for a := range apps {
			app[a] = w.normal(nat.app)
		}
		w.spread(r, nat.bias[r], maker, carrier, system, app)
		w.delay[r] = lognormal{1 + 3*w.rng.Float64(), 0.9}
		w.slow[r] = lognormal{1 + 2*w.rng.Float64(), 0.7}
	}
	w.delay[Live] = lognormal{0.3, 0.6}
	w.slow[Live] = lognormal{0.2, 0.5}
}

func (w *World) spread(r int, bias float32, maker [makers][countries]float32, carrier [countries][carriers]float32,
	system [makers][systems]float32, app [apps]float32,
) {
	for m := range makers {
		for c := range countries {
			for k := range carriers {
				trio := w.normal(w.nature.trio)
				for o := range systems {
					for a := range apps {
						w.base[r][m][c][k][o][a] = bias + maker[m][c] + carrier[c][k] + system[m][o] + app[a] + trio
					}
				}
			}
		}
	}
}

const day = 86400.0

func (w *World) makeDevice(d *device) {
	r, nat := w.rng, &w.nature
	d.country = uint8(pick(r, 0.4, 0.15, 0.15, 0.12, 0.1, 0.08))
	if d.country == 0 {
		d.maker = uint8(pick(r, 0.2, 0.25, 0.17, 0.17, 0.13, 0.03, 0.05))
	} else {
		d.maker = uint8(pick(r, 0.22, 0.06, 0.12, 0.1, 0.05, 0.3, 0.15))
	}
	d.carrier = uint8(pick(r, 0.5, 0.3, 0.2))
	d.os = uint8(pick(r, 0.15, 0.3, 0.35, 0.2))
	d.app = uint8(pick(r, 0.5, 0.3, 0.2))
	d.roads = 1 << Live
	if d.country != 0 || r.Float64() < nat.google {
		d.roads |= 1 << FCM
	}
	if int(d.maker) < 4 {
		d.roads |= 1 << (Xiaomi + d.maker)
	} else if d.maker == honor {
		d.roads |= 1 << Huawei
	}
	for road := Xiaomi; road <= Vivo; road++ { // SDKs that run on others' phones too
		if r.Float64() < nat.guests {
			d.roads |= 1 << road
		}
	}
	for road := range Roads {
		d.effect[road] = w.normal(nat.device)
		if r.Float64() < w.nature.brokenShare {
			d.broken |= 1 << road
		}
		d.nextBreak[road] = float32(w.untilBreak(d.broken>>road&1 == 1))
	}
	d.offline = r.Float64() < w.nature.offShare
	d.offlineTo = float32(w.spell(d.offline, w.nature.offSpell, w.nature.offShare))
	d.killed = r.Float64() < w.nature.killed[d.maker]
	d.killedTo = float32(w.spell(d.killed, w.nature.killSpell, w.nature.killed[d.maker]))
	d.lost = float32(-nat.blind)
	if r.Float64() < 0.5 {
		d.born = r.Float64() * w.cfg.Days * day
	}
}

func (w *World) untilBreak(broken bool) float64 {
	return w.spell(broken, w.nature.brokenSpell, w.nature.brokenShare)
}

// spell draws the length of a state that lasts length on average when it is on,
// and is on for a share of the time.
func (w *World) spell(on bool, length, share float64) float64 {
	if !on {
		length *= (1 - share) / share
	}
	return length * w.rng.ExpFloat64()
}

// Ask is a message to a device as a policy sees it, and the truth about it. Times
// must not go back.
func (w *World) Ask(id uint64, device int32, at float64, class Class) (n Notice, truth Truth) {
	d := &w.devices[device]
	w.advance(d, at)
	n = w.notice(id, device, d, at, w.rng)
	n.Class, n.TTL = class, class.TTL()
	w.look(&n, d, &truth)
	return n, truth
}

// any picks a device that is there, busy ones more often.
func (w *World) any(r *rand.Rand, now float64) int32 {
	for {
		i, _ := slices.BinarySearch(w.busy, r.Float64()*w.busy[len(w.busy)-1])
		if w.devices[i].born <= now {
			return int32(i)
		}
	}
}

func pick(r *rand.Rand, weights ...float64) int {
	x := r.Float64()
	for i, p := range weights {
		if x -= p; x < 0 {
			return i
		}
	}
	return len(weights) - 1
}

// advance brings a device to a time.
func (w *World) advance(d *device, now float64) {
	for float64(d.offlineTo) < now {
		d.offline = !d.offline
		if d.offline && !d.killed {
			d.lost = d.offlineTo
		}
		d.offlineTo += float32(w.spell(d.offline, w.nature.offSpell, w.nature.offShare))
	}
	for float64(d.killedTo) < now {
		d.killed = !d.killed
		if d.killed && !d.offline {
			d.lost = d.killedTo
		}
		d.killedTo += float32(w.spell(d.killed, w.nature.killSpell, w.nature.killed[d.maker]))
	}
	for r := range Roads {
		for float64(d.nextBreak[r]) < now {
			d.broken ^= 1 << r
			d.nextBreak[r] += float32(w.untilBreak(d.broken>>r&1 == 1))
		}
	}
}

// connected tells whether the live connection stands, and whether the gateway
// believes so.
func (w *World) connected(d *device, now float64) (really, believed bool) {
	really = !d.offline && !d.killed
	return really, really || now-float64(d.lost) < w.nature.blind
}

// wander lets the roads change slowly, and a ROM update change one at once.
func (w *World) wander(now float64) {
	const step = 3600
	for ; w.drifted+step <= now; w.drifted += step {
		for r := range w.drift {
			for c := range w.drift[r] {
				w.drift[r][c] += w.normal(w.nature.drift * math.Sqrt(step/day))
			}
		}
	}
}

// romUpdate is when and for whom a new system version keeps one road from
// working as it did.
func (w *World) romUpdate(d *device, road int, now float64) float32 {
	if road == Xiaomi && d.maker == 0 && d.os == 2 && now > 0.6*w.cfg.Days*day {
		return -1.5
	}
	return 0
}
