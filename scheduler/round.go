package scheduler

import (
	"context"
	"fmt"
	"time"

	"github.com/herald-push/herald/internal/redisstore"
	"github.com/herald-push/herald/push"
)

// abandoned is when a claim no longer keeps other tasks off: by then asynq has
// handed the claiming task to another worker, or given it up.
const abandoned = 3 * time.Minute

// forsaken is when a retry counts as one that nobody came for. Its timer is set
// before the cell says so; one that is due while the cell is still claimed,
// because Redis was away in between, finds nothing to do.
const forsaken = 5 * time.Second

// round is one pass over the deliveries of a task. It may be done again after a
// crash at any point: what has a recorded outcome is not touched again.
type round struct {
	w       *Worker
	kind    string // taskDeliver or taskCheck
	urgency string
	owner   string // names the task in claims
	work    work   // Try, Parks and Timed of the task
	now     time.Time
	parcels []*parcel
	room    *room
	forms   map[form]*push.Notification
}

// parcel is a chunk under way.
type parcel struct {
	chunk  redisstore.Chunk
	n      *push.Notification
	app    push.App
	slots  []redisstore.Slot
	paused bool       // nothing more is begun
	ending push.Stage // Cancelled or Expired: nothing more is sent; "" otherwise
	// dueAgain is when a look must be taken again at what was found undecided.
	dueAgain  time.Time
	undecided []int
}

// delivery is one of them on its journey.
type delivery struct {
	push.Delivery
	parcel *parcel
	index  int
	seen   redisstore.Cell // as it was read
	cell   redisstore.Cell // as it will be
	device *push.Device    // nil if unknown
	user   push.User       // what its user has said; often nothing
	ruled  ruling
	roads  []road
	passed []string // providers whose lanes were closed in this round
	// avoided is the part of passed that was closed for it, with the reasons.
	avoided []push.PlannedStep
	boxed   bool // it lies in the inbox of a live device
}

// run does the round: choose what needs doing, find the roads, set the timers,
// claim, carry.
//
// Letters are laid in the inboxes before anybody asks who is connected: a
// device that connects in between finds its letter there.
func (r *round) run(ctx context.Context) error {
	if err := r.apps(ctx); err != nil {
		return err
	}
	ds := r.choose()
	r.room.keep(len(ds))
	if err := r.findDevices(ctx, ds); err != nil {
		return err
	}
	ds, bound, err := r.rule(ctx, ds)
	if err != nil {
		return err
	}
	if err := r.obey(ctx, bound); err != nil {
		return err
	}
	r.room.keep(len(ds))
	if err := r.fillInboxes(ctx, ds); err != nil {
		return err
	}
	if err := r.findRoads(ctx, ds); err != nil {
		return err
	}
	if err := r.setTimers(ctx, ds); err != nil {
		return err
	}
	if ds, err = r.claim(ctx, ds); err != nil {
		return err
	}
	if err := r.setTimers(ctx, nil); err != nil { // for what another task took meanwhile
		return err
	}
	if err := r.clearInboxes(ctx); err != nil {
		return err
	}
	return r.carry(ctx, ds)
}

// apps loads what the apps allow and sees which notifications have ended.
func (r *round) apps(ctx context.Context) error {
	for _, p := range r.parcels {
		app, err := r.w.apps.app(ctx, p.n.App)
		if err != nil {
			return fmt.Errorf("scheduler: app %s: %w", p.n.App, err)
		}
		p.app = app
		if p.ending == "" && !r.now.Before(p.n.ExpiresAt) {
			p.ending = push.Expired
		}
	}
	return nil
}

// choose picks the deliveries that this round is for.
func (r *round) choose() []*delivery {
	var ds []*delivery
	for _, p := range r.parcels {
		for i := range p.slots {
			s := &p.slots[i]
			if !r.wants(p, s.Index, &s.Cell) {
				continue
			}
			ds = append(ds, newDelivery(p, *s))
		}
	}
	return ds
}

func newDelivery(p *parcel, s redisstore.Slot) *delivery {
	return &delivery{
		Delivery: push.Delivery{
			Notification: p.n, Device: s.Cell.Device,
			ID: push.DeliveryID(p.n.ID, p.chunk.Number, s.Index),
		},
		parcel: p, index: s.Index, seen: s.Cell, cell: letGo(s.Cell),
	}
}

// letGo is a cell that notes until when a rule held it, if one did.
func letGo(c redisstore.Cell) redisstore.Cell {
	if c.Hold.Kind == redisstore.Retry && c.Hold.Provider == "" {
		c.Held = c.Hold.At
	}
	return c
}

// wants tells whether a delivery is this round's to go on with, and notes on
// the parcel when a check has to come again for one that is not yet, or that
// another task has in hand.
func (r *round) wants(p *parcel, index int, c *redisstore.Cell) bool {
	if isFinal(c.Stage) || proven(c, p.n) {
		return false
	}
	now := r.now.UnixMilli()
	switch c.Hold.Kind {
	case redisstore.Claimed:
		if c.Hold.Owner == r.owner || now-c.Hold.At > abandoned.Milliseconds() {
			return true
		}
	case redisstore.Retry:
		if p.ending != "" || (r.kind == taskDeliver && c.Hold.At <= now) {
			return true
		}
		if c.Hold.Provider == "" {
			return false // a rule holds it, and a task of its own will come for it
		}
		if now-c.Hold.At > forsaken.Milliseconds() {
			return true
		}
	case redisstore.Waiting:
		return p.ending != ""
	default:
		if p.ending != "" || r.kind == taskDeliver {
			return c.Stage == "" || c.Void()
		}
		if c.Since+bears(c, p.n).Milliseconds() <= now || c.Denied(c.LastTried()) {
			return c.Attempt > 0
		}
	}
	if (r.kind == taskCheck || c.Hold.Kind == redisstore.Claimed) && p.ending == "" {
		again := r.now.Add(bears(c, p.n))
		switch {
		case c.Hold.Kind == redisstore.Free:
			again = time.UnixMilli(c.Since).Add(bears(c, p.n))
		case r.kind == taskDeliver:
			again = r.now.Add(2 * forsaken)
		}
		if p.undecided = append(p.undecided, index); p.dueAgain.IsZero() || again.Before(p.dueAgain) {
			p.dueAgain = again
		}
	}
	return false
}

// proven tells whether a delivery has what its journey is for.
func proven(c *redisstore.Cell, n *push.Notification) bool {
	return c.Stage.Reaches(until(n)) && !c.Void()
}

// isFinal tells whether a delivery has left the ladder for good.
func isFinal(s push.Stage) bool { return s.Rank() == push.Failed.Rank() }

// findDevices finds each delivery's device.
func (r *round) findDevices(ctx context.Context, ds []*delivery) error {
	for app, of := range byApp(ds) {
		ids := make([]string, len(of))
		for i, d := range of {
			ids[i] = d.Device
		}
		devices, err := r.w.parts.Devices.Devices(ctx, app, ids)
		if err != nil {
			return fmt.Errorf("scheduler: devices of app %s: %w: %w", app, push.ErrAway, err)
		}
		for i, d := range of {
			d.device = devices[i]
		}
	}
	return nil
}

// findRoads finds each delivery's roads, in the order of trial.
func (r *round) findRoads(ctx context.Context, ds []*delivery) error {
	for app, of := range byApp(ds) {
		online, err := r.w.online(ctx, app, of)
		if err != nil {
			return err
		}
		for i, d := range of {
			if d.device != nil && d.parcel.ending == "" {
				d.roads = roads(r.w.parts.Picker, d.Notification, d.device, d.parcel.app.Policy, online[i], r.asked(d))
			}
		}
	}
	return nil
}

func byApp(ds []*delivery) map[string][]*delivery {
	apps := make(map[string][]*delivery, 1)
	for _, d := range ds {
		apps[d.App] = append(apps[d.App], d)
	}
	return apps
}

// setTimers puts down the looks that this round will need, before anything is
// sent: one for all deliveries of a chunk that wait equally long. A crash after
// it costs a look that finds nothing to do.
func (r *round) setTimers(ctx context.Context, ds []*delivery) error {
	var entries []redisstore.DueEntry
	for _, p := range r.parcels {
		if !p.dueAgain.IsZero() {
			entries = append(entries, p.timer(p.dueAgain, p.undecided))
			p.dueAgain, p.undecided = time.Time{}, nil
		}
	}
	if !r.work.Timed {
		type stop struct {
			parcel *parcel
			wait   time.Duration
		}
		stops := make(map[stop][]int)
		for _, d := range ds {
			if next, ok := d.hasFurther(r.now); ok {
				s := stop{d.parcel, r.patience(d, next.Provider, true)}
				stops[s] = append(stops[s], d.index)
			}
		}
		for s, indexes := range stops {
			entries = append(entries, s.parcel.timer(r.now.Add(s.wait+dueSlack), indexes))
		}
	}
	return r.w.timers.put(ctx, r.urgency, entries)
}

// timer is a look at deliveries of the parcel.
func (p *parcel) timer(at time.Time, indexes []int) redisstore.DueEntry {
	if at.After(p.n.ExpiresAt) {
		at = p.n.ExpiresAt
	}
	if len(indexes) == len(p.slots) && len(indexes) > 1 {
		indexes = nil
	}
	return redisstore.DueEntry{At: at, Text: dueText(taskCheck, 0, 0, job{p.n.App, p.n.ID, p.chunk.Number, indexes})}
}

// claimTries bounds how often a claim is tried again because a receipt changed
// the cell between reading and claiming.
const claimTries = 5

// claim marks the deliveries as this task's and returns those it got.
func (r *round) claim(ctx context.Context, ds []*delivery) ([]*delivery, error) {
	var got []*delivery
	for range claimTries {
		if len(ds) == 0 {
			return got, nil
		}
		lost, err := r.claimOnce(ctx, ds)
		if err != nil {
			return nil, err
		}
		var again []*delivery
		for _, d := range ds {
			slot, refused := lost[d]
			if !refused {
				got = append(got, d)
			} else if r.wants(d.parcel, d.index, &slot) {
				d.seen, d.cell = slot, letGo(slot)
				again = append(again, d)
			}
		}
		ds = again
	}
	return got, nil // the rest is so lively that its receipts decide
}

// claimOnce claims in one round trip; lost has what stands in the other cells.
func (r *round) claimOnce(ctx context.Context, ds []*delivery) (lost map[*delivery]redisstore.Cell, err error) {
	var chunks []redisstore.Chunk
	var claims [][]redisstore.Claim
	var of [][]*delivery
	var last *parcel
	for _, d := range ds { // in the order of parcels
		if d.parcel != last {
			last = d.parcel
			chunks, claims, of = append(chunks, last.chunk), append(claims, nil), append(of, nil)
		}
		d.cell.Hold = redisstore.Hold{Kind: redisstore.Claimed, At: r.now.UnixMilli(), Owner: r.owner}
		if road, ok := d.next(r.now); ok {
			d.cell.Hold.Provider = road.Provider
			d.cell.Reopen(road.Provider)
		}
		k := len(chunks) - 1
		claims[k] = append(claims[k], redisstore.Claim{Index: d.index, Seen: d.seen, Be: d.cell})
		of[k] = append(of[k], d)
	}
	refused, err := r.w.book(r.urgency).Claim(ctx, chunks, claims)
	if err != nil {
		return nil, fmt.Errorf("scheduler: claim: %w", err)
	}
	lost = make(map[*delivery]redisstore.Cell)
	for k, slots := range refused {
		for _, s := range slots {
			for _, d := range of[k] {
				if d.index == s.Index {
					lost[d] = s.Cell
				}
			}
		}
	}
	return lost, nil
}
