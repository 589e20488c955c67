package analytics

import (
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/herald-push/herald/internal/clickhousetest"
)

// clustered are all statements that a cluster hears, in order.
func clustered(t *testing.T) []string {
	t.Helper()
	all := []string{createMigrations, createSeeds}
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		text, err := migrations.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, statements(string(text))...)
	}
	var out []string
	for _, s := range all {
		said, err := onCluster(s, "three")
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, said...)
	}
	return out
}

func TestAClusterHearsEveryStatementInItsWay(t *testing.T) {
	all := clustered(t)
	for _, s := range all {
		switch {
		case !strings.Contains(s, " ON CLUSTER 'three'"):
			t.Errorf("not for the cluster: %s", s)
		case strings.Contains(s, "MergeTree") && !strings.Contains(s, "ENGINE = Replicated"):
			t.Errorf("not replicated: %s", s)
		case strings.Contains(s, "non_replicated_deduplication_window"):
			t.Errorf("a window that replicas do not know: %s", s)
		case strings.HasPrefix(s, "CREATE MATERIALIZED VIEW") && (!strings.Contains(s, "_local AS") || !strings.Contains(s, "_local")):
			t.Errorf("a view that does not work on its own shard: %s", s)
		}
	}
	for _, want := range []string{
		"CREATE TABLE IF NOT EXISTS receipts ON CLUSTER 'three' AS receipts_local ENGINE = Distributed('three', currentDatabase(), 'receipts_local', cityHash64(app, notification))",
		"CREATE TABLE IF NOT EXISTS sampled_receipts ON CLUSTER 'three' AS sampled_receipts_local ENGINE = Distributed('three', currentDatabase(), 'sampled_receipts_local', cityHash64(app, notification))",
		"CREATE TABLE IF NOT EXISTS flow_minute ON CLUSTER 'three' AS flow_minute_local ENGINE = Distributed('three', currentDatabase(), 'flow_minute_local', rand())",
		"ALTER TABLE activity_hour_local ON CLUSTER 'three' DROP COLUMN IF EXISTS since_ms",
		"ALTER TABLE activity_hour ON CLUSTER 'three' DROP COLUMN IF EXISTS since_ms",
		"DROP TABLE IF EXISTS cohort_hour_local ON CLUSTER 'three' SYNC",
	} {
		if !slices.Contains(all, want) {
			t.Errorf("missing: %s", want)
		}
	}
	for _, bad := range []string{"SELECT 1", "CREATE TABLE x (a UInt8) ENGINE = Memory"} {
		if said, err := onCluster(bad, "three"); err == nil {
			t.Errorf("%s became %q", bad, said)
		}
	}
}

func TestClickHouseReadsWhatAClusterHears(t *testing.T) {
	store := openStore(t, clickhousetest.DSN(t))
	for _, s := range clustered(t) {
		var read string
		if err := store.conn.QueryRow(t.Context(), "SELECT formatQuerySingleLine({q:String})", clickhouse.Named("q", s)).Scan(&read); err != nil || !strings.Contains(read, "ON CLUSTER three") {
			t.Errorf("ClickHouse reads %q, %v", read, err)
		}
	}
}

func TestClustersAreNamed(t *testing.T) {
	const dsn = "http://default:secret@127.0.0.1:1/default"
	for name, good := range map[string]bool{"": true, "events": true, "three_by-2.x": true, "a' b": false, strings.Repeat("x", 65): false} {
		s, err := OpenCluster(t.Context(), dsn, name)
		if (err == nil) != good {
			t.Errorf("OpenCluster(%q): %v", name, err)
		}
		if err == nil {
			_ = s.Close()
		}
	}
}
