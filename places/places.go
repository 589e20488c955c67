// Package places knows where devices are, if they let it: it takes their
// reports, finds who is in a part of the earth, and tells when somebody crosses
// a fence.
//
// Positions are in Redis, fences and named places in memory as SQL has them,
// consents in SQL with a copy in Redis. docs/places.md has the words.
package places

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/errgroup"

	"github.com/herald-push/herald/push"
)

// Config shapes [Places]. Start from [DefaultConfig].
type Config struct {
	// Keep is how long a device's last position is kept after it has fallen
	// silent. Default 720h.
	Keep time.Duration `yaml:"keep"`
	// Oldest is how old a position may be when it is reported, for devices that
	// were offline. Default 24h.
	Oldest time.Duration `yaml:"oldest"`
	// Late is how old a report may be for a fence to tell of it: an older one
	// moves the device, and rings nobody. Default 15m.
	Late time.Duration `yaml:"late"`
	// RecordEvery is how often last places are written into the devices' records,
	// the last of each device. Default 10s.
	RecordEvery time.Duration `yaml:"record_every"`
	// Refresh is how often a process looks for fences and places that another has
	// changed. Default 2s.
	Refresh time.Duration `yaml:"refresh"`
}

// DefaultConfig is what an empty section of the config file means.
func DefaultConfig() Config {
	return Config{Keep: 30 * 24 * time.Hour, Oldest: 24 * time.Hour, Late: 15 * time.Minute, RecordEvery: 10 * time.Second, Refresh: 2 * time.Second}
}

// Validate reports every fault at once, each under the key that has it.
func (c Config) Validate() error {
	var errs []error
	for key, d := range map[string]time.Duration{
		"keep": c.Keep, "oldest": c.Oldest, "late": c.Late, "record_every": c.RecordEvery, "refresh": c.Refresh,
	} {
		if d <= 0 {
			errs = append(errs, fmt.Errorf("places.%s: %v is not positive", key, d))
		}
	}
	if c.Keep < c.Oldest {
		errs = append(errs, fmt.Errorf("places.keep: %v is less than places.oldest, %v", c.Keep, c.Oldest))
	}
	return errors.Join(errs...)
}

// Store keeps in SQL what must not be lost.
type Store interface {
	// Consents are those of devices in their order; the mode is "" for a device
	// that does not exist.
	Consents(ctx context.Context, app string, devices []string) ([]push.Consent, error)
	// PutConsent writes one; [push.ErrNotFound] if there is no such device. With
	// the mode off the last place in the device's record goes.
	PutConsent(ctx context.Context, c *push.Consent) error
	// PutLastPlaces writes where devices of an app are into their records.
	PutLastPlaces(ctx context.Context, app string, all []push.Position) error
	// PlaceRevisions tells how often an app's fences and places were changed.
	PlaceRevisions(ctx context.Context) (map[string]int64, error)
	// PlaceChanges are changes after a revision, the oldest first.
	PlaceChanges(ctx context.Context, app string, after int64, limit int) ([]push.MapChange, error)
	// Among returns those of the ids whose devices a filter means, "" for all, in
	// their order.
	Among(ctx context.Context, app string, ids []string, filter string) ([]string, error)
	// Devices returns devices in the order of ids, nil for the unknown.
	Devices(ctx context.Context, app string, ids []string) ([]*push.Device, error)
}

// Bell starts the notification of a fence. It may be asked twice for the same
// id, and must send it once.
type Bell interface {
	Ring(ctx context.Context, id, device string, what push.Crossing, at time.Time, f *push.Fence) error
}

// Parts are what [Places] stands on.
type Parts struct {
	Redis   redis.UniversalClient
	Store   Store
	Bell    Bell
	Secret  []byte // blurs positions; the same in all processes
	Log     *slog.Logger
	Metrics prometheus.Registerer
	Now     func() time.Time // default: time.Now
}

// Places is the room. It is safe for concurrent use.
type Places struct {
	cfg   Config
	parts Parts
	log   *slog.Logger
	now   func() time.Time
	index *index

	mu   sync.Mutex
	apps map[string]*area

	asks  [reporters]chan *ask
	rings chan crossing
	last  lastPlaces
	count counters
}

// area is what one app has on the map, as it is in SQL.
type area struct {
	fences *fences
	places *named

	loading  sync.Mutex // guards the rest
	loaded   bool       // once, at least
	revision int64      // of what was read
}

type counters struct{ reports, refused, stale, crossings prometheus.Counter }

// New makes the room. Nothing moves before Run.
func New(cfg Config, parts Parts) (*Places, error) {
	if parts.Now == nil {
		parts.Now = time.Now
	}
	p := &Places{
		cfg: cfg, parts: parts, log: parts.Log, now: parts.Now, index: newIndex(parts.Redis, cfg.Keep, parts.Now),
		apps: map[string]*area{}, rings: make(chan crossing, 1024),
	}
	p.last.all = map[string]map[string]push.Position{}
	for i := range p.asks {
		p.asks[i] = make(chan *ask, 256)
	}
	return p, p.measure(parts.Metrics)
}

func (p *Places) measure(metrics prometheus.Registerer) error {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Namespace: "herald", Subsystem: "places", Name: name, Help: help})
	}
	p.count = counters{
		reports:   counter("reports_total", "Positions that were taken."),
		refused:   counter("refused_total", "Reports of positions without consent."),
		stale:     counter("overtaken_total", "Positions older than one that was known."),
		crossings: counter("crossings_total", "Crossings of fences that start a notification."),
	}
	for _, c := range []prometheus.Collector{p.count.reports, p.count.refused, p.count.stale, p.count.crossings} {
		if err := metrics.Register(c); err != nil {
			return fmt.Errorf("places: metrics: %w", err)
		}
	}
	return nil
}

// Run takes reports, tells of crossings and keeps what is in memory up to date
// until ctx ends.
func (p *Places) Run(ctx context.Context) error {
	var group errgroup.Group
	for i := range p.asks {
		group.Go(func() error { p.report(ctx, p.asks[i]); return nil })
	}
	for range ringers {
		group.Go(func() error { p.ringAll(ctx); return nil })
	}
	group.Go(func() error { p.refresh(ctx); return nil })
	group.Go(func() error { p.sweep(ctx); return nil })
	group.Go(func() error { p.recordAll(ctx); return nil })
	return group.Wait()
}

// area is an app's, made when it is first asked for.
func (p *Places) area(app string) *area {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.apps[app]
	if a == nil {
		a = &area{fences: newFences(), places: newNamed()}
		p.apps[app] = a
	}
	return a
}
