package brain

// Track is one attempt whose receipt is waited for. The caller keeps it from
// the send until [Horizon] is over.
type Track struct {
	sent     float64
	cell     int32
	provider uint8
	online   bool
	watched  bool    // its receipt counts for the road's health
	proven   bool    // a receipt or a click has come
	settled  bool    // what came of it was learned, once
	silent   bool    // as silence, by the step below
	health   float32 // when it was sent
	gradient float32 // of the step that silence made
	inform   float32 // information of it
}

// surest is as sure as an arrival is ever believed. Surer ones would teach that
// every silence is a lost receipt, and a road that breaks would stay believed.
const surest = 0.985

// Provider is the road of the attempt.
func (t *Track) Provider() int { return int(t.provider) }

// Sent is when it was sent.
func (t *Track) Sent() float64 { return t.sent }

// Proven reports whether a receipt or a click has come.
func (t *Track) Proven() bool { return t.proven }

// Send begins to wait for the receipt of an attempt that the provider took.
// Without expect its silence will say nothing about the road's health: nobody
// knows yet whether its receipts come at all. reach is the probability that the
// device can be reached at all and the provider has the message: 1 for a first
// attempt; what [Brain.Reach] says for one that follows a silence, whose own
// silence is partly foretold by that. A receipt counts in full.
func (b *Brain) Send(cell int32, e *Evidence, provider int, online bool, now float64, expect bool, reach float32) Track {
	c := &b.kinds[cell]
	g := b.belief(c, e, provider, online, now)
	if b.health.sick&(1<<provider) == 0 { // a sick road is watched whatever is known, or it would never be well
		expect = expect && b.familiar(b.shared(c, b2i(online), provider))
	}
	likely := float32(0)
	if expect {
		likely = min(b.curves.chance(g.m), surest) * b.coverage.of(provider, c.Country, online) * reach
	}
	b.health.sent(c, provider, now, likely)
	return Track{
		sent: now, cell: cell, provider: uint8(provider), online: online, watched: expect,
		health: b.health.mutes(c, provider, now) * reach,
	}
}

// unreachable is how many devices are out of reach of every road at a time,
// about: without network, or switched off.
const unreachable = 0.1

// Reach is the probability that a device can be reached by any road, now that an
// attempt has brought no receipt yet: the surer that attempt was, the less.
func (b *Brain) Reach(t *Track, e *Evidence, now float64) float32 {
	c := &b.kinds[t.cell]
	p := int(t.provider)
	q := b.coverage.of(p, c.Country, t.online) * t.health * b.delays.share[at(p, t.online)].by(now-t.sent)
	pi := min(b.curves.chance(b.belief(c, e, p, t.online, now).m), surest)
	return 1 - unreachable/(unreachable+(1-unreachable)*(1-q*pi))
}

// familiar reports whether a road is known well enough to miss its receipts: to
// about an eighth of all messages.
func (b *Brain) familiar(g gauss) bool {
	pi := b.curves.chance(g.m)
	return pi*(1-pi)*sqrt(g.v) < 0.12
}

// belief is the whole belief of a road right now, not as it was last summed up.
func (b *Brain) belief(c *cell, e *Evidence, provider int, online bool, now float64) gauss {
	g := b.shared(c, b2i(online), provider)
	own := gauss{0, b.cfg.Device}
	if i := e.slot(provider); i >= 0 {
		own = e.get(i).faded(e.fade(now, b.cfg.HalfLife), b.cfg.Device)
	}
	return gauss{g.m + own.m, g.v + own.v}
}

// Refused counts an attempt that the provider refused for reasons of its own.
func (b *Brain) Refused(cell int32, provider int, now float64) {
	b.health.refused(&b.kinds[cell], provider)
}

// Dead notes that a provider calls the device's token dead, where the token
// cannot be forgotten.
func (b *Brain) Dead(e *Evidence, provider int, now float64) {
	e.relax(now, b.cfg.Device, b.cfg.HalfLife)
	e.set(e.make(provider, b.cfg.Device), gauss{-4, 1})
}

// sayNothing is the chance of a receipt below which its absence is no news.
const sayNothing = 0.2

// Settle learns what came of an attempt at the age of [Config.Check]: a receipt, or
// silence. Both are learned in the order of sending, so that a campaign's many
// receipts do not all count before its silences.
func (b *Brain) Settle(t *Track, e *Evidence, now float64) {
	if t.settled {
		return
	}
	t.settled = true
	if t.proven {
		b.arrived(t, e, now)
	} else {
		b.silent(t, e, now)
	}
}

// Settled reports whether the attempt was learned from.
func (t *Track) Settled() bool { return t.settled }

func (b *Brain) silent(t *Track, e *Evidence, now float64) {
	c := &b.kinds[t.cell]
	q := b.covered(t, c, now)
	if q < sayNothing {
		return
	}
	g := b.belief(c, e, int(t.provider), t.online, now)
	pi := min(b.curves.chance(g.m), surest)
	silence := 1 - q*pi
	t.silent = true
	t.gradient = -q * pi * (1 - pi) / silence
	t.inform = q * pi * (1 - pi) * (1 - pi) / silence
	gain := 1 / (1 + t.inform*g.v)
	t.gradient *= gain
	t.inform *= gain
	b.step(t, c, e, now, t.gradient, t.inform)
}

// covered is the probability that a receipt of what arrived has come by
// [Config.Check]. Where the road was sick, then or now, hardly.
func (b *Brain) covered(t *Track, c *cell, now float64) float32 {
	p := int(t.provider)
	h := min(t.health, b.health.mutes(c, p, now))
	q := b.coverage.of(p, c.Country, t.online) * h * b.delays.share[at(p, t.online)].by(b.cfg.Check)
	return min(q, 0.999)
}

// Proof counts a receipt, age seconds after the send. Before [Config.Check] it is only
// noted; after it, if silence was learned, that very step is taken back first.
func (b *Brain) Proof(t *Track, e *Evidence, age, now float64) {
	if t.proven {
		return
	}
	if b.health.received(&b.kinds[t.cell], int(t.provider), t.sent, age, t.watched) {
		b.delays.count(int(t.provider), t.online, age)
	}
	b.proven(t, e, now)
}

func (b *Brain) proven(t *Track, e *Evidence, now float64) {
	t.proven = true
	if !t.settled {
		return
	}
	if t.silent {
		b.unstep(t, &b.kinds[t.cell], e, now)
		t.silent = false
	}
	b.arrived(t, e, now)
}

func (b *Brain) arrived(t *Track, e *Evidence, now float64) {
	c := &b.kinds[t.cell]
	q := b.covered(t, c, now)
	g := b.belief(c, e, int(t.provider), t.online, now)
	pi := min(b.curves.chance(g.m), surest)
	inform := q * pi * (1 - pi) * (1 - pi) / (1 - q*pi)
	gain := 1 / (1 + inform*g.v)
	b.step(t, c, e, now, (surest-pi)*gain, inform*gain)
}

// Clicked counts a message that a person clicked or its app reported: it has
// arrived, with its receipt or without.
func (b *Brain) Clicked(t *Track, e *Evidence, now float64) {
	b.coverage.count(int(t.provider), b.kinds[t.cell].Country, t.online, t.proven)
	if !t.proven {
		// It shows that the road works, though not how fast its receipts come.
		b.health.received(&b.kinds[t.cell], int(t.provider), t.sent, min(now-t.sent, window-2), t.watched)
		b.proven(t, e, now)
	}
}

// ClickedLate is [Brain.Clicked] for an attempt that is waited for no more.
func (b *Brain) ClickedLate(cell int32, provider int, online, came bool) {
	b.coverage.count(provider, b.kinds[cell].Country, online, came)
}

func (b *Brain) step(t *Track, c *cell, e *Evidence, now float64, gradient, inform float32) {
	for _, row := range c.rows[b2i(t.online)] {
		j := int(row)*b.providers + int(t.provider)
		b.effects.now[j] = b.effects.now[j].move(gradient, inform)
		b.effects.dirty[row] = true
	}
	e.relax(now, b.cfg.Device, b.cfg.HalfLife)
	i := e.make(int(t.provider), b.cfg.Device)
	e.set(i, e.get(i).move(gradient, inform))
}

func (b *Brain) unstep(t *Track, c *cell, e *Evidence, now float64) {
	for _, row := range c.rows[b2i(t.online)] {
		j := int(row)*b.providers + int(t.provider)
		prior := b.cfg.Spread[b.effects.keys[row].Family]
		b.effects.now[j] = b.effects.now[j].unmove(t.gradient, t.inform, prior)
		b.effects.dirty[row] = true
	}
	e.relax(now, b.cfg.Device, b.cfg.HalfLife)
	if i := e.slot(int(t.provider)); i >= 0 {
		e.set(i, e.get(i).unmove(t.gradient, t.inform, b.cfg.Device))
	}
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}
