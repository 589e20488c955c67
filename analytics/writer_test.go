package analytics

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/herald-push/herald/internal/clickhousetest"
	"github.com/herald-push/herald/push"
)

// patience is how long a busy machine may take for one thing.
const patience = 2 * time.Minute

// eventually polls, for as long as patience lasts.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("not within %s: %s", patience, what)
		case <-tick.C:
		}
	}
}

func run(t *testing.T, w *Writer) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestNothingIsLostWhileClickHouseIsAway(t *testing.T) {
	server := clickhousetest.Start(t)
	store := openStore(t, server.DSN())
	config := DefaultSpoolConfig(t.TempDir())
	config.SegmentRows = 50
	spool := openSpool(t, config)
	w := newWriter(t, spool, store)
	run(t, w)

	sent, slowest := 0, time.Duration(0)
	keepRecording := func(what string, until func() bool) {
		eventually(t, what, func() bool {
			for range 20 {
				started := time.Now()
				record(t, spool, numbered(sent))
				slowest = max(slowest, time.Since(started))
				sent++
			}
			return until()
		})
	}
	for range 2 {
		rows := w.Status().Rows
		keepRecording("rows arrive", func() bool { return w.Status().Rows > rows+200 })
		server.Kill()
		from := sent
		keepRecording("status says away", func() bool { return w.Status().ClickHouse == "away" && sent > from+1500 })
		server.Restart(t)
		keepRecording("status says up", func() bool { return w.Status().ClickHouse == "up" })
	}
	eventually(t, "the spool is empty", func() bool { return w.Status().Spool.Segments == 0 })

	if n, err := store.Rows(t.Context()); err != nil || int(n) != sent {
		t.Errorf("%d rows of %d recorded, %v", n, sent, err)
	}
	now := time.Now()
	l := Lens{App: "demo", From: now.Add(-time.Hour), To: now.Add(time.Hour)}
	funnel, err := store.ByClass(t.Context(), l)
	if err != nil || len(funnel) == 0 || int(funnel[len(funnel)-1].Accepted) != sent {
		t.Errorf("%+v of %d, %v", funnel, sent, err)
	}
	steps, err := store.Flow(t.Context(), l, 24*time.Hour)
	total := uint64(0)
	for _, s := range steps {
		total += s.Accepted
	}
	if err != nil || int(total) != sent {
		t.Errorf("the rollup counts %d of %d, %v", total, sent, err)
	}
	if slowest > patience/4 { // a caller that waits for ClickHouse waits until it is back
		t.Errorf("a call of Record took %s", slowest)
	}
}

func TestWithoutClickHouseReceiptsStay(t *testing.T) {
	spool := openSpool(t, DefaultSpoolConfig(t.TempDir()))
	w := newWriter(t, spool, nil)
	run(t, w)
	record(t, spool, numbered(1))
	st := w.Status()
	if st.ClickHouse != "none" || st.Spool.Segments != 1 || st.Spool.Bytes == 0 || st.LagSeconds <= 0 {
		t.Errorf("status %+v", st)
	}
}

func TestStoreThatIsAwaySaysSo(t *testing.T) {
	store := openStore(t, "http://default:secret@127.0.0.1:1/default?dial_timeout=200ms")
	calls := map[string]func() error{
		"ping":    func() error { return store.Ping(t.Context()) },
		"migrate": func() error { return store.Migrate(t.Context()) },
		"funnel": func() error {
			_, err := store.ByClass(t.Context(), lensDay)
			return err
		},
		"rows": func() error {
			_, err := store.Rows(t.Context())
			return err
		},
	}
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			if err := call(); !errors.Is(err, push.ErrAway) {
				t.Errorf("error is %v, want ErrAway", err)
			}
		})
	}
}

func TestBadDSNIsSaidWithoutItsPassword(t *testing.T) {
	_, err := Open(t.Context(), "http://default:hunter2@%%%/")
	if err == nil {
		t.Fatal("taken")
	}
	if s := err.Error(); len(s) == 0 || strings.Contains(s, "hunter2") {
		t.Errorf("error tells the password: %s", s)
	}
}

func TestSegmentThatCannotBeReadHoldsUpNothing(t *testing.T) {
	store := openStore(t, clickhousetest.DSN(t))
	config := DefaultSpoolConfig(t.TempDir())
	bad := openSpool(t, config)
	record(t, bad, numbered(0))
	if _, err := bad.open.file.WriteAt([]byte("NONSENSE"), 0); err != nil {
		t.Fatal(err)
	}
	if err := bad.Close(); err != nil {
		t.Fatal(err)
	}
	spool := openSpool(t, config)
	record(t, spool, numbered(1))
	sendAll(t, spool, store)
	if n, err := store.Rows(t.Context()); err != nil || n != 1 {
		t.Errorf("%d rows, %v", n, err)
	}
}

func TestDatabaseBegunAnewIsBuiltAgain(t *testing.T) {
	store := openStore(t, clickhousetest.DSN(t))
	spool := openSpool(t, DefaultSpoolConfig(t.TempDir()))
	w := newWriter(t, spool, store)
	run(t, w)
	record(t, spool, numbered(1))
	eventually(t, "the first row is there", func() bool { return w.Status().Rows == 1 })
	for _, name := range []string{
		"herald_migrations", "flow_minute_view", "tally_hour_view", "sampled_receipts_view", "activity_hour_of_receipts", "outcome_hour_view",
		"receipts", "flow_minute", "tally_hour", "activity_hour",
	} {
		if err := store.conn.Exec(t.Context(), "DROP TABLE "+name+" SYNC"); err != nil {
			t.Fatal(err)
		}
	}
	record(t, spool, numbered(2))
	eventually(t, "the second row is there", func() bool { return w.Status().Rows == 2 })
}

func TestRetentionIsChangedOnce(t *testing.T) {
	store := openStore(t, clickhousetest.DSN(t))
	if err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, days := range []int{90, 7, 7, 30} {
		if err := store.retain(t.Context(), days); err != nil {
			t.Fatal(err)
		}
		var kept uint64
		err := store.conn.QueryRow(t.Context(), "SELECT count() FROM system.tables WHERE database = currentDatabase() AND name != 'gateway_events' AND create_table_query LIKE {ttl:String}",
			clickhouse.Named("ttl", fmt.Sprintf("%%toIntervalDay(%d)%%", days))).Scan(&kept)
		if err != nil || kept != 3 {
			t.Errorf("%d tables keep %d days, %v; want 3", kept, days, err)
		}
	}
	if err := store.retain(t.Context(), 0); err == nil {
		t.Error("a retention of nothing was taken")
	}
}
