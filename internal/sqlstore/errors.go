package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgconn"
	sqlitedriver "modernc.org/sqlite"
	sqlitelib "modernc.org/sqlite/lib"

	"github.com/herald-push/herald/push"
)

// fail gives err its place, what was being done, and its kind.
func fail(what string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sql.ErrNoRows), nowhere(err):
		return fmt.Errorf("sqlstore: %s: %w", what, push.ErrNotFound)
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("sqlstore: %s: %w", what, err)
	case away(err):
		return fmt.Errorf("sqlstore: %s: %w: %w", what, push.ErrAway, err)
	default:
		return fmt.Errorf("sqlstore: %s: %w", what, err)
	}
}

// nowhere reports whether a row names an app or a device that is not there, or
// a query asks for a name that PostgreSQL cannot even hold (22021).
func nowhere(err error) bool {
	code := postgresCode(err)
	return sqliteCode(err) == sqlitelib.SQLITE_CONSTRAINT_FOREIGNKEY || code == "23503" || code == "22021"
}

// away reports whether the database, not the query, is the trouble.
func away(err error) bool {
	switch sqliteCode(err) & 0xff { // without the extension
	case sqlitelib.SQLITE_BUSY, sqlitelib.SQLITE_LOCKED, sqlitelib.SQLITE_IOERR,
		sqlitelib.SQLITE_FULL, sqlitelib.SQLITE_CANTOPEN, sqlitelib.SQLITE_READONLY:
		return true
	}
	if code := postgresCode(err); code != "" {
		// Connection, resources, operator: postgresql.org/docs/current/errcodes-appendix.html.
		// 25006 is a standby that has not been promoted yet.
		return strings.HasPrefix(code, "08") || strings.HasPrefix(code, "53") || strings.HasPrefix(code, "57P") || code == "25006"
	}
	var network net.Error
	var connect *pgconn.ConnectError
	return errors.As(err, &connect) || errors.As(err, &network) || pgconn.SafeToRetry(err) ||
		errors.Is(err, driver.ErrBadConn) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
}

// lostRace reports whether a transaction failed only because another one was
// there at the same time, and did nothing.
func lostRace(err error) bool {
	switch postgresCode(err) {
	case "40001", "40P01", "23505": // serialization failure, deadlock, both insert one row
		return true
	default:
		return false
	}
}

func sqliteCode(err error) int {
	if e, ok := errors.AsType[*sqlitedriver.Error](err); ok {
		return e.Code()
	}
	return 0
}

func postgresCode(err error) string {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code
	}
	return ""
}

// storable reports whether both databases can keep s. PostgreSQL keeps no text
// with a zero byte or broken UTF-8, so SQLite must not either.
func storable(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }

// faults gathers what is wrong with an input.
type faults []push.Fault

func (f *faults) add(field, detail string) { *f = append(*f, push.Fault{Field: field, Detail: detail}) }

// named checks a text that must be there.
func (f *faults) named(field, s string) {
	if s == "" {
		f.add(field, "is empty")
	}
	f.text(field, s)
}

// text checks a text that may be empty. Names and tokens are lines: nobody needs
// control characters in them, and deviceColumns needs two of them itself.
func (f *faults) text(field, s string) {
	if !utf8.ValidString(s) {
		f.add(field, "is not valid UTF-8")
	} else if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' }) {
		f.add(field, "has control characters")
	}
}

func (f faults) err() error {
	if len(f) == 0 {
		return nil
	}
	return &push.Invalid{Faults: f}
}
