package analytics

import (
	"context"
	"slices"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// StepRow is what arrived in one step of time, all providers together.
type StepRow struct {
	Start     time.Time `ch:"start" json:"start"`
	Accepted  uint64    `ch:"accepted" json:"accepted"`
	Delivered uint64    `ch:"delivered" json:"delivered"`
	Displayed uint64    `ch:"displayed" json:"displayed"`
	Clicked   uint64    `ch:"clicked" json:"clicked"`
	Failed    uint64    `ch:"failed" json:"failed"`
	P50Ms     float64   `ch:"p50" json:"p50_ms"` // from acceptance by the API to the proof of delivery
	P95Ms     float64   `ch:"p95" json:"p95_ms"` //
}

// Steps counts receipts by the time they arrived. A step is a whole number of
// seconds; a step without receipts has no row. Steps shorter than a minute are
// read from the receipts themselves, so ask for them over short windows only;
// others come from the rollup.
func (s *Store) Steps(ctx context.Context, app string, from, to time.Time, step time.Duration) ([]StepRow, error) {
	const fine = `
		SELECT
			toStartOfInterval(received_at, toIntervalSecond({step:UInt32}), 'UTC') AS start,
			countIf(stage IN ('accepted', 'handed_over')) AS accepted,
			countIf(stage = 'delivered') AS delivered,
			countIf(stage = 'displayed') AS displayed,
			countIf(stage = 'clicked') AS clicked,
			countIf(stage = 'failed') AS failed,
			ifNotFinite(quantilesTDigestIf(0.5, 0.95)(since_ms, stage = 'delivered')[1], 0)::Float64 AS p50,
			ifNotFinite(quantilesTDigestIf(0.5, 0.95)(since_ms, stage = 'delivered')[2], 0)::Float64 AS p95
		FROM (
			SELECT received_at, stage, since_ms FROM receipts
			WHERE app = {app:String}
			  AND received_at >= {from:DateTime64(3, 'UTC')} AND received_at < {to:DateTime64(3, 'UTC')}
			LIMIT 1 BY delivery, attempt, stage) -- what was reported twice and is not merged yet
		GROUP BY start
		ORDER BY start`
	const coarse = `
		SELECT
			toStartOfInterval(minute, toIntervalSecond({step:UInt32}), 'UTC') AS start,
			sumIf(receipts, stage IN ('accepted', 'handed_over')) AS accepted,
			sumIf(receipts, stage = 'delivered') AS delivered,
			sumIf(receipts, stage = 'displayed') AS displayed,
			sumIf(receipts, stage = 'clicked') AS clicked,
			sumIf(receipts, stage = 'failed') AS failed,
			ifNotFinite(quantilesTDigestMergeIf(0.5, 0.95, 0.99)(since_ms, stage = 'delivered')[1], 0)::Float64 AS p50,
			ifNotFinite(quantilesTDigestMergeIf(0.5, 0.95, 0.99)(since_ms, stage = 'delivered')[2], 0)::Float64 AS p95
		FROM activity_minute
		WHERE app = {app:String}
		  AND minute >= toStartOfMinute({from:DateTime64(3, 'UTC')}) AND minute < {to:DateTime64(3, 'UTC')}
		GROUP BY start
		ORDER BY start`

	query := coarse
	if step < time.Minute {
		query = fine
	}
	seconds := uint32(max(step, time.Second) / time.Second)
	args := slices.Concat(window(app, from, to), []any{clickhouse.Named("step", seconds)})
	return rows[StepRow](ctx, s, "steps", query, args...)
}

// TotalRow is one number each over a window of acceptance by the API.
type TotalRow struct {
	Notifications uint64  `ch:"notifications" json:"notifications"` // with any evidence
	P50Ms         float64 `ch:"p50" json:"p50_ms"`                  // to the first proof of delivery
	P95Ms         float64 `ch:"p95" json:"p95_ms"`
	CostMicros    int64   `ch:"cost_micros" json:"cost_micros"` // millionths of the app's currency
}

// Totals counts the notifications that the API accepted in [from, to).
func (s *Store) Totals(ctx context.Context, app string, from, to time.Time) (TotalRow, error) {
	const query = `
		SELECT
			uniq(notification) AS notifications,
			ifNotFinite(quantilesTDigestIf(0.5, 0.95)(since_ms, stage = 'delivered')[1], 0)::Float64 AS p50,
			ifNotFinite(quantilesTDigestIf(0.5, 0.95)(since_ms, stage = 'delivered')[2], 0)::Float64 AS p95,
			sum(cost_micros) AS cost_micros
		FROM receipts
		WHERE app = {app:String}
		  AND accepted_at >= {from:DateTime64(3, 'UTC')} AND accepted_at < {to:DateTime64(3, 'UTC')}`

	found, err := rows[TotalRow](ctx, s, "totals", query, window(app, from, to)...)
	if err != nil || len(found) == 0 {
		return TotalRow{}, err
	}
	return found[0], nil
}

// RecentRow is one notification of late.
type RecentRow struct {
	Notification string    `ch:"notification" json:"notification"`
	Class        string    `ch:"class" json:"class"`
	AcceptedAt   time.Time `ch:"begun" json:"accepted_at"`
	FunnelRow
}

// Recent lists the notifications that the API accepted since a time and that
// have evidence, the newest first.
func (s *Store) Recent(ctx context.Context, app string, since time.Time, limit int) ([]RecentRow, error) {
	const query = `
		WITH newest AS (
			SELECT notification
			FROM receipts
			WHERE app = {app:String} AND accepted_at >= {since:DateTime64(3, 'UTC')}
			GROUP BY notification
			ORDER BY max(accepted_at) DESC, notification
			LIMIT {limit:UInt32})
		SELECT notification, any(class) AS class, max(at_door) AS begun, '' AS provider,` + funnelColumns + `
		FROM (
			SELECT notification, delivery, any(toString(class)) AS class, max(accepted_at) AS at_door,
				max(rank) AS highest, argMax(toString(stage), received_at) AS last
			FROM receipts
			WHERE app = {app:String} AND accepted_at >= {since:DateTime64(3, 'UTC')} AND notification IN newest
			GROUP BY notification, delivery)
		GROUP BY notification
		ORDER BY begun DESC, notification`

	return rows[RecentRow](ctx, s, "recent", query,
		clickhouse.Named("app", app), moment3("since", since), clickhouse.Named("limit", uint32(limit)))
}

// Version is the server's version, such as "25.8.2.29".
func (s *Store) Version(ctx context.Context) (version string, err error) {
	err = s.conn.QueryRow(ctx, "SELECT version()").Scan(&version)
	return version, failed("version", err)
}
