package chdb_test

import (
	"errors"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/herald-push/herald/internal/clickhousetest"
)

func TestMain(m *testing.M) { clickhousetest.Main(m) }

func connect(t *testing.T, dsn string) driver.Conn {
	t.Helper()
	options, err := clickhouse.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := clickhouse.Open(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func execute(t *testing.T, conn driver.Conn, statement string) {
	t.Helper()
	if err := conn.Exec(t.Context(), statement); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

func count(t *testing.T, conn driver.Conn, from string) (n uint64) {
	t.Helper()
	if err := conn.QueryRow(t.Context(), "SELECT count() FROM "+from).Scan(&n); err != nil {
		t.Fatalf("count %s: %v", from, err)
	}
	return n
}

// event has the kinds of column that analytics uses.
type event struct {
	At    time.Time `ch:"at"`
	ID    string    `ch:"id"`
	Stage string    `ch:"stage"`
	Took  float64   `ch:"took"`
	Cost  int64     `ch:"cost"`
}

const createEvents = `CREATE TABLE events (
	at DateTime64(3, 'UTC'), id String, stage LowCardinality(String), took Float64, cost Int64
) ENGINE = ReplacingMergeTree ORDER BY (stage, id)
SETTINGS non_replicated_deduplication_window = 100`

func insert(t *testing.T, conn driver.Conn, token string, events []event) error {
	t.Helper()
	ctx := clickhouse.Context(t.Context(), clickhouse.WithSettings(clickhouse.Settings{"insert_deduplication_token": token}))
	batch, err := conn.PrepareBatch(ctx, "INSERT INTO events")
	if err != nil {
		return err
	}
	for i := range events {
		if err := batch.AppendStruct(&events[i]); err != nil {
			return err
		}
	}
	return batch.Send()
}

func sample() []event {
	at := time.Date(2026, 5, 1, 12, 0, 0, 123e6, time.UTC)
	return []event{
		{at, "a", "accepted", 1.5, -1},
		{at.Add(time.Second), "tab\tnew\nline\\quote'\x00nul", "delivered", 0, 1 << 60},
	}
}

func TestRowsComeBackAsTheyWent(t *testing.T) {
	conn := connect(t, clickhousetest.DSN(t))
	execute(t, conn, createEvents)
	if err := insert(t, conn, "one", sample()); err != nil {
		t.Fatal(err)
	}
	for _, want := range sample() {
		var got []event
		err := conn.Select(t.Context(), &got, `SELECT * FROM events
			WHERE id = {id:String} AND at >= {from:DateTime64(3, 'UTC')} AND stage IN {stages:Array(String)}`,
			clickhouse.Named("id", want.ID),
			clickhouse.DateNamed("from", want.At, clickhouse.MilliSeconds),
			clickhouse.Named("stages", []string{"it's", want.Stage}))
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, []event{want}) {
			t.Errorf("got %+v, want %+v", got, want)
		}
	}
}

func TestNoRowsIsNotAnError(t *testing.T) {
	conn := connect(t, clickhousetest.DSN(t))
	execute(t, conn, createEvents)
	var got []event
	if err := conn.Select(t.Context(), &got, "SELECT * FROM events"); err != nil || len(got) != 0 {
		t.Errorf("empty table: %v, %v", got, err)
	}
	if err := insert(t, conn, "none", nil); err != nil {
		t.Errorf("empty insert: %v", err)
	}
}

func TestInsertWithTheSameTokenAddsNothing(t *testing.T) {
	conn := connect(t, clickhousetest.DSN(t))
	execute(t, conn, createEvents)
	for _, token := range []string{"one", "one", "two"} {
		if err := insert(t, conn, token, sample()); err != nil {
			t.Fatal(err)
		}
	}
	if n := count(t, conn, "events"); n != 4 {
		t.Errorf("%d rows after two tokens of 2 rows and a repeat, want 4", n)
	}
}

func TestSettingsEndWithTheirStatement(t *testing.T) {
	conn := connect(t, clickhousetest.DSN(t))
	setting := func(ctx *driver.Conn, settings clickhouse.Settings) (v string) {
		c := clickhouse.Context(t.Context(), clickhouse.WithSettings(settings))
		if err := (*ctx).QueryRow(c, "SELECT toString(getSetting('max_threads'))").Scan(&v); err != nil {
			t.Fatal(err)
		}
		return v
	}
	if got := setting(&conn, clickhouse.Settings{"max_threads": 7}); got != "7" {
		t.Errorf("max_threads = %s, want 7", got)
	}
	if got := setting(&conn, nil); got == "7" {
		t.Error("max_threads is still 7 for the next statement")
	}
}

func TestExceptionsReachTheDriver(t *testing.T) {
	conn := connect(t, clickhousetest.DSN(t))
	tests := map[string]struct {
		statement string
		settings  clickhouse.Settings
		code      int32
	}{
		"no such table":         {"SELECT * FROM nowhere", nil, 60},
		"nonsense":              {"SELEKT 1", nil, 62},
		"no such setting":       {"SELECT 1", clickhouse.Settings{"no_such_setting": 1}, 115},
		"setting with a quote":  {"SELECT 1", clickhouse.Settings{"a` = 1 --": 1}, 115},
		"placeholder left open": {"SELECT {x:UInt8}", nil, 456},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			ctx := clickhouse.Context(t.Context(), clickhouse.WithSettings(tt.settings))
			err := conn.Exec(ctx, tt.statement)
			exception := new(clickhouse.Exception)
			if !errors.As(err, &exception) {
				t.Fatalf("error is %v, want an exception of ClickHouse", err)
			}
			if exception.Code != tt.code {
				t.Errorf("code %d, want %d: %v", exception.Code, tt.code, err)
			}
		})
	}
}

func TestHTTPDoor(t *testing.T) {
	s := clickhousetest.Start(t)
	u, err := url.Parse(s.DSN())
	if err != nil {
		t.Fatal(err)
	}
	password, _ := u.User.Password()
	base := "http://" + u.Host
	tests := map[string]struct {
		target, user, password, body string
		status                       int
		want                         string
	}{
		"ping needs no password":   {"/ping", "", "", "", 200, "Ok."},
		"no password":              {"/", "", "", "SELECT 1", 403, "AUTHENTICATION_FAILED"},
		"wrong password":           {"/", "default", "wrong", "SELECT 1", 403, "AUTHENTICATION_FAILED"},
		"wrong user":               {"/", "admin", password, "SELECT 1", 403, "AUTHENTICATION_FAILED"},
		"query in the body":        {"/", "default", password, "SELECT 'here'", 200, "here"},
		"query in the URL":         {"/?query=SELECT+40%2B2", "default", password, "", 200, "42"},
		"format of the query":      {"/", "default", password, "SELECT 1 AS x FORMAT JSONEachRow", 200, `{"x":1}`},
		"rows as CSV in the body":  {"/?query=INSERT+INTO+FUNCTION+null('x+UInt8')+FORMAT+CSV", "default", password, "1\n2\n", 200, ""},
		"query that is too long":   {"/", "default", password, strings.Repeat(" ", 17<<20), 413, "too large"},
		"compression":              {"/?decompress=1", "default", password, "SELECT 1", 500, "does not support compression"},
		"sessions":                 {"/?session_id=x", "default", password, "SELECT 1", 500, "does not support sessions"},
		"parameter with an escape": {`/?param_s=a%5Ctb&query=SELECT+length({s:String})`, "default", password, "", 200, "3"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+tt.target, strings.NewReader(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			if tt.user != "" {
				req.SetBasicAuth(tt.user, tt.password)
			}
			res, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			body, _ := io.ReadAll(res.Body)
			if res.StatusCode != tt.status || !strings.Contains(string(body), tt.want) {
				t.Errorf("answer %d %q, want %d with %q", res.StatusCode, body, tt.status, tt.want)
			}
		})
	}
}

func TestDataSurvivesKillAndStop(t *testing.T) {
	s := clickhousetest.Start(t)
	conn := connect(t, s.DSN())
	execute(t, conn, createEvents)
	if err := insert(t, conn, "one", sample()); err != nil {
		t.Fatal(err)
	}
	ends := map[string]func(){
		"kill -9": s.Kill,
		"stop": func() {
			if err := s.Stop(); err != nil {
				t.Errorf("stop: %v", err)
			}
		},
	}
	for name, end := range ends {
		end()
		s.Restart(t)
		if n := count(t, conn, "events"); n != 2 {
			t.Errorf("%d rows after %s, want 2", n, name)
		}
		if err := insert(t, conn, "one", sample()); err != nil {
			t.Fatal(err)
		}
		if n := count(t, conn, "events"); n != 2 {
			t.Errorf("%d rows after %s and a repeated insert, want 2", n, name)
		}
	}
}
