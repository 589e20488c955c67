package sqlstore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/herald-push/herald/internal/database"
	"github.com/herald-push/herald/push"
)

// deviceColumns are read by deviceOf. The texts come as one, held apart by unit
// and record separators, which checkDevices lets into none of them: the SQLite
// driver reads one long text four times as fast as a dozen short ones. The
// addresses come along, so that device and addresses are of the same moment.
const deviceColumns = `
	concat_ws(char(31), id, user_id, platform, maker, model, os, app_version, country, carrier, locale, timezone),
	tags, lat, lon, coalesce(placed_at, 0), coalesce(accuracy, 0), created_at, updated_at,
	(SELECT group_concat(concat_ws(char(31), a.provider, a.token, a.topic, a.environment), char(30))
	 FROM addresses a WHERE a.app = d.app AND a.device = d.id)`

const (
	unitSeparator   = "\x1f"
	recordSeparator = "\x1e"
)

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
	found, err := database.Collect(ctx, s.db.Read(), query, []any{app, database.List(ids)}, deviceOf(app))
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
	if !database.Storable(prefix) || !database.Storable(after) {
		return nil, nil
	}
	end := prefix + "\U0010FFFF" // above every id that begins so
	devices, err := database.Collect(ctx, s.db.Read(), query, []any{app, after, prefix, end, limit}, deviceOf(app))
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

// Owners returns the devices that have addresses at a provider, in the order of
// their tokens; "" where there is none. It is one query.
func (s *Store) Owners(ctx context.Context, app, provider string, tokens []string) ([]string, error) {
	const query = `
		SELECT concat_ws(char(31), token, device) FROM addresses
		WHERE app = $1 AND provider = $2 AND token IN (SELECT value FROM json_each_text($3))`
	owners := make([]string, len(tokens))
	asked := make([]string, 0, len(tokens))
	places := make(map[string][]int, len(tokens))
	for i, token := range tokens {
		if !database.Storable(token) {
			continue
		}
		if places[token] == nil {
			asked = append(asked, token)
		}
		places[token] = append(places[token], i)
	}
	found, err := database.Collect(ctx, s.db.Read(), query, []any{app, provider, database.List(asked)}, texts)
	if err != nil {
		return nil, fail("owners of addresses of app "+app, err)
	}
	for _, row := range found {
		var token, device string
		if err := split(row, &token, &device); err != nil {
			return nil, fail("owners of addresses of app "+app, err)
		}
		for _, i := range places[token] {
			owners[i] = device
		}
	}
	return owners, nil
}

// deviceOf reads rows of deviceColumns.
func deviceOf(app string) func(database.Scanner) (*push.Device, error) {
	return func(scan database.Scanner) (*push.Device, error) {
		d := &push.Device{App: app}
		var text string
		var addresses sql.NullString
		var tags sql.RawBytes
		var lat, lon sql.NullFloat64
		var accuracy float64
		var placed, created, updated int64
		if err := scan(&text, &tags, &lat, &lon, &placed, &accuracy, &created, &updated, &addresses); err != nil {
			return nil, err
		}
		if err := split(text, &d.ID, &d.User, &d.Platform, &d.Maker, &d.Model, &d.OS, &d.AppVersion,
			&d.Country, &d.Carrier, &d.Locale, &d.Timezone); err != nil {
			return nil, err
		}
		if lat.Valid && lon.Valid {
			d.Location = &push.Location{Lat: lat.Float64, Lon: lon.Float64, At: at(placed), Accuracy: accuracy}
		}
		d.CreatedAt, d.UpdatedAt = at(created), at(updated)
		if len(tags) > len("[]") {
			if err := json.Unmarshal(tags, &d.Tags); err != nil {
				return nil, err
			}
		}
		return d, splitAddresses(addresses.String, d)
	}
}

func splitAddresses(text string, d *push.Device) error {
	if text == "" {
		return nil
	}
	for record := range strings.SplitSeq(text, recordSeparator) {
		var a push.Address
		if err := split(record, &a.Provider, &a.Token, &a.Topic, &a.Environment); err != nil {
			return err
		}
		d.Addresses = append(d.Addresses, a)
	}
	slices.SortFunc(d.Addresses, func(a, b push.Address) int { return strings.Compare(a.Provider, b.Provider) })
	return nil
}

// split cuts text into exactly these fields.
func split(text string, fields ...*string) error {
	last := len(fields) - 1
	for _, field := range fields[:last] {
		var found bool
		if *field, text, found = strings.Cut(text, unitSeparator); !found {
			return errColumns
		}
	}
	if *fields[last] = text; strings.Contains(text, unitSeparator) {
		return errColumns
	}
	return nil
}

var errColumns = errors.New("a row does not have the columns it should")
