package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/herald-push/herald/analytics"
	"github.com/herald-push/herald/push"
	"github.com/herald-push/herald/web"
)

// numbers answers the overview from ClickHouse.
type numbers struct{ record *analytics.Store } // nil without ClickHouse

// Overview implements [web.Numbers].
func (n numbers) Overview(ctx context.Context, app string, from, to time.Time, step time.Duration) (web.Overview, error) {
	if n.record == nil {
		return web.Overview{}, web.ErrAway
	}
	var (
		funnel    analytics.FunnelRow
		totals    analytics.TotalRow
		twice     analytics.TwiceRow
		steps     []analytics.StepRow
		providers []analytics.ProviderRow
	)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) { funnel, err = n.record.Funnel(ctx, app, from, to); return err })
	group.Go(func() (err error) { totals, err = n.record.Totals(ctx, app, from, to); return err })
	group.Go(func() (err error) { twice, err = n.record.PaidTwice(ctx, app, from, to); return err })
	group.Go(func() (err error) { steps, err = n.record.Steps(ctx, app, from, to, step); return err })
	group.Go(func() (err error) { providers, err = n.record.Providers(ctx, app, from, to); return err })
	if err := group.Wait(); err != nil {
		return web.Overview{}, pageError(err)
	}
	o := web.Overview{
		Counts: funnelCounts(funnel), P50Millis: totals.P50Ms, P95Millis: totals.P95Ms, CostMicros: totals.CostMicros,
	}
	o.Counts.Notifications, o.Counts.PaidTwice, o.TwiceMicros = totals.Notifications, twice.Deliveries, twice.CostMicros
	for _, s := range steps {
		o.Series = append(o.Series, web.Point{
			At: s.Start, Accepted: s.Accepted, Delivered: s.Delivered, Displayed: s.Displayed, Clicked: s.Clicked,
			Failed: s.Failed, P50Millis: s.P50Ms, P95Millis: s.P95Ms,
		})
	}
	for _, p := range providers {
		o.Providers = append(o.Providers, web.Provider{
			Name: p.Provider, Attempts: p.Attempts, Accepted: p.Accepted, Delivered: p.Delivered, Failed: p.Failed,
			Unknown: p.Unknown, P50Millis: p.P50Ms, P95Millis: p.P95Ms, CostMicros: p.CostMicros,
		})
	}
	return o, nil
}

func funnelCounts(f analytics.FunnelRow) web.Counts {
	return web.Counts{
		Deliveries: f.Deliveries, Accepted: f.Accepted, Delivered: f.Delivered, Displayed: f.Displayed, Clicked: f.Clicked,
		Failed: f.Failed, Unknown: f.Unknown, Expired: f.Expired, Cancelled: f.Cancelled, Suppressed: f.Suppressed,
	}
}

// stories tells of single notifications: their state from Redis, what came of
// them from ClickHouse.
type stories struct{ house *house }

// recently is how far back the list of newest notifications looks.
const recently = 24 * time.Hour

// Recent implements [web.Notifications].
func (s stories) Recent(ctx context.Context, app string, limit int) ([]web.Notification, error) {
	if s.house.record == nil {
		return nil, web.ErrAway
	}
	rows, err := s.house.record.Recent(ctx, app, time.Now().Add(-recently), limit)
	if err != nil {
		return nil, pageError(err)
	}
	recent := make([]web.Notification, len(rows))
	for i, row := range rows {
		recent[i] = web.Notification{
			ID: row.Notification, Class: row.Class, State: string(push.Done),
			AcceptedAt: row.AcceptedAt, Counts: funnelCounts(row.FunnelRow),
		}
		if p, err := s.house.scheduler.Progress(ctx, app, row.Notification); err == nil {
			recent[i].State, recent[i].DeliverAt, recent[i].ExpiresAt = string(p.State), p.DeliverAt, p.ExpiresAt
		}
	}
	return recent, nil
}

// Notification implements [web.Notifications].
func (s stories) Notification(ctx context.Context, app, id string) (web.Notification, error) {
	p, err := s.house.scheduler.Progress(ctx, app, id)
	if err != nil {
		return web.Notification{}, pageError(err)
	}
	c := p.Counts
	return web.Notification{
		ID: p.ID, Class: string(p.Class), State: string(p.State),
		AcceptedAt: p.AcceptedAt, DeliverAt: p.DeliverAt, ExpiresAt: p.ExpiresAt,
		Audience: uint64(p.Audience),
		Counts: web.Counts{
			Notifications: 1, Deliveries: uint64(c.Deliveries), Accepted: uint64(c.Accepted), Delivered: uint64(c.Delivered),
			Displayed: uint64(c.Displayed), Clicked: uint64(c.Clicked), Failed: uint64(c.Failed), Unknown: uint64(c.Unknown),
			Expired: uint64(c.Expired), Cancelled: uint64(c.Cancelled), Suppressed: uint64(c.Suppressed),
			PaidTwice: uint64(c.PaidTwice),
		},
	}, nil
}

// Deliveries implements [web.Notifications].
func (s stories) Deliveries(ctx context.Context, app, id, after string, limit int) ([]web.Delivery, string, error) {
	traces, next, err := s.house.deliveries().Trace(ctx, app, id, "", after, limit)
	if err != nil {
		return nil, "", pageError(err)
	}
	list := make([]web.Delivery, len(traces))
	for i, t := range traces {
		list[i] = delivery(t)
	}
	return list, next, nil
}

// Delivery implements [web.Notifications].
func (s stories) Delivery(ctx context.Context, app, id, device string) (web.Delivery, error) {
	traces, _, err := s.house.deliveries().Trace(ctx, app, id, device, "", 1)
	if err != nil {
		return web.Delivery{}, pageError(err)
	}
	if len(traces) == 0 {
		return web.Delivery{}, fmt.Errorf("%w: %s for %s", web.ErrNotFound, id, device)
	}
	d := delivery(traces[0])
	p, err := s.house.scheduler.Progress(ctx, app, id)
	if err != nil && !errors.Is(err, push.ErrNotFound) {
		return web.Delivery{}, pageError(err)
	}
	d.AcceptedAt = p.AcceptedAt
	return d, nil
}

func delivery(t push.Trace) web.Delivery {
	d := web.Delivery{ID: t.ID, Device: t.Device, Stage: string(t.Stage)}
	for _, a := range t.Attempts {
		d.Attempts = append(d.Attempts, web.Attempt{
			Number: a.Number, Provider: a.Provider, Stage: string(a.Stage), Kind: a.Kind, Code: a.Code, Detail: a.Detail,
			Why: a.Why, At: a.At, TookMillis: a.TookMillis, CostMicros: a.CostMicros,
		})
	}
	for _, p := range t.Receipts {
		d.Receipts = append(d.Receipts, web.Proof{
			Stage: string(p.Stage), Source: string(p.Source), Provider: p.Provider, Detail: p.Detail, At: p.At, AfterMs: p.AfterMs,
		})
	}
	return d
}
