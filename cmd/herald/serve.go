package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"runtime/debug"

	"github.com/herald-push/herald/internal/sqlstore"
)

// configFlags say which configuration a command reads.
type configFlags struct {
	Config string `short:"c" type:"path" placeholder:"FILE" help:"Configuration file. Every key can also come from the environment: redis.url is HERALD_REDIS_URL."`
}

// serveCmd is Herald in production.
type serveCmd struct {
	configFlags
	Roles []string `placeholder:"ROLE" help:"What this process does, instead of what the configuration says: api, worker, conn, im."`
}

func (s *serveCmd) Run(ctx context.Context) error {
	c, err := loadConfig(s.Config, os.Environ())
	if err != nil {
		return err
	}
	if len(s.Roles) > 0 {
		c.Roles = s.Roles
	}
	if err := c.Validate(); err != nil {
		return err
	}
	collect()
	log := c.Log.logger()
	door, err := new(net.ListenConfig).Listen(ctx, "tcp", c.Listen)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	h, err := build(ctx, c, door, extras{
		WebSocket: c.WebSocket, Redis: maskURL(c.Redis.URL), ClickHouse: maskURL(c.ClickHouse.URL),
	}, log)
	if err != nil {
		door.Close()
		return err
	}
	up := []any{"version", version, "roles", c.Roles, "listen", door.Addr().String()}
	if h.conns != nil && h.conns.TCPAddr() != nil {
		up = append(up, "mqtt", h.conns.TCPAddr().String())
	}
	log.InfoContext(ctx, "herald is up", up...)
	err = h.Run(ctx)
	log.InfoContext(context.WithoutCancel(ctx), "herald is down", "err", err)
	return err
}

// collect has garbage collected a little earlier than Go's default would have
// it, unless GOGC says otherwise: a worker under load then needs a tenth less
// memory, for a twentieth of its pace.
func collect() {
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(75)
	}
}

// migrateCmd brings the databases up to date. `herald serve` does so too; a
// deployment that does it first learns of trouble before its first pod starts.
type migrateCmd struct{ configFlags }

func (m *migrateCmd) Run(ctx context.Context, std streams) error {
	c, err := loadConfig(m.Config, os.Environ())
	if err != nil {
		return err
	}
	return errors.Join(migrateDatabase(ctx, c, std), migrateClickHouse(ctx, c, std))
}

func migrateDatabase(ctx context.Context, c Config, std streams) error {
	if c.Database.URL == "" {
		return errors.New("database.url: missing")
	}
	keys, err := c.Sealing.open()
	if err != nil {
		return err
	}
	store, err := sqlstore.Open(ctx, c.Database.URL, keys, slog.New(slog.DiscardHandler)) // migrates
	if err != nil {
		return err
	}
	defer store.Close()
	_, err = fmt.Fprintf(std.out, "database    %s is up to date\n", store.Where())
	return err
}

func migrateClickHouse(ctx context.Context, c Config, std streams) error {
	if c.ClickHouse.URL == "" {
		_, err := fmt.Fprintln(std.out, "clickhouse  none is configured; events wait in the spool")
		return err
	}
	record, err := c.ClickHouse.open(ctx)
	if err != nil {
		return err
	}
	defer record.Close()
	if err := record.Migrate(ctx); err != nil {
		return err
	}
	_, err = fmt.Fprintf(std.out, "clickhouse  %s is up to date\n", maskURL(c.ClickHouse.URL))
	return err
}
