// Package web serves the dashboards: server-rendered pages, a few small ES
// modules and a stream of live numbers for each page, all embedded in the binary. Charts
// are drawn by Apache ECharts 6.1.0 and the device page speaks through MQTT.js
// 5.16.0; maps are drawn by Leaflet 1.9.4, with outlines of countries by Natural
// Earth from world-atlas 2.0.2. All are as published on npm, in static/vendor
// with their licences.
//
// It imports no other room. What it needs to know comes through the small
// interfaces in words.go, which cmd fills from analytics and the stores.
//
// Every page but /login and /static needs a session. A session is a signed
// cookie; every change needs the session's CSRF token as well.
package web

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// Config says what the pages show and who may see them.
type Config struct {
	// Key signs session cookies: at least 32 random bytes, kept over restarts
	// so that people stay signed in.
	Key []byte
	// Secure marks cookies for HTTPS only. Set it wherever TLS is in front.
	Secure bool
	// WebSocket is where the device page connects, such as
	// "ws://127.0.0.1:8083/mqtt". Pages may talk to that origin and their own,
	// and to no other. Empty turns the device page off.
	WebSocket string
	// Sandbox is the base URL of the sandbox vendors' control API, such as
	// "http://127.0.0.1:9090". Empty turns the sandbox page off.
	Sandbox string
	// Command is what an empty page tells people to type.
	// Default "bin/herald send --to device:phone-1 --title Hi --body there".
	Command string
	// Currency is what costs are in, such as "EUR", for the pages to say.
	Currency string
	// Refresh is how often the numbers of the short windows are read anew while
	// somebody looks, for all viewers together. Default 2s.
	Refresh time.Duration
	// Patience is how long a page waits for its numbers before it is shown without
	// them; its stream brings them then. Default 300ms.
	Patience time.Duration

	// OIDC lets people in by an OpenID Connect provider; nil turns it off.
	OIDC *OIDC

	Login         Login
	Visits        Visits // nil keeps who left in memory, and writes down nothing
	Apps          Apps
	Numbers       Numbers
	Notifications Notifications
	Lanes         Lanes    // nil leaves their table out
	Explorer      Explorer // nil leaves the page out
	API           API      // nil turns the pages' switches off
	Devices       Devices  // with Tokens; nil turns the device page off
	Tokens        Tokens
	// Profiles serves /debug/pprof/ to those who are admin of every app; nil turns
	// it off.
	Profiles http.Handler
	// Status tells how the stores are. It must not block.
	Status func(context.Context) Status

	// Done, when closed, ends the streams, so that a server's graceful stop does
	// not wait for people who look at a page. Nil never ends them.
	Done <-chan struct{}
	Log  *slog.Logger     // nil discards
	Now  func() time.Time // nil means time.Now
}

// Validate reports every fault at once.
func (c *Config) Validate() error {
	var errs []error
	if len(c.Key) < 32 {
		errs = append(errs, fmt.Errorf("web.key: %d bytes are fewer than 32", len(c.Key)))
	}
	for _, need := range []struct {
		name    string
		missing bool
	}{
		{"login", c.Login == nil},
		{"apps", c.Apps == nil},
		{"numbers", c.Numbers == nil},
		{"notifications", c.Notifications == nil},
		{"status", c.Status == nil},
	} {
		if need.missing {
			errs = append(errs, fmt.Errorf("web.%s: is missing", need.name))
		}
	}
	if u, err := url.Parse(c.WebSocket); c.WebSocket != "" && (err != nil || u.Host == "" || (u.Scheme != "ws" && u.Scheme != "wss")) {
		errs = append(errs, errors.New("web.websocket: is not a ws:// or wss:// address"))
	}
	if u, err := url.Parse(c.Sandbox); c.Sandbox != "" && (err != nil || u.Host == "") {
		errs = append(errs, errors.New("web.sandbox: is not an http:// address"))
	}
	if c.OIDC != nil {
		errs = append(errs, c.OIDC.validate())
	}
	return errors.Join(errs...)
}

// site is the handler behind [New].
type site struct {
	Config
	pages    map[string]*template.Template
	sessions *sessions
	board    *board
	sandbox  *sandbox
	sso      *sso // nil without OIDC
	mux      *http.ServeMux
}

// New makes the dashboards' handler. It serves /, /providers, /choice, /journeys,
// /explore, /login, /logout, /notifications/, /sandbox, /demo/device, /demo/chat, /data/ and /static/, and is meant to
// take every path that the API does not.
func New(c Config) (http.Handler, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Refresh <= 0 {
		c.Refresh = 2 * time.Second
	}
	if c.Patience <= 0 {
		c.Patience = 300 * time.Millisecond
	}
	if c.Command == "" {
		c.Command = "bin/herald send --to device:phone-1 --title Hi --body there"
	}
	s := &site{Config: c, sessions: newSessions(c.Key, c.Secure, c.Now)}
	s.board = &board{site: s, entries: map[looked]*glance{}}
	s.sandbox = &sandbox{base: strings.TrimSuffix(c.Sandbox, "/"), client: &http.Client{Timeout: 5 * time.Second}}
	if c.OIDC != nil {
		s.sso = newSSO(*c.OIDC, c.Now)
	}
	var err error
	if s.pages, err = parsePages(c.Now); err != nil {
		return nil, fmt.Errorf("web: templates: %w", err)
	}
	assets, err := newAssets()
	if err != nil {
		return nil, fmt.Errorf("web: static files: %w", err)
	}
	return s.guard(s.routes(assets)), nil
}

func (s *site) routes(assets http.Handler) http.Handler {
	mux := http.NewServeMux()
	s.mux = mux
	mux.Handle("GET /static/", assets)
	mux.HandleFunc("GET /login", s.loginPage)
	mux.HandleFunc("POST /login", s.login)
	mux.HandleFunc("GET /login/oidc", s.beginOIDC)
	mux.HandleFunc("GET /login/oidc/callback", s.endOIDC)

	mux.Handle("POST /logout", s.private(s.logout))
	for _, page := range s.insights() {
		s.routeInsight(mux, page)
	}
	mux.Handle("POST /providers/{provider}", s.private(s.switchLane))
	if s.Explorer != nil {
		mux.Handle("GET /explore", s.private(s.explorePage))
		mux.Handle("POST /explore", s.private(s.keepQuery))
		mux.Handle("GET /data/explore.csv", s.private(s.exploreFile))
	}
	if s.Profiles != nil {
		mux.Handle("GET /debug/pprof/", s.private(s.profiles))
	}
	mux.Handle("POST /choice", s.private(s.sayWhoChooses))
	mux.Handle("GET /notifications", s.private(s.notifications))
	mux.Handle("GET /data/follow", s.private(s.follow))
	s.routeOperate(mux)
	mux.Handle("GET /notifications/{id}", s.private(s.notification))
	mux.Handle("GET /notifications/{id}/deliveries/{device}", s.private(s.delivery))
	mux.Handle("GET /sandbox", s.private(s.sandboxPage))
	mux.Handle("POST /sandbox/{vendor}", s.private(s.turnSandbox))
	mux.Handle("GET /demo/device", s.private(s.devicePage))
	mux.Handle("POST /demo/device", s.private(s.connectDevice))
	mux.Handle("GET /demo/chat", s.private(s.chatPage))
	mux.Handle("POST /demo/chat", s.private(s.connectUser))
	mux.Handle("GET /", s.private(func(http.ResponseWriter, *http.Request, *session) error { return ErrNotFound }))
	return mux
}

// handler serves somebody who is signed in. An error it returns becomes
// a page (or, under /data/, a status) in one place.
type handler func(http.ResponseWriter, *http.Request, *session) error

// private lets in those with a session, and changes only with its CSRF token.
func (s *site) private(h handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		sess := s.sessions.read(r)
		if sess == nil || sess.Name == "" {
			s.askToSignIn(w, r)
			return
		}
		in, err := s.admit(r.Context(), sess)
		if err != nil {
			s.fail(w, r, sess, errors.Join(ErrAway, err))
			return
		}
		if !in {
			s.sessions.end(w, sess)
			s.askToSignIn(w, r)
			return
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead && !sess.allows(w, r) {
			s.fail(w, r, sess, errForged)
			return
		}
		if err := h(w, r, sess); err != nil {
			s.fail(w, r, sess, err)
		}
	})
}

// profiles serves what the process is at. It is of all apps, and costs time.
func (s *site) profiles(w http.ResponseWriter, r *http.Request, sess *session) error {
	if err := sess.need(AllApps, Admin); err != nil {
		return err
	}
	s.Profiles.ServeHTTP(w, r)
	return nil
}

func (s *site) askToSignIn(w http.ResponseWriter, r *http.Request) {
	if strings.HasPrefix(r.URL.Path, "/data/") || r.Method != http.MethodGet {
		http.Error(w, "sign in first", http.StatusUnauthorized)
		return
	}
	http.Redirect(w, r, "/login?next="+url.QueryEscape(r.URL.RequestURI()), http.StatusSeeOther)
}

// fail is the only place where an error becomes a status. What it does not know
// is our own fault: logged in full and shown to nobody.
func (s *site) fail(w http.ResponseWriter, r *http.Request, sess *session, err error) {
	if r.Context().Err() != nil {
		return // the viewer left: nobody reads the answer, and nothing is wrong
	}
	code, title, words := http.StatusInternalServerError, "Something broke", "It is logged, with the time of this page."
	switch {
	case errors.Is(err, ErrNotFound):
		code, title, words = http.StatusNotFound, "Not found", "There is no such page, notification or device in this app."
	case errors.Is(err, errForged):
		code, title, words = http.StatusForbidden, "Not changed", "The form was too old or came from another page. Go back, reload and try again."
	case errors.Is(err, errForbidden):
		code, title, words = http.StatusForbidden, "Not allowed", "Your role in this app does not allow it. An admin of the app gives roles under Settings, Members."
		if lacks := (*forbidden)(nil); errors.As(err, &lacks) {
			words = "This needs the role " + lacks.need.String() + " in this app. An admin of the app gives roles under Settings, Members."
		}
	case errors.Is(err, ErrTaken):
		code, title, words = http.StatusConflict, "This device is taken", "Choose another name with ?device=."
	case errors.Is(err, ErrAway):
		code, title, words = http.StatusServiceUnavailable, "The store does not answer", "Nothing is lost: events wait in the spool. Try again in a moment."
	}
	if code >= http.StatusInternalServerError {
		s.Log.ErrorContext(r.Context(), "page failed", "path", r.URL.Path, "err", err)
	}
	if strings.HasPrefix(r.URL.Path, "/data/") || r.Header.Get("Accept") == "application/json" {
		http.Error(w, words, code)
		return
	}
	s.render(w, r, sess, code, "error", pageError{Title: title, Words: words})
}

type pageError struct{ Title, Words string }

var (
	errForged    = errors.New("web: CSRF token missing or wrong")
	errForbidden = errors.New("web: needs another role")
)
