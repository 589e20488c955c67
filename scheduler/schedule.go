package scheduler

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/herald-push/herald/push"
)

// Schedules keeps what is sent again and again.
type Schedules interface {
	// DueSchedules returns schedules whose time has come, the longest due first.
	DueSchedules(ctx context.Context, by time.Time, limit int) ([]*push.Schedule, error)
	// AdvanceSchedule moves a schedule on, unless somebody has moved or changed
	// it meanwhile. A zero last leaves that as it is.
	AdvanceSchedule(ctx context.Context, s *push.Schedule, next, last time.Time) error
}

const (
	// firingTick is how often a worker looks for schedules that are due.
	firingTick = time.Second
	// firingLot is how many it takes at a time.
	firingLot = 100
	// mostMissed bounds the search for the latest of the firings missed.
	mostMissed = 100_000
)

// Firings are the next n times of a cron line by the clock in a time zone, after
// a time. A wall time that is skipped when clocks go forward fires as much
// later as they skip, and one that comes twice fires the first time only.
func Firings(line, timezone string, after time.Time, n int) ([]time.Time, error) {
	zone, err := time.LoadLocation(timezone)
	if err != nil {
		return nil, fmt.Errorf("scheduler: time zone %q is unknown", timezone)
	}
	if strings.Contains(line, "TZ=") {
		return nil, errors.New("scheduler: a cron line has no time zone of its own")
	}
	schedule, err := cron.ParseStandard(line)
	if err != nil {
		return nil, fmt.Errorf("scheduler: cron line: %w", err)
	}
	if _, every := schedule.(cron.ConstantDelaySchedule); every {
		return nil, errors.New("scheduler: @every has no times of day; use five fields")
	}
	here := after.In(zone)
	wall := time.Date(here.Year(), here.Month(), here.Day(), here.Hour(), here.Minute(), here.Second(), 0, time.UTC)
	var all []time.Time
	last := after
	for len(all) < n {
		if wall = schedule.Next(wall); wall.IsZero() {
			break // such as on 30 February
		}
		if at := push.InZone(wall, zone); at.After(last) {
			all, last = append(all, at), at
		}
	}
	if len(all) == 0 {
		return nil, errors.New("scheduler: the cron line names a time that never comes")
	}
	return all, nil
}

// fire looks for schedules that are due until ctx ends.
func (w *Worker) fire(ctx context.Context) {
	tick := time.NewTicker(firingTick)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := w.fireDue(ctx, time.Now().UTC()); err != nil && ctx.Err() == nil {
			w.log.WarnContext(ctx, "schedules wait", "err", err)
		}
	}
}

// fireDue fires all schedules that are due.
func (w *Worker) fireDue(ctx context.Context, now time.Time) error {
	for {
		due, err := w.parts.Schedules.DueSchedules(ctx, now, firingLot)
		if err != nil {
			return fmt.Errorf("scheduler: schedules: %w", err)
		}
		for _, s := range due {
			if err := w.fireOne(ctx, s, now); err != nil {
				return fmt.Errorf("scheduler: schedule %s of app %s: %w", s.ID, s.App, err)
			}
		}
		if len(due) < firingLot {
			return nil
		}
	}
}

// fireOne sends what a schedule is due for and moves it on. Of firings that were
// missed because no worker ran, only the latest is made up for, and only while
// it is worth sending: its time to live counts from when it was due.
//
// Every worker may do this at once: the id makes them one. One that dies in
// between has it done again.
func (w *Worker) fireOne(ctx context.Context, s *push.Schedule, now time.Time) error {
	latest, next, err := missed(s, now)
	if err != nil {
		// It was checked when it was made: a time zone must have gone.
		w.log.ErrorContext(ctx, "a schedule cannot be read and rests for a day", "app", s.App, "schedule", s.ID, "err", err)
		return w.parts.Schedules.AdvanceSchedule(ctx, s, now.Add(24*time.Hour), time.Time{})
	}
	n := *s.Notification
	n.App, n.ID = s.App, s.FiringID(latest)
	n.AcceptedAt, n.ExpiresAt = now, latest.Add(time.Duration(s.TTLSeconds)*time.Second)
	if !now.Before(n.ExpiresAt) {
		w.log.WarnContext(ctx, "a schedule's time was missed", "app", s.App, "schedule", s.ID, "due", latest)
		return w.parts.Schedules.AdvanceSchedule(ctx, s, next, time.Time{})
	}
	if n.Template != "" && w.parts.Wording != nil {
		if err := w.parts.Wording(ctx, &n); err != nil {
			if errors.Is(err, push.ErrAway) {
				return err
			}
			w.log.ErrorContext(ctx, "a schedule's template does not fit any more", "app", s.App, "schedule", s.ID, "err", err)
			return w.parts.Schedules.AdvanceSchedule(ctx, s, next, time.Time{})
		}
	}
	err = w.door.accepted(ctx, &n, sha256.Sum256([]byte(n.ID)))
	if err != nil && !errors.Is(err, push.ErrConflict) { // a conflict: the id is taken, so it has fired
		return err
	}
	return w.parts.Schedules.AdvanceSchedule(ctx, s, next, latest)
}

// missed is the latest firing that a schedule is due for, and the next to come.
func missed(s *push.Schedule, now time.Time) (latest, next time.Time, err error) {
	latest = s.NextAt
	for range mostMissed {
		after, err := Firings(s.Cron, s.Timezone, latest, 1)
		if err != nil {
			return latest, next, err
		}
		if after[0].After(now) {
			return latest, after[0], nil
		}
		latest = after[0]
	}
	return latest, now, nil // the rest at the next look
}
