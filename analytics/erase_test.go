package analytics

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald/internal/clickhousetest"
	"github.com/herald-push/herald/push"
)

func TestEventsOfDevicesAreErasedAndNoOthers(t *testing.T) {
	store := openStore(t, clickhousetest.DSN(t))
	var rs []push.Receipt
	for i := range 200 {
		rs = append(rs, numbered(i))
	}
	odd, other := numbered(201), numbered(0)
	odd.Device, other.App = `o'dd\`, "other"
	send(t, store, 100, append(rs, odd, other))
	gone := []string{"d0", "d7", `o'dd\`}
	if n, err := store.OfDevices(t.Context(), "demo", gone); err != nil || n < 3 {
		t.Fatalf("%d events of the devices, %v", n, err)
	}
	for range 2 { // a second time there is nothing to do
		if err := store.EraseDevices(t.Context(), "demo", gone); err != nil {
			t.Fatal(err)
		}
	}
	if n, err := store.OfDevices(t.Context(), "demo", gone); err != nil || n != 0 {
		t.Errorf("%d events are left, %v", n, err)
	}
	if n, err := store.Rows(t.Context()); err != nil || n != 199 {
		t.Errorf("%d events of others, %v; want 199", n, err)
	}
}

func TestAnAppKeepsItsEventsForItsOwnTime(t *testing.T) {
	store := openStore(t, clickhousetest.DSN(t))
	spool := openSpool(t, DefaultSpoolConfig(t.TempDir()))
	for i, app := range []string{"demo", "demo", "other"} {
		r := numbered(i)
		r.App = app
		if i > 0 {
			r.SinceAccepted = 10 * 24 * time.Hour
		}
		record(t, spool, r)
	}
	w := newWriter(t, spool, store)
	w.config.AppRetentionDays = map[string]int{"demo": 7}
	run(t, w)
	eventually(t, "all events are in", func() bool { return w.Status().Rows == 3 })
	if err := store.prune(t.Context(), w.config.AppRetentionDays, time.Now()); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the old event of demo is gone, and no other", func() bool {
		n, err := store.Rows(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		demo, err := store.OfDevices(t.Context(), "demo", []string{"d0"})
		if err != nil {
			t.Fatal(err)
		}
		other, err := store.OfDevices(t.Context(), "other", []string{"d2"})
		if err != nil {
			t.Fatal(err)
		}
		return n == 2 && demo > 0 && other > 0
	})
	bad := WriterConfig{AppRetentionDays: map[string]int{"demo": 0}}
	if err := bad.Validate(); err == nil || !strings.Contains(err.Error(), "clickhouse.retention_days") || !strings.Contains(err.Error(), "clickhouse.app_retention_days.demo") {
		t.Errorf("faults: %v", err)
	}
}

func TestASpoolThatIsInUseIsCountedAndNotTouched(t *testing.T) {
	config := DefaultSpoolConfig(t.TempDir())
	s := openSpool(t, config)
	record(t, s, numbered(1), numbered(2), numbered(1))
	if err := EraseFromSpool(config.Dir, "demo", []string{"d1"}); !errors.Is(err, ErrSpoolTaken) {
		t.Errorf("erased from under a process: %v", err)
	}
	if n, err := SpoolOfDevices(config.Dir, "demo", []string{"d1"}); err != nil || n != 2 {
		t.Errorf("%d events, %v; want 2", n, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := EraseFromSpool(config.Dir, "demo", []string{"d1"}); err != nil {
		t.Fatal(err)
	}
	if n, err := SpoolOfDevices(config.Dir, "demo", []string{"d1"}); err != nil || n != 0 || len(drain(t, config.Dir)) != 1 {
		t.Errorf("%d events are left, %v", n, err)
	}
}
