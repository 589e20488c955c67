package analytics

import (
	"context"
	"time"
)

// TwiceRow is what was paid for text messages although an earlier road had
// reached the device, as its late proof shows.
type TwiceRow struct {
	Deliveries uint64 `ch:"deliveries" json:"deliveries"`
	CostMicros int64  `ch:"cost_micros" json:"cost_micros"` // millionths of the app's currency
}

// PaidTwice counts, of the notifications that the API accepted in [from, to),
// the deliveries for which a text message went out before another road's proof
// of arrival came. It reads the deliveries that were sent a text message alone,
// of the window's [Basis].
func (s *Store) PaidTwice(ctx context.Context, app string, from, to time.Time) (TwiceRow, error) {
	found, _, err := report(ctx, s, Lens{App: app, From: from, To: to}, "paid twice", func(table string) string {
		return `
		WITH texted AS (
			SELECT notification, delivery
			FROM ` + table + `
			WHERE app = {app:String} AND provider IN ('sms', 'smpp') AND answer = 1 AND rank >= 2
			  AND accepted_at >= {from:DateTime64(3, 'UTC')} AND accepted_at < {to:DateTime64(3, 'UTC')})
		SELECT count() AS deliveries, sum(cost) AS cost_micros
		FROM (
			SELECT
				minIf(received_at, provider IN ('sms', 'smpp') AND answer = 1 AND rank >= 2) AS paid,
				maxIf(received_at, provider NOT IN ('sms', 'smpp') AND rank >= 5) AS proven,
				sum(cost_micros) AS cost
			FROM (
				SELECT * FROM ` + table + `
				WHERE app = {app:String}
				  AND accepted_at >= {from:DateTime64(3, 'UTC')} AND accepted_at < {to:DateTime64(3, 'UTC')}
				  AND notification IN (SELECT notification FROM texted) AND delivery IN (SELECT delivery FROM texted)
				LIMIT 1 BY delivery, attempt, stage)
			GROUP BY delivery
			HAVING proven >= paid)`
	}, func(r *TwiceRow, k uint64) {
		times(k, &r.Deliveries)
		r.CostMicros *= int64(k)
	})
	if err != nil || len(found) == 0 {
		return TwiceRow{}, err
	}
	return found[0], nil
}
