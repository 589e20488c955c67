package scheduler

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/herald-push/herald/internal/redisstore"
	"github.com/herald-push/herald/push"
)

const (
	// dueEvery is how often a worker asks each queue for what is due. With the
	// rounding of [redisstore.Due] it bounds how late a fallback comes.
	dueEvery = 50 * time.Millisecond
	// dueLease is how long what a dead worker had in hand stays with it.
	dueLease = 10 * time.Second
	// dueLot is how many deliveries are taken at a time, about.
	dueLot = 1024
	// dueHands is how many lots of a queue a worker has in hand.
	dueHands = 64
	// dueSlack is added to a fallback's deadline: an attempt begins a little
	// after its round, and a look that comes too early is one for nothing.
	dueSlack = 20 * time.Millisecond
)

// timers are what this package puts down for later: looks whether proof has
// come, and tries of the same road again. asynq keeps later tasks in whole
// seconds, looks for them once in a while, and costs a task each; here a
// fallback comes within a tenth of a second, and a million cost their text.
type timers struct {
	due *redisstore.Due
}

// later puts work down until a time.
func (t timers) later(ctx context.Context, urgency, kind string, at time.Time, w work) error {
	entries := make([]redisstore.DueEntry, 0, len(w.Jobs))
	for _, j := range w.Jobs {
		entries = append(entries, redisstore.DueEntry{At: at, Text: dueText(kind, w.Try, w.Parks, j)})
	}
	return t.put(ctx, urgency, entries)
}

func (t timers) put(ctx context.Context, urgency string, entries []redisstore.DueEntry) error {
	if err := t.due.Put(ctx, urgency, entries...); err != nil {
		return fmt.Errorf("scheduler: set timers: %w", err)
	}
	return nil
}

// held is the kind of a timer for deliveries that a rule holds: they are
// attempted when it is due, and no timer for their fallback is set yet.
const held = "held"

// dueText writes a job as a line: its weight, "c" for a check, "d" with the
// tries and parks for a delivery or "h" with them for a held one, app, notification, chunk, and the indexes or
// "*". Names have no blanks.
func dueText(kind string, try, parks int, j job) string {
	b := make([]byte, 0, 64)
	weight := len(j.Indexes)
	if j.Indexes == nil {
		weight = redisstore.ChunkSize
	}
	b = strconv.AppendInt(b, int64(weight), 10)
	switch kind {
	case taskCheck:
		b = append(b, " c "...)
	case held:
		b = fmt.Appendf(b, " h%d.%d ", try, parks)
	default:
		b = fmt.Appendf(b, " d%d.%d ", try, parks)
	}
	b = append(b, j.App...)
	b = append(b, ' ')
	b = append(b, j.ID...)
	b = append(b, ' ')
	b = strconv.AppendInt(b, int64(j.Chunk), 10)
	b = append(b, ' ')
	if j.Indexes == nil {
		return string(append(b, '*'))
	}
	for i, index := range j.Indexes {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, int64(index), 10)
	}
	return string(b)
}

// dueWork undoes [dueText] for the entries of a lot: one piece of work for each
// kind, number of tries and app, in which a chunk is one job, however many
// entries named it.
func dueWork(entries []string) (kinds map[string][]*work, err error) {
	kinds = make(map[string][]*work, 2)
	byHead := make(map[string]*work, 2)
	places := make(map[string]int, len(entries)) // of each chunk's job, by head
	for _, text := range entries {
		f := strings.Split(text, " ")
		if len(f) != 6 {
			return nil, fmt.Errorf("scheduler: %q is not a timer", text)
		}
		head := f[1] + " " + f[2] // each app takes room of its own
		w := byHead[head]
		if w == nil {
			kind := taskCheck
			w = new(work)
			if f[1] != "c" {
				kind, w.Timed = taskDeliver, f[1][0] == 'd'
				if _, err := fmt.Sscanf(f[1][1:], "%d.%d", &w.Try, &w.Parks); err != nil {
					return nil, fmt.Errorf("scheduler: %q is not a timer: %w", text, err)
				}
			}
			byHead[head] = w
			kinds[kind] = append(kinds[kind], w)
		}
		j := job{App: f[2], ID: f[3]}
		if j.Chunk, err = strconv.Atoi(f[4]); err != nil {
			return nil, fmt.Errorf("scheduler: %q is not a timer: %w", text, err)
		}
		if f[5] != "*" {
			for word := range strings.SplitSeq(f[5], ",") {
				index, err := strconv.Atoi(word)
				if err != nil {
					return nil, fmt.Errorf("scheduler: %q is not a timer: %w", text, err)
				}
				j.Indexes = append(j.Indexes, index)
			}
		}
		chunk := head + " " + f[3] + " " + f[4]
		if k, ok := places[chunk]; ok {
			w.Jobs[k].join(j.Indexes)
			continue
		}
		places[chunk] = len(w.Jobs)
		w.Jobs = append(w.Jobs, j)
	}
	return kinds, nil
}

// join adds deliveries to a job of the same chunk; nil is all.
func (j *job) join(indexes []int) {
	if j.Indexes == nil || indexes == nil {
		j.Indexes = nil
		return
	}
	for _, i := range indexes {
		if !slices.Contains(j.Indexes, i) {
			j.Indexes = append(j.Indexes, i)
		}
	}
}

// keepTime takes what is due in a queue until ctx ends, and lets what is in
// hand finish for [Config.Grace].
func (w *Worker) keepTime(ctx context.Context, urgency string) {
	k := &timekeeper{w: w, urgency: urgency, hand: make(map[string]bool), places: make(chan struct{}, dueHands)}
	working, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	var group sync.WaitGroup
	defer group.Wait()
	group.Go(func() { k.keepLeases(working) })
	k.take(ctx, working)

	grace := time.NewTimer(w.cfg.Grace)
	defer grace.Stop()
	idle := make(chan struct{})
	go func() { defer close(idle); k.lots.Wait() }()
	select {
	case <-idle:
	case <-grace.C:
		stop()
		<-idle
	}
	stop()
}

// timekeeper looks after one queue's timers.
type timekeeper struct {
	w       *Worker
	urgency string
	places  chan struct{}
	lots    sync.WaitGroup

	mu   sync.Mutex
	hand map[string]bool // lots in hand, whose leases are kept
}

// take takes lots and has each carried, until ctx ends.
func (k *timekeeper) take(ctx, working context.Context) {
	tick := time.NewTicker(dueEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case k.places <- struct{}{}:
		}
		lot, ok, err := k.w.timers.due.Take(ctx, k.urgency, dueLot, dueLease)
		if ok {
			k.begin(working, lot)
			continue
		}
		<-k.places
		if err != nil && ctx.Err() == nil {
			k.w.log.WarnContext(ctx, "timers not looked at", "queue", k.urgency, "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (k *timekeeper) begin(ctx context.Context, lot redisstore.Lot) {
	if !lot.Since.IsZero() {
		k.w.metrics.late.WithLabelValues(k.urgency).Observe(time.Since(lot.Since).Seconds())
	}
	k.mu.Lock()
	k.hand[lot.Name] = true
	k.mu.Unlock()
	k.lots.Go(func() {
		err := k.carry(ctx, lot)
		k.mu.Lock()
		delete(k.hand, lot.Name)
		k.mu.Unlock()
		<-k.places
		k.end(context.WithoutCancel(ctx), lot, err)
	})
}

// carry does what a lot asks for.
func (k *timekeeper) carry(ctx context.Context, lot redisstore.Lot) error {
	ctx, cancel := context.WithTimeout(ctx, taskLife)
	defer cancel()
	kinds, err := dueWork(lot.Entries)
	if err != nil {
		k.w.log.ErrorContext(ctx, "a timer cannot be read", "err", err)
		return nil // nor can it next time
	}
	for kind, all := range kinds {
		for _, wk := range all {
			c := carrier{k.w, k.urgency, kind}
			if err := c.carry(ctx, *wk, hashed(lot.Name)); err != nil {
				return err
			}
		}
	}
	return nil
}

// end forgets a lot that is done, and has one that failed for Herald's own
// trouble handed out again soon.
func (k *timekeeper) end(ctx context.Context, lot redisstore.Lot, err error) {
	ctx, cancel := context.WithTimeout(ctx, commitTime)
	defer cancel()
	if err == nil {
		err = k.w.timers.due.Done(ctx, k.urgency, lot.Name)
	} else {
		k.w.metrics.taskFailed.WithLabelValues("timer").Inc()
		k.w.log.ErrorContext(ctx, "timers failed", "queue", k.urgency, "err", err)
		err = k.w.timers.due.Keep(ctx, k.urgency, time.Now().Add(time.Second), lot.Name)
	}
	if err != nil { // its lease runs out, and it is done again: no harm
		k.w.log.WarnContext(ctx, "timers not noted done", "queue", k.urgency, "err", err)
	}
}

// keepLeases extends the leases of the lots in hand until ctx ends.
func (k *timekeeper) keepLeases(ctx context.Context) {
	tick := time.NewTicker(dueLease / 4)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		k.mu.Lock()
		lots := make([]string, 0, len(k.hand))
		for name := range k.hand {
			lots = append(lots, name)
		}
		k.mu.Unlock()
		if len(lots) == 0 {
			continue
		}
		if err := k.w.timers.due.Keep(ctx, k.urgency, time.Now().Add(dueLease), lots...); err != nil && ctx.Err() == nil {
			k.w.log.WarnContext(ctx, "leases of timers not kept", "queue", k.urgency, "err", err)
		}
	}
}

// patient is a [Picker] that knows how long silence on a road is worth bearing.
type patient interface {
	// Patience is how long a road may stay without proof before the next is
	// taken; 0 is no opinion. hasNext tells whether there is a next.
	Patience(provider string, d *push.Device, n *push.Notification, hasNext bool) time.Duration
}

const (
	// Patience that was learned is kept between these.
	leastWait = time.Second
	mostWait  = 10 * time.Minute
)

// patience is how long a road may stay without the proof that ends the journey:
// what the caller says, else what was learned, else what suits the class.
func (r *round) patience(d *delivery, provider string, hasNext bool) time.Duration {
	if p, ok := r.w.parts.Picker.(patient); ok && d.Route.WaitSeconds == 0 && d.device != nil {
		if learned := p.Patience(provider, d.device, d.Notification, hasNext); learned > 0 {
			return min(max(learned, leastWait), mostWait)
		}
	}
	return wait(d.Notification)
}

// bears is how long the road in use may stay without proof.
func bears(c *redisstore.Cell, n *push.Notification) time.Duration {
	if c.Wait > 0 {
		return time.Duration(c.Wait) * time.Millisecond
	}
	return wait(n)
}
