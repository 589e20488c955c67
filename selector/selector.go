// Package selector decides which road a notification takes to a device: it
// ranks the providers that could reach it by what really arrived.
//
// The record is read from the analytics store's rollups on a schedule and kept
// in memory as finished opinions, one per group of devices, so that a decision
// is a map look-up. What this process sees itself between two reads counts at
// once, which is also how the selector learns where there is no store at all.
package selector

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/herald-push/herald/push"
)

// Stats reads the record. [github.com/herald-push/herald/analytics.Store] is one.
type Stats interface {
	// Tallies counts what came of every group's attempts, hour by hour, for the
	// hours from since on.
	Tallies(ctx context.Context, since time.Time) ([]push.Tally, error)
}

// Selector ranks providers. It is safe for concurrent use.
type Selector struct {
	cfg   Config
	stats Stats // nil: learn from memory only
	log   *slog.Logger
	now   func() time.Time

	opinions atomic.Pointer[opinions]

	mu     sync.Mutex
	record []push.Tally               // what the store said last
	seen   map[push.Group]*push.Tally // what this process saw since
}

// New makes a selector that believes nothing yet. stats may be nil.
func New(cfg Config, stats Stats, log *slog.Logger) *Selector {
	s := &Selector{cfg: cfg, stats: stats, log: log, now: time.Now, seen: map[push.Group]*push.Tally{}}
	s.opinions.Store(form(cfg, nil, time.Time{}))
	return s
}

// Rank orders the providers by what they are worth for the device, best first,
// each with its reason. Providers of equal worth keep the order they came in.
// The class is not weighed yet: every class takes the best road.
func (s *Selector) Rank(d *push.Device, _ push.Class, providers []string) []push.Choice {
	known := s.opinions.Load()
	choices := make([]push.Choice, len(providers))
	for i, provider := range providers {
		o := known.of(push.Group{Provider: provider, Platform: d.Platform, Maker: d.Maker, Country: d.Country})
		choices[i] = push.Choice{Provider: provider, Score: o.score, Why: o.why}
		if o.why == "" {
			choices[i].Why = known.ignorance(provider)
		}
	}
	slices.SortStableFunc(choices, func(a, b push.Choice) int {
		switch {
		case a.Score > b.Score:
			return -1
		case a.Score < b.Score:
			return 1
		}
		return 0
	})
	return choices
}

// Observe takes in one receipt as it happens.
func (s *Selector) Observe(r *push.Receipt) {
	if r.Provider == "" {
		return
	}
	g := push.Group{Provider: r.Provider, Platform: r.Platform, Maker: r.Maker, Country: r.Country}
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.seen[g]
	if t == nil {
		t = &push.Tally{Group: g, Hour: s.now().UTC().Truncate(time.Hour)}
		s.seen[g] = t
	}
	count(t, r)
}

// count adds a receipt to a tally. A dead token or a bad message says nothing
// about the road, so neither counts.
func count(t *push.Tally, r *push.Receipt) {
	switch r.Stage {
	case push.Accepted, push.HandedOver:
		t.Attempts++
		t.Accepted++
	case push.Unknown:
		t.Attempts++
		t.Unknown++
	case push.Failed:
		if r.Kind == push.KindName(push.ErrUnregistered) || r.Kind == push.KindName(push.ErrRejected) {
			return
		}
		t.Attempts++
		t.Failed++
	case push.Delivered:
		t.Delivered++
		t.DeliveredMillis += uint64(max(0, r.SinceAccepted.Milliseconds()))
	case push.Displayed, push.Clicked, push.Expired, push.Cancelled, push.Suppressed:
	}
}

// Run keeps the opinions fresh until ctx ends: from memory every second, from
// the record every [Config.Refresh].
func (s *Selector) Run(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	var read time.Time
	for {
		if s.stats != nil && s.now().Sub(read) >= s.cfg.Refresh {
			read = s.now()
			s.Refresh(ctx)
		}
		s.reform()
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Refresh reads the record once. When the store is away the selector keeps what
// it has, and goes on adding to it.
func (s *Selector) Refresh(ctx context.Context) {
	s.mu.Lock()
	before := s.seen
	s.seen = map[push.Group]*push.Tally{}
	s.mu.Unlock()

	record, err := s.stats.Tallies(ctx, s.now().Add(-s.cfg.Window))

	s.mu.Lock()
	defer s.mu.Unlock()
	if err == nil {
		s.record = record // what was seen before is in it by now
		return
	}
	if ctx.Err() == nil {
		s.log.WarnContext(ctx, "selector decides on what it has: the record cannot be read", "err", err)
	}
	for g, t := range before {
		if now := s.seen[g]; now != nil {
			add(t, now)
		}
		s.seen[g] = t
	}
}

func add(to, from *push.Tally) {
	to.Attempts += from.Attempts
	to.Accepted += from.Accepted
	to.Delivered += from.Delivered
	to.Failed += from.Failed
	to.Unknown += from.Unknown
	to.DeliveredMillis += from.DeliveredMillis
}

// reform makes new opinions of everything known.
func (s *Selector) reform() {
	s.mu.Lock()
	all := make([]push.Tally, 0, len(s.record)+len(s.seen))
	all = append(all, s.record...)
	for _, t := range s.seen {
		all = append(all, *t)
	}
	s.mu.Unlock()
	s.opinions.Store(form(s.cfg, all, s.now()))
}
