package sqlstore

import (
	"context"
	"database/sql"
	"encoding/json"

	"github.com/herald-push/herald/internal/database"
	"github.com/herald-push/herald/push"
)

// PutUser writes what a user has said, whole. It sets u.UpdatedAt.
func (s *Store) PutUser(ctx context.Context, u *push.User) error {
	var f faults
	f.named("user", u.ID)
	f.text("timezone", u.Timezone)
	if err := f.err(); err != nil {
		return fail("put user", err)
	}
	var hours any
	if u.QuietHours != nil {
		hours = asJSON(u.QuietHours)
	}
	const query = `
		INSERT INTO users (app, id, timezone, quiet_hours, updated_at) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (app, id) DO UPDATE SET
			timezone = excluded.timezone, quiet_hours = excluded.quiet_hours, updated_at = excluded.updated_at`
	t := now()
	_, err := s.exec(ctx, "put user of app "+u.App, query, u.App, u.ID, u.Timezone, hours, t)
	u.UpdatedAt = at(t)
	return err
}

const userColumns = `id, timezone, quiet_hours, updated_at`

func userOf(app string) func(database.Scanner) (push.User, error) {
	return func(scan database.Scanner) (push.User, error) {
		u := push.User{App: app}
		var hours sql.NullString
		var updated int64
		if err := scan(&u.ID, &u.Timezone, &hours, &updated); err != nil {
			return push.User{}, err
		}
		u.UpdatedAt = at(updated)
		if hours.Valid {
			u.QuietHours = new(push.QuietHours)
			return u, json.Unmarshal([]byte(hours.String), u.QuietHours)
		}
		return u, nil
	}
}

// User returns what one user has said.
func (s *Store) User(ctx context.Context, app, id string) (push.User, error) {
	const query = `SELECT ` + userColumns + ` FROM users WHERE app = $1 AND id = $2`
	u, err := userOf(app)(s.db.Read().QueryRow(ctx, query, app, id).Scan)
	return u, fail("user of app "+app, err)
}

// HasUsers reports whether any user of an app has said anything.
func (s *Store) HasUsers(ctx context.Context, app string) (bool, error) {
	const query = `SELECT EXISTS (SELECT 1 FROM users WHERE app = $1)`
	var any bool
	err := s.db.Read().QueryRow(ctx, query, app).Scan(&any)
	return any, fail("users of app "+app, err)
}

// Users returns those of ids that have said something, in one query.
func (s *Store) Users(ctx context.Context, app string, ids []string) (map[string]push.User, error) {
	const query = `
		SELECT ` + userColumns + ` FROM users
		WHERE app = $1 AND id IN (SELECT value FROM json_each_text($2))`
	found, err := database.Collect(ctx, s.db.Read(), query, []any{app, database.List(ids)}, userOf(app))
	if err != nil {
		return nil, fail("users of app "+app, err)
	}
	users := make(map[string]push.User, len(found))
	for _, u := range found {
		users[u.ID] = u
	}
	return users, nil
}

// DeleteUser forgets what a user has said.
func (s *Store) DeleteUser(ctx context.Context, app, id string) error {
	const query = `DELETE FROM users WHERE app = $1 AND id = $2`
	return s.execOne(ctx, "delete user of app "+app, query, app, id)
}
