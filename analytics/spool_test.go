package analytics

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/herald-push/herald/internal/clickhousetest"
	"github.com/herald-push/herald/push"
)

const envSpoolChild = "HERALD_TEST_SPOOL_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(envSpoolChild); dir != "" {
		recordForever(dir)
	}
	clickhousetest.Main(m)
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func openSpool(t *testing.T, config SpoolConfig) *Spool {
	t.Helper()
	s, err := OpenSpool(config, quiet())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func record(t *testing.T, s *Spool, rs ...push.Receipt) {
	t.Helper()
	if err := s.Record(t.Context(), rs...); err != nil {
		t.Fatal(err)
	}
}

// numbered is a receipt that can be told from others by its delivery.
func numbered(i int) push.Receipt {
	return push.Receipt{
		App: "demo", Notification: "n", Delivery: push.DeliveryID("n", 0, i), Device: fmt.Sprintf("d%d", i),
		Class: push.Chat, Provider: "apns", Attempt: 1, Stage: push.Accepted, Source: push.VendorReply,
		At: time.Now().UTC(), ReceivedAt: time.Now().UTC(),
	}
}

// drain returns the deliveries of all receipts in a folder, in order, as a new
// process would find them.
func drain(t *testing.T, dir string) []string {
	t.Helper()
	segments, err := findSegments(dir)
	if err != nil {
		t.Fatal(err)
	}
	var deliveries []string
	for _, seg := range segments {
		for _, r := range load(t, seg) {
			deliveries = append(deliveries, r.Delivery)
		}
	}
	return deliveries
}

// load returns all receipts of a segment, as the writer gets them.
func load(t *testing.T, seg *segment) (all []push.Receipt) {
	t.Helper()
	if _, err := seg.read(func(rs []push.Receipt) error {
		all = append(all, rs...)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

func TestEveryFieldOfAReceiptSurvivesTheSpool(t *testing.T) {
	var want push.Receipt
	v := reflect.ValueOf(&want).Elem()
	for i := range v.NumField() {
		switch f := v.Field(i); {
		case v.Type().Field(i).Name == "ID": // delivery, attempt and stage
		case v.Type().Field(i).Tag.Get("json") == "-": // written down nowhere
		case f.Kind() == reflect.Pointer:
			want.Decision = &push.Decision{
				Policy: "auto", Propensity: 0.25, Explored: true, Online: true, Wished: "fcm",
				Roads: []push.Candidate{
					{Provider: "fcm", Score: 0.5, Propensity: 0.75, Chance: 0.5, Seconds: 2.5},
					{Provider: "é", Score: -0.125, Propensity: 0.25, Chance: 0.25, Cost: 0.375},
				},
			}
		case f.Kind() == reflect.String:
			f.SetString(v.Type().Field(i).Name + " \x00é")
		case f.CanInt():
			f.SetInt(int64(-1000 - i))
		default:
			f.Set(reflect.ValueOf(time.Unix(1_700_000_000+int64(i), 123_456_789).UTC()))
		}
	}
	b := appendReceipt(appendReceipt(nil, &want), &push.Receipt{At: want.At, ReceivedAt: want.At})
	got, err := decodeReceipts(nil, b, latestVersion)
	if err != nil || len(got) != 2 {
		t.Fatalf("decoded %d receipts, error %v; want 2", len(got), err)
	}
	if !reflect.DeepEqual(got[0], want) {
		t.Errorf("got  %+v\nwant %+v", got[0], want)
	}
	for n := range b {
		if n == len(appendReceipt(nil, &want)) || n == 0 {
			continue // a whole receipt, or none
		}
		if _, err := decodeReceipts(nil, b[:n], latestVersion); err == nil {
			t.Errorf("the first %d of %d bytes were decoded without an error", n, len(b))
		}
	}
}

func TestSpoolsOfEarlierVersionsAreStillRead(t *testing.T) {
	// What each version did not write yet: of nothing decided its mark, then an
	// empty campaign, no road, no skew.
	for magic, less := range map[string]int{"HRLDSPL1": 4, "HRLDSPL2": 3, "HRLDSPL3": 0, segmentMagic: 0} {
		want := push.Receipt{App: "demo", Delivery: "n.0.0", Stage: push.Accepted, At: time.Unix(1_700_000_000, 0).UTC(), ReceivedAt: time.Unix(1_700_000_001, 0).UTC()}
		b := make([]byte, frameHeader)
		b = appendReceipt(b, &want)
		b = b[:len(b)-less]
		finishFrame(b)
		got, torn, err := decodeSegment(append([]byte(magic), b...))
		if err != nil || torn != 0 || len(got) != 1 || !reflect.DeepEqual(got[0], want) {
			t.Errorf("%s: read %+v, %d bytes torn, %v; want %+v", magic, got, torn, err, want)
		}
	}
}

func TestReceiptsOutOfRangeAreBroughtIntoIt(t *testing.T) {
	now := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	tests := map[string]struct{ in, want push.Receipt }{
		"no times at all": {
			push.Receipt{}, push.Receipt{At: now, ReceivedAt: now},
		},
		"device in the year 1": {
			push.Receipt{At: time.Time{}, ReceivedAt: now}, push.Receipt{At: now, ReceivedAt: now},
		},
		"received in the future": {
			push.Receipt{At: now, ReceivedAt: now.Add(48 * time.Hour)}, push.Receipt{At: now, ReceivedAt: now},
		},
		"proof before acceptance": {
			push.Receipt{At: now, ReceivedAt: now, SinceAccepted: -5, Took: -5}, push.Receipt{At: now, ReceivedAt: now},
		},
		"accepted a year ago": {
			push.Receipt{At: now, ReceivedAt: now, SinceAccepted: 9000 * time.Hour}, push.Receipt{At: now, ReceivedAt: now, SinceAccepted: maxAge},
		},
		"a clock two hours fast": {
			push.Receipt{At: now.Add(2 * time.Hour), ReceivedAt: now, SinceAccepted: time.Second},
			push.Receipt{At: now, ReceivedAt: now, SinceAccepted: time.Second, Skew: 2 * time.Hour},
		},
		"a clock a day slow": {
			push.Receipt{At: now.Add(-24 * time.Hour), ReceivedAt: now, SinceAccepted: time.Second},
			push.Receipt{At: now.Add(-time.Second), ReceivedAt: now, SinceAccepted: time.Second, Skew: time.Second - 24*time.Hour},
		},
		"a clock that is nearly right": {
			push.Receipt{At: now.Add(30 * time.Second), ReceivedAt: now}, push.Receipt{At: now.Add(30 * time.Second), ReceivedAt: now},
		},
		"seen days ago and told today": {
			push.Receipt{At: now.Add(-72 * time.Hour), ReceivedAt: now, SinceAccepted: 73 * time.Hour},
			push.Receipt{At: now.Add(-72 * time.Hour), ReceivedAt: now, SinceAccepted: 73 * time.Hour},
		},
		"a clock of another century": {
			push.Receipt{At: now.AddDate(400, 0, 0), ReceivedAt: now}, push.Receipt{At: now, ReceivedAt: now, Skew: maxSkew},
		},
		"long words": {
			push.Receipt{At: now, ReceivedAt: now, Detail: strings.Repeat("é", 200)}, push.Receipt{At: now, ReceivedAt: now, Detail: strings.Repeat("é", 128)},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			tidy(&tt.in, now)
			if tt.in != tt.want {
				t.Errorf("got  %+v\nwant %+v", tt.in, tt.want)
			}
		})
	}
}

func TestConcurrentCallersAreAllRecordedOnce(t *testing.T) {
	config := DefaultSpoolConfig(t.TempDir())
	config.SegmentRows = 500 // many segments
	s := openSpool(t, config)
	const callers, each = 16, 250
	var wg sync.WaitGroup
	for c := range callers {
		wg.Go(func() {
			for i := range each {
				if err := s.Record(context.Background(), numbered(c*each+i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	seen := map[string]int{}
	for _, d := range drain(t, config.Dir) {
		seen[d]++
	}
	for i := range callers * each {
		if n := seen[numbered(i).Delivery]; n != 1 {
			t.Fatalf("receipt %d is in the spool %d times", i, n)
		}
	}
	if st := s.Status(); st.Recorded != callers*each || st.Segments < callers*each/500 {
		t.Errorf("status %+v", st)
	}
}

func TestASegmentIsReadInPartsAndInOrder(t *testing.T) {
	const all = 2*partRows + partRows/2
	config := DefaultSpoolConfig(t.TempDir())
	config.SegmentRows = all
	s := openSpool(t, config)
	for i := range all {
		record(t, s, numbered(i))
	}
	seg, err := s.next(t.Context(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	n, parts := 0, 0
	torn, err := seg.read(func(rs []push.Receipt) error {
		for _, r := range rs {
			if r.Delivery != numbered(n).Delivery {
				t.Fatalf("receipt %d is of delivery %s", n, r.Delivery)
			}
			n++
		}
		parts++
		return nil
	})
	if err != nil || torn != 0 || n != all || parts != 3 {
		t.Errorf("%d receipts in %d parts, %d bytes torn: %v", n, parts, torn, err)
	}
	gone := errors.New("gone")
	if _, err := seg.read(func([]push.Receipt) error { return gone }); !errors.Is(err, gone) || errors.Is(err, errUnreadable) {
		t.Errorf("the reader's error is %v", err)
	}
}

func TestTornTailLosesOnlyWhatWasNotAcknowledged(t *testing.T) {
	dir := t.TempDir()
	s := openSpool(t, DefaultSpoolConfig(dir))
	var ends []int64 // size of the file after each acknowledgement
	for i := range 4 {
		record(t, s, numbered(2*i), numbered(2*i+1))
		ends = append(ends, s.open.size)
	}
	whole, err := os.ReadFile(s.open.path)
	if err != nil {
		t.Fatal(err)
	}
	for size := range len(whole) + 1 {
		want := 0
		for _, end := range ends {
			if int64(size) >= end {
				want += 2
			}
		}
		got, torn, err := decodeSegment(whole[:size])
		if err != nil || len(got) != want {
			t.Fatalf("%d of %d bytes: %d receipts, error %v; want %d", size, len(whole), len(got), err, want)
		}
		if clean := torn == 0; clean != (size == 0 || size == len(segmentMagic) || slices.Contains(ends, int64(size))) {
			t.Fatalf("%d of %d bytes: %d bytes are said to be torn", size, len(whole), torn)
		}
	}
	damaged := append([]byte(nil), whole...)
	damaged[ends[1]+frameHeader+3] ^= 0xff
	if got, torn, err := decodeSegment(damaged); err != nil || len(got) != 4 || torn == 0 {
		t.Errorf("damage in the third frame: %d receipts, %d torn, error %v; want the first 4", len(got), torn, err)
	}
}

func TestFullSpoolSaysSo(t *testing.T) {
	config := DefaultSpoolConfig(t.TempDir())
	config.MaxBytes = 2000
	s := openSpool(t, config)
	var err error
	recorded := 0
	for ; err == nil && recorded < 1000; recorded++ {
		err = s.Record(t.Context(), numbered(recorded))
	}
	if !errors.Is(err, ErrFull) {
		t.Fatalf("after %d receipts: %v, want ErrFull", recorded, err)
	}
	st := s.Status()
	if st.Refused != 1 || st.Bytes > config.MaxBytes+300 {
		t.Errorf("status %+v", st)
	}
	seg, _ := s.oldest(0)
	if err := s.forget(seg); err != nil {
		t.Fatal(err)
	}
	if err := s.Record(t.Context(), numbered(0)); err != nil {
		t.Errorf("after ClickHouse took a segment: %v", err)
	}
}

func TestDiskThatFailsIsAnErrorAndLosesNothingBefore(t *testing.T) {
	dir := t.TempDir()
	s := openSpool(t, DefaultSpoolConfig(dir))
	record(t, s, numbered(0))
	_ = s.open.file.Close() // every write fails from now on
	if err := s.Record(t.Context(), numbered(1)); err == nil {
		t.Fatal("a write to a closed file went well")
	}
	record(t, s, numbered(2)) // a new segment was begun
	if got := drain(t, dir); !reflect.DeepEqual(got, []string{numbered(0).Delivery, numbered(2).Delivery}) {
		t.Errorf("the spool holds %v", got)
	}
}

func TestSecondProcessMayNotOpenTheSpool(t *testing.T) {
	dir := t.TempDir()
	s := openSpool(t, DefaultSpoolConfig(dir))
	if _, err := OpenSpool(DefaultSpoolConfig(dir), quiet()); err == nil {
		t.Error("two spools on one folder")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	openSpool(t, DefaultSpoolConfig(dir))
}

func TestSpoolSurvivesKill(t *testing.T) {
	dir := t.TempDir()
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
	child.Env = append(os.Environ(), envSpoolChild+"="+dir)
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	acknowledged := 0
	for lines := bufio.NewScanner(out); acknowledged < 2000 && lines.Scan(); {
		acknowledged++
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	rest, _ := io.ReadAll(out) // acknowledged before the kill, read after it
	acknowledged += strings.Count(string(rest), "\n")
	_ = child.Wait()

	s := openSpool(t, DefaultSpoolConfig(dir)) // its lock died with the child
	found := drain(t, dir)
	if len(found) < acknowledged || acknowledged < 2000 {
		t.Fatalf("%d receipts in the spool, %d were acknowledged", len(found), acknowledged)
	}
	for i, d := range found {
		if d != numbered(i).Delivery {
			t.Fatalf("receipt %d is %s", i, d)
		}
	}
	record(t, s, numbered(len(found)))
	if got := drain(t, dir); len(got) != len(found)+1 {
		t.Errorf("%d receipts after one more, want %d", len(got), len(found)+1)
	}
}

// recordForever is the child of [TestSpoolSurvivesKill]: a line for each
// receipt that was acknowledged.
func recordForever(dir string) {
	s, err := OpenSpool(DefaultSpoolConfig(dir), quiet())
	if err != nil {
		panic(err)
	}
	for i := 0; ; i++ {
		if err := s.Record(context.Background(), numbered(i)); err != nil {
			panic(err)
		}
		fmt.Println(i)
	}
}

func TestSegmentsOfAnotherVersionAreNotRead(t *testing.T) {
	path := filepath.Join(t.TempDir(), "0000000000000001-00000001"+segmentSuffix)
	if err := os.WriteFile(path, []byte("HRLDSPL9whatever"), 0o600); err != nil {
		t.Fatal(err)
	}
	seg := &segment{path: path}
	if _, err := seg.read(func([]push.Receipt) error { return nil }); !errors.Is(err, errUnreadable) {
		t.Errorf("read with %v", err)
	}
}
