package web

import (
	"bytes"
	"embed"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"
)

//go:embed templates/*.html
var templateFiles embed.FS

// frame is what layout.html knows on every page; Page is the page's own.
type frame struct {
	Title   string
	Nav     string // the page's name
	Menu    []menuGroup
	Theme   string // "light", "dark" or "" for the system's
	CSRF    string
	Who     Identity
	Role    Role
	App     string // the one that is looked at
	Apps    []App
	Section string // where the app switcher leads
	Window  string // kept by the app switcher
	Live    bool   // whether the page moves by itself and says so
	Page    any
}

// Operator and Admin tell what the viewer may do within the page's app.
func (f frame) Operator() bool { return f.Role >= Operator }

// Admin is described at Operator.
func (f frame) Admin() bool { return f.Role >= Admin }

var titles = map[string]string{
	"overview": "Overview", "providers": "Providers", "choice": "Choice", "journeys": "Journeys", "explore": "Explore", "login": "Sign in", "error": "Error",
	"notifications": "Notifications", "notification": "Notification", "delivery": "Delivery", "devices": "Devices and users", "install": "Device",
	"map": "Map", "services": "Businesses", "service": "Business",
	"queues": "Queues and dead letters", "task": "Task", "live": "Live", "settings": "Settings", "audit": "Audit", "secret": "Shown once",
	"sandbox": "Sandbox", "device": "Device", "chat": "Chat", "user": "User", "hook": "Webhook",
}

// parsePages joins each page with the layout. The first word of a template's
// file name is the page's name.
func parsePages(now func() time.Time) (map[string]*template.Template, error) {
	pages := map[string]*template.Template{}
	for name := range titles {
		t, err := template.New("layout.html").Funcs(words(now)).
			ParseFS(templateFiles, "templates/layout.html", "templates/parts.html", path.Join("templates", name+".html"))
		if err != nil {
			return nil, err
		}
		pages[name] = t
	}
	return pages, nil
}

// render writes a page, whole or not at all.
func (s *site) render(w http.ResponseWriter, r *http.Request, sess *session, code int, name string, page any) {
	var buf bytes.Buffer
	whole := "layout.html"
	if r.Context().Value(followKey{}) != nil {
		if whole = "live"; code != http.StatusOK {
			w.WriteHeader(code) // what is wrong is for the whole page to say
			return
		}
	}
	if err := s.pages[name].ExecuteTemplate(&buf, whole, s.frame(r, sess, name, page)); err != nil {
		s.Log.ErrorContext(r.Context(), "template failed", "page", name, "err", err)
		http.Error(w, "internal error", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(code)
	buf.WriteTo(w) //nolint:errcheck // the viewer left
}

// frame is what surrounds a page. A store that is away costs the app switcher.
func (s *site) frame(r *http.Request, sess *session, name string, page any) frame {
	f := frame{Title: titles[name], Nav: name, CSRF: sess.CSRF, Who: sess.Identity, Section: section(name), Page: page}
	if t, ok := page.(interface{ Title() string }); ok {
		f.Title = t.Title()
	}
	_, f.Live = page.(interface{ Moves() })
	if c, err := r.Cookie("herald_theme"); err == nil && (c.Value == "light" || c.Value == "dark") {
		f.Theme = c.Value
	}
	if sess.Name == "" {
		return f
	}
	if v, apps, err := s.choose(r, sess); err == nil {
		f.App, f.Apps = v.app, apps
	}
	f.Role, f.Window = sess.roles.In(f.App), r.URL.Query().Get("window")
	f.Menu = s.menu(name, f.App, f.Role)
	return f
}

// words are the functions of the templates: every number is written in one way.
func words(now func() time.Time) template.FuncMap {
	return template.FuncMap{
		"count":            count,
		"unsigned":         func(n int64) uint64 { return uint64(max(0, n)) },
		"percent":          percent,
		"width":            width,
		"ms":               millis,
		"known":            known,
		"rate":             rate,
		"money":            func(micros int64) string { return decimal(float64(micros)/1e6, 4) },
		"bytes":            size,
		"ago":              func(t time.Time) string { return ago(now().Sub(t)) },
		"age":              ago,
		"moment":           func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05.000 UTC") },
		"second":           func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") },
		"iso":              func(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) },
		"human":            func(s string) string { return strings.ReplaceAll(s, "_", " ") },
		"signed":           signed,
		"share":            func(v float64) string { return fmt.Sprintf("%.1f %%", 100*v) },
		"roadColour":       func(name string) string { return strings.TrimPrefix(roadColour(name, 0), "--") },
		"within":           within,
		"about":            about,
		"pathOf":           url.PathEscape,
		"when":             func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") },
		"seconds":          func(v float64) string { return ago(time.Duration(v * float64(time.Second))) },
		"prob":             func(v float64) string { return fmt.Sprintf("%.3g %%", 100*v) },
		"score":            func(v float64) string { return fmt.Sprintf("%.3f", v) },
		"half":             halfWithin,
		"cost":             costInWords,
		"num":              func(n int) string { return count(uint64(max(0, n))) },
		"join":             func(list []string) string { return strings.Join(list, ", ") },
		"has":              slices.Contains[[]string, string],
		"notificationPath": notificationPath,
		"deliveryPath":     deliveryPath,
		"userPath":         userPath,
		"hookPath":         hookPath,
	}
}

// halfWithin writes in how many seconds half of what arrives has.
func halfWithin(seconds float64) string {
	if seconds == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2g s", seconds)
}

// costInWords writes a cost in the worth of a message that arrives.
func costInWords(cost float64) string {
	if cost == 0 {
		return "none"
	}
	return fmt.Sprintf("%.2f", cost)
}

// count writes 1234567 as 1,234,567.
func count(n uint64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// percent writes n of of; nothing of nothing is a dash, and only all is 100 %.
func percent(n, of uint64) string {
	if of == 0 {
		return "–"
	}
	share := 100 * float64(n) / float64(of)
	if share > 99.9 && n < of {
		share = 99.9
	}
	return fmt.Sprintf("%.1f %%", share)
}

// width is a bar's share of its track, for an SVG attribute.
func width(n, of uint64) string {
	if of == 0 {
		return "0"
	}
	return fmt.Sprintf("%.2f%%", min(100, 100*float64(n)/float64(of)))
}

// millis writes a time in milliseconds; nil is a dash.
func millis(v *float64) string {
	switch {
	case v == nil:
		return "–"
	case *v < 10:
		return decimal(*v, 1)
	default:
		return decimal(*v, 0)
	}
}

// rate writes a number a second or a minute; beyond a hundred its tenths say nothing.
func rate(v float64) string {
	if v >= 100 {
		return decimal(v, 0)
	}
	return decimal(v, 1)
}

func decimal(v float64, places int) string {
	whole, part, found := strings.Cut(fmt.Sprintf("%.*f", places, max(0, v)), ".")
	var n uint64
	fmt.Sscan(whole, &n) //nolint:errcheck // digits by construction
	if !found {
		return count(n)
	}
	return count(n) + "." + part
}

func size(n int64) string {
	switch {
	case n < 1<<10:
		return fmt.Sprintf("%d B", n)
	case n < 1<<20:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	default:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
}

// ago writes a duration as people say it; under two seconds is "now".
func ago(d time.Duration) string {
	switch {
	case d < 2*time.Second:
		return "now"
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%d min", d/time.Minute)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", d/time.Hour)
	default:
		return fmt.Sprintf("%d d", d/(24*time.Hour))
	}
}
