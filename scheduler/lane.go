package scheduler

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/herald-push/herald/push"
)

// lane is the way of one app to one provider. It finds out how many attempts
// the provider bears at a time, and closes when the provider is down, throttles
// or refuses the credentials. Its deliveries then take another road or are
// parked; other lanes do not notice.
type lane struct {
	cfg LaneConfig
	now func() time.Time

	mu       sync.Mutex
	limit    float64         // attempts that may be in flight
	inFlight int             //
	waiting  []chan struct{} // each is closed when its owner has got a place, or the lane closes
	moved    time.Time       // the last answer, or when the first of those in flight began
	shrunk   time.Time       // when limit was last lowered; zero while it still leaps up
	faults   int             // failures in a row that are the provider's
	until    time.Time       // closed until then; zero is open
	why      string          // why it is closed
	pause    time.Duration   // how long it closes next time it trips
	probing  bool            // one attempt tries whether a closed lane is well again
}

func newLane(cfg LaneConfig, now func() time.Time) *lane {
	return &lane{cfg: cfg, now: now, limit: float64(cfg.Start), pause: cfg.Pause}
}

// closed is why a lane gives no place, and when to ask again.
type closed struct {
	until time.Time
	why   string
}

func (c *closed) Error() string { return "scheduler: lane is closed: " + c.why }

// errCutOff is the end of an attempt by our own doing, such as the end of the
// process. It says nothing about the provider.
var errCutOff = errors.New("cut off")

// busyAgain is when a delivery that found no place may ask again.
const busyAgain = time.Second

// enter waits for a place in the lane. The error is a *closed, or ctx's.
// Whoever got a place must [lane.leave] it, and says then whether it was a
// probe of a closed lane.
func (l *lane) enter(ctx context.Context) (probe bool, err error) {
	l.mu.Lock()
	if err := l.closedNow(); err != nil {
		l.mu.Unlock()
		return false, err
	}
	if l.until.IsZero() && float64(l.inFlight) >= l.limit {
		return false, l.queue(ctx) // unlocks
	}
	l.probing = !l.until.IsZero()
	l.place()
	defer l.mu.Unlock()
	return l.probing, nil
}

// closedNow tells why nobody may enter, nil if somebody may. Callers hold mu.
func (l *lane) closedNow() error {
	now := l.now()
	switch {
	case now.Before(l.until):
		return &closed{l.until, l.why}
	case !l.until.IsZero() && l.probing:
		return &closed{now.Add(busyAgain), l.why + "; a probe is on its way"}
	case l.inFlight >= l.cfg.Trip && now.Sub(l.moved) > l.cfg.Stall:
		return &closed{now.Add(busyAgain), fmt.Sprintf("%d attempts are without an answer", l.inFlight)}
	}
	return nil
}

// place takes a place. Callers hold mu.
func (l *lane) place() {
	if l.inFlight == 0 {
		l.moved = l.now()
	}
	l.inFlight++
}

// queue waits for a place up to the lane's patience. It is called with mu held
// and gives it back.
func (l *lane) queue(ctx context.Context) error {
	mine := make(chan struct{})
	l.waiting = append(l.waiting, mine)
	l.mu.Unlock()

	patience := time.NewTimer(l.cfg.Patience)
	defer patience.Stop()
	var err error
	select {
	case <-mine:
		l.mu.Lock()
		defer l.mu.Unlock()
		if err := l.closedNow(); err != nil {
			l.giveBack()
			return err
		}
		return nil
	case <-patience.C:
		err = &closed{l.now().Add(busyAgain), "the lane is crowded"}
	case <-ctx.Done():
		err = ctx.Err()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, w := range l.waiting {
		if w == mine {
			l.waiting = append(l.waiting[:i], l.waiting[i+1:]...)
			return err
		}
	}
	l.giveBack() // a place came at the same moment
	return err
}

// giveBack returns a place that was not used. Callers hold mu.
func (l *lane) giveBack() {
	l.inFlight--
	l.admit()
}

// admit hands free places to those who wait longest. Callers hold mu.
func (l *lane) admit() {
	for len(l.waiting) > 0 && float64(l.inFlight) < l.limit {
		close(l.waiting[0])
		l.waiting = l.waiting[1:]
		l.place()
	}
}

// leave gives the place back and learns from the attempt's answer.
func (l *lane) leave(probe bool, answer error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	full := float64(l.inFlight) >= l.limit
	l.inFlight--
	l.moved = l.now()
	if probe { // well again, unless the answer closes it anew
		l.probing, l.until, l.why = false, time.Time{}, ""
	}
	if l.learn(probe, answer); l.until.IsZero() {
		if answer == nil && full {
			l.grow()
		}
		l.admit()
		return
	}
	for _, w := range l.waiting { // they will see that it is closed
		close(w)
		l.place()
	}
	l.waiting = nil
}

// learn adapts the lane to an answer. Late answers to attempts from before it
// closed do not open it.
func (l *lane) learn(probe bool, answer error) {
	after := retryAfter(answer)
	switch {
	case errors.Is(answer, errCutOff):
	case push.ScopeOf(answer) != push.ScopeProvider: // about one device, or one of many hosts
	case errors.Is(answer, push.ErrCredentials):
		l.close(l.cfg.Credentials, "the provider refuses the credentials")
	case errors.Is(answer, push.ErrQuota):
		l.close(max(after, l.cfg.PauseMost), "the provider's quota is used up")
	case errors.Is(answer, push.ErrThrottled):
		l.shrink(0.7)
		if after > 0 {
			l.close(after, "the provider asked us to slow down")
		}
	case answer != nil && isProvidersFault(answer):
		l.faults++
		if probe || (l.faults >= l.cfg.Trip && l.until.IsZero()) {
			l.shrink(0.5)
			l.close(l.pause, fmt.Sprintf("%d attempts in a row failed: %s", l.faults, push.KindName(answer)))
			l.pause = min(2*l.pause, l.cfg.PauseMost)
		}
	default: // an answer, if only about the message or the device
		l.faults = 0
		if l.until.IsZero() {
			l.pause = l.cfg.Pause
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
	if until := l.now().Add(d); until.After(l.until) {
		l.until, l.why = until, why
	}
}

// shrink lowers the limit, but not more than once for the same trouble.
func (l *lane) shrink(by float64) {
	if now := l.now(); now.Sub(l.shrunk) > 100*time.Millisecond {
		l.limit, l.shrunk = max(1, l.limit*by), now
	}
}

// grow raises the limit: by leaps until the first trouble, then by about one
// place each time all places have been used once.
func (l *lane) grow() {
	step := 1.0
	if !l.shrunk.IsZero() {
		step = 4 / l.limit
	}
	l.limit = min(float64(l.cfg.Most), l.limit+step)
}

// reopen forgets why the lane was closed.
func (l *lane) reopen() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.until, l.why, l.faults, l.pause, l.probing = time.Time{}, "", 0, l.cfg.Pause, false
	l.admit()
}
