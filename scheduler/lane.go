package scheduler

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/herald-push/herald/push"
)

// lane is the way of one app to one provider. It finds out how many requests
// the provider bears at a time and a second, and closes when the provider is
// down, throttles or refuses the credentials. Its deliveries then take another
// road or are parked; other lanes do not notice.
type lane struct {
	cfg LaneConfig
	now func() time.Time

	mu       sync.Mutex
	width    width
	pace     pace
	inFlight int
	waiting  line
	alarm    *time.Timer // admits those who wait, once the pace allows it; nil if not set
	moved    time.Time   // the last answer, or when the first of those in flight began
	faults   int         // failures in a row that are the provider's
	shut     closed      // the lane for everybody; the zero value is open
	classes  map[push.Class]closed
	limits   push.Limits   // what the provider documents
	quotas   []*quota      // of it
	off      string        // why an operator has switched the lane off; "" is on
	pause    time.Duration // how long it closes next time it trips
	probing  bool          // one attempt tries whether a closed lane is well again
}

func newLane(cfg LaneConfig, now func() time.Time) *lane {
	return &lane{
		cfg: cfg, now: now, pause: cfg.Pause,
		width: width{limit: float64(cfg.Start), most: float64(cfg.Most)},
	}
}

// closed is why a lane gives no place, and when to ask again.
type closed struct {
	until time.Time
	why   string
	sure  bool // nothing but time opens it
}

func (c *closed) Error() string { return "scheduler: lane is closed: " + c.why }

// errCutOff is the end of an attempt by our own doing, such as the end of the
// process. It says nothing about the provider.
var errCutOff = errors.New("cut off")

const (
	// busyAgain is when a delivery that found no place may ask again,
	// mostBusy the latest when it is told that many are before it.
	busyAgain = time.Second
	mostBusy  = 30 * time.Second
	// mostUnknown is how many wait in a lane before its first answer, and while it
	// gives none: a part of the room in memory that others keep theirs of.
	mostUnknown = 256
	// offAgain is when to ask a lane again that an operator has switched off.
	offAgain = time.Hour
)

// pass is the right to one request in a lane.
type pass struct {
	class push.Class
	units int
	began time.Time
	probe bool // it tries whether a closed lane is well again
}

// enter waits for a place in the lane for a request of so many deliveries of a
// class. The error is a *closed, or ctx's. Whoever got a pass must [lane.leave]
// with it.
func (l *lane) enter(ctx context.Context, class push.Class, units int) (pass, error) {
	type turn struct {
		pass pass
		err  error
	}
	mine := make(chan turn, 1)
	w := l.ask(class, units, func(p pass, err error) { mine <- turn{p, err} })
	if w == nil {
		t := <-mine
		return t.pass, t.err
	}
	select {
	case t := <-mine:
		return t.pass, t.err
	case <-ctx.Done():
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	w.patience.Stop()
	if !l.waiting.quit(w) {
		if t := <-mine; t.err == nil {
			l.giveBack() // a place came at the same moment
		}
	}
	return pass{}, ctx.Err()
}

// ask is [lane.enter] for those who do not stay to wait: many thousands may be
// in line, and a goroutine each would cost more memory than what they carry.
// turn is called once, when there is a place or none is to be had. It must return
// without delay, and not call the lane. The waiter is nil if it has been called.
func (l *lane) ask(class push.Class, units int, turn func(pass, error)) *waiter {
	p := pass{class: class, units: units}
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.closedFor(class); err != nil {
		if l.stalled() {
			l.dismiss() // those who came before wait in vain
		}
		turn(p, err)
		return nil
	}
	if p.probe = !l.shut.until.IsZero(); p.probe || !l.waiting.before(class) && l.take(&p) {
		l.probing = p.probe
		l.place(&p)
		turn(p, nil)
		return nil
	}
	if err := l.crowded(class); err != nil {
		turn(p, err)
		return nil
	}
	w := &waiter{pass: p, turn: turn}
	w.patience = time.AfterFunc(l.cfg.Patience, func() { l.tire(w) })
	l.waiting.join(w)
	if l.alarm == nil && float64(l.inFlight) < l.width.limit { // it was for others that this one waits
		l.admit()
	}
	return w
}

// tire sends somebody away who has waited for the lane's patience.
func (l *lane) tire(w *waiter) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiting.quit(w) {
		w.turn(w.pass, &closed{until: l.now().Add(busyAgain), why: "the lane is crowded"})
	}
}

// closedFor tells why nobody of a class may enter, nil if somebody may. Callers
// hold mu.
func (l *lane) closedFor(class push.Class) error {
	now := l.now()
	if l.off != "" {
		return &closed{until: now.Add(offAgain), why: l.off}
	}
	if c := l.closedClass(class, now); c != nil {
		return c
	}
	switch {
	case now.Before(l.shut.until):
		c := l.shut
		return &c
	case !l.shut.until.IsZero() && l.probing:
		return &closed{until: now.Add(busyAgain), why: l.shut.why + "; a probe is on its way"}
	case l.stalled():
		return &closed{until: now.Add(busyAgain), why: fmt.Sprintf("%d requests are without an answer", l.inFlight)}
	}
	return nil
}

// stalled tells whether requests are under way and none is answered. Callers
// hold mu.
func (l *lane) stalled() bool {
	return l.inFlight >= l.cfg.Trip && l.now().Sub(l.moved) > l.cfg.Stall
}

// silent tells whether no answer has come for several times as long as one
// takes. Callers hold mu.
func (l *lane) silent() bool {
	usual := time.Duration(l.width.fast * float64(time.Second))
	return l.now().Sub(l.moved) > max(4*usual, l.cfg.Stall/10)
}

// closedClass tells why a class alone may not enter: its quota or its hours.
// Callers hold mu.
func (l *lane) closedClass(class push.Class, now time.Time) *closed {
	if c, ok := l.classes[class]; ok && now.Before(c.until) {
		return &c
	}
	if len(l.limits.Hours) > 0 {
		if opens := l.limits.OpensAt(class, now); !opens.IsZero() {
			return &closed{until: opens, why: "the provider takes none of this class at this hour", sure: true}
		}
	}
	for _, q := range l.quotas {
		if c := q.dryFor(class, now); c != nil {
			return c
		}
	}
	return nil
}

// open tells whether a class may enter now.
func (l *lane) open(c push.Class) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.closedFor(c) == nil
}

// crowded turns away whoever would wait for longer than the lane's patience:
// held here, deliveries would take the room in memory that other lanes' need.
func (l *lane) crowded(class push.Class) error {
	through := l.width.perSecond()
	if bound := l.pace.perSecond(); bound > 0 && (through == 0 || bound < through) {
		through = bound
	}
	ahead := l.waiting.ahead(class)
	if through == 0 || l.silent() { // who knows whether an answer will come
		if ahead < mostUnknown {
			return nil
		}
		return &closed{until: l.now().Add(busyAgain), why: "the lane is crowded"}
	}
	if float64(ahead) < through*l.cfg.Patience.Seconds() {
		return nil
	}
	wait := time.Duration(float64(ahead) / through * float64(time.Second))
	return &closed{until: l.now().Add(min(max(wait, busyAgain), mostBusy)), why: "the lane is crowded"}
}

// take takes a place's share of width and pace if there is one. Callers hold mu.
func (l *lane) take(p *pass) bool {
	if float64(l.inFlight) >= l.width.limit {
		return false
	}
	units := p.units
	if l.limits.PerRequest {
		units = 1
	}
	after := l.pace.take(units, l.now())
	if after > 0 && l.alarm == nil {
		l.alarm = time.AfterFunc(after, l.ring)
	}
	return after == 0
}

// ring admits those who wait for the pace.
func (l *lane) ring() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.alarm = nil
	l.admit()
}

// place counts a request in. Callers hold mu.
func (l *lane) place(p *pass) {
	p.began = l.now()
	if l.inFlight == 0 {
		l.moved = p.began
	}
	l.inFlight++
}

// giveBack returns a place that was not used. Callers hold mu.
func (l *lane) giveBack() {
	l.inFlight--
	l.admit()
}

// admit hands free places to those whose turn it is. Callers hold mu.
func (l *lane) admit() {
	for next := l.waiting.first(); next != nil; next = l.waiting.first() {
		err := l.closedFor(next.pass.class)
		if err == nil && !l.take(&next.pass) {
			return
		}
		l.call(next, err)
	}
}

// dismiss lets all who wait go on, to find that the lane is closed. Callers
// hold mu.
func (l *lane) dismiss() {
	for next := l.waiting.first(); next != nil; next = l.waiting.first() {
		l.call(next, l.closedFor(next.pass.class))
	}
}

// call tells somebody in line that it has a place, or that there is none to be
// had. Callers hold mu.
func (l *lane) call(w *waiter, none error) {
	l.waiting.quit(w)
	w.patience.Stop()
	if none == nil {
		l.place(&w.pass)
	}
	w.turn(w.pass, none)
}

// leave gives the place back and learns from the answer.
func (l *lane) leave(p pass, answer error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	full := float64(l.inFlight) >= l.width.limit
	l.inFlight--
	l.moved = l.now()
	if p.probe { // well again, unless the answer closes it anew
		l.probing, l.shut = false, closed{}
	}
	if answer == nil {
		l.pace.passed.add(p.units, l.moved)
	}
	if l.learn(p, answer, full); l.shut.until.IsZero() {
		l.admit()
		return
	}
	l.dismiss()
}

// learn adapts the lane to an answer. Late answers to requests from before it
// closed do not open it.
func (l *lane) learn(p pass, answer error, full bool) {
	after, now := retryAfter(answer), l.moved
	switch {
	case errors.Is(answer, errCutOff):
	case push.ScopeOf(answer) != push.ScopeProvider: // about one device, or one of many hosts
	case errors.Is(answer, push.ErrCredentials):
		l.close(l.cfg.Credentials, "the provider refuses the credentials")
	case errors.Is(answer, push.ErrQuota):
		l.closeClass(p.class, max(after, l.cfg.PauseMost), "the provider's quota is used up")
	case errors.Is(answer, push.ErrThrottled):
		l.width.shrink(0.8, now)
		if after > 0 {
			l.close(after, "the provider asked us to slow down")
		} else {
			l.pace.throttled(now)
		}
	case answer != nil && isProvidersFault(answer):
		l.faults++
		if p.probe || (l.faults >= l.cfg.Trip && l.shut.until.IsZero()) {
			l.width.shrink(0.5, now)
			l.close(l.pause, fmt.Sprintf("%d requests in a row failed: %s", l.faults, push.KindName(answer)))
			l.pause = min(2*l.pause, l.cfg.PauseMost)
		}
	default: // an answer, if only about the message or the device
		l.faults = 0
		if l.shut.until.IsZero() {
			l.pause = l.cfg.Pause
		}
		if answer == nil {
			l.width.answered(p.began, now, full)
		}
	}
}

// isProvidersFault tells whether a failure says something about the provider,
// and not about the message or the device. An error without a kind does not
// come from a provider that keeps its contract.
func isProvidersFault(err error) bool {
	return push.KindName(err) == "unavailable" || push.KindName(err) == "unknown"
}

// close closes the lane for a time, or longer if it was closed for longer.
func (l *lane) close(d time.Duration, why string) {
	if until := l.now().Add(d); until.After(l.shut.until) {
		l.shut = closed{until: until, why: why}
	}
}

// closeClass closes the lane for one class only: services count their quotas by
// category, and what is used up for advertising is not for codes.
func (l *lane) closeClass(c push.Class, d time.Duration, why string) {
	if l.classes == nil {
		l.classes = make(map[push.Class]closed)
	}
	if until := l.now().Add(d); until.After(l.classes[c].until) {
		l.classes[c] = closed{until: until, why: why} // other credentials may open it
	}
}

// reopen forgets why the lane was closed. What an operator has switched off
// stays off.
func (l *lane) reopen() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.shut, l.classes, l.faults, l.pause, l.probing = closed{}, nil, 0, l.cfg.Pause, false
	l.admit()
}

// switchOff closes the lane until it is switched on with "". It reports whether
// that was now.
func (l *lane) switchOff(why string) (isOn bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	isOn = l.off != "" && why == ""
	l.off = why
	if why != "" {
		l.dismiss()
	}
	return isOn
}
