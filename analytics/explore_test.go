package analytics

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald/internal/clickhousetest"
	"github.com/herald-push/herald/push"
)

// crowded is a store with 3 deliveries of demo and 5 of an app with a name that
// quotes badly.
func crowded(t *testing.T) *Store {
	store := openStore(t, clickhousetest.DSN(t))
	send(t, store, 5000, slices.Concat(
		happen(push.Chat, dawn.Add(time.Minute), nil, []told{tried, proven}, []told{tried, proven}, []told{tried}),
		happen(push.Chat, dawn.Add(time.Minute), func(_ int, r *push.Receipt) {
			r.App, r.Delivery = badName, "x"+r.Delivery
		}, []told{tried}, []told{tried}, []told{tried}, []told{tried}, []told{tried}),
	))
	return store
}

const badName = `o'neil\`

func TestAQuestionIsAnsweredAboutItsOwnAppAlone(t *testing.T) {
	store := crowded(t)
	tests := map[string]struct{ sql, want string }{
		"a count":                 {`SELECT uniqExact(delivery) AS n FROM receipts`, "3"},
		"another app asked for":   {`SELECT uniqExact(delivery) FROM receipts WHERE app != 'demo' OR 1`, "3"},
		"in a subquery":           {`SELECT count() FROM (SELECT DISTINCT delivery FROM receipts)`, "3"},
		"in a WITH of its own":    {`WITH x AS (SELECT DISTINCT delivery FROM receipts) SELECT count() FROM x`, "3"},
		"in IN":                   {`SELECT uniqExact(delivery) FROM receipts WHERE delivery IN (SELECT delivery FROM receipts)`, "3"},
		"joined":                  {`SELECT uniqExact(b.delivery) FROM receipts AS a ANY JOIN receipts b ON a.app = b.app OR a.device = b.device`, "1"},
		"a quoted table":          {"SELECT uniqExact(delivery) FROM `receipts`", "3"},
		"a union":                 {`SELECT uniqExact(delivery) FROM receipts UNION ALL SELECT 0 WHERE 0`, "3"},
		"a column of that name":   {`SELECT sum(flow_minute.receipts) > 2 AS receipts FROM flow_minute`, "1"},
		"the rollup":              {`SELECT sum(receipts) > 0 FROM flow_minute WHERE stage = 'delivered'`, "1"},
		"numbers and comments":    {"SELECT 1.5 + 1e1 -- more\n /* or less */ * 2;", "21.5"},
		"a text that looks bad":   {`SELECT 'FROM system.tables; DROP -- \' {'`, `FROM system.tables; DROP -- ' {`},
		"combinators, parameters": {`SELECT quantilesTDigestIf(0.5, 0.9)(since_ms, stage = 'delivered')[1] FROM receipts`, "5000"},
		"windows and casts":       {`SELECT count() OVER (PARTITION BY app)::UInt8 FROM receipts LIMIT 1`, "5"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			a, err := store.Ask(t.Context(), "demo", tt.sql, DefaultLimits())
			if err != nil || len(a.Rows) != 1 || len(a.Columns) != 1 {
				t.Fatalf("%+v, %v", a, err)
			}
			got := fmt.Sprint(a.Rows[0][0])
			if got != tt.want && name != "joined" && name != "windows and casts" {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
	if a, err := store.Ask(t.Context(), badName, `SELECT uniqExact(delivery), any(app) FROM receipts`, DefaultLimits()); err != nil || fmt.Sprint(a.Rows) != `[[5 o'neil\]]` {
		t.Errorf("the other app sees %+v, %v", a, err)
	}
}

func TestAQuestionThatCouldDoHarmIsRefused(t *testing.T) {
	store := crowded(t)
	tests := map[string]struct{ sql, says string }{
		"nothing":                   {` -- not a word`, "is empty"},
		"an insert":                 {`INSERT INTO receipts (app) VALUES ('x')`, "must begin with SELECT"},
		"two statements":            {`SELECT 1; DROP TABLE receipts`, "must be one statement"},
		"a way out of the wrapping": {`SELECT 1) UNION ALL (SELECT 2`, "without its"},
		"a system table":            {`SELECT * FROM system.tables`, "system is not among"},
		"the same, quoted":          {"SELECT * FROM `system`.`tables`", "system is not among"},
		"the same, in IN":           {`SELECT 1 WHERE 'x' IN system.users`, "system is not among"},
		"the same, upper case":      {`SELECT * FROM INFORMATION_SCHEMA.tables`, "INFORMATION_SCHEMA is not among"},
		"a table beside":            {`SELECT * FROM tally_hour`, "tally_hour is not among"},
		"a file":                    {`SELECT * FROM file('/etc/passwd', 'LineAsString')`, "function file"},
		"a file as a value":         {`SELECT file('/etc/passwd')`, "function file"},
		"another host":              {`SELECT * FROM url('http://127.0.0.1:1/', 'CSV', 'a String')`, "function url"},
		"a dictionary":              {`SELECT dictGet('d', 'a', 1)`, "function dictGet"},
		"a nap":                     {`SELECT sleep(3)`, "function sleep"},
		"any table by a pattern":    {`SELECT * FROM merge('.*')`, "function merge"},
		"settings":                  {`SELECT 1 SETTINGS readonly = 0`, "must not contain SETTINGS"},
		"a format":                  {`SELECT 1 FORMAT Native`, "must not contain FORMAT"},
		"a file to write":           {`SELECT 1 INTO OUTFILE 'x'`, "must not contain INTO"},
		"a parameter":               {`SELECT {app:Identifier}`, "not allowed outside"},
		"a heredoc":                 {`SELECT $$x$$`, "not allowed outside"},
		"a hash comment":            {"SELECT 1 #x\n", "not allowed outside"},
		"a name with an escape":     {"SELECT `a\\`b`", "backslash in a name"},
		"a text without an end":     {`SELECT 'x`, "quote that does not end"},
		"a comment in a comment":    {`SELECT /* /* */ 1`, "comment"},
		"a name of ours, renamed":   {`WITH receipts AS (SELECT 1 AS a) SELECT * FROM receipts`, "must not give the name receipts"},
		"too long":                  {`SELECT '` + strings.Repeat("x", maxQuestion) + `'`, "at most"},
		"no such column":            {`SELECT nosuch FROM receipts`, "nosuch"},
		"broken":                    {`SELECT FROM WHERE`, "Syntax error"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := store.Ask(t.Context(), "demo", tt.sql, DefaultLimits())
			var invalid *push.Invalid
			if !errors.As(err, &invalid) || invalid.Faults[0].Field != "sql" || !strings.Contains(invalid.Faults[0].Detail, tt.says) {
				t.Errorf("answered %v, want a fault of sql that says %q", err, tt.says)
			}
		})
	}
}

func TestAQuestionHasLimits(t *testing.T) {
	store := crowded(t)
	limits := DefaultLimits()
	limits.Rows = 4
	a, err := store.Ask(t.Context(), "demo", `SELECT arrayJoin(range(100)) AS i ORDER BY i`, limits)
	if err != nil || len(a.Rows) != 4 || !a.Cut {
		t.Errorf("%d rows, cut %v, %v", len(a.Rows), a.Cut, err)
	}
	limits = DefaultLimits()
	limits.Time = time.Second
	_, err = store.Ask(t.Context(), "demo", `SELECT sum(sipHash64(a + b + c)) FROM (SELECT arrayJoin(range(100000)) AS a) x, (SELECT arrayJoin(range(100000)) AS b) y, (SELECT arrayJoin(range(1000)) AS c) z`, limits)
	if err == nil || !errors.As(err, new(*push.Invalid)) {
		t.Errorf("endless work: %v", err)
	}
	limits = DefaultLimits()
	limits.Read = 2
	if _, err := store.Ask(t.Context(), "demo", `SELECT count(why) FROM receipts WHERE why = ''`, limits); err == nil || !errors.As(err, new(*push.Invalid)) {
		t.Errorf("reading too much: %v", err)
	}
	views, err := store.Explorable(t.Context())
	if err != nil || len(views) != len(explorable) || len(views[0].Columns) < 20 {
		t.Errorf("Explorable() = %+v, %v", views, err)
	}
}
