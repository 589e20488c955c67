package scheduler

import (
	"context"
	"fmt"
	"time"

	"github.com/herald-push/herald/internal/redisstore"
	"github.com/herald-push/herald/push"
)

// rests tells whether nothing more of a notification is begun for now. The end
// comes before a pause: what is taken back or over is ended as ever.
func rests(r *redisstore.Record) bool {
	return r.Paused && !r.Cancelled && time.Now().Before(r.Notification.ExpiresAt)
}

// rest takes the parcels of paused notifications out, and has them looked after
// when their time is over. [Door.Resume] has all of them looked after before.
func (w *Worker) rest(ctx context.Context, urgency string, parcels []*parcel) ([]*parcel, error) {
	awake := parcels[:0]
	for _, p := range parcels {
		if !p.paused {
			awake = append(awake, p)
			continue
		}
		jobs := work{Jobs: []job{{App: p.n.App, ID: p.n.ID, Chunk: p.chunk.Number}}}
		if err := w.timers.later(ctx, urgency, taskCheck, p.n.ExpiresAt, jobs); err != nil {
			return nil, err
		}
	}
	return awake, nil
}

// Pause begins nothing more of a notification until [Door.Resume]. What a worker
// has in hand at this moment may still leave, and time goes on: a pause that is
// longer than the time to live is the end of it. [push.ErrNotFound].
func (d *Door) Pause(ctx context.Context, app, id string) (push.Progress, error) {
	if err := d.journal.Pause(ctx, app, id); err != nil {
		return push.Progress{}, fmt.Errorf("scheduler: %w", err)
	}
	return d.Progress(ctx, app, id)
}

// Resume goes on where a notification was paused. It may be called again, and
// for one that was never paused. [push.ErrNotFound].
func (d *Door) Resume(ctx context.Context, app, id string) (push.Progress, error) {
	if err := d.journal.Resume(ctx, app, id); err != nil {
		return push.Progress{}, fmt.Errorf("scheduler: %w", err)
	}
	record, err := d.record(ctx, app, id)
	if err != nil {
		return push.Progress{}, err
	}
	n := record.Notification
	ref := redisstore.Ref{App: app, ID: id}
	if err := d.tasks.put(ctx, taskBundle, n.Class.Urgency(), "", bundle{[]redisstore.Ref{ref}, 1}, n.DeliverAt); err != nil {
		return push.Progress{}, err
	}
	// One chunk more than is noted: the expansion may be about to note it.
	for _, kind := range []string{taskDeliver, taskCheck} {
		if err := d.sweep(ctx, record, kind, record.Chunks+1); err != nil {
			return push.Progress{}, err
		}
	}
	return d.Progress(ctx, app, id)
}

// sweep queues tasks that look after the first chunks of a notification.
func (d *Door) sweep(ctx context.Context, record *redisstore.Record, kind string, chunks int) error {
	n := record.Notification
	var w work
	for k := range chunks {
		w.Jobs = append(w.Jobs, job{App: n.App, ID: n.ID, Chunk: k})
		if len(w.Jobs) < chunksPerSweep && k < chunks-1 {
			continue
		}
		if err := d.tasks.put(ctx, kind, n.Class.Urgency(), "", w, time.Time{}); err != nil {
			return err
		}
		w.Jobs = nil
	}
	return nil
}
