package sqlstore

import (
	"context"

	"github.com/herald-push/herald/internal/database"
)

// Reseal seals again what was sealed with another key than the one that seals
// now, and returns how much that was. After it the old key can go.
func (s *Store) Reseal(ctx context.Context) (int, error) {
	n := 0
	err := s.transact(ctx, "reseal", func(tx database.Querier) error {
		n = 0
		for _, t := range []struct {
			read, write string
			bind        func(name string) string
		}{
			{
				`SELECT id, '', token_secret FROM apps`,
				`UPDATE apps SET token_secret = $3 WHERE id = $1 AND $2 = ''`,
				func(string) string { return tokenSecret },
			},
			{
				`SELECT app, provider, sealed FROM credentials WHERE sealed IS NOT NULL`,
				`UPDATE credentials SET sealed = $3 WHERE app = $1 AND provider = $2`,
				bindTo,
			},
			{
				`SELECT app, name, sealed FROM gateway_secrets`,
				`UPDATE gateway_secrets SET sealed = $3 WHERE app = $1 AND name = $2`,
				bindGateway,
			},
		} {
			changed, err := s.resealTable(ctx, tx, t.read, t.write, t.bind)
			if err != nil {
				return err
			}
			n += changed
		}
		changed, err := s.resealVersions(ctx, tx)
		n += changed
		return err
	})
	return n, err
}

// sealed is one secret and what it is bound to.
type sealed struct {
	app, provider string // no provider: the secret of the device tokens
	secret        []byte
}

// resealVersions seals the earlier credentials again.
func (s *Store) resealVersions(ctx context.Context, tx database.Querier) (changed int, err error) {
	type row struct {
		sealed
		version int64
	}
	const read = `SELECT app, provider, version, sealed FROM credential_versions`
	all, err := database.Collect(ctx, tx, read, nil, func(scan database.Scanner) (r row, err error) {
		err = scan(&r.app, &r.provider, &r.version, &r.secret)
		return r, err
	})
	if err != nil {
		return 0, err
	}
	const write = `UPDATE credential_versions SET sealed = $4 WHERE app = $1 AND provider = $2 AND version = $3`
	for _, r := range all {
		if s.sealer.Current(r.secret) {
			continue
		}
		secret, err := s.sealer.Open(r.secret, r.app, bindTo(r.provider))
		if err != nil {
			return 0, err
		}
		if _, err := tx.Exec(ctx, write, r.app, r.provider, r.version, s.sealer.Seal(secret, r.app, bindTo(r.provider))); err != nil {
			return 0, err
		}
		changed++
	}
	return changed, nil
}

func (s *Store) resealTable(ctx context.Context, tx database.Querier, read, write string, bind func(string) string) (changed int, err error) {
	all, err := database.Collect(ctx, tx, read, nil, func(scan database.Scanner) (row sealed, err error) {
		err = scan(&row.app, &row.provider, &row.secret)
		return row, err
	})
	if err != nil {
		return 0, err
	}
	for _, row := range all {
		if s.sealer.Current(row.secret) {
			continue
		}
		what := bind(row.provider)
		secret, err := s.sealer.Open(row.secret, row.app, what)
		if err != nil {
			return 0, err
		}
		if _, err := tx.Exec(ctx, write, row.app, row.provider, s.sealer.Seal(secret, row.app, what)); err != nil {
			return 0, err
		}
		changed++
	}
	return changed, nil
}
