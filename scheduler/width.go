package scheduler

import "time"

// width is how many requests a lane may have in flight. It leaps up until the
// first trouble, then grows slowly, and shrinks when the provider throttles,
// fails, or takes much longer to answer than it does when we leave it room.
type width struct {
	limit float64
	most  float64

	fast    float64   // seconds to an answer lately, smoothed
	base    float64   // seconds to an answer where nobody queues
	samples int       // answers seen, or since the cut while settling
	shrunk  time.Time // when limit was last lowered; zero while it still leaps up
	refused time.Time // when the provider last asked for less, or failed

	// After a cut for slowness the width waits for answers to what was begun
	// since: only they tell whether we were the cause.
	settling   bool
	before     float64 // the limit before the cut
	slow       float64 // seconds to an answer then
	sumSettled float64
}

const (
	growth     = 4     // requests a round trip, once it no longer leaps
	swift      = 0.125 // of the width a round trip, where the provider has asked for nothing lately
	lately     = 10 * time.Second
	again      = time.Second            // between two cuts to learn what the base is
	leastRound = 100 * time.Millisecond // a round trip counts as at least this long
	// slack is how much slower than twice its base a provider may be: below that
	// it is the network's or our own machine's business.
	slack   = 100 * time.Millisecond
	learned = 10 // answers from which a time is more than chance
)

// answered notes an answer to a request begun at a time; full tells whether the
// lane's whole width was in use.
func (w *width) answered(began, now time.Time, full bool) {
	took := now.Sub(began).Seconds()
	if w.settling {
		w.settle(took, began)
		return
	}
	w.samples++
	if w.samples <= learned { // a plain mean until it means something
		w.fast += (took - w.fast) / float64(w.samples)
		w.base = w.fast
	} else {
		w.fast += (took - w.fast) / 20
		w.base = min(w.base, w.fast)
	}
	switch {
	case w.samples > learned && full && w.fast > 2*w.base+slack.Seconds():
		w.cut(0.9*w.base/w.fast, now)
	case w.samples > learned && full && w.fast > 2*w.base && now.Sub(w.shrunk) > again:
		w.cut(0.5, now) // perhaps the provider is further away than it was
	case full:
		w.grow(now)
	}
}

// cut lowers the limit to a part of it, and has the base learned anew.
func (w *width) cut(to float64, now time.Time) {
	w.before, w.slow = w.limit, w.fast
	w.limit = max(1, w.limit*to)
	w.shrunk, w.settling, w.samples, w.sumSettled = now, true, 0, 0
}

// settle learns the base anew from what was begun after the cut. Where we
// queued, answers come faster by as much as we send less; where they hardly do,
// the provider itself takes so long, and the width is given back.
func (w *width) settle(took float64, began time.Time) {
	if began.Before(w.shrunk) {
		return
	}
	w.samples++
	w.sumSettled += took
	if w.samples < max(learned, int(w.limit/2)) {
		return
	}
	mean := w.sumSettled / float64(w.samples)
	if 2*mean > w.slow*(1+w.limit/w.before) {
		w.limit, w.base = max(w.limit, w.before), mean
	}
	w.settling, w.samples, w.fast, w.base = false, learned, mean, min(w.base, mean)
}

// grow raises the limit: by leaps until the first trouble, then by an eighth
// each time all have been answered once, and by a few requests only where what
// the provider bears is near: it has asked for less, or begins to take longer.
func (w *width) grow(now time.Time) {
	step := 1.0
	if !w.shrunk.IsZero() {
		step = growth / w.limit
		if now.Sub(w.refused) > lately && w.fast < 1.1*w.base {
			step = max(step, swift)
		}
		step *= min(1, max(w.fast, 0.01)/leastRound.Seconds())
	}
	w.limit = min(w.most, w.limit+step)
}

// shrink lowers the limit, but not more than once for the same trouble.
func (w *width) shrink(by float64, now time.Time) {
	if round := max(leastRound.Seconds(), w.fast); w.shrunk.IsZero() || now.Sub(w.shrunk).Seconds() > round {
		w.limit, w.shrunk, w.settling = max(1, w.limit*by), now, false
	}
	w.refused = now
}

// perSecond is what goes through at this width; 0 if that is not known yet.
func (w *width) perSecond() float64 {
	if w.fast <= 0 {
		return 0
	}
	return w.limit / w.fast
}
