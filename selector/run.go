package selector

import (
	"context"
	"time"

	"github.com/herald-push/herald/push"
)

const (
	// step is how often what came in is learned from.
	step = 200 * time.Millisecond
	// snapshots is how often one is kept for those who start later.
	snapshots = time.Minute
)

// Run learns until ctx ends: from what happens here five times a second, from
// the other workers every [Config.Exchange], from the record every
// [Config.Refresh]. Whatever is away, it goes on with what it has.
func (s *Selector) Run(ctx context.Context) error {
	known := s.start(ctx)
	tick := time.NewTicker(step)
	defer tick.Stop()
	now := s.now()
	read, told, kept := now, now, now
	for {
		select {
		case <-ctx.Done():
			s.last(context.WithoutCancel(ctx))
			return nil
		case <-tick.C:
		}
		s.digest(ctx)
		now := s.now()
		if s.parts.Record != nil && now.Sub(read) >= s.cfg.Refresh {
			read = now
			s.Refresh(ctx)
			known = known || s.rebuild(ctx) == nil // it says itself that the record is away
		}
		if now.Sub(told) >= s.cfg.Exchange {
			told = now
			s.share(ctx)
		}
		if s.parts.Peers != nil && now.Sub(kept) >= snapshots {
			kept = now
			s.complain(ctx, "no snapshot of what was learned is kept", s.keep(ctx, snapshots/2))
		}
	}
}

// start begins with what others have learned, or else with the record; known is
// false if neither can be read.
func (s *Selector) start(ctx context.Context) (known bool) {
	if s.parts.Peers != nil {
		var err error
		known, err = s.restore(ctx)
		s.complain(ctx, "what was learned before cannot be read", err)
	}
	if s.parts.Record == nil {
		return true
	}
	s.Refresh(ctx)
	if known {
		return true
	}
	err := s.rebuild(ctx)
	s.complain(ctx, "selector starts without a memory: the record cannot be read", err)
	return err == nil
}

// last leaves what was learned since the last exchange.
func (s *Selector) last(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	s.digest(ctx)
	s.share(ctx)
	if s.parts.Peers != nil {
		s.complain(ctx, "no snapshot of what was learned is kept", s.keep(ctx, 0))
	}
}

// share exchanges with the others what was learned and spent.
func (s *Selector) share(ctx context.Context) {
	if s.parts.Peers != nil {
		s.complain(ctx, "workers do not hear of each other", s.exchange(ctx))
	}
	if s.parts.Memory == nil {
		return
	}
	for app, b := range s.spending() {
		sum, err := s.parts.Memory.Spend(ctx, app, b.day, b.news)
		s.complain(ctx, "what text messages cost is not added up", err)
		s.mu.Lock()
		if now := s.budgetOf(app); err == nil && now.day == b.day {
			now.news -= b.news
			now.spent = sum + now.news
		}
		s.mu.Unlock()
	}
}

// spending copies the budgets of today.
func (s *Selector) spending() map[string]budget {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make(map[string]budget, len(s.budgets))
	for app, b := range s.budgets {
		if b.day == s.today() {
			all[app] = *b
		}
	}
	return all
}

func (s *Selector) complain(ctx context.Context, what string, err error) {
	if err != nil && ctx.Err() == nil {
		s.log.WarnContext(ctx, what, "err", err)
	}
}

// Refresh reads the record's counts once. When the store is away the selector
// keeps what it has, and goes on adding to it.
func (s *Selector) Refresh(ctx context.Context) {
	s.mu.Lock()
	s.tallies.reading()
	s.mu.Unlock()
	record, err := s.parts.Record.Tallies(ctx, s.now().Add(-s.cfg.Window))
	s.complain(ctx, "selector decides on what it has: the record cannot be read", err)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.tallies.read(record, err == nil)
}

// rebuild learns the shared effects from the record's counts, old ones first.
func (s *Selector) rebuild(ctx context.Context) error {
	roads, err := s.parts.Record.Roads(ctx, s.now().Add(-s.cfg.Window))
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range roads {
		if roads[i].Delivered > 0 {
			s.proving[proof{roads[i].App, roads[i].Provider}] = true
		}
	}
	for i := range roads {
		s.replay(&roads[i])
	}
	return nil
}

func (s *Selector) replay(r *push.RoadTally) {
	cell := s.names.cell(s.brain, kind{r.App, r.Platform, r.Maker, r.OS, r.Country, r.Carrier})
	number, online := providerNumber(r.Provider), r.Provider == push.Live
	country := s.names.countries.number(r.Country)
	if r.Clicked > 0 {
		s.brain.ReplayCoverage(number, country, online, float64(r.Clicked), float64(r.ClickedReceived))
	}
	for age, n := range r.Delays {
		s.brain.ReplayDelay(number, online, age, float64(n))
	}
	if s.proving[proof{r.App, r.Provider}] {
		s.brain.Replay(cell, number, online, float64(r.Tried), float64(r.Delivered), unix(r.Hour))
	}
}
