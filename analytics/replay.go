package analytics

import (
	"context"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/herald-push/herald/push"
)

// Replayed is a policy that a log is asked about.
type Replayed struct {
	// Name is "logged" (what was done), "best" (the highest score), "order" (the
	// first of Order that the device has), or "random".
	Name  string
	Order []string
}

// Estimate is a share of messages proven to have arrived, with the bounds that
// hold it with a probability of 95 %.
type Estimate struct {
	Value float64 `json:"value"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
}

// Replay is what a policy would have brought, by first decisions that left
// something to chance.
type Replay struct {
	Policy    string `json:"policy"`
	Decisions uint64 `json:"decisions"`
	// Effective is how many decisions of the policy's own the log is worth.
	Effective float64  `json:"effective"`
	IPS       Estimate `json:"ips"`   // inverse propensity score
	SNIPS     Estimate `json:"snips"` // the same, self-normalized
	DR        Estimate `json:"dr"`    // doubly robust, with the logged scores as the model
}

// replayed is the row of the query.
type replayed struct {
	N         uint64  `ch:"n"`
	Effective float64 `ch:"effective"`
	IPS       float64 `ch:"ips"`
	IPSError  float64 `ch:"ips_error"`
	SNIPS     float64 `ch:"snips"`
	SNIPSErr  float64 `ch:"snips_error"`
	DR        float64 `ch:"dr"`
	DRError   float64 `ch:"dr_error"`
}

// targets are the probabilities with which a policy takes each road, as
// ClickHouse works them out.
func (p Replayed) targets() (string, error) {
	switch p.Name {
	case "logged":
		return `arrayMap(x -> toFloat64(x), propensities)`, nil
	case "random":
		return `arrayMap(x -> 1 / length(roads), roads)`, nil
	case "best":
		return `arrayMap(i -> toFloat64(i = indexOf(scores, arrayMax(scores))), arrayEnumerate(roads))`, nil
	case "order":
		const place = `arrayMap(r -> if(has({order:Array(String)}, toString(r)), indexOf({order:Array(String)}, toString(r)), 1000), roads)`
		return `arrayMap(i -> toFloat64(i = indexOf(` + place + `, arrayMin(` + place + `))), arrayEnumerate(roads))`, nil
	}
	return "", &push.Invalid{Faults: []push.Fault{{Field: "policy", Detail: "is none of logged, best, order, random"}}}
}

// Replay estimates what a policy would have brought for the notifications that
// the API accepted in [from, to). Only decisions that the selector made itself
// count, because only their propensities are true. It says of a window what
// the view decisions says of all time; Decisions is scaled, Effective and the
// bounds are of what was really read.
func (s *Store) Replay(ctx context.Context, app string, from, to time.Time, p Replayed) (Replay, error) {
	targets, err := p.targets()
	if err != nil {
		return Replay{}, fmt.Errorf("analytics: replay: %w", err)
	}
	found, _, err := report(ctx, s, Lens{App: app, From: from, To: to}, "replay", func(table string) string {
		return `
		SELECT
			n,
			if(n = 0 OR sum_w2 = 0, 0, sum_w * sum_w / sum_w2) AS effective,
			ifNotFinite(sum_wr / n, 0) AS ips,
			ifNotFinite(sqrt(sd_wr / n), 0) AS ips_error,
			ifNotFinite(sum_wr / sum_w, 0) AS snips,
			ifNotFinite(sqrt(sum_w2r2 - 2 * snips * sum_w2r + snips * snips * sum_w2) / sum_w, 0) AS snips_error,
			ifNotFinite(mean_dr, 0) AS dr,
			ifNotFinite(sqrt(sd_dr / n), 0) AS dr_error
		FROM (
			SELECT
				count() AS n, sum(w) AS sum_w, sum(w * w) AS sum_w2, sum(w * reward) AS sum_wr,
				sum(w * w * reward) AS sum_w2r, sum(w * w * reward * reward) AS sum_w2r2,
				varSamp(w * reward) AS sd_wr, avg(robust) AS mean_dr, varSamp(robust) AS sd_dr
			FROM (
				SELECT
					toFloat64(reward) AS reward,
					` + targets + ` AS target,
					indexOf(roads, chosen) AS at,
					target[at] / propensity_of AS w,
					arraySum(arrayMap((t, q) -> t * q, target, scores)) + w * (reward - scores[at]) AS robust
				FROM (
					SELECT toString(r.provider) AS chosen, r.propensity AS propensity_of, r.roads AS roads, r.scores AS scores,
						r.propensities AS propensities, toUInt8(a.first_by = chosen) AS reward
					FROM (
						SELECT cityHash64(delivery) AS d, provider, propensity, roads, scores, propensities FROM ` + table + `
						WHERE ` + lensOwner + ` AND ` + lensAccept + ` AND answer = 1 AND attempt = 1 AND policy = 'auto' AND propensity > 0
						LIMIT 1 BY d) AS r
					LEFT JOIN (
						SELECT cityHash64(delivery) AS d, argMin(toString(provider), received_at) AS first_by FROM ` + table + `
						WHERE ` + lensOwner + ` AND ` + lensAccept + ` AND rank >= 5
						GROUP BY d) AS a ON a.d = r.d)
				WHERE has(roads, chosen)))`
	}, func(r *replayed, k uint64) { times(k, &r.N) }, clickhouse.Named("order", orderOf(p.Order)))
	if err != nil || len(found) == 0 {
		return Replay{Policy: p.Name}, err
	}
	r := found[0]
	return Replay{
		Policy: p.Name, Decisions: r.N, Effective: r.Effective,
		IPS: within(r.IPS, r.IPSError), SNIPS: within(r.SNIPS, r.SNIPSErr), DR: within(r.DR, r.DRError),
	}, nil
}

// orderOf is never nil: the driver does not know the type of nothing.
func orderOf(order []string) []string {
	if order == nil {
		return []string{}
	}
	return order
}

// within adds the bounds to an estimate.
func within(value, sigma float64) Estimate {
	const z = 1.96
	return Estimate{value, value - z*sigma, value + z*sigma}
}
