// Package api is the door of the house: it turns HTTP into the words of
// package push and errors into problem details. It decides nothing about
// delivery; whatever it needs stands in [Parts], and cmd plugs it in.
//
// The contract is openapi.yaml, which the tests hold against this server.
package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"

	"github.com/herald-push/herald/gateway"
	"github.com/herald-push/herald/push"
)

// Config shapes one server. Start from [DefaultConfig].
type Config struct {
	// Rate is how many requests per second an app may make, each notification
	// of a batch counting as one. Default 0: no limit.
	Rate float64 `yaml:"rate"`

	// Burst is how many of them may come at once. It is at least 1,000 in
	// effect, or no full batch would ever pass. Default 2,000.
	Burst int `yaml:"burst"`

	// Timeout is how long a store may let a request wait before the answer is
	// 503. Default 10s.
	Timeout time.Duration `yaml:"timeout"`

	// WireTimeout is how long, beyond Timeout, a caller may take to send its
	// body and to read the answer. Default 30s.
	WireTimeout time.Duration `yaml:"wire_timeout"`

	// Grace is how long requests may finish once shutdown begins. Default 10s.
	Grace time.Duration `yaml:"grace"`

	// MetricsToken, if set, is the bearer token that GET /metrics asks for.
	// Default empty: whoever reaches the port may read the numbers.
	MetricsToken string `yaml:"metrics_token"`

	// HouseApp is the app whose keys with the scope admin may do what concerns
	// all apps, such as draining a node. Default empty: no key may, only people
	// on the pages.
	HouseApp string `yaml:"house_app"`
}

// DefaultConfig is what an empty api section of the config file means.
func DefaultConfig() Config {
	return Config{Burst: 2 * maxItems, Timeout: 10 * time.Second, WireTimeout: 30 * time.Second, Grace: 10 * time.Second}
}

// Validate reports every fault at once, each under the key that has it.
func (c Config) Validate() error {
	var errs []error
	if c.Rate < 0 {
		errs = append(errs, fmt.Errorf("api.rate: %v is negative", c.Rate))
	}
	if c.Rate > 0 && c.Burst < maxItems {
		errs = append(errs, fmt.Errorf("api.burst: %d is less than a full batch of %d", c.Burst, maxItems))
	}
	for key, d := range map[string]time.Duration{"timeout": c.Timeout, "wire_timeout": c.WireTimeout, "grace": c.Grace} {
		if d <= 0 {
			errs = append(errs, fmt.Errorf("api.%s: %v is not positive", key, d))
		}
	}
	return errors.Join(errs...)
}

// Parts are what the server stands on. All are needed, but for those that say
// otherwise.
type Parts struct {
	Queue       Queue
	Devices     Devices
	Apps        Apps
	Keys        Keys
	Credentials Credentials
	Deliveries  Deliveries
	Tokens      Tokens
	Chat        Chat
	Users       Users
	Persons     Persons
	Schedules   Schedules
	Lanes       Lanes
	Webhooks    Webhooks
	Gateway     *gateway.Gateway
	Businesses  Businesses
	CallsByHour CallsByHour // nil where nobody writes calls down
	Whereabouts Whereabouts
	Map         Map
	Members     Members
	Audit       Audit
	Desk        Desk
	Firings     Firings
	Templates   Templates
	// Word gives a notification that names a template its content.
	Word func(ctx context.Context, n *push.Notification) error

	// Sides tells how both sides of an app's A/B fare; nil where no process knows.
	Sides func(app push.App) []push.Side

	// Providers are the roads that addresses and routes may name, each with the
	// check of its credentials; nil for one that has none, such as "live".
	Providers map[string]CheckCredentials
	// Overrides are the providers that a notification may say something to
	// alone, each with the check of what it says.
	// Canary may be nil: then credentials are kept without asking their service.
	Canary    Canary
	Overrides map[string]CheckOverrides
	// Unseen are those of them that can be told to show nothing.
	Unseen map[string]Unseen
	// Callbacks are the vendors that report by POST /v1/callbacks/{provider}.
	Callbacks map[string]Callback
	// Codes are the error tables of the providers that have one: JSON with
	// source, date and codes.
	Codes       map[string]json.RawMessage
	Corrections Corrections // what apps say in their place
	// Checks decide GET /readyz, by the name that is shown.
	Checks map[string]Check
	// Mounts are served beside the API, by path prefix: "/" gets what nothing
	// else takes. They bring their own logins and log lines.
	Mounts map[string]http.Handler
	// Metrics gets the server's own numbers and is what GET /metrics shows.
	// Default: a registry of its own.
	Metrics *prometheus.Registry

	// Listener is where Run answers; not needed for Handler alone.
	Listener net.Listener

	// Trace begins the trace of a request, if it is to have one: traced is what
	// the notifications carry with them then, and end gets what came of the
	// request. nil traces nothing.
	Trace func(r *http.Request) (ctx context.Context, traced string, end func(route string, status int))

	Log *slog.Logger     // default: none
	Now func() time.Time // default: time.Now
}

// Server is the HTTP API. It is safe for concurrent use.
type Server struct {
	cfg     Config
	parts   Parts
	log     *slog.Logger
	echo    *echo.Echo
	seconds *prometheus.HistogramVec
	callers cache[[32]byte, caller]
	apps    cache[string, push.App]
	owners  cache[[2]string, string] // app and device → user
	names   map[string]string        // of routes, by echo's pattern
	limits  struct {
		sync.Mutex
		of map[string]*rate.Limiter
	}
}

// New builds a server. It fails on a bad config, a missing part, or metrics
// that are registered already.
func New(cfg Config, parts Parts) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("api: config: %w", err)
	}
	if err := parts.complete(); err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, parts: parts, log: parts.Log, echo: echo.New(), seconds: newSeconds()}
	s.callers = cache[[32]byte, caller]{ttl: authTTL, most: authMost, now: parts.Now}
	s.owners = cache[[2]string, string]{ttl: authTTL, most: 10 * authMost, now: parts.Now}
	s.apps = cache[string, push.App]{ttl: authTTL, most: authMost, now: parts.Now}
	s.limits.of = make(map[string]*rate.Limiter)
	if err := parts.Metrics.Register(s.seconds); err != nil {
		return nil, fmt.Errorf("api: metrics: %w", err)
	}
	s.echo.HTTPErrorHandler = s.fail
	s.echo.Use(s.observe)
	s.routes()
	s.names = map[string]string{}
	for _, r := range s.echo.Routes() {
		s.names[r.Path] = plainPath(r.Path)
	}
	return s, nil
}

// complete fills in the defaults and names what is missing.
func (p *Parts) complete() error {
	var errs []error
	for name, missing := range map[string]bool{
		"Queue": p.Queue == nil, "Devices": p.Devices == nil, "Apps": p.Apps == nil, "Keys": p.Keys == nil,
		"Credentials": p.Credentials == nil, "Deliveries": p.Deliveries == nil, "Tokens": p.Tokens == nil, "Chat": p.Chat == Chat{},
		"Users": p.Users == nil, "Persons": p.Persons == nil, "Schedules": p.Schedules == nil, "Firings": p.Firings == nil,
		"Templates": p.Templates == nil, "Word": p.Word == nil,
		"Lanes": p.Lanes == nil, "Webhooks": p.Webhooks == nil, "Gateway": p.Gateway == nil, "Businesses": p.Businesses == nil, "Whereabouts": p.Whereabouts == nil, "Map": p.Map == nil, "Corrections": p.Corrections == nil, "Members": p.Members == nil, "Audit": p.Audit == nil, "Desk": p.Desk == nil,
	} {
		if missing {
			errs = append(errs, fmt.Errorf("api: part %s is missing", name))
		}
	}
	if p.Metrics == nil {
		p.Metrics = prometheus.NewRegistry()
	}
	if p.Log == nil {
		p.Log = slog.New(slog.DiscardHandler)
	}
	if p.Now == nil {
		p.Now = time.Now
	}
	return errors.Join(errs...)
}

// Handler serves the API and what is mounted beside it.
func (s *Server) Handler() http.Handler { return http.HandlerFunc(s.serve) }

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	r = verb(r)
	if h := s.mounted(r.URL.Path); h != nil {
		h.ServeHTTP(w, r)
		return
	}
	// echo matches the path as it was escaped, so that %3A would miss a colon.
	// Only an escaped slash changes what a path means; it stays escaped and
	// fits no id.
	if raw := r.URL.RawPath; raw != "" && !strings.Contains(strings.ToLower(raw), "%2f") {
		plain := *r.URL
		plain.RawPath = ""
		r = r.WithContext(r.Context())
		r.URL = &plain
	}
	s.echo.ServeHTTP(w, r)
}

// mounted finds the handler with the longest prefix of the path. What the API
// has said it serves is never another's.
func (s *Server) mounted(path string) http.Handler {
	if len(s.parts.Mounts) == 0 || ours(path) {
		return nil
	}
	var best string
	var found http.Handler
	for prefix, h := range s.parts.Mounts {
		dir := strings.TrimSuffix(prefix, "/")
		if (path == dir || strings.HasPrefix(path, dir+"/")) && (found == nil || len(dir) > len(best)) {
			best, found = dir, h
		}
	}
	return found
}

// Run answers on [Parts.Listener] until ctx ends, then lets requests finish for
// at most [Config.Grace]. It closes the listener.
func (s *Server) Run(ctx context.Context) error {
	ln := s.parts.Listener
	if ln == nil {
		return errors.New("api: part Listener is missing")
	}
	srv := &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(ln) }()

	select {
	case err := <-failed:
		return fmt.Errorf("api: serve %s: %w", ln.Addr(), err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.cfg.Grace)
	defer cancel()
	if err := srv.Shutdown(grace); err != nil {
		s.log.WarnContext(ctx, "requests were cut off", "grace", s.cfg.Grace, "err", err)
		_ = srv.Close() // what is left does not deserve more words
	}
	return nil
}
