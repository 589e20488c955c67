package scheduler

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// hall is the memory that a worker has for the deliveries of one urgency, in
// places. Whoever waits for places waits in a line of its app, and the app that
// has fewest places goes first: one app's flood slows nobody else. While more
// urgent deliveries are about, the hall is smaller: what is in flight at a
// provider, and in line for a processor, is before them.
type hall struct {
	places int
	urgent *hall // before which this one makes room; nil for the most urgent
	now    func() time.Time

	mu    sync.Mutex
	used  int
	held  map[string]int // places by app
	lines map[string][]*guest
	seen  time.Time // when somebody last entered
}

// guest waits for places.
type guest struct {
	places int
	in     chan struct{} // closed when it has them
}

const (
	// yields is how long a hall stays small after the last of the more urgent.
	yields = 10 * time.Second
	// yielding is the part of its places that it then has.
	yielding = 8
)

func newHall(places int, urgent *hall, now func() time.Time) *hall {
	return &hall{places: places, urgent: urgent, now: now, held: make(map[string]int), lines: make(map[string][]*guest)}
}

// size is how many places the hall has now.
func (h *hall) size() int {
	if h.urgent != nil && h.urgent.busy() {
		return max(h.places/yielding, 1)
	}
	return h.places
}

// busy tells whether somebody has entered lately, here or where it is still
// more urgent.
func (h *hall) busy() bool {
	h.mu.Lock()
	lately := !h.seen.IsZero() && h.now().Sub(h.seen) < yields
	h.mu.Unlock()
	return lately || h.urgent != nil && h.urgent.busy()
}

// enter waits for n places for an app.
func (h *hall) enter(ctx context.Context, app string, n int) error {
	g := &guest{places: n, in: make(chan struct{})}
	h.mu.Lock()
	h.seen = h.now()
	h.lines[app] = append(h.lines[app], g)
	h.admit()
	h.mu.Unlock()
	select {
	case <-g.in:
		return nil
	case <-ctx.Done():
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if i := slices.Index(h.lines[app], g); i >= 0 {
		h.quit(app, i)
		h.admit() // it may have been in the way of others
	} else {
		h.give(app, n) // they came at the same moment
	}
	return ctx.Err()
}

func (h *hall) quit(app string, i int) {
	if h.lines[app] = slices.Delete(h.lines[app], i, i+1); len(h.lines[app]) == 0 {
		delete(h.lines, app)
	}
}

// leave gives places back.
func (h *hall) leave(app string, n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.give(app, n)
}

// give does so. Callers hold mu.
func (h *hall) give(app string, n int) {
	h.used -= n
	if h.held[app] -= n; h.held[app] <= 0 {
		delete(h.held, app)
	}
	h.admit()
}

// admit lets in whoever fits. The one whose turn it is may need more than is
// free: then nobody overtakes it, unless it needs more than there is. Callers
// hold mu.
func (h *hall) admit() {
	for len(h.lines) > 0 {
		app := h.next()
		g := h.lines[app][0]
		if size := h.size(); h.used > 0 && h.used+min(g.places, size) > size {
			return
		}
		h.quit(app, 0)
		h.used += g.places
		h.held[app] += g.places
		close(g.in)
	}
}

// next is the app whose turn it is.
func (h *hall) next() string {
	first, least := "", -1
	for app := range h.lines {
		if n := h.held[app]; least < 0 || n < least || n == least && app < first {
			first, least = app, n
		}
	}
	return first
}

// room is the places that a round holds for its deliveries in the memory of a
// worker. They are taken before anything is read and given back one by one.
type room struct {
	hall *hall
	app  string
	held int
}

// takeRoom waits until there is room for n more deliveries of an app.
func (w *Worker) takeRoom(ctx context.Context, urgency, app string, n int) (*room, error) {
	r := &room{hall: w.halls[urgency], app: app, held: min(max(n, 1), w.cfg.InFlight)}
	if err := r.hall.enter(ctx, app, r.held); err != nil {
		return nil, fmt.Errorf("scheduler: wait for room: %w", err)
	}
	return r, nil
}

// keep gives back all places but n.
func (r *room) keep(n int) {
	if more := r.held - n; more > 0 {
		r.held -= more
		r.hall.leave(r.app, more)
	}
}

// leave gives one place back.
func (r *room) leave() { r.keep(max(0, r.held-1)) }

// crew runs attempts on goroutines that stay for a while: their stacks have
// grown to what a provider needs, which costs as much as the attempt itself. Who
// rested last works first, so that no more stay than there is work for.
type crew struct {
	mu   sync.Mutex
	idle []*hand
}

// hand is one of the goroutines.
type hand struct{ jobs chan func() }

// crewRest is how long a goroutine waits for more to do.
const crewRest = time.Second

// do runs f on a goroutine that is free, or a new one. Each lives until it has
// been idle for [crewRest]; done counts f.
func (c *crew) do(done *sync.WaitGroup, f func()) {
	done.Add(1)
	job := func() { defer done.Done(); f() }
	c.mu.Lock()
	var h *hand
	if last := len(c.idle) - 1; last >= 0 {
		h = c.idle[last]
		c.idle = c.idle[:last]
	}
	c.mu.Unlock()
	if h == nil {
		h = &hand{jobs: make(chan func(), 1)}
		go c.work(h)
	}
	h.jobs <- job
}

func (c *crew) work(h *hand) {
	rest := time.NewTimer(crewRest)
	defer rest.Stop()
	for {
		select {
		case job := <-h.jobs:
			job()
			rest.Reset(crewRest)
			c.mu.Lock()
			c.idle = append(c.idle, h)
			c.mu.Unlock()
		case <-rest.C:
			c.mu.Lock()
			i := slices.Index(c.idle, h)
			if i >= 0 {
				c.idle = slices.Delete(c.idle, i, i+1)
			}
			c.mu.Unlock()
			if i >= 0 {
				return
			}
		}
	}
}
