package web

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// insight is one page of numbers. Its template has the page's name, and each of
// its parts is a template within it, inside an element with the id
// "part-<name>", which the stream sends anew when it looks different.
//
// A page is served at its path, its numbers as JSON at /data/<name>, its stream
// at /data/<name>/stream, and each of its tables at /data/<name>/<table>.csv.
type insight struct {
	name, path string
	parts      []string
	read       func(context.Context, *reading) (content, error)
}

// content is what a page has read. Its zero value, for when nothing could be
// read, is never asked for.
type content interface {
	charts(*reading) map[string]chart
	tables(*reading) map[string]table
	numbers(*reading) any // as JSON
}

// insights are the pages of numbers of this site.
func (s *site) insights() []*insight {
	return []*insight{s.overviewPage(), s.roadsPage(), s.choicePage(), s.journeysPage()}
}

// insightView is what the template of a page of numbers shows.
type insightView struct {
	*reading
	page     *insight
	Windows  []window
	Command  string
	Currency string
	CSRF     string
	May      bool   // the viewer may turn switches
	Admin    bool   // the viewer may say who chooses
	Notice   string // what came of the change that was just asked for
}

// Moves says that the page moves by itself.
func (insightView) Moves() {}

func (s *site) routeInsight(mux *http.ServeMux, page *insight) {
	at := page.path
	if at == "/" {
		at = "/{$}"
	}
	mux.Handle("GET "+at, s.private(func(w http.ResponseWriter, r *http.Request, sess *session) error {
		v, err := s.glimpse(r, sess, page)
		if err != nil {
			return err
		}
		s.render(w, r, sess, http.StatusOK, page.name, v)
		return nil
	}))
	mux.Handle("GET /data/"+page.name, s.private(func(w http.ResponseWriter, r *http.Request, sess *session) error {
		v, err := s.look(r, sess, page)
		if err != nil {
			return err
		}
		if v.blind {
			return ErrAway
		}
		return writeJSON(w, v.content.numbers(v.reading))
	}))
	mux.Handle("GET /data/"+page.name+"/stream", s.private(func(w http.ResponseWriter, r *http.Request, sess *session) error {
		return s.stream(w, r, sess, page)
	}))
	mux.Handle("GET /data/"+page.name+"/{table}", s.private(func(w http.ResponseWriter, r *http.Request, sess *session) error {
		v, err := s.look(r, sess, page)
		if err != nil {
			return err
		}
		return v.download(w, r.PathValue("table"))
	}))
}

// look reads a page for a request.
func (s *site) look(r *http.Request, sess *session, page *insight) (insightView, error) {
	v, _, err := s.choose(r, sess)
	if err != nil {
		return insightView{}, err
	}
	return s.insightView(r.Context(), sess, page, v), nil
}

// glimpse is look for a page, which waits for its numbers only so long and does
// without them then.
func (s *site) glimpse(r *http.Request, sess *session, page *insight) (insightView, error) {
	v, _, err := s.choose(r, sess)
	if err != nil {
		return insightView{}, err
	}
	ctx, cancel := context.WithTimeout(r.Context(), s.Patience)
	defer cancel()
	return s.insightView(ctx, sess, page, v), nil
}

func (s *site) insightView(ctx context.Context, sess *session, page *insight, v view) insightView {
	return insightView{
		reading: s.board.get(ctx, page, v), page: page, Windows: windows[:], Command: s.Command, Currency: s.Currency,
		CSRF: sess.CSRF, May: sess.may(v.app, Operator) && s.API != nil, Admin: sess.may(v.app, Admin) && s.API != nil,
	}
}

// download writes one table of the page as a CSV file.
func (v insightView) download(w http.ResponseWriter, file string) error {
	if v.blind {
		return ErrAway
	}
	name, ok := strings.CutSuffix(file, ".csv")
	t, found := v.content.tables(v.reading)[name]
	if !ok || !found {
		return ErrNotFound
	}
	var buf bytes.Buffer
	if err := t.write(&buf); err != nil {
		return fmt.Errorf("web: write %s: %w", file, err)
	}
	w.Header().Set("Content-Type", "text/csv; charset=utf-8")
	w.Header().Set("Content-Disposition", `attachment; filename="herald-`+v.page.name+"-"+name+"-"+v.window.Name+`.csv"`)
	buf.WriteTo(w) //nolint:errcheck // the viewer left
	return nil
}

// parts renders every live part of the page.
func (s *site) parts(v insightView) (map[string]string, error) {
	html := make(map[string]string, len(v.page.parts))
	var buf bytes.Buffer
	for _, name := range v.page.parts {
		buf.Reset()
		if err := s.pages[v.page.name].ExecuteTemplate(&buf, name, v); err != nil {
			return nil, fmt.Errorf("web: render %s: %w", name, err)
		}
		html[name] = buf.String()
	}
	return html, nil
}

func (v insightView) charts() map[string]chart {
	if v.blind {
		return map[string]chart{}
	}
	return v.content.charts(v.reading)
}

// The rest is what the templates ask for.

// Data is the page's own; nothing where it could not be read.
func (v insightView) Data() content { return v.content }

func (v insightView) From() time.Time  { return v.from }
func (v insightView) To() time.Time    { return v.to }
func (v insightView) Faults() []string { return v.faults }
func (v insightView) Blind() bool      { return v.blind }

// Sampled is of how many deliveries one was counted; 0 where all were.
func (v insightView) Sampled() uint64 {
	if v.blind || v.scale <= 1 {
		return 0
	}
	return v.scale
}

func (v insightView) Waiting() bool     { return v.waiting }
func (v insightView) Filters() []filter { return v.filters(v.choices) }
func (v insightView) Path() string      { return v.page.path }
func (v insightView) Stream() string    { return v.With("/data/" + v.page.name + "/stream") }

// Here is this page with some words changed.
func (v insightView) Here(changes ...string) string { return v.With(v.page.path, changes...) }

// Clock writes the start of a step, with its day where the window has several.
func (v insightView) Clock(t time.Time) string {
	if v.window.Length >= 24*time.Hour {
		return t.UTC().Format("01-02 15:04")
	}
	return t.UTC().Format("15:04")
}

// head is the head of a panel: what it shows, in which unit over which time,
// what that means, and where to have it as a file.
type head struct {
	Name, Title, Unit, Means, File string
}

// Head is the head of a panel over the window. A table of the panel's name can be
// downloaded.
func (v insightView) Head(name, title, unit, means string) head {
	return v.head(name, title, unit+", last "+v.window.Label, means)
}

// Steps is Head for what is drawn step by step.
func (v insightView) Steps(name, title, unit, means string) head {
	return v.head(name, title, unit+", last "+v.window.Label+", per "+v.window.StepLabel()+", UTC", means)
}

// Now is Head for what is as of now.
func (v insightView) Now(name, title, unit, means string) head {
	return v.head(name, title, unit, means)
}

// Bare is Now for what there is no file of.
func (v insightView) Bare(name, title, unit, means string) head {
	return head{Name: name, Title: title, Unit: unit, Means: means}
}

func (v insightView) head(name, title, unit, means string) head {
	return head{name, title, unit, means, v.With("/data/" + v.page.name + "/" + url.PathEscape(name) + ".csv")}
}
