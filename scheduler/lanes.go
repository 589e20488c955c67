package scheduler

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"github.com/herald-push/herald/internal/redisstore"
	"github.com/herald-push/herald/push"
)

// lanes are all lanes of a process, made as they are first used.
type lanes struct {
	cfg    LaneConfig
	limits func(ctx context.Context, app, provider string) push.Limits // nil: nobody documents any
	all    sync.Map                                                    // redisstore.LaneName → *lane
}

// of finds a lane. The first look at one asks what its provider documents.
func (ls *lanes) of(ctx context.Context, app, provider string) *lane {
	name := redisstore.LaneName{App: app, Provider: provider}
	if l, ok := ls.all.Load(name); ok {
		return l.(*lane)
	}
	l := newLane(ls.cfg, time.Now)
	if ls.limits != nil {
		l.declare(ls.limits(ctx, app, provider), 1)
	}
	found, _ := ls.all.LoadOrStore(name, l)
	return found.(*lane)
}

// each goes through the lanes.
func (ls *lanes) each(do func(redisstore.LaneName, *lane)) {
	ls.all.Range(func(k, v any) bool {
		do(k.(redisstore.LaneName), v.(*lane))
		return true
	})
}

// states lists how the lanes of this process are, by app and provider.
func (ls *lanes) states() []push.Lane {
	all := []push.Lane{}
	ls.each(func(name redisstore.LaneName, l *lane) { all = append(all, l.state(name)) })
	sortLanes(all)
	return all
}

func sortLanes(all []push.Lane) {
	slices.SortFunc(all, func(a, b push.Lane) int {
		return cmp.Or(cmp.Compare(a.App, b.App), cmp.Compare(a.Provider, b.Provider))
	})
}

// active is how long after its last request a lane counts as in use.
const active = 10 * time.Second

// state is how the lane is now.
func (l *lane) state(name redisstore.LaneName) push.Lane {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	s := push.Lane{
		App: name.App, Provider: name.Provider, State: push.LaneOpen,
		InFlight: l.inFlight, Limit: int(l.width.limit), Waiting: l.waiting.len(),
		PerSecond: l.pace.passed.steady(now), Bound: l.pace.perSecond(),
	}
	switch {
	case l.off != "":
		s.State, s.Why = push.LaneOff, l.off
	case l.shut.until.IsZero():
	case now.Before(l.shut.until):
		s.State, s.Why, s.Until = push.LaneClosed, l.shut.why, l.shut.until
	default:
		s.State, s.Why = push.LaneProbing, l.shut.why
	}
	if s.State != push.LaneOpen {
		s.Closed = 1
	}
	if l.inFlight > 0 || now.Sub(l.moved) < active {
		s.Workers = 1
	}
	for _, c := range push.Classes {
		if shut := l.closedClass(c, now); shut != nil {
			s.Classes = append(s.Classes, push.ClosedClass{Class: c, Why: shut.why, Until: shut.until})
		}
	}
	for _, q := range l.quotas {
		s.Quotas = append(s.Quotas, q.use(now))
	}
	return s
}

// declare tells the lane what its provider documents, and what share of it is
// this process'.
func (l *lane) declare(limits push.Limits, share float64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.limits = limits
	l.pace.declare(limits.PerSecond*share, l.now())
	quotas := make([]*quota, len(limits.Quotas))
	for i, rule := range limits.Quotas {
		if at := slices.IndexFunc(l.quotas, func(q *quota) bool { return q.name == rule.Name }); at >= 0 {
			quotas[i] = l.quotas[at]
		} else {
			quotas[i] = newQuota(rule.Name, l.now)
		}
		quotas[i].declare(rule, &l.limits)
	}
	l.quotas = quotas
}

// merge makes one of what several workers say of each lane.
func merge(now time.Time, words [][]push.Lane, off map[redisstore.LaneName]push.LaneSwitch) []push.Lane {
	all := make(map[redisstore.LaneName]*push.Lane)
	for _, word := range words {
		for _, w := range word {
			name := redisstore.LaneName{App: w.App, Provider: w.Provider}
			if l, ok := all[name]; ok {
				addWord(l, &w)
			} else {
				all[name] = &w
			}
		}
	}
	for name, s := range off {
		l := all[name]
		if l == nil {
			l = &push.Lane{App: name.App, Provider: name.Provider}
			all[name] = l
		}
		l.State, l.Why, l.Until = push.LaneOff, s.Reason, time.Time{}
	}
	merged := make([]push.Lane, 0, len(all))
	for _, l := range all {
		for i := range l.Quotas {
			foresee(&l.Quotas[i], now)
		}
		merged = append(merged, *l)
	}
	sortLanes(merged)
	return merged
}

// worse orders states by how much an operator wants to know of them.
var worse = map[push.LaneState]int{push.LaneOpen: 0, push.LaneProbing: 1, push.LaneClosed: 2, push.LaneOff: 3}

// addWord adds what another worker says of the same lane.
func addWord(l, w *push.Lane) {
	if worse[w.State] > worse[l.State] {
		l.State, l.Why, l.Until = w.State, w.Why, w.Until
	} else if w.State == l.State && w.Until.After(l.Until) {
		l.Why, l.Until = w.Why, w.Until
	}
	l.Workers += w.Workers
	l.Closed += w.Closed
	l.InFlight += w.InFlight
	l.Limit += w.Limit
	l.Waiting += w.Waiting
	l.PerSecond += w.PerSecond
	l.Bound += w.Bound
	for _, c := range w.Classes {
		if !slices.ContainsFunc(l.Classes, func(have push.ClosedClass) bool { return have.Class == c.Class }) {
			l.Classes = append(l.Classes, c)
		}
	}
	for _, q := range w.Quotas {
		at := slices.IndexFunc(l.Quotas, func(have push.QuotaUse) bool { return have.Name == q.Name })
		if at < 0 {
			l.Quotas = append(l.Quotas, q)
			continue
		}
		have := &l.Quotas[at]
		have.Refused += q.Refused
		have.PerSecond += q.PerSecond
		if have.PerDevice {
			have.Used += q.Used // each worker counts its own
		} else {
			have.Used = max(have.Used, q.Used)
		}
	}
}

// foresee tells when a quota will be used up at the present pace.
func foresee(q *push.QuotaUse, now time.Time) {
	if q.PerDevice || q.Limit == 0 || q.PerSecond <= 0 {
		return
	}
	left := float64(max(0, q.Limit-q.Used)) / q.PerSecond
	if at := now.Add(time.Duration(min(left, 1e6) * float64(time.Second))); at.Before(q.RenewsAt) {
		q.EndsAt = at.Truncate(time.Second)
	}
}
