package main

import (
	"context"
	"time"

	"github.com/herald-push/herald/internal/sqlstore"
	"github.com/herald-push/herald/push"
	"github.com/herald-push/herald/scheduler"
	"github.com/herald-push/herald/webhooks"
)

// watchedQueue has apps told of the end of what they send to many.
type watchedQueue struct {
	*scheduler.Scheduler
	hooks *webhooks.Hooks
}

// Enqueue implements [api.Queue].
func (q watchedQueue) Enqueue(ctx context.Context, n *push.Notification, bodyHash [32]byte) (push.Progress, error) {
	if n.To.Device == "" && n.To.User == "" {
		if err := q.hooks.Watch(ctx, n.App, n.ID); err != nil {
			return push.Progress{}, err
		}
	}
	return q.Scheduler.Enqueue(ctx, n, bodyHash)
}

// watchedSchedules has apps told of the end of what their schedules send.
type watchedSchedules struct {
	*sqlstore.Store
	hooks *webhooks.Hooks
}

// AdvanceSchedule implements [scheduler.Schedules]. It comes after the firing,
// and until it was done the firing comes again.
func (s watchedSchedules) AdvanceSchedule(ctx context.Context, sc *push.Schedule, next, last time.Time) error {
	if !last.IsZero() {
		if err := s.hooks.Watch(ctx, sc.App, sc.FiringID(last)); err != nil {
			return err
		}
	}
	return s.Store.AdvanceSchedule(ctx, sc, next, last)
}
