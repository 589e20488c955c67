package main

import (
	"context"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/herald-push/herald/analytics"
	"github.com/herald-push/herald/push"
	"github.com/herald-push/herald/web"
)

// Roads implements [web.Numbers].
func (n numbers) Roads(ctx context.Context, l web.Lens) (web.Roads, error) {
	if n.record == nil {
		return web.Roads{}, web.ErrAway
	}
	lens := lensOf(l)
	var (
		group, all []analytics.ProviderRow
		kinds      []analytics.KindPoint
		heat       []analytics.HeatCell
	)
	asks, ctx := errgroup.WithContext(ctx)
	asks.Go(func() (err error) { group, _, err = n.record.ReportProviders(ctx, lens); return err })
	asks.Go(func() (err error) { kinds, err = n.record.Kinds(ctx, lens, l.Step); return err })
	asks.Go(func() (err error) { heat, err = n.record.Heat(ctx, lens, l.Step); return err })
	if everybody := lens; lens.Platform != "" || lens.Maker != "" || lens.Country != "" {
		everybody.Platform, everybody.Maker, everybody.Country = "", "", ""
		asks.Go(func() (err error) { all, _, err = n.record.ReportProviders(ctx, everybody); return err })
	}
	if err := asks.Wait(); err != nil {
		return web.Roads{}, pageError(err)
	}
	r := web.Roads{Providers: providerRows(group), Everybody: providerRows(all)}
	for _, k := range kinds {
		r.Kinds = append(r.Kinds, web.KindPoint{At: k.Start, Kind: k.Kind, N: k.Receipts})
	}
	for _, c := range heat {
		r.Heat = append(r.Heat, web.HeatCell{At: c.Start, Bucket: int(c.Bucket), N: c.Proofs})
	}
	return r, nil
}

// Choice implements [web.Numbers].
func (n numbers) Choice(ctx context.Context, l web.Lens) (web.Choice, error) {
	if n.record == nil {
		return web.Choice{}, web.ErrAway
	}
	app, err := n.house.store.App(ctx, l.App)
	if err != nil {
		return web.Choice{}, pageError(err)
	}
	lens := lensOf(l)
	var (
		picks   []analytics.PickPoint
		uplifts []analytics.Uplift
		last    []analytics.Pick
		whatIf  [len(policies)]analytics.Replay
	)
	asks, ctx := errgroup.WithContext(ctx)
	asks.Go(func() (err error) { picks, err = n.record.Picks(ctx, lens, l.Step); return err })
	asks.Go(func() (err error) { uplifts, err = n.record.Uplifts(ctx, lens); return err })
	asks.Go(func() (err error) { last, err = n.record.LastPicks(ctx, lens, mostPicks); return err })
	for i, name := range policies {
		asks.Go(func() (err error) {
			whatIf[i], err = n.record.Replay(ctx, l.App, l.From, l.To, analytics.Replayed{Name: name, Order: staticOrder(app.Policy.Selection)})
			return err
		})
	}
	if err := asks.Wait(); err != nil {
		return web.Choice{}, pageError(err)
	}
	c := web.Choice{Selection: selectionOnPage(app.Policy.Selection, n.house.selector.Sides(app))}
	for _, p := range picks {
		c.Picks = append(c.Picks, web.PickPoint{At: p.Start, Provider: p.Provider, Picked: p.Picked, Explored: p.Explored})
	}
	for _, u := range uplifts {
		c.Uplifts = append(c.Uplifts, web.Uplift{
			Class: u.Class, Auto: u.Auto, AutoArrived: u.AutoArrived, Static: u.Static, StaticArrived: u.StaticArrived, Difference: web.Estimate(u.Difference),
		})
	}
	for _, w := range whatIf {
		c.WhatIf = append(c.WhatIf, web.WhatIf{
			Policy: w.Policy, Decisions: w.Decisions, Effective: w.Effective,
			IPS: web.Estimate(w.IPS), SNIPS: web.Estimate(w.SNIPS), DR: web.Estimate(w.DR),
		})
	}
	for _, p := range last {
		c.Last = append(c.Last, web.Pick{
			Notification: p.Notification, Device: p.Device, Class: p.Class, Provider: p.Provider, Policy: p.Policy, Why: p.Why,
			Propensity: float64(p.Propensity), Explored: p.Explored == 1, At: p.At,
			Chance: float64(p.Chance), Cost: float64(p.Cost), Seconds: float64(p.Seconds),
		})
	}
	return c, nil
}

// policies are the ways of choosing that the log is asked about.
var policies = [...]string{"logged", "best", "order", "random"}

// mostPicks is how many decisions are shown with their reasons.
const mostPicks = 12

// staticOrder is the fixed order that an app's rules name, or the usual one: the
// live connection, the device's vendors, text messages.
func staticOrder(s push.Selection) []string {
	for _, r := range s.Rules {
		if len(r.Order) > 0 {
			return r.Order
		}
	}
	return []string{push.Live, "apns", "fcm", "huawei", "honor", "xiaomi", "oppo", "vivo", "meizu", "webpush", "xmpp", "http", push.SMS, push.SMPP}
}

func selectionOnPage(s push.Selection, sides []push.Side) web.Selection {
	out := web.Selection{Kill: s.Kill}
	for _, r := range s.Rules {
		out.Rules = append(out.Rules, web.SelectionRule{Class: string(r.Class), Mode: string(r.Mode), Order: slices.Clone(r.Order), Share: r.Share})
	}
	for _, side := range sides {
		out.Sides = append(out.Sides, web.Side{Class: string(side.Class), Policy: side.Policy, Attempts: side.Attempts, Arrived: side.Arrived, Guard: side.Guard})
	}
	return out
}

// mostWays is how many orders of roads are drawn; rarer ones are left out.
const mostWays = 200

// Journeys implements [web.Numbers].
func (n numbers) Journeys(ctx context.Context, l web.Lens) (web.Journeys, error) {
	if n.record == nil {
		return web.Journeys{}, web.ErrAway
	}
	lens := lensOf(l)
	var (
		ways  []analytics.Way
		spent []analytics.SpentRow
		late  []analytics.LateRow
		texts []analytics.TextRow
	)
	asks, ctx := errgroup.WithContext(ctx)
	asks.Go(func() (err error) { ways, err = n.record.Ways(ctx, lens, mostWays); return err })
	asks.Go(func() (err error) { spent, err = n.record.Spent(ctx, lens); return err })
	asks.Go(func() (err error) { late, err = n.record.Late(ctx, lens); return err })
	asks.Go(func() (err error) { texts, err = n.record.Texts(ctx, lens); return err })
	if err := asks.Wait(); err != nil {
		return web.Journeys{}, pageError(err)
	}
	var j web.Journeys
	for _, w := range ways {
		j.Ways = append(j.Ways, web.Way(w))
	}
	for _, s := range spent {
		j.Spent = append(j.Spent, web.Spent(s))
	}
	for _, r := range late {
		j.Late = append(j.Late, web.Late{Provider: r.Provider, Deliveries: r.Deliveries, P50: r.P50Ms, P95: r.P95Ms, CostMicros: r.CostMicros})
	}
	for _, t := range texts {
		j.Texts = append(j.Texts, web.Texts{
			Class: t.Class, Texted: t.Texted, Arrived: t.Arrived, CostMicros: t.CostMicros, Spared: t.Spared, SavedMicros: t.SavedMicro,
		})
	}
	return j, nil
}
