package analytics

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

// ClassRow is what came of the deliveries of one class.
type ClassRow struct {
	Class         string `ch:"class_of" json:"class"` // "" for all together
	Notifications uint64 `ch:"notifications" json:"notifications"`
	FunnelRow
	P50Ms      float64 `ch:"p50" json:"p50_ms"` // from acceptance by the API to the proof of delivery
	P95Ms      float64 `ch:"p95" json:"p95_ms"`
	CostMicros int64   `ch:"cost" json:"cost_micros"`
}

// ByClass is the funnel of each class, in the order of their names, and last
// of all together. With a provider in the lens a delivery counts by the evidence
// that this provider has for it. Counts are of the lens's [Basis].
func (s *Store) ByClass(ctx context.Context, l Lens) ([]ClassRow, error) {
	found, _, err := report(ctx, s, l, "funnel by class", func(table string) string {
		// Every notification has one first delivery, so in a sample these stand for all.
		notifications := "uniqExact(asked)"
		if table != "receipts" {
			notifications = "countIf(endsWith(named, '.0.0'))"
		}
		return `
		SELECT class_of, ` + notifications + ` AS notifications, '' AS provider,` + funnelColumns + `,
			ifNotFinite(quantilesTDigestIf(0.5, 0.95)(waited, waited >= 0)[1], 0)::Float64 AS p50,
			ifNotFinite(quantilesTDigestIf(0.5, 0.95)(waited, waited >= 0)[2], 0)::Float64 AS p95,
			sum(paid) AS cost
		FROM (
			SELECT any(toString(class)) AS class_of, any(notification) AS asked, any(delivery) AS named,
				max(rank) AS highest, argMaxIf(toString(stage), received_at, rank = 1) AS last,
				if(countIf(stage = 'delivered') = 0, -1, minIf(since_ms, stage = 'delivered')) AS waited,
				arraySum(x -> x.3, groupUniqArrayIf((attempt, toString(stage), cost_micros), cost_micros != 0)) AS paid
			FROM ` + table + `
			WHERE ` + lensWords + ` AND ` + lensAccept + `
			GROUP BY cityHash64(delivery))
		GROUP BY class_of WITH ROLLUP
		ORDER BY class_of = '', class_of`
	}, func(r *ClassRow, k uint64) {
		r.FunnelRow.times(k)
		times(k, &r.Notifications)
		r.CostMicros *= int64(k)
	})
	return found, err
}

// Choices are the words that an app's receipts of late have, for filters.
type Choices struct {
	Classes   []string `ch:"classes"`
	Providers []string `ch:"providers"`
	Platforms []string `ch:"platforms"`
	Makers    []string `ch:"makers"`
	Countries []string `ch:"countries"`
}

// Choices lists what the lens may be narrowed to: what the app's attempts of
// [Lens.From, Lens.To) had, at most 200 words each.
func (s *Store) Choices(ctx context.Context, l Lens) (Choices, error) {
	const query = `
		SELECT
			arraySort(groupUniqArray(200)(toString(class))) AS classes,
			arraySort(groupUniqArray(200)(toString(provider))) AS providers,
			arraySort(groupUniqArrayIf(200)(toString(platform), platform != '')) AS platforms,
			arraySort(groupUniqArrayIf(200)(toString(maker), maker != '')) AS makers,
			arraySort(groupUniqArrayIf(200)(toString(country), country != '')) AS countries
		FROM activity_hour
		WHERE ` + lensOwner + ` AND provider != '' AND ` + lensHours

	found, err := rows[Choices](ctx, s, "choices", query, l.args()...)
	if err != nil || len(found) == 0 {
		return Choices{}, err
	}
	return found[0], nil
}

// Mover is a group of devices on one provider whose share of proven attempts
// is not what it was.
type Mover struct {
	Provider string `ch:"provider" json:"provider"`
	Maker    string `ch:"maker" json:"maker"`
	Country  string `ch:"country" json:"country"`

	Attempts        uint64  `ch:"attempts" json:"attempts"`
	Delivered       uint64  `ch:"delivered" json:"delivered"`
	AttemptsBefore  uint64  `ch:"attempts_before" json:"attempts_before"`
	DeliveredBefore uint64  `ch:"delivered_before" json:"delivered_before"`
	MeanMs          float64 `ch:"mean" json:"-"`
	MeanBeforeMs    float64 `ch:"mean_before" json:"-"`

	// Change is the difference of the shares, and Impact that many deliveries.
	Change float64 `json:"change"`
	Impact float64 `json:"impact"`
	Why    string  `json:"why"`
}

// kindRow is how often a group's attempts failed in one way, now and before.
type kindRow struct {
	Provider string `ch:"provider"`
	Maker    string `ch:"maker"`
	Country  string `ch:"country"`
	Kind     string `ch:"kind"`
	Now      uint64 `ch:"now_n"`
	Before   uint64 `ch:"before_n"`
}

// fewest is how many attempts a group needs on both sides to be spoken of.
const fewest = 20

// Movers lists the groups (provider × maker × country) whose delivered share in
// the lens differs from that of the same length of time, back earlier, by more
// than chance (2.6 standard errors), the most deliveries won or lost first. Both
// windows are read from the sample if one is large; chance is that of what was
// really read.
func (s *Store) Movers(ctx context.Context, l Lens, back time.Duration, limit int) ([]Mover, error) {
	const before = `(accepted_at >= {was_from:DateTime64(3, 'UTC')} AND accepted_at < {was_to:DateTime64(3, 'UTC')})`
	const both = lensWords + ` AND provider != '' AND ((` + lensAccept + `) OR ` + before + `)`
	was := l.Before(back)
	table, basis, err := s.source(ctx, l)
	if err != nil {
		return nil, err
	}
	if earlier, then, err := s.source(ctx, was); err != nil {
		return nil, err
	} else if then.Scale > basis.Scale {
		table, basis = earlier, then
	}
	groups := `
		WITH attempt = 0 AND stage = 'delivered' AND source = 'device_ack' AS fetched, ` + lensAccept + ` AS now
		SELECT toString(provider) AS provider, toString(maker) AS maker, toString(country) AS country,
			uniqExactIf(cityHash64(delivery, attempt), now AND (answer = 1 OR fetched)) AS attempts,
			uniqExactIf(cityHash64(delivery), now AND rank >= 5) AS delivered,
			uniqExactIf(cityHash64(delivery, attempt), NOT now AND (answer = 1 OR fetched)) AS attempts_before,
			uniqExactIf(cityHash64(delivery), NOT now AND rank >= 5) AS delivered_before,
			ifNotFinite(avgIf(since_ms, now AND stage = 'delivered'), 0)::Float64 AS mean,
			ifNotFinite(avgIf(since_ms, NOT now AND stage = 'delivered'), 0)::Float64 AS mean_before
		FROM ` + table + ` WHERE ` + both + `
		GROUP BY provider, maker, country`
	kinds := `
		WITH ` + lensAccept + ` AS now
		SELECT toString(provider) AS provider, toString(maker) AS maker, toString(country) AS country, toString(kind) AS kind,
			uniqExactIf(cityHash64(delivery, attempt, stage), now) AS now_n, uniqExactIf(cityHash64(delivery, attempt, stage), NOT now) AS before_n
		FROM ` + table + ` WHERE ` + both + ` AND kind != ''
		GROUP BY provider, maker, country, kind`

	args := l.args(moment3("was_from", was.From), moment3("was_to", was.To))
	all, err := rows[Mover](ctx, s, "movers", groups, args...)
	if err != nil {
		return nil, err
	}
	failures, err := rows[kindRow](ctx, s, "movers' failures", kinds, args...)
	if err != nil {
		return nil, err
	}
	movers := rankMovers(all, failures, limit)
	for i := range movers {
		m := &movers[i]
		times(basis.Scale, &m.Attempts, &m.Delivered, &m.AttemptsBefore, &m.DeliveredBefore)
		m.Impact *= float64(basis.Scale)
	}
	return movers, nil
}

func rankMovers(all []Mover, failures []kindRow, limit int) []Mover {
	all = slices.DeleteFunc(all, func(m Mover) bool { return !m.moved() })
	for i := range all {
		m := &all[i]
		m.Change = share(m.Delivered, m.Attempts) - share(m.DeliveredBefore, m.AttemptsBefore)
		m.Impact = m.Change * float64(m.Attempts)
		m.Why = m.why(failures)
	}
	slices.SortFunc(all, func(a, b Mover) int {
		return cmp.Or(cmp.Compare(math.Abs(b.Impact), math.Abs(a.Impact)), cmp.Compare(a.Provider, b.Provider),
			cmp.Compare(a.Maker, b.Maker), cmp.Compare(a.Country, b.Country))
	})
	return all[:min(limit, len(all))]
}

// moved reports whether the difference is more than chance, by the pooled test
// of two proportions.
func (m *Mover) moved() bool {
	if m.Attempts < fewest || m.AttemptsBefore < fewest {
		return false
	}
	pooled := share(m.Delivered+m.DeliveredBefore, m.Attempts+m.AttemptsBefore)
	sigma := math.Sqrt(pooled * (1 - pooled) * (1/float64(m.Attempts) + 1/float64(m.AttemptsBefore)))
	return sigma > 0 && math.Abs(share(m.Delivered, m.Attempts)-share(m.DeliveredBefore, m.AttemptsBefore)) > 2.6*sigma
}

// why puts the difference down to what differs most: a kind of failure, silence
// after acceptance, requests without an answer, or slowness.
func (m *Mover) why(failures []kindRow) string {
	type cause struct {
		size  float64 // in shares of the attempts
		words string
	}
	var causes []cause
	differs := func(now, before uint64, words string) {
		a, b := share(now, m.Attempts), share(before, m.AttemptsBefore)
		causes = append(causes, cause{math.Abs(a - b), fmt.Sprintf("%s: %.1f %% of attempts, was %.1f %%", words, 100*a, 100*b)})
	}
	known, knownBefore := m.Delivered, m.DeliveredBefore
	for _, f := range failures {
		if f.Provider == m.Provider && f.Maker == m.Maker && f.Country == m.Country {
			differs(f.Now, f.Before, strings.ReplaceAll(f.Kind, "_", " "))
			known, knownBefore = known+f.Now, knownBefore+f.Before
		}
	}
	differs(m.Attempts-min(known, m.Attempts), m.AttemptsBefore-min(knownBefore, m.AttemptsBefore), "taken, never proven")
	top := slices.MaxFunc(causes, func(a, b cause) int { return cmp.Compare(a.size, b.size) })
	words := top.words
	if m.MeanBeforeMs > 0 && (m.MeanMs > 2*m.MeanBeforeMs || m.MeanMs < m.MeanBeforeMs/2) && m.MeanMs > 0 {
		words += fmt.Sprintf("; proofs take %s, took %s", span(m.MeanMs), span(m.MeanBeforeMs))
	}
	return words
}

func span(ms float64) string {
	return time.Duration(ms * float64(time.Millisecond)).Round(10 * time.Millisecond).String()
}

func share(n, of uint64) float64 {
	if of == 0 {
		return 0
	}
	return float64(n) / float64(of)
}
