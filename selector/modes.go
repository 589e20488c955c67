package selector

import (
	"fmt"
	"math"
	"time"

	"github.com/herald-push/herald/push"
)

// Policies of decisions beside the modes' own names: the two sides of an A/B.
const (
	policyStatic = string(push.ModeStatic)
	policyAuto   = string(push.ModeAuto)
)

// settleMode finds out who decides, by the app's rule for the class.
func (c *counsel) settleMode() {
	d := &c.decision
	switch c.rule.Mode {
	case push.ModeStatic:
		c.policy, c.note = policyStatic, "a fixed order counts"
		if c.q.Policy.Selection.Kill {
			c.note = "the selector is switched off, a fixed order counts"
		}
	case push.ModeShadow:
		c.policy, c.note = string(push.ModeShadow), "a fixed order counts, the selector only watches"
		if d.N > 0 {
			c.wished = c.names[d.Chosen]
			c.note = fmt.Sprintf("a fixed order counts; the selector would take %s", c.wished)
		}
	case push.ModeAB:
		c.settleAB()
	default:
		c.policy = policyAuto
	}
}

// settleAB puts the device on one side of the experiment, always the same. The
// selector's side falls back to the fixed order when it does worse.
func (c *counsel) settleAB() {
	share := float32(c.rule.Share)
	if chance(c.q.Device.App+"/"+c.q.Device.ID, 77) >= share {
		c.policy, c.note = policyStatic, "this device is on the fixed side of an A/B"
		return
	}
	if why := c.s.guard(c.q.Device.App, c.q.Class); why != "" {
		c.policy, c.note = policyStatic, "the A/B's guardrail fell: "+why
		return
	}
	c.policy = policyAuto
}

type armKey struct {
	app    string
	class  push.Class
	policy string
}

// arm counts one side of an A/B: attempts that reached the age of the check,
// and how many of them were proven by then.
type arm struct {
	tried, arrived float64
	news           struct{ tried, arrived float64 } // not yet told to the others
}

func (a *arm) count(arrived bool) {
	yes := 0.0
	if arrived {
		yes = 1
	}
	a.add(1, yes)
	a.news.tried++
	a.news.arrived += yes
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

// armOf finds the side that an attempt counts for: the first of a delivery
// alone, later ones being of another kind. Callers hold mu.
func (s *Selector) armOf(e *event) *arm {
	if e.attempt > 1 || e.policy != policyAuto && e.policy != policyStatic {
		return nil
	}
	return s.arm(armKey{e.kind.app, e.class, e.policy})
}

func (s *Selector) arm(k armKey) *arm {
	a := s.arms[k]
	if a == nil {
		if len(s.arms) >= mostWords {
			return nil
		}
		a = &arm{}
		s.arms[k] = a
	}
	return a
}

const (
	guardLeast  = 200 // attempts on each side before anything is concluded
	guardSigmas = 3
)

// guard tells why an A/B must not leave the choice to the selector: it delivers
// significantly less. Callers hold mu.
func (s *Selector) guard(app string, class push.Class) string {
	auto, fixed := s.arms[armKey{app, class, policyAuto}], s.arms[armKey{app, class, policyStatic}]
	if auto == nil || fixed == nil || auto.tried < guardLeast || fixed.tried < guardLeast {
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

// Sides tells how both sides of the app's experiments fare, as far as this
// process and what others told it know.
func (s *Selector) Sides(app string) []push.Side {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []push.Side
	for _, class := range push.Classes {
		for _, policy := range []string{policyAuto, policyStatic} {
			if a := s.arms[armKey{app, class, policy}]; a != nil && a.tried > 0 {
				side := push.Side{Class: class, Policy: policy, Attempts: int(a.tried), Arrived: int(a.arrived)}
				if policy == policyAuto {
					side.Guard = s.guard(app, class)
				}
				all = append(all, side)
			}
		}
	}
	return all
}

// budget is what an app has spent on text messages today.
type budget struct {
	day   string
	spent int64 // all workers together, as last heard
	news  int64 // not yet told
}

func (s *Selector) today() string { return s.now().UTC().Format(time.DateOnly) }

// budgetOf finds an app's budget of today. Callers hold mu.
func (s *Selector) budgetOf(app string) *budget {
	b := s.budgets[app]
	if b == nil || b.day != s.today() {
		b = &budget{day: s.today()}
		s.budgets[app] = b
	}
	return b
}

func (s *Selector) spend(app string, micros int64) {
	b := s.budgetOf(app)
	b.news += micros
	b.spent += micros
}

// worth is what a message of a class may cost in the price of a text message
// when nothing of the budget is left to spare: 1 is all of it.
func worth(c push.Class) float64 {
	switch c {
	case push.OTP, push.Call:
		return 1
	case push.Transactional:
		return 0.8
	case push.Chat:
		return 0.6
	default:
		return 0.4
	}
}

// dear tells why the app's budget has no text message for this one; "" if it
// has. The price of one rises with the square of what is spent beyond what the
// day's hour would allow, and a message that is worth less stops first.
func (s *Selector) dear(q *push.Question) string {
	most := q.Policy.SMSBudget
	if most <= 0 {
		return ""
	}
	b := s.budgetOf(q.Device.App)
	used := float64(b.spent) / float64(most)
	now := s.now().UTC()
	passed := now.Sub(now.Truncate(24*time.Hour)).Hours() / 24
	price := 0.0
	if used > passed { // ahead of the day
		price = (used - passed) / math.Max(0.05, 1-passed)
		price = math.Sqrt(math.Min(1, price)) * used
	}
	switch {
	case used >= 1:
		return fmt.Sprintf("the app's sms budget of the day is used up (%.2f of %.2f)", float64(b.spent)/1e6, float64(most)/1e6)
	case price > worth(q.Class):
		return fmt.Sprintf("%.0f %% of the app's sms budget are spent at %s: not worth it for class %s", 100*used, now.Format("15:04"), q.Class)
	}
	return ""
}
