package sqlstore

import (
	"context"

	"github.com/herald-push/herald/internal/database"
)

// Erased counts rows of a user, by table.
type Erased struct {
	Devices   []string // their ids
	Addresses int
	Tags      int
	User      int // what the user has said: 0 or 1
}

// OfUser counts what there is of a user.
func (s *Store) OfUser(ctx context.Context, app, user string) (e Erased, err error) {
	const list = `SELECT id FROM devices WHERE app = $1 AND user_id = $2 ORDER BY id`
	const count = `
		SELECT
			(SELECT count(*) FROM addresses a JOIN devices d ON d.app = a.app AND d.id = a.device WHERE d.app = $1 AND d.user_id = $2),
			(SELECT count(*) FROM device_tags t JOIN devices d ON d.app = t.app AND d.id = t.device WHERE d.app = $1 AND d.user_id = $2),
			(SELECT count(*) FROM users WHERE app = $1 AND id = $2)`
	if user == "" || !database.Storable(user) { // nobody's devices are not somebody's
		return e, nil
	}
	e.Devices, err = database.Collect(ctx, s.db.Read(), list, []any{app, user}, func(scan database.Scanner) (id string, err error) {
		return id, scan(&id)
	})
	if err != nil {
		return e, fail("devices of a user of app "+app, err)
	}
	err = s.db.Read().QueryRow(ctx, count, app, user).Scan(&e.Addresses, &e.Tags, &e.User)
	return e, fail("count a user of app "+app, err)
}

// EraseUser removes a user's devices, with their addresses and tags, and what
// the user has said, in one transaction.
func (s *Store) EraseUser(ctx context.Context, app, user string) error {
	if user == "" || !database.Storable(user) {
		return nil
	}
	return s.transact(ctx, "erase a user of app "+app, func(tx database.Querier) error {
		for _, statement := range []string{
			`DELETE FROM devices WHERE app = $1 AND user_id = $2`,
			`DELETE FROM users WHERE app = $1 AND id = $2`,
		} {
			if _, err := tx.Exec(ctx, statement, app, user); err != nil {
				return err
			}
		}
		return nil
	})
}
