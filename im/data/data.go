// Package data keeps what was said: conversations, members, messages, cursors
// and friends, in SQLite or PostgreSQL. The floors above do not know which.
//
// A message gets its number in the transaction that makes it durable, so the
// numbers of a conversation have no gap and none is seen before it is kept.
// Many senders share one transaction ([Store.Append]).
package data

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/herald-push/herald/im"
	"github.com/herald-push/herald/internal/database"
)

//go:embed migrations
var migrations embed.FS

// Config shapes a [Store]. Start from [DefaultConfig].
type Config struct {
	// Batch is how many messages share a transaction at most. One that comes
	// alone does not wait for company; what comes while a transaction is under
	// way goes together in the next. Default 512.
	Batch int `yaml:"batch"`
	// Waiting is how many messages may wait for their transaction; more wait at
	// the door. Default 4,096.
	Waiting int `yaml:"waiting"`
}

// DefaultConfig is what an empty section of the config file means.
func DefaultConfig() Config { return Config{Batch: 512, Waiting: 4096} }

// Validate reports every fault at once, each under the key that has it.
func (c Config) Validate() error {
	var errs []error
	if c.Batch < 1 {
		errs = append(errs, fmt.Errorf("im.data.batch: %d is less than 1", c.Batch))
	}
	if c.Waiting < c.Batch {
		errs = append(errs, fmt.Errorf("im.data.waiting: %d is less than a batch of %d", c.Waiting, c.Batch))
	}
	return errors.Join(errs...)
}

// Store keeps the conversations of all apps. It is safe for concurrent use.
//
// What may not be is an [*im.Refusal]; a database that does not answer is
// [im.ErrAway].
type Store struct {
	cfg   Config
	db    *database.DB
	log   *slog.Logger
	now   func() time.Time
	sends chan *pending
	memo  *memo // nil for PostgreSQL

	written atomic.Bool // since the log was last moved into the file
}

// Open opens the database at url, which may be shared with other rooms, and
// brings its tables up to date; see [database.Open].
func Open(ctx context.Context, url string, cfg Config, log *slog.Logger) (*Store, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, fail("migrations", err)
	}
	db, err := database.Open(ctx, url, database.Migrations{Files: files, Table: "herald_im_versions"}, log)
	if err != nil {
		return nil, fail("open", err)
	}
	db.Write().Learn(ctx, learned...)
	s := &Store{cfg: cfg, db: db, log: log, now: time.Now, sends: make(chan *pending, cfg.Waiting)}
	if db.OneWriter() {
		db.Write().Learn(ctx, dataVersion)
		s.memo = &memo{version: -1}
		// [Store.tidy] moves the log into the file; a writer does it only where that
		// does not keep up, at 64 MB of it.
		rows, err := db.Write().Once().Query(ctx, "PRAGMA wal_autocheckpoint(16000)")
		if err != nil {
			return nil, fail("open", errors.Join(err, db.Close()))
		}
		if err := rows.Close(); err != nil {
			return nil, fail("open", errors.Join(err, db.Close()))
		}
	}
	return s, nil
}

// Close ends all connections. The store is of no use afterwards.
func (s *Store) Close() error { return fail("close", s.db.Close()) }

// fail gives err its place and its kind. A refusal is the caller's and goes
// through as it is.
func fail(what string, err error) error {
	var refusal *im.Refusal
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refusal):
		return refusal
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("im/data: %s: %w", what, err)
	case database.Away(err):
		return fmt.Errorf("im/data: %s: %w: %w", what, im.ErrAway, err)
	default:
		return fmt.Errorf("im/data: %s: %w", what, err)
	}
}

// notFound refuses what is not there, or not the asker's to see: which of the
// two is nobody's business.
func notFound(what string) error {
	return &im.Refusal{Code: "not_found", Detail: "there is no such " + what}
}

// texts reads rows of one text each.
func texts(scan database.Scanner) (text string, err error) {
	err = scan(&text)
	return text, err
}

// asJSON writes a parameter of json_each.
func asJSON[T any](list []T) string {
	if list == nil {
		return "[]"
	}
	text, err := json.Marshal(list)
	if err != nil {
		panic("im/data: a list of texts and numbers cannot be written as JSON: " + err.Error())
	}
	return string(text)
}

// at reads a time as the tables keep it: microseconds, 0 for none.
func at(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}

// micros undoes at.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}
