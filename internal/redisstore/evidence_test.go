package redisstore

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/herald-push/herald/push"
)

// known is a source with one device.
type known struct{ Source }

func (known) Devices(_ context.Context, app string, ids []string) ([]*push.Device, error) {
	all := make([]*push.Device, len(ids))
	for i, id := range ids {
		if id == "phone" {
			all[i] = &push.Device{App: app, ID: id, Platform: "android"}
		}
	}
	return all, nil
}

func TestEvidenceTravelsWithTheDevice(t *testing.T) {
	rdb := connect(t)
	brains, devices := NewBrains(rdb), NewDevices(rdb, known{})
	evidence := strings.Repeat("\x00\xff", 16)
	key := push.DeviceKey{App: "demo", ID: "phone"}
	if _, err := brains.KeepEvidence(t.Context(), []push.DeviceKey{key}, []string{""}, []string{evidence}); err != nil {
		t.Fatal(err)
	}
	for _, when := range []string{"from the source", "from the cache"} {
		found, err := devices.Devices(t.Context(), "demo", []string{"nobody", "phone"})
		if err != nil || found[0] != nil || found[1] == nil || found[1].Evidence != evidence {
			t.Errorf("%s: %+v, %v; want the phone with its evidence", when, found, err)
		}
	}
	if err := devices.Changed(t.Context(), "demo", "phone"); err != nil {
		t.Fatal(err)
	}
	got, err := brains.Evidence(t.Context(), []push.DeviceKey{{App: "demo", ID: "nobody"}, key})
	if err != nil || got[0] != "" || got[1] != evidence {
		t.Errorf("after a change of the device: %q, %v; want its evidence kept", got, err)
	}
}

func TestEvidenceThatOthersChangedStands(t *testing.T) {
	brains := NewBrains(connect(t))
	a, b := push.DeviceKey{App: "demo", ID: "a"}, push.DeviceKey{App: "demo", ID: "b"}
	for _, step := range []struct {
		when                       string
		wasA, wasB, beA, beB, a, b string
	}{
		{"nothing was there", "", "", "a1", "b1\x00", "a1", "b1\x00"},
		{"it is as it was read", "a1", "b1\x00", "a2", "b2", "a2", "b2"},
		{"one has changed since", "a1", "b2", "a3", "b3", "a2", "b3"},
		{"one was thought to be new", "a2", "", "a4", "b4", "a4", "b3"},
	} {
		got, err := brains.KeepEvidence(t.Context(), []push.DeviceKey{a, b}, []string{step.wasA, step.wasB}, []string{step.beA, step.beB})
		if err != nil || got[0] != step.a || got[1] != step.b {
			t.Fatalf("%s: %q stands, %v; want %q and %q", step.when, got, err, step.a, step.b)
		}
		if kept, err := brains.Evidence(t.Context(), []push.DeviceKey{a, b}); err != nil || kept[0] != step.a || kept[1] != step.b {
			t.Errorf("%s: %q is kept, %v; want %q and %q", step.when, kept, err, step.a, step.b)
		}
	}
}

func TestNewsReachThoseWhoListen(t *testing.T) {
	brains := NewBrains(connect(t))
	_, at, err := brains.Hear(t.Context(), "")
	if err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if err := brains.Tell(t.Context(), fmt.Appendf(nil, "news %d", i)); err != nil {
			t.Fatal(err)
		}
	}
	news, last, err := brains.Hear(t.Context(), at)
	if err != nil || len(news) != 3 || string(news[2]) != "news 2" {
		t.Fatalf("heard %q, %v; want three", news, err)
	}
	if again, _, err := brains.Hear(t.Context(), last); err != nil || len(again) != 0 {
		t.Errorf("heard %q again, %v", again, err)
	}
}

func TestASnapshotIsKeptOncePerSpan(t *testing.T) {
	brains := NewBrains(connect(t))
	if got, at, err := brains.Snapshot(t.Context()); got != nil || at == "" || err != nil {
		t.Fatalf("before any: %q at %q, %v", got, at, err)
	}
	for _, text := range []string{"first", "second"} {
		if err := brains.KeepSnapshot(t.Context(), []byte(text), "7-1", time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	if got, at, err := brains.Snapshot(t.Context()); string(got) != "first" || at != "7-1" || err != nil {
		t.Errorf("kept %q at %q, %v; want the first alone", got, at, err)
	}
	if err := brains.KeepSnapshot(t.Context(), []byte("last"), "8-1", 0); err != nil {
		t.Fatal(err)
	}
	if got, _, _ := brains.Snapshot(t.Context()); string(got) != "last" {
		t.Errorf("kept %q, want what a worker leaves as it ends", got)
	}
}

func TestSpendingAddsUpByDay(t *testing.T) {
	brains := NewBrains(connect(t))
	for _, step := range []struct {
		day       string
		add, want int64
	}{{"2026-01-01", 5, 5}, {"2026-01-01", 7, 12}, {"2026-01-02", 1, 1}} {
		if got, err := brains.Spend(t.Context(), "demo", step.day, step.add); err != nil || got != step.want {
			t.Errorf("%s: spent %d, %v; want %d", step.day, got, err, step.want)
		}
	}
}
