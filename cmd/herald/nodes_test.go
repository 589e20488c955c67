package main

import (
	"testing"
	"time"

	"github.com/herald-push/herald/longconn"
)

func TestWhatIsUnacknowledgedIsOfTheLastMinute(t *testing.T) {
	t.Parallel()
	at := func(s int) time.Time { return time.Unix(int64(1e9+s), 0) }
	c := crier{last: []heard{
		{longconn.Snapshot{Delivered: 1000, Acked: 900}, at(0)}, // a hundred were lost long ago
		{longconn.Snapshot{Delivered: 1010, Acked: 905}, at(2)},
		{longconn.Snapshot{Delivered: 1030, Acked: 910}, at(4)},
	}}
	for name, tt := range map[string]struct {
		acked  uint64
		n      uint64
		oldest float64
	}{
		"all":            {930, 0, 0},
		"more than that": {940, 0, 0},
		"some of late":   {918, 12, 2},
		"none":           {900, 30, 4},
	} {
		n, oldest := c.unacknowledged(longconn.Snapshot{Delivered: 1030, Acked: tt.acked}, at(6))
		if n != tt.n || oldest != tt.oldest {
			t.Errorf("%s: %d for %v s, want %d for %v s", name, n, oldest, tt.n, tt.oldest)
		}
	}
}
