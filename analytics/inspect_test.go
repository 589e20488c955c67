package analytics

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/herald-push/herald/internal/clickhousetest"
	"github.com/herald-push/herald/push"
)

func TestSpoolIsInspectedWhileItIsInUse(t *testing.T) {
	config := DefaultSpoolConfig(t.TempDir())
	config.SegmentRows = 2
	s := openSpool(t, config)
	old := numbered(0)
	old.ReceivedAt = time.Now().Add(-3 * time.Hour).UTC()
	record(t, s, old, numbered(1))
	record(t, s, numbered(2))
	file, err := os.OpenFile(s.open.path, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := file.WriteString("torn!"); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(config.Dir, "x"+segmentSuffix+".bad"), []byte("?"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := InspectSpool(config.Dir)
	if err != nil || len(got.Segments) != 3 || got.Events != 3 || !got.Oldest.Equal(old.ReceivedAt) {
		t.Fatalf("%+v, %v", got, err)
	}
	if g := got.Segments; g[0].Events != 2 || g[0].Torn != 0 || g[1].Events != 1 || g[1].Torn != 5 || g[2].Fault == "" {
		t.Errorf("segments %+v", g)
	}
}

func TestATornTailAfterAKillIsReplayedWithoutIt(t *testing.T) {
	store := openStore(t, clickhousetest.DSN(t))
	config := DefaultSpoolConfig(t.TempDir())
	dead := openSpool(t, config)
	record(t, dead, numbered(0), numbered(1))
	record(t, dead, numbered(2))
	path, size := dead.open.path, dead.open.size
	if err := dead.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, size-7); err != nil { // the last write did not end
		t.Fatal(err)
	}
	spool := openSpool(t, config)
	record(t, spool, numbered(3))
	sendAll(t, spool, store)
	if n, err := store.Rows(t.Context()); err != nil || n != 3 {
		t.Errorf("%d events, %v; want the two before the torn one and the one after", n, err)
	}
}

func TestASegmentIsRewrittenWithoutSomebody(t *testing.T) {
	config := DefaultSpoolConfig(t.TempDir())
	s := openSpool(t, config)
	record(t, s, numbered(0), numbered(1), numbered(2))
	path := s.open.path
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	seg := &segment{path: path}
	notOne := func(r *push.Receipt) bool { return r.Device != "d1" }
	for want := range 2 {
		gone, err := seg.keep(notOne)
		if err != nil || gone != 1-want {
			t.Errorf("%d receipts are gone, %v; want %d", gone, err, 1-want)
		}
	}
	if left := drain(t, config.Dir); len(left) != 2 {
		t.Errorf("left %v", left)
	}
}
