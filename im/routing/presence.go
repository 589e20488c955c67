package routing

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/herald-push/herald/im"
)

// maxBatch bounds one round trip to the registry.
const maxBatch = 512

// change is a session to be recorded, or with leave set, to be removed.
type change struct {
	entry  Entry
	leave  bool
	waiter *waiter // nil if nobody waits
}

// waiter is someone in Register. Whoever is first of the answer and the end of
// patience takes it, so that a session recorded after its device gave up
// waiting is noticed.
type waiter struct {
	taken atomic.Bool
	done  chan error // has room for one
}

// lookup asks for one device's place.
type lookup struct {
	device Device
	answer chan<- found // has room for one
}

type found struct {
	place im.Place
	err   error
}

func (r *Router) entry(s im.Session) Entry {
	return Entry{
		Device: Device{s.App, s.Device},
		Place:  im.Place{Node: r.cfg.Node, Boot: r.boot, Serial: s.Serial, Since: s.Since},
		User:   s.User,
	}
}

// Register records a session. From its return on the other nodes find the
// device here. After an error the session is recorded as soon as the registry
// is back; the device then hears [Local.Restored].
func (r *Router) Register(ctx context.Context, s im.Session) error {
	w := &waiter{done: make(chan error, 1)}
	select {
	case r.changes <- change{entry: r.entry(s), waiter: w}:
	case <-ctx.Done():
		r.dirty.Store(true)
		return fmt.Errorf("routing: register %s: %w", s.Key(), ctx.Err())
	}
	select {
	case err := <-w.done:
		return err
	case <-ctx.Done():
		if !w.taken.CompareAndSwap(false, true) {
			return <-w.done
		}
		return fmt.Errorf("routing: register %s: %w", s.Key(), ctx.Err())
	}
}

// Unregister removes a session that ended, some time soon. If it cannot, the
// entry stays until someone looks for the device and finds it gone.
func (r *Router) Unregister(s im.Session) {
	select {
	case r.changes <- change{entry: r.entry(s), leave: true}:
	default:
	}
}

// recordChanges takes changes in order, as many at a time as have gathered
// while the last ones were on their way.
func (r *Router) recordChanges(ctx context.Context) {
	for {
		var batch []change
		select {
		case c := <-r.changes:
			batch = gather(append(batch, c), r.changes)
		case <-ctx.Done():
			// What is left needs no removal: the lease ends with the node.
			return
		}
		r.record(ctx, batch)
	}
}

// gather adds what waits in ch, up to [maxBatch].
func gather[T any](batch []T, ch <-chan T) []T {
	for len(batch) < maxBatch {
		select {
		case v := <-ch:
			batch = append(batch, v)
		default:
			return batch
		}
	}
	return batch
}

// record splits a batch into runs of the same kind, which keeps the order of
// what concerns one device.
func (r *Router) record(ctx context.Context, batch []change) {
	for len(batch) > 0 {
		n := 1
		for n < len(batch) && batch[n].leave == batch[0].leave {
			n++
		}
		entries := make([]Entry, n)
		for i, c := range batch[:n] {
			entries[i] = c.entry
		}
		var err error
		if batch[0].leave {
			err = r.registry.Leave(ctx, entries)
		} else {
			err = r.enter(ctx, entries)
		}
		if err != nil {
			r.dirty.Store(true)
		}
		for _, c := range batch[:n] {
			r.answer(c, err)
		}
		batch = batch[n:]
	}
}

// answer tells who waits in Register, or if the wait was given up and the
// session is recorded now, the session.
func (r *Router) answer(c change, err error) {
	switch {
	case c.waiter == nil:
	case c.waiter.taken.CompareAndSwap(false, true):
		c.waiter.done <- err
	case err == nil && r.local != nil:
		r.local.Restored(im.Session{
			App: c.entry.App, Device: c.entry.Device.Device, User: c.entry.User, Serial: c.entry.Serial, Since: c.entry.Since,
		})
	}
}

// enter records sessions and tells the nodes that held their devices before.
func (r *Router) enter(ctx context.Context, entries []Entry) error {
	outcomes, err := r.registry.Enter(ctx, entries)
	if err != nil {
		return fmt.Errorf("routing: record %d sessions: %w", len(entries), err)
	}
	for i, o := range outcomes {
		if o.Result == Entered && o.Before.Node != "" && o.Before.Node != r.cfg.Node {
			r.displace(entries[i].Device, o.Before)
		}
	}
	return nil
}

// keepLease renews the lease, and records all sessions anew when the registry
// lost it, when a change was not recorded, and now and then.
func (r *Router) keepLease(ctx context.Context) {
	tick := time.NewTicker(r.cfg.Lease / 3)
	defer tick.Stop()
	first, swept := true, time.Now()
	for {
		lost, err := r.registry.Renew(ctx, r.cfg.Node, r.boot, r.cfg.Lease)
		switch {
		case err != nil && ctx.Err() == nil:
			r.log.Warn("routing: lease not renewed", "node", r.cfg.Node, "err", err)
		case err == nil && (lost && !first || r.dirty.Swap(false) || time.Since(swept) > r.cfg.Sweep):
			swept = time.Now()
			r.sweep(ctx, tick.C)
		}
		first = first && err != nil
		r.describe(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// describe tells the others how this node is. They may know it late.
func (r *Router) describe(ctx context.Context) {
	if r.state == nil {
		return
	}
	n := Node{Name: r.cfg.Node, Seen: time.Now().UTC()}
	n.Sessions, n.Draining = r.state()
	if err := r.registry.Describe(ctx, n); err != nil && ctx.Err() == nil {
		r.log.Debug("routing: the node did not say how it is", "err", err)
	}
}

// sweep records every session of this node anew, at a bounded pace, renewing
// the lease as it goes.
func (r *Router) sweep(ctx context.Context, renew <-chan time.Time) {
	var all []im.Session
	r.local.Each(func(s im.Session) bool {
		all = append(all, s)
		return ctx.Err() == nil
	})
	size := min(maxBatch, max(1, r.cfg.Pace/10))
	for len(all) > 0 && ctx.Err() == nil {
		n := min(size, len(all))
		if err := r.restore(ctx, all[:n]); err != nil {
			r.dirty.Store(true)
			r.log.Warn("routing: sessions not recorded anew", "left", len(all), "err", err)
			return
		}
		all = all[n:]
		sleep(ctx, time.Duration(n)*time.Second/time.Duration(r.cfg.Pace))
		select {
		case <-renew:
			if _, err := r.registry.Renew(ctx, r.cfg.Node, r.boot, r.cfg.Lease); err != nil {
				r.dirty.Store(true)
			}
		default:
		}
	}
}

func (r *Router) restore(ctx context.Context, sessions []im.Session) error {
	entries := make([]Entry, len(sessions))
	for i, s := range sessions {
		entries[i] = r.entry(s)
		entries[i].Restore = true
	}
	outcomes, err := r.registry.Enter(ctx, entries)
	if err != nil {
		return err
	}
	for i, o := range outcomes {
		switch o.Result {
		case Entered:
			r.local.Restored(sessions[i])
		case Held:
			err = errors.Join(err, r.settle(ctx, sessions[i]))
		case Stale, Known:
		}
	}
	return err
}

// settle decides about a session whose device another node holds. If that node
// lives the device is there: it came here earlier and this session is a dead
// one. If not, its entry is left over.
func (r *Router) settle(ctx context.Context, s im.Session) error {
	places, err := r.registry.Find(ctx, []Device{{s.App, s.Device}})
	if err != nil {
		return err
	}
	if places[0].Node != "" {
		r.local.Displace(s)
		return nil
	}
	if err := r.enter(ctx, []Entry{r.entry(s)}); err != nil {
		return err
	}
	r.local.Restored(s)
	return nil
}

// Online reports for each device of an app whether it is connected anywhere.
func (r *Router) Online(ctx context.Context, app string, devices []string) ([]bool, error) {
	online := make([]bool, len(devices))
	var elsewhere []Device
	var at []int
	for i, d := range devices {
		if r.local != nil && r.local.Here(app, d) {
			online[i] = true
			continue
		}
		elsewhere, at = append(elsewhere, Device{app, d}), append(at, i)
	}
	if len(elsewhere) == 0 {
		return online, nil
	}
	places, err := r.registry.Find(ctx, elsewhere)
	if err != nil {
		return nil, fmt.Errorf("routing: find %d devices: %w", len(elsewhere), err)
	}
	for i, p := range places {
		online[at[i]] = p.Node != "" && !r.own(p)
	}
	return online, nil
}

// own reports whether the place is this process, which knows better itself.
func (r *Router) own(p im.Place) bool { return p.Node == r.cfg.Node && p.Boot == r.boot }

// find looks one device up, together with whoever else asks at the time.
func (r *Router) find(ctx context.Context, d Device) (im.Place, error) {
	answer := make(chan found, 1)
	select {
	case r.lookups <- lookup{d, answer}:
	case <-ctx.Done():
		return im.Place{}, ctx.Err()
	}
	select {
	case f := <-answer:
		return f.place, f.err
	case <-ctx.Done():
		return im.Place{}, ctx.Err()
	}
}

func (r *Router) answerLookups(ctx context.Context) {
	for {
		var batch []lookup
		select {
		case l := <-r.lookups:
			batch = gather(append(batch, l), r.lookups)
		case <-ctx.Done():
			return
		}
		devices := make([]Device, len(batch))
		for i, l := range batch {
			devices[i] = l.device
		}
		places, err := r.registry.Find(ctx, devices)
		for i, l := range batch {
			f := found{err: err}
			if err == nil {
				f.place = places[i]
			}
			l.answer <- f
		}
	}
}
