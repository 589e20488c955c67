package analytics

import (
	"context"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

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
			WHERE app = {app:String} AND accepted_at >= {near:DateTime64(3, 'UTC')}
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

	// Where much is sent, the newest are found without a look at the whole window.
	now := time.Now()
	for _, span := range []time.Duration{10 * time.Minute, 2 * time.Hour, 1 << 62} {
		near := now.Add(-span)
		if near.Before(since) {
			near = since
		}
		found, err := rows[RecentRow](ctx, s, "recent", query, clickhouse.Named("app", app),
			moment3("near", near), moment3("since", since), clickhouse.Named("limit", uint32(limit)))
		if err != nil || len(found) == limit || near.Equal(since) {
			return found, err
		}
	}
	return nil, nil
}

// Version is the server's version, such as "25.8.2.29".
func (s *Store) Version(ctx context.Context) (version string, err error) {
	err = s.conn.QueryRow(ctx, "SELECT version()").Scan(&version)
	return version, failed("version", err)
}
