package analytics

import (
	"context"
	"fmt"
	"math"
	"time"
)

// Questions about deliveries read each one of a window. A window that has more
// than largeWindow events is read from the sample, one delivery in 16 of it, or in
// 32, 64 … as many, so that no more than about fewEvents are looked at: what a person
// waits for grows no further, and neither does the error.
const (
	largeWindow = 400_000
	fewEvents   = 150_000
	sampled     = 16
	tiers       = 9 // the smallest sample is one delivery in sampled << tiers
)

// Basis says what an answer was counted from.
type Basis struct {
	Scale uint64 // each thing counted stands for so many; 1 is exact
}

// Basis is what questions about the deliveries of a lens are answered from now.
func (s *Store) Basis(ctx context.Context, l Lens) (Basis, error) {
	_, b, err := s.source(ctx, l)
	return b, err
}

// source is the table that a lens is to be read from.
func (s *Store) source(ctx context.Context, l Lens) (table string, b Basis, err error) {
	// Sums of hours that are not yet merged are added up all the same. Late
	// evidence lies after the window; it does not matter here.
	const query = `
		SELECT sum(receipts) AS n FROM activity_hour
		WHERE ` + lensOwner + ` AND ` + lensHours
	found, err := rows[struct {
		N uint64 `ch:"n"`
	}](ctx, s, "size of a window", query, l.args()...)
	if err != nil {
		return "", Basis{}, err
	}
	if len(found) == 0 || found[0].N <= s.large {
		return "receipts", Basis{1}, nil
	}
	tier := 0
	for tier < tiers && found[0].N/(sampled<<tier) > s.few {
		tier++
	}
	return fmt.Sprintf("(SELECT * FROM sampled_receipts WHERE tier >= %d)", tier), Basis{sampled << tier}, nil
}

// report asks a source and multiplies what was counted.
func report[T any](ctx context.Context, s *Store, l Lens, what string, query func(table string) string, scale func(*T, uint64), more ...any) ([]T, Basis, error) {
	table, basis, err := s.source(ctx, l)
	if err != nil {
		return nil, basis, err
	}
	found, err := rows[T](ctx, s, what, query(table), l.args(more...)...)
	if basis.Scale > 1 {
		for i := range found {
			scale(&found[i], basis.Scale)
		}
	}
	return found, basis, err
}

func times(scale uint64, counts ...*uint64) {
	for _, n := range counts {
		*n *= scale
	}
}

// ReportFunnel is the funnel of each provider, in the order of their names, and
// last that of all together, as [FunnelRow] counts.
func (s *Store) ReportFunnel(ctx context.Context, l Lens) ([]FunnelRow, Basis, error) {
	return report(ctx, s, l, "funnel", func(table string) string {
		return `
		SELECT ` + funnelColumns[1:] + `, provider_of AS provider FROM (
			SELECT toString(provider) AS provider_of, max(rank) AS highest, argMaxIf(toString(stage), received_at, rank = 1) AS last
			FROM ` + table + ` WHERE ` + lensPart + ` AND ` + lensAccept + ` AND provider != ''
			GROUP BY provider_of, cityHash64(delivery)
			UNION ALL
			SELECT '' AS provider_of, max(rank) AS highest, argMaxIf(toString(stage), received_at, rank = 1) AS last
			FROM ` + table + ` WHERE ` + lensPart + ` AND ` + lensAccept + `
			GROUP BY cityHash64(delivery))
		GROUP BY provider_of ORDER BY provider_of = '', provider_of`
	}, (*FunnelRow).times)
}

func (r *FunnelRow) times(k uint64) {
	times(k, &r.Deliveries, &r.Accepted, &r.HandedOver, &r.Delivered, &r.Displayed, &r.Clicked, &r.Failed, &r.Unknown, &r.Expired, &r.Cancelled, &r.Suppressed)
}

// ReportProviders counts attempts and what came of them, as [ProviderRow] says.
func (s *Store) ReportProviders(ctx context.Context, l Lens) ([]ProviderRow, Basis, error) {
	return report(ctx, s, l, "providers", func(table string) string {
		return `
		WITH attempt = 0 AND stage = 'delivered' AND source = 'device_ack' AS fetched
		SELECT toString(provider) AS provider,
			uniqExactIf(cityHash64(delivery, attempt), answer = 1 OR fetched) AS attempts,
			uniqExactIf(cityHash64(delivery, attempt), answer = 1 AND rank >= 3 OR fetched) AS accepted,
			uniqExactIf(cityHash64(delivery, attempt), stage = 'failed') AS failed,
			uniqExactIf(cityHash64(delivery, attempt), stage = 'unknown') AS unknown,
			uniqExactIf(cityHash64(delivery), rank >= 5) AS delivered,
			ifNotFinite(quantilesTDigestIf(0.5, 0.95)(since_ms, stage = 'delivered')[1], 0)::Float64 AS p50,
			ifNotFinite(quantilesTDigestIf(0.5, 0.95)(since_ms, stage = 'delivered')[2], 0)::Float64 AS p95,
			sum(cost_micros) AS cost_micros
		FROM (SELECT * FROM ` + table + ` WHERE ` + lensPart + ` AND ` + lensAccept + ` AND provider != '' LIMIT 1 BY notification, delivery, attempt, stage)
		GROUP BY provider ORDER BY provider`
	}, func(r *ProviderRow, k uint64) {
		times(k, &r.Attempts, &r.Accepted, &r.Failed, &r.Unknown, &r.Delivered)
		r.CostMicros *= int64(k)
	})
}

// DelayRow is how long people waited for what a provider brought.
type DelayRow struct {
	Provider  string  `ch:"provider" json:"provider"`
	Class     string  `ch:"class" json:"class"`
	Delivered uint64  `ch:"delivered" json:"delivered"` // deliveries that it was proven to have brought
	P50Ms     float64 `ch:"p50" json:"p50_ms"`          // from acceptance by the API to the first proof
	P90Ms     float64 `ch:"p90" json:"p90_ms"`
	P95Ms     float64 `ch:"p95" json:"p95_ms"`
	P99Ms     float64 `ch:"p99" json:"p99_ms"`
	TookP95Ms float64 `ch:"took" json:"took_p95_ms"` // of the request alone
}

// ReportLatency is the waiting time by provider and class.
func (s *Store) ReportLatency(ctx context.Context, l Lens) ([]DelayRow, Basis, error) {
	return report(ctx, s, l, "latency", func(table string) string {
		return `
		SELECT provider_of AS provider, class_of AS class, countIf(waited >= 0) AS delivered,
			quantilesTDigestIf(0.5, 0.9, 0.95, 0.99)(waited, waited >= 0)[1]::Float64 AS p50,
			quantilesTDigestIf(0.5, 0.9, 0.95, 0.99)(waited, waited >= 0)[2]::Float64 AS p90,
			quantilesTDigestIf(0.5, 0.9, 0.95, 0.99)(waited, waited >= 0)[3]::Float64 AS p95,
			quantilesTDigestIf(0.5, 0.9, 0.95, 0.99)(waited, waited >= 0)[4]::Float64 AS p99,
			ifNotFinite(quantileTDigestIf(0.95)(request, request > 0), 0)::Float64 AS took
		FROM (
			SELECT toString(provider) AS provider_of, any(toString(class)) AS class_of,
				if(countIf(rank >= 5) = 0, -1, minIf(since_ms, rank >= 5)) AS waited, maxIf(took_ms, answer = 1) AS request
			FROM ` + table + ` WHERE ` + lensPart + ` AND ` + lensAccept + ` AND provider != ''
			GROUP BY provider_of, cityHash64(delivery))
		GROUP BY provider, class HAVING delivered > 0 ORDER BY provider, class`
	}, func(r *DelayRow, k uint64) { times(k, &r.Delivered) })
}

// LostRow is where deliveries ended that nothing proves to have arrived.
type LostRow struct {
	Provider   string  `ch:"provider" json:"provider"` // of the last attempt; "" where none was made
	End        string  `ch:"end" json:"end"`           // the highest stage, or the way off the ladder
	Kind       string  `ch:"kind" json:"kind"`         // of the last failure
	Code       string  `ch:"code" json:"code"`
	Deliveries uint64  `ch:"deliveries" json:"deliveries"`
	Share      float64 `ch:"share" json:"share"` // of all deliveries asked about
}

// ReportLost lists where deliveries without proof of arrival ended, the
// commonest first.
func (s *Store) ReportLost(ctx context.Context, l Lens, limit int) ([]LostRow, Basis, error) {
	found, basis, err := report(ctx, s, l, "lost", func(table string) string {
		return `
		SELECT provider_of AS provider, end, kind_of AS kind, code_of AS code, count() AS deliveries,
			deliveries / (SELECT uniqExact(cityHash64(delivery)) FROM ` + table + ` WHERE ` + lensPart + ` AND ` + lensAccept + `) AS share
		FROM (
			SELECT argMaxIf(toString(provider), attempt, answer = 1) AS provider_of,
				argMax(toString(stage), (rank, received_at)) AS end,
				argMaxIf(toString(kind), received_at, kind != '') AS kind_of, argMaxIf(toString(code), received_at, kind != '') AS code_of
			FROM ` + table + ` WHERE ` + lensPart + ` AND ` + lensAccept + `
			GROUP BY cityHash64(delivery) HAVING max(rank) < 5)
		GROUP BY provider, end, kind, code ORDER BY deliveries DESC, provider, end, kind, code`
	}, func(r *LostRow, k uint64) { times(k, &r.Deliveries) })
	return found[:min(limit, len(found))], basis, err
}

// CostRow is what a road cost, and what it brought for it.
type CostRow struct {
	Provider   string  `ch:"provider" json:"provider"`
	Class      string  `ch:"class" json:"class"`
	Campaign   string  `ch:"campaign" json:"campaign"`
	Paid       uint64  `ch:"paid" json:"paid"` // attempts that cost something
	CostMicros int64   `ch:"cost" json:"cost_micros"`
	Delivered  uint64  `ch:"delivered" json:"delivered"` // of these attempts' deliveries
	EachMicros float64 `ch:"-" json:"cost_micros_each"`  // for each delivered
}

// ReportCost lists what cost something, the dearest first.
func (s *Store) ReportCost(ctx context.Context, l Lens) ([]CostRow, Basis, error) {
	found, basis, err := report(ctx, s, l, "cost", func(table string) string {
		return `
		SELECT provider_of AS provider, class_of AS class, campaign_of AS campaign, sum(paying) AS paid, sum(spent) AS cost, countIf(arrived) AS delivered
		FROM (
			SELECT toString(provider) AS provider_of, any(toString(class)) AS class_of, any(toString(campaign)) AS campaign_of,
				uniqExactIf(attempt, cost_micros != 0) AS paying, max(rank) >= 5 AS arrived,
				arraySum(x -> x.3, groupUniqArrayIf((attempt, toString(stage), cost_micros), cost_micros != 0)) AS spent
			FROM ` + table + ` WHERE ` + lensPart + ` AND ` + lensAccept + ` AND provider != ''
			GROUP BY provider_of, cityHash64(delivery) HAVING paying > 0)
		GROUP BY provider, class, campaign ORDER BY cost DESC, provider, class, campaign`
	}, func(r *CostRow, k uint64) {
		times(k, &r.Paid, &r.Delivered)
		r.CostMicros *= int64(k)
	})
	for i := range found {
		if r := &found[i]; r.Delivered > 0 {
			r.EachMicros = math.Round(float64(r.CostMicros) / float64(r.Delivered))
		}
	}
	return found, basis, err
}

// ErrorRow is one way in which attempts failed or stayed without an answer.
type ErrorRow struct {
	Provider string    `ch:"provider" json:"provider"`
	Kind     string    `ch:"kind" json:"kind"`
	Code     string    `ch:"code" json:"code"`
	Receipts uint64    `ch:"receipts" json:"receipts"`
	Detail   string    `ch:"detail" json:"detail"` // the provider's words, the last time
	Last     time.Time `ch:"last" json:"last"`
}

// ReportErrors lists the commonest failures of notifications in the lens.
func (s *Store) ReportErrors(ctx context.Context, l Lens, limit int) ([]ErrorRow, Basis, error) {
	found, basis, err := report(ctx, s, l, "errors", func(table string) string {
		return `
		SELECT toString(provider) AS provider, toString(kind) AS kind, toString(code) AS code,
			uniqExact(cityHash64(delivery, attempt, stage)) AS receipts, argMax(detail, received_at) AS detail, max(received_at) AS last
		FROM ` + table + ` WHERE ` + lensPart + ` AND ` + lensAccept + ` AND kind != ''
		GROUP BY provider, kind, code ORDER BY receipts DESC, provider, kind, code`
	}, func(r *ErrorRow, k uint64) { times(k, &r.Receipts) })
	for i := range found {
		found[i].Last = found[i].Last.UTC().Truncate(time.Millisecond)
	}
	return found[:min(limit, len(found))], basis, err
}
