package scheduler

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// lanes are all lanes of a process, made as they are first used.
type lanes struct {
	cfg LaneConfig
	all sync.Map // laneKey → *lane
}

type laneKey struct{ app, provider string }

func (ls *lanes) of(app, provider string) *lane {
	k := laneKey{app, provider}
	if l, ok := ls.all.Load(k); ok {
		return l.(*lane)
	}
	l, _ := ls.all.LoadOrStore(k, newLane(ls.cfg, time.Now))
	return l.(*lane)
}

// LaneState is what an operator sees of a lane.
type LaneState struct {
	App         string    `json:"app"`
	Provider    string    `json:"provider"`
	InFlight    int       `json:"in_flight"`
	Limit       int       `json:"limit"`
	Waiting     int       `json:"waiting"`
	ClosedUntil time.Time `json:"closed_until,omitzero"`
	Why         string    `json:"why,omitempty"` // why it is closed
}

// states lists the lanes by app and provider.
func (ls *lanes) states() []LaneState {
	var all []LaneState
	ls.all.Range(func(k, v any) bool {
		key, l := k.(laneKey), v.(*lane)
		l.mu.Lock()
		defer l.mu.Unlock()
		all = append(all, LaneState{
			App: key.app, Provider: key.provider, InFlight: l.inFlight, Limit: int(l.width.limit),
			Waiting: l.waiting.len(), ClosedUntil: l.shut.until, Why: l.shut.why,
		})
		return true
	})
	slices.SortFunc(all, func(a, b LaneState) int {
		return cmp.Or(cmp.Compare(a.App, b.App), cmp.Compare(a.Provider, b.Provider))
	})
	return all
}
