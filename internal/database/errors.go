package database

import (
	"database/sql"
	"database/sql/driver"
	"encoding/json"
	"errors"
	"io"
	"net"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgconn"
	sqlitedriver "modernc.org/sqlite"
	sqlitelib "modernc.org/sqlite/lib"
)

// Missing reports whether there is no row, or a row names one that is not there,
// or a query asks for a name that PostgreSQL cannot even hold (22021).
func Missing(err error) bool {
	if errors.Is(err, sql.ErrNoRows) {
		return true
	}
	code := postgresCode(err)
	return sqliteCode(err) == sqlitelib.SQLITE_CONSTRAINT_FOREIGNKEY || code == "23503" || code == "22021"
}

// Away reports whether the database, not the query, is the trouble.
func Away(err error) bool {
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

// Storable reports whether both databases can keep s. PostgreSQL keeps no text
// with a zero byte or broken UTF-8, so SQLite must not either.
func Storable(s string) bool { return utf8.ValidString(s) && strings.IndexByte(s, 0) < 0 }

// List is the parameter of json_each and json_each_text. What no database could
// keep is left out: no row is named so, and PostgreSQL would refuse the query.
func List(names []string) string {
	kept := make([]string, 0, len(names))
	for _, name := range names {
		if Storable(name) {
			kept = append(kept, name)
		}
	}
	text, _ := json.Marshal(kept) // texts never fail
	return string(text)
}
