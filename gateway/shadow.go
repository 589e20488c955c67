package gateway

import (
	"context"
	"hash/fnv"
	"math/rand/v2"
	"sync"
	"time"
)

// comparison is how a shadow fares against what answers.
type comparison struct {
	mu     sync.Mutex
	report Comparison
}

// Comparison is the report of a shadow.
type Comparison struct {
	Same      int           `json:"same"`
	Different int           `json:"different"`
	Failed    int           `json:"failed"`  // the shadow was no answer
	Skipped   int           `json:"skipped"` // too many were being compared
	Last      []Differences `json:"last,omitempty"`
}

// Differences are those of one call.
type Differences struct {
	At    time.Time    `json:"at"`
	Error string       `json:"error,omitempty"`
	Where []Difference `json:"where,omitempty"`
}

const differencesKept = 20

// lot is a number from 0 to 100: the same for a caller each time, so that
// nobody is sent to and fro; any for nobody.
func lot(w Caller) float64 {
	who := w.User
	if who == "" {
		who = w.Device
	}
	if who == "" {
		return rand.Float64() * 100
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(who)) // never fails
	x := h.Sum64()
	x ^= x >> 33
	x *= 0xff51afd7ed558ccd // FNV alone spreads names that differ in the last letter badly
	x ^= x >> 33
	return float64(x%10_000) / 100
}

// compare asks the shadow in the background and notes where it differs.
func (g *Gateway) compare(c *call, o *operation, input any, page PageRequest, main *result) {
	select {
	case g.shadows <- struct{}{}:
	default:
		o.comparison.add(func(r *Comparison) { r.Skipped++ })
		return
	}
	quiet := *c
	quiet.notes = nil
	other := *o
	other.shadow = nil
	g.spawn(func(ctx context.Context) {
		defer func() { <-g.shadows }()
		ctx, cancel := context.WithTimeout(ctx, maxTimeout)
		defer cancel()
		res, err := quiet.run(ctx, &other, []*step{o.shadow.step}, input, page, "")
		o.comparison.note(g.parts.Now(), o.declared.Sample, main, res, err)
	})
}

func (c *comparison) add(f func(*Comparison)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(&c.report)
}

func (c *comparison) note(now time.Time, s *Sample, main, res *result, err error) {
	d := Differences{At: now.UTC()}
	if err != nil {
		d.Error = asError(err).Code
	} else {
		var m mask
		if s != nil {
			m.names = s.Mask
		}
		was, _ := encode(m.apply(main.value)) // both were checked
		is, _ := encode(m.apply(res.value))
		d.Where = Compare(was, is)
	}
	c.add(func(r *Comparison) {
		switch {
		case err != nil:
			r.Failed++
		case len(d.Where) > 0:
			r.Different++
		default:
			r.Same++
			return
		}
		r.Last = append(r.Last, d)
		if len(r.Last) > differencesKept {
			r.Last = r.Last[1:]
		}
	})
}

// Shadow is the report of an operation's shadow.
func (g *Gateway) Shadow(app, service, version, operation string) (Comparison, bool) {
	s := g.catalog.Load().service(app, service)
	if s == nil || s.versions[version] == nil || s.versions[version].operations[operation] == nil {
		return Comparison{}, false
	}
	o := s.versions[version].operations[operation]
	o.comparison.mu.Lock()
	defer o.comparison.mu.Unlock()
	r := o.comparison.report
	r.Last = append([]Differences(nil), r.Last...)
	return r, o.shadow != nil
}
