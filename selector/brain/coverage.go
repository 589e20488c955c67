package brain

// coverage is the part of what arrives that a receipt comes for, by provider,
// country and online: learned from messages that people clicked or apps
// reported, which have arrived whether their receipt came or not.
type coverage struct {
	providers int
	all       []share // by (provider × 2 + online)
	country   []share // the same for each country
}

type share struct{ yes, of float32 }

const (
	coverGuess  = 0.9
	coverWeight = 10
	coverMemory = 20000 // proofs that a share remembers
)

func newCoverage(providers int) *coverage {
	return &coverage{providers: providers, all: make([]share, 2*providers)}
}

func (s *share) count(yes bool) {
	if s.of > coverMemory {
		s.of *= 0.99
		s.yes *= 0.99
	}
	s.of++
	if yes {
		s.yes++
	}
}

// towards is the share drawn towards a guess that is worth coverWeight proofs.
func (s share) towards(guess float32) float32 {
	return (s.yes + coverWeight*guess) / (s.of + coverWeight)
}

func (c *coverage) grow(country uint16) {
	if need := (int(country) + 1) * 2 * c.providers; need > len(c.country) {
		c.country = append(c.country, make([]share, need-len(c.country))...)
	}
}

func (c *coverage) count(provider int, country uint16, online, came bool) {
	c.grow(country)
	i := at(provider, online)
	c.all[i].count(came)
	c.country[int(country)*2*c.providers+i].count(came)
}

func (c *coverage) of(provider int, country uint16, online bool) float32 {
	i := at(provider, online)
	wide := c.all[i].towards(coverGuess)
	if j := int(country)*2*c.providers + i; j < len(c.country) {
		return c.country[j].towards(wide)
	}
	return wide
}
