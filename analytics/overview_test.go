package analytics

import (
	"testing"
	"time"

	"github.com/herald-push/herald/internal/clickhousetest"
)

func TestRecentListsTheNewestWithTheirFunnels(t *testing.T) {
	store := openStore(t, clickhousetest.DSN(t))
	rs := world(6, 1000) // ten notifications
	send(t, store, 5000, rs)
	recent, err := store.Recent(t.Context(), "demo", dawn.Add(-time.Hour), 4)
	if err != nil || len(recent) != 4 {
		t.Fatalf("%d recent, want 4: %v", len(recent), err)
	}
	for i, r := range recent {
		if i > 0 && r.AcceptedAt.After(recent[i-1].AcceptedAt) {
			t.Errorf("%s is newer than the one above", r.Notification)
		}
		if r.Deliveries != 100 || r.Class != "chat" || r.Accepted == 0 || r.Accepted > r.Deliveries {
			t.Errorf("recent %+v", r)
		}
	}
}
