package analytics

import (
	"context"
	"slices"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// LatencyPoint is the waiting time of the people whose notifications were
// proven delivered in one step of time.
type LatencyPoint struct {
	Start     time.Time `ch:"start" json:"start"`
	Provider  string    `ch:"provider" json:"provider"`
	Delivered uint64    `ch:"delivered" json:"delivered"` // proofs that arrived
	P50Ms     float64   `ch:"p50" json:"p50_ms"`          // from acceptance by the API to the proof
	P95Ms     float64   `ch:"p95" json:"p95_ms"`
}

// Latency is the waiting time by provider in steps over [from, to), by the
// arrival of the proof, in the order of time and provider. Steps without a
// proof are missing. A step is whole minutes, at least one.
func (s *Store) Latency(ctx context.Context, app string, from, to time.Time, step time.Duration) ([]LatencyPoint, error) {
	const query = `
		SELECT
			toStartOfInterval(minute, toIntervalSecond({step:UInt32}), 'UTC') AS start,
			provider,
			sum(receipts) AS delivered,
			ifNotFinite(quantilesTDigestMerge(0.5, 0.95, 0.99)(since_ms)[1], 0)::Float64 AS p50,
			ifNotFinite(quantilesTDigestMerge(0.5, 0.95, 0.99)(since_ms)[2], 0)::Float64 AS p95
		FROM activity_minute
		WHERE app = {app:String} AND stage = 'delivered'
		  AND minute >= toStartOfMinute({from:DateTime64(3, 'UTC')}) AND minute < {to:DateTime64(3, 'UTC')}
		GROUP BY start, provider
		ORDER BY start, provider`

	points, err := rows[LatencyPoint](ctx, s, "latency", query, stepped(app, from, to, step)...)
	for i := range points {
		points[i].Start = points[i].Start.UTC()
	}
	return points, err
}

// CountPoint is how much evidence of one kind arrived in one step of time.
type CountPoint struct {
	Start    time.Time `ch:"start" json:"start"`
	Stage    string    `ch:"stage" json:"stage"`
	Receipts uint64    `ch:"receipts" json:"receipts"`
}

// Counts is the evidence by stage in steps over [from, to), by its arrival, in
// the order of time and stage. Steps without evidence are missing. It counts
// receipts, not deliveries: two attempts that were accepted are two. A step is
// whole minutes, at least one.
func (s *Store) Counts(ctx context.Context, app string, from, to time.Time, step time.Duration) ([]CountPoint, error) {
	const query = `
		SELECT
			toStartOfInterval(minute, toIntervalSecond({step:UInt32}), 'UTC') AS start,
			stage,
			sum(receipts) AS receipts
		FROM activity_minute
		WHERE app = {app:String}
		  AND minute >= toStartOfMinute({from:DateTime64(3, 'UTC')}) AND minute < {to:DateTime64(3, 'UTC')}
		GROUP BY start, stage
		ORDER BY start, stage`

	points, err := rows[CountPoint](ctx, s, "counts", query, stepped(app, from, to, step)...)
	for i := range points {
		points[i].Start = points[i].Start.UTC()
	}
	return points, err
}

func stepped(app string, from, to time.Time, step time.Duration) []any {
	seconds := max(step.Round(time.Minute), time.Minute) / time.Second
	return slices.Concat(window(app, from, to), []any{clickhouse.Named("step", uint32(seconds))})
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

// TopErrors lists the commonest failures that arrived in [from, to), at most
// limit, the commonest first.
func (s *Store) TopErrors(ctx context.Context, app string, from, to time.Time, limit int) ([]ErrorRow, error) {
	const query = `
		SELECT provider, kind, code,
			count() AS receipts,
			argMax(detail, received_at) AS detail,
			max(received_at) AS last
		FROM receipts
		WHERE app = {app:String} AND kind != ''
		  AND received_at >= {from:DateTime64(3, 'UTC')} AND received_at < {to:DateTime64(3, 'UTC')}
		GROUP BY provider, kind, code
		ORDER BY receipts DESC, provider, kind, code
		LIMIT {limit:UInt32}`

	args := append(window(app, from, to), clickhouse.Named("limit", uint32(limit)))
	return rows[ErrorRow](ctx, s, "top errors", query, args...)
}

// Rows is how many receipts ClickHouse holds, repeats included, of all apps.
func (s *Store) Rows(ctx context.Context) (n uint64, err error) {
	err = s.conn.QueryRow(ctx, "SELECT count() FROM receipts").Scan(&n)
	return n, failed("count receipts", err)
}
