package places

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/herald-push/herald/push"
)

// ErrNoConsent is why a device's reports are refused.
var ErrNoConsent = errors.New("the device's person has not agreed to tell where it is")

const (
	// reporters is how many batches of reports are under way at once. A device's
	// go through one of them, in order.
	reporters = 4
	// perBatch is how many askers share two round trips to Redis.
	perBatch = 512
	// tries is how often a device that others change meanwhile is begun anew.
	tries = 8
)

// ask is somebody who waits for reports of one device to be taken.
type ask struct {
	app, device string
	points      []push.Position // in the order of their times
	kept        int
	err         error
	done        chan struct{}
}

// Report takes where a device was, in the order of time. It returns once Redis
// has it, and how many of the positions were newer than what was known.
//
// [ErrNoConsent] refuses them, [push.ErrNotFound] means that there is no such
// device, [push.ErrAway] that they were not taken.
func (p *Places) Report(ctx context.Context, app, device string, points []push.Position) (kept int, err error) {
	a := &ask{app: app, device: device, points: points, done: make(chan struct{})}
	select {
	case p.asks[shardOf(device)%reporters] <- a:
	case <-ctx.Done():
		return 0, fmt.Errorf("places: report: %w", away(ctx.Err()))
	}
	select {
	case <-a.done:
		return a.kept, a.err
	case <-ctx.Done():
		return 0, fmt.Errorf("places: report: %w", away(ctx.Err()))
	}
}

// report takes what is asked until ctx ends, as many at a time as there are.
func (p *Places) report(ctx context.Context, asks chan *ask) {
	for {
		var batch []*ask
		select {
		case <-ctx.Done():
			return
		case a := <-asks:
			batch = append(batch, a)
		}
	more:
		for len(batch) < perBatch {
			select {
			case a := <-asks:
				batch = append(batch, a)
			default:
				break more
			}
		}
		p.take(ctx, batch)
		for _, a := range batch {
			close(a.done)
		}
	}
}

// mover is a device that reports, with all who ask for it in a batch.
type mover struct {
	app, device string
	asks        []*ask
	rec         record
	change      change
	last        push.Position // zero if nothing was newer
	done        bool
}

// take deals with a batch: two round trips for all of it, and more only for
// devices that somebody else changed meanwhile.
func (p *Places) take(ctx context.Context, batch []*ask) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	movers := moversOf(batch)
	for range tries {
		if err := p.try(ctx, movers); err != nil {
			p.failAll(movers, err)
			return
		}
		left := movers[:0]
		for _, m := range movers {
			if !m.done {
				left = append(left, m)
			}
		}
		if movers = left; len(movers) == 0 {
			return
		}
	}
	p.failAll(movers, fmt.Errorf("places: too many report one device at once: %w", push.ErrAway))
}

func moversOf(batch []*ask) []*mover {
	byDevice := make(map[[2]string]*mover, len(batch))
	movers := make([]*mover, 0, len(batch))
	for _, a := range batch {
		key := [2]string{a.app, a.device}
		m := byDevice[key]
		if m == nil {
			m = &mover{app: a.app, device: a.device}
			byDevice[key] = m
			movers = append(movers, m)
		}
		m.asks = append(m.asks, a)
	}
	return movers
}

func (p *Places) failAll(movers []*mover, err error) {
	for _, m := range movers {
		for _, a := range m.asks {
			a.kept, a.err = 0, err
		}
	}
}

// try reads the devices, moves them, and writes them back.
func (p *Places) try(ctx context.Context, movers []*mover) error {
	if err := p.load(ctx, movers); err != nil {
		return err
	}
	now := p.now().UTC()
	var changes []change
	var of []*mover
	for _, m := range movers {
		if !m.done && p.move(m, now) {
			changes, of = append(changes, m.change), append(of, m)
		}
	}
	if len(changes) == 0 {
		return nil
	}
	taken, err := p.index.write(ctx, changes, now)
	if err != nil {
		return err
	}
	for i, m := range of {
		if !taken[i] {
			continue
		}
		m.done = true
		p.last.note(m.last)
		p.count.crossings.Add(float64(len(m.change.crossings)))
		for _, c := range m.change.crossings {
			p.ringSoon(c)
		}
		for _, a := range m.asks {
			p.count.reports.Add(float64(a.kept))
			p.count.stale.Add(float64(len(a.points) - a.kept))
		}
	}
	return nil
}

// load reads the records, and from SQL the consents of those that Redis does
// not know.
func (p *Places) load(ctx context.Context, movers []*mover) error {
	byApp := map[string][]*mover{}
	for _, m := range movers {
		byApp[m.app] = append(byApp[m.app], m)
	}
	for app, all := range byApp {
		if _, err := p.ready(ctx, app); err != nil {
			return err // without the fences, what is known of crossings would be lost
		}
		ids := make([]string, len(all))
		for i, m := range all {
			ids[i] = m.device
		}
		found, err := p.index.records(ctx, app, ids)
		if err != nil {
			return err
		}
		var unknown []*mover
		for i, m := range all {
			m.change = change{app: app, device: m.device, old: found[i]}
			var ok bool
			if m.rec, ok = decodeRecord(found[i]); !ok {
				unknown = append(unknown, m)
			}
		}
		if err := p.consents(ctx, app, unknown); err != nil {
			return err
		}
	}
	return nil
}

func (p *Places) consents(ctx context.Context, app string, movers []*mover) error {
	if len(movers) == 0 {
		return nil
	}
	ids := make([]string, len(movers))
	for i, m := range movers {
		ids[i] = m.device
	}
	all, err := p.parts.Store.Consents(ctx, app, ids)
	if err != nil {
		return fmt.Errorf("places: %w", err)
	}
	for i, m := range movers {
		if all[i].Mode == "" {
			p.failAll([]*mover{m}, fmt.Errorf("places: device: %w", push.ErrNotFound))
			m.done = true
		}
		m.rec = record{mode: all[i].Mode, nearby: all[i].Nearby}
	}
	return nil
}

// move works out what becomes of a device; false if nothing is to be written.
func (p *Places) move(m *mover, now time.Time) bool {
	if m.rec.mode == push.PlaceOff {
		p.failAll([]*mover{m}, ErrNoConsent)
		p.count.refused.Inc()
		m.done = true
		return false
	}
	fences := p.area(m.app).fences
	m.last = push.Position{}
	moved := false
	for _, a := range m.asks {
		a.kept, a.err = 0, nil
		for _, at := range a.points {
			if at.At.UnixMilli() <= m.rec.at {
				continue // a newer one is known
			}
			a.kept, moved = a.kept+1, true
			m.rec.at = at.At.UnixMilli()
			where := point{at.Lat, at.Lon}
			if m.rec.mode == push.PlaceCoarse {
				where = coarse(where)
			}
			where = stored(where)
			m.change.where, m.change.at = &where, at.At
			m.last = push.Position{App: m.app, Device: m.device, Lat: where.lat, Lon: where.lon, Accuracy: at.Accuracy, At: at.At}
			m.change.crossings = fences.evaluate(&m.rec, &step{
				app: m.app, device: m.device, where: where, accuracy: at.Accuracy, at: at.At,
				stale: now.Sub(at.At) > p.cfg.Late, now: now,
			}, m.change.crossings)
		}
	}
	if !moved {
		for _, a := range m.asks {
			p.count.stale.Add(float64(len(a.points)))
		}
		m.done = true
		return false
	}
	if m.rec.nearby {
		blurred := stored(p.blur(m.app, m.device, *m.change.where))
		m.change.found = &blurred
	}
	m.change.new = m.rec.encode()
	return true
}

// lastPlaces are to be written into the devices' records, by app and device.
type lastPlaces struct {
	mu  sync.Mutex
	all map[string]map[string]push.Position
}

func (l *lastPlaces) note(at push.Position) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all[at.App] == nil {
		l.all[at.App] = map[string]push.Position{}
	}
	l.all[at.App][at.Device] = at
}

func (l *lastPlaces) take() map[string]map[string]push.Position {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := l.all
	l.all = map[string]map[string]push.Position{}
	return all
}

// perStatement is how many last places are written at once: other writers of
// the database wait that long.
const perStatement = 1000

// recordAll writes last places now and then, and what is left at the end.
func (p *Places) recordAll(ctx context.Context) {
	tick := time.NewTicker(p.cfg.RecordEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			p.record(ctx)
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			p.record(last)
			return
		}
	}
}

// record writes the last places of all who have moved. What cannot be written
// is dropped: Redis has it, and the next report brings a newer one.
func (p *Places) record(ctx context.Context) {
	for app, devices := range p.last.take() {
		batch := make([]push.Position, 0, min(len(devices), perStatement))
		write := func() {
			if err := p.parts.Store.PutLastPlaces(ctx, app, batch); err != nil {
				p.log.WarnContext(ctx, "last places were not written into the devices' records", "app", app, "devices", len(batch), "err", err)
			}
			batch = batch[:0]
		}
		for _, at := range devices {
			if batch = append(batch, at); len(batch) == perStatement {
				write()
			}
		}
		if len(batch) > 0 {
			write()
		}
	}
}
