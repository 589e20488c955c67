package sqlstore

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/herald-push/herald/internal/database"
	"github.com/herald-push/herald/push"
)

// maxStatement is how many devices one statement writes. More gain nothing and
// make the parameter large.
const maxStatement = 500

// PutDevice writes d whole: what it does not name is gone, but for a location
// that the device itself has reported. An address that
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
	s.db.Write().Learn(ctx, putDevices, dropAddresses, dropTags, takeAddresses, putAddresses, putTags)
	at := time.Now().UTC().Truncate(time.Microsecond)
	err = s.transact(ctx, "put devices of app "+app, func(tx database.Querier) error {
		moved = nil
		for part := range slices.Chunk(devices, maxStatement) {
			lost, err := putPart(ctx, tx, app, part, at)
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

// The statements of putPart. $1 is a JSON list, $2 the app. Without MATERIALIZED
// SQLite would write the value as JSON again for every column taken from it.
const (
	// A list of deviceRow; $3 is the time. It comes first because it locks
	// the rows: two writers of one device take turns.
	putDevices = `
		WITH d AS MATERIALIZED (SELECT value FROM json_each($1))
		INSERT INTO devices (app, id, user_id, platform, maker, model, os, app_version, country, carrier,
			locale, timezone, tags, lat, lon, created_at, updated_at, os_key, app_version_key)
		SELECT $2, d.value->>'id', coalesce(d.value->>'user', ''), d.value->>'platform',
			coalesce(d.value->>'maker', ''), coalesce(d.value->>'model', ''), coalesce(d.value->>'os', ''),
			coalesce(d.value->>'app_version', ''), coalesce(d.value->>'country', ''), coalesce(d.value->>'carrier', ''),
			coalesce(d.value->>'locale', ''), coalesce(d.value->>'timezone', ''), coalesce(d.value->'tags', '[]'),
			CAST(d.value->'location'->>'lat' AS DOUBLE PRECISION), CAST(d.value->'location'->>'lon' AS DOUBLE PRECISION),
			CAST($3 AS BIGINT), CAST($3 AS BIGINT), d.value->>'os_key', d.value->>'app_version_key'
		FROM d WHERE true
		ON CONFLICT (app, id) DO UPDATE SET
			user_id = excluded.user_id, platform = excluded.platform, maker = excluded.maker, model = excluded.model,
			os = excluded.os, app_version = excluded.app_version, country = excluded.country, carrier = excluded.carrier,
			locale = excluded.locale, timezone = excluded.timezone, tags = excluded.tags,
			lat = CASE WHEN excluded.lat IS NULL AND devices.placed_at IS NOT NULL THEN devices.lat ELSE excluded.lat END,
			lon = CASE WHEN excluded.lat IS NULL AND devices.placed_at IS NOT NULL THEN devices.lon ELSE excluded.lon END,
			placed_at = CASE WHEN excluded.lat IS NULL THEN devices.placed_at END,
			accuracy = CASE WHEN excluded.lat IS NULL THEN devices.accuracy END,
			updated_at = excluded.updated_at,
			os_key = excluded.os_key, app_version_key = excluded.app_version_key
		RETURNING id, created_at`

	// Lists of ids.
	dropAddresses = `DELETE FROM addresses WHERE app = $2 AND device IN (SELECT value FROM json_each_text($1))`
	dropTags      = `DELETE FROM device_tags WHERE app = $2 AND device IN (SELECT value FROM json_each_text($1))`

	// Lists of addressRow. The row value with the app in it is what makes
	// SQLite use the index of tokens, and not read every address of the app.
	takeAddresses = `
		DELETE FROM addresses WHERE (app, provider, token) IN (SELECT $2, a.value->>1, a.value->>2 FROM json_each($1) a)
		RETURNING device`
	putAddresses = `
		WITH a AS MATERIALIZED (SELECT value FROM json_each($1))
		INSERT INTO addresses (app, device, provider, token, topic, environment)
		SELECT $2, a.value->>0, a.value->>1, a.value->>2, a.value->>3, a.value->>4 FROM a`

	// A list of tagRow.
	putTags = `
		WITH t AS MATERIALIZED (SELECT value FROM json_each($1))
		INSERT INTO device_tags (app, device, tag)
		SELECT $2, t.value->>0, t.value->>1 FROM t`
)

// putPart writes up to maxStatement devices and returns those that lost an
// address to one of them.
func putPart(ctx context.Context, tx database.Querier, app string, devices []*push.Device, at time.Time) (lost []string, err error) {
	rows := rowsOf(devices)
	var known []string // those that were there before, whose old addresses and tags go
	_, err = database.Collect(ctx, tx, putDevices, []any{asJSON(rows.devices), app, at.UnixMicro()}, func(scan database.Scanner) (struct{}, error) {
		var id string
		var created int64
		err := scan(&id, &created)
		if created != at.UnixMicro() {
			known = append(known, id)
		}
		if d := rows.byID[id]; d != nil {
			d.CreatedAt, d.UpdatedAt = time.UnixMicro(created).UTC(), at
		}
		return struct{}{}, err
	})
	if err != nil {
		return nil, err
	}
	if len(known) > 0 {
		if err := execIn(ctx, tx, asJSON(known), app, dropAddresses, dropTags); err != nil {
			return nil, err
		}
	}
	if len(rows.addresses) > 0 {
		addresses := asJSON(rows.addresses)
		if lost, err = database.Collect(ctx, tx, takeAddresses, []any{addresses, app}, texts); err != nil {
			return nil, err
		}
		if err := execIn(ctx, tx, addresses, app, putAddresses); err != nil {
			return nil, err
		}
	}
	if len(rows.tags) > 0 {
		err = execIn(ctx, tx, asJSON(rows.tags), app, putTags)
	}
	return lost, err
}

func execIn(ctx context.Context, tx database.Querier, list, app string, queries ...string) error {
	for _, query := range queries {
		if _, err := tx.Exec(ctx, query, list, app); err != nil {
			return err
		}
	}
	return nil
}

// asJSON writes what checkDevices let pass, which never fails.
func asJSON(list any) string {
	text, err := json.Marshal(list)
	if err != nil {
		panic("sqlstore: checked devices cannot be written as JSON: " + err.Error())
	}
	return string(text)
}
