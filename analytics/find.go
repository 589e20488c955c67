package analytics

import (
	"context"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/herald-push/herald/push"
)

// Find lists notifications that have evidence and that q narrows, the newest
// first. q's User and State are not for the record to know; devices, if there
// are any, are whose deliveries to look for. until is exclusive.
func (s *Store) Find(ctx context.Context, app string, q push.NotificationQuery, devices []string) ([]RecentRow, error) {
	const narrowed = `
		app = {app:String} AND accepted_at >= {since:DateTime64(3, 'UTC')} AND accepted_at < {until:DateTime64(3, 'UTC')}
		  AND ({id:String} = '' OR positionCaseInsensitive(notification, {id:String}) > 0)
		  AND ({class:String} = '' OR class = {class:String})
		  AND (empty({devices:Array(String)}) OR has({devices:Array(String)}, device))`
	const query = `
		WITH newest AS (
			SELECT notification
			FROM receipts
			WHERE ` + narrowed + `
			GROUP BY notification
			ORDER BY max(accepted_at) DESC, notification
			LIMIT {limit:UInt32})
		SELECT notification, any(class) AS class, max(at_door) AS begun, '' AS provider,` + funnelColumns + `
		FROM (
			SELECT notification, delivery, any(toString(class)) AS class, max(accepted_at) AS at_door,
				max(rank) AS highest, argMax(toString(stage), received_at) AS last
			FROM receipts
			WHERE app = {app:String} AND accepted_at >= {since:DateTime64(3, 'UTC')} AND accepted_at < {until:DateTime64(3, 'UTC')}
			  AND notification IN newest
			GROUP BY notification, delivery)
		GROUP BY notification
		ORDER BY begun DESC, notification`

	if devices == nil {
		devices = []string{}
	}
	return rows[RecentRow](ctx, s, "find", query,
		clickhouse.Named("app", app), moment3("since", q.Since), moment3("until", q.Until), clickhouse.Named("id", q.ID),
		clickhouse.Named("class", string(q.Class)), clickhouse.Named("devices", devices), clickhouse.Named("limit", uint32(q.Limit)))
}

// DeviceRoads tells what came of a device's attempts since a time, by provider.
// An attempt counts as delivered if its delivery has proof by that provider.
func (s *Store) DeviceRoads(ctx context.Context, app, device string, since time.Time) ([]push.DeviceRoad, error) {
	const query = `
		SELECT provider,
			uniqExactIf((delivery, attempt), answer = 1) AS attempts,
			uniqExactIf(delivery, rank >= 5) AS delivered,
			uniqExactIf((delivery, attempt), answer = 1 AND stage = 'failed') AS failed,
			ifNotFinite(quantileIf(0.5)(since_ms, stage = 'delivered'), 0) AS p50,
			maxIf(at, answer = 1) AS tried_at,
			maxIf(received_at, rank >= 5) AS proof_at,
			argMaxIf(concat(toString(kind), if(toString(code) != '', concat(' ', toString(code)), '')), at, answer = 1 AND kind != '') AS last_error
		FROM receipts
		WHERE app = {app:String} AND device = {device:String} AND accepted_at >= {since:DateTime64(3, 'UTC')} AND provider != ''
		GROUP BY provider
		ORDER BY attempts DESC, provider`
	found, err := rows[push.DeviceRoad](ctx, s, "roads of a device", query,
		clickhouse.Named("app", app), clickhouse.Named("device", device), moment3("since", since))
	for i := range found {
		if found[i].LastProof.Unix() <= 0 {
			found[i].LastProof = time.Time{}
		}
	}
	return found, err
}

// DeviceRecent lists the newest deliveries to a device since a time.
func (s *Store) DeviceRecent(ctx context.Context, app, device string, since time.Time, limit int) ([]push.DeviceRecent, error) {
	const query = `
		SELECT notification, any(toString(class)) AS class, argMax(toString(stage), (rank, received_at)) AS stage,
			argMax(toString(provider), (rank, received_at)) AS provider, max(accepted_at) AS accepted
		FROM receipts
		WHERE app = {app:String} AND device = {device:String} AND accepted_at >= {since:DateTime64(3, 'UTC')}
		GROUP BY notification, delivery
		ORDER BY accepted DESC, notification
		LIMIT {limit:UInt32}`
	return rows[push.DeviceRecent](ctx, s, "deliveries to a device", query,
		clickhouse.Named("app", app), clickhouse.Named("device", device), moment3("since", since), clickhouse.Named("limit", uint32(limit)))
}
