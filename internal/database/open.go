package database

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"os"
	"runtime"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"
	sqlitelib "modernc.org/sqlite/lib"
)

// conns are the open connections to a database.
type conns struct {
	read, write *Pool // the same one for PostgreSQL
	close       func() error
}

// openSQLite opens one connection for writing, because SQLite has one writer
// anyway and a queue in Go is fairer than its busy handler, and a few for
// reading, which in WAL mode never wait for the writer.
func openSQLite(ctx context.Context, path string) (conns, error) {
	if err := makeFile(path); err != nil {
		return conns{}, err
	}
	write, err := sql.Open("sqlite", sqliteDSN(path, "cache_size(-32000)")) // KB: what is written is scattered
	if err != nil {
		return conns{}, err
	}
	write.SetMaxOpenConns(1)
	if err := switchToWAL(ctx, write); err != nil { // before a reader looks
		return conns{}, errors.Join(err, write.Close())
	}

	read, err := sql.Open("sqlite", sqliteDSN(path, "query_only(1)"))
	if err != nil {
		return conns{}, errors.Join(err, write.Close())
	}
	readers := max(4, runtime.GOMAXPROCS(0))
	read.SetMaxOpenConns(readers)
	read.SetMaxIdleConns(readers)
	return conns{
		read:  &Pool{db: read, dialect: sqlite()},
		write: &Pool{db: write, dialect: sqlite()},
		close: func() error { return errors.Join(read.Close(), write.Close()) },
	}, nil
}

// switchToWAL opens the first connection. SQLite's own busy timeout does not
// cover the switch, so who meets another process that opens or closes the file
// for the first or last time tries again.
func switchToWAL(ctx context.Context, db *sql.DB) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		err := db.PingContext(ctx)
		if err == nil || sqliteCode(err)&0xff != sqlitelib.SQLITE_BUSY || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func sqliteDSN(path string, pragmas ...string) string {
	return dsn(path, append(pragmas,
		"busy_timeout(5000)", // for the writers of other processes
		"journal_mode(WAL)",
		"synchronous(NORMAL)",
		"foreign_keys(1)",
	)...)
}

// dsn names a file to the driver. Transactions take the write lock when they
// begin: one that upgraded later could only fail.
func dsn(path string, pragmas ...string) string {
	query := url.Values{"_pragma": pragmas, "_txlock": {"immediate"}}
	return (&url.URL{Scheme: "file", Path: path, RawQuery: query.Encode()}).String()
}

// makeFile creates the file with a mode that keeps others out, for SQLite would
// leave that to the umask. Its -wal and -shm files inherit the mode.
func makeFile(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return err
	}
	return f.Close()
}
