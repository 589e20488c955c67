package sqlstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"github.com/herald-push/herald/push"
)

// deviceColumns are read by scanDevice. The addresses come along as JSON, so
// that a device and its addresses are of the same moment.
const deviceColumns = `
	id, user_id, platform, maker, model, os, app_version, country, carrier, locale, timezone,
	tags, lat, lon, created_at, updated_at,
	(SELECT json_group_array(json_object('provider', a.provider, 'token', a.token, 'topic', a.topic, 'environment', a.environment) ORDER BY a.provider)
	 FROM addresses a WHERE a.app = d.app AND a.device = d.id)`

// Device returns one device.
func (s *Store) Device(ctx context.Context, app, id string) (*push.Device, error) {
	found, err := s.Devices(ctx, app, []string{id})
	if err != nil {
		return nil, err
	}
	if found[0] == nil {
		return nil, fail(fmt.Sprintf("device %q of app %s", id, app), push.ErrNotFound)
	}
	return found[0], nil
}

// Devices returns the devices of these ids in their order, nil where there is
// none. It is one query, however many there are.
func (s *Store) Devices(ctx context.Context, app string, ids []string) ([]*push.Device, error) {
	const query = `
		SELECT ` + deviceColumns + ` FROM devices d
		WHERE app = $1 AND id IN (SELECT value FROM json_each_text($2))`
	found, err := collect(ctx, s, query, []any{app, list(ids)}, deviceOf(app))
	if err != nil {
		return nil, fail("devices of app "+app, err)
	}
	byID := make(map[string]*push.Device, len(found))
	for _, d := range found {
		byID[d.ID] = d
	}
	devices := make([]*push.Device, len(ids))
	for i, id := range ids {
		devices[i] = byID[id]
	}
	return devices, nil
}

// List returns devices whose id begins with prefix, ordered by id, for pages:
// after is the last id of the page before, "" for the first.
func (s *Store) List(ctx context.Context, app, prefix, after string, limit int) ([]*push.Device, error) {
	const query = `
		SELECT ` + deviceColumns + ` FROM devices d
		WHERE app = $1 AND id > $2 AND id >= $3 AND id < $4
		ORDER BY id LIMIT $5`
	if !storable(prefix) || !storable(after) {
		return nil, nil
	}
	end := prefix + "\U0010FFFF" // above every id that begins so
	devices, err := collect(ctx, s, query, []any{app, after, prefix, end, limit}, deviceOf(app))
	return devices, fail("list devices of app "+app, err)
}

// DeleteDevice forgets a device and its addresses.
func (s *Store) DeleteDevice(ctx context.Context, app, id string) error {
	const query = `DELETE FROM devices WHERE app = $1 AND id = $2`
	return s.execOne(ctx, fmt.Sprintf("delete device %q of app %s", id, app), query, app, id)
}

// Forget removes an address of a device, if it still is that one. A provider's
// word that a token is dead may be older than the token's successor.
func (s *Store) Forget(ctx context.Context, app, device string, a push.Address) error {
	const query = `DELETE FROM addresses WHERE app = $1 AND device = $2 AND provider = $3 AND token = $4`
	_, err := s.exec(ctx, "forget an address of app "+app, query, app, device, a.Provider, a.Token)
	return err
}

// deviceOf reads rows of deviceColumns.
func deviceOf(app string) func(scanner) (*push.Device, error) {
	return func(scan scanner) (*push.Device, error) {
		d := &push.Device{App: app}
		var tags, addresses sql.RawBytes
		var lat, lon sql.NullFloat64
		var created, updated int64
		err := scan(&d.ID, &d.User, &d.Platform, &d.Maker, &d.Model, &d.OS, &d.AppVersion, &d.Country, &d.Carrier,
			&d.Locale, &d.Timezone, &tags, &lat, &lon, &created, &updated, &addresses)
		if err != nil {
			return nil, err
		}
		if lat.Valid && lon.Valid {
			d.Location = &push.Location{Lat: lat.Float64, Lon: lon.Float64}
		}
		d.CreatedAt, d.UpdatedAt = at(created), at(updated)
		if err := unmarshalList(tags, &d.Tags); err != nil {
			return nil, err
		}
		return d, unmarshalList(addresses, &d.Addresses)
	}
}

// unmarshalList reads a JSON list and leaves an empty one nil.
func unmarshalList[T any](text []byte, list *[]T) error {
	if len(text) <= len("[]") {
		return nil
	}
	return json.Unmarshal(text, list)
}
