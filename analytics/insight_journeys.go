package analytics

import (
	"context"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// Way is one order of roads that deliveries took, and where it ended.
type Way struct {
	Roads      []string `ch:"roads_taken" json:"roads"` // by attempt; empty where none was made
	End        string   `ch:"end" json:"end"`           // delivered, accepted (taken, no proof), unknown, or a stage off the ladder
	By         string   `ch:"proven_by" json:"by"`      // the road whose proof came first
	Deliveries uint64   `ch:"deliveries" json:"deliveries"`
}

// Ways counts deliveries by the roads they took, the commonest first, at most
// limit. With a provider in the lens it counts those that tried it.
func (s *Store) Ways(ctx context.Context, l Lens, limit int) ([]Way, error) {
	found, _, err := report(ctx, s, l, "ways", func(table string) string {
		return `
		SELECT roads_taken, end, proven_by, count() AS deliveries
		FROM (
			SELECT
				arrayMap(x -> x.2, arraySort(groupUniqArrayIf((attempt, toString(provider)), answer = 1))) AS roads_taken,
				multiIf(max(rank) >= 5, 'delivered', max(rank) >= 3, 'accepted', max(rank) = 2, 'unknown',
					argMaxIf(toString(stage), received_at, rank = 1)) AS end,
				if(max(rank) >= 5, argMinIf(toString(provider), received_at, rank >= 5), '') AS proven_by
			FROM ` + table + `
			WHERE ` + lensGroup + ` AND ` + lensAccept + `
			GROUP BY cityHash64(delivery)
			HAVING {provider:String} = '' OR has(roads_taken, {provider:String}))
		GROUP BY roads_taken, end, proven_by
		ORDER BY deliveries DESC, roads_taken, end, proven_by
		LIMIT {limit:UInt32}`
	}, func(w *Way, k uint64) { times(k, &w.Deliveries) }, clickhouse.Named("limit", uint32(limit)))
	return found, err
}

// SpentRow is where the waiting time of one provider's proven deliveries went,
// in milliseconds: the mean and the 95th percentile of each part.
type SpentRow struct {
	Provider   string    `ch:"proven_by" json:"provider"`
	Deliveries uint64    `ch:"deliveries" json:"deliveries"`
	Mean       []float64 `ch:"mean" json:"mean_ms"` // by [SpentParts]
	P95        []float64 `ch:"p95" json:"p95_ms"`
}

// SpentParts names the parts of a person's waiting time: until the first
// attempt began; on roads that brought nothing; the request on the road that
// did; from its answer to the proof.
var SpentParts = [...]string{"queue", "other_roads", "request", "to_device"}

// Spent tells where the time goes for deliveries that an attempt brought, by
// the provider whose proof came first, in the order of their names.
func (s *Store) Spent(ctx context.Context, l Lens) ([]SpentRow, error) {
	found, _, err := report(ctx, s, l, "time spent", func(table string) string {
		return `
		SELECT proven_by, count() AS deliveries,
			[avg(queue), avg(others), avg(request), avg(flight)] AS mean,
			[quantileTDigest(0.95)(queue), quantileTDigest(0.95)(others), quantileTDigest(0.95)(request), quantileTDigest(0.95)(flight)]::Array(Float64) AS p95
		FROM (
			SELECT
				arraySort(groupUniqArrayIf((attempt, toString(provider), since_ms, took_ms), answer = 1)) AS answers,
				max(rank) >= 5 AS proven,
				argMinIf(toString(provider), received_at, rank >= 5) AS proven_by,
				minIf(since_ms, rank >= 5) AS waited,
				arrayFirst(x -> x.2 = proven_by, answers) AS winner,
				greatest(0, answers[1].3 - answers[1].4) AS queue,
				greatest(0, winner.3 - winner.4 - queue) AS others,
				winner.4 AS request,
				greatest(0, waited - winner.3) AS flight
			FROM ` + table + `
			WHERE ` + lensGroup + ` AND ` + lensAccept + `
			GROUP BY cityHash64(delivery)
			HAVING proven AND winner.1 > 0 AND ({provider:String} = '' OR proven_by = {provider:String}))
		GROUP BY proven_by
		ORDER BY proven_by`
	}, func(r *SpentRow, k uint64) { times(k, &r.Deliveries) })
	return found, err
}

// LateRow counts the proofs of one provider that came when the next road had
// already been taken.
type LateRow struct {
	Provider   string  `ch:"late_road" json:"provider"`
	Deliveries uint64  `ch:"deliveries" json:"deliveries"`
	P50Ms      float64 `ch:"p50" json:"p50_ms"` // from the next attempt's answer to the proof
	P95Ms      float64 `ch:"p95" json:"p95_ms"`
	CostMicros int64   `ch:"cost" json:"cost_micros"` // of the attempts that need not have been
}

// Late lists receipts that came too late: the first proof is of a road behind
// which another had been taken by then. In the order of providers.
func (s *Store) Late(ctx context.Context, l Lens) ([]LateRow, error) {
	found, _, err := report(ctx, s, l, "late receipts", func(table string) string {
		return `
		SELECT late_road, count() AS deliveries,
			quantileTDigest(0.5)(late)::Float64 AS p50, quantileTDigest(0.95)(late)::Float64 AS p95, sum(wasted) AS cost
		FROM (
			SELECT
				arraySort(groupUniqArrayIf((attempt, toString(provider), since_ms, cost_micros), answer = 1)) AS answers,
				max(rank) >= 5 AS proven,
				argMinIf(toString(provider), received_at, rank >= 5) AS late_road,
				minIf(since_ms, rank >= 5) AS waited,
				arrayFirst(x -> x.2 = late_road, answers) AS winner,
				arrayFilter(x -> x.1 > winner.1 AND x.2 != late_road AND x.3 <= waited, answers) AS later,
				waited - later[1].3 AS late,
				arraySum(x -> x.4, later) AS wasted
			FROM ` + table + `
			WHERE ` + lensGroup + ` AND ` + lensAccept + `
			GROUP BY cityHash64(delivery)
			HAVING proven AND winner.1 > 0 AND notEmpty(later) AND ({provider:String} = '' OR late_road = {provider:String}))
		GROUP BY late_road
		ORDER BY late_road`
	}, func(r *LateRow, k uint64) {
		times(k, &r.Deliveries)
		r.CostMicros *= int64(k)
	})
	return found, err
}

// TextRow is what text messages cost in one class, and what they would have.
type TextRow struct {
	Class      string `ch:"class_of" json:"class"`
	Texted     uint64 `ch:"texted" json:"texted"`          // deliveries that a text message was sent for
	Arrived    uint64 `ch:"arrived" json:"arrived"`        // of these, proven by the text message
	CostMicros int64  `ch:"cost" json:"cost_micros"`       // spent on them
	Spared     uint64 `ch:"spared" json:"spared"`          // deliveries proven by another road, without a text message
	SavedMicro int64  `ch:"saved" json:"saved_micros"`     // what texting these at the window's mean price would have cost
	MeanMicros int64  `ch:"mean_price" json:"mean_micros"` // that price
}

// Texts says what was spent on text messages and what the other roads saved,
// for the classes in which text messages were sent. What is saved is measured
// against texting everybody of those classes.
func (s *Store) Texts(ctx context.Context, l Lens) ([]TextRow, error) {
	found, _, err := report(ctx, s, l, "text messages", func(table string) string {
		return `
		SELECT class_of, countIf(sent) AS texted, countIf(sent AND proven_by IN ('sms', 'smpp')) AS arrived, sum(paid) AS cost,
			countIf(NOT sent AND proven) AS spared,
			toInt64(if(texted = 0, 0, cost / texted)) AS mean_price,
			mean_price * toInt64(spared) AS saved
		FROM (
			SELECT any(toString(class)) AS class_of,
				countIf(answer = 1 AND rank >= 2 AND provider IN ('sms', 'smpp')) > 0 AS sent,
				arraySum(x -> x.3, groupUniqArrayIf((attempt, toString(stage), cost_micros), cost_micros != 0 AND provider IN ('sms', 'smpp'))) AS paid,
				max(rank) >= 5 AS proven,
				if(proven, argMinIf(toString(provider), received_at, rank >= 5), '') AS proven_by
			FROM ` + table + `
			WHERE ` + lensGroup + ` AND ` + lensAccept + `
			GROUP BY cityHash64(delivery))
		GROUP BY class_of
		HAVING texted > 0
		ORDER BY class_of`
	}, func(r *TextRow, k uint64) {
		times(k, &r.Texted, &r.Arrived, &r.Spared)
		r.CostMicros *= int64(k)
		r.SavedMicro *= int64(k)
	})
	return found, err
}
