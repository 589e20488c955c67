package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
)

// roadsPage is the page of the providers.
func (s *site) roadsPage() *insight {
	return &insight{
		name: "providers", path: "/providers",
		parts: []string{"headline", "filters", "compared", "kinds", "heat", "lanes"},
		read:  s.readRoads,
	}
}

// roadsRead is what the page of the providers has read.
type roadsRead struct {
	Roads
	Lanes []Lane
}

func (s *site) readRoads(ctx context.Context, r *reading) (content, error) {
	got := &roadsRead{}
	var (
		err, noLanes error
		asks         sync.WaitGroup
	)
	if s.Lanes != nil {
		asks.Go(func() { got.Lanes, noLanes = s.Lanes.Lanes(ctx, r.app) })
	}
	asks.Go(func() { got.Roads, err = s.Numbers.Roads(ctx, r.lens(r.to)) })
	asks.Wait()
	if noLanes != nil {
		s.Log.WarnContext(ctx, "page has no lanes", "app", r.app, "err", noLanes)
		r.fault("How the providers fare now cannot be read.")
	}
	if r.provider != "" {
		got.Lanes = slices.DeleteFunc(got.Lanes, func(l Lane) bool { return l.Provider != r.provider })
	}
	return got, err
}

// compared is a provider with a group of devices, beside all devices.
type compared struct {
	Provider
	All     *Provider // nil where there is no group, or nothing to compare with
	Colour  string
	Dot     string // its health: good, warn or bad
	Health  string // in words
	Differs string // in percentage points of the delivered share
	Less    bool
}

// Compared lists the providers with their health: what the lane says, or else
// how many of the attempts are proven.
func (d *roadsRead) Compared() []compared {
	var rows []compared
	for _, p := range d.Providers {
		row := compared{Provider: p, Colour: strings.TrimPrefix(roadColour(p.Name, 0), "--"), Dot: "good", Health: "takes deliveries"}
		if i := slices.IndexFunc(d.Lanes, func(l Lane) bool { return l.Provider == p.Name }); i >= 0 {
			row.Dot = d.Lanes[i].Dot()
			if l := d.Lanes[i]; l.State != "open" {
				row.Health = l.State
			}
		}
		if failed := float64(p.Failed+p.Unknown) / float64(max(1, p.Attempts)); row.Dot == "good" && p.Attempts >= 20 && failed > 0.1 {
			row.Dot, row.Health = "warn", fmt.Sprintf("%.0f %% refused or unanswered", 100*failed)
		}
		if i := slices.IndexFunc(d.Everybody, func(e Provider) bool { return e.Name == p.Name }); i >= 0 {
			row.All = &d.Everybody[i]
			if row.All.Attempts > 0 && p.Attempts > 0 {
				points := 100*float64(p.Delivered)/float64(p.Attempts) - 100*float64(row.All.Delivered)/float64(row.All.Attempts)
				row.Differs, row.Less = signed(points), points < -1
			}
		}
		rows = append(rows, row)
	}
	slices.SortStableFunc(rows, func(a, b compared) int { return byRoad(a.Name, b.Name) })
	return rows
}

// Attempts is the sum over all providers.
func (d *roadsRead) Attempts() (n uint64) {
	for _, p := range d.Providers {
		n += p.Attempts
	}
	return n
}

// Unwell counts the providers that do not take everything now.
func (d *roadsRead) Unwell() (n int) {
	for _, l := range d.Lanes {
		if l.Dot() != "good" {
			n++
		}
	}
	return n
}

// kindTotal is one kind of failure over the window.
type kindTotal struct {
	Kind, Colour string
	N            uint64
}

// KindTotals are the kinds of failure, in the order and colours of the chart.
func (d *roadsRead) KindTotals() []kindTotal {
	sums := map[string]uint64{}
	for _, k := range d.Kinds {
		sums[k.Kind] += k.N
	}
	var all []kindTotal
	for kind, n := range sums {
		all = append(all, kindTotal{kind, strings.TrimPrefix(kindColour(kind, 0), "--"), n})
	}
	slices.SortFunc(all, func(a, b kindTotal) int { return strings.Compare(a.Kind, b.Kind) })
	return all
}

// kindColour is a kind of failure's colour, the same on every page.
func kindColour(kind string, _ int) string {
	known := []string{"rejected", "credentials", "throttled", "unavailable", "unregistered", "unknown", "quota", "expired"}
	hue := [hues]int{3, 4, 2, 1, 6, 7, 5, 0}
	if i := slices.Index(known, kind); i >= 0 {
		return fmt.Sprint("--c", hue[i])
	}
	return roadColour(kind, 0)
}

// bucketNames are the buckets of waiting time, upwards.
func bucketNames() []string {
	names := make([]string, HeatBuckets)
	for b := range names {
		end := 1 << (b + 4) // ms
		switch {
		case b == HeatBuckets-1:
			names[b] = "longer"
		case end < 1000:
			names[b] = fmt.Sprintf("%d ms", end)
		case end < 100_000:
			names[b] = fmt.Sprintf("%.0f s", float64(end)/1000)
		default:
			names[b] = fmt.Sprintf("%.0f min", float64(end)/60_000)
		}
	}
	return names
}

func (d *roadsRead) charts(r *reading) map[string]chart {
	kinds := r.over("stacks", "attempts")
	cells := map[string]map[int64]float64{}
	for _, k := range d.Kinds {
		if cells[k.Kind] == nil {
			cells[k.Kind] = map[int64]float64{}
		}
		cells[k.Kind][k.At.Unix()] += float64(k.N)
	}
	kinds.Series = r.spread(cells, kindColour)

	heat := r.over("heat", "proofs")
	heat.Names = bucketNames()
	for _, c := range d.Heat {
		heat.Cells = append(heat.Cells, [3]any{c.At.UnixMilli(), c.Bucket, c.N})
	}
	return map[string]chart{"kinds": kinds, "heat": heat}
}

func (d *roadsRead) tables(*reading) map[string]table {
	kinds := table{Heads: []string{"at", "kind", "attempts"}}
	for _, k := range d.Kinds {
		kinds.Rows = append(kinds.Rows, []any{k.At, k.Kind, k.N})
	}
	heat := table{Heads: []string{"at", "up_to", "proofs"}}
	names := bucketNames()
	for _, c := range d.Heat {
		heat.Rows = append(heat.Rows, []any{c.At, names[c.Bucket], c.N})
	}
	lanes := table{Heads: []string{"provider", "state", "why", "in_flight", "limit", "waiting", "per_second", "quota", "used", "of", "ends_at", "renews_at"}}
	for _, l := range d.Lanes {
		row := []any{l.Provider, l.State, l.Why, l.InFlight, l.Limit, l.Waiting, l.PerSecond}
		if len(l.Quotas) == 0 {
			lanes.Rows = append(lanes.Rows, append(row, nil, nil, nil, nil, nil))
		}
		for _, q := range l.Quotas {
			var ends any
			if !q.EndsAt.IsZero() {
				ends = q.EndsAt
			}
			lanes.Rows = append(lanes.Rows, append(slices.Clip(row), q.Name, q.Used, q.Limit, ends, q.RenewsAt))
		}
	}
	return map[string]table{"compared": providerTable(d.Providers), "kinds": kinds, "heat": heat, "lanes": lanes}
}

func (d *roadsRead) numbers(r *reading) any {
	rows := func(all []Provider) []provider {
		out := []provider{}
		for _, p := range all {
			out = append(out, provider{
				p.Name, p.Attempts, p.Accepted, p.Delivered, p.Failed, p.Unknown,
				known(p.P50Millis, p.Delivered), known(p.P95Millis, p.Delivered), p.CostMicros,
			})
		}
		return out
	}
	return map[string]any{
		"app": r.app, "window": r.window.Name, "from": r.from, "to": r.to,
		"providers": rows(d.Providers), "everybody": rows(d.Everybody), "kinds": d.KindTotals(), "faults": r.faults,
	}
}

// switchLane serves POST /providers/{provider}: an operator keeps a provider from
// being used, for a reason, or lets it be used again.
func (s *site) switchLane(w http.ResponseWriter, r *http.Request, sess *session) error {
	page := s.roadsPage()
	v, err := s.glimpse(r, sess, page)
	if err != nil {
		return err
	}
	if err := sess.need(v.app, Operator); err != nil {
		return err
	}
	provider := r.PathValue("provider")
	body := map[string]string{"state": "open"}
	if r.PostFormValue("do") == "off" {
		body = map[string]string{"state": "off", "reason": strings.TrimSpace(r.PostFormValue("reason"))}
	}
	err = s.act(r, sess, v.app, http.MethodPut, "/v1/lanes/"+url.PathEscape(provider), body)
	var refused *refusal
	switch {
	case errors.As(err, &refused):
		v.Notice = provider + " was not switched: " + refused.words + "."
		s.render(w, r, sess, http.StatusUnprocessableEntity, page.name, v)
		return nil
	case err != nil:
		return err
	}
	s.board.forget(page)
	http.Redirect(w, r, v.Here(), http.StatusSeeOther)
	return nil
}

// Switch is where a lane of this page is switched.
func (v insightView) Switch(provider string) string {
	return v.With("/providers/" + url.PathEscape(provider))
}
