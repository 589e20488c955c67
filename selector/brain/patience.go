package brain

// steps are the ages in seconds at which it is asked again whether to act.
var patienceSteps = [...]float64{1.5, 3, 5, 8, 12, 17, 23, 30, 40, 55, 75, 100, 160, 300, 600, 1200}

const (
	// leastPart of the time in which a message loses half its worth costs 3 % of
	// it. To act sooner than that is impatience: what it gains is less than what
	// is guessed at.
	leastPart = 24
	mostLeast = 30 // seconds
)

// Wait is the question how long silence on a road is worth bearing.
type Wait struct {
	Cell     int32
	Provider int
	Online   bool
	Now, TTL float64 // seconds
	// HalfWorth is after how many seconds a message is worth half.
	HalfWorth float64
	// Next is what the next road is worth: its chance to arrive.
	Next float32
	// Price is what acting costs, Twice what a second copy costs, in the worth
	// of one message that arrives.
	Price, Twice float32
}

// Patience is after how many seconds without a receipt the next road is worth
// taking: the first step at which acting now is worth more than acting one
// step later, if by then no receipt has come. 0 means never within the ttl.
func (b *Brain) Patience(w *Wait, e *Evidence) float64 {
	c := &b.kinds[w.Cell]
	pi := b.curves.chance(b.belief(c, e, w.Provider, w.Online, w.Now).m) * b.health.of(c, w.Provider)
	cover := b.coverage.of(w.Provider, c.Country, w.Online)
	came := &b.delays.share[at(w.Provider, w.Online)]
	// missing is P(not delivered), left P(no receipt), both by an age.
	left := func(age float64) float32 { return 1 - pi*cover*came.by(age) }
	act := func(age float64) float32 {
		missing := (1 - pi) / left(age)
		if age >= w.TTL {
			return 0
		}
		worth := exp(float32(-0.693 * age / w.HalfWorth))
		return missing*w.Next*worth - (1-missing)*w.Twice - w.Price
	}
	least := LeastPatience(w.HalfWorth)
	for i, age := range patienceSteps {
		if age >= w.TTL {
			return 0
		}
		if age < least {
			continue
		}
		now := act(age)
		if now <= 0 {
			continue
		}
		if i+1 == len(patienceSteps) {
			return age
		}
		later := patienceSteps[i+1]
		if still := left(later) / left(age); now >= still*act(later) {
			return age
		}
	}
	return 0
}

// LeastPatience is the shortest that [Brain.Patience] is for a message that is
// worth half after so many seconds.
func LeastPatience(halfWorth float64) float64 {
	least := min(halfWorth/leastPart, mostLeast)
	for _, age := range patienceSteps {
		if age >= least {
			return age
		}
	}
	return least
}
