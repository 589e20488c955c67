package gateway

import (
	"encoding/json"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Event is one call as it is written down.
type Event struct {
	App, Service, Version, Operation string
	Device, User                     string
	At                               time.Time
	Took                             time.Duration
	Code                             string // "" if it was answered
	Cached                           string // "", hit or stale
	Partial                          int
	Bytes                            int
	Exchange                         []byte // JSON of an [Exchange], where the declaration keeps some
}

// metrics are the gateway's numbers.
type metrics struct{ seconds *prometheus.HistogramVec }

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "herald_gateway_call_seconds",
		Help:    "Time that a call to a business took, by service, operation and outcome.",
		Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10},
	}, []string{"service", "operation", "outcome"})}
	if r != nil {
		r.MustRegister(m.seconds)
	}
	return m
}

// counts is how the operations fared since the start of this process.
type counts struct {
	mu   sync.Mutex
	of   map[countKey]*count
	kept map[string][]*Exchange // by app/service: the last that were sampled
}

type countKey struct{ app, service, version, operation string }

const (
	exchangesKept = 50
	tookKept      = 1024 // times of the last calls, for the quantiles
)

type count struct {
	calls, hits, stale, partial int
	codes                       map[string]int
	took                        []time.Duration // a ring
}

// Stats is how an operation fared in this process.
type Stats struct {
	Version   string         `json:"version"`
	Operation string         `json:"operation"`
	Calls     int            `json:"calls"`
	Errors    map[string]int `json:"errors"`
	Hits      int            `json:"cache_hits"`
	Stale     int            `json:"cache_stale"`
	Partial   int            `json:"partial"`
	P50MS     float64        `json:"p50_ms"`
	P99MS     float64        `json:"p99_ms"`
}

// BackendState is how a back end is at this moment.
type BackendState struct {
	Name     string `json:"backend"`
	Breaker  string `json:"breaker"` // closed, open or half-open
	UnderWay int    `json:"under_way"`
	Most     int    `json:"most"`
}

// note counts a call and writes it down.
func (g *Gateway) note(c *call, r Request, a *Answer, err error, took time.Duration) {
	if c.operation == nil {
		return // names of callers' invention are nobody's statistics
	}
	e := Event{
		App: c.who.App, Service: r.Service, Version: c.version.id, Operation: r.Operation,
		Device: c.who.Device, User: c.who.User, At: g.parts.Now().UTC(), Took: took,
	}
	outcome := "answered"
	if err != nil {
		e.Code = asError(err).Code
		outcome = e.Code
	} else {
		e.Cached, e.Partial, e.Bytes = a.Cached, len(a.Partial), len(a.Output)
		if a.Cached != "" {
			outcome = "cached"
		}
	}
	g.metrics.seconds.WithLabelValues(r.Service, r.Operation, outcome).Observe(took.Seconds())
	var kept *Exchange
	if c.notes != nil {
		kept = c.finish(r, a, err)
		e.Exchange, _ = json.Marshal(kept) // it is made of JSON
	}
	g.counts.add(countKey{e.App, e.Service, e.Version, e.Operation}, e, kept)
	if g.parts.Record != nil {
		g.parts.Record(e)
	}
	if err != nil && asError(err).Code == "internal" {
		g.log.Error("a call failed", "service", r.Service, "operation", r.Operation, "err", err)
	}
}

func (c *counts) add(k countKey, e Event, x *Exchange) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of == nil {
		c.of, c.kept = map[countKey]*count{}, map[string][]*Exchange{}
	}
	n := c.of[k]
	if n == nil {
		n = &count{codes: map[string]int{}}
		c.of[k] = n
	}
	if len(n.took) < tookKept {
		n.took = append(n.took, e.Took)
	} else {
		n.took[n.calls%tookKept] = e.Took
	}
	n.calls++
	switch {
	case e.Code != "":
		n.codes[e.Code]++
	case e.Cached == "hit":
		n.hits++
	case e.Cached == "stale":
		n.stale++
	}
	if e.Partial > 0 {
		n.partial++
	}
	if x != nil {
		at := k.app + "/" + k.service
		c.kept[at] = append(c.kept[at], x)
		if len(c.kept[at]) > exchangesKept {
			c.kept[at] = c.kept[at][1:]
		}
	}
}

// Stats tells how the operations of a service fared, in order.
func (g *Gateway) Stats(app, service string) []Stats {
	g.counts.mu.Lock()
	defer g.counts.mu.Unlock()
	all := []Stats{}
	for k, n := range g.counts.of {
		if k.app != app || k.service != service {
			continue
		}
		s := Stats{Version: k.version, Operation: k.operation, Calls: n.calls, Errors: map[string]int{}, Hits: n.hits, Stale: n.stale, Partial: n.partial}
		for code, times := range n.codes {
			s.Errors[code] = times
		}
		took := slices.Sorted(slices.Values(n.took))
		s.P50MS = took[len(took)/2].Seconds() * 1000
		s.P99MS = took[len(took)*99/100].Seconds() * 1000
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b Stats) int { return compareStrings(a.Operation, b.Operation, a.Version, b.Version) })
	return all
}

func compareStrings(pairs ...string) int {
	for i := 0; i < len(pairs); i += 2 {
		switch a, b := pairs[i], pairs[i+1]; {
		case a < b:
			return -1
		case a > b:
			return 1
		}
	}
	return 0
}

// Exchanges are the last that a declaration had kept.
func (g *Gateway) Exchanges(app, service string) []*Exchange {
	g.counts.mu.Lock()
	defer g.counts.mu.Unlock()
	return append([]*Exchange{}, g.counts.kept[app+"/"+service]...)
}

// Backends tells how a service's back ends are.
func (g *Gateway) Backends(app, service string) []BackendState {
	s := g.catalog.Load().service(app, service)
	all := []BackendState{}
	if s == nil {
		return all
	}
	for name, b := range s.backends {
		all = append(all, BackendState{name, b.breaker.State().String(), len(b.slots), cap(b.slots)})
	}
	slices.SortFunc(all, func(a, b BackendState) int { return compareStrings(a.Name, b.Name) })
	return all
}
