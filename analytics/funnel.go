package analytics

import (
	"context"
	"time"

	"github.com/herald-push/herald/push"
)

// FunnelRow counts deliveries. Each counts once on every rung it has reached,
// whatever evidence is missing below: one that was displayed was delivered and
// accepted. Below the ladder it counts in one column, by the last word about
// it.
type FunnelRow struct {
	Provider   string `ch:"provider" json:"provider,omitempty"` // "" for all together
	Deliveries uint64 `ch:"deliveries" json:"deliveries"`       // with any evidence at all
	Accepted   uint64 `ch:"accepted" json:"accepted"`
	HandedOver uint64 `ch:"handed_over" json:"handed_over"`
	Delivered  uint64 `ch:"delivered" json:"delivered"`
	Displayed  uint64 `ch:"displayed" json:"displayed"`
	Clicked    uint64 `ch:"clicked" json:"clicked"`
	Failed     uint64 `ch:"failed" json:"failed"`
	Unknown    uint64 `ch:"unknown" json:"unknown"`
	Expired    uint64 `ch:"expired" json:"expired"`
	Cancelled  uint64 `ch:"cancelled" json:"cancelled"`
	Suppressed uint64 `ch:"suppressed" json:"suppressed"`
}

const funnelColumns = `
			count() AS deliveries,
			countIf(highest >= 3) AS accepted,
			countIf(highest >= 4) AS handed_over,
			countIf(highest >= 5) AS delivered,
			countIf(highest >= 6) AS displayed,
			countIf(highest >= 7) AS clicked,
			countIf(highest = 2) AS unknown,
			countIf(highest = 1 AND last = 'failed') AS failed,
			countIf(highest = 1 AND last = 'expired') AS expired,
			countIf(highest = 1 AND last = 'cancelled') AS cancelled,
			countIf(highest = 1 AND last = 'suppressed') AS suppressed`

// ProviderRow is how one provider did.
type ProviderRow struct {
	Provider   string  `ch:"provider" json:"provider"`
	Attempts   uint64  `ch:"attempts" json:"attempts"`       // that got an answer or timed out
	Accepted   uint64  `ch:"accepted" json:"accepted"`       // of these
	Failed     uint64  `ch:"failed" json:"failed"`           // attempts refused, at once or later
	Unknown    uint64  `ch:"unknown" json:"unknown"`         // attempts without an answer
	Delivered  uint64  `ch:"delivered" json:"delivered"`     // deliveries proven
	P50Ms      float64 `ch:"p50" json:"p50_ms"`              // from acceptance by the API to the proof
	P95Ms      float64 `ch:"p95" json:"p95_ms"`              //
	CostMicros int64   `ch:"cost_micros" json:"cost_micros"` // millionths of the app's currency
}

// Tallies counts what came of each group's attempts, hour by hour, all apps
// together, for notifications accepted since the hour of since: the selector's
// memory. Counts beyond some thousands are within about 1 %.
func (s *Store) Tallies(ctx context.Context, since time.Time) ([]push.Tally, error) {
	const query = `
		SELECT
			hour, provider, platform, maker, country,
			uniqCombinedIfMerge(14)(t.attempts) AS attempts,
			toUInt64(greatest(0, toInt64(uniqCombinedIfMerge(14)(t.attempts)) - toInt64(uniqCombinedIfMerge(14)(t.untaken)))) AS accepted,
			uniqCombinedIfMerge(14)(t.failed) AS failed,
			uniqCombinedIfMerge(14)(t.unknown) AS unknown,
			uniqCombinedIfMerge(14)(t.delivered) AS delivered,
			ifNotFinite(avgIfMerge(t.delivered_mean), 0)::Float64 AS mean
		FROM tally_hour AS t
		WHERE hour >= toStartOfHour({since:DateTime64(3, 'UTC')})
		GROUP BY hour, provider, platform, maker, country
		ORDER BY hour, provider, platform, maker, country`

	found, err := rows[tally](ctx, s, "tallies", query, moment3("since", since))
	if err != nil {
		return nil, err
	}
	tallies := make([]push.Tally, len(found))
	for i := range found {
		tallies[i] = found[i].tally()
	}
	return tallies, nil
}

// tally is a row of [Store.Tallies].
type tally struct {
	Hour      time.Time `ch:"hour"`
	Provider  string    `ch:"provider"`
	Platform  string    `ch:"platform"`
	Maker     string    `ch:"maker"`
	Country   string    `ch:"country"`
	Attempts  uint64    `ch:"attempts"`
	Accepted  uint64    `ch:"accepted"`
	Failed    uint64    `ch:"failed"`
	Unknown   uint64    `ch:"unknown"`
	Delivered uint64    `ch:"delivered"`
	Mean      float64   `ch:"mean"`
}

func (t *tally) tally() push.Tally {
	return push.Tally{
		Group:    push.Group{Provider: t.Provider, Platform: t.Platform, Maker: t.Maker, Country: t.Country},
		Hour:     t.Hour.UTC(),
		Attempts: t.Attempts, Accepted: t.Accepted, Failed: t.Failed, Unknown: t.Unknown, Delivered: t.Delivered,
		DeliveredMillis: uint64(t.Mean * float64(t.Delivered)),
	}
}
