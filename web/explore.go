package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"
)

// Explorer answers questions in SQL of people's own.
type Explorer interface {
	// Sources are what a question may read.
	Sources(ctx context.Context) ([]Source, error)
	// Ask answers a question about an app. One that is not allowed or not
	// understood is a [Wrong].
	Ask(ctx context.Context, app, sql string) (Answer, error)
	// Saved lists the questions that the app keeps, by name; Save keeps one, in
	// place of one with its name, and Forget drops one. Both are noted as the
	// actor's. A name that cannot be kept is a [Wrong].
	Saved(ctx context.Context, app string) ([]SavedQuery, error)
	Save(ctx context.Context, by Actor, q SavedQuery) error
	Forget(ctx context.Context, by Actor, name string) error
}

// Wrong is what is wrong with a question, in words for its author.
type Wrong struct{ Words string }

func (w *Wrong) Error() string { return "web: question: " + w.Words }

// Source is a table or view that a question may read.
type Source struct {
	Name, About string
	Columns     []Column
}

// Column is one column of a source or an answer.
type Column struct {
	Name string `json:"name"`
	Type string `json:"type"`
}

// Answer is what came of a question. Values are numbers, texts, times, or lists
// and maps of them; nil is none.
type Answer struct {
	Columns []Column
	Rows    [][]any
	Cut     bool // there were more
	Took    time.Duration
}

// SavedQuery is a question that is kept.
type SavedQuery struct {
	Name, SQL, Author string
	UpdatedAt         time.Time
}

// mostShown is how many rows the page shows; the file has all.
const mostShown = 200

// exploreView is what explore.html shows.
type exploreView struct {
	view
	SQL, Name  string
	Sources    []Source
	Saved      []SavedQuery
	Examples   []SavedQuery
	Answer     *Answer
	Fault      string
	Notice     string
	Plot       string // a chart of the answer, as JSON; "" where there is none to draw
	CSRF, File string
}

// explorePage serves /explore: a question in the address is answered, so that a
// link holds it.
func (s *site) explorePage(w http.ResponseWriter, r *http.Request, sess *session) error {
	v, err := s.explore(r, sess)
	if err != nil {
		return err
	}
	code := http.StatusOK
	if v.SQL != "" {
		answer, err := s.Explorer.Ask(r.Context(), v.app, v.SQL)
		if code, err = v.heard(answer, err); err != nil {
			return err
		}
	}
	s.render(w, r, sess, code, "explore", v)
	return nil
}

// explore is the page before anything is asked.
func (s *site) explore(r *http.Request, sess *session) (*exploreView, error) {
	v, _, err := s.choose(r, sess)
	if err != nil {
		return nil, err
	}
	if err := sess.need(v.app, Analyst); err != nil {
		return nil, err
	}
	q := r.URL.Query()
	page := &exploreView{view: v, SQL: strings.TrimSpace(q.Get("sql")), Name: q.Get("name"), CSRF: sess.CSRF, Examples: examples}
	if page.Sources, err = s.Explorer.Sources(r.Context()); err != nil {
		s.Log.WarnContext(r.Context(), "page has no sources", "app", v.app, "err", err)
		page.Fault = "The record cannot be read now. Events wait in the spool; nothing is lost."
	}
	if page.Saved, err = s.Explorer.Saved(r.Context(), v.app); err != nil {
		return nil, fmt.Errorf("web: saved questions: %w", err)
	}
	page.File = "/data/explore.csv?" + url.Values{"app": {v.app}, "sql": {page.SQL}}.Encode()
	return page, nil
}

// heard takes an answer, or what was wrong with the question.
func (v *exploreView) heard(answer Answer, err error) (code int, _ error) {
	var wrong *Wrong
	switch {
	case errors.As(err, &wrong):
		v.Fault = wrong.Words
		return http.StatusUnprocessableEntity, nil
	case errors.Is(err, ErrAway):
		v.Fault = "The record cannot be read now. Events wait in the spool; nothing is lost."
		return http.StatusServiceUnavailable, nil
	case err != nil:
		return 0, err
	}
	v.Answer = &answer
	if c, ok := plot(answer); ok {
		text, err := json.Marshal(c)
		if err != nil {
			return 0, fmt.Errorf("web: write a chart: %w", err)
		}
		v.Plot = string(text)
	}
	return http.StatusOK, nil
}

// exploreFile serves /data/explore.csv: every row of the answer.
func (s *site) exploreFile(w http.ResponseWriter, r *http.Request, sess *session) error {
	v, _, err := s.choose(r, sess)
	if err != nil {
		return err
	}
	if err := sess.need(v.app, Analyst); err != nil {
		return err
	}
	answer, err := s.Explorer.Ask(r.Context(), v.app, r.URL.Query().Get("sql"))
	var wrong *Wrong
	if errors.As(err, &wrong) {
		http.Error(w, wrong.Words, http.StatusUnprocessableEntity)
		return nil
	}
	if err != nil {
		return err
	}
	t := table{Rows: answer.Rows}
	for _, c := range answer.Columns {
		t.Heads = append(t.Heads, c.Name)
	}
	var buf bytes.Buffer
	if err := t.write(&buf); err != nil {
		return fmt.Errorf("web: write an answer: %w", err)
	}
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="herald-explore.csv"`)
	buf.WriteTo(w) //nolint:errcheck // the viewer left
	return nil
}

// keepQuery serves POST /explore: a question is kept under a name, or forgotten.
func (s *site) keepQuery(w http.ResponseWriter, r *http.Request, sess *session) error {
	v, err := s.explore(r, sess)
	if err != nil {
		return err
	}
	by := Actor{Who: sess.Identity, App: v.app, Role: sess.roles.In(v.app), From: peer(r)}
	name := strings.TrimSpace(r.PostFormValue("name"))
	sql := strings.TrimSpace(r.PostFormValue("sql"))
	switch {
	case r.PostFormValue("do") == "forget":
		err = s.Explorer.Forget(r.Context(), by, name)
	case sql == "" || name == "" || len(name) > 100 || strings.ContainsFunc(name, unicode.IsControl):
		err = &Wrong{"Give the question a name of 1 to 100 characters, and some SQL."}
	default:
		err = s.Explorer.Save(r.Context(), by, SavedQuery{Name: name, SQL: sql})
	}
	var wrong *Wrong
	switch {
	case errors.As(err, &wrong):
		v.SQL, v.Name, v.Notice = sql, name, wrong.Words
		s.render(w, r, sess, http.StatusUnprocessableEntity, "explore", v)
		return nil
	case err != nil:
		return err
	}
	q := url.Values{"app": {v.app}}
	if sql != "" {
		q.Set("sql", sql)
		q.Set("name", name)
	}
	http.Redirect(w, r, "/explore?"+q.Encode(), http.StatusSeeOther)
	return nil
}

// Open is where a question is asked.
func (v *exploreView) Open(q SavedQuery) string {
	return "/explore?" + url.Values{"app": {v.app}, "name": {q.Name}, "sql": {q.SQL}}.Encode()
}

// Shown are the rows that the page shows.
func (v *exploreView) Shown() [][]any { return v.Answer.Rows[:min(mostShown, len(v.Answer.Rows))] }

// Total is how many rows the answer has, and More whether the page lacks some.
func (v *exploreView) Total() uint64 { return uint64(len(v.Answer.Rows)) }

// More is described at Total.
func (v *exploreView) More() bool { return len(v.Answer.Rows) > mostShown }

// Numeric reports whether a column of the answer holds numbers.
func (v *exploreView) Numeric(i int) bool { return numeric(v.Answer.Rows, i) }

// TookMillis is how long the answer took.
func (v *exploreView) TookMillis() float64 { return float64(v.Answer.Took) / float64(time.Millisecond) }

// Say writes a value of the answer.
func (v *exploreView) Say(value any) string {
	switch x := value.(type) {
	case nil:
		return "–"
	case time.Time:
		return strings.TrimSuffix(x.UTC().Format("2006-01-02 15:04:05.000"), ".000")
	default:
		return cell(x)
	}
}

// examples are questions to begin with.
var examples = []SavedQuery{
	{Name: "Delivered share by maker and provider", SQL: "SELECT maker, provider, uniqExact(delivery) AS deliveries,\n  round(100 * uniqExactIf(delivery, rank >= 5) / deliveries, 1) AS delivered_percent\nFROM receipts\nWHERE accepted_at > now() - INTERVAL 1 HOUR AND provider != ''\nGROUP BY maker, provider\nORDER BY deliveries DESC"},
	{Name: "Proofs per minute by provider", SQL: "SELECT minute, provider, sum(receipts) AS proofs\nFROM flow_minute\nWHERE stage = 'delivered' AND minute > now() - INTERVAL 1 HOUR\nGROUP BY minute, provider\nORDER BY minute, provider"},
	{Name: "Slowest tenth by country", SQL: "SELECT country, round(quantileTDigest(0.9)(since_ms)) AS p90_ms\nFROM receipts\nWHERE stage = 'delivered' AND accepted_at > now() - INTERVAL 1 DAY\nGROUP BY country\nORDER BY p90_ms DESC"},
	{Name: "What failed, in the vendors’ words", SQL: "SELECT provider, kind, code, count() AS times, anyLast(detail) AS said\nFROM receipts\nWHERE kind != '' AND received_at > now() - INTERVAL 1 DAY\nGROUP BY provider, kind, code\nORDER BY times DESC"},
}

// mostPlotted bounds the lines and bars of a chart of an answer.
const mostPlotted = 40

// plot makes a chart of an answer: its numbers over its first column if that is
// a time, else bars. With one text column besides and one number, a line for
// each text.
func plot(a Answer) (chart, bool) {
	if len(a.Rows) < 2 || len(a.Columns) < 2 {
		return chart{}, false
	}
	var numbers, texts []int
	for i := 1; i < len(a.Columns); i++ {
		if numeric(a.Rows, i) {
			numbers = append(numbers, i)
		} else {
			texts = append(texts, i)
		}
	}
	if len(numbers) == 0 || numeric(a.Rows, 0) {
		return chart{}, false
	}
	if _, ok := a.Rows[0][0].(time.Time); ok {
		return lines(a, numbers, texts), true
	}
	bars := chart{Kind: "bars"}
	for _, row := range a.Rows[:min(mostPlotted, len(a.Rows))] {
		name := cell(row[0])
		for _, i := range texts {
			name += " " + cell(row[i])
		}
		bars.Names = append(bars.Names, name)
	}
	i := numbers[len(numbers)-1] // sums of different units make no sense: the last is what was asked for
	s := series{Name: a.Columns[i].Name, Colour: "--c0"}
	for _, row := range a.Rows[:len(bars.Names)] {
		s.Values = append(s.Values, row[i])
	}
	bars.Series = []series{s}
	return bars, true
}

func lines(a Answer, numbers, texts []int) chart {
	c := chart{Kind: "lines"}
	place := map[string]int{}
	add := func(name string, at time.Time, v any) {
		i, ok := place[name]
		if !ok {
			if i = len(c.Series); i == mostPlotted {
				return
			}
			place[name] = i
			c.Series = append(c.Series, series{Name: name, Colour: fmt.Sprint("--c", i%hues)})
		}
		c.Series[i].Points = append(c.Series[i].Points, [2]any{at.UnixMilli(), v})
	}
	for _, row := range a.Rows {
		at, ok := row[0].(time.Time)
		if !ok {
			continue
		}
		if len(texts) > 0 {
			var names []string
			for _, i := range texts {
				names = append(names, cell(row[i]))
			}
			add(strings.Join(names, " "), at, row[numbers[0]])
			continue
		}
		for _, i := range numbers {
			add(a.Columns[i].Name, at, row[i])
		}
	}
	for i := range c.Series {
		slices.SortStableFunc(c.Series[i].Points, func(a, b [2]any) int { return int(a[0].(int64) - b[0].(int64)) })
		points := c.Series[i].Points
		if c.From == 0 || points[0][0].(int64) < c.From {
			c.From = points[0][0].(int64)
		}
		c.To = max(c.To, points[len(points)-1][0].(int64))
	}
	return c
}

// Legend are the lines of the answer's chart, where it has several.
func (v *exploreView) Legend() (all [][2]string) {
	var c chart
	if v.Plot == "" || json.Unmarshal([]byte(v.Plot), &c) != nil || c.Kind != "lines" {
		return nil
	}
	for _, s := range c.Series {
		all = append(all, [2]string{s.Name, strings.TrimPrefix(s.Colour, "--")})
	}
	return all
}

// numeric reports whether a column holds numbers, as far as it holds anything.
func numeric(rows [][]any, i int) bool {
	some := false
	for _, row := range rows {
		switch row[i].(type) {
		case nil:
		case int8, int16, int32, int64, uint8, uint16, uint32, uint64, int, uint, float32, float64:
			some = true
		default:
			return false
		}
	}
	return some
}

// Chart is the plot for a data block of the page.
func (v *exploreView) Chart() json.RawMessage { return json.RawMessage(v.Plot) }
