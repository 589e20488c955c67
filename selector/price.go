package selector

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/herald-push/herald/push"
	"github.com/herald-push/herald/selector/brain"
)

// price is what a text message costs, in the worth of one message of the class
// that arrives: a tenth of a one-time password, most of an advertisement.
func price(c push.Class) float32 {
	w := worth(c)
	return float32(0.1 / (w * w))
}

// annoyance is what a second copy costs, in the worth of a message that arrives,
// or one that comes as a text message. Devices drop what they have shown, so a
// copy is mostly battery and quota.
func annoyance(c push.Class) float32 {
	switch c {
	case push.OTP, push.Call:
		return 0.02
	case push.Marketing:
		return 0.2
	default:
		return 0.08
	}
}

// halfWorth is after how many seconds a message is worth half.
func halfWorth(c push.Class) float64 {
	switch c {
	case push.Call:
		return 10
	case push.OTP:
		return 30
	case push.Chat:
		return 120
	case push.Transactional:
		return 600
	default:
		return 3 * 3600
	}
}

// weighPaid asks the brain what the text messages are worth after their price.
func (c *counsel) weighPaid() {
	c.dear.N = 0
	ask := c.ask
	ask.Roads, ask.Explore = 0, 0
	ask.Cost = func(int) float32 { return price(c.q.Class) + annoyance(c.q.Class) }
	for _, p := range c.paid {
		ask.Roads |= 1 << providerNumber(p.Provider)
	}
	if ask.Roads == 0 {
		return
	}
	c.s.brain.Choose(&ask, &c.evidence, &c.dear)
	for i := range c.paid {
		if r := c.paidRoad(c.paid[i].Provider); r != nil {
			c.paid[i].Score = float64(r.Value)
		}
	}
	slices.SortStableFunc(c.paid, func(a, b push.Choice) int { return sign(b.Score - a.Score) })
}

func sign(x float64) int {
	switch {
	case x > 0:
		return 1
	case x < 0:
		return -1
	default:
		return 0
	}
}

// paidRoad is what a text message was judged by, nil if it was not.
func (c *counsel) paidRoad(provider string) *brain.Road {
	for i := range c.dear.N {
		if int(c.dear.Roads[i].Provider) == providerNumber(provider) {
			return &c.dear.Roads[i]
		}
	}
	return nil
}

// hopeless reports whether to begin with what is free would cost more than a
// text message at once: the time until its silence is believed is lost for sure,
// almost, and the price is saved hardly ever.
func (c *counsel) hopeless() bool {
	if len(c.paid) == 0 || c.paid[0].Skip != "" || c.decision.N == 0 {
		return false
	}
	road := c.paidRoad(c.paid[0].Provider)
	if road == nil || road.Value <= 0 {
		return false
	}
	free := c.decision.Roads[c.decision.Best]
	silence := brain.LeastPatience(halfWorth(c.q.Class))
	late := road.Delivered * float32(1-math.Exp2(-silence/halfWorth(c.q.Class)))
	return free.Value*road.Cost < (1-free.Value)*late
}

// paidSentence says all about a text message.
func (c *counsel) paidSentence(provider string) string {
	r := c.paidRoad(provider)
	if r == nil {
		return "text messages come after what is free"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s, believed %.2f, and costs %.2f of what a message of class %s is worth (price %.2f, annoyance %.2f): worth %.2f",
		provider, c.s.tallies.words(kindOf(c.q.Device), provider, c.s.cfg.Window), r.Delivered, r.Cost, c.q.Class,
		price(c.q.Class), annoyance(c.q.Class), r.Value)
	switch {
	case c.paidFirst:
		fmt.Fprintf(&b, "; before what is free, which is hardly worth its time (%s %.2f)",
			c.names[c.decision.Best], c.decision.Roads[c.decision.Best].Value)
	case c.decision.N > 0:
		b.WriteString("; after what is free")
	}
	return b.String()
}
