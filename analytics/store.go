package analytics

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/herald-push/herald/push"
)

// Store asks ClickHouse, and writes to it for the [Writer]. It is safe for
// concurrent use.
//
// A window is always half open, [from, to), and one app's. Numbers include
// what the writer has sent, which is at most [WriterConfig.FlushEvery] behind
// while ClickHouse is well.
//
// While ClickHouse is away, every method returns an error that is
// [push.ErrAway].
type Store struct {
	conn    driver.Conn
	columns []column
	insert  string
	cluster string // "" for one server
	large   uint64 // events of a window beyond which the sample is asked
	few     uint64 // events of it that are enough
}

// Open makes a store for a DSN of clickhouse-go: http(s)://user:password@host:port/database
// or clickhouse://…. It does not wait for the server: one that is away when
// Herald starts is asked again by every call. The error is a bad DSN.
func Open(ctx context.Context, dsn string) (*Store, error) { return OpenCluster(ctx, dsn, "") }

// OpenCluster is Open for a cluster of ClickHouse servers, by its name in their
// remote_servers; "" is one server.
func OpenCluster(_ context.Context, dsn, cluster string) (*Store, error) {
	options, err := clickhouse.ParseDSN(dsn)
	if err != nil {
		return nil, fmt.Errorf("analytics: ClickHouse DSN: %w", err)
	}
	if cluster != "" {
		if !clusterName.MatchString(cluster) {
			return nil, fmt.Errorf("analytics: clickhouse.cluster: %q must be letters, digits, _ . -", cluster)
		}
		if options.Settings == nil {
			options.Settings = clickhouse.Settings{}
		}
		maps.Copy(options.Settings, clusterSettings())
	}
	if options.DialTimeout == 0 {
		options.DialTimeout = 5 * time.Second
	}
	if options.ReadTimeout == 0 {
		options.ReadTimeout = time.Minute
	}
	conn, err := clickhouse.Open(options)
	if err != nil {
		return nil, fmt.Errorf("analytics: ClickHouse DSN: %w", err)
	}
	s := &Store{conn: conn, columns: columns(), cluster: cluster, large: largeWindow, few: fewEvents}
	names := make([]string, len(s.columns))
	for i, c := range s.columns {
		names[i] = c.name
	}
	s.insert = "INSERT INTO receipts (" + strings.Join(names, ", ") + ")"
	return s, nil
}

// Close ends the connections.
func (s *Store) Close() error { return s.conn.Close() }

// Ping reports whether ClickHouse answers.
func (s *Store) Ping(ctx context.Context) error { return failed("ping", s.conn.Ping(ctx)) }

// batch is an insert that is being made.
type batch struct {
	driver.Batch
	columns []column
	rows    int
}

// begin opens an insert under a token. A second one under the same token changes
// nothing, in the views neither, as long as no more than the tables'
// deduplication window of batches came between.
func (s *Store) begin(ctx context.Context, token string) (*batch, error) {
	ctx = clickhouse.Context(ctx,
		clickhouse.WithColumnNamesAndTypes(types(s.columns)),
		clickhouse.WithSettings(clickhouse.Settings{
			"insert_deduplication_token":                         token,
			"insert_deduplicate":                                 1,
			"deduplicate_blocks_in_dependent_materialized_views": 1,
			"async_insert":                                       0, // knows no tokens for views
			"optimize_on_insert":                                 0, // merges do it, for a third less work here
			"max_partitions_per_insert_block":                    0, // a batch after an outage spans days
		}))
	b, err := s.conn.PrepareBatch(ctx, s.insert)
	if err != nil {
		return nil, failed("begin a batch", err)
	}
	return &batch{Batch: b, columns: s.columns}, nil
}

// add appends receipts.
func (b *batch) add(rs []push.Receipt) error {
	if len(rs) == 0 {
		return nil
	}
	for i, c := range b.columns {
		if err := c.fill(b.Column(i), rs); err != nil {
			return failed("fill column "+c.name, err)
		}
	}
	b.rows += len(rs)
	return nil
}

// end sends what was added, unless it is to be given up for err, which it
// returns then.
func (b *batch) end(err error) error {
	if err != nil || b.rows == 0 {
		_ = b.Abort()
		return err
	}
	return failed("send a batch", b.Send())
}

// write inserts receipts under a token.
func (s *Store) write(ctx context.Context, token string, rs []push.Receipt) error {
	b, err := s.begin(ctx, token)
	if err != nil {
		return err
	}
	return b.end(b.add(rs))
}

// Rows is how many receipts ClickHouse holds, repeats included, of all apps.
func (s *Store) Rows(ctx context.Context) (n uint64, err error) {
	err = s.conn.QueryRow(ctx, "SELECT count() FROM receipts").Scan(&n)
	return n, failed("count receipts", err)
}

// rows asks for many rows of one type.
func rows[T any](ctx context.Context, s *Store, what, query string, args ...any) ([]T, error) {
	var out []T
	if err := s.conn.Select(ctx, &out, query, args...); err != nil {
		return nil, failed(what, err)
	}
	return out, nil
}

// failed says what failed, and marks what is no answer of ClickHouse's own as
// [push.ErrAway].
func failed(what string, err error) error {
	switch {
	case err == nil:
		return nil
	case isException(err):
		return fmt.Errorf("analytics: %s: %w", what, err)
	default:
		return fmt.Errorf("analytics: %s: %w: %w", what, push.ErrAway, err)
	}
}

func isException(err error) bool {
	return errors.As(err, new(*clickhouse.Exception))
}

func window(app string, from, to time.Time) []any {
	return []any{
		clickhouse.Named("app", app),
		moment3("from", from),
		moment3("to", to),
	}
}

func moment3(name string, at time.Time) driver.NamedDateValue {
	return clickhouse.DateNamed(name, at.UTC(), clickhouse.MilliSeconds)
}
