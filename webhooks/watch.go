package webhooks

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/herald-push/herald/internal/database"
	"github.com/herald-push/herald/push"
)

// Sights are what apps are told of and nobody emits: somebody has to look.
type Sights interface {
	// Lanes lists an app's lanes, as all workers together see them.
	Lanes(ctx context.Context, app string) ([]push.Lane, error)
	// Progress tells how far a notification has come; [push.ErrNotFound].
	Progress(ctx context.Context, app, id string) (push.Progress, error)
}

// Watcher looks by the clock at lanes, quotas and campaigns of apps that want to
// hear of them. Any number of processes may have one: each change has one id.
type Watcher struct {
	hooks  *Hooks
	sights Sights
	told   map[string]time.Time // quota events that this process has emitted, until when that matters
}

// NewWatcher makes a watcher.
func (h *Hooks) NewWatcher(sights Sights) *Watcher {
	return &Watcher{hooks: h, sights: sights, told: make(map[string]time.Time)}
}

const (
	watchEvery = 2 * time.Second
	// unheardOf is how long a campaign may be unknown to the queue: it is watched
	// before it is queued.
	unheardOf = 10 * time.Minute
	// campaignsPerLook bounds one look.
	campaignsPerLook = 200
)

// nearly are the parts of a quota at whose crossing an app is told.
func nearly() [2]float64 { return [2]float64{0.8, 1} }

// Run looks until ctx ends.
func (w *Watcher) Run(ctx context.Context) error {
	clock := time.NewTicker(watchEvery)
	defer clock.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-clock.C:
		}
		if err := errors.Join(w.lookAtLanes(ctx), w.lookAtCampaigns(ctx)); err != nil && ctx.Err() == nil {
			w.hooks.log.WarnContext(ctx, "webhooks hear late of lanes and campaigns", "err", err)
		}
	}
}

// lookAtLanes emits what has changed since the last look, of any process.
func (w *Watcher) lookAtLanes(ctx context.Context) error {
	now := w.hooks.now()
	for id, until := range w.told {
		if now.After(until) {
			delete(w.told, id)
		}
	}
	var errs []error
	for app := range w.hooks.known.Load().byApp {
		lanes, quotas := w.hooks.Wants(app, push.EventLaneChanged), w.hooks.Wants(app, push.EventQuotaNear)
		if !lanes && !quotas {
			continue
		}
		all, err := w.sights.Lanes(ctx, app)
		if err == nil && quotas {
			err = w.tellQuotas(ctx, all)
		}
		if err == nil && lanes {
			err = w.tellLanes(ctx, app, all)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// laneData is the data of lane.changed.
type laneData struct {
	App      string         `json:"app"`
	Provider string         `json:"provider"`
	State    push.LaneState `json:"state"`
	Before   push.LaneState `json:"before"`
	Why      string         `json:"why,omitempty"`
	Until    time.Time      `json:"until,omitzero"`
}

// tellLanes emits first and notes then that it was told: who dies in between is
// told again, under the same id.
func (w *Watcher) tellLanes(ctx context.Context, app string, all []push.Lane) error {
	type told struct {
		state   push.LaneState
		changes int64
	}
	before := map[string]told{}
	const read = `SELECT provider, state, changes FROM webhook_lanes WHERE app = $1`
	_, err := database.Collect(ctx, w.hooks.db.Read(), read, []any{app}, func(scan database.Scanner) (struct{}, error) {
		var provider string
		var t told
		err := scan(&provider, &t.state, &t.changes)
		before[provider] = t
		return struct{}{}, err
	})
	if err != nil {
		return fail("lanes of app "+app, err)
	}
	for i := range all {
		l := &all[i]
		was, known := before[l.Provider]
		if !known {
			was.state = push.LaneOpen
		}
		if l.State == was.state || l.State == push.LaneProbing { // that is still closed
			continue
		}
		event := push.Event{
			ID:  EventID(app, push.EventLaneChanged, l.Provider+"\x00"+strconv.FormatInt(was.changes+1, 10)),
			App: app, Type: push.EventLaneChanged, At: w.hooks.now(),
			Data: laneData{App: app, Provider: l.Provider, State: l.State, Before: was.state, Why: l.Why, Until: l.Until},
		}
		if err := w.hooks.Emit(ctx, event); err != nil {
			return err
		}
		const note = `
			INSERT INTO webhook_lanes (app, provider, state, changes) VALUES ($1, $2, $3, $4)
			ON CONFLICT (app, provider) DO UPDATE SET state = excluded.state, changes = excluded.changes
			WHERE webhook_lanes.changes < excluded.changes`
		if _, err := w.hooks.db.Write().Exec(ctx, note, app, l.Provider, string(l.State), was.changes+1); err != nil {
			return fail("note a lane of app "+app, err)
		}
	}
	return nil
}

// quotaData is the data of quota.near.
type quotaData struct {
	App      string    `json:"app"`
	Provider string    `json:"provider"`
	Quota    string    `json:"quota"`
	Used     int64     `json:"used"`
	Limit    int64     `json:"limit"`
	Part     float64   `json:"part"` // that was crossed: 0.8 or 1
	EndsAt   time.Time `json:"ends_at,omitzero"`
	RenewsAt time.Time `json:"renews_at"`
}

func (w *Watcher) tellQuotas(ctx context.Context, all []push.Lane) error {
	for i := range all {
		for _, q := range all[i].Quotas {
			for _, part := range nearly() {
				if q.PerDevice || q.Limit == 0 || float64(q.Used) < part*float64(q.Limit) {
					continue
				}
				what := fmt.Sprintf("%s\x00%s\x00%d\x00%g", all[i].Provider, q.Name, q.RenewsAt.Unix(), part)
				id := EventID(all[i].App, push.EventQuotaNear, what)
				if _, done := w.told[id]; done {
					continue
				}
				err := w.hooks.Emit(ctx, push.Event{
					ID: id, App: all[i].App, Type: push.EventQuotaNear, At: w.hooks.now(),
					Data: quotaData{
						App: all[i].App, Provider: all[i].Provider, Quota: q.Name, Used: q.Used, Limit: q.Limit,
						Part: part, EndsAt: q.EndsAt, RenewsAt: q.RenewsAt,
					},
				})
				if err != nil {
					return err
				}
				w.told[id] = q.RenewsAt
			}
		}
	}
	return nil
}

// Watch has an app told when a notification has come to its end. It must come
// before the notification is queued, or be repeated if what queued it is. An app
// that does not want to hear of it costs a look into a map.
func (h *Hooks) Watch(ctx context.Context, app, notification string) error {
	if !h.Wants(app, push.EventCampaignFinished) {
		return nil
	}
	const query = `
		INSERT INTO webhook_campaigns (app, notification, created_at, next_at) VALUES ($1, $2, $3, $3)
		ON CONFLICT (app, notification) DO NOTHING`
	_, err := h.db.Write().Exec(ctx, query, app, notification, h.now().UnixMicro())
	return fail("watch a campaign of app "+app, err)
}

// lookAtCampaigns emits which have come to their end.
func (w *Watcher) lookAtCampaigns(ctx context.Context) error {
	type campaign struct {
		app, id string
		since   time.Time
	}
	h, now := w.hooks, w.hooks.now()
	if len(h.known.Load().byID) == 0 {
		return nil
	}
	const read = `SELECT app, notification, created_at FROM webhook_campaigns WHERE next_at <= $1 ORDER BY next_at LIMIT $2`
	all, err := database.Collect(ctx, h.db.Read(), read, []any{now.UnixMicro(), campaignsPerLook}, func(scan database.Scanner) (c campaign, err error) {
		var since int64
		err = scan(&c.app, &c.id, &since)
		c.since = at(since)
		return c, err
	})
	if err != nil {
		return fail("campaigns", err)
	}
	for _, c := range all {
		next, err := w.lookAt(ctx, c.app, c.id, c.since)
		if err != nil {
			return err
		}
		if next.IsZero() {
			_, err = h.db.Write().Exec(ctx, `DELETE FROM webhook_campaigns WHERE app = $1 AND notification = $2`, c.app, c.id)
		} else {
			_, err = h.db.Write().Exec(ctx, `UPDATE webhook_campaigns SET next_at = $3 WHERE app = $1 AND notification = $2`, c.app, c.id, next.UnixMicro())
		}
		if err != nil {
			return fail("note a campaign", err)
		}
	}
	return nil
}

// lookAt emits the end of one campaign, or tells when to look again.
func (w *Watcher) lookAt(ctx context.Context, app, id string, since time.Time) (next time.Time, err error) {
	now := w.hooks.now()
	p, err := w.sights.Progress(ctx, app, id)
	switch {
	case errors.Is(err, push.ErrNotFound):
		if now.Sub(since) < unheardOf {
			return now.Add(watchEvery), nil
		}
		return time.Time{}, nil // it was refused, or is forgotten
	case err != nil:
		return time.Time{}, err
	case p.State == push.Done, p.State == push.TakenBack:
		return time.Time{}, w.hooks.Emit(ctx, push.Event{
			ID: EventID(app, push.EventCampaignFinished, id), App: app, Type: push.EventCampaignFinished, At: now, Data: p,
		})
	case p.State == push.Scheduled && p.DeliverAt.After(now.Add(time.Minute)):
		return now.Add(min(p.DeliverAt.Sub(now), time.Hour)), nil
	case p.State == push.Paused:
		return now.Add(time.Minute), nil
	default:
		return now.Add(watchEvery), nil
	}
}
