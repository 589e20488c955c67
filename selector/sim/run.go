package sim

import (
	"math"
	"math/rand/v2"
)

// Policy is a way to choose roads. It is told what a gateway would be told.
type Policy interface {
	// Choose picks one of the notice's roads. propensity is the probability with
	// which it was to be picked, 1 if the policy has no doubts. truth is for
	// oracles alone.
	Choose(n *Notice, truth *Truth) (road int, propensity float64)
	Sent(n *Notice, road int)
	Refused(n *Notice, road int)
	Receipt(n *Notice, road int, age, now float64)
	Timeout(n *Notice, road int)
	Clicked(n *Notice, road int, came bool, now float64)
	Tick(now float64)
	// Patience is after how many seconds of silence a critical message also
	// goes out as an SMS.
	Patience(n *Notice, road int) float64
}

// event is something that a policy will be told.
type event struct {
	n       Notice
	road    int
	kind    eventKind
	age     float64
	arrived float64 // seconds after the send that it arrived; infinite is never
	came    bool    // a click: its receipt had come; an SMS falling due: nothing had
}

type eventKind uint8

const (
	receipt eventKind = iota
	timeout
	click
	fallback
)

// wheel holds events by the second that they fall in, up to its size ahead.
type wheel [1024][]event

func (w *wheel) put(at float64, e event) {
	i := int(at) % len(w)
	w[i] = append(w[i], e)
}

// chances are the fate of one message, the same for all policies, so that they
// differ by their choices alone.
type chances struct{ refuse, arrive, cover, click, delay, slow, later float64 }

func drawChances(r *rand.Rand) chances {
	return chances{r.Float64(), r.Float64(), r.Float64(), r.Float64(), r.NormFloat64(), r.NormFloat64(), r.ExpFloat64()}
}

const (
	refusals  = 0.002 // of attempts, on a good day
	clicks    = 0.05  // of messages that arrived
	clickTime = 200.0
	smsPrice  = 0.05
	smsTime   = 5.0
)

// Run plays the world to its end before all the policies at once. progress is
// called now and then with the part that is done; it may be nil.
func (w *World) Run(policies []Named, progress func(done float64)) []*Score {
	runs := make([]*run, len(policies))
	for i, p := range policies {
		runs[i] = &run{w: w, policy: p.Policy, score: newScore(p.Name, w)}
	}
	r := rand.New(rand.NewPCG(w.cfg.Seed, 99))
	end := w.cfg.Days * day
	rate := float64(w.cfg.Devices) * w.cfg.PerDay / day
	next := r.ExpFloat64() / rate
	id := uint64(0)
	var n Notice
	var truth Truth
	for now := 0.0; now < end; now++ {
		w.wander(now)
		for ; next < now+1; next += r.ExpFloat64() / rate {
			i := w.any(r, next)
			d := &w.devices[i]
			id++
			w.advance(d, next)
			n = w.notice(id, i, d, next, r)
			w.look(&n, d, &truth)
			fate := drawChances(r)
			for _, run := range runs {
				run.send(n, &truth, fate, d.seen)
			}
			d.seen++
		}
		for _, run := range runs {
			run.tick(now + 1)
		}
		if progress != nil && int64(now)%3600 == 0 {
			progress(now / end)
		}
	}
	scores := make([]*Score, len(runs))
	for i, run := range runs {
		scores[i] = run.score
	}
	return scores
}

func (w *World) notice(id uint64, i int32, d *device, at float64, r *rand.Rand) Notice {
	class := Class(pick(r, 0.2, 0.7, 0.1))
	_, online := w.connected(d, at)
	n := Notice{
		ID: id, At: at, TTL: class.TTL(), Device: i, Roads: uint32(d.roads), Class: class,
		Maker: uint16(d.maker), Country: uint16(d.country), Carrier: uint16(d.carrier), OS: uint16(d.os), App: uint16(d.app),
		Online: online, Attempt: 1,
	}
	return n
}

// run is one policy under way.
type run struct {
	w      *World
	policy Policy
	wheel  wheel
	score  *Score
}

// send lets the policy choose and finds out what becomes of it. A refused
// message is tried once more by another road.
func (r *run) send(n Notice, truth *Truth, fate chances, seen int) {
	road, propensity := r.policy.Choose(&n, truth)
	r.score.choice(&n, truth, road, propensity, seen)
	refusal := refusals
	if o := truth.fate[road]; o != nil && o.Kind == Refuses {
		refusal = 0.99
	}
	if fate.refuse < refusal {
		r.policy.Refused(&n, road)
		n.Roads &^= 1 << road
		n.Attempt = 2
		if n.Roads == 0 {
			r.score.value(&n, truth, road, -1, seen)
			return
		}
		first := road
		road, _ = r.policy.Choose(&n, truth)
		r.score.value(&n, truth, first, road, seen)
	} else {
		r.score.value(&n, truth, road, road, seen)
	}
	r.policy.Sent(&n, road)
	r.follow(&n, truth, fate, road)
}

// follow draws what becomes of a message that was taken.
func (r *run) follow(n *Notice, truth *Truth, fate chances, road int) {
	delay, slow := r.w.delay[road], r.w.slow[road]
	o := truth.fate[road]
	if o != nil {
		delay.median *= o.slows()
	}
	arrived := math.Inf(1)
	if fate.arrive < truth.arrives[road] {
		arrived = delay.median * math.Exp(delay.sigma*fate.delay)
		if road != Live {
			arrived += truth.back
		}
	}
	r.score.arrived(n, arrived)
	came := arrived + slow.median*math.Exp(slow.sigma*fate.slow)
	on := 0
	if n.Online {
		on = 1
	}
	if fate.cover > float64(r.w.coverage[road][n.Country][on]) || (o != nil && o.Kind == Receipts) {
		came = math.Inf(1)
	}
	if came < 600 {
		r.wheel.put(n.At+came, event{n: *n, road: road, kind: receipt, age: came})
	} else {
		r.wheel.put(n.At+600, event{n: *n, road: road, kind: timeout})
	}
	if at := arrived + clickTime*fate.later; fate.click < clicks && at < 600 {
		r.wheel.put(n.At+at, event{n: *n, road: road, kind: click, age: at, came: came <= at})
	}
	if n.Class == Critical {
		patience := r.policy.Patience(n, road)
		if patience < came && patience < n.TTL {
			r.wheel.put(n.At+patience, event{n: *n, road: road, kind: fallback, age: patience, arrived: arrived})
		} else {
			r.score.critical(arrived, math.Inf(1))
		}
	}
}

// tick tells the policy what falls due in the second that ends.
func (r *run) tick(now float64) {
	i := int(now-1) % len(r.wheel)
	for k := range r.wheel[i] {
		e := &r.wheel[i][k]
		switch e.kind {
		case receipt:
			r.policy.Receipt(&e.n, e.road, e.age, e.n.At+e.age)
		case timeout:
			r.policy.Timeout(&e.n, e.road)
		case click:
			r.policy.Clicked(&e.n, e.road, e.came, now)
		case fallback:
			r.score.critical(e.arrived, e.age)
		}
	}
	r.wheel[i] = r.wheel[i][:0]
	r.policy.Tick(now)
}
