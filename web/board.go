package web

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// window is how far back an overview looks. Step is the width of one point of
// its charts, whole minutes; slow is how many times [Config.Refresh] its numbers may age.
type window struct {
	Name, Label string
	Length      time.Duration
	Step        time.Duration
	slow        int
}

var windows = [...]window{
	{"15m", "15 min", 15 * time.Minute, time.Minute, 1},
	{"1h", "1 h", time.Hour, time.Minute, 1},
	{"24h", "24 h", 24 * time.Hour, 15 * time.Minute, 5},
	{"7d", "7 d", 7 * 24 * time.Hour, 2 * time.Hour, 15},
}

// StepLabel is the step as a chart's caption says it.
func (w window) StepLabel() string {
	if w.Step < time.Hour {
		return fmt.Sprintf("%d min", w.Step/time.Minute)
	}
	return fmt.Sprintf("%d h", w.Step/time.Hour)
}

// view is what one overview is about. Windows are few and apps are checked
// against the list, so there are few views.
type view struct {
	app    string
	window window
}

// state is one reading of a view.
type state struct {
	view
	Overview
	from, to time.Time
	recent   []Notification
	lanes    []Lane
	status   Status
	blind    bool     // the numbers could not be read: zero means nothing
	faults   []string // in words, for the page
}

// board reads each view at most once per refresh, however many people look.
type board struct {
	site    *site
	mu      sync.Mutex
	entries map[view]*entry
}

type entry struct {
	mu   sync.Mutex // held while reading, so that others wait for the same answer
	read time.Time
	last *state
}

// refresh is how long a reading of w stays good.
func (b *board) refresh(w window) time.Duration { return b.site.Refresh * time.Duration(w.slow) }

// get returns a reading of v that is not older than its refresh.
func (b *board) get(ctx context.Context, v view) *state {
	b.mu.Lock()
	e := b.entries[v]
	if e == nil {
		e = &entry{}
		b.entries[v] = e
	}
	b.mu.Unlock()

	e.mu.Lock()
	defer e.mu.Unlock()
	// A little tolerance, so that a stream's tick does not meet the reading of
	// its own last tick.
	if now := time.Now(); e.last == nil || now.Sub(e.read) > b.refresh(v.window)*9/10 {
		e.last, e.read = b.load(ctx, v), now
	}
	return e.last
}

// load asks the stores. A store that is away costs its part of the page only.
func (b *board) load(ctx context.Context, v view) *state {
	// Others may be waiting for this reading: it goes on when its first viewer leaves.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	now := b.site.Now().UTC()
	st := &state{view: v, from: now.Add(-v.window.Length), to: now, status: b.site.Status(ctx)}
	var err error
	if st.Overview, err = b.site.Numbers.Overview(ctx, v.app, st.from, st.to, v.window.Step); err != nil {
		b.site.Log.WarnContext(ctx, "overview has no numbers", "app", v.app, "err", err)
		st.Overview, st.blind = Overview{}, true
		st.faults = append(st.faults, "The numbers cannot be read now. Events wait in the spool; nothing is lost.")
	}
	if st.recent, err = b.site.Notifications.Recent(ctx, v.app, 12); err != nil {
		b.site.Log.WarnContext(ctx, "overview has no notifications", "app", v.app, "err", err)
		st.faults = append(st.faults, "The recent notifications cannot be read now.")
	}
	if b.site.Lanes != nil {
		if st.lanes, err = b.site.Lanes.Lanes(ctx, v.app); err != nil {
			b.site.Log.WarnContext(ctx, "overview has no lanes", "app", v.app, "err", err)
			st.faults = append(st.faults, "How the providers fare cannot be read now.")
		}
	}
	st.Series = fill(st.Series, st.from, st.to, v.window.Step)
	return st
}

// fill returns one point per step of (from, to), with zeros where nothing
// happened. The step that is still running is among them once a quarter of it
// has passed; before that its rate is mostly chance.
func fill(points []Point, from, to time.Time, step time.Duration) []Point {
	known := make(map[int64]Point, len(points))
	for _, p := range points {
		known[p.At.Truncate(step).Unix()] = p
	}
	var all []Point
	for at := from.Truncate(step).Add(step); !at.Add(step / 4).After(to); at = at.Add(step) {
		p := known[at.Unix()]
		p.At = at
		all = append(all, p)
	}
	return all
}
