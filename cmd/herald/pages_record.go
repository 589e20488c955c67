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

// numbers answers the pages of numbers from ClickHouse.
type numbers struct {
	record *analytics.Store // nil without ClickHouse
	house  *house
}

// lensOf is the pages' lens in the record's words.
func lensOf(l web.Lens) analytics.Lens {
	return analytics.Lens{
		App: l.App, From: l.From, To: l.To, Class: l.Class, Provider: l.Provider, Platform: l.Platform, Maker: l.Maker, Country: l.Country,
	}
}

// Choices implements [web.Numbers].
func (n numbers) Choices(ctx context.Context, app string, from, to time.Time) (web.Choices, error) {
	if n.record == nil {
		return web.Choices{}, web.ErrAway
	}
	c, err := n.record.Choices(ctx, analytics.Lens{App: app, From: from, To: to})
	return web.Choices(c), pageError(err)
}

// Basis implements [web.Numbers].
func (n numbers) Basis(ctx context.Context, l web.Lens) (uint64, error) {
	if n.record == nil {
		return 0, web.ErrAway
	}
	b, err := n.record.Basis(ctx, lensOf(l))
	return b.Scale, pageError(err)
}

const week = 7 * 24 * time.Hour

// Overview implements [web.Numbers]. What is new is compared with the same time
// last week, or, where nothing was sent then, with what came just before.
func (n numbers) Overview(ctx context.Context, l web.Lens) (web.Overview, error) {
	if n.record == nil {
		return web.Overview{}, web.ErrAway
	}
	lens, back, versus := lensOf(l), week, "the same time last week"
	var (
		before    []analytics.ClassRow
		classes   []analytics.ClassRow
		twice     analytics.TwiceRow
		steps     []analytics.StepRow
		providers []analytics.ProviderRow
		movers    []analytics.Mover
	)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() (err error) { classes, err = n.record.ByClass(ctx, lens); return err })
	group.Go(func() (err error) { twice, err = n.record.PaidTwice(ctx, l.App, l.From, l.To); return err })
	group.Go(func() (err error) { steps, err = n.record.Flow(ctx, lens, l.Step); return err })
	group.Go(func() (err error) { providers, _, err = n.record.ReportProviders(ctx, lens); return err })
	group.Go(func() (err error) {
		before, err = n.record.ByClass(ctx, lens.Before(back))
		if err == nil && len(before) == 0 {
			back = l.To.Sub(l.From)
			versus = "the " + spanInWords(back) + " before"
			before, err = n.record.ByClass(ctx, lens.Before(back))
		}
		if err == nil {
			movers, err = n.record.Movers(ctx, lens, back, mostMovers)
		}
		return err
	})
	if err := group.Wait(); err != nil {
		return web.Overview{}, pageError(err)
	}
	o := web.Overview{Totals: total(classes), Before: total(before), Versus: versus, Providers: providerRows(providers)}
	if lens == (analytics.Lens{App: l.App, From: l.From, To: l.To}) { // it is known of the whole app alone
		o.Counts.PaidTwice, o.TwiceMicros = twice.Deliveries, twice.CostMicros
	}
	for _, c := range classes {
		if c.Class != "" {
			o.Classes = append(o.Classes, web.ClassTotals{Class: c.Class, Totals: totals(c)})
		}
	}
	for _, m := range movers {
		o.Movers = append(o.Movers, web.Mover{
			Provider: m.Provider, Maker: m.Maker, Country: m.Country, Attempts: m.Attempts, AttemptsBefore: m.AttemptsBefore,
			Delivered: m.Delivered, DeliveredBefore: m.DeliveredBefore, Impact: m.Impact, Why: m.Why,
		})
	}
	for _, s := range steps {
		o.Series = append(o.Series, web.Point{
			At: s.Start, Accepted: s.Accepted, Delivered: s.Delivered, Displayed: s.Displayed, Clicked: s.Clicked,
			Failed: s.Failed, P50Millis: s.P50Ms, P95Millis: s.P95Ms,
		})
	}
	return o, nil
}

// mostMovers is how many groups of devices the overview speaks of.
const mostMovers = 8

// total is the row of all classes together; zero where nothing was sent.
func total(rows []analytics.ClassRow) web.Totals {
	if len(rows) == 0 {
		return web.Totals{}
	}
	return totals(rows[len(rows)-1])
}

func totals(c analytics.ClassRow) web.Totals {
	t := web.Totals{Counts: funnelCounts(c.FunnelRow), P50Millis: c.P50Ms, P95Millis: c.P95Ms, CostMicros: c.CostMicros}
	t.Counts.Notifications = c.Notifications
	return t
}

// providerRows lists providers as the pages do.
func providerRows(rows []analytics.ProviderRow) []web.Provider {
	var all []web.Provider
	for _, p := range rows {
		all = append(all, web.Provider{
			Name: p.Provider, Attempts: p.Attempts, Accepted: p.Accepted, Delivered: p.Delivered, Failed: p.Failed,
			Unknown: p.Unknown, P50Millis: p.P50Ms, P95Millis: p.P95Ms, CostMicros: p.CostMicros,
		})
	}
	return all
}

// spanInWords is a window's length as people say it.
func spanInWords(d time.Duration) string {
	switch {
	case d < time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", d/time.Hour)
	default:
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	}
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
			Why: a.Why, At: a.At, TookMillis: a.TookMillis, CostMicros: a.CostMicros, Decision: decision(a.Decision),
		})
	}
	for _, p := range t.Receipts {
		d.Receipts = append(d.Receipts, web.Proof{
			Stage: string(p.Stage), Source: string(p.Source), Provider: p.Provider, Detail: p.Detail, At: p.At, AfterMs: p.AfterMs,
		})
	}
	return d
}

func decision(d *push.Decision) *web.Decision {
	if d == nil {
		return nil
	}
	out := &web.Decision{Policy: d.Policy, Wished: d.Wished, Propensity: d.Propensity, Explored: d.Explored, Online: d.Online}
	for _, r := range d.Roads {
		out.Roads = append(out.Roads, web.Candidate{
			Provider: r.Provider, Score: float64(r.Score), Propensity: float64(r.Propensity),
			Chance: float64(r.Chance), Cost: float64(r.Cost), Seconds: float64(r.Seconds),
		})
	}
	return out
}
