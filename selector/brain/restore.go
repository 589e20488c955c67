package brain

// mostReplayed bounds the steps that one count of the record is worth: the
// attempts behind it were to devices of which nothing else is known.
const mostReplayed = 60

// Replay learns from a count: of so many attempts so many were proven. It is
// how shared effects are rebuilt from the record when nothing better is kept.
func (b *Brain) Replay(cell int32, provider int, online bool, tried, proven float64, now float64) {
	if tried <= 0 {
		return
	}
	steps := int(min(tried, mostReplayed))
	share, yes := min(1, proven/tried), 0.0
	for i := range steps {
		var e Evidence
		t := Track{sent: now, cell: cell, provider: uint8(provider), online: online, health: 1}
		if want := share * float64(i+1); want-yes >= 0.5 {
			yes++
			t.proven = true
		}
		b.Settle(&t, &e, now)
	}
}

// ReplayDelay counts receipts of an age.
func (b *Brain) ReplayDelay(provider int, online bool, age float64, receipts float64) {
	b.delays.counts[at(provider, online)][bucket(age)] += float32(min(receipts, delayMemory))
	b.delays.refresh()
}

// ReplayCoverage counts messages that arrived for certain, and of how many a
// receipt came.
func (b *Brain) ReplayCoverage(provider int, country uint16, online bool, arrived, came float64) {
	b.coverage.grow(country)
	i := at(provider, online)
	for _, s := range []*share{&b.coverage.all[i], &b.coverage.country[int(country)*2*b.providers+i]} {
		scale := float32(min(1, coverMemory/max(1, arrived)))
		s.of += float32(arrived) * scale
		s.yes += float32(min(came, arrived)) * scale
	}
}

// Curves are what a brain has learned beside its effects: how receipts come,
// and for how much of what arrives.
type Curves struct {
	Delays  [][]float32 // by provider × 2 + online
	Shares  [][2]float32
	Country []CountryShare
}

// CountryShare is the coverage in one country.
type CountryShare struct {
	Country       uint16
	Provider      uint8
	Online        bool
	Came, Arrived float32
}

// Curves copies them out.
func (b *Brain) Curves() (c Curves) {
	for i := range b.delays.counts {
		c.Delays = append(c.Delays, append([]float32(nil), b.delays.counts[i][:]...))
		c.Shares = append(c.Shares, [2]float32{b.coverage.all[i].yes, b.coverage.all[i].of})
	}
	for j, s := range b.coverage.country {
		if s.of > 0 {
			i := j % (2 * b.providers)
			c.Country = append(c.Country, CountryShare{uint16(j / (2 * b.providers)), uint8(i / 2), i%2 == 1, s.yes, s.of})
		}
	}
	return c
}

// SetCurves replaces them; what does not fit is left out.
func (b *Brain) SetCurves(c Curves) {
	for i := range min(len(c.Delays), len(b.delays.counts)) {
		if len(c.Delays[i]) == buckets {
			copy(b.delays.counts[i][:], c.Delays[i])
		}
	}
	for i := range min(len(c.Shares), len(b.coverage.all)) {
		b.coverage.all[i] = share{c.Shares[i][0], c.Shares[i][1]}
	}
	for _, s := range c.Country {
		if int(s.Provider) < b.providers {
			b.coverage.grow(s.Country)
			b.coverage.country[int(s.Country)*2*b.providers+at(int(s.Provider), s.Online)] = share{s.Came, s.Arrived}
		}
	}
	b.delays.refresh()
}

// Beliefs lists every shared effect that something is known of.
func (b *Brain) Beliefs() []Belief { return b.effects.beliefs(nil) }

// Believe replaces shared effects by those of a snapshot.
func (b *Brain) Believe(beliefs []Belief) {
	for _, x := range beliefs {
		b.effects.believe(x)
	}
}
