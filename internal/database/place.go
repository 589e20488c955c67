package database

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
)

// place is a database before it is open.
type place struct {
	where   string // for people: no password
	open    func(ctx context.Context) (conns, error)
	migrate func(ctx context.Context, db *sql.DB, m Migrations, log *slog.Logger) error
}

// postgresConns is how many connections one process takes unless its URL says
// otherwise: PostgreSQL's own default allows 100 in all.
const postgresConns = 16

// maxConnsParam in a postgres:// URL bounds the connections of one process. The
// name is pgxpool's, which people know.
const maxConnsParam = "pool_max_conns"

// parsePlace reads a database URL. Its errors never quote the URL: a password
// with an odd character in it is what makes most of them.
func parsePlace(text string) (place, error) {
	scheme, rest, _ := strings.Cut(text, ":")
	switch scheme {
	case "sqlite", "file":
		return sqlitePlace(rest)
	case "postgres", "postgresql":
		return postgresPlace(text)
	default:
		return place{}, errors.New("database: the URL must begin with sqlite:, file: or postgres://")
	}
}

func sqlitePlace(path string) (place, error) {
	path = strings.TrimPrefix(path, "//")
	if path == "" || strings.HasPrefix(path, ":memory:") || strings.ContainsRune(path, '?') {
		return place{}, errors.New("database: a SQLite URL is sqlite:PATH with the path of a file and no parameters")
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return place{}, fmt.Errorf("database: path of the database: %w", err)
	}
	return place{
		where: "sqlite:" + path,
		open:  func(ctx context.Context) (conns, error) { return openSQLite(ctx, path) },
		migrate: func(ctx context.Context, db *sql.DB, m Migrations, log *slog.Logger) error {
			return migrateSQLite(ctx, db, path, m, log)
		},
	}, nil
}

func postgresPlace(text string) (place, error) {
	if _, err := url.Parse(text); err != nil {
		return place{}, errors.New("database: the URL is not a URL: escape odd characters of the password with %")
	}
	cfg, err := pgx.ParseConfig(text)
	if err != nil {
		return place{}, errors.New("database: the URL is not one that PostgreSQL understands: check its port and parameters")
	}
	most := postgresConns
	if given, ok := cfg.RuntimeParams[maxConnsParam]; ok {
		delete(cfg.RuntimeParams, maxConnsParam) // it is ours, not the server's
		if most, err = strconv.Atoi(given); err != nil || most < 1 {
			return place{}, errors.New("database: " + maxConnsParam + " in the database URL is not a number from 1")
		}
	}
	return place{
		where:   fmt.Sprintf("postgres://%s@%s:%d/%s", cfg.User, cfg.Host, cfg.Port, cfg.Database),
		open:    func(ctx context.Context) (conns, error) { return openPostgres(ctx, cfg, most) },
		migrate: migratePostgres,
	}, nil
}
