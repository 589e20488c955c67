package brain

// gauss is a belief about a number: mean and variance.
type gauss struct{ m, v float32 }

// Family says which devices share an effect.
type Family uint8

// The families of effects, each apart for every provider.
const (
	ByBias    Family = iota // all devices, online or not
	ByMaker                 // maker × country, online or not
	ByCarrier               // country × carrier
	ByOS                    // maker × OS
	ByApp                   // app
	ByTrio                  // maker × country × carrier
	families
)

// Features are what is known of a device, as numbers. The caller gives the same
// number to the same word.
type Features struct {
	Maker, Country, Carrier, OS, App uint16
}

// Row names the devices that share an effect: those with these features, of
// which the family uses some and leaves the others 0.
type Row struct {
	Family Family
	Online bool
	Features
}

// rowsOf lists the effects that play into one kind of device.
func rowsOf(f Features, online bool) [families]Row {
	return [families]Row{
		ByBias:    {Family: ByBias, Online: online},
		ByMaker:   {Family: ByMaker, Online: online, Features: Features{Maker: f.Maker, Country: f.Country}},
		ByCarrier: {Family: ByCarrier, Features: Features{Country: f.Country, Carrier: f.Carrier}},
		ByOS:      {Family: ByOS, Features: Features{Maker: f.Maker, OS: f.OS}},
		ByApp:     {Family: ByApp, Features: Features{App: f.App}},
		ByTrio:    {Family: ByTrio, Features: Features{Maker: f.Maker, Country: f.Country, Carrier: f.Carrier}},
	}
}

// effects are the beliefs that devices share. Beliefs of one row lie together,
// one for each provider.
type effects struct {
	cfg       *Config
	providers int
	rows      map[Row]int32
	keys      []Row
	now       []gauss // rows × providers
	base      []gauss // as they were when last told to others
	priors    []float32
	dirty     []bool // by row: now differs from base
}

func newEffects(cfg *Config, providers int) *effects {
	return &effects{cfg: cfg, providers: providers, rows: map[Row]int32{}}
}

// row finds or makes the row.
func (s *effects) row(r Row) int32 {
	if i, ok := s.rows[r]; ok {
		return i
	}
	i := int32(len(s.keys))
	s.rows[r] = i
	s.keys = append(s.keys, r)
	s.dirty = append(s.dirty, false)
	for p := range s.providers {
		g := s.prior(r, p)
		s.now = append(s.now, g)
		s.base = append(s.base, g)
		s.priors = append(s.priors, g.m)
	}
	return i
}

// prior is what is believed before anything was seen.
func (s *effects) prior(r Row, provider int) gauss {
	g := gauss{0, s.cfg.Spread[r.Family]}
	if s.cfg.Prior != nil {
		g.m = s.cfg.Prior(r, provider)
	}
	return g
}

// least keeps a belief from growing so sure that it never moves again.
const least = 1e-4

// move takes a step by the gradient and the information that an observation
// has left after the doubts of all the beliefs it concerns were shared out.
func (g gauss) move(gradient, information float32) gauss {
	return gauss{g.m + g.v*gradient, max(g.v*(1-g.v*information), least)}
}

// unmove takes a step back: it finds the variance from before the step, which
// is the smaller root of v' = v - v²·information.
func (g gauss) unmove(gradient, information, prior float32) gauss {
	v := g.v
	if information > 1e-7 {
		v = (1 - sqrt(max(0, 1-4*information*g.v))) / (2 * information)
	}
	v = min(max(v, g.v), max(prior, g.v))
	return gauss{g.m - v*gradient, v}
}

// drift lets the beliefs of all rows grow less sure as time passes, and those of
// narrow families fall back to their prior as slowly as that takes them there.
// Without that, families that the same devices share would wander apart: one up,
// one down, their sum the same.
func (s *effects) drift(seconds float64) {
	more := s.cfg.Drift * float32(seconds/86400)
	for i, key := range s.keys {
		most := s.cfg.Spread[key.Family]
		keep := float32(1)
		if key.Family != ByBias {
			keep = 1 - more/most/2
		}
		for j := i * s.providers; j < (i+1)*s.providers; j++ {
			prior := s.priors[j]
			for _, g := range [...]*gauss{&s.now[j], &s.base[j]} {
				g.v = min(g.v+more, max(most, g.v))
				g.m = prior + (g.m-prior)*keep
			}
		}
	}
}

// Change is what one process has learned of one effect since it last told the
// others, as a product of Gaussians needs it: precisions add, and so do means
// times precisions. Adding the changes of many processes to the same belief
// gives what one process would believe that had seen everything.
type Change struct {
	Row       Row
	Provider  uint8
	Shift     float32 // of mean × precision
	Precision float32
}

// changes lists what was learned since the last call, and starts anew.
func (s *effects) changes(to []Change) []Change {
	for i, dirty := range s.dirty {
		if !dirty {
			continue
		}
		s.dirty[i] = false
		for p := range s.providers {
			j := i*s.providers + p
			now, base := s.now[j], s.base[j]
			if now == base {
				continue
			}
			to = append(to, Change{
				Row: s.keys[i], Provider: uint8(p),
				Shift: now.m/now.v - base.m/base.v, Precision: 1/now.v - 1/base.v,
			})
			s.base[j] = now
		}
	}
	return to
}

// add takes in what another process learned.
func (s *effects) add(c Change) {
	if int(c.Provider) >= s.providers {
		return
	}
	j := int(s.row(c.Row))*s.providers + int(c.Provider)
	s.now[j] = s.now[j].plus(c)
	s.base[j] = s.base[j].plus(c)
}

func (g gauss) plus(c Change) gauss {
	precision := max(1/g.v+c.Precision, 1e-3)
	return gauss{(g.m/g.v + c.Shift) / precision, max(1/precision, least)}
}

// Belief is one effect whole, for a snapshot.
type Belief struct {
	Row            Row
	Provider       uint8
	Mean, Variance float32
}

// beliefs lists every effect that something is known of.
func (s *effects) beliefs(to []Belief) []Belief {
	for i, key := range s.keys {
		for p := range s.providers {
			g := s.now[i*s.providers+p]
			if g != s.prior(key, p) {
				to = append(to, Belief{Row: key, Provider: uint8(p), Mean: g.m, Variance: g.v})
			}
		}
	}
	return to
}

// believe replaces an effect by a snapshot's.
func (s *effects) believe(b Belief) {
	if int(b.Provider) >= s.providers || !(b.Variance > 0) || b.Mean != b.Mean {
		return
	}
	j := int(s.row(b.Row))*s.providers + int(b.Provider)
	g := gauss{b.Mean, max(b.Variance, least)}
	s.now[j], s.base[j] = g, g
}
