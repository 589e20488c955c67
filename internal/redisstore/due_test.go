package redisstore

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

func TestWhatIsDueIsHandedOutOnce(t *testing.T) {
	d := NewDue(connect(t))
	past, future := time.Now().Add(-time.Second), time.Now().Add(time.Hour)
	put := func(at time.Time, texts ...string) {
		t.Helper()
		for _, text := range texts {
			if err := d.Put(t.Context(), "bulk", DueEntry{at, text}); err != nil {
				t.Fatal(err)
			}
		}
	}
	put(past.Add(time.Second/2), "1 c")
	put(past, "100 a", "100 b")
	put(future, "1 z")
	take := func(most int) []string {
		t.Helper()
		lot, ok, err := d.Take(t.Context(), "bulk", most, time.Minute)
		if err != nil || ok != (len(lot.Entries) > 0) {
			t.Fatalf("Take() = %+v, %v, %v", lot, ok, err)
		}
		return lot.Entries
	}
	for i, want := range [][]string{{"100 a"}, {"100 b", "1 c"}, nil} {
		if got := take(100 + i); !slices.Equal(got, want) {
			t.Errorf("lot %d = %q, want %q", i+1, got, want)
		}
	}
	s, err := d.State(t.Context(), "bulk")
	if err != nil || s.Entries != 1 || s.Held != 2 || s.Oldest.Before(future) {
		t.Errorf("State() = %+v, %v; want 1 entry in an hour and 2 lots in hand", s, err)
	}
}

func TestLotOfTheDeadIsHandedOutAgain(t *testing.T) {
	d := NewDue(connect(t))
	if err := d.Put(t.Context(), "bulk", DueEntry{time.Now().Add(-time.Second), "1 a"}); err != nil {
		t.Fatal(err)
	}
	take := func() (Lot, bool) {
		t.Helper()
		lot, ok, err := d.Take(t.Context(), "bulk", 100, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		return lot, ok
	}
	first, _ := take()
	if lot, ok := take(); ok {
		t.Fatalf("%+v was handed out while somebody had it", lot)
	}
	if err := d.Keep(t.Context(), "bulk", time.Now().Add(-time.Second), first.Name); err != nil {
		t.Fatal(err)
	}
	again, ok := take()
	if !ok || again.Name != first.Name || !slices.Equal(again.Entries, first.Entries) || !again.Since.IsZero() {
		t.Errorf("again = %+v, want %+v", again, first)
	}
	if err := d.Reclaim(t.Context(), "bulk"); err != nil {
		t.Fatal(err)
	}
	again, _ = take()
	if err := d.Done(t.Context(), "bulk", again.Name); err != nil {
		t.Fatal(err)
	}
	if err := d.Reclaim(t.Context(), "bulk"); err != nil {
		t.Fatal(err)
	}
	if lot, ok := take(); ok {
		t.Errorf("%+v was handed out after it was done", lot)
	}
}

// The answer to a take is lost, and the client asks again by the same name.
func TestLostAnswerIsGivenAgain(t *testing.T) {
	rdb := connect(t)
	d := NewDue(rdb)
	if err := d.Put(t.Context(), "bulk", DueEntry{time.Now().Add(-time.Second), "1 a"}); err != nil {
		t.Fatal(err)
	}
	k := keysOfDue("bulk")
	for range 2 {
		if err := d.Put(t.Context(), "bulk", DueEntry{time.Now().Add(-time.Second), "1 b"}); err != nil {
			t.Fatal(err)
		}
		cmds, err := run(t.Context(), rdb, []call{{d.take, k.ticks, []any{
			k.lists, k.count, k.leases, k.held, time.Now().UnixMilli(), time.Now().Add(time.Minute).UnixMilli(), "lot", 1,
		}}})
		if err != nil {
			t.Fatal(err)
		}
		if answer, err := cmds[0].StringSlice(); err != nil || answer[1] != "1 a" {
			t.Errorf("answer = %q, %v; want the lot with a", answer, err)
		}
	}
}

func TestTicksNeverComeTooEarly(t *testing.T) {
	now := time.UnixMilli(1_764_000_000_001)
	for _, far := range []time.Duration{-time.Second, 0, time.Millisecond, 49 * time.Millisecond, time.Second, 2 * time.Minute, 2 * time.Hour} {
		at := now.Add(far)
		late := time.UnixMilli(tick(at, now)).Sub(at)
		if most := max(50*time.Millisecond, far/60); late < 0 || late > most {
			t.Errorf("in %v: %v late, want 0 to %v", far, late, most)
		}
	}
}

// A million deadlines of single notifications, half a minute ahead, fit into
// 64 MiB of Redis. Measured on a twentieth of them.
func TestDeadlinesAreSmall(t *testing.T) {
	rdb := connect(t)
	d := NewDue(rdb)
	const n = 50_000
	begin := time.Now().Add(time.Minute)
	used := func() int64 {
		t.Helper()
		var bytes int64
		if text, err := rdb.Info(t.Context(), "memory").Result(); err != nil {
			t.Fatal(err)
		} else if _, err := fmt.Sscanf(text[len("# Memory\r\n"):], "used_memory:%d", &bytes); err != nil {
			t.Fatal(err)
		}
		return bytes
	}
	before := used()
	for i := 0; i < n; i += 100 {
		entries := make([]DueEntry, 100)
		for k := range entries {
			entries[k] = DueEntry{begin.Add(time.Duration(i+k) * 30 * time.Second / n), fmt.Sprintf("1 c shop order-%d 0 0", 1_000_000+i+k)}
		}
		if err := d.Put(t.Context(), "default", entries...); err != nil {
			t.Fatal(err)
		}
	}
	each := float64(used()-before) / n
	t.Logf("%.1f bytes a deadline", each)
	if each > 64<<20/1e6 {
		t.Errorf("%.1f bytes a deadline, want at most 67", each)
	}
}
