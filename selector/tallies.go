package selector

import (
	"fmt"
	"strings"
	"time"

	"github.com/herald-push/herald/push"
)

// tallies are plain counts of what came of attempts, for a choice's words: the
// record's, and what this process saw since the record was read. Groups stand
// beside the wider ones around them.
type tallies struct {
	record, seen, before map[push.Group]tally
}

type tally struct{ attempts, accepted, delivered uint64 }

func newTallies() tallies {
	return tallies{record: map[push.Group]tally{}, seen: map[push.Group]tally{}}
}

// widening lists a group and the wider ones around it, narrowest first.
func widening(g push.Group) [3]push.Group {
	return [3]push.Group{
		g,
		{Provider: g.Provider, Platform: g.Platform, Maker: g.Maker},
		{Provider: g.Provider},
	}
}

func (t tally) plus(u tally) tally {
	return tally{t.attempts + u.attempts, t.accepted + u.accepted, t.delivered + u.delivered}
}

func addAll(to map[push.Group]tally, g push.Group, t tally) {
	for _, wider := range widening(g) {
		to[wider] = to[wider].plus(t)
	}
}

// see counts what this process saw.
func (t *tallies) see(g push.Group, seen tally) { addAll(t.seen, g, seen) }

// reading puts apart what was seen before the record was read: the record will
// have it.
func (t *tallies) reading() { t.before, t.seen = t.seen, map[push.Group]tally{} }

// read takes the record in; nil puts back what was put apart.
func (t *tallies) read(record []push.Tally, ok bool) {
	if ok {
		t.record = make(map[push.Group]tally, len(record))
		for i := range record {
			r := &record[i]
			addAll(t.record, r.Group, tally{r.Attempts, r.Accepted, r.Delivered})
		}
	} else {
		for g, b := range t.before {
			t.seen[g] = t.seen[g].plus(b)
		}
	}
	t.before = nil
}

func (t *tallies) of(g push.Group) tally { return t.record[g].plus(t.seen[g]).plus(t.before[g]) }

// find is the narrowest group with a count, the first that is not empty.
func (t *tallies) find(k kind, provider string) (push.Group, tally) {
	groups := widening(push.Group{Provider: provider, Platform: k.platform, Maker: k.maker, Country: k.country})
	for _, g := range groups {
		if n := t.of(g); n.attempts > 0 {
			return g, n
		}
	}
	return groups[2], tally{}
}

// percent is "94 % of 212", "" without a record.
func (t *tallies) percent(k kind, provider string) string {
	g, n := t.find(k, provider)
	if n.attempts == 0 {
		return ""
	}
	good, what := n.delivered, ""
	if t.of(push.Group{Provider: g.Provider}).delivered == 0 {
		good, what = n.accepted, " accepted (it proves no arrivals)"
	}
	return fmt.Sprintf("%.0f %% of %d%s", min(100, 100*float64(good)/float64(n.attempts)), n.attempts, what)
}

// words says a record as a person would: "94 % of 212 delivered for xiaomi
// android in CN over 7 days".
func (t *tallies) words(k kind, provider string, window time.Duration) string {
	share := t.percent(k, provider)
	if share == "" {
		return "has no record yet"
	}
	if !strings.Contains(share, "accepted") {
		share += " delivered"
	}
	g, _ := t.find(k, provider)
	if who := strings.TrimSpace(g.Maker + " " + g.Platform); who != "" {
		share += " for " + who
	}
	if g.Country != "" {
		share += " in " + g.Country
	}
	return share + " over " + span(window)
}
