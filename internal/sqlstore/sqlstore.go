// Package sqlstore is the durable truth about apps, API keys, provider
// credentials and devices, in SQLite or PostgreSQL. The rest of the house does
// not know which.
//
// In SQLite a write that was answered survives the end of the process, however
// it ends; it is the operating system's to write it to the disk, so a power cut
// may take back the last moments, whole transactions at a time.
package sqlstore

import (
	"context"
	"errors"
	"log/slog"
	"time"
)

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
	conns
	sealer Sealer
	where  string
}

// Open opens the database at url, creates it if it is a file that is not there,
// and brings its tables up to date. Several processes may open one at once.
//
// An url is sqlite:PATH or file:PATH, relative to the working directory unless
// PATH begins with a slash, or postgres://user:password@host:port/database with
// the parameters of libpq and pool_max_conns (default 16).
func Open(ctx context.Context, url string, sealer Sealer, log *slog.Logger) (*Store, error) {
	p, err := parsePlace(url)
	if err != nil {
		return nil, err
	}
	c, err := p.open(ctx)
	if err != nil {
		return nil, fail("open "+p.where, err)
	}
	s := &Store{conns: c, sealer: sealer, where: p.where}
	if err := p.migrate(ctx, s.write.db, log); err != nil {
		return nil, errors.Join(fail("migrate "+p.where, err), s.Close())
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
	return fail("close", s.close())
}

// Ping reports whether the database answers; [push.ErrAway] if not.
func (s *Store) Ping(ctx context.Context) error {
	var one int
	return fail("ping", s.read.queryRow(ctx, `SELECT 1`).Scan(&one))
}

// Where says which database this is, without its password.
func (s *Store) Where() string { return s.where }

// attempts is how often a transaction is begun again after it lost against
// another one. Only PostgreSQL lets two writers meet.
const attempts = 20

// transact runs do in one transaction. It may run several times, so do must
// leave no trace but in tx.
func (s *Store) transact(ctx context.Context, what string, do func(tx querier) error) error {
	var err error
	for range attempts {
		if err = s.try(ctx, do); !lostRace(err) {
			break
		}
	}
	return fail(what, err)
}

func (s *Store) try(ctx context.Context, do func(tx querier) error) error {
	tx, err := s.write.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after a commit it does nothing; otherwise err is the story
	if err := do(transaction{s.write, tx}); err != nil {
		return err
	}
	return tx.Commit()
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
