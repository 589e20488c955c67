package sqlstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"slices"
	"time"

	"github.com/herald-push/herald/push"
)

// maxStatement is how many devices one statement writes. More gain nothing and
// make the parameter large.
const maxStatement = 500

// PutDevice writes d whole: what it does not name is gone. An address that
// another device of the app has moves to d; moved are the devices that lost one,
// for the caches to drop. The times of d are set to those in the table.
//
// An unknown app is [push.ErrNotFound]; what cannot be kept, such as two
// addresses for one provider, is a [*push.Invalid] with every fault.
func (s *Store) PutDevice(ctx context.Context, d *push.Device) (moved []string, err error) {
	return s.PutDevices(ctx, d.App, []*push.Device{d})
}

// PutDevices is [Store.PutDevice] for many devices of one app in one
// transaction, which other writers wait for: some thousands at a time are fast
// and polite. Where two of them claim the same thing the later one gets it.
func (s *Store) PutDevices(ctx context.Context, app string, devices []*push.Device) (moved []string, err error) {
	if err := checkDevices(app, devices); err != nil {
		return nil, fail("put devices of app "+app, err)
	}
	at := time.Now().UTC().Truncate(time.Microsecond)
	err = s.transact(ctx, "put devices of app "+app, func(tx *sql.Tx) error {
		moved = nil
		for part := range slices.Chunk(devices, maxStatement) {
			lost, err := s.putPart(ctx, tx, app, part, at)
			if err != nil {
				return err
			}
			moved = append(moved, lost...)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.Sort(moved)
	return slices.Compact(moved), nil
}

// The statements of putPart. $1 is a JSON list of [push.Device], $2 the app,
// $3 the time.
const (
	// The device's row is locked first, so two writers of one device take turns.
	putDevices = `
		INSERT INTO devices (app, id, user_id, platform, maker, model, os, app_version, country, carrier,
			locale, timezone, tags, lat, lon, created_at, updated_at)
		SELECT $2, d.value->>'id', coalesce(d.value->>'user', ''), d.value->>'platform',
			coalesce(d.value->>'maker', ''), coalesce(d.value->>'model', ''), coalesce(d.value->>'os', ''),
			coalesce(d.value->>'app_version', ''), coalesce(d.value->>'country', ''), coalesce(d.value->>'carrier', ''),
			coalesce(d.value->>'locale', ''), coalesce(d.value->>'timezone', ''), coalesce(d.value->'tags', '[]'),
			CAST(d.value->'location'->>'lat' AS DOUBLE PRECISION), CAST(d.value->'location'->>'lon' AS DOUBLE PRECISION),
			CAST($3 AS BIGINT), CAST($3 AS BIGINT)
		FROM json_each($1) d WHERE true
		ON CONFLICT (app, id) DO UPDATE SET
			user_id = excluded.user_id, platform = excluded.platform, maker = excluded.maker, model = excluded.model,
			os = excluded.os, app_version = excluded.app_version, country = excluded.country, carrier = excluded.carrier,
			locale = excluded.locale, timezone = excluded.timezone, tags = excluded.tags,
			lat = excluded.lat, lon = excluded.lon, updated_at = excluded.updated_at
		RETURNING id, created_at`

	dropOldAddresses = `
		DELETE FROM addresses WHERE app = $2 AND device IN (SELECT d.value->>'id' FROM json_each($1) d)`

	takeAddresses = `
		DELETE FROM addresses WHERE app = $2 AND (provider, token) IN (
			SELECT a.value->>'provider', a.value->>'token'
			FROM json_each($1) d CROSS JOIN json_each(d.value->'addresses') a)
		RETURNING device`

	putAddresses = `
		INSERT INTO addresses (app, device, provider, token, topic, environment)
		SELECT $2, d.value->>'id', a.value->>'provider', a.value->>'token',
			coalesce(a.value->>'topic', ''), coalesce(a.value->>'environment', '')
		FROM json_each($1) d CROSS JOIN json_each(d.value->'addresses') a`

	dropOldTags = `
		DELETE FROM device_tags WHERE app = $2 AND device IN (SELECT d.value->>'id' FROM json_each($1) d)`

	putTags = `
		INSERT INTO device_tags (app, tag, device)
		SELECT DISTINCT $2, t.value, d.value->>'id'
		FROM json_each($1) d CROSS JOIN json_each_text(d.value->'tags') t`
)

// putPart writes up to maxStatement devices and returns those that lost an
// address to one of them.
func (s *Store) putPart(ctx context.Context, tx *sql.Tx, app string, devices []*push.Device, at time.Time) (lost []string, err error) {
	byID := laterWins(devices)
	rows, err := json.Marshal(rowsOf(devices, byID))
	if err != nil {
		return nil, err
	}
	list := string(rows)

	_, err = collectFrom(ctx, s, tx, putDevices, []any{list, app, at.UnixMicro()}, func(scan scanner) (struct{}, error) {
		var id string
		var created int64
		err := scan(&id, &created)
		if err == nil {
			byID[id].CreatedAt, byID[id].UpdatedAt = time.UnixMicro(created).UTC(), at
		}
		return struct{}{}, err
	})
	if err != nil {
		return nil, err
	}
	if _, err := tx.ExecContext(ctx, s.dialect.sql(dropOldAddresses), list, app); err != nil {
		return nil, err
	}
	lost, err = collectFrom(ctx, s, tx, takeAddresses, []any{list, app}, texts)
	if err != nil {
		return nil, err
	}
	for _, query := range []string{putAddresses, dropOldTags, putTags} {
		if _, err := tx.ExecContext(ctx, s.dialect.sql(query), list, app); err != nil {
			return nil, err
		}
	}
	return lost, nil
}
