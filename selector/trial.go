package selector

import (
	"fmt"
	"math"
	"slices"

	"github.com/herald-push/herald/push"
)

// trial is one A/B of a class: how both sides fare under one fixed order, from
// when it was switched on until something else is.
type trial struct {
	number uint64 // grows when it begins anew, so that workers add up the same one
	order  []string
	over   bool // the class is in another mode now
	guided arm  // by the selector
	fixed  arm
	told   bool // that the guardrail fell
}

type trialKey struct {
	app   string
	class push.Class
}

// arm counts one side of an A/B: attempts that reached the age of the check,
// and how many of them were proven, by then or later.
type arm struct {
	tried, arrived float64
	news           struct{ tried, arrived float64 } // not yet told to the others
}

func (a *arm) count(arrived bool) {
	a.add(1, 0)
	a.news.tried++
	if arrived {
		a.arrive()
	}
}

func (a *arm) arrive() {
	a.arrived++
	a.news.arrived++
}

// armMemory is how many attempts a side remembers.
const armMemory = 100_000

func (a *arm) add(tried, arrived float64) {
	a.tried += tried
	a.arrived += arrived
	if a.tried > armMemory {
		a.tried, a.arrived = a.tried/2, a.arrived/2
	}
}

// beginTrial finds the A/B of a class, and begins anew where it had ended or has
// another order: what was counted before says nothing about it. Callers hold mu.
func (s *Selector) beginTrial(app string, class push.Class, order []string) *trial {
	k := trialKey{app, class}
	t := s.trials[k]
	switch {
	case t == nil && len(s.trials) >= mostWords:
		return &trial{} // counts nothing
	case t == nil:
		t = &trial{number: 1}
	case t.over || t.order != nil && !slices.Equal(t.order, order):
		t = &trial{number: t.number + 1}
	case t.order != nil:
		return t
	}
	t.order = append([]string{}, order...)
	s.trials[k] = t
	return t
}

// endTrial notes that a class has no A/B now. Callers hold mu.
func (s *Selector) endTrial(app string, class push.Class) {
	if len(s.trials) == 0 {
		return
	}
	if t := s.trials[trialKey{app, class}]; t != nil {
		t.over = true
	}
}

// armOf finds the side that an attempt counts for: the first of a delivery
// alone, later ones being of another kind. Callers hold mu.
func (s *Selector) armOf(e *event) *arm {
	if e.attempt > 1 {
		return nil
	}
	t := s.trials[trialKey{e.kind.app, e.class}]
	if t == nil || t.over {
		return nil
	}
	return t.side(e.policy)
}

func (t *trial) side(policy string) *arm {
	switch policy {
	case policyAuto:
		return &t.guided
	case policyStatic:
		return &t.fixed
	default:
		return nil
	}
}

const (
	guardLeast  = 200 // attempts on each side before anything is concluded
	guardSigmas = 3
)

// guard tells why an A/B must not leave the choice to the selector: it delivers
// significantly less.
func (t *trial) guard() string {
	auto, fixed := &t.guided, &t.fixed
	if auto.tried < guardLeast || fixed.tried < guardLeast {
		return ""
	}
	a, f := auto.arrived/auto.tried, fixed.arrived/fixed.tried
	both := (auto.arrived + fixed.arrived) / (auto.tried + fixed.tried)
	sigma := math.Sqrt(both * (1 - both) * (1/auto.tried + 1/fixed.tried))
	if sigma == 0 || (f-a)/sigma < guardSigmas {
		return ""
	}
	return fmt.Sprintf("the selector delivered %.1f %% of %.0f, the fixed order %.1f %% of %.0f", 100*a, auto.tried, 100*f, fixed.tried)
}

// tellGuard says once that the guardrail fell.
func (s *Selector) tellGuard(t *trial, app string, class push.Class, why string) {
	if !t.told {
		t.told = true
		s.log.Warn("an A/B's guardrail fell: a fixed order counts for its class", "app", app, "class", class, "why", why)
	}
}

// Sides tells how both sides of the app's experiments fare, as far as this
// process and what others told it know.
func (s *Selector) Sides(app push.App) []push.Side {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []push.Side
	for _, class := range push.Classes {
		t := s.trials[trialKey{app.ID, class}]
		if t == nil || app.Policy.Selection.Rule(class).Mode != push.ModeAB {
			continue
		}
		for _, policy := range [...]string{policyAuto, policyStatic} {
			a := t.side(policy)
			if a.tried == 0 {
				continue
			}
			side := push.Side{Class: class, Policy: policy, Attempts: int(a.tried), Arrived: int(a.arrived)}
			if policy == policyAuto {
				side.Guard = t.guard()
			}
			all = append(all, side)
		}
	}
	return all
}

// armNews is what a side has counted in one process.
type armNews struct {
	App, Class, Policy string
	Trial              uint64
	Tried, Arrived     float64
}

// armsNow gathers what both sides of all trials have counted, since it was last
// told to others or in all. Callers hold mu.
func (s *Selector) armsNow(untold bool) (all []armNews) {
	for k, t := range s.trials {
		for _, policy := range [...]string{policyAuto, policyStatic} {
			a := t.side(policy)
			n := armNews{k.app, string(k.class), policy, t.number, a.tried, a.arrived}
			if untold {
				n.Tried, n.Arrived = a.news.tried, a.news.arrived
				a.news.tried, a.news.arrived = 0, 0
			}
			if n.Tried > 0 || n.Arrived > 0 {
				all = append(all, n)
			}
		}
	}
	return all
}

// addArms adds what others have counted. A trial that another worker has begun
// anew begins anew here too. Callers hold mu.
func (s *Selector) addArms(arms []armNews) {
	for _, n := range arms {
		k := trialKey{n.App, push.Class(n.Class)}
		t := s.trials[k]
		switch {
		case t == nil && len(s.trials) >= mostWords:
			continue
		case t == nil:
			t = &trial{number: n.Trial}
			s.trials[k] = t
		case n.Trial > t.number, n.Trial < t.number && t.guided.tried+t.fixed.tried == 0:
			t = &trial{number: n.Trial, order: t.order, over: t.over}
			s.trials[k] = t
		case n.Trial < t.number:
			continue
		}
		if a := t.side(n.Policy); a != nil {
			a.add(n.Tried, n.Arrived)
		}
	}
}
