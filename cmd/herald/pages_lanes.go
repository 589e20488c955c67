package main

import (
	"context"

	"github.com/herald-push/herald/push"
	"github.com/herald-push/herald/web"
)

// lanesPage tells the dashboards how apps fare with their providers.
type lanesPage struct{ house *house }

// Lanes implements [web.Lanes].
func (p lanesPage) Lanes(ctx context.Context, app string) ([]web.Lane, error) {
	all, err := lanes{p.house.scheduler, p.house.store}.Lanes(ctx, app)
	if err != nil {
		return nil, pageError(err)
	}
	rows := make([]web.Lane, len(all))
	for i, l := range all {
		rows[i] = laneOnPage(l)
	}
	return rows, nil
}

func laneOnPage(l push.Lane) web.Lane {
	row := web.Lane{
		Provider: l.Provider, State: string(l.State), Why: l.Why, Until: l.Until, Note: l.Note,
		InFlight: uint64(max(0, l.InFlight)), Limit: uint64(max(0, l.Limit)), Waiting: uint64(max(0, l.Waiting)),
		PerSecond: l.PerSecond, Bound: l.Bound,
	}
	if row.Why == "" && len(l.Classes) > 0 {
		c := l.Classes[0]
		row.Why, row.Until = string(c.Class)+": "+c.Why, c.Until
	}
	for _, q := range l.Quotas {
		row.Quotas = append(row.Quotas, web.LaneQuota{
			Name: q.Name, PerDevice: q.PerDevice, Limit: uint64(max(0, q.Limit)), Used: uint64(max(0, q.Used)),
			Refused: uint64(max(0, q.Refused)), EndsAt: q.EndsAt, RenewsAt: q.RenewsAt,
		})
	}
	return row
}
