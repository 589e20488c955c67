// Package gateway lets clients call businesses without knowing them.
//
// A client speaks one contract, service.operation in a version. What stands
// behind it is declared: back ends, JSON Schemas, and jq that turns the one into
// the other. When a business changes, its declaration changes and no client
// does. Whatever a business does wrong is a typed error for who asked it and
// costs nobody else anything. docs/gateway.md says it all.
package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Config shapes a gateway. Start from [DefaultConfig].
type Config struct {
	// Folder has declarations of the operator's, one YAML file a service. It is
	// read again when a file changes. Default none.
	Folder string `yaml:"folder"`
	// AllowPrivate lets back ends be in private networks. Default false.
	AllowPrivate bool `yaml:"allow_private"`
	// CacheBytes is how much of answers is kept. Default 64 MiB.
	CacheBytes int `yaml:"cache_bytes"`
	// Reload is how often folder and database are looked at. Default 2s.
	Reload time.Duration `yaml:"reload"`
}

// DefaultConfig is what an empty gateway section of the config file means.
func DefaultConfig() Config { return Config{CacheBytes: 64 << 20, Reload: 2 * time.Second} }

// Validate reports every fault at once, each under the key that has it.
func (c Config) Validate() error {
	var errs []error
	if c.CacheBytes < 0 {
		errs = append(errs, fmt.Errorf("gateway.cache_bytes: %d is negative", c.CacheBytes))
	}
	if c.Reload <= 0 {
		errs = append(errs, fmt.Errorf("gateway.reload: %v is not positive", c.Reload))
	}
	return errors.Join(errs...)
}

// Parts are what a gateway stands on. All may be left out.
type Parts struct {
	Services Services // declarations of the apps
	Secrets  Secrets
	Seen     Seen                  // which events have come already
	Record   func(Event)           // each call; must not block
	Metrics  prometheus.Registerer // default: none
	Log      *slog.Logger
	Now      func() time.Time
}

// Gateway answers calls. It is safe for concurrent use.
type Gateway struct {
	cfg      Config
	parts    Parts
	log      *slog.Logger
	catalog  atomic.Pointer[catalog]
	loading  sync.Mutex
	cache    *cache
	flights  flights
	limits   limits
	counts   counts
	metrics  *metrics
	shadows  chan struct{} // a token for each comparison at work
	life     context.Context
	end      context.CancelFunc
	mu       sync.Mutex
	ended    bool
	tasks    sync.WaitGroup
	lastFail string
}

// New makes a gateway that knows no service until [Gateway.Load].
func New(cfg Config, parts Parts) *Gateway {
	if parts.Log == nil {
		parts.Log = slog.New(slog.DiscardHandler)
	}
	if parts.Now == nil {
		parts.Now = time.Now
	}
	g := &Gateway{cfg: cfg, parts: parts, log: parts.Log, cache: newCache(cfg.CacheBytes), shadows: make(chan struct{}, 16)}
	g.metrics = newMetrics(parts.Metrics)
	g.catalog.Store(&catalog{services: map[string]map[string]*service{}})
	g.life, g.end = context.WithCancel(context.Background())
	return g
}

// Run keeps the declarations fresh until ctx ends, then waits for what is
// compared and revalidated in the background.
func (g *Gateway) Run(ctx context.Context) error {
	tick := time.NewTicker(g.cfg.Reload)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			g.mu.Lock()
			g.ended = true
			g.mu.Unlock()
			g.end()
			g.tasks.Wait()
			return nil
		case <-tick.C:
			g.refresh(ctx)
		}
	}
}

// refresh loads, and says once what is wrong.
func (g *Gateway) refresh(ctx context.Context) {
	err := g.Load(ctx)
	text := ""
	if err != nil {
		text = err.Error()
	}
	if text != g.lastFail && text != "" && ctx.Err() == nil {
		g.log.ErrorContext(ctx, "declarations are not in force as they are written; those before are", "err", err)
	}
	g.lastFail = text
}

// spawn does work in the background, unless the end has come.
func (g *Gateway) spawn(f func(context.Context)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.ended {
		g.tasks.Go(func() { f(g.life) })
	}
}

// Caller is who asks; it has been proven.
type Caller struct {
	App    string   `json:"app"`
	Device string   `json:"device,omitempty"`
	User   string   `json:"user,omitempty"`
	Roles  []string `json:"roles,omitempty"`
}

// Request is a call as both doors take it.
type Request struct {
	Service   string          `json:"-"`
	Operation string          `json:"-"`
	Version   int             `json:"version"` // 0: the service's default
	Input     json.RawMessage `json:"input"`
	Page      PageRequest     `json:"page"`
	ETag      string          `json:"etag"` // of the answer that the client has
}

// PageRequest says which page is wanted.
type PageRequest struct {
	Cursor string `json:"cursor"`
	Limit  int    `json:"limit"`
}

// Answer is what a client gets.
type Answer struct {
	Version     int             `json:"version"`
	Output      json.RawMessage `json:"output,omitempty"`
	Page        *NextPage       `json:"page,omitempty"`
	Partial     []Missing       `json:"partial,omitempty"`
	Deprecated  *Deprecation    `json:"deprecated,omitempty"`
	Cached      string          `json:"cached,omitempty"` // "hit" or "stale"
	ETag        string          `json:"etag"`
	NotModified bool            `json:"not_modified,omitempty"` // the client has it already
}

// NextPage leads on; without one this page was the last.
type NextPage struct {
	Next string `json:"next"`
}

// Missing is a part that could not be had.
type Missing struct {
	Part string `json:"part"`
	Code string `json:"code"`
}

// Deprecation tells a client that its version comes to an end.
type Deprecation struct {
	Since  string `json:"since"`
	Sunset string `json:"sunset,omitempty"`
	Use    int    `json:"use,omitempty"` // the newest version
}

// service is a declaration, ready to run.
type service struct {
	declaration Declaration
	backends    map[string]*backend
	versions    map[string]*version
	standard    *version
	inbound     map[string]*inbound
	from        string // the file, or "" for the API
	digest      [32]byte
}

type version struct {
	id                 string
	number             int
	deprecated, sunset time.Time
	operations         map[string]*operation
}

type operation struct {
	version, name           string
	declared                Operation
	input, output           *schema
	maxInput                int
	adapts                  *operation
	adaptInput, adaptOutput *program
	steps                   []*step
	compose                 *program
	pages                   *pages
	fields                  []guardedField
	canary, shadow          *variant
	examples                []example
	comparison              *comparison
}

type example struct{ input, output any }

type variant struct {
	percent float64
	step    *step
}

func (s *service) newest() *version {
	var best *version
	for _, v := range s.versions {
		if best == nil || v.number > best.number {
			best = v
		}
	}
	return best
}

// find is the operation that a request means.
func (s *service) find(r Request, now time.Time) (*version, *operation, error) {
	v := s.standard
	if r.Version != 0 {
		v = s.versions[strconv.Itoa(r.Version)]
	}
	if v == nil {
		return nil, nil, fail(CodeUnknownVersion, "this service has no version "+strconv.Itoa(r.Version), nil)
	}
	if !v.sunset.IsZero() && !now.Before(v.sunset) {
		return nil, nil, fail(CodeSunset, "version "+v.id+" ended on "+v.sunset.Format(time.DateOnly), nil)
	}
	o := v.operations[r.Operation]
	if o == nil {
		return nil, nil, fail(CodeUnknownOperation, "version "+v.id+" of this service has no such operation", nil)
	}
	return v, o, nil
}

// Head is what an answer over HTTP says beside its body: RFC 9745, RFC 8594.
func (d *Deprecation) Head() (deprecation, sunset string) {
	if at, err := time.Parse(time.DateOnly, d.Since); err == nil {
		deprecation = "@" + strconv.FormatInt(at.Unix(), 10)
	}
	if at, err := time.Parse(time.DateOnly, d.Sunset); err == nil {
		sunset = at.Format(http.TimeFormat)
	}
	return deprecation, sunset
}

// DeviceCaller is a device that has proven itself; user is "" for nobody's.
func DeviceCaller(app, device, user string) Caller {
	who := Caller{App: app, Device: device, User: user, Roles: []string{"device"}}
	if user != "" {
		who.Roles = append(who.Roles, "user")
	}
	return who
}
