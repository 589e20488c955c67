package sim

import (
	"math"
	"slices"
)

// Score is how a policy did.
type Score struct {
	Name      string
	Messages  int
	OnTime    float64 // messages that arrived within their ttl, expected
	First     float64 // the same of the first three messages of each device
	FirstN    int
	Lost      float64 // messages lost by choosing a road in an outage
	InversePK float64 // sum of 1 / (roads × propensity)
	Choices   int

	Critical, SMS, Twice int
	times                []float32 // to arrival, of a sample of messages
	criticalTimes        []float32
	reactions            []reaction
}

// reaction watches how fast a policy leaves a road that fell silent, and comes
// back to it.
type reaction struct {
	o      *Outage
	before float64 // part of the messages that took the road, before
	now    float64 // and lately
	left   float64 // seconds after the beginning; 0 is not yet
	back   float64 // seconds after the end; 0 is not yet
}

func newScore(name string, w *World) *Score {
	s := &Score{Name: name}
	for i := range w.outages {
		if o := &w.outages[i]; o.Kind == Silent && o.Country < 0 && o.Carrier < 0 && o.To-o.From > 1800 {
			s.reactions = append(s.reactions, reaction{o: o})
		}
	}
	return s
}

// choice notes what a policy wanted.
func (s *Score) choice(n *Notice, _ *Truth, road int, propensity float64, _ int) {
	roads := 0
	for r := range Roads {
		if n.Roads&(1<<r) != 0 {
			roads++
		}
	}
	if propensity > 0 {
		s.InversePK += 1 / (float64(roads) * propensity)
	}
	s.Choices++
	if roads < 2 {
		return
	}
	for i := range s.reactions {
		s.reactions[i].see(n, road)
	}
}

// see follows the part of the messages that take the road.
func (r *reaction) see(n *Notice, road int) {
	if n.Roads&(1<<r.o.Road) == 0 || n.At < r.o.From-3600 || n.At > r.o.To+3600 {
		return
	}
	took := 0.0
	if road == r.o.Road {
		took = 1
	}
	r.now += 0.04 * (took - r.now)
	switch {
	case n.At < r.o.From:
		r.before += 0.003 * (took - r.before)
	case n.At < r.o.To:
		if r.left == 0 && r.now < r.before/2 {
			r.left = n.At - r.o.From
		}
	case r.left > 0 && r.back == 0 && r.now > r.before/2:
		r.back = n.At - r.o.To
	}
}

// value notes what the choice was worth: the second road where the first
// refused, none if that is negative.
func (s *Score) value(n *Notice, t *Truth, first, second, seen int) {
	v := 0.0
	if second >= 0 {
		v = t.OnTime[second]
	}
	s.Messages++
	s.OnTime += v
	if seen < 3 {
		s.First += v
		s.FirstN++
	}
	if t.fate[first] != nil {
		well := 0.0
		for r := range Roads {
			if n.Roads&(1<<r) != 0 && t.fate[r] == nil {
				well = max(well, t.OnTime[r])
			}
		}
		s.Lost += max(0, well-v)
	}
}

func (s *Score) arrived(n *Notice, at float64) {
	if n.ID%64 == 0 && at <= n.TTL {
		s.times = append(s.times, float32(at))
	}
}

// critical notes a message that may be followed by an SMS, sms seconds later.
func (s *Score) critical(arrived, sms float64) {
	s.Critical++
	if !math.IsInf(sms, 1) {
		s.SMS++
		if arrived < sms {
			s.Twice++
		}
		arrived = min(arrived, sms+smsTime)
	}
	s.criticalTimes = append(s.criticalTimes, float32(min(arrived, 1e6)))
}

func quantile(times []float32, q float64) float64 {
	if len(times) == 0 {
		return 0
	}
	slices.Sort(times)
	return float64(times[min(len(times)-1, int(q*float64(len(times))))])
}

// Row is a score set against others of the same world.
type Row struct {
	Policy     string  `json:"policy"`
	OnTime     float64 `json:"on_time"`      // part of all messages
	Share      float64 `json:"share"`        // between random (0) and the oracle (1)
	Fair       float64 `json:"fair_share"`   // between random and the fair oracle
	First      float64 `json:"first_three"`  // share, in the first three messages of a device
	Lost       float64 `json:"lost"`         // in outages, messages
	LostVendor float64 `json:"lost_vendor"`  // the same as a part of the vendor rule's
	Reaction   float64 `json:"reaction_s"`   // to a full silent outage, mean; -1 is never
	Recovery   float64 `json:"recovery_s"`   //
	P50        float64 `json:"p50_s"`        // to arrival, of what arrived in time
	P95        float64 `json:"p95_s"`        //
	Critical95 float64 `json:"critical95_s"` // the same of all critical messages with their SMS
	SMS        float64 `json:"sms_per_100"`  // critical messages
	Twice      float64 `json:"twice_per_100"`
	Cost       float64 `json:"cost_per_delivered"` // of critical messages
	Regret     float64 `json:"regret"`             // against the oracle, part of all messages
	InversePK  float64 `json:"inverse_pk"`         // mean of 1/(roads × propensity): 1 where propensities are true
}

// Compare sets scores of one run side by side; "random", "oracle", "fair
// oracle" and "vendor rule" must be among them.
func Compare(scores []*Score) []Row {
	by := map[string]*Score{}
	for _, s := range scores {
		by[s.Name] = s
	}
	random, oracle, fair, vendor := by["random"], by["oracle"], by["fair oracle"], by["vendor rule"]
	rows := make([]Row, len(scores))
	for i, s := range scores {
		n := float64(s.Messages)
		r := Row{
			Policy: s.Name, OnTime: s.OnTime / n,
			Share:      part(s.OnTime, random.OnTime, oracle.OnTime),
			Fair:       part(s.OnTime, random.OnTime, fair.OnTime),
			First:      part(s.First, random.First, oracle.First),
			Lost:       s.Lost,
			LostVendor: s.Lost / max(1, vendor.Lost),
			P50:        quantile(s.times, 0.5), P95: quantile(s.times, 0.95),
			Critical95: quantile(s.criticalTimes, 0.95),
			Regret:     (oracle.OnTime - s.OnTime) / n,
			InversePK:  s.InversePK / float64(s.Choices),
		}
		if s.Critical > 0 {
			of := float64(s.Critical)
			r.SMS, r.Twice = 100*float64(s.SMS)/of, 100*float64(s.Twice)/of
			r.Cost = smsPrice * float64(s.SMS) / of
		}
		r.Reaction, r.Recovery = s.reacted()
		rows[i] = r
	}
	return rows
}

func part(x, zero, one float64) float64 { return (x - zero) / (one - zero) }

// reacted averages over the outages in which the road was used before.
func (s *Score) reacted() (left, back float64) {
	n := 0.0
	for _, r := range s.reactions {
		if r.before < 0.1 {
			continue
		}
		if r.left == 0 {
			return -1, -1
		}
		n++
		left += r.left
		if r.back == 0 {
			back += 3600
		}
		back += r.back
	}
	if n == 0 {
		return -1, -1
	}
	return left / n, back / n
}
