package scheduler

import (
	"context"
	"fmt"
	"time"

	"github.com/herald-push/herald/internal/redisstore"
	"github.com/herald-push/herald/push"
)

const (
	// mostBehind is how far a rate may fall behind, because no worker ran or the
	// queue was long, before the time is given up for lost: what is late is not
	// made up for by a burst.
	mostBehind = 2 * time.Second
	// lookAgain is how long an expansion waits before it looks again whether it
	// is still to go on.
	lookAgain = time.Second
	// mostInHand is how long one run of an expansion lasts, so that it ends
	// before its task does.
	mostInHand = taskLife / 2
)

// stepOf is how many devices a notification with a rate reads at a time: about
// a second's worth. 0 is no rate.
func stepOf(n *push.Notification) int {
	if n.RatePerMinute == 0 {
		return 0
	}
	return min(max(n.RatePerMinute/60, 1), redisstore.ChunkSize)
}

// took is the time that a rate gives to so many devices.
func took(n *push.Notification, devices int) time.Duration {
	return time.Duration(devices) * time.Minute / time.Duration(n.RatePerMinute)
}

// pace is how many devices are due by a notification's rate or, if that is less
// than a step, how much too early it is. A step comes when its last device is
// due, so at no time have more begun than the rate allows; and because the
// chunks are numbered, it makes no difference how many workers have a hand in it.
func (h *expander) pace(ctx context.Context, r *redisstore.Record) (due int, early time.Duration, err error) {
	n := r.Notification
	if n.RatePerMinute == 0 || r.Cancelled || !time.Now().Before(n.ExpiresAt) {
		return pageSize, 0, nil
	}
	now := time.Now()
	next := r.Pace.At.Add(took(n, r.Devices-r.Pace.From+stepOf(n)))
	if r.Pace.At.IsZero() || now.Sub(next) > mostBehind {
		r.Pace = redisstore.Pace{At: now, From: r.Devices}
		if err := h.w.journal.SetPace(ctx, redisstore.Ref{App: n.App, ID: n.ID}, r.Pace); err != nil {
			return 0, 0, fmt.Errorf("scheduler: %w", err)
		}
		next = now.Add(took(n, stepOf(n)))
	}
	if early = next.Sub(now); early > 0 {
		return 0, early, nil
	}
	late := int(int64(-early) * int64(n.RatePerMinute) / int64(time.Minute))
	return min(stepOf(n)+late, pageSize), 0, nil
}

// wait lets time pass, a second at most; on is false if another run is to take
// over: this one has lasted long enough, or the worker stops.
func (h *expander) wait(ctx context.Context, early, lasted time.Duration) (on bool, err error) {
	if lasted > mostInHand {
		return false, nil
	}
	t := time.NewTimer(min(early, lookAgain))
	defer t.Stop()
	select {
	case <-t.C:
		return true, nil
	case <-h.w.stopping:
		return false, nil
	case <-ctx.Done():
		return false, fmt.Errorf("scheduler: wait for the rate: %w", ctx.Err())
	}
}

// spread is when a delivery that a rule holds goes: when the rule says or, so
// that all that it holds do not go at once, as much later as a rate gives to
// those before it.
func (r *round) spread(d *delivery) time.Time {
	n := d.parcel.n
	if n.RatePerMinute == 0 {
		return d.ruled.until
	}
	return d.ruled.until.Add(took(n, d.parcel.chunk.Number*stepOf(n)+d.index))
}
