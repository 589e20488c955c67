package web

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// window is how far back a page of numbers looks. Step is the width of one point
// of its charts, whole minutes; slow is how many times [Config.Refresh] its numbers may age.
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

// view is what one look at a page of numbers is about.
type view struct {
	app    string
	window window
	narrowing
}

// reading is one reading of a view for a page.
type reading struct {
	view
	from, to time.Time
	choices  Choices
	scale    uint64   // of what the content was counted from, one delivery stands for so many
	content  content  // the page's own; nothing where the numbers could not be read
	blind    bool     // that is so: zero means nothing
	waiting  bool     // they may come yet; blind until then
	faults   []string // in words, for the page
}

// fault notes what could not be read.
func (r *reading) fault(words string) { r.faults = append(r.faults, words) }

// board reads each page and view at most once per refresh, however many people look.
type board struct {
	site    *site
	mu      sync.Mutex
	entries map[looked]*glance
}

// looked is who asks for what.
type looked struct {
	page string
	view view
}

type glance struct {
	asked time.Time // under the board's lock

	mu     sync.Mutex
	last   *reading
	read   time.Time     // when the last was begun
	coming chan struct{} // closed when the reading under way is there; nil without one
}

// Views are narrowed by words that anybody may type. Those that nobody has asked
// for of late are forgotten once there are many.
const (
	mostViews = 256
	forgotten = 2 * time.Minute
)

// refresh is how long a reading of w stays good.
func (b *board) refresh(w window) time.Duration { return b.site.Refresh * time.Duration(w.slow) }

// shownMeanwhile is how old the last reading may be to be shown while the next is
// under way.
const shownMeanwhile = 30 * time.Second

// get returns a reading of v that is not older than its refresh, and waits for it
// until ctx is done or the server stops. What it returns then is the last reading
// if that is young, or else one that is waiting.
func (b *board) get(ctx context.Context, page *insight, v view) *reading {
	g := b.glance(looked{page.name, v})
	if coming := b.begin(ctx, g, page, v); coming != nil {
		select {
		case <-coming:
		case <-ctx.Done():
		case <-b.site.Done:
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.last != nil && (g.coming == nil || time.Since(g.read) < shownMeanwhile) {
		return g.last
	}
	now := b.site.Now().UTC()
	return &reading{view: v, from: now.Add(-v.window.Length), to: now, blind: true, waiting: true}
}

// begin has v read unless the last reading is still good, and returns what is
// closed when that is done; nil if it need not. All who look wait for the same
// reading. It goes on when they leave, and ends by its own time limit.
func (b *board) begin(ctx context.Context, g *glance, page *insight, v view) <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	// A little tolerance, so that a stream's tick does not meet the reading of
	// its own last tick.
	if g.coming != nil || g.last != nil && time.Since(g.read) <= b.refresh(v.window)*9/10 {
		return g.coming
	}
	coming, begun := make(chan struct{}), time.Now()
	g.coming = coming
	go func() {
		r := b.load(context.WithoutCancel(ctx), page, v)
		g.mu.Lock()
		defer g.mu.Unlock()
		g.last, g.read, g.coming = r, begun, nil
		close(coming)
	}()
	return coming
}

func (b *board) glance(what looked) *glance {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := time.Now()
	g := b.entries[what]
	if g == nil {
		g = &glance{}
		b.entries[what] = g
	}
	g.asked = now
	if len(b.entries) > mostViews {
		for k, old := range b.entries {
			if now.Sub(old.asked) > forgotten {
				delete(b.entries, k)
			}
		}
	}
	return g
}

// load asks the stores, side by side. A store that is away costs its part of the
// page only.
func (b *board) load(ctx context.Context, page *insight, v view) *reading {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	now := b.site.Now().UTC()
	r := &reading{view: v, from: now.Add(-v.window.Length), to: now}
	var (
		err, noChoices, noBasis error
		asks                    sync.WaitGroup
	)
	asks.Go(func() { r.content, err = page.read(ctx, r) })
	asks.Go(func() { r.choices, noChoices = b.choices(ctx, v.app, now) })
	asks.Go(func() { r.scale, noBasis = b.site.Numbers.Basis(ctx, r.lens(now)) })
	asks.Wait()
	if err != nil {
		b.site.Log.WarnContext(ctx, "page has no numbers", "page", page.name, "app", v.app, "err", err)
		r.blind = true
		r.fault("The numbers cannot be read now. Events wait in the spool; nothing is lost.")
	}
	if noBasis != nil && err == nil {
		r.fault("Whether these are samples cannot be said now.")
	}
	if noChoices != nil {
		b.site.Log.WarnContext(ctx, "page has no filters", "page", page.name, "app", v.app, "err", noChoices)
	}
	return r
}

// choices are those of the last week; they change seldom.
func (b *board) choices(ctx context.Context, app string, now time.Time) (Choices, error) {
	return b.site.Numbers.Choices(ctx, app, now.Add(-7*24*time.Hour), now)
}

// forget has the next look at a page read anew, after something was changed.
func (b *board) forget(page *insight) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for k := range b.entries {
		if k.page == page.name {
			delete(b.entries, k)
		}
	}
}
