package analytics

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
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

var (
	dawn      = time.Now().UTC().Truncate(time.Hour).Add(-3 * time.Hour)
	providers = []string{"apns", "fcm", "sms"}
	ladder    = []push.Stage{push.Accepted, push.HandedOver, push.Delivered, push.Displayed, push.Clicked}
)

// world invents what happened to n deliveries from a seed: up to two attempts,
// some rungs skipped, some evidence twice.
func world(seed uint64, n int) []push.Receipt {
	rng := rand.New(rand.NewPCG(seed, 1))
	var rs []push.Receipt
	for i := range n {
		base := push.Receipt{
			App: "demo", Notification: fmt.Sprintf("n%d", i/100), Delivery: push.DeliveryID(fmt.Sprintf("n%d", i/100), 0, i%100),
			Device: fmt.Sprintf("device-%d", i%100), Class: push.Chat, Platform: "android",
			Maker: []string{"xiaomi", "oppo"}[i%2], Country: []string{"CN", "DE", "BR"}[i%3],
		}
		accepted := dawn.Add(time.Duration(rng.IntN(3*3600_000)) * time.Millisecond)
		see := func(after time.Duration, attempt int, provider string, stage push.Stage, source push.Source) {
			r := base
			r.Attempt, r.Provider, r.Stage, r.Source = attempt, provider, stage, source
			r.SinceAccepted = after
			r.ReceivedAt = accepted.Add(after)
			r.At = r.ReceivedAt
			if source == push.VendorReply {
				r.Took, r.CostMicros, r.Why = 7*time.Millisecond, 100, "because"
			}
			if stage == push.Failed {
				r.Kind, r.Code, r.Detail = "rejected", "400", "BadTopic"
			}
			rs = append(rs, r)
			if rng.IntN(10) == 0 {
				rs = append(rs, r) // the same evidence again
			}
		}
		after := time.Duration(rng.IntN(1000)) * time.Millisecond
		for attempt := 1; ; attempt++ {
			provider := providers[rng.IntN(len(providers))]
			after += 50 * time.Millisecond
			switch outcome := rng.IntN(10); {
			case outcome == 0:
				see(after, attempt, provider, push.Failed, push.VendorReply)
			case outcome == 1:
				see(after, attempt, provider, push.Unknown, push.VendorReply)
			default:
				see(after, attempt, provider, push.Accepted, push.VendorReply)
				for _, stage := range ladder[1:] {
					after += time.Duration(rng.IntN(3000)) * time.Millisecond
					if rng.IntN(2) == 0 { // a missing rung says nothing about the next
						see(after, attempt, provider, stage, push.DeviceAck)
					}
				}
			}
			if attempt == 2 || rng.IntN(3) > 0 {
				break
			}
		}
		if rng.IntN(50) == 0 {
			see(after+time.Millisecond, 0, "", push.Expired, push.Herald)
		}
	}
	rng.Shuffle(len(rs), func(i, j int) { rs[i], rs[j] = rs[j], rs[i] })
	return rs
}

// expectedFunnel counts as [FunnelRow] says, in Go.
func expectedFunnel(rs []push.Receipt, provider string, from, to time.Time) FunnelRow {
	type fate struct {
		reached map[push.Stage]bool
		last    push.Receipt
	}
	fates := map[string]*fate{}
	for _, r := range rs {
		accepted := r.ReceivedAt.Add(-r.SinceAccepted)
		if r.App != "demo" || accepted.Before(from) || !accepted.Before(to) || (provider != "" && r.Provider != provider) {
			continue
		}
		f := fates[r.Delivery]
		if f == nil {
			f = &fate{reached: map[push.Stage]bool{}}
			fates[r.Delivery] = f
		}
		f.reached[r.Stage] = true
		if !r.ReceivedAt.Before(f.last.ReceivedAt) {
			f.last = r
		}
	}
	row := FunnelRow{Provider: provider, Deliveries: uint64(len(fates))}
	for _, f := range fates {
		clicked := f.reached[push.Clicked]
		displayed := clicked || f.reached[push.Displayed]
		delivered := displayed || f.reached[push.Delivered]
		handedOver := delivered || f.reached[push.HandedOver]
		accepted := handedOver || f.reached[push.Accepted]
		count := func(n *uint64, yes bool) {
			if yes {
				*n++
			}
		}
		count(&row.Clicked, clicked)
		count(&row.Displayed, displayed)
		count(&row.Delivered, delivered)
		count(&row.HandedOver, handedOver)
		count(&row.Accepted, accepted)
		count(&row.Unknown, !accepted && f.reached[push.Unknown])
		below := !accepted && !f.reached[push.Unknown]
		count(&row.Failed, below && f.last.Stage == push.Failed)
		count(&row.Expired, below && f.last.Stage == push.Expired)
	}
	return row
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
			got, err := store.Funnel(t.Context(), "demo", w[0], w[1])
			if want := expectedFunnel(rs, "", w[0], w[1]); err != nil || got != want {
				t.Errorf("got  %+v, %v\nwant %+v", got, err, want)
			}
			var want []FunnelRow
			for _, p := range providers {
				if row := expectedFunnel(rs, p, w[0], w[1]); row.Deliveries > 0 {
					want = append(want, row)
				}
			}
			byProvider, err := store.FunnelByProvider(t.Context(), "demo", w[0], w[1])
			if err != nil || !slices.Equal(byProvider, want) {
				t.Errorf("by provider: got  %+v, %v\nwant %+v", byProvider, err, want)
			}
		})
	}
}

// expectedTallies counts as push.Tally says, in Go, without the mean.
func expectedTallies(rs []push.Receipt) []push.Tally {
	type key struct {
		push.Group
		hour time.Time
	}
	tallies := map[key]*push.Tally{}
	seen := map[string]bool{}
	for _, r := range rs {
		if r.Provider == "" {
			continue
		}
		k := key{push.Group{Provider: r.Provider, Platform: r.Platform, Maker: r.Maker, Country: r.Country}, r.ReceivedAt.Add(-r.SinceAccepted).Truncate(time.Hour)}
		if tallies[k] == nil {
			tallies[k] = &push.Tally{Group: k.Group, Hour: k.hour}
		}
		first := func(what string, attempt int) uint64 {
			id := fmt.Sprint(what, r.Delivery, attempt, k)
			if seen[id] {
				return 0
			}
			seen[id] = true
			return 1
		}
		row := tallies[k]
		switch r.Stage { // a device's handed_over, as in this world, is no answer
		case push.Accepted:
			row.Attempts += first("attempt", r.Attempt)
			row.Accepted += first("accepted", r.Attempt)
		case push.Failed:
			row.Attempts += first("attempt", r.Attempt)
			row.Failed += first("failed", r.Attempt)
		case push.Unknown:
			row.Attempts += first("attempt", r.Attempt)
			row.Unknown += first("unknown", r.Attempt)
		case push.Delivered, push.Displayed, push.Clicked:
			row.Delivered += first("delivered", 0)
		}
	}
	var out []push.Tally
	for _, row := range tallies {
		out = append(out, *row)
	}
	slices.SortFunc(out, func(a, b push.Tally) int {
		return cmp.Or(a.Hour.Compare(b.Hour), cmp.Compare(a.Provider, b.Provider), cmp.Compare(a.Platform, b.Platform), cmp.Compare(a.Maker, b.Maker), cmp.Compare(a.Country, b.Country))
	})
	return out
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
	rows, err := store.Providers(t.Context(), "demo", dawn, dawn.Add(3*time.Hour))
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
	from, to := dawn, dawn.Add(4*time.Hour)
	var out string
	add := func(v any, err error) {
		if err != nil {
			t.Fatal(err)
		}
		out += fmt.Sprintf("%+v\n", v)
	}
	add(s.Funnel(t.Context(), "demo", from, to))
	add(s.Providers(t.Context(), "demo", from, to))
	add(s.Counts(t.Context(), "demo", from, to, time.Minute))
	add(s.Latency(t.Context(), "demo", from, to, time.Hour))
	add(s.TopErrors(t.Context(), "demo", from, to, 10))
	add(s.Tallies(t.Context(), from))
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

func TestTraceTellsTheStoryInOrder(t *testing.T) {
	store := openStore(t, clickhousetest.DSN(t))
	at := func(ms int) time.Time { return dawn.Add(time.Duration(ms) * time.Millisecond) }
	receipt := func(ms int, device string, attempt int, provider string, stage push.Stage, source push.Source) push.Receipt {
		return push.Receipt{
			App: "demo", Notification: "n", Delivery: "n.0." + device, Device: device, Attempt: attempt, Provider: provider,
			Stage: stage, Source: source, At: at(ms), ReceivedAt: at(ms), SinceAccepted: time.Duration(ms) * time.Millisecond,
		}
	}
	refused := receipt(10, "1", 1, "apns", push.Failed, push.VendorReply)
	refused.Kind, refused.Code, refused.Detail, refused.Why = "rejected", "400", "BadTopic", "best for ios"
	refused.Took = 1500 * time.Microsecond
	accepted := receipt(20, "1", 2, "sms", push.Accepted, push.VendorReply)
	accepted.ProviderID, accepted.CostMicros = "SM1", 45000
	clicked := receipt(40, "1", 2, "sms", push.Clicked, push.AppReport)
	delivered := receipt(40, "1", 2, "sms", push.Delivered, push.VendorCallback)
	expired := receipt(50, "2", 0, "", push.Expired, push.Herald)
	elsewhere := receipt(10, "3", 1, "apns", push.Accepted, push.VendorReply)
	elsewhere.App = "other"
	send(t, store, 2, []push.Receipt{clicked, expired, accepted, delivered, elsewhere, refused, delivered})

	first := push.Trace{
		ID: "n.0.1", Device: "1", Stage: push.Clicked,
		Attempts: []push.Attempt{
			{Number: 1, Provider: "apns", Stage: push.Failed, Kind: "rejected", Code: "400", Detail: "BadTopic", Why: "best for ios", At: at(10), TookMillis: 1.5},
			{Number: 2, Provider: "sms", ProviderID: "SM1", Stage: push.Accepted, At: at(20), CostMicros: 45000},
		},
		Receipts: []push.Proof{
			{Stage: push.Delivered, Source: push.VendorCallback, Provider: "sms", At: at(40), ReceivedAt: at(40), AfterMs: 40},
			{Stage: push.Clicked, Source: push.AppReport, Provider: "sms", At: at(40), ReceivedAt: at(40), AfterMs: 40},
		},
	}
	second := push.Trace{
		ID: "n.0.2", Device: "2", Stage: push.Expired, Attempts: []push.Attempt{},
		Receipts: []push.Proof{{Stage: push.Expired, Source: push.Herald, At: at(50), ReceivedAt: at(50), AfterMs: 50}},
	}
	tests := map[string]struct {
		app, device string
		limit       int
		want        []push.Trace
	}{
		"all devices":         {"demo", "", 10, []push.Trace{first, second}},
		"one device":          {"demo", "2", 10, []push.Trace{second}},
		"a device without it": {"demo", "3", 10, nil},
		"another app":         {"third", "", 10, nil},
		"page by page":        {"demo", "", 1, []push.Trace{first, second}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			var got []push.Trace
			after := ""
			for pages := 0; pages == 0 || after != ""; pages++ {
				page, next, err := store.Trace(t.Context(), tt.app, "n", tt.device, after, tt.limit)
				if err != nil || len(page) > tt.limit {
					t.Fatalf("page of %d, error %v", len(page), err)
				}
				got, after = append(got, page...), next
			}
			if !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got  %+v\nwant %+v", got, tt.want)
			}
		})
	}
	if _, _, err := store.Trace(t.Context(), "demo", "n", "", "nonsense", 1); err == nil {
		t.Error("a bad cursor was taken")
	}
}

func TestSeriesAndErrors(t *testing.T) {
	store := openStore(t, clickhousetest.DSN(t))
	rs := world(4, 500)
	send(t, store, 5000, rs)
	want, failures := map[CountPoint]uint64{}, uint64(0)
	for _, r := range rs {
		want[CountPoint{Start: r.ReceivedAt.Truncate(10 * time.Minute), Stage: string(r.Stage)}]++
		if r.Stage == push.Failed {
			failures++
		}
	}
	counts, err := store.Counts(t.Context(), "demo", dawn, dawn.Add(4*time.Hour), 10*time.Minute)
	if err != nil || len(counts) != len(want) {
		t.Fatalf("%d points, want %d: %v", len(counts), len(want), err)
	}
	for _, p := range counts {
		if n := want[CountPoint{Start: p.Start, Stage: p.Stage}]; n != p.Receipts {
			t.Errorf("%s at %s: %d, want %d", p.Stage, p.Start, p.Receipts, n)
		}
	}
	points, err := store.Latency(t.Context(), "demo", dawn, dawn.Add(4*time.Hour), time.Hour)
	if err != nil || len(points) < len(providers) {
		t.Fatalf("%d latency points: %v", len(points), err)
	}
	for _, p := range points {
		if p.P50Ms <= 0 || p.P95Ms < p.P50Ms || p.Delivered == 0 {
			t.Errorf("latency %+v", p)
		}
	}
	errs, err := store.TopErrors(t.Context(), "demo", dawn, dawn.Add(4*time.Hour), 2)
	if err != nil || len(errs) != 2 || errs[0].Receipts < errs[1].Receipts || errs[0].Code != "400" || errs[0].Detail != "BadTopic" {
		t.Errorf("top errors %+v, %v", errs, err)
	}
	if sum := errs[0].Receipts + errs[1].Receipts; sum >= failures {
		t.Errorf("two of three providers have %d of %d failures", sum, failures)
	}
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

func TestRankOfTheTableIsRankOfTheWords(t *testing.T) {
	store := openStore(t, clickhousetest.DSN(t))
	var rs []push.Receipt
	for i, stage := range append(slices.Clone(ladder), push.Failed, push.Unknown, push.Expired, push.Cancelled, push.Suppressed) {
		r := numbered(i)
		r.Stage = stage
		rs = append(rs, r)
	}
	send(t, store, 100, rs)
	type ranked struct {
		Stage string `ch:"stage"`
		Rank  uint8  `ch:"rank"`
	}
	got, err := rows[ranked](t.Context(), store, "ranks", "SELECT stage, rank FROM receipts")
	if err != nil || len(got) != len(rs) {
		t.Fatalf("%d rows, %v", len(got), err)
	}
	for _, r := range got {
		if want := push.Stage(r.Stage).Rank(); int(r.Rank) != want {
			t.Errorf("rank of %s is %d in the table, %d in Go", r.Stage, r.Rank, want)
		}
	}
}
