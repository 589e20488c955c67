package selector

import (
	"context"
	"errors"
	"log/slog"
	"math"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/herald-push/herald/push"
)

type record struct {
	tallies []push.Tally
	err     error
}

func (r *record) Tallies(context.Context, time.Time) ([]push.Tally, error) { return r.tallies, r.err }

func group(provider, maker, country string) push.Group {
	return push.Group{Provider: provider, Platform: "android", Maker: maker, Country: country}
}

func tally(g push.Group, age time.Duration, attempts, accepted, delivered uint64) push.Tally {
	return push.Tally{
		Group: g, Hour: time.Now().UTC().Add(-age),
		Attempts: attempts, Accepted: accepted, Delivered: delivered,
		Failed: attempts - accepted, DeliveredMillis: delivered * 900,
	}
}

var phone = &push.Device{ID: "d1", Platform: "android", Maker: "xiaomi", Country: "CN"}

func TestRankPutsTheRoadThatArrivesFirst(t *testing.T) {
	tests := map[string]struct {
		record []push.Tally
		roads  []string
		want   string // best road
		why    string // part of its reason
	}{
		"nobody knows anything": {
			roads: []string{"fcm", "xiaomi"},
			want:  "fcm", why: "no record yet",
		},
		"the group's own record decides": {
			record: []push.Tally{
				tally(group("fcm", "xiaomi", "CN"), 0, 300, 300, 90),
				tally(group("xiaomi", "xiaomi", "CN"), 0, 212, 210, 199),
			},
			roads: []string{"fcm", "xiaomi"},
			want:  "xiaomi", why: "xiaomi 94 % of 212 delivered for xiaomi android in CN over 7 days",
		},
		"a group without a record borrows the maker's": {
			record: []push.Tally{
				tally(group("fcm", "xiaomi", "DE"), 0, 300, 300, 60),
				tally(group("xiaomi", "xiaomi", "DE"), 0, 300, 300, 280),
			},
			roads: []string{"fcm", "xiaomi"},
			want:  "xiaomi", why: "for xiaomi android over 7 days",
		},
		"three lucky attempts do not outshout a thousand": {
			record: []push.Tally{
				tally(group("fcm", "xiaomi", "CN"), 0, 2000, 2000, 1900),
				tally(group("xiaomi", "xiaomi", "CN"), 0, 3, 3, 3),
			},
			roads: []string{"xiaomi", "fcm"},
			want:  "fcm", why: "95 % of 2000",
		},
		"a provider that proves nothing is not one that never delivers": {
			record: []push.Tally{
				tally(group("apns", "xiaomi", "CN"), 0, 500, 500, 0),
				tally(group("fcm", "xiaomi", "CN"), 0, 500, 500, 250),
			},
			roads: []string{"fcm", "apns"},
			want:  "apns", why: "it proves no arrivals",
		},
		"last week's outage is nearly forgiven": {
			record: []push.Tally{
				tally(group("fcm", "xiaomi", "CN"), 6*24*time.Hour, 1000, 100, 50),
				tally(group("fcm", "xiaomi", "CN"), 0, 1000, 1000, 950),
				tally(group("xiaomi", "xiaomi", "CN"), 0, 1000, 1000, 850),
			},
			roads: []string{"xiaomi", "fcm"},
			want:  "fcm", why: "delivered",
		},
		"a road that refuses falls behind one that takes": {
			record: []push.Tally{
				tally(group("fcm", "xiaomi", "CN"), 0, 400, 40, 38),
				tally(group("xiaomi", "xiaomi", "CN"), 0, 400, 400, 300),
			},
			roads: []string{"fcm", "xiaomi"},
			want:  "xiaomi", why: "75 %",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			s := New(DefaultConfig(), &record{tallies: tt.record}, slog.New(slog.DiscardHandler))
			s.Refresh(t.Context())
			s.reform()
			got := s.Rank(phone, push.Chat, tt.roads)
			if got[0].Provider != tt.want {
				t.Errorf("first = %s, want %s; all %+v", got[0].Provider, tt.want, got)
			}
			if !strings.Contains(got[0].Why, tt.why) {
				t.Errorf("why = %q, want it to say %q", got[0].Why, tt.why)
			}
			if len(got) != len(tt.roads) {
				t.Errorf("got %d choices for %d roads", len(got), len(tt.roads))
			}
		})
	}
}

func TestObserveCountsBeforeTheRecordDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(DefaultConfig(), nil, slog.New(slog.DiscardHandler))
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- s.Run(ctx) }()
		for range 200 {
			s.Observe(&push.Receipt{Provider: "fcm", Platform: "android", Maker: "xiaomi", Country: "CN", Stage: push.Failed, Kind: "unavailable"})
			s.Observe(&push.Receipt{Provider: "xiaomi", Platform: "android", Maker: "xiaomi", Country: "CN", Stage: push.Accepted})
		}
		time.Sleep(1100 * time.Millisecond)
		if got := s.Rank(phone, push.Chat, []string{"fcm", "xiaomi"}); got[0].Provider != "xiaomi" {
			t.Errorf("after 200 refusals by fcm the first road is still %+v", got[0])
		}
		stop()
		if err := <-done; err != nil {
			t.Errorf("Run() = %v", err)
		}
	})
}

func TestDeadTokensAndBadMessagesDoNotBlameTheRoad(t *testing.T) {
	s := New(DefaultConfig(), nil, slog.New(slog.DiscardHandler))
	for _, kind := range []error{push.ErrUnregistered, push.ErrRejected} {
		for range 500 {
			s.Observe(&push.Receipt{Provider: "fcm", Stage: push.Failed, Kind: push.KindName(kind)})
		}
	}
	s.reform()
	if got := s.Rank(phone, push.Chat, []string{"fcm"})[0]; math.Abs(got.Score-0.8) > 1e-9 {
		t.Errorf("score = %v, want the untouched 0.8", got.Score)
	}
}

func TestRefreshKeepsWhatItSawWhenTheStoreIsAway(t *testing.T) {
	stats := &record{err: errors.New("no route")}
	s := New(DefaultConfig(), stats, slog.New(slog.DiscardHandler))
	s.Observe(&push.Receipt{Provider: "fcm", Stage: push.Accepted})
	s.Refresh(t.Context())
	s.Observe(&push.Receipt{Provider: "fcm", Stage: push.Accepted})
	s.Refresh(t.Context())
	s.reform()
	if got := s.Rank(&push.Device{}, push.Chat, []string{"fcm"})[0]; !strings.Contains(got.Why, "of 2 ") {
		t.Errorf("why = %q, want both attempts remembered", got.Why)
	}

	stats.err = nil
	stats.tallies = []push.Tally{tally(push.Group{Provider: "fcm"}, 0, 2, 2, 0)}
	s.Refresh(t.Context())
	s.reform()
	if got := s.Rank(&push.Device{}, push.Chat, []string{"fcm"})[0]; !strings.Contains(got.Why, "of 2 ") {
		t.Errorf("why = %q, want the record's two and nothing twice", got.Why)
	}
}

func TestConfigNamesEveryFault(t *testing.T) {
	err := Config{Prior: 2}.Validate()
	for _, key := range []string{"selector.window", "selector.half_life", "selector.refresh", "selector.prior:", "selector.prior_weight"} {
		if err == nil || !strings.Contains(err.Error(), key) {
			t.Errorf("Validate() = %v, want %s named", err, key)
		}
	}
	if err := DefaultConfig().Validate(); err != nil {
		t.Errorf("DefaultConfig is invalid: %v", err)
	}
}

func BenchmarkRank(b *testing.B) {
	var tallies []push.Tally
	roads := []string{"fcm", "huawei", "honor", "xiaomi", "oppo", "vivo"}
	for _, p := range roads {
		tallies = append(tallies, tally(group(p, "xiaomi", "CN"), 0, 500, 480, 400))
	}
	s := New(DefaultConfig(), &record{tallies: tallies}, slog.New(slog.DiscardHandler))
	s.Refresh(b.Context())
	s.reform()
	b.ReportAllocs()
	for b.Loop() {
		s.Rank(phone, push.Chat, roads)
	}
}
