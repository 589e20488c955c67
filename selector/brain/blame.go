package brain

import "math"

// tick ends a second: it compares, and draws the conclusions.
func (m *monitor) tick(second int64) {
	m.second = second
	for p, all := range m.active {
		var whole *segment
		due := make([]float32, 0, 64)
		for _, s := range all {
			s.turn(second)
			if s.place.level == everybody {
				whole = s
			}
			due = append(due, s.due0(second, &m.delays.second[p]))
		}
		if whole == nil {
			continue
		}
		m.compare(p, all, due, whole)
	}
	m.note()
}

// due0 is how many receipts should have come in this second.
func (s *segment) due0(second int64, curve *[window]float32) (sum float32) {
	if second-s.last >= window {
		return 0
	}
	for age := range int64(window) {
		sum += s.sends[(second-age)%window] * curve[age]
	}
	return sum
}

// dueNew is the same of what was sent since it fell sick.
func (s *segment) dueNew(second int64, curve *[window]float32) (sum float32) {
	for age := int64(0); age < window && second-age >= s.since; age++ {
		sum += s.sends[(second-age)%window] * curve[age]
	}
	return sum
}

// compare judges all segments of a provider.
func (m *monitor) compare(provider int, all []*segment, due []float32, whole *segment) {
	curve := &m.delays.second[provider]
	for i, s := range all {
		e := due[i]
		got := s.got
		s.got = 0
		s.expected = forget*s.expected + e
		s.came = forget*s.came + got
		switch {
		case s.state == silent:
			fresh := s.gotNew
			s.gotNew = 0
			m.changed = true
			s.follow(s.dueNew(m.second, curve), fresh)
		case s.state == refusing:
			s.gotNew = 0
			s.linger()
		case s != whole && whole.state != healthy, m.second < m.grace[provider]:
			s.calm()
		default:
			s.gone = suspect(s.gone, got*lnGone+(1-goneRate)*e)
			s.dead = suspect(s.dead, got*lnDead+(1-deadRate)*e)
			s.weak = suspect(s.weak, got*lnWeak+(1-weakRate)*e)
		}
	}
	m.blame(all, whole)
}

// suspect adds a second's evidence to a CUSUM. However many receipts one second
// misses, it takes hiccups of them to raise the alarm: a machine or a network that
// holds its breath for a moment is not a road that fell sick.
func suspect(sum, evidence float32) float32 {
	return max(0, sum+min(evidence, threshold/hiccups))
}

func ln(x float64) float32 { return float32(math.Log(x)) }

// blame finds who fell sick: the narrowest segment that explains what is
// missing, one at a time.
func (m *monitor) blame(all []*segment, whole *segment) {
	if whole.state != healthy {
		return
	}
	guilty := whole
	if !whole.trips() {
		guilty = nil
		for _, s := range all {
			if s.trips() && (guilty == nil || s.ratio() < guilty.ratio()) {
				guilty = s
			}
		}
	}
	if guilty == nil {
		return
	}
	if narrower := explain(guilty, all); narrower != nil {
		guilty = narrower
	}
	guilty.fall(silent, m.second, guilty.ratio())
	m.grace[guilty.provider] = m.second + graceSeconds
	for _, s := range all {
		switch {
		case s == guilty:
		case guilty == whole && s.state == silent:
			s.recover()
		case s.state == healthy:
			s.calm()
		}
	}
}

func (s *segment) trips() bool {
	return s.state == healthy && max(s.gone, s.dead, s.weak) >= threshold
}

func (s *segment) ratio() float32 { return min(1, (s.came+0.2)/(s.expected+0.5)) }

// explain finds a segment inside wide that alone accounts for what is missing.
func explain(wide *segment, all []*segment) (guilty *segment) {
	missing := wide.expected - wide.came
	for _, s := range all {
		inside := s != wide && s.state == healthy && s.place.level > wide.place.level &&
			(wide.place.level == everybody || (s.place.level == atCarrier && s.place.country == wide.place.country))
		if !inside || s.expected < 2 {
			continue
		}
		outside := wide.expected - s.expected
		well := wide.came - s.came
		if outside < 2 || s.expected-s.came < explains*missing || well < outsideWell*outside {
			continue
		}
		if guilty == nil || s.ratio() < guilty.ratio() || s.place.level > guilty.place.level && s.ratio() < guilty.ratio()+0.1 {
			guilty = s
		}
	}
	return guilty
}

// follow tracks a silent segment by what was sent since, probes mostly.
func (s *segment) follow(due, got float32) {
	s.due += due
	s.seen += got
	if s.due > recall {
		s.seen *= recall / s.due
		s.due = recall
	}
	s.health = min(1, max(worstHealth, s.seen/s.due))
	now := min(max(s.health, 0.05), 0.7)
	s.up = max(0, s.up+got*ln(wellRate/float64(now))+due*(now-wellRate))
	if s.up > recovery || s.health > 0.9 && s.due > 10 {
		s.recover()
		return
	}
	if due > 0.002 {
		s.quiet = 0
		return
	}
	s.linger()
}

// linger forgives a segment that nothing has been heard of for long.
func (s *segment) linger() {
	if s.quiet++; s.quiet > quietForgets {
		s.recover()
	}
}
