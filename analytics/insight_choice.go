package analytics

import (
	"context"
	"math"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// PickPoint is how often a provider was the first road in one step of time.
type PickPoint struct {
	Start    time.Time `ch:"start" json:"start"`
	Provider string    `ch:"road" json:"provider"`
	Picked   uint64    `ch:"picked" json:"picked"`
	Explored uint64    `ch:"tried" json:"explored"` // of these, to learn
}

// Picks counts first attempts by provider in steps of the time that the API
// accepted the notification, in the order of time and provider.
func (s *Store) Picks(ctx context.Context, l Lens, step time.Duration) ([]PickPoint, error) {
	found, _, err := report(ctx, s, l, "picks", func(table string) string {
		return `
		SELECT toStartOfInterval(accepted_at, toIntervalSecond({step:UInt32}), 'UTC') AS start, toString(provider) AS road,
			uniqExact(cityHash64(delivery)) AS picked, uniqExactIf(cityHash64(delivery), explored = 1) AS tried
		FROM ` + table + `
		WHERE ` + lensWords + ` AND answer = 1 AND attempt = 1 AND ` + lensAccept + `
		GROUP BY start, road
		ORDER BY start, road`
	}, func(p *PickPoint, k uint64) { times(k, &p.Picked, &p.Explored) }, every(step))
	return found, err
}

// Uplift is the selector against the static order on one class, as an A/B has
// it: devices are on one side or the other by chance.
type Uplift struct {
	Class         string   `json:"class"`
	Auto          uint64   `json:"auto"` // first decisions by the selector
	AutoArrived   uint64   `json:"auto_arrived"`
	Static        uint64   `json:"static"`
	StaticArrived uint64   `json:"static_arrived"`
	Difference    Estimate `json:"difference"` // of the shares that their first road brought; zero where a side is empty
}

// policyRow is one class's first decisions by one policy.
type policyRow struct {
	Class    string `ch:"class_of"`
	Auto     uint64 `ch:"auto"`
	AutoHit  uint64 `ch:"auto_hit"`
	Fixed    uint64 `ch:"fixed"`
	FixedHit uint64 `ch:"fixed_hit"`
}

// Uplifts compares what the selector's first roads brought with what those of
// the static order did, class by class. It is a fair comparison only where the
// class's mode is ab: otherwise one side is empty, or of another time. The bounds
// are those of the decisions that were really read.
func (s *Store) Uplifts(ctx context.Context, l Lens) ([]Uplift, error) {
	found, basis, err := report(ctx, s, l, "uplifts", func(table string) string {
		return `
		SELECT class_of,
			countIf(policy_of = 'auto') AS auto, countIf(policy_of = 'auto' AND hit) AS auto_hit,
			countIf(policy_of = 'static') AS fixed, countIf(policy_of = 'static' AND hit) AS fixed_hit
		FROM (
			SELECT any(toString(class)) AS class_of,
				argMinIf(toString(policy), attempt, answer = 1) AS policy_of,
				argMinIf(toString(provider), attempt, answer = 1) AS first,
				countIf(answer = 1 AND attempt = 1) > 0 AS begun,
				max(rank) >= 5 AND argMinIf(toString(provider), received_at, rank >= 5) = first AS hit
			FROM ` + table + `
			WHERE ` + lensGroup + ` AND ` + lensAccept + `
			GROUP BY cityHash64(delivery)
			HAVING begun AND ({provider:String} = '' OR first = {provider:String}))
		GROUP BY class_of
		ORDER BY class_of`
	}, func(*policyRow, uint64) {})
	if err != nil {
		return nil, err
	}
	all := make([]Uplift, len(found))
	for i, r := range found {
		k := basis.Scale
		all[i] = Uplift{r.Class, k * r.Auto, k * r.AutoHit, k * r.Fixed, k * r.FixedHit, difference(r.AutoHit, r.Auto, r.FixedHit, r.Fixed)}
	}
	return all, nil
}

// difference of two shares, with the bounds that hold it with 95 %.
func difference(a, ofA, b, ofB uint64) Estimate {
	if ofA == 0 || ofB == 0 {
		return Estimate{}
	}
	p, q := share(a, ofA), share(b, ofB)
	return within(p-q, math.Sqrt(p*(1-p)/float64(ofA)+q*(1-q)/float64(ofB)))
}

// Pick is one first decision with its words.
type Pick struct {
	Notification string  `ch:"notification" json:"notification"`
	Device       string  `ch:"device" json:"device"`
	Class        string  `ch:"class" json:"class"`
	Provider     string  `ch:"provider" json:"provider"`
	Policy       string  `ch:"policy" json:"policy"`
	Propensity   float32 `ch:"propensity" json:"propensity"`
	Explored     uint8   `ch:"explored" json:"explored"`
	// What the road that was taken was judged by; see [push.Candidate].
	Chance  float32   `ch:"chance" json:"chance"`
	Seconds float32   `ch:"half" json:"seconds"`
	Cost    float32   `ch:"cost" json:"cost"`
	Why     string    `ch:"why" json:"why"`
	At      time.Time `ch:"at" json:"at"`
}

// LastPicks lists the newest attempts of the lens with why their road was
// taken, the newest first of the lens's [Basis]. Those that had something to choose from come before
// those that had one road only.
func (s *Store) LastPicks(ctx context.Context, l Lens, limit int) ([]Pick, error) {
	found, _, err := report(ctx, s, l, "last picks", func(table string) string {
		return `
		SELECT notification, device, class, provider, policy, propensity, explored, why, at,
			toFloat32(scores[indexOf(roads, provider)] + costs[indexOf(roads, provider)]) AS chance,
			seconds[indexOf(roads, provider)] AS half, costs[indexOf(roads, provider)] AS cost
		FROM ` + table + `
		WHERE ` + lensWords + ` AND answer = 1 AND attempt = 1 AND why != '' AND ` + lensAccept + `
		ORDER BY length(roads) > 1 DESC, received_at DESC
		LIMIT {limit:UInt32}`
	}, func(*Pick, uint64) {}, clickhouse.Named("limit", uint32(limit)))
	return found, err
}
