package sqlstore

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/herald-push/herald/internal/database"
	"github.com/herald-push/herald/push"
)

// Consents are what people have agreed to about where their devices are, in the
// order of the devices. The mode is "" for a device that does not exist.
func (s *Store) Consents(ctx context.Context, app string, devices []string) ([]push.Consent, error) {
	const query = `
		SELECT d.id, coalesce(c.mode, 'off'), coalesce(c.nearby, 0), coalesce(c.updated_at, 0)
		FROM devices d LEFT JOIN place_consents c ON c.app = d.app AND c.device = d.id
		WHERE d.app = $1 AND d.id IN (SELECT value FROM json_each_text($2))`
	found, err := database.Collect(ctx, s.db.Read(), query, []any{app, database.List(devices)}, func(scan database.Scanner) (c push.Consent, err error) {
		var nearby, updated int64
		err = scan(&c.Device, &c.Mode, &nearby, &updated)
		c.App, c.Nearby, c.UpdatedAt = app, nearby != 0, at(updated)
		return c, err
	})
	if err != nil {
		return nil, fail("consents of app "+app, err)
	}
	byDevice := make(map[string]push.Consent, len(found))
	for _, c := range found {
		byDevice[c.Device] = c
	}
	all := make([]push.Consent, len(devices))
	for i, d := range devices {
		all[i] = byDevice[d]
	}
	return all, nil
}

// PutConsent writes what a device's person has agreed to, and sets its time.
// With the mode off the last place that the device reported goes; with any other
// it goes too, for it may say more than is agreed to, until the next report.
func (s *Store) PutConsent(ctx context.Context, c *push.Consent) error {
	const put = `
		INSERT INTO place_consents (app, device, mode, nearby, updated_at)
		SELECT app, id, CAST($3 AS TEXT), CAST($4 AS BIGINT), CAST($5 AS BIGINT) FROM devices WHERE app = $1 AND id = $2
		ON CONFLICT (app, device) DO UPDATE SET mode = excluded.mode, nearby = excluded.nearby, updated_at = excluded.updated_at`
	const forget = `
		UPDATE devices SET lat = NULL, lon = NULL, placed_at = NULL, accuracy = NULL
		WHERE app = $1 AND id = $2 AND placed_at IS NOT NULL`
	var nearby int64
	if c.Nearby {
		nearby = 1
	}
	t := now()
	err := s.transact(ctx, "put consent of app "+c.App, func(tx database.Querier) error {
		res, err := tx.Exec(ctx, put, c.App, c.Device, string(c.Mode), nearby, t)
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return orNotFound(err)
		}
		_, err = tx.Exec(ctx, forget, c.App, c.Device)
		return err
	})
	c.UpdatedAt = at(t)
	return err
}

func orNotFound(err error) error {
	if err == nil {
		return push.ErrNotFound
	}
	return err
}

// PutLastPlaces writes where devices of an app were last into their records, but
// for those who no longer agree to it.
func (s *Store) PutLastPlaces(ctx context.Context, app string, all []push.Position) error {
	const query = `
		WITH p AS MATERIALIZED (SELECT value FROM json_each($2))
		UPDATE devices SET lat = CAST(p.value->>1 AS DOUBLE PRECISION), lon = CAST(p.value->>2 AS DOUBLE PRECISION),
			accuracy = CAST(p.value->>3 AS DOUBLE PRECISION), placed_at = CAST(p.value->>4 AS BIGINT)
		FROM p
		WHERE devices.app = $1 AND devices.id = p.value->>0 AND coalesce(devices.placed_at, 0) < CAST(p.value->>4 AS BIGINT)
			AND EXISTS (SELECT 1 FROM place_consents c WHERE c.app = devices.app AND c.device = devices.id AND c.mode <> 'off')`
	rows := make([][5]any, len(all))
	for i, p := range all {
		rows[i] = [5]any{p.Device, p.Lat, p.Lon, p.Accuracy, p.At.UnixMicro()}
	}
	_, err := s.exec(ctx, "last places of app "+app, query, app, asJSON(rows))
	return err
}

// Among returns those of the ids whose devices a filter means, or which exist,
// if it is "", in their order.
func (s *Store) Among(ctx context.Context, app string, ids []string, filter string) ([]string, error) {
	query := `SELECT d.id FROM devices d WHERE d.app = $1 AND d.id IN (SELECT value FROM json_each_text($2))`
	args := []any{app, database.List(ids)}
	if filter != "" {
		condition, more, err := conditionOf(filter, len(args)+1)
		if err != nil {
			return nil, fail("among devices of app "+app, err)
		}
		query, args = query+` AND `+condition, append(args, more...)
	}
	found, err := database.Collect(ctx, s.db.Read().Once(), query, args, texts)
	if err != nil {
		return nil, fail("among devices of app "+app, err)
	}
	meant := make(map[string]bool, len(found))
	for _, id := range found {
		meant[id] = true
	}
	return slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return !meant[id] }), nil
}

// The two kinds of things on an app's map.
const (
	ofFences = "fence"
	ofPlaces = "place"
)

// fenceBody is a fence as it is stored, with what is not shown of it.
type fenceBody struct {
	*push.Fence
	Checked    *push.Notification `json:"checked"`
	TTLSeconds int                `json:"ttl_seconds"`
}

// PutFence writes a fence whole and sets its times.
func (s *Store) PutFence(ctx context.Context, f *push.Fence) error {
	body := asJSON(fenceBody{f, f.Notification, f.TTLSeconds})
	created, updated, err := s.putOnMap(ctx, f.App, ofFences, f.ID, body)
	f.CreatedAt, f.UpdatedAt = at(created), at(updated)
	return err
}

// PutPlace writes a place whole and sets its times.
func (s *Store) PutPlace(ctx context.Context, p *push.Place) error {
	created, updated, err := s.putOnMap(ctx, p.App, ofPlaces, p.ID, asJSON(p))
	p.CreatedAt, p.UpdatedAt = at(created), at(updated)
	return err
}

// nextRevision counts the changes of an app's map. Its row is locked until the
// end of the transaction, so that revisions appear in their order.
const nextRevision = `
	INSERT INTO place_revisions (app, revision) VALUES ($1, 1)
	ON CONFLICT (app) DO UPDATE SET revision = place_revisions.revision + 1 RETURNING revision`

func (s *Store) putOnMap(ctx context.Context, app, what, id, body string) (created, updated int64, err error) {
	const put = `
		INSERT INTO places (app, what, id, body, revision, created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $6)
		ON CONFLICT (app, what, id) DO UPDATE SET body = excluded.body, revision = excluded.revision, updated_at = excluded.updated_at,
			created_at = CASE WHEN places.body = '' THEN excluded.created_at ELSE places.created_at END
		RETURNING created_at`
	var f faults
	f.named("id", id)
	if err := f.err(); err != nil {
		return 0, 0, fail("put "+what, err)
	}
	updated = now()
	err = s.transact(ctx, "put "+what+" of app "+app, func(tx database.Querier) error {
		var revision int64
		if err := tx.QueryRow(ctx, nextRevision, app).Scan(&revision); err != nil {
			return err
		}
		return tx.QueryRow(ctx, put, app, what, id, body, revision, updated).Scan(&created)
	})
	return created, updated, err
}

// DeleteFence removes a fence; [push.ErrNotFound].
func (s *Store) DeleteFence(ctx context.Context, app, id string) error {
	return s.takeOffMap(ctx, app, ofFences, id)
}

// DeletePlace removes a place; [push.ErrNotFound].
func (s *Store) DeletePlace(ctx context.Context, app, id string) error {
	return s.takeOffMap(ctx, app, ofPlaces, id)
}

func (s *Store) takeOffMap(ctx context.Context, app, what, id string) error {
	const take = `UPDATE places SET body = '', revision = $4, updated_at = $5 WHERE app = $1 AND what = $2 AND id = $3 AND body <> ''`
	return s.transact(ctx, "delete "+what+" of app "+app, func(tx database.Querier) error {
		var revision int64
		if err := tx.QueryRow(ctx, nextRevision, app).Scan(&revision); err != nil {
			return err
		}
		res, err := tx.Exec(ctx, take, app, what, id, revision, now())
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); err != nil || n == 0 {
			return orNotFound(err)
		}
		return nil
	})
}

const mapColumns = `id, body, created_at, updated_at`

// Fence returns one fence; [push.ErrNotFound].
func (s *Store) Fence(ctx context.Context, app, id string) (*push.Fence, error) {
	const query = `SELECT ` + mapColumns + ` FROM places WHERE app = $1 AND what = 'fence' AND id = $2 AND body <> ''`
	f, err := fenceOf(app)(s.db.Read().QueryRow(ctx, query, app, id).Scan)
	return f, fail("fence of app "+app, err)
}

// Fences are ordered by id, beginning behind after.
func (s *Store) Fences(ctx context.Context, app, after string, limit int) ([]*push.Fence, error) {
	const query = `SELECT ` + mapColumns + ` FROM places WHERE app = $1 AND what = 'fence' AND id > $2 AND body <> '' ORDER BY id LIMIT $3`
	if !database.Storable(after) {
		return nil, nil
	}
	all, err := database.Collect(ctx, s.db.Read(), query, []any{app, after, limit}, fenceOf(app))
	return all, fail("fences of app "+app, err)
}

// Place returns one place; [push.ErrNotFound].
func (s *Store) Place(ctx context.Context, app, id string) (*push.Place, error) {
	const query = `SELECT ` + mapColumns + ` FROM places WHERE app = $1 AND what = 'place' AND id = $2 AND body <> ''`
	p, err := placeOf(app)(s.db.Read().QueryRow(ctx, query, app, id).Scan)
	return p, fail("place of app "+app, err)
}

// Places are ordered by id, beginning behind after.
func (s *Store) Places(ctx context.Context, app, after string, limit int) ([]*push.Place, error) {
	const query = `SELECT ` + mapColumns + ` FROM places WHERE app = $1 AND what = 'place' AND id > $2 AND body <> '' ORDER BY id LIMIT $3`
	if !database.Storable(after) {
		return nil, nil
	}
	all, err := database.Collect(ctx, s.db.Read(), query, []any{app, after, limit}, placeOf(app))
	return all, fail("places of app "+app, err)
}

func fenceOf(app string) func(database.Scanner) (*push.Fence, error) {
	return func(scan database.Scanner) (*push.Fence, error) {
		var id string
		var text []byte
		var created, updated int64
		if err := scan(&id, &text, &created, &updated); err != nil {
			return nil, err
		}
		f, err := readFence(app, text)
		if err == nil {
			f.CreatedAt, f.UpdatedAt = at(created), at(updated)
		}
		return f, err
	}
}

func readFence(app string, text []byte) (*push.Fence, error) {
	body := fenceBody{Fence: new(push.Fence)}
	if err := json.Unmarshal(text, &body); err != nil {
		return nil, fmt.Errorf("a fence that was stored: %w", err)
	}
	body.Fence.App, body.Fence.Notification, body.Fence.TTLSeconds = app, body.Checked, body.TTLSeconds
	return body.Fence, nil
}

func placeOf(app string) func(database.Scanner) (*push.Place, error) {
	return func(scan database.Scanner) (*push.Place, error) {
		p := new(push.Place)
		var text []byte
		var created, updated int64
		if err := scan(&p.ID, &text, &created, &updated); err != nil {
			return nil, err
		}
		if err := json.Unmarshal(text, p); err != nil {
			return nil, fmt.Errorf("a place that was stored: %w", err)
		}
		p.App, p.CreatedAt, p.UpdatedAt = app, at(created), at(updated)
		return p, nil
	}
}

// PlaceRevisions tells how often each app's map was changed.
func (s *Store) PlaceRevisions(ctx context.Context) (map[string]int64, error) {
	type row struct {
		app      string
		revision int64
	}
	rows, err := database.Collect(ctx, s.db.Read(), `SELECT app, revision FROM place_revisions`, nil, func(scan database.Scanner) (r row, err error) {
		err = scan(&r.app, &r.revision)
		return r, err
	})
	all := make(map[string]int64, len(rows))
	for _, r := range rows {
		all[r.app] = r.revision
	}
	return all, fail("revisions of maps", err)
}

// PlaceChanges are an app's fences and places that were written or removed after
// a revision, the oldest first.
func (s *Store) PlaceChanges(ctx context.Context, app string, after int64, limit int) ([]push.MapChange, error) {
	const query = `SELECT what, id, body, revision, created_at, updated_at FROM places WHERE app = $1 AND revision > $2 ORDER BY revision LIMIT $3`
	all, err := database.Collect(ctx, s.db.Read(), query, []any{app, after, limit}, func(scan database.Scanner) (c push.MapChange, err error) {
		var what, id string
		var text []byte
		var created, updated int64
		if err := scan(&what, &id, &text, &c.Revision, &created, &updated); err != nil {
			return c, err
		}
		switch {
		case what == ofFences && len(text) == 0:
			c.GoneFence = id
		case len(text) == 0:
			c.GonePlace = id
		case what == ofFences:
			c.Fence, err = readFence(app, text)
		default:
			c.Place = &push.Place{App: app}
			err = json.Unmarshal(text, c.Place)
			c.Place.App = app
		}
		return c, err
	})
	return all, fail("changes of the map of app "+app, err)
}
