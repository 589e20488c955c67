package scheduler

import (
	"math"
	"time"

	"golang.org/x/time/rate"
)

// pace is how many requests a second a lane begins: at most what the provider
// documents, this process' share of it, and at most what it has shown to bear.
// The zero pace has no bound.
type pace struct {
	bucket   *rate.Limiter // nil without a bound
	declared float64       // requests a second of this process; 0 is no bound
	learned  float64       // what throttling has taught; 0 is nothing
	eased    time.Time     // when learned last changed,
	step     float64       // and by how much it grows next time
	largest  int           // the largest batch there was

	passed meter // requests taken by the provider
}

const (
	backOff   = 0.9         // of what went through when the provider throttled
	leastStep = 0.05        // growth of what was learned; it doubles each time,
	mostStep  = 0.4         // up to this
	easeTime  = time.Second // between the times
	// burstTime is how much of a second's requests may begin at once.
	burstTime = 0.05
)

// take begins n requests if the pace allows it now. Where it does not, after is
// when it may.
func (p *pace) take(n int, now time.Time) (after time.Duration) {
	if p.bucket == nil {
		return 0
	}
	p.ease(now)
	if p.bucket == nil {
		return 0
	}
	if n > p.bucket.Burst() { // a batch larger than the bucket makes it larger
		p.largest = n
		p.bucket.SetBurstAt(now, n)
	}
	if p.bucket.AllowN(now, n) {
		return 0
	}
	lack := float64(n) - p.bucket.TokensAt(now)
	return max(time.Millisecond, time.Duration(lack/float64(p.bucket.Limit())*float64(time.Second)))
}

// declare sets this process' share of what the provider documents.
func (p *pace) declare(perSecond float64, now time.Time) {
	if perSecond != p.declared {
		p.declared = perSecond
		p.set(now)
	}
}

// throttled learns from a provider that asked us to slow down without saying
// for how long: it goes on a little slower than it went.
func (p *pace) throttled(now time.Time) {
	if now.Sub(p.eased) < easeTime/2 || p.passed.young(now) {
		return // the same trouble; or nobody knows yet how it went
	}
	if went := p.passed.perSecond(now); p.learned == 0 || went < p.learned {
		p.learned = max(1, backOff*went)
	} else {
		p.learned *= backOff
	}
	p.eased, p.step = now, leastStep
	p.set(now)
}

// ease tries, step by step, whether the provider bears more again.
func (p *pace) ease(now time.Time) {
	if p.learned == 0 || now.Sub(p.eased) < easeTime {
		return
	}
	p.learned, p.eased, p.step = p.learned*(1+p.step), now, min(2*p.step, mostStep)
	if p.learned > 4*max(10, p.passed.perSecond(now)) { // it is no bound any more
		p.learned = 0
	}
	p.set(now)
}

func (p *pace) set(now time.Time) {
	bound := p.perSecond()
	if bound == 0 {
		p.bucket = nil
		return
	}
	burst := max(1, int(math.Round(bound*burstTime)))
	if p.bucket == nil {
		p.bucket = rate.NewLimiter(rate.Limit(bound), burst)
		return
	}
	p.bucket.SetLimitAt(now, rate.Limit(bound))
	p.bucket.SetBurstAt(now, max(burst, p.largest))
}

// perSecond is the bound; 0 is none.
func (p *pace) perSecond() float64 {
	switch {
	case p.declared == 0:
		return p.learned
	case p.learned == 0:
		return p.declared
	}
	return min(p.declared, p.learned)
}

// meter counts by the second.
type meter struct {
	second  time.Time // when the count began
	count   float64
	current float64 // the rate of the second before
}

func (m *meter) add(n int, now time.Time) {
	m.roll(now)
	m.count += float64(n)
}

// perSecond is the rate of the last whole second, or of the one under way if
// that is higher.
func (m *meter) perSecond(now time.Time) float64 {
	m.roll(now)
	return max(m.current, m.count/max(now.Sub(m.second).Seconds(), leastRound.Seconds()))
}

// steady is the rate over the last second or two, for people to read.
func (m *meter) steady(now time.Time) float64 {
	m.roll(now)
	past := now.Sub(m.second).Seconds()
	return (m.current + m.count) / (1 + past)
}

// young tells whether too little time has been counted to know a rate.
func (m *meter) young(now time.Time) bool {
	m.roll(now)
	return m.current == 0 && now.Sub(m.second) < time.Second/4
}

func (m *meter) roll(now time.Time) {
	past := now.Sub(m.second)
	switch {
	case past < time.Second:
		return
	case past < 2*time.Second:
		m.current = m.count / past.Seconds()
	default: // nothing for a while
		m.current = 0
	}
	m.second, m.count = now, 0
}
