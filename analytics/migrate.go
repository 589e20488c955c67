package analytics

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"strconv"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// migrations are run in the order of their names. Every statement must do
// nothing when it is repeated (IF NOT EXISTS, IF EXISTS): ClickHouse has
// neither transactions for DDL nor locks, so two processes that start together
// run the same statements, and that is their lock. A file that was released is
// never changed.
//
//go:embed migrations/*.sql
var migrations embed.FS

const createMigrations = `
	CREATE TABLE IF NOT EXISTS herald_migrations (
		version UInt32, name String, applied_at DateTime('UTC') DEFAULT now()
	)
	ENGINE = ReplacingMergeTree ORDER BY version`

// Migrate brings the database up to this program's schema. It may run any
// number of times, and at the same time in many processes.
func (s *Store) Migrate(ctx context.Context) error {
	if err := s.change(ctx, createMigrations); err != nil {
		return failed("migrate", err)
	}
	var applied uint32
	if err := s.conn.QueryRow(ctx, "SELECT max(version) FROM herald_migrations").Scan(&applied); err != nil {
		return failed("migrate: read the version", err)
	}
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return fmt.Errorf("analytics: migrate: %w", err)
	}
	for _, name := range names {
		version, err := migrationVersion(name)
		if err != nil {
			return err
		}
		if version <= applied {
			continue
		}
		if err := s.apply(ctx, name, version); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) apply(ctx context.Context, name string, version uint32) error {
	text, err := migrations.ReadFile(name)
	if err != nil {
		return fmt.Errorf("analytics: migrate: %w", err)
	}
	for _, statement := range statements(string(text)) {
		if err := s.change(ctx, statement); err != nil {
			return failed("migrate: "+name, err)
		}
	}
	err = s.conn.Exec(ctx, "INSERT INTO herald_migrations (version, name) SELECT {version:UInt32}, {name:String}",
		clickhouse.Named("version", version), clickhouse.Named("name", name))
	return failed("migrate: note "+name, err)
}

// change runs a statement that makes or changes a table.
func (s *Store) change(ctx context.Context, statement string) error {
	all, err := s.ddl(statement)
	if err != nil {
		return err
	}
	for _, one := range all {
		if err := s.conn.Exec(ctx, one); err != nil {
			return err
		}
	}
	return nil
}

// retain makes the tables by receipt and by minute keep so many days. It
// changes only tables that say something else.
func (s *Store) retain(ctx context.Context, days int) error {
	if days < 1 {
		return fmt.Errorf("analytics: retention of %d days", days)
	}
	for table, column := range map[string]string{"receipts": "toDateTime(accepted_at)", "sampled_receipts": "toDateTime(accepted_at)", "flow_minute": "minute"} {
		var definition string
		err := s.conn.QueryRow(ctx, "SELECT create_table_query FROM system.tables WHERE database = currentDatabase() AND name = {name:String}",
			clickhouse.Named("name", s.kept(table))).Scan(&definition)
		if err != nil {
			return failed("read the retention of "+table, err)
		}
		if strings.Contains(definition, fmt.Sprintf("toIntervalDay(%d)", days)) {
			continue
		}
		alter := fmt.Sprintf("ALTER TABLE %s MODIFY TTL %s + INTERVAL %d DAY SETTINGS materialize_ttl_after_modify = 0", s.parts(table), column, days)
		if err := s.conn.Exec(ctx, alter); err != nil {
			return failed("set the retention of "+table, err)
		}
	}
	return nil
}

// migrationVersion reads 7 from "migrations/0007_what.sql".
func migrationVersion(name string) (uint32, error) {
	number, _, _ := strings.Cut(strings.TrimPrefix(name, "migrations/"), "_")
	version, err := strconv.ParseUint(number, 10, 32)
	if err != nil {
		return 0, fmt.Errorf("analytics: migrate: %s has no number: %w", name, err)
	}
	return uint32(version), nil
}

// statements splits a file at the semicolons that end a line.
func statements(text string) []string {
	var out []string
	for s := range strings.SplitSeq(text, ";\n") {
		if s = strings.TrimSpace(s); s != "" {
			out = append(out, s)
		}
	}
	return out
}
