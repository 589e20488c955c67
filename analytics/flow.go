package analytics

import (
	"context"
	"fmt"
	"time"
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

// arrivals is the evidence of a lens by the time it arrived, as something to
// select from: at (the minute or hour), stage, kind, receipts. Sums of hours
// serve steps of whole hours, sums of minutes every other step as long as the
// lens asks for no group of devices, which they do not know.
func (s *Store) arrivals(ctx context.Context, l Lens, step time.Duration) (string, error) {
	switch {
	case step%time.Hour == 0:
		return `(SELECT hour AS at, stage, kind, receipts FROM activity_hour WHERE ` + lensWords + ` AND ` + lensHours + `)`, nil
	case l.Platform == "" && l.Maker == "" && l.Country == "":
		return `(SELECT minute AS at, stage, kind, receipts FROM flow_minute WHERE ` + lensRoad + ` AND ` + lensMinutes + `)`, nil
	}
	table, basis, err := s.source(ctx, l)
	return fmt.Sprintf(`(SELECT toStartOfMinute(received_at, 'UTC') AS at, stage, kind, toUInt64(%d) AS receipts FROM %s WHERE %s AND %s)`,
		basis.Scale, table, lensWords, lensArrival), err
}

const startOfStep = `toStartOfInterval(at, toIntervalSecond({step:UInt32}), 'UTC') AS start`

// Flow counts receipts by the time they arrived, in the order of time; a step
// without any has no row. Counts are sums of rows: evidence that two reporters
// brought is two. Times are of the lens's [Basis].
func (s *Store) Flow(ctx context.Context, l Lens, step time.Duration) ([]StepRow, error) {
	from, err := s.arrivals(ctx, l, step)
	if err != nil {
		return nil, err
	}
	all, err := rows[StepRow](ctx, s, "flow", `
		SELECT `+startOfStep+`,
			sumIf(receipts, stage IN ('accepted', 'handed_over')) AS accepted,
			sumIf(receipts, stage = 'delivered') AS delivered,
			sumIf(receipts, stage = 'displayed') AS displayed,
			sumIf(receipts, stage = 'clicked') AS clicked,
			sumIf(receipts, stage = 'failed') AS failed
		FROM `+from+`
		GROUP BY start
		ORDER BY start`, l.args(every(step))...)
	if err != nil {
		return nil, err
	}
	delays, _, err := report(ctx, s, l, "times of the flow", func(table string) string {
		return `
		SELECT toStartOfInterval(received_at, toIntervalSecond({step:UInt32}), 'UTC') AS start,
			quantilesTDigest(0.5, 0.95)(since_ms)[1]::Float64 AS p50, quantilesTDigest(0.5, 0.95)(since_ms)[2]::Float64 AS p95
		FROM ` + table + ` WHERE ` + lensWords + ` AND stage = 'delivered' AND ` + lensArrival + `
		GROUP BY start`
	}, func(*StepRow, uint64) {}, every(step))
	if err != nil {
		return nil, err
	}
	took := make(map[int64]*StepRow, len(delays))
	for i := range delays {
		took[delays[i].Start.Unix()] = &delays[i]
	}
	for i := range all {
		if d := took[all[i].Start.Unix()]; d != nil && all[i].Delivered > 0 {
			all[i].P50Ms, all[i].P95Ms = d.P50Ms, d.P95Ms
		}
	}
	return all, nil
}

// KindPoint is how many attempts failed in one way in one step of time.
type KindPoint struct {
	Start    time.Time `ch:"start" json:"start"`
	Kind     string    `ch:"kind" json:"kind"`
	Receipts uint64    `ch:"receipts" json:"receipts"`
}

// Kinds counts failures and silences by kind in steps, by their arrival, in the
// order of time and kind. Steps without any are missing.
func (s *Store) Kinds(ctx context.Context, l Lens, step time.Duration) ([]KindPoint, error) {
	from, err := s.arrivals(ctx, l, step)
	if err != nil {
		return nil, err
	}
	return rows[KindPoint](ctx, s, "kinds", `
		SELECT `+startOfStep+`, toString(kind) AS kind, sum(receipts) AS receipts
		FROM `+from+` AS a
		WHERE a.kind != ''
		GROUP BY start, kind
		ORDER BY start, kind`, l.args(every(step))...)
}

// HeatCell counts the proofs of one step of time that took about as long.
type HeatCell struct {
	Start  time.Time `ch:"start" json:"start"`
	Bucket uint8     `ch:"bucket" json:"bucket"` // 0 is under 16 ms, then doubling: b ends at 2^(b+4) ms; 16 is all above
	Proofs uint64    `ch:"proofs" json:"proofs"`
}

// Heat spreads the proofs of delivery over time and waiting time, by their
// arrival. It reads the receipts of the lens's [Basis]; a proof that was written
// twice and is not yet merged counts twice.
func (s *Store) Heat(ctx context.Context, l Lens, step time.Duration) ([]HeatCell, error) {
	cells, _, err := report(ctx, s, l, "heat", func(table string) string {
		return `
		SELECT toStartOfInterval(received_at, toIntervalSecond({step:UInt32}), 'UTC') AS start,
			toUInt8(least(16, greatest(0, floor(log2(greatest(since_ms, 1))) - 3))) AS bucket,
			count() AS proofs
		FROM ` + table + `
		WHERE ` + lensWords + ` AND stage = 'delivered' AND ` + lensArrival + `
		GROUP BY start, bucket
		ORDER BY start, bucket`
	}, func(c *HeatCell, k uint64) { times(k, &c.Proofs) }, every(step))
	return cells, err
}
