package brain

import (
	"math"
	"math/bits"
)

// window is how many seconds receipts are expected for after a send.
const window = 64

// level says how narrow a segment is.
type level uint8

const (
	everybody level = iota
	inCountry
	ofMaker
	atCarrier // country × carrier
	levels
)

// place names a segment: the devices of a country, a maker or a carrier.
type place struct {
	level            level
	country, carrier uint16
	maker            uint16
}

func placesOf(f Features) [levels]place {
	return [levels]place{
		everybody: {level: everybody},
		inCountry: {level: inCountry, country: f.Country},
		ofMaker:   {level: ofMaker, maker: f.Maker},
		atCarrier: {level: atCarrier, country: f.Country, carrier: f.Carrier},
	}
}

// monitor watches how many receipts come against how many should, second by
// second, for each provider as a whole and in narrower segments.
type monitor struct {
	providers int
	delays    *delays
	places    map[place]int32
	keys      []place
	segments  []*segment // place × providers; nil until used
	active    [][]*segment
	sick      uint32 // providers with a sick segment, a bit each
	changed   bool   // some health has changed since the last call of settle
	second    int64
	// grace is until when no further segment of a provider is judged, because
	// what it misses may be the fault of the one that has just fallen sick.
	grace []int64
}

// segment is one provider's traffic to one place.
type segment struct {
	place    place
	provider int
	second   int64           // the newest that sends has
	last     int64           // the newest with a send
	sends    [window]float32 // receipts that will come of each second's sends
	got      float32         // this second
	gotNew   float32         // of them, of sends since it fell sick

	expected, came float32 // lately, older seconds fading
	gone           float32 // CUSUMs for a rate of 0.03,
	dead, weak     float32 // of 0.25 and of 0.65
	refusal        float32 // CUSUM of refusals

	state     sickness
	since     int64
	health    float32
	due, seen float32 // since it fell sick, remembering the last recall
	up        float32 // CUSUM of getting well
	quiet     float32 // seconds without anything to tell
}

type sickness uint8

const (
	healthy  sickness = iota
	silent            // receipts stay out
	refusing          // attempts are refused
)

const (
	threshold    = 9
	hiccups      = 3 // seconds
	recovery     = 2.5
	goneRate     = 0.03
	deadRate     = 0.25
	weakRate     = 0.65
	wellRate     = 0.85
	lnGone       = -3.506558 // ln(goneRate)
	lnDead       = -1.386294 // ln(deadRate)
	lnWeak       = -0.430783 // ln(weakRate)
	recall       = 50
	forget       = 0.95 // of expected and came, a second
	worstHealth  = 0.02
	refusalGain  = 3.2  // ln(0.5 / 0.02)
	refusalLoss  = 0.67 // -ln(0.5 / 0.98)
	explains     = 0.75 // of what is missing, for a narrow segment to be blamed alone
	outsideWell  = 0.8  // of what should come elsewhere, likewise
	quietForgets = 600
	graceSeconds = 15
	chronic      = 4 * 3600 // seconds
)

func newMonitor(providers int, d *delays) *monitor {
	return &monitor{providers: providers, delays: d, places: map[place]int32{}, active: make([][]*segment, providers), grace: make([]int64, providers)}
}

func (m *monitor) segmentsOf(f Features) (all [levels]int32) {
	for k, p := range placesOf(f) {
		i, ok := m.places[p]
		if !ok {
			i = int32(len(m.keys))
			m.places[p] = i
			m.keys = append(m.keys, p)
			m.segments = append(m.segments, make([]*segment, m.providers)...)
		}
		all[k] = i
	}
	return all
}

// of is the health of a provider for a kind of device: that of the sickest
// segment that it is in.
func (m *monitor) of(c *cell, provider int) float32 {
	if m.sick&(1<<provider) == 0 {
		return 1
	}
	h := float32(1)
	for _, i := range c.segments {
		if s := m.segments[int(i)*m.providers+provider]; s != nil && s.state != healthy {
			h = min(h, s.health)
		}
	}
	return h
}

// mutes is the health by which silence is forgiven. A sickness that lasts for
// hours is what the road is like now, and is learned from like anything else.
func (m *monitor) mutes(c *cell, provider int, now float64) float32 {
	h := m.of(c, provider)
	if h == 1 {
		return 1
	}
	s := m.why(c, provider)
	lasting := now - float64(s.since) - chronic
	if lasting <= 0 {
		return h
	}
	return h + (1-h)*float32(1-math.Exp2(-lasting/chronic))
}

// why is the segment that makes a road sick, nil if it is well.
func (m *monitor) why(c *cell, provider int) (worst *segment) {
	for _, i := range c.segments {
		s := m.segments[int(i)*m.providers+provider]
		if s != nil && s.state != healthy && (worst == nil || s.health < worst.health) {
			worst = s
		}
	}
	return worst
}

func (m *monitor) segment(i int32, provider int) *segment {
	at := int(i)*m.providers + provider
	s := m.segments[at]
	if s == nil {
		s = &segment{place: m.keys[i], provider: provider, second: m.second, health: 1}
		m.segments[at] = s
		m.active[provider] = append(m.active[provider], s)
	}
	return s
}

// sent notes an attempt of which a receipt is expected with a probability.
func (m *monitor) sent(c *cell, provider int, now float64, probability float32) {
	second := max(int64(now), m.second)
	for k, i := range c.segments {
		s := m.segment(i, provider)
		s.turn(second)
		s.sends[second%window] += probability * m.excuse(c, provider, k)
		s.last = second
		s.refusal = max(0, s.refusal-refusalLoss)
		if s.state == refusing {
			s.answer(true)
		}
	}
	m.changed = m.changed || m.sick&(1<<provider) != 0
}

// excuse is the part of the receipts that a segment can expect because other
// segments of the same device are known to be sick.
func (m *monitor) excuse(c *cell, provider, but int) float32 {
	if m.sick&(1<<provider) == 0 {
		return 1
	}
	h := float32(1)
	for k, i := range c.segments {
		if s := m.segments[int(i)*m.providers+provider]; k != but && s != nil && s.state != healthy {
			h = min(h, s.health)
		}
	}
	return h
}

// turn makes room for the sends of a second.
func (s *segment) turn(second int64) {
	for ; s.second < second; s.second++ {
		s.sends[(s.second+1)%window] = 0
		if second-s.second > window { // all of it is past
			s.sends = [window]float32{}
			s.second = second - 1
		}
	}
}

// received notes a receipt. It reports whether the road was well, so that the
// age of the receipt is typical.
func (m *monitor) received(c *cell, provider int, sent, age float64, watched bool) (typical bool) {
	typical = m.sick&(1<<provider) == 0 || m.of(c, provider) == 1
	if age > window-1 || !watched {
		return typical
	}
	for _, i := range c.segments {
		s := m.segment(i, provider)
		s.got++
		if int64(sent) >= s.since {
			s.gotNew++
		}
	}
	return typical
}

// refused notes an attempt that the provider did not take.
func (m *monitor) refused(c *cell, provider int) {
	for k, i := range c.segments {
		s := m.segment(i, provider)
		s.refusal += refusalGain
		switch {
		case s.state == refusing:
			s.answer(false)
			m.changed = true
		case s.refusal >= threshold && s.state == healthy && (level(k) == everybody || m.others(c, provider, s)):
			s.fall(refusing, m.second, 0.1)
			m.sick |= 1 << provider
			m.changed = true
		}
	}
}

// others reports whether the provider takes attempts from elsewhere, so that a
// narrow segment is to blame and not the whole.
func (m *monitor) others(c *cell, provider int, s *segment) bool {
	all := m.segment(c.segments[everybody], provider)
	return all.state == healthy && all.refusal < s.refusal
}

// answer follows the health of a refusing segment by its attempts.
func (s *segment) answer(taken bool) {
	yes := float32(0)
	if taken {
		yes = 1
	}
	s.health = max(worstHealth, 0.75*s.health+0.25*yes)
	if s.health > 0.7 {
		s.recover()
	}
}

func (s *segment) fall(into sickness, second int64, health float32) {
	s.state, s.since, s.health = into, second, max(health, worstHealth)
	s.due, s.seen = 3, 3*s.health
	s.up, s.gotNew, s.quiet = 0, 0, 0
}

func (s *segment) recover() {
	s.state, s.health = healthy, 1
	s.calm()
}

func (s *segment) calm() {
	s.gone, s.dead, s.weak, s.refusal, s.up = 0, 0, 0, 0, 0
	s.expected, s.came = 0, 0
}

// note says which providers are sick.
func (m *monitor) note() {
	before := m.sick
	m.sick = 0
	for p, all := range m.active {
		for _, s := range all {
			if s.state != healthy {
				m.sick |= 1 << p
				break
			}
		}
	}
	m.changed = m.changed || before != m.sick
}

// sickProviders counts the providers with a sick segment.
func (m *monitor) sickProviders() int { return bits.OnesCount32(m.sick) }
