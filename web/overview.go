package web

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// overviewPage is the first page: what came of everything.
func (s *site) overviewPage() *insight {
	return &insight{
		name: "overview", path: "/",
		parts: []string{"headline", "filters", "funnel", "classes", "latency", "throughput", "movers", "providers", "recent", "status"},
		read:  s.readOverview,
	}
}

// overview is what the first page has read.
type overview struct {
	Overview
	Recent []Notification
	Status Status
}

func (s *site) readOverview(ctx context.Context, r *reading) (content, error) {
	o := &overview{Status: s.Status(ctx)}
	var (
		err, noneRecent error
		asks            sync.WaitGroup
	)
	asks.Go(func() { o.Recent, noneRecent = s.Notifications.Recent(ctx, r.app, 12) })
	asks.Go(func() { o.Overview, err = s.Numbers.Overview(ctx, r.lens(r.to)) })
	asks.Wait()
	if noneRecent != nil {
		s.Log.WarnContext(ctx, "overview has no notifications", "app", r.app, "err", noneRecent)
		r.fault("The recent notifications cannot be read now.")
	}
	o.Series = fill(o.Series, r.from, r.to, r.window.Step)
	return o, err
}

// appCookie remembers the app that was looked at last; a link with ?app= is
// about that app all the same.
const appCookie = "herald_app"

// choose reads app and window from the query. An app that the session may not
// see does not exist for it.
func (s *site) choose(r *http.Request, sess *session) (view, []App, error) {
	apps, err := s.visible(r.Context(), sess)
	if err != nil {
		return view{}, nil, err
	}
	v := view{window: windows[0]}
	if len(apps) > 0 {
		v.app = apps[0].ID
	}
	if c, err := r.Cookie(appCookie); err == nil && slices.ContainsFunc(apps, func(a App) bool { return a.ID == c.Value }) {
		v.app = c.Value
	}
	q := r.URL.Query()
	if app := q.Get("app"); app != "" {
		if !slices.ContainsFunc(apps, func(a App) bool { return a.ID == app }) {
			return view{}, nil, ErrNotFound
		}
		v.app = app
	}
	if name := q.Get("window"); name != "" {
		i := slices.IndexFunc(windows[:], func(w window) bool { return w.Name == name })
		if i < 0 {
			return view{}, nil, ErrNotFound
		}
		v.window = windows[i]
	}
	if err := v.narrowing.read(q); err != nil {
		return view{}, nil, err
	}
	return v, apps, nil
}

func (s *site) visible(ctx context.Context, sess *session) ([]App, error) {
	apps, err := s.Apps.Apps(ctx)
	if err != nil {
		return nil, fmt.Errorf("web: list apps: %w", err)
	}
	return slices.DeleteFunc(slices.Clone(apps), func(a App) bool { return !sess.may(a.ID, Viewer) }), nil
}

// numbers is the JSON of /data/overview.
type numbers struct {
	App         string    `json:"app"`
	Window      string    `json:"window"`
	From        time.Time `json:"from"`
	To          time.Time `json:"to"`
	StepSeconds int       `json:"step_seconds"`
	Sample      uint64    `json:"sample"` // each delivery that is counted stands for so many; 1 is all
	totals
	Before        totals         `json:"before"`
	Versus        string         `json:"versus"` // when before was
	Classes       []classNumbers `json:"classes"`
	Movers        []mover        `json:"movers"`
	Series        []point        `json:"series"`
	Providers     []provider     `json:"providers"`
	Notifications []notification `json:"notifications"`
	Status        Status         `json:"status"`
	LagSeconds    float64        `json:"lag_seconds"`
	Faults        []string       `json:"faults,omitempty"`
}

// totals are [Totals].
type totals struct {
	Counts     Counts   `json:"counts"`
	P50        *float64 `json:"p50_ms"` // null without deliveries, here and below
	P95        *float64 `json:"p95_ms"`
	CostMicros int64    `json:"cost_micros"`
}

type classNumbers struct {
	Class string `json:"class"`
	totals
}

type mover struct {
	Provider        string  `json:"provider"`
	Maker           string  `json:"maker"`
	Country         string  `json:"country"`
	Attempts        uint64  `json:"attempts"`
	AttemptsBefore  uint64  `json:"attempts_before"`
	Delivered       uint64  `json:"delivered"`
	DeliveredBefore uint64  `json:"delivered_before"`
	Impact          float64 `json:"impact"`
	Why             string  `json:"why"`
}

// point is a [Point] with events per minute.
type point struct {
	At        time.Time `json:"at"`
	Running   bool      `json:"running,omitempty"` // not over yet: its rates are of the part that has passed
	Accepted  float64   `json:"accepted_per_min"`
	Delivered float64   `json:"delivered_per_min"`
	Displayed float64   `json:"displayed_per_min"`
	Clicked   float64   `json:"clicked_per_min"`
	Failed    float64   `json:"failed_per_min"`
	P50       *float64  `json:"p50_ms"`
	P95       *float64  `json:"p95_ms"`
}

type provider struct {
	Name       string   `json:"name"`
	Attempts   uint64   `json:"attempts"`
	Accepted   uint64   `json:"accepted"`
	Delivered  uint64   `json:"delivered"`
	Failed     uint64   `json:"failed"`
	Unknown    uint64   `json:"unknown"`
	P50        *float64 `json:"p50_ms"`
	P95        *float64 `json:"p95_ms"`
	CostMicros int64    `json:"cost_micros"`
}

type notification struct {
	ID         string    `json:"id"`
	Class      string    `json:"class"`
	State      string    `json:"state"`
	AcceptedAt time.Time `json:"accepted_at"`
	Counts     Counts    `json:"counts"`
}

func writeJSON(w http.ResponseWriter, v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("web: write JSON: %w", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write(text) //nolint:errcheck // the viewer left
	return nil
}

func (o *overview) numbers(r *reading) any {
	n := numbers{
		App: r.app, Window: r.window.Name, From: r.from, To: r.to, StepSeconds: int(r.window.Step / time.Second), Sample: r.scale,
		totals: o.Totals.numbers(), Before: o.Before.numbers(), Versus: o.Versus, Status: o.Status, LagSeconds: o.Status.Lag.Seconds(), Faults: r.faults,
		Classes: []classNumbers{}, Movers: []mover{}, Series: []point{}, Providers: []provider{}, Notifications: []notification{},
	}
	for _, c := range o.Classes {
		n.Classes = append(n.Classes, classNumbers{c.Class, c.Totals.numbers()})
	}
	for _, m := range o.Movers {
		n.Movers = append(n.Movers, mover(m))
	}
	for _, p := range o.Series {
		n.Series = append(n.Series, p.perMinute(r.window.Step, r.to))
	}
	for _, p := range o.Providers {
		n.Providers = append(n.Providers, provider{
			p.Name, p.Attempts, p.Accepted, p.Delivered, p.Failed, p.Unknown,
			known(p.P50Millis, p.Delivered), known(p.P95Millis, p.Delivered), p.CostMicros,
		})
	}
	for _, m := range o.Recent {
		n.Notifications = append(n.Notifications, notification{m.ID, m.Class, m.State, m.AcceptedAt, m.Counts})
	}
	return n
}

func (t Totals) numbers() totals {
	return totals{t.Counts, known(t.P50Millis, t.Counts.Delivered), known(t.P95Millis, t.Counts.Delivered), t.CostMicros}
}

func (p Point) perMinute(step time.Duration, now time.Time) point {
	passed := min(step, now.Sub(p.At))
	rate := func(n uint64) float64 { return float64(n) / passed.Minutes() }
	return point{
		At: p.At, Running: passed < step,
		Accepted: rate(p.Accepted), Delivered: rate(p.Delivered), Displayed: rate(p.Displayed),
		Clicked: rate(p.Clicked), Failed: rate(p.Failed),
		P50: known(p.P50Millis, p.Delivered), P95: known(p.P95Millis, p.Delivered),
	}
}

// known is a quantile, or nil where there was nothing to take it from.
func known(ms float64, of uint64) *float64 {
	if of == 0 {
		return nil
	}
	return &ms
}

// Rows is the series with events per minute, newest first, for the tables under
// the charts.
func (v insightView) Rows() []point {
	var rows []point
	for _, p := range slices.Backward(v.content.(*overview).Series) {
		rows = append(rows, p.perMinute(v.window.Step, v.to))
	}
	return rows
}

func (o *overview) charts(r *reading) map[string]chart {
	latency, throughput := r.over("lines", "ms"), r.over("lines", "/min")
	latency.Series = []series{
		{Name: "p95", Colour: "--accent-2", Dash: []int{5, 4}},
		{Name: "p50", Colour: "--accent", Fill: 12},
	}
	throughput.Series = []series{
		{Name: "Accepted", Colour: "--accent-3", Fill: 18},
		{Name: "Delivered", Colour: "--accent", Fill: 14},
		{Name: "Displayed", Colour: "--accent-2", Dash: []int{6, 4}},
		{Name: "Clicked", Colour: "--accent-2", Dash: []int{2, 3}},
		{Name: "Failed", Colour: "--bad"},
	}
	add := func(s *series, at time.Time, v any) { s.Points = append(s.Points, [2]any{at.UnixMilli(), v}) }
	for _, each := range o.Series {
		p := each.perMinute(r.window.Step, r.to)
		add(&latency.Series[0], p.At, p.P95)
		add(&latency.Series[1], p.At, p.P50)
		for i, rate := range []float64{p.Accepted, p.Delivered, p.Displayed, p.Clicked, p.Failed} {
			add(&throughput.Series[i], p.At, rate)
		}
	}
	return map[string]chart{"latency": latency, "throughput": throughput}
}

func (o *overview) tables(r *reading) map[string]table {
	funnel := table{Heads: []string{"stage", "deliveries", "of"}}
	for _, b := range o.Funnel() {
		funnel.Rows = append(funnel.Rows, []any{b.Name, b.N, b.Of})
	}
	classes := table{Heads: []string{"class", "notifications", "deliveries", "accepted", "delivered", "displayed", "clicked", "failed", "unknown", "expired", "p50_ms", "p95_ms", "cost_micros"}}
	for _, c := range o.Classes {
		n := c.Counts
		classes.Rows = append(classes.Rows, []any{
			c.Class, n.Notifications, n.Deliveries, n.Accepted, n.Delivered, n.Displayed, n.Clicked, n.Failed, n.Unknown, n.Expired,
			known(c.P50Millis, n.Delivered), known(c.P95Millis, n.Delivered), c.CostMicros,
		})
	}
	latency := table{Heads: []string{"at", "p50_ms", "p95_ms"}}
	throughput := table{Heads: []string{"at", "accepted_per_min", "delivered_per_min", "displayed_per_min", "clicked_per_min", "failed_per_min"}}
	for _, each := range o.Series {
		p := each.perMinute(r.window.Step, r.to)
		latency.Rows = append(latency.Rows, []any{p.At, p.P50, p.P95})
		throughput.Rows = append(throughput.Rows, []any{p.At, p.Accepted, p.Delivered, p.Displayed, p.Clicked, p.Failed})
	}
	movers := table{Heads: []string{"provider", "maker", "country", "attempts", "delivered", "attempts_before", "delivered_before", "impact", "why"}}
	for _, m := range o.Movers {
		movers.Rows = append(movers.Rows, []any{m.Provider, m.Maker, m.Country, m.Attempts, m.Delivered, m.AttemptsBefore, m.DeliveredBefore, m.Impact, m.Why})
	}
	return map[string]table{
		"funnel": funnel, "classes": classes, "latency": latency, "throughput": throughput, "movers": movers,
		"providers": providerTable(o.Providers),
	}
}

func providerTable(all []Provider) table {
	t := table{Heads: []string{"provider", "attempts", "accepted", "delivered", "failed", "unknown", "p50_ms", "p95_ms", "cost_micros"}}
	for _, p := range all {
		t.Rows = append(t.Rows, []any{
			p.Name, p.Attempts, p.Accepted, p.Delivered, p.Failed, p.Unknown,
			known(p.P50Millis, p.Delivered), known(p.P95Millis, p.Delivered), p.CostMicros,
		})
	}
	return t
}

// Empty reports whether nothing was sent in the window, as far as one can see.
func (o *overview) Empty() bool { return o.Counts.Deliveries == 0 && o.Counts.Accepted == 0 }

// Bar is one bar of the funnel.
type bar struct {
	Name, Meaning string
	N, Of         uint64
}

// Funnel lists the bars from the widest rung down, and failed last. All are
// shares of the deliveries.
func (o *overview) Funnel() []bar {
	c := o.Counts
	of := max(c.Deliveries, c.Accepted)
	return []bar{
		{"accepted", "a provider took it", c.Accepted, of},
		{"delivered", "the device acknowledged", c.Delivered, of},
		{"displayed", "the app showed it", c.Displayed, of},
		{"clicked", "a person opened it", c.Clicked, of},
		{"failed", "no road was left", c.Failed, of},
	}
}

// change is a figure beside the one of before.
type change struct {
	Words string // such as "+3.1 %"; "" where nothing is known of then
	Worse bool
}

// since says by how much now differs from before, in percent of before. More is
// worse where higherIsWorse.
func since(now, before float64, higherIsWorse bool) change {
	if before == 0 {
		return change{}
	}
	part := 100 * (now - before) / before
	if part > 999 {
		return change{"× " + decimal(now/before, 1), higherIsWorse}
	}
	return change{signed(part) + " %", higherIsWorse && part > 10}
}

// signed writes a number with its sign and one place.
func signed(v float64) string {
	text := fmt.Sprintf("%+.1f", v)
	if text == "+0.0" || text == "-0.0" {
		return "±0.0"
	}
	return strings.Replace(text, "-", "−", 1)
}

// The changes of the figures since before.

func (o *overview) SinceSent() change {
	return since(float64(o.Counts.Deliveries), float64(o.Before.Counts.Deliveries), false)
}

func (o *overview) SinceNotifications() change {
	return since(float64(o.Counts.Notifications), float64(o.Before.Counts.Notifications), false)
}

// SinceRate is in percentage points.
func (o *overview) SinceRate() change {
	now, before := o.Counts, o.Before.Counts
	if before.Deliveries == 0 || now.Deliveries == 0 {
		return change{}
	}
	points := 100*float64(now.Delivered)/float64(now.Deliveries) - 100*float64(before.Delivered)/float64(before.Deliveries)
	return change{signed(points) + " points", points < -1}
}

func (o *overview) SinceP50() change { return since(o.P50Millis, o.Before.P50Millis, true) }
func (o *overview) SinceP95() change { return since(o.P95Millis, o.Before.P95Millis, true) }

func (o *overview) SinceFailed() change {
	return since(float64(o.Counts.Failed), float64(o.Before.Counts.Failed), true)
}

func (o *overview) SinceCost() change {
	return since(float64(o.CostMicros), float64(o.Before.CostMicros), true)
}

// Points is a mover's change of its delivered share in percentage points.
func (m Mover) Points() string {
	if m.Attempts == 0 || m.AttemptsBefore == 0 {
		return "–"
	}
	return signed(100*float64(m.Delivered)/float64(m.Attempts) - 100*float64(m.DeliveredBefore)/float64(m.AttemptsBefore))
}

// Lost reports whether the change is for the worse.
func (m Mover) Lost() bool { return m.Impact < 0 }

// fill returns one point per step of (from, to), with zeros where nothing
// happened. The step that is still running is among them once a quarter of it
// has passed; before that its rate is mostly chance.
func fill(points []Point, from, to time.Time, step time.Duration) []Point {
	known := make(map[int64]Point, len(points))
	for _, p := range points {
		known[p.At.Truncate(step).Unix()] = p
	}
	var all []Point
	for at := from.Truncate(step).Add(step); !at.Add(step / 4).After(to); at = at.Add(step) {
		p := known[at.Unix()]
		p.At = at
		all = append(all, p)
	}
	return all
}
