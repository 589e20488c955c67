package analytics

import (
	"context"
	"time"
)

// ProvidersSeen is [Store.Providers] through a lens: how each provider did with
// the chosen class and group of devices.
func (s *Store) ProvidersSeen(ctx context.Context, l Lens) ([]ProviderRow, error) {
	const query = `
		SELECT
			provider,
			uniqCombined64IfMerge(15)(attempts) AS attempts,
			uniqCombined64IfMerge(15)(accepted) AS accepted,
			uniqCombined64IfMerge(15)(failed) AS failed,
			uniqCombined64IfMerge(15)(unknown) AS unknown,
			uniqCombined64IfMerge(15)(delivered) AS delivered,
			ifNotFinite(quantilesTDigestIfMerge(0.5, 0.95, 0.99)(delivered_ms)[1], 0)::Float64 AS p50,
			ifNotFinite(quantilesTDigestIfMerge(0.5, 0.95, 0.99)(delivered_ms)[2], 0)::Float64 AS p95,
			sum(cost_micros) AS cost_micros
		FROM cohort_minute
		WHERE ` + lensWords + ` AND ` + lensMinutes + `
		GROUP BY provider
		ORDER BY provider`

	return rows[ProviderRow](ctx, s, "providers through a lens", query, l.args()...)
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
	const query = `
		SELECT toStartOfInterval(minute, toIntervalSecond({step:UInt32}), 'UTC') AS start, kind, sum(receipts) AS receipts
		FROM activity_minute
		WHERE ` + lensWords + ` AND kind != '' AND ` + lensMinutes + `
		GROUP BY start, kind
		ORDER BY start, kind`

	return rows[KindPoint](ctx, s, "kinds", query, l.args(every(step))...)
}

// HeatCell counts the proofs of one step of time that took about as long.
type HeatCell struct {
	Start  time.Time `ch:"start" json:"start"`
	Bucket uint8     `ch:"bucket" json:"bucket"` // 0 is under 16 ms, then doubling: b ends at 2^(b+4) ms; 16 is all above
	Proofs uint64    `ch:"proofs" json:"proofs"`
}

// Heat spreads the proofs of delivery over time and waiting time, by their
// arrival. It reads the receipts themselves; a proof that was written twice and
// is not yet merged counts twice.
func (s *Store) Heat(ctx context.Context, l Lens, step time.Duration) ([]HeatCell, error) {
	const query = `
		SELECT toStartOfInterval(received_at, toIntervalSecond({step:UInt32}), 'UTC') AS start,
			toUInt8(least(16, greatest(0, floor(log2(greatest(since_ms, 1))) - 3))) AS bucket,
			count() AS proofs
		FROM receipts
		WHERE ` + lensWords + ` AND stage = 'delivered' AND ` + lensArrival + `
		GROUP BY start, bucket
		ORDER BY start, bucket`

	return rows[HeatCell](ctx, s, "heat", query, l.args(every(step))...)
}
