package redisstore

import (
	"testing"
	"time"
)

var lateToday = time.Now().Add(6 * time.Hour)

func lease(used, holds, wants, limit int64) []Lease {
	return []Lease{{App: "demo", Provider: "oppo", Quota: "public", Day: "20260301", Ends: lateToday, Used: used, Holds: holds, Wants: wants, Limit: limit}}
}

func TestBlocksShrinkAndComeBack(t *testing.T) {
	q := NewQuotas(connect(t))
	now := time.Now()
	ask := func(worker string, at time.Time, l []Lease) Grant {
		t.Helper()
		g, err := q.Lease(t.Context(), at, worker, l)
		if err != nil {
			t.Fatal(err)
		}
		return g[0]
	}
	if g := ask("a", now, lease(0, 0, 1000, 1000)); g.More != 250 {
		t.Errorf("first block = %d, want a quarter", g.More)
	}
	if g := ask("b", now, lease(0, 0, 100, 1000)); g.More != 100 {
		t.Errorf("a small block = %d, want what was asked", g.More)
	}
	if g := ask("b", now, lease(100, 0, 1000, 1000)); g.More != 163 || g.Used != 100 { // of 650
		t.Errorf("next block = %+v, want 163 after 100 used", g)
	}
	// b is killed. What it held is a's again once its lease has ended.
	var got, rounds int64 = 250, 0
	for ; got < 2000; rounds++ {
		g := ask("a", now, lease(0, got, 1000, 1000))
		if got += g.More; g.More == 0 {
			break
		}
	}
	if got != 1000-100-163 {
		t.Errorf("a holds %d, want all but what b used and holds", got)
	}
	if g := ask("a", now.Add(quotaLease+time.Second), lease(0, got, 1000, 1000)); g.More == 0 {
		t.Error("what a killed worker held did not come back")
	}
	// a ends, having used 500 and giving back the rest.
	if g := ask("a", now.Add(quotaLease+time.Second), lease(500, 0, 0, 1000)); g.Used != 600 {
		t.Errorf("%d used, want 600", g.Used)
	}
	if g := ask("c", now.Add(quotaLease+time.Second), lease(0, 0, 400, 1000)); g.More != 100 {
		t.Errorf("block = %d, want a quarter of the 400 that are left", g.More)
	}
	if g := ask("c", now, lease(7, 0, 50, 0)); g.More != 50 || g.Used != 607 {
		t.Errorf("without a limit: %+v, want whatever is asked, counted", g)
	}
}

func TestDevicesHaveQuotasOfTheirOwn(t *testing.T) {
	q := NewQuotas(connect(t))
	use := func(device string) DeviceUse {
		return DeviceUse{App: "demo", Provider: "huawei", Quota: "ads", Day: "20260301", Device: device, Ends: lateToday, Limit: 2}
	}
	over := func(devices ...string) (n int) {
		t.Helper()
		uses := make([]DeviceUse, len(devices))
		for i, d := range devices {
			uses[i] = use(d)
		}
		got, err := q.Use(t.Context(), uses)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range got {
			if o {
				n++
			}
		}
		return n
	}
	if n := over("d1", "d1", "d1", "d2"); n != 1 {
		t.Errorf("%d are over, want the third of d1", n)
	}
	for range 3 { // what is over is not counted
		if n := over("d1", "d2"); n < 1 {
			t.Errorf("%d are over, want d1's", n)
		}
	}
	if err := q.Return(t.Context(), []DeviceUse{use("d1")}); err != nil {
		t.Fatal(err)
	}
	if n := over("d1"); n != 0 {
		t.Error("what was given back cannot be used")
	}
	if n := over("d1"); n != 1 {
		t.Error("it was given back twice")
	}
	keys, err := q.rdb.Keys(t.Context(), "herald:{demo/v:*").Result()
	if err != nil || len(keys) == 0 {
		t.Fatalf("keys = %v, %v", keys, err)
	}
	for _, key := range keys {
		if ttl := q.rdb.TTL(t.Context(), key).Val(); ttl <= 0 || ttl > 8*time.Hour {
			t.Errorf("%s goes in %v, want an hour after the day", key, ttl)
		}
	}
}
