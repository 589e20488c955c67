// Package selector decides which road a notification takes to a device: it
// ranks the providers that could reach it by what really arrived, and says why.
//
// What it believes and how it learns is [brain]; this package gives it words,
// time and chance, keeps the attempts whose receipts are waited for, shares what
// was learned with the other workers, and obeys the app's modes.
package selector

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/herald-push/herald/push"
	"github.com/herald-push/herald/selector/brain"
)

// Record is what was written down. [github.com/herald-push/herald/analytics.Store]
// is one.
type Record interface {
	// Tallies counts what came of every group's attempts, hour by hour, for the
	// hours from since on.
	Tallies(ctx context.Context, since time.Time) ([]push.Tally, error)
	// Roads is the same narrower and with more in it, oldest hour first.
	Roads(ctx context.Context, since time.Time) ([]push.RoadTally, error)
}

// Memory keeps the devices' evidence and what an app has spent.
type Memory interface {
	// Evidence returns what is kept for each device, "" for nothing.
	Evidence(ctx context.Context, devices []push.DeviceKey) ([]string, error)
	// KeepEvidence replaces what was kept by new evidence, and returns what stands
	// there now: the new, or what another process has written since.
	KeepEvidence(ctx context.Context, devices []push.DeviceKey, was, evidence []string) ([]string, error)
	// Spend adds to what an app has spent on a day, and returns the sum.
	Spend(ctx context.Context, app, day string, micros int64) (int64, error)
}

// Peers is how workers tell each other what they have learned.
type Peers interface {
	// Tell passes news on to the others, Hear returns what was told after a
	// place in their order, with the place to go on from.
	Tell(ctx context.Context, news []byte) error
	Hear(ctx context.Context, after string) (news [][]byte, last string, err error)
	// Snapshot is the last one kept with its place, nil if there is none.
	Snapshot(ctx context.Context) (snapshot []byte, at string, err error)
	// KeepSnapshot keeps one, unless another worker has done so just now.
	KeepSnapshot(ctx context.Context, snapshot []byte, at string, every time.Duration) error
}

// Parts are what a selector stands on. All but Log may be nil: it then learns
// from what it sees itself, and forgets it when the process ends.
type Parts struct {
	Record Record
	Memory Memory
	Peers  Peers
	Log    *slog.Logger
}

// Selector ranks providers. It is safe for concurrent use.
type Selector struct {
	cfg   Config
	parts Parts
	log   *slog.Logger
	now   func() time.Time

	mu      sync.Mutex
	brain   *brain.Brain
	names   *names
	tallies tallies
	proving map[proof]bool      // who has ever proven an arrival
	trials  map[trialKey]*trial // how the two sides of an A/B fare
	budgets map[string]*budget
	waiting waiting
	early   early

	inbox struct {
		sync.Mutex
		events []event
	}
	spare []event // for the inbox to be filled again; only digest looks at it
	peer  peer
}

// proof names a provider of an app: another app's may be set up differently.
type proof struct{ app, provider string }

// New makes a selector that knows nothing but hearsay.
func New(cfg Config, parts Parts) *Selector {
	s := &Selector{
		cfg: cfg, parts: parts, log: parts.Log, now: time.Now,
		names: newNames(), tallies: newTallies(), proving: map[proof]bool{},
		trials: map[trialKey]*trial{}, budgets: map[string]*budget{},
		waiting: newWaiting(cfg.Waiting), early: newEarly(cfg.Waiting), peer: newPeer(),
	}
	s.brain = brain.New(cfg.brain(s.hearsay), brain.MostProviders)
	return s
}

// hearsay is what is believed of a road by its name alone.
func (s *Selector) hearsay(r brain.Row, provider int) float32 {
	if provider >= len(numbered) {
		return brain.Hearsay(r, "", "", "")
	}
	maker, country := s.names.makers.words[r.Maker], s.names.countries.words[r.Country]
	return brain.Hearsay(r, numbered[provider], maker, country)
}

// explore is how much of its exploration a class allows.
func explore(c push.Class) float32 {
	switch c {
	case push.OTP, push.Call:
		return 0
	default:
		return 1
	}
}

func unix(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

// Rank orders the providers for the device, the one to take first. What must
// not be taken says why in Skip, and what was tried comes after what was not.
func (s *Selector) Rank(q *push.Question) []push.Choice {
	c := counsel{s: s, q: q, rule: q.Policy.Selection.Rule(q.Class), choices: make([]push.Choice, 0, len(q.Providers))}
	s.mu.Lock()
	defer s.mu.Unlock()
	c.weigh()
	c.order()
	c.explain()
	return c.choices
}

// counsel is one question being answered.
type counsel struct {
	s         *Selector
	q         *push.Question
	rule      push.SelectionRule
	cell      int32
	evidence  brain.Evidence
	ask       brain.Ask
	decision  brain.Decision
	dear      brain.Decision          // of the text messages
	names     [brain.MostRoads]string // of the decision's roads
	paid      []push.Choice           // text messages: after all that is free
	late      []push.Choice           // tried before, or closed
	choices   []push.Choice
	policy    string // who decided, for the record
	wished    string
	note      string // why it was not the selector's to decide
	paidFirst bool   // what is free is hardly worth its time
}

// weigh sorts the providers into those to choose from and the others, and asks
// the brain about the first.
func (c *counsel) weigh() {
	q := c.q
	c.cell = c.s.names.cell(c.s.brain, kindOf(q.Device))
	c.evidence = brain.DecodeEvidence(q.Device.Evidence)
	var numbers [brain.MostProviders]string
	var roads uint32
	n := 0
	for _, p := range q.Providers {
		number := providerNumber(p)
		switch {
		case push.IsSMS(p):
			c.paid = append(c.paid, push.Choice{Provider: p, Skip: c.s.dear(q)})
		case q.Tried != nil && q.Tried(p):
			c.late = append(c.late, push.Choice{Provider: p, Why: "it was tried before"})
		case q.Closed != nil && q.Closed(p) != "":
			c.late = append(c.late, push.Choice{Provider: p, Why: "after the others, for " + q.Closed(p)})
		case n == brain.MostRoads || roads&(1<<number) != 0:
			c.late = append(c.late, push.Choice{Provider: p, Why: "after the others: too many roads to weigh"})
		default:
			roads |= 1 << number
			numbers[number] = p
			n++
		}
	}
	c.ask = brain.Ask{
		Cell: c.cell, Online: q.Online, Roads: roads, Now: unix(c.s.now()), TTL: max(1, q.Left.Seconds()),
		Explore: explore(q.Class), Chance: chance(q.Delivery, q.Attempts),
	}
	c.s.brain.Choose(&c.ask, &c.evidence, &c.decision)
	for i := range c.decision.N {
		c.names[i] = numbers[c.decision.Roads[i].Provider]
	}
	c.weighPaid()
}

// order puts the chosen road first and the others after it by their value; or,
// where a fixed order counts, all by that.
func (c *counsel) order() {
	d := &c.decision
	c.settleMode()
	for i := range d.N {
		c.choices = append(c.choices, push.Choice{Provider: c.names[i], Score: float64(d.Roads[i].Value)})
	}
	if c.policy == string(push.ModeAuto) {
		first := ""
		if d.N > 0 {
			first = c.names[d.Chosen]
		}
		slices.SortStableFunc(c.choices, func(a, b push.Choice) int {
			switch {
			case a.Provider == first || (b.Provider != first && a.Score > b.Score):
				return -1
			case b.Provider == first || a.Score < b.Score:
				return 1
			}
			return 0
		})
		if c.paidFirst = c.hopeless(); c.paidFirst {
			c.choices = append(c.paid, c.choices...)
		} else {
			c.choices = append(c.choices, c.paid...)
		}
		c.choices = append(c.choices, c.late...)
		return
	}
	// What was tried or is closed keeps its place behind; text messages have
	// theirs where the order says so.
	c.choices = append(c.choices, c.paid...)
	sortBy(c.choices, c.rule.Order, c.q.Providers)
	c.choices = append(c.choices, c.late...)
}

// sortBy sorts by a fixed order, and what it does not name by the route's.
func sortBy(choices []push.Choice, order, route []string) {
	place := func(p string) int {
		if i := slices.Index(order, p); i >= 0 {
			return i
		}
		return len(order) + slices.Index(route, p)
	}
	slices.SortStableFunc(choices, func(a, b push.Choice) int { return place(a.Provider) - place(b.Provider) })
}

// record is the decision in numbers.
func (c *counsel) record() *push.Decision {
	d := &c.decision
	out := &push.Decision{Policy: c.policy, Propensity: 1, Online: c.q.Online, Wished: c.wished}
	if c.policy == string(push.ModeAuto) && d.N > 0 {
		out.Propensity, out.Explored = float64(d.Roads[d.Chosen].Propensity), d.Explored
	}
	if c.paidFirst {
		out.Propensity, out.Explored = 1, false
	}
	out.Roads = make([]push.Candidate, d.N, d.N+len(c.paid))
	for i := range d.N {
		out.Roads[i] = c.candidate(c.names[i], &d.Roads[i])
		if c.paidFirst {
			out.Roads[i].Propensity = 0
		}
	}
	if c.paidFirst {
		for i, p := range c.paid {
			if r := c.paidRoad(p.Provider); r != nil {
				paid := c.candidate(p.Provider, r)
				paid.Propensity = 0
				if i == 0 {
					paid.Propensity = 1
				}
				out.Roads = append(out.Roads, paid)
			}
		}
	}
	return out
}

// candidate is a road that was weighed, in numbers.
func (c *counsel) candidate(provider string, r *brain.Road) push.Candidate {
	return push.Candidate{
		Provider: provider, Score: r.Value, Propensity: r.Propensity, Cost: r.Cost, Chance: r.Value + r.Cost,
		Seconds: float32(c.s.brain.Typical(int(r.Provider), c.q.Online)),
	}
}

// explain gives the first road its decision and its reason, and the others
// theirs if they were asked for.
func (c *counsel) explain() {
	for i := range c.choices {
		ch := &c.choices[i]
		switch {
		case ch.Why != "":
		case i == 0:
			ch.Why = c.words(ch.Provider)
		case c.q.Words, push.IsSMS(ch.Provider):
			ch.Why = c.sentence(ch.Provider)
		default:
			ch.Why = "next in the selector's order"
		}
	}
	if len(c.choices) > 0 {
		c.choices[0].Decision = c.record()
	}
}
