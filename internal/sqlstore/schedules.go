package sqlstore

import (
	"context"
	"encoding/json"
	"time"

	"github.com/herald-push/herald/internal/database"
	"github.com/herald-push/herald/push"
)

// PutSchedule writes a schedule whole. It sets its times of writing; LastAt of
// one that was there before is kept.
func (s *Store) PutSchedule(ctx context.Context, sc *push.Schedule) error {
	var f faults
	f.named("schedule", sc.ID)
	f.named("cron", sc.Cron)
	f.text("timezone", sc.Timezone)
	if err := f.err(); err != nil {
		return fail("put schedule", err)
	}
	const query = `
		INSERT INTO schedules (app, id, cron, timezone, request, notification, ttl_seconds, next_at, created_at, updated_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9)
		ON CONFLICT (app, id) DO UPDATE SET
			cron = excluded.cron, timezone = excluded.timezone, request = excluded.request,
			notification = excluded.notification, ttl_seconds = excluded.ttl_seconds,
			next_at = excluded.next_at, updated_at = excluded.updated_at
		RETURNING created_at, last_at`
	t := now()
	var created, last int64
	err := s.db.Write().QueryRow(ctx, query, sc.App, sc.ID, sc.Cron, sc.Timezone, string(sc.Request), asJSON(sc.Notification),
		sc.TTLSeconds, sc.NextAt.UnixMicro(), t).Scan(&created, &last)
	sc.CreatedAt, sc.UpdatedAt, sc.LastAt = at(created), at(t), at(last)
	return fail("put schedule of app "+sc.App, err)
}

const scheduleColumns = `app, id, cron, timezone, request, notification, ttl_seconds, next_at, last_at, created_at, updated_at`

func scheduleOf(scan database.Scanner) (*push.Schedule, error) {
	sc := &push.Schedule{Notification: new(push.Notification)}
	var request, notification []byte
	var next, last, created, updated int64
	if err := scan(&sc.App, &sc.ID, &sc.Cron, &sc.Timezone, &request, &notification, &sc.TTLSeconds, &next, &last, &created, &updated); err != nil {
		return nil, err
	}
	sc.Request = request
	sc.NextAt, sc.LastAt, sc.CreatedAt, sc.UpdatedAt = at(next), at(last), at(created), at(updated)
	return sc, json.Unmarshal(notification, sc.Notification)
}

// Schedule returns one schedule.
func (s *Store) Schedule(ctx context.Context, app, id string) (*push.Schedule, error) {
	const query = `SELECT ` + scheduleColumns + ` FROM schedules WHERE app = $1 AND id = $2`
	sc, err := scheduleOf(s.db.Read().QueryRow(ctx, query, app, id).Scan)
	return sc, fail("schedule of app "+app, err)
}

// Schedules returns schedules of an app by id, for pages: after is the last id
// of the page before, "" for the first.
func (s *Store) Schedules(ctx context.Context, app, after string, limit int) ([]*push.Schedule, error) {
	const query = `SELECT ` + scheduleColumns + ` FROM schedules WHERE app = $1 AND id > $2 ORDER BY id LIMIT $3`
	if !database.Storable(after) {
		return nil, nil
	}
	all, err := database.Collect(ctx, s.db.Read(), query, []any{app, after, limit}, scheduleOf)
	return all, fail("schedules of app "+app, err)
}

// DueSchedules returns schedules of all apps whose time has come, the longest
// due first.
func (s *Store) DueSchedules(ctx context.Context, by time.Time, limit int) ([]*push.Schedule, error) {
	const query = `SELECT ` + scheduleColumns + ` FROM schedules WHERE next_at <= $1 ORDER BY next_at LIMIT $2`
	all, err := database.Collect(ctx, s.db.Read(), query, []any{by.UnixMicro(), limit}, scheduleOf)
	return all, fail("due schedules", err)
}

// AdvanceSchedule moves a schedule on to its next time, unless somebody else
// has moved or changed it meanwhile. A zero last leaves that as it is.
func (s *Store) AdvanceSchedule(ctx context.Context, sc *push.Schedule, next, last time.Time) error {
	const query = `
		UPDATE schedules SET next_at = $3, last_at = CASE WHEN CAST($4 AS BIGINT) > 0 THEN CAST($4 AS BIGINT) ELSE last_at END
		WHERE app = $1 AND id = $2 AND next_at = $5`
	var fired int64
	if !last.IsZero() {
		fired = last.UnixMicro()
	}
	_, err := s.exec(ctx, "advance schedule of app "+sc.App, query, sc.App, sc.ID, next.UnixMicro(), fired, sc.NextAt.UnixMicro())
	return err
}

// DeleteSchedule ends a schedule. What it has sent stays sent.
func (s *Store) DeleteSchedule(ctx context.Context, app, id string) error {
	const query = `DELETE FROM schedules WHERE app = $1 AND id = $2`
	return s.execOne(ctx, "delete schedule of app "+app, query, app, id)
}
