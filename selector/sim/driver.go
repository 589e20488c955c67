package sim

import (
	"math"

	"github.com/herald-push/herald/selector/brain"
)

// Driver is the shipping selector's brain behind the few calls of a simulator:
// it keeps the devices' evidence and the attempts that are waited for, and
// counts those as silent that have no receipt at the age of [brain.Check].
type Driver struct {
	brain    *brain.Brain
	evidence []brain.Evidence
	tracks   map[uint64]*held // by message and attempt
	free     []*held
	due      []*held // in the order of their sending
	head     int
	Decision brain.Decision // the last one
}

// held is an attempt that is waited for.
type held struct {
	brain.Track
	key    uint64
	device int32
}

// Providers is how many roads there are.
func (d *Driver) Providers() int { return d.brain.Providers() }

// Beliefs is the shipping configuration with what is known of the roads of this
// world by their names.
func Beliefs() brain.Config {
	cfg := brain.DefaultConfig()
	names, makers := Names(), [...]string{"xiaomi", "huawei", "oppo", "vivo", "honor", "samsung", ""}
	cfg.Prior = func(r brain.Row, provider int) float32 {
		if provider >= len(names) || int(r.Maker) >= len(makers) {
			return 0
		}
		return brain.Hearsay(r, names[provider], makers[r.Maker], "")
	}
	return cfg
}

// epoch keeps a simulator's times away from zero, which means never.
const epoch = 1_000_000

// NewDriver makes one for so many devices and providers.
func NewDriver(cfg brain.Config, devices, providers int) *Driver {
	return &Driver{
		brain:    brain.New(cfg, providers),
		evidence: make([]brain.Evidence, devices),
		tracks:   make(map[uint64]*held),
	}
}

// Scale is how much each class may explore.
func (c Class) Scale() float32 {
	if c == Critical {
		return 0.3
	}
	return 1
}

func (d *Driver) cell(n *Notice) int32 {
	return d.brain.Cell(brain.Features{Maker: n.Maker, Country: n.Country, Carrier: n.Carrier, OS: n.OS, App: n.App})
}

// Choose picks a road, with its propensity.
func (d *Driver) Choose(n *Notice) (road int, propensity float64) {
	ask := brain.Ask{
		Cell: d.cell(n), Online: n.Online, Roads: n.Roads, Now: n.At + epoch, TTL: n.TTL,
		Explore: n.Class.Scale(), Chance: chance(n.ID, n.Attempt),
	}
	d.brain.Choose(&ask, &d.evidence[n.Device], &d.Decision)
	r := &d.Decision.Roads[d.Decision.Chosen]
	return int(r.Provider), float64(r.Propensity)
}

// chance turns a message's id into a number in [0, 1).
func chance(id uint64, attempt int) float32 {
	x := id + uint64(attempt)*0x9E3779B97F4A7C15
	x ^= x >> 33
	x *= 0xFF51AFD7ED558CCD
	x ^= x >> 33
	x *= 0xC4CEB9FE1A85EC53
	x ^= x >> 33
	return float32(x>>40) / (1 << 24)
}

func key(id uint64, road int) uint64 { return id*8 + uint64(road) }

// Sent begins to wait for a receipt.
func (d *Driver) Sent(n *Notice, road int) {
	var h *held
	if k := len(d.free); k > 0 {
		h, d.free = d.free[k-1], d.free[:k-1]
	} else {
		h = &held{}
	}
	*h = held{Track: d.brain.Send(d.cell(n), &d.evidence[n.Device], road, n.Online, n.At+epoch, true, 1), key: key(n.ID, road), device: n.Device}
	d.tracks[h.key] = h
	d.due = append(d.due, h)
}

// Refused counts a refusal; invalid is one for a dead token, which a gateway
// would forget.
func (d *Driver) Refused(n *Notice, road int, invalid bool) {
	if invalid {
		d.brain.Dead(&d.evidence[n.Device], road, n.At+epoch)
		return
	}
	d.brain.Refused(d.cell(n), road, n.At+epoch)
}

// Receipt counts a receipt, age seconds after the send.
func (d *Driver) Receipt(id uint64, road int, age, now float64) {
	if h := d.tracks[key(id, road)]; h != nil {
		d.brain.Proof(&h.Track, &d.evidence[h.device], age, now+epoch)
	}
}

// Clicked counts a click; came tells whether the receipt had come.
func (d *Driver) Clicked(n *Notice, road int, came bool, now float64) {
	if h := d.tracks[key(n.ID, road)]; h != nil {
		d.brain.Clicked(&h.Track, &d.evidence[h.device], now+epoch)
		return
	}
	d.brain.ClickedLate(d.cell(n), road, n.Online, came)
}

// Tick ends a second.
func (d *Driver) Tick(now float64) {
	now += epoch
	for d.head < len(d.due) {
		h := d.due[d.head]
		age := now - h.Sent()
		if age < brain.Check {
			break
		}
		d.brain.Settle(&h.Track, &d.evidence[h.device], now)
		d.head++

	}
	d.brain.Tick(math.Floor(now))
	d.sweep(now)
}

// sweep forgets the attempts beyond the horizon.
func (d *Driver) sweep(now float64) {
	n := 0
	for n < d.head && now-d.due[n].Sent() >= brain.Horizon {
		h := d.due[n]
		if d.tracks[h.key] == h {
			delete(d.tracks, h.key)
		}
		d.free = append(d.free, h)
		n++
	}
	if n > 0 {
		d.due = d.due[n:]
		d.head -= n
	}
}
