package scheduler

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/herald-push/herald/push"
)

func TestFiringsByTheClockOnTheWall(t *testing.T) {
	tests := map[string]struct{ line, zone, after, want string }{
		"every weekday at nine":                        {"0 9 * * 1-5", "Europe/Berlin", "2026-03-06T08:00:00Z", "2026-03-09T08:00:00Z 2026-03-10T08:00:00Z"},
		"nine stays nine when summer begins":           {"0 9 * * *", "Europe/Berlin", "2026-03-28T09:00:00Z", "2026-03-29T07:00:00Z 2026-03-30T07:00:00Z"},
		"what spring skips comes later":                {"30 2 * * *", "Europe/Berlin", "2026-03-28T02:00:00Z", "2026-03-29T01:30:00Z 2026-03-30T00:30:00Z"},
		"what autumn has twice comes once":             {"30 2 * * *", "Europe/Berlin", "2026-10-24T02:00:00Z", "2026-10-25T00:30:00Z 2026-10-26T01:30:00Z"},
		"begun between the two":                        {"30 2 * * *", "Europe/Berlin", "2026-10-25T01:00:00Z", "2026-10-26T01:30:00Z"},
		"the hour that is skipped is no second firing": {"0 * * * *", "Europe/Berlin", "2026-03-29T00:00:00Z", "2026-03-29T01:00:00Z 2026-03-29T02:00:00Z"},
		"a word":        {"@monthly", "Asia/Shanghai", "2026-03-06T08:00:00Z", "2026-03-31T16:00:00Z"},
		"29 February":   {"0 0 29 2 *", "UTC", "2026-03-06T08:00:00Z", "2028-02-29T00:00:00Z"},
		"never":         {"0 0 30 2 *", "UTC", "2026-03-06T08:00:00Z", "error"},
		"not cron":      {"at noon", "UTC", "2026-03-06T08:00:00Z", "error"},
		"six fields":    {"0 0 9 * * *", "UTC", "2026-03-06T08:00:00Z", "error"},
		"a zone inside": {"CRON_TZ=UTC 0 9 * * *", "UTC", "2026-03-06T08:00:00Z", "error"},
		"an interval":   {"@every 5s", "UTC", "2026-03-06T08:00:00Z", "error"},
		"no such zone":  {"0 9 * * *", "Mars/Olympus", "2026-03-06T08:00:00Z", "error"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			after, err := time.Parse(time.RFC3339, tt.after)
			if err != nil {
				t.Fatal(err)
			}
			got, err := Firings(tt.line, tt.zone, after, len(strings.Fields(tt.want)))
			var words []string
			for _, at := range got {
				words = append(words, at.Format(time.RFC3339))
			}
			if err != nil {
				words = []string{"error"}
			}
			if text := strings.Join(words, " "); text != tt.want {
				t.Errorf("Firings() = %s (%v), want %s", text, err, tt.want)
			}
		})
	}
}

// shelf is schedules as a database keeps them.
type shelf struct {
	mu  sync.Mutex
	all map[string]push.Schedule
}

func (s *shelf) DueSchedules(_ context.Context, by time.Time, _ int) ([]*push.Schedule, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var due []*push.Schedule
	for _, sc := range s.all {
		if !sc.NextAt.After(by) {
			due = append(due, &sc)
		}
	}
	return due, nil
}

func (s *shelf) AdvanceSchedule(_ context.Context, sc *push.Schedule, next, last time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := s.all[sc.ID]; now.NextAt.Equal(sc.NextAt) {
		now.NextAt = next
		if !last.IsZero() {
			now.LastAt = last
		}
		s.all[sc.ID] = now
	}
	return nil
}

func TestMissedFirings(t *testing.T) {
	noon := time.Now().UTC().Truncate(time.Hour)
	tests := map[string]struct {
		due  time.Time
		ttl  int
		fire string // just (a second ago), half (an hour ago), "" for none
		next time.Time
	}{
		"just in time":                        {noon.Add(-time.Second), 60, "just", noon.Add(30 * time.Minute)},
		"not yet":                             {noon.Add(time.Second), 60, "", noon.Add(time.Second)},
		"a day of downtime: the latest alone": {noon.Add(-24*time.Hour - 30*time.Minute), 3600, "half", noon.Add(30 * time.Minute)},
		"a day of downtime, and worth nothing now": {noon.Add(-24*time.Hour - 30*time.Minute), 60, "", noon.Add(30 * time.Minute)},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			h.lives("phone", "apns")
			n := note("", "phone")
			sh := &shelf{all: map[string]push.Schedule{"daily": {
				App: "demo", ID: "daily", Cron: "30 * * * *", Timezone: "UTC", NextAt: tt.due, TTLSeconds: tt.ttl, Notification: n,
			}}}
			parts := h.parts()
			parts.Schedules = sh
			if err := NewWorker(h.cfg, parts).fireDue(t.Context(), noon); err != nil {
				t.Fatal(err)
			}
			if got := sh.all["daily"]; !got.NextAt.Equal(tt.next) || got.LastAt.IsZero() != (tt.fire == "") {
				t.Errorf("it goes on at %v, last %v; want %v", got.NextAt, got.LastAt, tt.next)
			}
			keys := h.rdb.Keys(t.Context(), "herald:{demo/n:*").Val()
			want := 0
			if tt.fire != "" {
				want = 1
				at := noon.Add(-time.Second)
				if tt.fire == "half" {
					at = noon.Add(-30 * time.Minute)
				}
				tt.fire = (&push.Schedule{ID: "daily"}).FiringID(at)
				if _, err := h.door().Progress(t.Context(), "demo", tt.fire); err != nil {
					t.Errorf("%s: %v", tt.fire, err)
				}
			}
			if len(keys) != want {
				t.Errorf("fired %q, want %q", keys, tt.fire)
			}
		})
	}
}

func TestManyWorkersFireOnce(t *testing.T) {
	h := newHouse(t)
	h.lives("phone", "apns")
	now := time.Now().UTC().Truncate(time.Second)
	n := note("", "phone")
	sh := &shelf{all: map[string]push.Schedule{"tick": {
		App: "demo", ID: "tick", Cron: "* * * * *", Timezone: "UTC", NextAt: now, TTLSeconds: 60, Notification: n,
	}}}
	var group sync.WaitGroup
	for range 8 {
		parts := h.parts()
		parts.Schedules = sh
		w := NewWorker(h.cfg, parts)
		group.Go(func() {
			if err := w.fireDue(t.Context(), now); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	h.work()
	d := h.door()
	id := (&push.Schedule{ID: "tick"}).FiringID(now)
	if p := h.awaitDone(d, id); p.Counts.Accepted != 1 {
		t.Errorf("counts = %+v", p.Counts)
	}
	if got := h.sentTo("phone"); len(got) != 1 {
		t.Errorf("the phone heard %d times, want once", len(got))
	}
}
