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
	if c.rule.Mode != push.ModeAB {
		c.s.endTrial(c.q.Device.App, c.q.Class)
	}
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
	t := c.s.beginTrial(c.q.Device.App, c.q.Class, c.rule.Order)
	share := float32(c.rule.Share)
	if chance(c.q.Device.App+"/"+c.q.Device.ID, 77) >= share {
		c.policy, c.note = policyStatic, "this device is on the fixed side of an A/B"
		return
	}
	if why := t.guard(); why != "" {
		c.s.tellGuard(t, c.q.Device.App, c.q.Class, why)
		c.policy, c.note = policyStatic, "the A/B's guardrail fell: "+why
		return
	}
	c.policy = policyAuto
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
