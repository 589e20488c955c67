package scheduler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/hibiken/asynq"

	"github.com/herald-push/herald/internal/redisstore"
	"github.com/herald-push/herald/push"
)

// commitTime bounds one group commit.
const commitTime = 5 * time.Second

// Door takes notifications and evidence in, and tells how they fare. It needs
// no goroutine of its own and is safe for concurrent use.
type Door struct {
	cfg     Config
	parts   Parts
	log     *slog.Logger
	journal *redisstore.Journal // for what is urgent, and for questions
	gated   *redisstore.Journal // for the rest
	inbox   *redisstore.Inbox
	tasks   queue
	due     *redisstore.Due
	share   *share
	lanes   *redisstore.Lanes
	deaths  *deaths
	metrics *doorMetrics
	flow    flow

	mu   sync.Mutex
	open [len(queues)]*group    // the groups that notifications may still join, by urgency; nil if none
	last [len(queues)]time.Time // when the last group of each was closed
}

// NewDoor makes a door. It does not touch Redis yet.
func NewDoor(cfg Config, parts Parts) *Door {
	return &Door{
		cfg: cfg, parts: parts, log: parts.Log,
		journal: redisstore.NewJournal(parts.Redis),
		gated:   redisstore.NewJournal(parts.Redis).Gated(gateWidth),
		inbox:   redisstore.NewInbox(parts.Redis),
		tasks:   queue{asynq.NewClientFromRedisClient(parts.Redis)},
		due:     redisstore.NewDue(parts.Redis),
		share:   newShare(time.Now),
		lanes:   redisstore.NewLanes(parts.Redis),
		metrics: newDoorMetrics(parts.Metrics),
		deaths:  newDeaths(parts),
	}
}

// Enqueue returns once n is durable in Redis. The same id with the same hash
// answers the first call's progress and queues nothing; with another hash it is
// [push.ErrConflict]. [push.ErrAway] means that n was not taken, or that nobody
// can know: the caller asks again with the same id.
//
// Notifications that come at the same time are committed together: the first
// of a group leads it, waits out the window, and speaks to Redis for all.
func (d *Door) Enqueue(ctx context.Context, n *push.Notification, bodyHash [32]byte) (push.Progress, error) {
	began := time.Now()
	m := &member{entry: redisstore.Entry{Notification: n, Hash: bodyHash, Devices: atDoor(n)}}
	g, leads, delay := d.join(m)
	if leads {
		// The others wait for the leader: its caller's patience must not end them.
		go d.lead(context.WithoutCancel(ctx), g, delay)
	}
	select {
	case <-ctx.Done():
		return push.Progress{}, fmt.Errorf("scheduler: enqueue %s: %w", n.ID, ctx.Err())
	case <-g.done:
	}
	d.metrics.enqueued(n.Class, m.err, time.Since(began))
	if m.err != nil {
		return push.Progress{}, m.err
	}
	return firstProgress(m.first), nil
}

// accepted hands in a notification that Herald itself has made: durable, and
// once however often it is repeated.
func (d *Door) accepted(ctx context.Context, n *push.Notification, hash [32]byte) error {
	m := &member{entry: redisstore.Entry{Notification: n, Hash: hash, Devices: atDoor(n)}}
	d.commit(ctx, d.book(row(n.Class)), []*member{m})
	return m.err
}

// group is notifications of one urgency that are committed together.
type group struct {
	queue   int // its place among the queues
	members []*member
	full    chan struct{} // closed when no more may join
	done    chan struct{} // closed when every member has its answer
}

type member struct {
	entry redisstore.Entry
	first *push.Notification // as accepted, maybe by an earlier call
	err   error
}

// join adds m to the open group or begins one, which m then leads after delay.
func (d *Door) join(m *member) (g *group, leads bool, delay time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	q := row(m.entry.Notification.Class)
	if d.open[q] == nil {
		d.open[q] = &group{queue: q, full: make(chan struct{}), done: make(chan struct{})}
		leads, delay = true, time.Until(d.last[q].Add(d.cfg.Window))
	}
	g = d.open[q]
	g.members = append(g.members, m)
	if len(g.members) == bundleSize {
		d.open[q], d.last[q] = nil, time.Now()
		close(g.full)
	}
	return g, leads, delay
}

// lead closes the group after delay, or when it is full, and commits it.
func (d *Door) lead(ctx context.Context, g *group, delay time.Duration) {
	if delay > 0 {
		t := time.NewTimer(delay)
		select {
		case <-t.C:
		case <-g.full:
			t.Stop()
		}
	}
	d.mu.Lock()
	if d.open[g.queue] == g {
		d.open[g.queue], d.last[g.queue] = nil, time.Now()
	}
	d.mu.Unlock()

	ctx, cancel := context.WithTimeout(ctx, commitTime)
	defer cancel()
	d.commit(ctx, d.book(g.queue), g.members)
	close(g.done)
}

// commit makes the members durable, in this order: their records, the tasks
// that will carry them, and the note that there are tasks. A crash in between
// leaves records without that note, and a repeat of the request queues them.
func (d *Door) commit(ctx context.Context, journal *redisstore.Journal, members []*member) {
	if err := d.accept(ctx, journal, members); err != nil {
		fail(members, err)
		return
	}
	d.noteCampaigns(ctx, members)
	for _, lot := range lots(members) {
		refs := lot.refs()
		row := d.share.row(lot.app, lot.urgency, lot.devices)
		err := d.tasks.put(ctx, taskBundle, row, "", bundle{refs, lot.devices}, lot.at)
		if err != nil {
			fail(lot.members, err)
			continue
		}
		// They are in the queue. Without the note a repeat would queue them
		// again, which does no harm: claims keep deliveries single.
		if err := journal.Queued(ctx, refs); err != nil {
			d.log.WarnContext(ctx, "queued, but not noted so", "notifications", len(refs), "err", err)
		}
	}
}

// book is the journal for notifications of an urgency.
func (d *Door) book(queue int) *redisstore.Journal {
	if queue == 0 {
		return d.journal
	}
	return d.gated
}

func (d *Door) accept(ctx context.Context, journal *redisstore.Journal, members []*member) error {
	entries := make([]redisstore.Entry, len(members))
	for i, m := range members {
		entries[i] = m.entry
	}
	verdicts, err := journal.Accept(ctx, entries)
	if err != nil {
		return fmt.Errorf("scheduler: accept: %w", err)
	}
	for i, v := range verdicts {
		m := members[i]
		switch {
		case v.Conflict:
			m.err = fmt.Errorf("scheduler: notification %s: %w", m.entry.Notification.ID, push.ErrConflict)
		case v.Queued:
			m.first, m.entry.Notification = v.First, nil
		default:
			m.first, m.entry.Notification = v.First, v.First
		}
	}
	return nil
}

func fail(members []*member, err error) {
	if !errors.Is(err, push.ErrAway) {
		err = fmt.Errorf("%w: %w", push.ErrAway, err)
	}
	for _, m := range members {
		if m.err == nil {
			m.err = err
		}
	}
}

// lot is the members that one task carries, all of one app: apps share the
// worker's room fairly, task by task.
type lot struct {
	app     string
	urgency string
	at      time.Time // deliver_at; zero is now
	members []*member
	devices int
}

// lots sorts those that are to be queued by urgency and time, into lots that a
// worker can have in memory.
func lots(members []*member) []*lot {
	type key struct {
		app     string
		urgency string
		at      int64
	}
	byKey := make(map[key]*lot)
	var all []*lot
	for _, m := range members {
		n := m.entry.Notification
		if m.err != nil || n == nil {
			continue
		}
		k := key{app: n.App, urgency: n.Class.Urgency()}
		if !n.DeliverAt.IsZero() {
			k.at = n.DeliverAt.UnixMilli()
		}
		if byKey[k] == nil || byKey[k].devices >= bundleDevices {
			byKey[k] = &lot{app: k.app, urgency: k.urgency, at: n.DeliverAt}
			all = append(all, byKey[k])
		}
		byKey[k].members = append(byKey[k].members, m)
		byKey[k].devices += max(1, m.entry.Devices)
	}
	return all
}

// refs names the notifications of the lot, each once.
func (l *lot) refs() []redisstore.Ref {
	seen := make(map[redisstore.Ref]bool, len(l.members))
	refs := make([]redisstore.Ref, 0, len(l.members))
	for _, m := range l.members {
		r := redisstore.Ref{App: m.entry.Notification.App, ID: m.entry.Notification.ID}
		if !seen[r] {
			seen[r] = true
			refs = append(refs, r)
		}
	}
	return refs
}

// atDoor is how many devices are cut into chunks by the number, before anybody
// has read them. A rate decides itself what a chunk is.
func atDoor(n *push.Notification) int {
	if n.RatePerMinute > 0 {
		return 0
	}
	return len(named(n.To))
}

// named lists the devices of an audience that names them itself, each once;
// nil for an audience that must be looked up.
func named(to push.Audience) []string {
	if to.Device != "" {
		return []string{to.Device}
	}
	seen := make(map[string]bool, len(to.Devices))
	ids := make([]string, 0, len(to.Devices))
	for _, id := range to.Devices {
		if !seen[id] {
			seen[id] = true
			ids = append(ids, id)
		}
	}
	return ids
}
