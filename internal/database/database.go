// Package database opens SQLite or PostgreSQL by one URL and lets the rooms that
// keep their tables there write each query once.
//
// In SQLite a write that was answered survives the end of the process, however
// it ends; it is the operating system's to write it to the disk, so a power cut
// may take back the last moments, whole transactions at a time.
package database

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
)

// DB is one open database. It is safe for concurrent use.
//
// Every query is written once, in the words of SQLite. Both databases know $1,
// upserts, RETURNING, row values and the JSON operators -> and ->>; what is left
// to translate are the names of four functions, and of a collation:
//
//	json_each(x)         the elements of a list, in the column value
//	json_each_text(x)    the same as texts
//	group_concat(x, y)   the texts of all rows with y between them
//	char(n)              one character
//	x COLLATE bytes      x compared, and made lower case, by its bytes
//
// Lists go in as one JSON parameter ([List]), so that a query for one row and a
// query for a thousand are the same query and the same round trip.
type DB struct {
	conns
	where string
}

// Open opens the database at url, creates it if it is a file that is not there,
// and brings the tables of m up to date. Several processes may open one at once.
//
// An url is sqlite:PATH or file:PATH, relative to the working directory unless
// PATH begins with a slash, or postgres://user:password@host:port/database with
// the parameters of libpq and pool_max_conns (default 16).
func Open(ctx context.Context, url string, m Migrations, log *slog.Logger) (*DB, error) {
	p, err := parsePlace(url)
	if err != nil {
		return nil, err
	}
	c, err := p.open(ctx)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", p.where, err)
	}
	db := &DB{conns: c, where: p.where}
	if err := p.migrate(ctx, c.write.db, m, log); err != nil {
		return nil, errors.Join(fmt.Errorf("migrate %s: %w", p.where, err), db.Close())
	}
	return db, nil
}

// Close ends all connections. The database is of no use afterwards.
func (db *DB) Close() error { return db.close() }

// Where says which database this is, without its password.
func (db *DB) Where() string { return db.where }

// OneWriter reports whether only one connection writes at a time, as in SQLite.
func (db *DB) OneWriter() bool { return db.read != db.write }

// Checkpoint moves what was committed of late from SQLite's log into the file, as
// far as no reader needs it there, and holds up nobody. For PostgreSQL, which
// looks after itself, it does nothing.
func (db *DB) Checkpoint(ctx context.Context) error {
	if !db.OneWriter() {
		return nil
	}
	_, err := db.read.db.ExecContext(ctx, "PRAGMA wal_checkpoint(PASSIVE)")
	return err
}

// Read is the pool for queries that change nothing.
func (db *DB) Read() *Pool { return db.read }

// Write is the pool for the others.
func (db *DB) Write() *Pool { return db.write }

// attempts is how often a transaction is begun again after it lost against
// another one. Only PostgreSQL lets two writers meet.
const attempts = 20

// Transact runs do in one transaction. It may run several times, so do must
// leave no trace but in tx.
func (db *DB) Transact(ctx context.Context, do func(tx Querier) error) error {
	var err error
	for range attempts {
		if err = db.try(ctx, do); !lostRace(err) {
			break
		}
	}
	return err
}

func (db *DB) try(ctx context.Context, do func(tx Querier) error) error {
	tx, err := db.write.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after a commit it does nothing; otherwise err is the story
	if err := do(transaction{db.write, tx}); err != nil {
		return err
	}
	return tx.Commit()
}
