package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"

	"github.com/herald-push/herald/internal/sqlstore"
)

// examineSealing asks whether the sealing key is a key.
func examineSealing(_ context.Context, c Config) []finding {
	if c.Sealing.Key == "" && c.Sealing.KeyFile == "" {
		return nil // the configuration's fault, told already
	}
	f := finding{about: "sealing", said: "the key can be used; keep a copy of it"}
	if _, err := c.Sealing.open(); err != nil {
		f.err, f.todo = err, "openssl rand -hex 32 makes a key; an old one is needed to read what it sealed"
	}
	return []finding{f}
}

// examineDatabase opens the database, which brings it up to date, and asks
// whether its credentials were sealed with this key.
func examineDatabase(ctx context.Context, c Config) []finding {
	keys, err := c.Sealing.open()
	if c.Database.URL == "" || err != nil {
		return nil
	}
	store, err := sqlstore.Open(ctx, c.Database.URL, keys, slog.New(slog.DiscardHandler))
	if err != nil {
		return []finding{{about: "database", err: err, todo: "start it, or correct database.url"}}
	}
	defer store.Close()
	findings := []finding{{about: "database", said: store.Where() + " answers and is up to date"}}
	return append(findings, examineCredentials(ctx, store))
}

// examineCredentials opens every app's credentials once.
func examineCredentials(ctx context.Context, store *sqlstore.Store) finding {
	f := finding{about: "credentials"}
	versions, err := store.CredentialVersions(ctx)
	if err != nil {
		f.err = err
		return f
	}
	opened := 0
	for app, providers := range versions {
		for provider := range providers {
			if _, _, err := store.Credentials(ctx, app, provider); err != nil {
				f.err = fmt.Errorf("those of app %s for %s cannot be read: %w", app, provider, err)
				f.todo = "put back the key that sealed them, or set them again"
				return f
			}
			opened++
		}
	}
	f.said = fmt.Sprintf("%d sets can be read", opened)
	return f
}

// examineClickHouse asks for a version that knows what the schema needs.
func examineClickHouse(ctx context.Context, c Config) []finding {
	if c.ClickHouse.URL == "" {
		return []finding{{
			about: "clickhouse", err: fmt.Errorf("none is configured: events wait in the spool until it is full"), mild: true,
			todo: "set clickhouse.url",
		}}
	}
	record, err := c.ClickHouse.open(ctx)
	if err != nil {
		return []finding{{about: "clickhouse", err: err, todo: "correct clickhouse.url, such as clickhouse://user:password@host:9000/herald"}}
	}
	defer record.Close()
	version, err := record.Version(ctx)
	if err != nil {
		return []finding{{
			about: "clickhouse", err: fmt.Errorf("%s: %w", maskURL(c.ClickHouse.URL), err), mild: true,
			todo: "start it; meanwhile nothing is lost, and analytics shows nothing new",
		}}
	}
	f := finding{about: "clickhouse", said: "version " + version + " answers"}
	var year, month int
	if _, err := fmt.Sscanf(version, "%d.%d", &year, &month); err == nil && (year < 24 || year == 24 && month < 8) {
		f.err = fmt.Errorf("version %s is older than 24.8", version)
		f.todo = "install a newer one"
		return []finding{f}
	}
	schema := finding{about: "schema", said: "is up to date"}
	if _, err := record.Rows(ctx); err != nil {
		schema.err, schema.todo = fmt.Errorf("the tables are not there: %w", err), "herald migrate"
	}
	return []finding{f, schema}
}

// examinePorts asks whether the ports are free. Those of a Herald that runs
// are its own.
func examinePorts(ctx context.Context, c Config) []finding {
	ports := map[string]string{"listen": c.Listen}
	if c.does(roleConn) {
		ports["mqtt"], ports["websocket"] = c.LongConn.TCP, c.LongConn.WebSocket
	}
	var findings []finding
	for what, addr := range ports {
		if addr == "" {
			continue
		}
		f := finding{about: what, said: addr + " is free"}
		if _, _, err := net.SplitHostPort(addr); err != nil {
			f.err = fmt.Errorf("%s is no address: %w", addr, err)
		} else if err := canListen(ctx, addr); err != nil {
			f.err, f.mild = fmt.Errorf("%s cannot be opened: %w", addr, err), true
			f.todo = "if that is not the Herald that runs, choose another"
		}
		findings = append(findings, f)
	}
	return findings
}
