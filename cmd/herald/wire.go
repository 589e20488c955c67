package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/redis/go-redis/v9"

	"github.com/herald-push/herald/analytics"
	"github.com/herald-push/herald/api"
	"github.com/herald-push/herald/gateway"
	"github.com/herald-push/herald/im/access"
	"github.com/herald-push/herald/im/data"
	"github.com/herald-push/herald/im/link"
	"github.com/herald-push/herald/im/logic"
	"github.com/herald-push/herald/im/routing"
	"github.com/herald-push/herald/internal/devicetoken"
	"github.com/herald-push/herald/internal/redisstore"
	"github.com/herald-push/herald/internal/sqlstore"
	"github.com/herald-push/herald/internal/tracing"
	"github.com/herald-push/herald/internal/wording"
	"github.com/herald-push/herald/longconn"
	geo "github.com/herald-push/herald/places"
	"github.com/herald-push/herald/providers"
	"github.com/herald-push/herald/providers/live"
	"github.com/herald-push/herald/push"
	"github.com/herald-push/herald/scheduler"
	"github.com/herald-push/herald/selector"
	"github.com/herald-push/herald/webhooks"
)

// house is one process's parts, plugged together. Which of them run is a
// question of the roles.
type house struct {
	cfg     Config
	log     *slog.Logger
	metrics *prometheus.Registry

	redis   redis.UniversalClient
	store   *sqlstore.Store
	shared  *redisstore.Tokens  // access tokens of vendors, for all processes
	devices *redisstore.Devices // the store's, with a cache that all processes share
	notes   *redisstore.Notes   // what providers must know again after a restart
	tokens  *devicetoken.Tokens
	book    *wording.Book // words notifications by the store's templates

	tracer    *tracing.Tracer  // nil where nothing is traced
	hooks     *webhooks.Hooks  // tells apps what came of their messages
	record    *analytics.Store // nil without ClickHouse
	spool     *analytics.Spool
	writer    *analytics.Writer
	selector  *selector.Selector
	nodes     *routing.Redis
	router    *routing.Router
	providers *providers.Set
	scheduler *scheduler.Scheduler

	chatData   *data.Store                // nil without the roles api and im, as chat
	chat       *logic.Logic               //
	linkServer *link.Server               // nil where no other process's devices are served
	linkClient *link.Client               // nil where chat is not
	acked      func(app, user, id string) // takes what devices acknowledge of chat

	gateway     *gateway.Gateway
	calls       *analytics.Calls
	whereabouts *geo.Places // where devices are

	access *access.Access   // nil without the role conn, as conns
	conns  *longconn.Server //
	drains *drains          //
	hub    *longconn.Hub    //
	door   part

	stopping chan struct{} // closed when the house begins to stop
}

// build plugs the rooms together, from where a notification ends to where it
// comes in. Nothing runs yet, but ports are open and files are taken.
func build(ctx context.Context, c Config, door net.Listener, extra extras, log *slog.Logger) (h *house, err error) {
	h = &house{cfg: c, log: log, metrics: prometheus.NewRegistry(), stopping: make(chan struct{})}
	h.metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	taken := h
	defer func() {
		if err != nil {
			taken.close()
		}
	}()
	for _, step := range []func(context.Context) error{
		h.openStores, h.openRecord, h.wireLive, h.wireJourney, h.wireChat, h.wireGateway,
		func(context.Context) error { return h.wireDoor(door, extra) },
	} {
		if err := step(ctx); err != nil {
			return nil, err
		}
	}
	return h, nil
}

// openStores opens what is kept: Redis and SQL.
func (h *house) openStores(ctx context.Context) (err error) {
	redis.SetLogger(redisLog{h.log}) // the client has one for the whole process
	if h.redis, err = redisstore.Connect(h.cfg.Redis.URL); err != nil {
		return err
	}
	keys, err := h.cfg.Sealing.open()
	if err != nil {
		return err
	}
	if h.tracer, err = tracing.New(ctx, h.cfg.Tracing, version); err != nil {
		return err
	}
	if h.tracer != nil {
		h.tracer.Log = h.log
	}
	h.shared = redisstore.NewTokens(h.redis, keys)
	if h.store, err = sqlstore.Open(ctx, h.cfg.Database.URL, keys, h.log); err != nil {
		return err
	}
	if err = h.wirePlaces(); err != nil {
		return err
	}
	h.devices = redisstore.NewDevices(h.redis, audiences{h.store, h.whereabouts})
	h.notes = redisstore.NewNotes(h.redis)
	h.book = wording.NewBook(h.store)
	h.tokens = devicetoken.New(h.store, h.cfg.DeviceTokens)
	h.hooks, err = webhooks.Open(ctx, h.cfg.Webhooks, webhooks.Parts{
		Database: h.cfg.Database.URL, Sealer: keys, Outbox: redisstore.NewOutbox(h.redis), Log: h.log, Metrics: h.metrics,
	})
	return err
}

// traceRequest begins traces at the door; nil where nothing is traced.
func (h *house) traceRequest() func(*http.Request) (context.Context, string, func(string, int)) {
	if h.tracer == nil {
		return nil
	}
	return h.tracer.Request
}

// openRecord opens what is written down: the spool, ClickHouse, and the
// selector that learns from both.
func (h *house) openRecord(ctx context.Context) (err error) {
	if h.cfg.ClickHouse.URL != "" {
		if h.record, err = h.cfg.ClickHouse.open(ctx); err != nil {
			return err
		}
		h.migrate(ctx)
	}
	spool := analytics.DefaultSpoolConfig(filepath.Join(h.cfg.Data, "spool"))
	if h.spool, err = analytics.OpenSpool(spool, h.log); err != nil {
		return err
	}
	h.writer, err = analytics.NewWriter(h.spool, h.record, h.cfg.ClickHouse.writer(), h.log, h.metrics)
	if err != nil {
		return err
	}
	brains := redisstore.NewBrains(h.redis)
	parts := selector.Parts{Memory: brains, Peers: brains, Log: h.log}
	if h.record != nil {
		parts.Record = h.record
	}
	h.selector = selector.New(h.cfg.Selector, parts)
	return nil
}

// migrate brings ClickHouse up to date if it is there. If not, the writer does
// it as soon as it is: a record that is away stops nobody.
func (h *house) migrate(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := h.record.Migrate(ctx); err != nil {
		h.log.WarnContext(ctx, "ClickHouse is not up to date yet", "err", err)
	}
}

// wireLive finds devices on their nodes, and holds their connections if this
// process is a node.
func (h *house) wireLive(ctx context.Context) (err error) {
	h.nodes = routing.NewRedis(h.redis, h.cfg.Routing)
	h.router = routing.New(h.cfg.Routing, h.nodes, h.nodes, h.log)
	if !h.cfg.does(roleConn) {
		return nil
	}
	return h.wireConnections(ctx)
}

// wireJourney is the way from the queue to the device.
func (h *house) wireJourney(context.Context) error {
	services := openers(h.cfg.PublicURL, h.cfg.Egress, h.notes)
	h.providers = providers.NewSet(h.store, services, map[string]providers.Provider{push.Live: live.New(h.router)})
	h.scheduler = scheduler.New(h.cfg.Scheduler, scheduler.Parts{
		Redis:    h.redis,
		Devices:  h.devices,
		Apps:     h.store,
		Picker:   h.selector,
		Sender:   h.providers,
		Recorder: recorder{h.hooks, h.spool, h.selector, h.tracer},
		Presence: h.router,
		Letter:   live.Encode,
		Deaths:   newUndertaker(h.log, h.metrics, h.hooks, maps.Keys(services)).tell,
		Log:      h.log,
		Metrics:  h.metrics,

		Users:     h.store,
		Schedules: watchedSchedules{h.store, h.hooks},
		Wording:   h.book.Word,
		Limits:    h.providers.Limits,
	})
	h.providers.Reports(h.receive)
	h.providers.ShareTokens(h.shared)
	h.providers.CorrectedBy(h.store)
	h.providers.TriedBy(newTrials(h.store, h.credentialsChanged, h.log, h.metrics, maps.Keys(services)))
	return h.metrics.Register(newGauges(h))
}

// awaitReceipts has providers hear again what was sent before a restart. What
// cannot be done now is done by the next message of the app.
func (h *house) awaitReceipts(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	all, err := h.notes.Awaiting(ctx)
	if err != nil {
		h.log.WarnContext(ctx, "receipts of earlier messages are not awaited", "err", err)
		return
	}
	for _, a := range all {
		if err := h.providers.Await(ctx, a.App, a.Provider, a.Until); err != nil {
			h.log.WarnContext(ctx, "receipts of earlier messages are not awaited", "app", a.App, "provider", a.Provider, "err", err)
		}
	}
}

// receive takes what services report over the connections that we hold to
// them. Receipts for what is no longer known are dropped, as at the door.
func (h *house) receive(ctx context.Context, rs []push.Receipt) error {
	for _, err := range h.scheduler.Receive(ctx, rs) {
		if errors.Is(err, push.ErrAway) {
			return err
		}
	}
	return nil
}

// recorder tells apps of receipts, writes them down and lets the selector learn
// from them at once. Apps come first: what follows says that the receipts were
// taken, and no crash may lie between.
type recorder struct {
	hooks    *webhooks.Hooks
	spool    *analytics.Spool
	selector *selector.Selector
	tracer   *tracing.Tracer
}

// Record implements [scheduler.Recorder].
func (r recorder) Record(ctx context.Context, rs ...push.Receipt) error {
	if err := r.hooks.Record(ctx, rs...); err != nil {
		return err
	}
	if err := r.spool.Record(ctx, rs...); err != nil {
		return err
	}
	for i := range rs {
		r.selector.Observe(&rs[i])
	}
	r.tracer.Receipts(rs)
	return nil
}

// wireDoor is where notifications, questions and evidence come in. Processes
// without the role api have a door too, for their health and their numbers.
func (h *house) wireDoor(door net.Listener, extra extras) (err error) {
	checks := map[string]api.Check{
		"redis":    func(ctx context.Context) error { return redisstore.Ping(ctx, h.redis) },
		"database": h.store.Ping,
	}
	if h.cfg.does(roleWorker) {
		checks["queue"] = h.scheduler.Ready
	}
	if h.drains != nil && !h.cfg.does(roleAPI) {
		checks["connections"] = h.drains.ready
	}
	if !h.cfg.does(roleAPI) {
		h.door = newOpsDoor(door, checks, h.metrics, h.cfg.API, h.log)
		return nil
	}
	roads := map[string]api.CheckCredentials{push.Live: nil}
	callbacks := map[string]api.Callback{}
	for name := range openers(h.cfg.PublicURL, h.cfg.Egress, nil) {
		roads[name] = func(credentials []byte) error { return h.providers.Check(name, credentials) }
		callbacks[name] = func(ctx context.Context, r *http.Request, body []byte) (rs []push.Receipt, answer []byte, err error) {
			return h.providers.Callback(ctx, name, r, body)
		}
	}
	pages, err := h.pages(extra)
	if err != nil {
		return err
	}
	h.door, err = api.New(h.cfg.API, api.Parts{
		Queue:       watchedQueue{h.scheduler, h.hooks},
		Devices:     devices{h.store, h.devices, h.router.Dismiss, h.whereabouts},
		Apps:        h.store,
		Keys:        keys{h.store},
		Credentials: credentials{h.store, h.credentialsChanged},
		Deliveries:  h.deliveries(),
		Tokens:      h.tokens,
		Chat:        h.chatDoor(),
		Users:       h.store,
		Persons:     h.places(),
		Schedules:   h.store,
		Firings:     scheduler.Firings,
		Templates:   templates{h.store, h.book},
		Word:        h.book.Word,
		Sides:       h.selector.Sides,
		Lanes:       lanes{h.scheduler, h.store},
		Webhooks:    h.hooks,
		Gateway:     h.gateway,
		Businesses:  businesses{h.store},
		CallsByHour: h.callsByHour(),
		Whereabouts: h.whereabouts,
		Map:         h.store,
		Members:     h.store,
		Audit:       h.store,
		Desk:        desk{h.scheduler, h},
		Providers:   roads,
		Canary:      h.providers.Canary,
		Overrides:   overrides(),
		Unseen:      unseen(),
		Codes:       codes(),
		Corrections: corrections{h.store, h.providers.Recheck},
		Callbacks:   callbacks,
		Checks:      checks,
		Mounts:      map[string]http.Handler{"/": pages},
		Metrics:     h.metrics,
		Trace:       h.traceRequest(),
		Listener:    door,
		Log:         h.log,
	})
	return err
}

// credentialsChanged lets the next send use new credentials at once.
func (h *house) credentialsChanged(app, provider string) {
	h.providers.Changed(app, provider)
	h.scheduler.ReopenLane(app, provider)
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := h.scheduler.FreshenLane(ctx, app, provider); err != nil {
		h.log.Warn("other processes learn later that credentials changed", "app", app, "provider", provider, "err", err)
	}
}

// deliveries tells the story of deliveries, or that nobody writes it down.
func (h *house) deliveries() api.Deliveries {
	if h.record == nil {
		return noRecord{}
	}
	return h.record
}

// noRecord stands in for ClickHouse where there is none.
type noRecord struct{}

// Trace implements [api.Deliveries].
func (noRecord) Trace(context.Context, string, string, string, string, int) ([]push.Trace, string, error) {
	return nil, "", fmt.Errorf("no ClickHouse is configured: %w", push.ErrAway)
}

// Run runs the parts of the process's roles until ctx ends, and stops them in
// the order of the journey: the door, the workers, the connections that they
// send through, what knows where the connections are, the recorder.
func (h *house) Run(ctx context.Context) error {
	defer h.close()
	defer context.AfterFunc(ctx, func() { close(h.stopping) })()
	var workers, conns []part
	if h.cfg.does(roleWorker) {
		workers = append(workers, named{"scheduler", h.scheduler}, named{"watcher", h.hooks.NewWatcher(h.scheduler)})
		h.awaitReceipts(ctx)
	}
	if h.cfg.does(roleConn) {
		conns = append(conns, named{"longconn", h.conns}, named{"drains", h.drains})
	}
	knows := []part{named{"routing", h.router}, named{"selector", h.selector}, named{"webhooks", h.hooks}, named{"gateway", h.gateway}, named{"places", h.whereabouts}}
	if h.chat != nil {
		forgets := &retention{apps: h.store, messages: h.chatData, now: time.Now, log: h.log}
		knows = append(knows, named{"chat", h.chat}, named{"chat data", h.chatData}, named{"retention", forgets})
	}
	if h.cfg.does(roleAPI) {
		knows = append(knows, named{"eraser", &eraser{jobs: h.store, places: h.places(), dismiss: h.router.Dismiss, rest: eraseRest, log: h.log}})
	}
	if h.linkServer != nil {
		workers = append(workers, named{"im link", h.linkServer})
	}
	if h.linkClient != nil {
		knows = append(knows, named{"im link", h.linkClient})
	}
	if h.tracer != nil {
		knows = append(knows, named{"tracing", h.tracer})
	}
	if h.access != nil {
		knows = append(knows, named{"access", h.access}, named{"nodes", &crier{house: h, began: time.Now().UTC()}})
	}
	return runStages(ctx, []part{named{"api", h.door}}, workers, conns, knows, []part{named{"analytics", h.writer}, named{"calls", h.calls}})
}

// close lets go of what build took.
func (h *house) close() {
	closing := func(what string, c io.Closer) {
		if err := c.Close(); err != nil {
			h.log.Warn("not closed well", "what", what, "err", err)
		}
	}
	if h.spool != nil {
		closing("spool", h.spool)
	}
	if h.record != nil {
		closing("clickhouse", h.record)
	}
	if h.chatData != nil {
		closing("chat data", h.chatData)
	}
	if h.hooks != nil {
		closing("webhooks", h.hooks)
	}
	if h.store != nil {
		closing("database", h.store)
	}
	if h.redis != nil {
		closing("redis", h.redis)
	}
}
