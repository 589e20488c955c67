package smpp

import (
	"crypto/rand"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/herald-push/herald/push"
)

const (
	// maxAwaited bounds the messages whose receipts are awaited: some 20 MB.
	// The oldest is forgotten first.
	maxAwaited = 1 << 16
	// maxEarly bounds the receipts that came before their message's id did.
	maxEarly = 1 << 10
	// earliness is how long such a receipt is kept.
	earliness = time.Minute
	// lateness is how long after its validity a message's receipt may come.
	lateness = time.Hour
)

// ledger knows which delivery a message of the service belongs to. It lives in
// memory; what another process must know too is in the provider's [Notes].
type ledger struct {
	mu       sync.Mutex
	expected time.Time // receipts of messages that are not here may come until then

	byID  map[string]*awaited
	byRef map[uint16]*awaited // the last with each reference
	order []*awaited          // oldest first, with those that are settled
	early []early
}

// journey is one delivery on its way, in one or more messages.
type journey struct {
	app, delivery, device, to string

	sheet  string       // names this attempt among the [Notes]: a later one of the same delivery has another
	until  time.Time    // no receipt is awaited after
	stages []push.Stage // of each message; "" until proven
	told   push.Stage   // what was reported last
	void   bool         // a part was refused: what comes of the others says nothing
}

// awaited is one message without its last receipt.
type awaited struct {
	*journey

	id        string
	reference uint16
	part      int
	settled   bool
}

type early struct {
	receipt

	at time.Time
}

func newLedger() *ledger {
	return &ledger{byID: make(map[string]*awaited), byRef: make(map[uint16]*awaited)}
}

func newJourney(d *push.Delivery, to string, parts int, now time.Time) *journey {
	j := &journey{
		app: d.App, delivery: d.ID, device: d.Device, to: to, sheet: rand.Text(),
		until: now.Add(maxValidity + lateness), stages: make([]push.Stage, parts),
	}
	if !d.ExpiresAt.IsZero() {
		j.until = d.ExpiresAt.Add(lateness)
	}
	return j
}

// sent notes the id that the service gave to a message, and returns the
// receipts for it that were here before it.
func (l *ledger) sent(a *awaited, now time.Time) (before []receipt) {
	if a.id == "" {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.byID[a.id], l.byRef[a.reference] = a, a
	l.order = append(l.order, a)
	l.prune()
	l.early = slices.DeleteFunc(l.early, func(e early) bool {
		if e.id == a.id && now.Sub(e.at) < earliness {
			before = append(before, e.receipt)
		}
		return e.id == a.id || now.Sub(e.at) >= earliness
	})
	return before
}

// prune forgets what is settled, and the oldest of too many.
func (l *ledger) prune() {
	for len(l.order) > 0 && (l.order[0].settled || len(l.byID) > maxAwaited) {
		l.forget(l.order[0])
		l.order = l.order[1:]
	}
	if len(l.order) > 2*maxAwaited { // one that never settles holds up the rest
		l.order = slices.DeleteFunc(l.order, func(a *awaited) bool { return a.settled })
	}
}

func (l *ledger) forget(a *awaited) {
	a.settled = true
	if l.byID[a.id] == a {
		delete(l.byID, a.id)
	}
	if l.byRef[a.reference] == a {
		delete(l.byRef, a.reference)
	}
}

// find returns the message of a receipt. Where there is none yet the receipt is
// kept for a while, for the answer with the id may still be on its way.
func (l *ledger) find(r receipt, now time.Time) *awaited {
	l.mu.Lock()
	defer l.mu.Unlock()
	if a := l.byID[r.id]; a != nil {
		return a
	}
	for _, id := range otherForms(r.id) {
		if a := l.byID[id]; a != nil && sameNumber(a.to, r.to) {
			return a
		}
	}
	if r.hasReference {
		if a := l.byRef[r.reference]; a != nil && sameNumber(a.to, r.to) {
			return a
		}
	}
	if len(l.early) >= maxEarly {
		l.early = slices.Delete(l.early, 0, 1)
	}
	l.early = append(l.early, early{r, now})
	return nil
}

// otherForms are the number of an id in the other base: many services answer
// in one and report in the other.
func otherForms(id string) []string {
	var forms []string
	if n, err := strconv.ParseUint(id, 10, 64); err == nil {
		h := strconv.FormatUint(n, 16)
		forms = append(forms, h, strings.ToUpper(h), strconv.FormatUint(n, 10))
	}
	if n, err := strconv.ParseUint(id, 16, 64); err == nil {
		forms = append(forms, strconv.FormatUint(n, 10))
	}
	return forms
}

func sameNumber(a, b string) bool {
	return strings.TrimPrefix(a, "+") == strings.TrimPrefix(b, "+")
}

// proves returns what a stage of one message newly proves about its delivery,
// or "": a delivery is where the slowest of its messages is, and failed when
// the first of them has.
func (l *ledger) proves(a *awaited, stage push.Stage) push.Stage {
	l.mu.Lock()
	defer l.mu.Unlock()
	if stage.Rank() >= a.stages[a.part].Rank() {
		a.stages[a.part] = stage
	}
	whole := stage
	if stage != push.Failed {
		whole = slices.MinFunc(a.stages, func(x, y push.Stage) int { return x.Rank() - y.Rank() })
	}
	if a.void || whole == "" || whole.Rank() <= a.told.Rank() {
		return ""
	}
	return whole
}

// abandon makes the receipts of a delivery's messages prove nothing: it was
// refused, and whatever is tried next must not be judged by them.
func (l *ledger) abandon(j *journey) {
	l.mu.Lock()
	defer l.mu.Unlock()
	j.void = true
}

// tell notes that a stage of the delivery was reported; if the message's own
// is its last, no further receipt is awaited.
func (l *ledger) tell(a *awaited, whole, own push.Stage) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if whole != "" {
		a.told = whole
	}
	if own != push.HandedOver {
		l.forget(a)
		l.prune()
	}
}

// waits reports whether some receipt is still awaited.
func (l *ledger) waits(now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Before(l.expected) {
		return true
	}
	for _, a := range l.byID {
		if !a.void && now.Before(a.until) {
			return true
		}
	}
	return false
}
