package database

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"log/slog"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"
)

// Migrations are the tables of one room. Several rooms may share a database.
type Migrations struct {
	// Files has a folder "sqlite" and a folder "postgres" of numbered files.
	Files fs.FS
	// Table keeps which of them have run.
	Table string
}

// postgresLock is the advisory lock that one migration holds, a number that
// nothing else should think of.
const postgresLock = 0x6865_7261_6c64 // "herald"

// migratePostgres waits up to two minutes for another process that migrates.
func migratePostgres(ctx context.Context, db *sql.DB, m Migrations, log *slog.Logger) error {
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockID(postgresLock), lock.WithLockTimeout(1, 120))
	if err != nil {
		return err
	}
	return migrate(ctx, goose.DialectPostgres, db, "postgres", m, log, goose.WithSessionLocker(locker))
}

// migrateSQLite holds the lock of a file beside the database meanwhile. goose
// takes a transaction for each migration, so the database's own lock would be
// free in between and two processes would do the same one.
func migrateSQLite(ctx context.Context, db *sql.DB, path string, m Migrations, log *slog.Logger) error {
	unlock, err := lockFile(ctx, path+".migrate")
	if err != nil {
		return err
	}
	defer unlock()
	return migrate(ctx, goose.DialectSQLite3, db, "sqlite", m, log)
}

func migrate(ctx context.Context, d goose.Dialect, db *sql.DB, folder string, m Migrations, log *slog.Logger, opts ...goose.ProviderOption) error {
	files, err := fs.Sub(m.Files, folder)
	if err != nil {
		return err
	}
	opts = append(opts, goose.WithTableName(m.Table), goose.WithDisableGlobalRegistry(true), goose.WithSlog(log),
		// Two changes may bring a migration each, and the earlier number land later.
		goose.WithAllowOutofOrder(true))
	provider, err := goose.NewProvider(d, db, files, opts...)
	if err != nil {
		return err
	}
	done, err := provider.Up(ctx)
	if len(done) > 0 {
		log.InfoContext(ctx, "database migrated", "migrations", len(done), "version", done[len(done)-1].Source.Version)
	}
	return err
}

// lockFile locks the file at path until unlock is called or the process ends.
// The file is an empty SQLite database, because SQLite's locks work alike on
// every system that it does.
func lockFile(ctx context.Context, path string) (unlock func(), err error) {
	if err := makeFile(path); err != nil {
		return nil, err
	}
	db, err := sql.Open("sqlite", dsn(path, "busy_timeout(120000)"))
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(ctx, "BEGIN EXCLUSIVE"); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return func() { _ = db.Close() }, nil
}
