package analytics

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/herald-push/herald/push"
)

// Limits bound a question of somebody's own.
type Limits struct {
	Time  time.Duration // that it may run
	Rows  int           // that it may answer; more are cut off
	Bytes uint64        // of memory that it may take
	Read  uint64        // rows that it may read
}

// DefaultLimits suit people who wait before a screen.
func DefaultLimits() Limits {
	return Limits{Time: 10 * time.Second, Rows: 2000, Bytes: 1 << 30, Read: 500_000_000}
}

// View is a table or view that questions may read, and what its rows are.
type View struct {
	Name, About string
	Columns     []Column // by [Store.Explorable]
}

// Column is one column of a view or an answer.
type Column struct {
	Name string `json:"name"`
	Type string `json:"type"` // ClickHouse's, such as "DateTime64(3, 'UTC')"
}

// explorable are what questions may read. Each has the column app, by which a
// question sees its own app's rows alone.
var explorable = []View{
	{Name: "v_attempts", About: "One row for each attempt: the road and its place, the answer, how long it took, what it cost and weighed, and how it was chosen."},
	{Name: "v_receipts", About: "One row for each piece of evidence: the answers to attempts, and what devices, apps and vendors said later, with skew_ms where a clock was wrong."},
	{Name: "v_deliveries", About: "One row for each delivery: the highest rung it has reached, its roads, the one that brought it and after how long, and its cost. Narrow it by accepted_at or notification."},
	{Name: "v_decisions", About: "One row for each first decision of a delivery, as decisions."},
	{Name: "v_activity", About: "What arrived in each hour, by class, provider, device group, stage and kind: receipts, bytes, cost."},
	{Name: "v_campaigns", About: "What arrived in each hour for each campaign."},
	{Name: "v_errors", About: "Failures and attempts without an answer in each hour, by provider, kind and code, with the provider's last words."},
	{Name: "receipts", About: "One row for each piece of evidence about a delivery: the answer to an attempt (answer = 1) with how its road was chosen, and what came later. Repeats may show until they are merged."},
	{Name: "decisions", About: "One row for each first decision of a delivery: the roads there were, their scores and chances, the one chosen, and whether it brought the message (reward)."},
	{Name: "gateway_events", About: "One row for each call to a business: service, operation and version, how long it took, its code where it failed, whether it was answered from the cache, and, where the declaration keeps some, the exchange with its fields masked."},
	{Name: "flow_minute", About: "What arrived in each minute, summed by class, provider, stage and kind. v_activity has groups of devices, by the hour."},
}

// ExplorableNames lists what questions may read.
func ExplorableNames() []string {
	names := make([]string, len(explorable))
	for i, v := range explorable {
		names[i] = v.Name
	}
	return names
}

// Explorable lists what questions may read, with the columns of each.
func (s *Store) Explorable(ctx context.Context) ([]View, error) {
	const query = `
		SELECT table AS of, name, type FROM system.columns
		WHERE database = currentDatabase() AND has({tables:Array(String)}, table) AND type NOT LIKE 'Aggregate%'
		ORDER BY table, position`
	type row struct {
		Of   string `ch:"of"`
		Name string `ch:"name"`
		Type string `ch:"type"`
	}
	found, err := rows[row](ctx, s, "explorable", query, clickhouse.Named("tables", ExplorableNames()))
	if err != nil {
		return nil, err
	}
	views := slices.Clone(explorable)
	for i := range views {
		for _, r := range found {
			if r.Of == views[i].Name {
				views[i].Columns = append(views[i].Columns, Column{r.Name, r.Type})
			}
		}
	}
	return views, nil
}

// Answer is what came of a question.
type Answer struct {
	Columns []Column      `json:"columns"`
	Rows    [][]any       `json:"rows"`
	Cut     bool          `json:"cut"` // there were more than the limit
	Took    time.Duration `json:"took_ns"`
}

// Ask answers SQL of somebody's own about one app. It is read as [question]
// says, sees rows of the app alone whatever it filters by (every name is bound
// to the app's part of its table, and the engine filters the tables beneath
// besides), changes nothing, and is bounded by the limits. A question that is not allowed, or that ClickHouse
// refuses, is [push.Invalid] on the field "sql", in words for its author.
func (s *Store) Ask(ctx context.Context, app, sql string, limits Limits) (Answer, error) {
	around, err := s.around(ctx)
	if err != nil {
		return Answer{}, err
	}
	text, err := question(sql, around.forbidden)
	if err != nil {
		return Answer{}, fmt.Errorf("analytics: ask: %w", err)
	}
	var scope []string
	for _, name := range ExplorableNames() {
		scope = append(scope, name+" AS (SELECT * FROM "+name+" WHERE app = {app:String})")
	}
	text = "WITH " + strings.Join(scope, ", ") + " SELECT * FROM (" + text + ") LIMIT {most:UInt32}"

	begun := time.Now()
	answer, err := s.run(clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{
		"readonly":                  1,
		"additional_table_filters":  around.filters(app),
		"max_execution_time":        max(1, int(limits.Time/time.Second)),
		"timeout_overflow_mode":     "throw",
		"max_memory_usage":          limits.Bytes,
		"max_rows_to_read":          limits.Read,
		"read_overflow_mode":        "throw",
		"max_result_bytes":          64 << 20,
		"max_ast_depth":             200,
		"max_subquery_depth":        20,
		"max_expanded_ast_elements": 50_000,
		"max_threads":               2,
	})), text, app, limits.Rows)
	answer.Took = time.Since(begun)
	return answer, err
}

// surroundings are the names around what questions may read.
type surroundings struct {
	forbidden []string // every database, and every table of ours that is not explorable
	owned     []string // every table that has the column app
}

func (s *Store) around(ctx context.Context) (surroundings, error) {
	const query = `
		SELECT name, '' AS owned FROM system.databases
		UNION ALL SELECT name, '' FROM system.tables WHERE database = currentDatabase() AND NOT has({tables:Array(String)}, name)
		UNION ALL SELECT '', table FROM system.columns WHERE database = currentDatabase() AND name = 'app'`
	type row struct {
		Name  string `ch:"name"`
		Owned string `ch:"owned"`
	}
	found, err := rows[row](ctx, s, "names around", query, clickhouse.Named("tables", ExplorableNames()))
	var around surroundings
	for _, r := range found {
		if r.Owned != "" {
			around.owned = append(around.owned, r.Owned)
		} else {
			around.forbidden = append(around.forbidden, r.Name)
		}
	}
	return around, err
}

// filters is the setting that lets the engine itself show an app's rows alone.
func (a surroundings) filters(app string) string {
	own := "app = " + quoted(app)
	pairs := make([]string, len(a.owned))
	for i, table := range a.owned {
		pairs[i] = quoted(table) + ":" + quoted(own)
	}
	return "{" + strings.Join(pairs, ",") + "}"
}

// quoted writes a text for ClickHouse.
func quoted(s string) string {
	return "'" + strings.NewReplacer("\\", "\\\\", "'", "\\'").Replace(s) + "'"
}

func (s *Store) run(ctx context.Context, sql, app string, most int) (Answer, error) {
	result, err := s.conn.Query(ctx, sql, clickhouse.Named("app", app), clickhouse.Named("most", uint32(most+1)))
	if err != nil {
		return Answer{}, refusedOrAway(err)
	}
	defer result.Close()
	var a Answer
	kinds := result.ColumnTypes()
	for _, c := range kinds {
		a.Columns = append(a.Columns, Column{c.Name(), c.DatabaseTypeName()})
	}
	for result.Next() {
		into := make([]any, len(kinds))
		for i, c := range kinds {
			into[i] = reflect.New(c.ScanType()).Interface()
		}
		if err := result.Scan(into...); err != nil {
			return Answer{}, fmt.Errorf("analytics: ask: read a row: %w", err)
		}
		for i := range into {
			into[i] = plainValue(into[i])
		}
		a.Rows = append(a.Rows, into)
	}
	if err := result.Err(); err != nil {
		return Answer{}, refusedOrAway(err)
	}
	if len(a.Rows) > most {
		a.Rows, a.Cut = a.Rows[:most], true
	}
	return a, nil
}

// plainValue follows pointers, and gives up on what JSON cannot hold.
func plainValue(v any) any {
	value := reflect.ValueOf(v)
	for value.Kind() == reflect.Pointer {
		if value.IsNil() {
			return nil
		}
		value = value.Elem()
	}
	switch x := value.Interface().(type) {
	case time.Time:
		return x.UTC()
	case float64:
		if x != x || x-x != 0 { // not a number, or without end
			return nil
		}
		return x
	default:
		return x
	}
}

// refusedOrAway turns ClickHouse's own complaints into the author's, without
// what they need not know: the version and the wrapping of their words.
func refusedOrAway(err error) error {
	exception := new(clickhouse.Exception)
	if !errors.As(err, &exception) {
		return failed("ask", err)
	}
	text, _, _ := strings.Cut(exception.Message, " In scope ")
	text, _, _ = strings.Cut(text, ": While processing ")
	text, _, _ = strings.Cut(text, " (version ")
	if i := strings.LastIndex(text, "DB::Exception: "); i >= 0 {
		text = text[i+len("DB::Exception: "):]
	}
	if len(text) > 600 {
		text = text[:600] + " …"
	}
	return fmt.Errorf("analytics: ask: %w", &push.Invalid{Faults: []push.Fault{{Field: "sql", Detail: text}}})
}
