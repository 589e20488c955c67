package sim

import "math/rand/v2"

// Kind is how an outage shows.
type Kind uint8

// The kinds of outage.
const (
	Refuses  Kind = iota // attempts are refused
	Silent               // taken, and nothing arrives
	Partial              // half of it arrives
	Slow                 // arrives late
	Receipts             // arrives, and no receipt tells
)

// Outage is a time in which a road is sick, everywhere or in one place.
type Outage struct {
	Name     string
	Road     int
	Kind     Kind
	From, To float64
	Country  int // -1: everywhere
	Carrier  int // -1: all
	Maker    int // -1: all
}

// survives is the part of the messages that still arrives.
func (o *Outage) survives() float64 {
	switch o.Kind {
	case Refuses, Silent:
		return 0.01
	case Partial:
		return 0.4
	default:
		return 1
	}
}

func (o *Outage) slows() float64 {
	if o.Kind == Slow {
		return 60
	}
	return 1
}

// outagesOf lays nine outages over the days, after the first. Where there are
// fewer than two days they are shorter.
func outagesOf(cfg Config, rng *rand.Rand) []Outage {
	all := []Outage{
		{Name: "silent everywhere", Road: Xiaomi, Kind: Silent, To: 7200, Country: -1, Carrier: -1, Maker: -1},
		{Name: "refuses everywhere", Road: FCM, Kind: Refuses, To: 5400, Country: -1, Carrier: -1, Maker: -1},
		{Name: "silent in one country", Road: Huawei, Kind: Silent, To: 7200, Country: 0, Carrier: -1, Maker: -1},
		{Name: "half arrives", Road: Oppo, Kind: Partial, To: 10800, Country: -1, Carrier: -1, Maker: -1},
		{Name: "slow", Road: FCM, Kind: Slow, To: 7200, Country: -1, Carrier: -1, Maker: -1},
		{Name: "no receipts", Road: Vivo, Kind: Receipts, To: 7200, Country: -1, Carrier: -1, Maker: -1},
		{Name: "silent at one carrier", Road: FCM, Kind: Silent, To: 10800, Country: 1, Carrier: 0, Maker: -1},
		{Name: "ten minutes", Road: Huawei, Kind: Silent, To: 600, Country: -1, Carrier: -1, Maker: -1},
		{Name: "live silent in one country", Road: Live, Kind: Silent, To: 3600, Country: 4, Carrier: -1, Maker: -1},
	}
	span := cfg.Days * day
	for i := range all {
		o := &all[i]
		o.From = span * (0.12 + 0.85*(float64(i)+0.6*rng.Float64())/float64(len(all)))
		o.To = o.From + o.To*min(1, cfg.Days/2)
	}
	return all
}

// outage finds the one that a message would meet.
func (w *World) outage(n *Notice, d *device, road int) *Outage {
	for i := range w.outages {
		o := &w.outages[i]
		if o.Road == road && n.At >= o.From && n.At < o.To &&
			(o.Country < 0 || o.Country == int(d.country)) &&
			(o.Carrier < 0 || o.Carrier == int(d.carrier)) &&
			(o.Maker < 0 || o.Maker == int(d.maker)) {
			return o
		}
	}
	return nil
}
