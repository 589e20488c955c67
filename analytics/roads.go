package analytics

import (
	"context"
	"time"

	"github.com/herald-push/herald/push"
)

// road is a row of [Store.Roads].
type road struct {
	App       string            `ch:"app"`
	Hour      time.Time         `ch:"hour"`
	Provider  string            `ch:"provider"`
	Platform  string            `ch:"platform"`
	Maker     string            `ch:"maker"`
	OS        string            `ch:"os"`
	Country   string            `ch:"country"`
	Carrier   string            `ch:"carrier"`
	Tried     uint64            `ch:"tried"`
	Delivered uint64            `ch:"delivered"`
	Delays    map[uint32]uint64 `ch:"delays"`
}

// clicks is how many deliveries a person has seen, by the app's word, and how
// many of them a receipt came for besides.
type clicks struct {
	App      string `ch:"app"`
	Provider string `ch:"provider"`
	Country  string `ch:"country"`
	Clicked  uint64 `ch:"clicked"`
	Received uint64 `ch:"received"`
}

// Roads counts what came of the attempts by each provider to each kind of
// device, for the hours from since on, oldest first: what the selector's memory
// is rebuilt from. The counts of clicks come as rows of their own.
func (s *Store) Roads(ctx context.Context, since time.Time) ([]push.RoadTally, error) {
	const query = `
		SELECT app, hour, provider, platform, maker, os, country, carrier, tried, delivered, delays
		FROM (
			SELECT
				app, hour, provider, platform, maker, os, country, carrier,
				toUInt64(greatest(0, toInt64(uniqCombinedIfMerge(14)(t.attempts)) - toInt64(uniqCombinedIfMerge(14)(t.untaken))
					+ toInt64(uniqCombinedIfMerge(14)(t.unknown)))) AS tried,
				uniqCombinedIfMerge(14)(t.delivered) AS delivered,
				sumMap(t.delays) AS delays
			FROM tally_hour AS t
			WHERE hour >= toStartOfHour({since:DateTime64(3, 'UTC')})
			GROUP BY app, hour, provider, platform, maker, os, country, carrier
			ORDER BY hour DESC
			LIMIT 200000)
		ORDER BY hour, app, provider, platform, maker, os, country, carrier`
	const clicked = `
		SELECT app, provider, country, count() AS clicked, countIf(received) AS received
		FROM (
			SELECT app, toString(provider) AS provider, any(country) AS country,
				max(rank >= 6 AND source = 'app_report') AS reported,
				max(stage = 'delivered') AS received
			FROM receipts
			WHERE accepted_at >= {since:DateTime64(3, 'UTC')} AND provider != ''
			GROUP BY app, provider, cityHash64(delivery))
		WHERE reported
		GROUP BY app, provider, country`

	found, err := rows[road](ctx, s, "roads", query, moment3("since", since))
	if err != nil {
		return nil, err
	}
	reported, err := rows[clicks](ctx, s, "clicks", clicked, moment3("since", latest(since, time.Now().Add(-24*time.Hour))))
	if err != nil {
		return nil, err
	}
	all := make([]push.RoadTally, 0, len(found)+len(reported))
	for i := range reported {
		c := &reported[i]
		all = append(all, push.RoadTally{
			App: c.App, Provider: c.Provider, Country: c.Country, Clicked: c.Clicked, ClickedReceived: c.Received,
		})
	}
	for i := range found {
		all = append(all, found[i].tally())
	}
	return all, nil
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func (r *road) tally() push.RoadTally {
	t := push.RoadTally{
		App: r.App, Provider: r.Provider, Platform: r.Platform, Maker: r.Maker, OS: r.OS,
		Country: r.Country, Carrier: r.Carrier, Hour: r.Hour.UTC(), Tried: r.Tried, Delivered: r.Delivered,
		Delays: make(map[float64]uint64, len(r.Delays)),
	}
	for seconds, n := range r.Delays {
		t.Delays[float64(seconds)] = n
	}
	return t
}
