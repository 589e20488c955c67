package selector

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/herald-push/herald/push"
)

// opinion is what one provider is worth for one group of devices.
type opinion struct {
	score float64
	why   string
}

// opinions are finished answers, from the narrowest group to the widest. They
// are never changed once made.
type opinions struct {
	prior  float64
	groups map[push.Group]opinion
}

// of finds the opinion of the narrowest group that has one: the maker in the
// country, then the maker anywhere, then everybody.
func (o *opinions) of(g push.Group) opinion {
	for _, wider := range widening(g) {
		if found, ok := o.groups[wider]; ok {
			return found
		}
	}
	return opinion{score: o.prior}
}

func (o *opinions) ignorance(provider string) string {
	return fmt.Sprintf("%s has no record yet: believed to deliver %.0f %%", provider, 100*o.prior)
}

// widening lists a group and the wider ones around it, narrowest first.
func widening(g push.Group) [3]push.Group {
	return [3]push.Group{
		g,
		{Provider: g.Provider, Platform: g.Platform, Maker: g.Maker},
		{Provider: g.Provider},
	}
}

// evidence is a tally in which old attempts weigh less. sample is the plain
// number of attempts, for people.
type evidence struct {
	attempts, accepted, delivered, millis float64
	sample                                uint64
}

func (e *evidence) add(t *push.Tally, weight float64) {
	e.attempts += weight * float64(t.Attempts)
	e.accepted += weight * float64(t.Accepted)
	e.delivered += weight * float64(t.Delivered)
	e.millis += weight * float64(t.DeliveredMillis)
	e.sample += t.Attempts
}

// rates are the two things a road can get wrong, each between 0 and 1: being
// taken by the provider, and arriving once taken.
type rates struct{ accepted, arrived float64 }

// form turns tallies into opinions, widest group first, because a narrow
// group's rates are drawn towards those of the group around it.
func form(cfg Config, tallies []push.Tally, now time.Time) *opinions {
	levels := [3]map[push.Group]*evidence{{}, {}, {}} // narrowest first
	for i := range tallies {
		t := &tallies[i]
		age := max(0, now.Sub(t.Hour))
		weight := math.Exp2(-age.Hours() / cfg.HalfLife.Hours())
		for level, g := range widening(t.Group) {
			e := levels[level][g]
			if e == nil {
				e = &evidence{}
				levels[level][g] = e
			}
			e.add(t, weight)
		}
	}

	out := &opinions{prior: cfg.Prior, groups: map[push.Group]opinion{}}
	known := map[push.Group]rates{}
	for level := len(levels) - 1; level >= 0; level-- {
		for g, e := range levels[level] {
			around := rates{accepted: 1, arrived: cfg.Prior}
			if level+1 < len(levels) {
				around = known[widening(g)[level+1]]
			}
			proofs := levels[2][push.Group{Provider: g.Provider}].delivered > 0
			r := draw(e, around, cfg.PriorWeight, proofs)
			known[g] = r
			out.groups[g] = opinion{score: worth(r, e), why: words(g, e, proofs, cfg.Window)}
		}
	}
	return out
}

// draw estimates a group's rates from its evidence, drawn towards the wider
// group's by weight attempts. Of a provider that never proves an arrival,
// silence is no evidence: its arrivals stay what they are believed to be.
func draw(e *evidence, around rates, weight float64, proofs bool) rates {
	r := rates{
		accepted: (e.accepted + weight*around.accepted) / (e.attempts + weight),
		arrived:  around.arrived,
	}
	if proofs {
		// Proofs can outnumber the attempts they belong to where the attempts
		// have aged out of the window.
		r.arrived = min(1, (e.delivered+weight*around.arrived)/(max(e.accepted, e.delivered)+weight))
	}
	return r
}

// worth is the chance to arrive, less up to one per cent for a road that takes
// a minute or longer: enough to part equals, never enough to lose a message.
func worth(r rates, e *evidence) float64 {
	slow := 0.0
	if e.delivered > 0 {
		slow = min(1, e.millis/e.delivered/60_000)
	}
	return r.accepted * r.arrived * (1 - 0.01*slow)
}

// words says an opinion the way a person would: "fcm 94 % of 212 delivered for
// xiaomi android in CN over 7 days".
func words(g push.Group, e *evidence, proofs bool, window time.Duration) string {
	good, what := e.delivered, "delivered"
	if !proofs {
		good, what = e.accepted, "accepted (it proves no arrivals)"
	}
	percent := 0.0
	if e.attempts > 0 {
		percent = min(100, 100*good/e.attempts)
	}
	s := fmt.Sprintf("%s %.0f %% of %d %s", g.Provider, percent, e.sample, what)
	if who := strings.TrimSpace(g.Maker + " " + g.Platform); who != "" {
		s += " for " + who
	}
	if g.Country != "" {
		s += " in " + g.Country
	}
	return s + " over " + span(window)
}

func span(d time.Duration) string {
	if days := d.Hours() / 24; days >= 2 {
		return fmt.Sprintf("%.0f days", days)
	}
	return fmt.Sprintf("%.0f h", d.Hours())
}
