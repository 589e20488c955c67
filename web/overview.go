package web

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"
)

// overviewView is what overview.html and its parts show.
type overviewView struct {
	*state
	Windows  []window
	Apps     []App
	Command  string
	Currency string
}

// Moves says that the page moves by itself.
func (overviewView) Moves() {}

// The parts of the overview that the stream sends anew when they change; each
// is a template of overview.html, inside an element with the id "part-<name>".
var liveParts = [...]string{"headline", "funnel", "latency", "throughput", "providers", "lanes", "recent", "status"}

func (s *site) overview(w http.ResponseWriter, r *http.Request, sess *session) error {
	v, apps, err := s.choose(r, sess)
	if err != nil {
		return err
	}
	s.render(w, r, sess, http.StatusOK, "overview", s.overviewView(r.Context(), v, apps))
	return nil
}

func (s *site) overviewView(ctx context.Context, v view, apps []App) overviewView {
	return overviewView{state: s.board.get(ctx, v), Windows: windows[:], Apps: apps, Command: s.Command, Currency: s.Currency}
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
	return v, apps, nil
}

func (s *site) visible(ctx context.Context, sess *session) ([]App, error) {
	apps, err := s.Apps.Apps(ctx)
	if err != nil {
		return nil, fmt.Errorf("web: list apps: %w", err)
	}
	return slices.DeleteFunc(slices.Clone(apps), func(a App) bool { return !sess.may(a.ID, Viewer) }), nil
}

// numbers is the JSON of /data/overview, and what the charts are drawn from.
type numbers struct {
	App           string         `json:"app"`
	Window        string         `json:"window"`
	From          time.Time      `json:"from"`
	To            time.Time      `json:"to"`
	StepSeconds   int            `json:"step_seconds"`
	Counts        Counts         `json:"counts"`
	P50           *float64       `json:"p50_ms"` // null without deliveries, here and below
	P95           *float64       `json:"p95_ms"`
	CostMicros    int64          `json:"cost_micros"`
	Series        []point        `json:"series"`
	Providers     []provider     `json:"providers"`
	Notifications []notification `json:"notifications"`
	Status        Status         `json:"status"`
	LagSeconds    float64        `json:"lag_seconds"`
	Faults        []string       `json:"faults,omitempty"`
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

func (s *site) overviewData(w http.ResponseWriter, r *http.Request, sess *session) error {
	v, _, err := s.choose(r, sess)
	if err != nil {
		return err
	}
	return writeJSON(w, s.board.get(r.Context(), v).numbers())
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

func (st *state) numbers() numbers {
	n := numbers{
		App: st.app, Window: st.window.Name, From: st.from, To: st.to, StepSeconds: int(st.window.Step / time.Second),
		Counts: st.Counts, CostMicros: st.CostMicros, Status: st.status, LagSeconds: st.status.Lag.Seconds(), Faults: st.faults,
		P50: known(st.P50Millis, st.Counts.Delivered), P95: known(st.P95Millis, st.Counts.Delivered),
		Series: []point{}, Providers: []provider{}, Notifications: []notification{},
	}
	for _, p := range st.Series {
		n.Series = append(n.Series, p.perMinute(st.window.Step, st.to))
	}
	for _, p := range st.Providers {
		n.Providers = append(n.Providers, provider{
			p.Name, p.Attempts, p.Accepted, p.Delivered, p.Failed, p.Unknown,
			known(p.P50Millis, p.Delivered), known(p.P95Millis, p.Delivered), p.CostMicros,
		})
	}
	for _, m := range st.recent {
		n.Notifications = append(n.Notifications, notification{m.ID, m.Class, m.State, m.AcceptedAt, m.Counts})
	}
	return n
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
func (v overviewView) Rows() []point {
	var rows []point
	for _, p := range slices.Backward(v.Series) {
		rows = append(rows, p.perMinute(v.window.Step, v.to))
	}
	return rows
}

// The rest is what the templates ask for.

func (v overviewView) App() string            { return v.app }
func (v overviewView) Window() window         { return v.window }
func (v overviewView) From() time.Time        { return v.from }
func (v overviewView) To() time.Time          { return v.to }
func (v overviewView) Recent() []Notification { return v.recent }
func (v overviewView) Lanes() []Lane          { return v.lanes }
func (v overviewView) Status() Status         { return v.status }
func (v overviewView) Faults() []string       { return v.faults }

// Clock writes the start of a step, with its day where the window has several.
func (v overviewView) Clock(t time.Time) string {
	if v.window.Length >= 24*time.Hour {
		return t.UTC().Format("01-02 15:04")
	}
	return t.UTC().Format("15:04")
}

// Blind reports whether the numbers could not be read.
func (v overviewView) Blind() bool { return v.blind }

// Empty reports whether nothing was sent in the window, as far as one can see.
func (v overviewView) Empty() bool { return v.Counts.Deliveries == 0 && v.Counts.Accepted == 0 }

// Bar is one bar of the funnel.
type bar struct {
	Name, Meaning string
	N, Of         uint64
}

// Funnel lists the bars from the widest rung down, and failed last. All are
// shares of the deliveries.
func (v overviewView) Funnel() []bar {
	c := v.Counts
	of := max(c.Deliveries, c.Accepted)
	return []bar{
		{"accepted", "a provider took it", c.Accepted, of},
		{"delivered", "the device acknowledged", c.Delivered, of},
		{"displayed", "the app showed it", c.Displayed, of},
		{"clicked", "a person opened it", c.Clicked, of},
		{"failed", "no road was left", c.Failed, of},
	}
}

// Query is a path about the same app, over a window.
func (v overviewView) Query(path, window string) string {
	return path + "?" + url.Values{"app": {v.app}, "window": {window}}.Encode()
}

// parts renders every live part of the page.
func (s *site) parts(v overviewView) (map[string]string, error) {
	html := make(map[string]string, len(liveParts))
	var buf bytes.Buffer
	for _, name := range liveParts {
		buf.Reset()
		if err := s.pages["overview"].ExecuteTemplate(&buf, name, v); err != nil {
			return nil, fmt.Errorf("web: render %s: %w", name, err)
		}
		html[name] = buf.String()
	}
	return html, nil
}
