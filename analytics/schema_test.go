package analytics

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald/internal/clickhousetest"
	"github.com/herald-push/herald/push"
)

// everyTable lists what the migrations have made, and whether it is a view.
func everyTable(t *testing.T, s *Store) []string {
	t.Helper()
	type name struct {
		Name string `ch:"name"`
	}
	found, err := rows[name](t.Context(), s, "tables",
		"SELECT name FROM system.tables WHERE database = currentDatabase() AND engine != 'MaterializedView' ORDER BY name")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, n := range found {
		names = append(names, n.Name)
	}
	return names
}

// content is every row of every table, in a text that does not depend on how
// parts were merged.
func content(t *testing.T, s *Store) map[string]string {
	t.Helper()
	type sum struct {
		Rows uint64 `ch:"n"`
		Hash uint64 `ch:"h"`
	}
	all := map[string]string{}
	for _, table := range everyTable(t, s) {
		if table == "herald_migrations" {
			continue
		}
		kept := "finalizeAggregation"
		columns, err := rows[struct {
			Name string `ch:"name"`
			Type string `ch:"type"`
		}](t.Context(), s, "columns", "SELECT name, type FROM system.columns WHERE database = currentDatabase() AND table = '"+table+"' ORDER BY position")
		if err != nil {
			t.Fatal(err)
		}
		var list []string
		for _, c := range columns {
			if strings.HasPrefix(c.Type, "AggregateFunction") {
				c.Name = kept + "(" + c.Name + ")"
			}
			list = append(list, "toString("+c.Name+")")
		}
		found, err := rows[sum](t.Context(), s, "content of "+table,
			"SELECT count() AS n, groupBitXor(cityHash64("+strings.Join(list, ", ")+")) AS h FROM "+table)
		if err != nil {
			t.Fatal(err)
		}
		all[table] = fmt.Sprint(found[0].Rows, " rows, ", found[0].Hash)
	}
	return all
}

func TestReplayedSpoolChangesNoTable(t *testing.T) {
	store := openStore(t, clickhousetest.DSN(t))
	if err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := store.conn.Exec(t.Context(), "SYSTEM STOP MERGES"); err != nil {
		t.Skipf("this ClickHouse does not let merges be stopped: %v", err)
	}
	config := DefaultSpoolConfig(t.TempDir())
	config.SegmentRows = 200
	spool := openSpool(t, config)
	rs := world(7, 900)
	for i := range rs {
		if strings.HasSuffix(rs[i].Notification, "1") {
			rs[i].Campaign = "spring"
		}
	}
	for part := range slices.Chunk(rs, 200) {
		record(t, spool, part...)
	}
	copies := []string{copyDir(t, config.Dir), copyDir(t, config.Dir)}
	sendAll(t, spool, store)
	before := content(t, store)
	for _, config.Dir = range copies {
		sendAll(t, openSpool(t, config), store)
	}
	for table, want := range content(t, store) {
		if before[table] != want {
			t.Errorf("%s: %s before, %s after", table, before[table], want)
		}
		if strings.HasPrefix(want, "0 rows") && table != "decisions" && table != "v_decisions" && table != "gateway_events" {
			t.Errorf("%s is empty: the test shows nothing of it", table)
		}
	}
}

func TestEvidenceThatComesDaysLaterCountsInTheHourOfItsNotification(t *testing.T) {
	store := openStore(t, clickhousetest.DSN(t))
	accepted := time.Now().UTC().Truncate(time.Hour).Add(-6*24*time.Hour + 7*time.Minute)
	sent, late := numbered(1), numbered(1)
	sent.ReceivedAt, sent.At, sent.SinceAccepted = accepted.Add(time.Second), accepted.Add(time.Second), time.Second
	late.Stage, late.Source = push.Delivered, push.DeviceAck
	late.ReceivedAt = accepted.Add(5 * 24 * time.Hour)
	late.At, late.SinceAccepted = accepted.Add(2*24*time.Hour), 5*24*time.Hour
	send(t, store, 1, []push.Receipt{sent, late})

	hour := accepted.Truncate(time.Hour)
	funnel, err := store.ByClass(t.Context(), Lens{App: "demo", From: hour, To: hour.Add(time.Hour)})
	if err != nil || len(funnel) == 0 || funnel[0].Accepted != 1 || funnel[0].Delivered != 1 {
		t.Errorf("the funnel of its hour: %+v, %v", funnel, err)
	}
	tallies, err := store.Tallies(t.Context(), accepted.Add(-time.Hour))
	if err != nil || len(tallies) != 1 || !tallies[0].Hour.Equal(accepted.Truncate(time.Hour)) || tallies[0].Delivered != 1 {
		t.Errorf("the cohort of its hour: %+v, %v", tallies, err)
	}
	var at, received time.Time
	err = store.conn.QueryRow(t.Context(), "SELECT at, received_at FROM v_receipts WHERE stage = 'delivered' AND skew_ms = 0").Scan(&at, &received)
	if err != nil || !at.Equal(late.At.Truncate(time.Millisecond)) || !received.Equal(late.ReceivedAt.Truncate(time.Millisecond)) {
		t.Errorf("it happened at %s and came at %s, %v", at, received, err)
	}
}

func TestViewsSayWhatTheReceiptsSay(t *testing.T) {
	store := openStore(t, clickhousetest.DSN(t))
	apns, sms, proof := numbered(1), numbered(1), numbered(1)
	apns.Campaign, sms.Campaign, proof.Campaign = "spring", "spring", "spring"
	apns.Stage, apns.Kind, apns.Code, apns.Road = push.Failed, "unregistered", "410", 1
	sms.Provider, sms.Attempt, sms.Road, sms.CostMicros, sms.Bytes = "sms", 2, 2, 7300, 70
	proof.Provider, proof.Attempt, proof.Road, proof.Stage, proof.Source = "sms", 2, 2, push.Delivered, push.VendorCallback
	proof.At = proof.ReceivedAt.Add(3 * time.Hour)
	send(t, store, 10, []push.Receipt{apns, sms, proof, proof})

	tests := map[string]struct{ sql, want string }{
		"attempts":   {"SELECT toString(groupArray((road, toString(provider), toString(outcome), cost_micros, bytes, decision_id))) FROM (SELECT * FROM v_attempts ORDER BY attempt)", "[(1,'apns','failed',0,0,'n.0.1/1'),(2,'sms','accepted',7300,70,'n.0.1/2')]"},
		"receipts":   {"SELECT toString((any(event_id), any(decision_id), any(skew_ms))) FROM v_receipts WHERE stage = 'delivered'", "('n.0.1/2/delivered','n.0.1/2',10800000)"},
		"deliveries": {"SELECT toString((toString(campaign), stage, attempts, roads, delivered_by, cost_micros)) FROM v_deliveries", "('spring','delivered',2,['apns','sms'],'sms',7300)"},
		"campaigns":  {"SELECT toString((toString(campaign), sum(cost_micros), sum(bytes))) FROM v_campaigns GROUP BY campaign", "('spring',7300,70)"},
		"errors":     {"SELECT toString((toString(provider), toString(kind), toString(code), receipts)) FROM v_errors", "('apns','unregistered','410',1)"},
		"activity":   {"SELECT toString((sumIf(receipts, stage = 'accepted'), sum(cost_micros))) FROM v_activity", "(1,7300)"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var got string
			if err := store.conn.QueryRow(t.Context(), tt.sql).Scan(&got); err != nil || got != tt.want {
				t.Errorf("got  %s, %v\nwant %s", got, err, tt.want)
			}
		})
	}
}

func TestEveryTableAndColumnIsDocumented(t *testing.T) {
	store := openStore(t, clickhousetest.DSN(t))
	if err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../docs/analytics.md")
	if err != nil {
		t.Fatal(err)
	}
	sections := map[string]string{}
	for _, s := range strings.Split(string(text), "\n### ")[1:] {
		name, body, _ := strings.Cut(s, "\n")
		sections[strings.Trim(name, "`")] = body
	}
	for _, table := range everyTable(t, store) {
		if table == "herald_migrations" || table == "sampled_receipts" {
			continue
		}
		columns, err := rows[struct {
			Name string `ch:"name"`
		}](t.Context(), store, "columns", "SELECT name FROM system.columns WHERE database = currentDatabase() AND table = '"+table+"'")
		if err != nil {
			t.Fatal(err)
		}
		if sections[table] == "" {
			t.Errorf("docs/analytics.md has no section ### `%s`", table)
		}
		for _, c := range columns {
			if !strings.Contains(sections[table], "`"+c.Name+"`") {
				t.Errorf("docs/analytics.md does not say what %s.%s is", table, c.Name)
			}
		}
	}
}
