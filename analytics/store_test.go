package analytics

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/herald-push/herald/internal/clickhousetest"
	"github.com/herald-push/herald/push"
)

func openStore(t *testing.T, dsn string) *Store {
	t.Helper()
	s, err := Open(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func newWriter(t *testing.T, spool *Spool, store *Store) *Writer {
	t.Helper()
	config := DefaultWriterConfig()
	config.FlushEvery, config.MaxBackoff = 20*time.Millisecond, 200*time.Millisecond
	config.Grace = 30 * time.Second
	w, err := NewWriter(spool, store, config, quiet(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// send carries receipts through a spool of batch rows a segment to the store.
func send(t *testing.T, store *Store, batch int, rs []push.Receipt) {
	t.Helper()
	config := DefaultSpoolConfig(t.TempDir())
	config.SegmentRows = batch
	spool := openSpool(t, config)
	for part := range slices.Chunk(rs, batch) {
		record(t, spool, part...)
	}
	sendAll(t, spool, store)
}

// sendAll runs a writer that is told to end at once: it sends what there is.
func sendAll(t *testing.T, spool *Spool, store *Store) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w := newWriter(t, spool, store)
	if err := w.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if st := w.Status(); st.Spool.Segments != 0 {
		t.Fatalf("not all was sent: %+v", st)
	}
}

func TestFunnelCountsEachDeliveryOncePerRung(t *testing.T) {
	store := openStore(t, clickhousetest.DSN(t))
	rs := world(1, 2000)
	stranger := numbered(1)
	stranger.App = "other"
	send(t, store, 300, append(slices.Clone(rs), stranger))
	windows := map[string][2]time.Time{
		"everything":    {dawn, dawn.Add(3 * time.Hour)},
		"an odd window": {dawn.Add(1234567 * time.Millisecond), dawn.Add(7654321 * time.Millisecond)},
		"nothing":       {dawn.Add(-2 * time.Hour), dawn.Add(-time.Hour)},
	}
	for name, w := range windows {
		t.Run(name, func(t *testing.T) {
			got, _, err := store.ReportFunnel(t.Context(), Lens{App: "demo", From: w[0], To: w[1]})
			var want []FunnelRow
			for _, p := range append(slices.Clone(providers), "") {
				if row := expectedFunnel(rs, p, w[0], w[1]); row.Deliveries > 0 {
					want = append(want, row)
				}
			}
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("got  %+v, %v\nwant %+v", got, err, want)
			}
		})
	}
}

func TestTalliesAndProvidersCountNothingTwice(t *testing.T) {
	store := openStore(t, clickhousetest.DSN(t))
	rs := world(2, 2000)
	send(t, store, 300, rs)
	want := expectedTallies(rs)
	got, err := store.Tallies(t.Context(), dawn)
	if err != nil {
		t.Fatal(err)
	}
	sums := map[string]ProviderRow{}
	for i := range got {
		if mean := float64(got[i].DeliveredMillis) / float64(max(got[i].Delivered, 1)); got[i].Delivered > 5 && (mean < 50 || mean > 8000) {
			t.Errorf("mean time to delivery of %+v is %.0f ms", got[i].Group, mean)
		}
		got[i].DeliveredMillis = 0
		p := sums[got[i].Provider]
		p.Provider = got[i].Provider
		p.Attempts += got[i].Attempts
		p.Accepted += got[i].Accepted
		p.Failed += got[i].Failed
		p.Unknown += got[i].Unknown
		p.Delivered += got[i].Delivered
		sums[p.Provider] = p
	}
	if !slices.Equal(got, want) {
		t.Errorf("tallies: got  %+v\nwant %+v", got, want)
	}
	rows, _, err := store.ReportProviders(t.Context(), everything())
	if err != nil || len(rows) != len(providers) {
		t.Fatalf("%d rows, %v", len(rows), err)
	}
	for _, row := range rows {
		if row.P50Ms <= 0 || row.P95Ms <= row.P50Ms || row.CostMicros < int64(row.Attempts)*100 {
			t.Errorf("times or cost of %+v", row)
		}
		row.P50Ms, row.P95Ms, row.CostMicros = 0, 0, 0
		if row != sums[row.Provider] {
			t.Errorf("got  %+v\nwant %+v", row, sums[row.Provider])
		}
	}
}

func TestBatchSentTwiceChangesNoNumber(t *testing.T) {
	store := openStore(t, clickhousetest.DSN(t))
	config := DefaultSpoolConfig(t.TempDir())
	config.SegmentRows = 200
	spool := openSpool(t, config)
	for part := range slices.Chunk(world(3, 600), 200) {
		record(t, spool, part...)
	}
	copied := copyDir(t, config.Dir) // what a crash after sending and before forgetting leaves
	sendAll(t, spool, store)
	before := numbers(t, store)
	config.Dir = copied
	sendAll(t, openSpool(t, config), store)
	if after := numbers(t, store); after != before {
		t.Errorf("before %s\nafter  %s", before, after)
	}
}

// numbers is every answer of the store in one text.
func numbers(t *testing.T, s *Store) string {
	t.Helper()
	l := Lens{App: "demo", From: dawn, To: dawn.Add(4 * time.Hour)}
	var out string
	add := func(v any, err error) {
		if err != nil {
			t.Fatal(err)
		}
		out += fmt.Sprintf("%+v\n", v)
	}
	funnel, _, err := s.ReportFunnel(t.Context(), l)
	add(funnel, err)
	rows, _, err := s.ReportProviders(t.Context(), l)
	add(rows, err)
	failures, _, err := s.ReportErrors(t.Context(), l, 10)
	add(failures, err)
	add(s.Flow(t.Context(), l, time.Minute))
	add(s.Flow(t.Context(), l, time.Hour))
	add(s.Tallies(t.Context(), l.From))
	return out
}

func copyDir(t *testing.T, dir string) string {
	t.Helper()
	to := t.TempDir()
	if err := os.CopyFS(filepath.Join(to, "copy"), os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	return filepath.Join(to, "copy")
}

func TestMigrationsRunTwiceAndTogether(t *testing.T) {
	dsn := clickhousetest.DSN(t)
	var wg sync.WaitGroup
	for range 6 {
		store := openStore(t, dsn)
		wg.Go(func() {
			for range 2 {
				if err := store.Migrate(context.Background()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	store := openStore(t, dsn)
	send(t, store, 100, world(5, 10))
	if n, err := store.Rows(t.Context()); err != nil || n == 0 {
		t.Errorf("%d rows, %v", n, err)
	}
}

func TestColumnsAreThoseOfTheTable(t *testing.T) {
	store := openStore(t, clickhousetest.DSN(t))
	if err := store.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	type described struct {
		Name string `ch:"name"`
		Type string `ch:"type"`
	}
	table, err := rows[described](t.Context(), store, "describe",
		"SELECT name, type FROM system.columns WHERE database = currentDatabase() AND table = 'receipts' AND default_kind = '' ORDER BY position")
	if err != nil {
		t.Fatal(err)
	}
	var want []described
	for _, c := range columns() {
		want = append(want, described{c.name, c.kind})
	}
	if !slices.Equal(table, want) {
		t.Errorf("table  %v\nwriter %v", table, want)
	}
}
