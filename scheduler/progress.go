package scheduler

import (
	"context"
	"fmt"
	"time"

	"github.com/herald-push/herald/internal/redisstore"
	"github.com/herald-push/herald/push"
)

// firstProgress is the answer to whoever handed n in, and again to whoever
// repeats that.
func firstProgress(n *push.Notification) push.Progress {
	p := push.Progress{
		ID: n.ID, State: push.Queued, Class: n.Class,
		AcceptedAt: n.AcceptedAt, DeliverAt: n.DeliverAt, ExpiresAt: n.ExpiresAt,
	}
	if n.DeliverAt.After(n.AcceptedAt) {
		p.State = push.Scheduled
	}
	return p
}

// Progress answers the state of a notification and its counts;
// [push.ErrNotFound] for one that is unknown, or forgotten a day after its end.
func (d *Door) Progress(ctx context.Context, app, id string) (push.Progress, error) {
	record, err := d.record(ctx, app, id)
	if err != nil {
		return push.Progress{}, err
	}
	counts, begun, err := d.journal.Counts(ctx, app, id, record.Chunks)
	if err != nil {
		return push.Progress{}, fmt.Errorf("scheduler: progress of %s: %w", id, err)
	}
	counts.Deliveries = record.Devices
	if !record.Expanded {
		counts.Deliveries = max(record.Devices, len(named(record.Notification.To)))
	}
	p := firstProgress(record.Notification)
	p.Audience = max(record.Audience, counts.Deliveries)
	p.Counts, p.Outcomes = counts, counts.Outcomes()
	p.State = state(record, counts, begun, time.Now())
	return p, nil
}

func state(r *redisstore.Record, c push.Counts, begun bool, now time.Time) push.State {
	outcomes := c.Accepted + c.Failed + c.Unknown + c.Expired + c.Cancelled + c.Suppressed
	switch {
	case r.Cancelled:
		return push.TakenBack
	case r.Expanded && outcomes >= r.Devices:
		return push.Done
	case r.Paused:
		return push.Paused
	case begun:
		return push.Sending
	case r.Notification.DeliverAt.After(now):
		return push.Scheduled
	default:
		return push.Queued
	}
}

// chunksPerSweep is how many chunks one task of a sweep looks after: as many
// deliveries as a worker has in memory by default.
const chunksPerSweep = 16

// Cancel takes back what has not been sent, and answers how far it had come.
// What a worker has in hand at this moment may still leave.
func (d *Door) Cancel(ctx context.Context, app, id string) (push.Progress, error) {
	if err := d.journal.Cancel(ctx, app, id); err != nil {
		return push.Progress{}, fmt.Errorf("scheduler: %w", err)
	}
	record, err := d.record(ctx, app, id)
	if err != nil {
		return push.Progress{}, err
	}
	// Deliveries that wait for a later time are ended now, not then.
	if err := d.sweep(ctx, record, taskCheck, record.Chunks); err != nil {
		return push.Progress{}, err
	}
	return d.Progress(ctx, app, id)
}

func (d *Door) record(ctx context.Context, app, id string) (*redisstore.Record, error) {
	records, err := d.journal.Load(ctx, []redisstore.Ref{{App: app, ID: id}})
	if err != nil {
		return nil, fmt.Errorf("scheduler: %w", err)
	}
	if records[0] == nil {
		return nil, fmt.Errorf("scheduler: notification %s: %w", id, push.ErrNotFound)
	}
	return records[0], nil
}
