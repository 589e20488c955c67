package webhooks

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"

	"github.com/herald-push/herald/internal/database"
)

// Resealer is a [Sealer] that knows which key seals now.
type Resealer interface {
	Sealer
	// Current reports whether the key that sealed this is the one that seals now.
	Current(sealed []byte) bool
}

// Reseal seals the secrets of all endpoints again that were sealed with another
// key than the one that seals now, and returns of how many endpoints. After it
// the old key can go.
func Reseal(ctx context.Context, url string, sealer Resealer, log *slog.Logger) (changed int, err error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return 0, fail("migrations", err)
	}
	db, err := database.Open(ctx, url, database.Migrations{Files: files, Table: versionTable}, log)
	if err != nil {
		return 0, fail("open", err)
	}
	defer func() { err = errors.Join(err, fail("close", db.Close())) }()
	err = db.Transact(ctx, func(tx database.Querier) error {
		changed = 0
		type row struct {
			id, app     string
			secret, old []byte
		}
		const read, write = `SELECT id, app, secret, old_secret FROM webhooks`, `UPDATE webhooks SET secret = $2, old_secret = $3 WHERE id = $1`
		all, err := database.Collect(ctx, tx, read, nil, func(scan database.Scanner) (r row, err error) {
			err = scan(&r.id, &r.app, &r.secret, &r.old)
			return r, err
		})
		if err != nil {
			return err
		}
		for _, r := range all {
			secret, fresh, err := again(sealer, r.secret, r.app, r.id)
			if err != nil {
				return err
			}
			old, oldFresh, err := again(sealer, r.old, r.app, r.id)
			if err != nil {
				return err
			}
			if !fresh && !oldFresh {
				continue
			}
			if _, err := tx.Exec(ctx, write, r.id, secret, old); err != nil {
				return err
			}
			changed++
		}
		return nil
	})
	return changed, fail("reseal", err)
}

// again seals what another key sealed; fresh tells whether it did.
func again(sealer Resealer, sealed []byte, app, id string) (out []byte, fresh bool, err error) {
	if len(sealed) == 0 || sealer.Current(sealed) {
		return sealed, false, nil
	}
	secret, err := sealer.Open(sealed, app, bindTo(id))
	if err != nil {
		return nil, false, err
	}
	return sealer.Seal(secret, app, bindTo(id)), true, nil
}
