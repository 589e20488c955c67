// Package sqlstore is the durable truth about apps, API keys, provider
// credentials and devices, in SQLite or PostgreSQL. The rest of the house does
// not know which.
package sqlstore

import (
	"context"
	"embed"
	"errors"
	"io/fs"
	"log/slog"
	"time"

	"github.com/herald-push/herald/internal/database"
)

//go:embed migrations
var migrations embed.FS

// versions is the table that says which migrations have run.
const versions = "herald_store_versions"

// Sealer keeps secrets unreadable at rest. See package seal.
type Sealer interface {
	Seal(secret []byte, app, what string) []byte
	Open(sealed []byte, app, what string) ([]byte, error)
	// Current reports whether the key that sealed this is the one that seals now.
	Current(sealed []byte) bool
}

// Store is one database. It is safe for concurrent use.
//
// What is not there is [push.ErrNotFound]; a database that does not answer is
// [push.ErrAway]; an input that no database could keep is a [*push.Invalid].
// No error repeats a value that was given, and so none repeats a secret.
type Store struct {
	db     *database.DB
	sealer Sealer
}

// Open opens the database at url ([database.Open]) and brings its tables up to
// date.
func Open(ctx context.Context, url string, sealer Sealer, log *slog.Logger) (*Store, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, fail("migrations", err)
	}
	db, err := database.Open(ctx, url, database.Migrations{Files: files, Table: versions}, log)
	if err != nil {
		return nil, fail("open", err)
	}
	s := &Store{db: db, sealer: sealer}
	if err := s.makeKeys(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Run keeps the store open until ctx ends and closes it then. A program that
// does one thing and ends calls Close instead.
func (s *Store) Run(ctx context.Context) error {
	<-ctx.Done()
	return s.Close()
}

// Close ends all connections. The store is of no use afterwards.
func (s *Store) Close() error {
	return fail("close", s.db.Close())
}

// Ping reports whether the database answers; [push.ErrAway] if not.
func (s *Store) Ping(ctx context.Context) error {
	var one int
	return fail("ping", s.db.Read().QueryRow(ctx, `SELECT 1`).Scan(&one))
}

// Where says which database this is, without its password.
func (s *Store) Where() string { return s.db.Where() }

// transact runs do in one transaction. It may run several times, so do must
// leave no trace but in tx.
func (s *Store) transact(ctx context.Context, what string, do func(tx database.Querier) error) error {
	return fail(what, s.db.Transact(ctx, do))
}

// now is the time as the tables keep it.
func now() int64 { return time.Now().UnixMicro() }

// at undoes now; 0 is the zero time.
func at(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}
