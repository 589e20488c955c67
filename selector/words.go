package selector

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/herald-push/herald/push"
	"github.com/herald-push/herald/selector/brain"
)

// words is the reason of the first choice: its own record and what it is
// believed to be worth, what is known of the runner-up, and how it was drawn.
func (c *counsel) words(provider string) string {
	var b strings.Builder
	if c.note != "" {
		b.WriteString(c.note)
		b.WriteString("; ")
	}
	b.WriteString(c.sentence(provider))
	if other := c.runnerUp(provider); other != "" {
		b.WriteString("; ")
		b.WriteString(c.brief(other))
	}
	if i := c.index(provider); i >= 0 && c.policy == string(push.ModeAuto) && c.decision.N > 1 && !c.paidFirst {
		fmt.Fprintf(&b, "; taken with probability %s", percent(float64(c.decision.Roads[i].Propensity)))
		if c.decision.Explored {
			b.WriteString(", to learn")
		}
	}
	return b.String()
}

// index finds a provider among the roads that were weighed.
func (c *counsel) index(provider string) int {
	for i := range c.decision.N {
		if c.names[i] == provider {
			return i
		}
	}
	return -1
}

// runnerUp is the best other road.
func (c *counsel) runnerUp(provider string) string {
	best, value := "", float32(-10)
	for i := range c.decision.N {
		if c.names[i] != provider && c.decision.Roads[i].Value > value {
			best, value = c.names[i], c.decision.Roads[i].Value
		}
	}
	return best
}

// brief says a road in half a line.
func (c *counsel) brief(provider string) string {
	i := c.index(provider)
	known := c.s.tallies.percent(kindOf(c.q.Device), provider)
	if known == "" {
		known = "no record yet"
	}
	out := fmt.Sprintf("%s %s, worth %.2f", provider, known, c.decision.Roads[i].Value)
	if sick := c.sickness(provider); sick != "" {
		out += ", " + sick
	}
	return out
}

// sentence says all about one road: "huawei 94 % of 212 delivered for huawei
// android in CN over 7 days, believed 0.92 for this device (maker in country
// +0.8, this device −0.3)".
func (c *counsel) sentence(provider string) string {
	i := c.index(provider)
	if i < 0 {
		if push.IsSMS(provider) {
			return c.paidSentence(provider)
		}
		return "it was not weighed"
	}
	r := &c.decision.Roads[i]
	number := int(r.Provider)
	a := c.s.brain.Account(c.cell, &c.evidence, number, c.q.Online, c.ask.Now)
	var b strings.Builder
	b.WriteString(provider)
	b.WriteByte(' ')
	b.WriteString(c.s.tallies.words(kindOf(c.q.Device), provider, c.s.cfg.Window))
	if provider == push.Live {
		b.WriteString(", the device is connected")
	}
	fmt.Fprintf(&b, ", believed %.2f", r.Delivered)
	if parts := effects(&a); parts != "" {
		fmt.Fprintf(&b, " (%s)", parts)
	}
	if seconds := c.s.brain.Typical(number, c.q.Online); seconds > 0 {
		fmt.Fprintf(&b, ", half of it within %.2g s", seconds)
	}
	if r.OnTime < 0.98 {
		fmt.Fprintf(&b, ", %s of it within %s", percent(float64(r.OnTime)), span(c.q.Left))
	}
	if sick := c.sickness(provider); sick != "" {
		b.WriteString(", ")
		b.WriteString(sick)
	}
	return b.String()
}

// effects names what moves the belief by a tenth of a logit or more.
func effects(a *brain.Account) string {
	var parts []string
	add := func(what string, logits float32) {
		if math.Abs(float64(logits)) >= 0.1 {
			parts = append(parts, fmt.Sprintf("%s %+.1f", what, logits))
		}
	}
	add("all devices", a.Shared[brain.ByBias])
	add("maker in country", a.Shared[brain.ByMaker])
	add("carrier", a.Shared[brain.ByCarrier])
	add("maker's system", a.Shared[brain.ByOS])
	add("app", a.Shared[brain.ByApp])
	add("maker on this carrier", a.Shared[brain.ByTrio])
	add("this device", a.Own)
	return strings.Join(parts, ", ")
}

// sickness says that a road is sick, where, and how that is known; "" if it is
// well.
func (c *counsel) sickness(provider string) string {
	number := providerNumber(provider)
	if c.s.brain.Sick()>>number&1 == 0 {
		return ""
	}
	a := c.s.brain.Account(c.cell, &c.evidence, number, c.q.Online, c.ask.Now)
	if a.Sick == nil {
		return ""
	}
	d := c.q.Device
	where := "everywhere"
	switch {
	case a.Sick.Country:
		where = "in " + d.Country
	case a.Sick.Maker:
		where = "on " + d.Maker
	case a.Sick.Carrier:
		where = "at " + d.Carrier + " in " + d.Country
	}
	since := span(time.Duration((c.ask.Now - a.Sick.Since) * float64(time.Second)))
	if a.Sick.Refuses {
		return fmt.Sprintf("sick %s for %s: it refuses attempts, health %s", where, since, percent(float64(a.Health)))
	}
	return fmt.Sprintf("sick %s for %s: %.0f receipts of %.0f expected, health %s",
		where, since, a.Sick.Came, a.Sick.Due, percent(float64(a.Health)))
}

func percent(x float64) string {
	if x > 0 && x < 0.01 {
		return fmt.Sprintf("%.1f %%", 100*x)
	}
	return fmt.Sprintf("%.0f %%", 100*x)
}

func span(d time.Duration) string {
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%.0f days", d.Hours()/24)
	case d >= 2*time.Hour:
		return fmt.Sprintf("%.0f h", d.Hours())
	case d >= 2*time.Minute:
		return fmt.Sprintf("%.0f min", d.Minutes())
	default:
		return fmt.Sprintf("%.0f s", max(0, d.Seconds()))
	}
}
