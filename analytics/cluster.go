package analytics

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// On a cluster every table t is two: t_local, replicated within a shard, and t,
// which spreads what is written over the shards and asks them all. Whoever reads
// or inserts names t and need not know; sums are added up on the shard where the
// events are. A notification's events lie on one shard.

// clusterName is what a cluster may be called: it stands in statements as it is.
var clusterName = regexp.MustCompile(`^[A-Za-z0-9_.-]{1,64}$`)

var (
	createTable = regexp.MustCompile(`(?s)^CREATE TABLE IF NOT EXISTS (\w+)\s*(AS (\w+))?(.*?)ENGINE = (\w*MergeTree)(.*)$`)
	createMade  = regexp.MustCompile(`(?s)^CREATE MATERIALIZED VIEW IF NOT EXISTS (\w+) TO (\w+) AS(.*)$`)
	createView  = regexp.MustCompile(`(?s)^CREATE VIEW IF NOT EXISTS (\w+) AS(.*)$`)
	alterTable  = regexp.MustCompile(`(?s)^ALTER TABLE (\w+)(.*)$`)
	dropTable   = regexp.MustCompile(`^DROP TABLE IF EXISTS (\w+)$`)
	fromTable   = regexp.MustCompile(`\bFROM (\w+)\b`)
	codec       = regexp.MustCompile(`\s+CODEC\((?:[^()]|\([^()]*\))*\)`)
	lineComment = regexp.MustCompile(`(?m)^\s*--.*\n?|\s+--.*$`)
)

// onCluster says one statement of a migration as a cluster is to hear it. Every
// statement of the result does nothing when it is repeated, as its own does.
func onCluster(statement, cluster string) ([]string, error) {
	text := strings.TrimSpace(lineComment.ReplaceAllString(statement, ""))
	on := " ON CLUSTER '" + cluster + "'"
	if m := createTable.FindStringSubmatch(text); m != nil {
		name, like, body, engine, rest := m[1], m[3], m[4], m[5], m[6]
		if like != "" {
			like = " AS " + like + "_local\n"
		}
		rest = strings.ReplaceAll(rest, "non_replicated_deduplication_window", "replicated_deduplication_window")
		return []string{
			"CREATE TABLE IF NOT EXISTS " + name + "_local" + on + like + body + "ENGINE = Replicated" + engine + rest,
			"CREATE TABLE IF NOT EXISTS " + name + on + " AS " + name + "_local ENGINE = Distributed('" + cluster + "', currentDatabase(), '" + name + "_local', " + shardBy(body, like) + ")",
		}, nil
	}
	if m := createMade.FindStringSubmatch(text); m != nil {
		return []string{"CREATE MATERIALIZED VIEW IF NOT EXISTS " + m[1] + on + " TO " + m[2] + "_local AS" + fromTable.ReplaceAllString(m[3], "FROM ${1}_local")}, nil
	}
	if m := createView.FindStringSubmatch(text); m != nil {
		return []string{"CREATE VIEW IF NOT EXISTS " + m[1] + on + " AS" + m[2]}, nil
	}
	if m := dropTable.FindStringSubmatch(text); m != nil {
		return []string{text + on + " SYNC", "DROP TABLE IF EXISTS " + m[1] + "_local" + on + " SYNC"}, nil
	}
	if m := alterTable.FindStringSubmatch(text); m != nil {
		all := []string{"ALTER TABLE " + m[1] + "_local" + on + m[2]}
		if strings.Contains(m[2], "ADD COLUMN") || strings.Contains(m[2], "DROP COLUMN") { // the rest is of the parts on disk
			all = append(all, "ALTER TABLE "+m[1]+on+codec.ReplaceAllString(m[2], ""))
		}
		return all, nil
	}
	return nil, fmt.Errorf("analytics: no way to say on a cluster: %.80q", text)
}

// shardBy keeps a notification's rows together. Nobody inserts into tables
// without notifications but their views, on the shard itself.
func shardBy(columns, like string) string {
	if like != "" || regexp.MustCompile(`(?m)^\s*notification\s`).MatchString(columns) {
		return "cityHash64(app, notification)"
	}
	return "rand()"
}

// clusterSettings make a cluster behave as one server does: an insert has
// arrived on its shards when it is acknowledged, and a question within a
// question is asked of all shards.
func clusterSettings() clickhouse.Settings {
	return clickhouse.Settings{"insert_distributed_sync": 1, "distributed_product_mode": "global", "distributed_ddl_task_timeout": 180}
}

// ddl is a statement of a migration as this store's ClickHouse is to hear it.
func (s *Store) ddl(statement string) ([]string, error) {
	if s.cluster == "" {
		return []string{statement}, nil
	}
	return onCluster(statement, s.cluster)
}

// parts names what holds a table's rows in an ALTER.
func (s *Store) parts(table string) string {
	if s.cluster == "" {
		return table
	}
	return table + "_local ON CLUSTER '" + s.cluster + "'"
}

// kept is the name of the table that holds the rows.
func (s *Store) kept(table string) string {
	if s.cluster == "" {
		return table
	}
	return table + "_local"
}
