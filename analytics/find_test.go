package analytics

import (
	"slices"
	"testing"
	"time"

	"github.com/herald-push/herald/internal/clickhousetest"
	"github.com/herald-push/herald/push"
)

func TestNotificationsAreFound(t *testing.T) {
	store := openStore(t, clickhousetest.DSN(t))
	rs := world(9, 400) // n0 to n3, a hundred deliveries each
	send(t, store, 5000, rs)
	all := push.NotificationQuery{Since: dawn.Add(-time.Hour), Until: dawn.Add(4 * time.Hour), Limit: 10}
	tests := map[string]struct {
		narrow  func(*push.NotificationQuery)
		devices []string
		want    int
	}{
		"all":               {func(*push.NotificationQuery) {}, nil, 4},
		"a limit":           {func(q *push.NotificationQuery) { q.Limit = 2 }, nil, 2},
		"a part of an id":   {func(q *push.NotificationQuery) { q.ID = "N3" }, nil, 1},
		"another class":     {func(q *push.NotificationQuery) { q.Class = push.OTP }, nil, 0},
		"its class":         {func(q *push.NotificationQuery) { q.Class = push.Chat }, nil, 4},
		"to a device":       {func(*push.NotificationQuery) {}, []string{"device-7"}, 4},
		"to nobody we know": {func(*push.NotificationQuery) {}, []string{"device-x"}, 0},
		"of another time":   {func(q *push.NotificationQuery) { q.Until = dawn.Add(-time.Minute) }, nil, 0},
	}
	for name, tt := range tests {
		q := all
		tt.narrow(&q)
		got, err := store.Find(t.Context(), "demo", q, tt.devices)
		if err != nil || len(got) != tt.want {
			t.Errorf("%s: %d, %v; want %d", name, len(got), err, tt.want)
		}
		if !slices.IsSortedFunc(got, func(a, b RecentRow) int { return b.AcceptedAt.Compare(a.AcceptedAt) }) {
			t.Errorf("%s: not the newest first", name)
		}
	}
}

func TestADeviceIsToldOf(t *testing.T) {
	store := openStore(t, clickhousetest.DSN(t))
	rs := world(11, 400)
	send(t, store, 5000, rs)
	type tried struct{ attempts, delivered map[string]bool }
	want := map[string]tried{}
	for _, r := range rs {
		if r.Device != "device-5" || r.Provider == "" {
			continue
		}
		if want[r.Provider].attempts == nil {
			want[r.Provider] = tried{map[string]bool{}, map[string]bool{}}
		}
		if r.Source == push.VendorReply {
			want[r.Provider].attempts[r.Delivery+string(rune(r.Attempt))] = true
		}
		if r.Stage.Rank() >= push.Delivered.Rank() {
			want[r.Provider].delivered[r.Delivery] = true
		}
	}
	roads, err := store.DeviceRoads(t.Context(), "demo", "device-5", dawn.Add(-time.Hour))
	if err != nil || len(roads) != len(want) {
		t.Fatalf("%d roads, %v; want %d", len(roads), err, len(want))
	}
	for _, r := range roads {
		if w := want[r.Provider]; r.Attempts != uint64(len(w.attempts)) || r.Delivered != uint64(len(w.delivered)) || r.LastTried.IsZero() {
			t.Errorf("%+v, want %d attempts and %d delivered", r, len(w.attempts), len(w.delivered))
		}
		if (r.Failed > 0) != (r.LastError == "rejected 400") || (r.Delivered > 0) == r.LastProof.IsZero() {
			t.Errorf("%+v does not agree with itself", r)
		}
	}
	recent, err := store.DeviceRecent(t.Context(), "demo", "device-5", dawn.Add(-time.Hour), 3)
	if err != nil || len(recent) != 3 || recent[0].Class != "chat" || recent[0].Stage == "" {
		t.Errorf("recent: %+v, %v", recent, err)
	}
}
