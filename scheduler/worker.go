package scheduler

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/hibiken/asynq"

	"github.com/herald-push/herald/internal/redisstore"
	"github.com/herald-push/herald/push"
)

// Worker carries deliveries. Any number of workers may share one Redis.
type Worker struct {
	cfg     Config
	parts   Parts
	log     *slog.Logger
	door    *Door               // for what the worker itself hands in
	journal *redisstore.Journal // for what is urgent
	gated   *redisstore.Journal // for the rest
	inbox   *redisstore.Inbox
	tasks   queue
	timers  timers
	apps    *appCache
	lanes   *lanes
	watch   *watch
	deaths  *deaths
	metrics *workerMetrics
	halls   map[string]*hall // for deliveries in memory, by urgency
	crew    crew
	backlog *backlog

	stopping chan struct{} // closed when Run begins to end

	// What the rules ask.
	users   *userCache // nil where users cannot say anything
	caps    *redisstore.Caps
	newest  *redisstore.Newest
	digests *redisstore.Digests
}

// NewWorker makes a worker. It does not touch Redis before [Worker.Run].
func NewWorker(cfg Config, parts Parts) *Worker {
	w := &Worker{
		cfg: cfg, parts: parts, log: parts.Log,
		journal:  redisstore.NewJournal(parts.Redis),
		gated:    redisstore.NewJournal(parts.Redis).Gated(gateWidth),
		inbox:    redisstore.NewInbox(parts.Redis),
		tasks:    queue{asynq.NewClientFromRedisClient(parts.Redis)},
		timers:   timers{redisstore.NewDue(parts.Redis)},
		apps:     newAppCache(parts.Apps, time.Now),
		lanes:    &lanes{cfg: cfg.Lane, limits: parts.Limits},
		halls:    make(map[string]*hall, len(queues)),
		backlog:  &backlog{rdb: parts.Redis},
		stopping: make(chan struct{}),
		users:    newUserCache(parts.Users),
		caps:     redisstore.NewCaps(parts.Redis),
		newest:   redisstore.NewNewest(parts.Redis),
		digests:  redisstore.NewDigests(parts.Redis),
		deaths:   newDeaths(parts),
	}
	var urgent *hall
	for _, q := range queues {
		w.halls[q] = newHall(cfg.InFlight, urgent, time.Now)
		urgent = w.halls[q]
	}
	w.door = &Door{
		cfg: cfg, parts: parts, log: w.log, journal: w.journal, gated: w.gated, inbox: w.inbox, tasks: w.tasks,
		due: w.timers.due, share: newShare(time.Now), deaths: w.deaths,
	}
	w.watch = newWatch(parts, w.lanes, w.deaths)
	w.metrics = newWorkerMetrics(parts.Metrics, w.lanes)
	return w
}

// gateWidth is how many large calls of Redis a process has under way, besides
// those for what is urgent.
const gateWidth = 4

// book is the journal for the deliveries of an urgency.
func (w *Worker) book(urgency string) *redisstore.Journal {
	if urgency == queues[0] {
		return w.journal
	}
	return w.gated
}

// Run takes tasks from the queues until ctx ends, then lets those in hand
// finish for [Config.Grace] and gives the rest back. A Redis that goes away and
// comes back does not end it.
func (w *Worker) Run(ctx context.Context) error {
	defer context.AfterFunc(ctx, func() { close(w.stopping) })()
	watching, leave := context.WithCancel(context.WithoutCancel(ctx))
	var watcher sync.WaitGroup
	watcher.Go(func() {
		w.watch.run(watching, func(err error) { w.log.WarnContext(ctx, "lanes are not in step with other workers", "err", err) })
	})
	defer func() { leave(); watcher.Wait() }() // when the last delivery has been carried

	var group sync.WaitGroup
	for _, q := range queues {
		server := asynq.NewServerFromRedisClient(w.parts.Redis, w.serverConfig(ctx, q))
		if err := server.Start(w.handler(q)); err != nil {
			return fmt.Errorf("scheduler: start queue %s: %w", q, err)
		}
		group.Go(func() {
			<-ctx.Done()
			server.Shutdown()
		})
		group.Go(func() { w.keepTime(ctx, q) })
	}
	group.Go(func() { w.adopt(ctx) })
	if w.parts.Schedules != nil {
		group.Go(func() { w.fire(ctx) })
	}
	group.Wait()
	return nil
}

func (w *Worker) serverConfig(ctx context.Context, queue string) asynq.Config {
	return asynq.Config{
		Concurrency:              w.cfg.Slots,
		Queues:                   rowWeights(queue),
		TaskCheckInterval:        10 * time.Millisecond,
		DelayedTaskCheckInterval: 250 * time.Millisecond,
		ShutdownTimeout:          w.cfg.Grace,
		BaseContext:              func() context.Context { return context.WithoutCancel(ctx) },
		RetryDelayFunc:           retryDelay,
		IsFailure:                func(err error) bool { return !errors.Is(err, errBacklog) },
		ErrorHandler:             asynq.ErrorHandlerFunc(w.report),
		Logger:                   asynqLog{w.log},
		LogLevel:                 asynq.WarnLevel,
	}
}

// retryDelay spaces the runs of a task that failed because something Herald
// needs is away. A task whose worker died runs again at once.
func retryDelay(n int, err error, _ *asynq.Task) time.Duration {
	switch {
	case errors.Is(err, errBacklog):
		return time.Second
	case errors.Is(err, asynq.ErrLeaseExpired):
		return 0
	}
	return backoff(n, 30*time.Second)
}

func (w *Worker) report(ctx context.Context, t *asynq.Task, err error) {
	if errors.Is(err, errBacklog) {
		return
	}
	w.metrics.taskFailed.WithLabelValues(t.Type()).Inc()
	w.log.ErrorContext(ctx, "task failed", "kind", t.Type(), "err", err)
}

// handler runs the tasks of one queue.
func (w *Worker) handler(urgency string) asynq.Handler {
	mux := asynq.NewServeMux()
	mux.Handle(taskBundle, &bundler{w, urgency})
	mux.Handle(taskExpand, &expander{w, urgency})
	mux.Handle(taskDeliver, &carrier{w, urgency, taskDeliver})
	mux.Handle(taskCheck, &carrier{w, urgency, taskCheck})
	mux.Handle(taskDigest, &digester{w})
	return mux
}

// carrier handles [taskDeliver] and [taskCheck].
type carrier struct {
	w             *Worker
	urgency, kind string
}

// ProcessTask carries deliveries that are due: to their first road, once more
// to the same, or to the next because no proof came in time.
//
// The queue hands over at least once. Cells that have an outcome are left
// alone, so a task that is done again goes on where it was cut off. An error is
// always Herald's own trouble, and puts the task back on the queue.
func (h *carrier) ProcessTask(ctx context.Context, t *asynq.Task) error {
	var wk work
	if err := json.Unmarshal(t.Payload(), &wk); err != nil {
		return fmt.Errorf("scheduler: decode %s task: %w: %w", h.kind, err, asynq.SkipRetry)
	}
	return h.carry(ctx, wk, owner(ctx))
}

// carry does one round; owner names the task in claims.
func (h *carrier) carry(ctx context.Context, wk work, owner string) error {
	room, err := h.w.takeRoom(ctx, h.urgency, wk.app(), wk.size())
	if err != nil {
		return err
	}
	defer room.keep(0)
	parcels, err := h.w.open(ctx, h.urgency, wk.Jobs)
	if err != nil {
		return err
	}
	if parcels, err = h.w.rest(ctx, h.urgency, parcels); err != nil {
		return err
	}
	r := &round{
		w: h.w, kind: h.kind, urgency: h.urgency, owner: owner,
		work: wk, now: time.Now(), parcels: parcels, room: room,
	}
	return r.run(ctx)
}

// open reads the chunks of jobs. What Redis has forgotten is left out.
func (w *Worker) open(ctx context.Context, urgency string, jobs []job) ([]*parcel, error) {
	refs, places := distinct(jobs)
	records, err := w.book(urgency).Load(ctx, refs)
	if err != nil {
		return nil, fmt.Errorf("scheduler: %w", err)
	}
	var parcels []*parcel
	var chunks []redisstore.Chunk
	var indexes [][]int
	for i, j := range jobs {
		record := records[places[i]]
		if record == nil {
			continue
		}
		p := newParcel(record, j.Chunk)
		parcels, chunks, indexes = append(parcels, p), append(chunks, p.chunk), append(indexes, j.Indexes)
	}
	if len(parcels) == 0 {
		return nil, nil
	}
	slots, err := w.book(urgency).Read(ctx, chunks, indexes)
	if err != nil {
		return nil, fmt.Errorf("scheduler: %w", err)
	}
	for i, p := range parcels {
		p.slots = slots[i]
	}
	return parcels, nil
}

func newParcel(r *redisstore.Record, chunk int) *parcel {
	p := &parcel{n: r.Notification, chunk: redisstore.Chunk{Notification: r.Notification, Number: chunk}}
	p.paused = rests(r)
	if r.Cancelled {
		p.ending = push.Cancelled
	}
	return p
}

// distinct names each notification of the jobs once, and for each job where.
func distinct(jobs []job) (refs []redisstore.Ref, places []int) {
	seen := make(map[redisstore.Ref]int, len(jobs))
	for _, j := range jobs {
		ref := redisstore.Ref{App: j.App, ID: j.ID}
		at, ok := seen[ref]
		if !ok {
			at = len(refs)
			seen[ref] = at
			refs = append(refs, ref)
		}
		places = append(places, at)
	}
	return refs, places
}

// owner names the task in claims: the same when the queue hands it over again,
// and as short as it can be, for it stands in every cell.
func owner(ctx context.Context) string {
	id, _ := asynq.GetTaskID(ctx)
	return hashed(id)
}

func hashed(id string) string {
	h := fnv.New64a()
	_, _ = h.Write([]byte(id)) // never fails
	return strconv.FormatUint(h.Sum64(), 36)
}

// online asks who of the deliveries' devices is connected, of those for whom it
// matters.
func (w *Worker) online(ctx context.Context, app string, ds []*delivery) ([]bool, error) {
	all := make([]bool, len(ds))
	var ids []string
	var places []int
	for i, d := range ds {
		if d.device == nil || d.parcel.ending != "" || !usesLive(d.Notification) {
			continue
		}
		if _, ok := d.device.Address(push.Live); ok {
			ids, places = append(ids, d.Device), append(places, i)
		}
	}
	if len(ids) == 0 {
		return all, nil
	}
	online, err := w.parts.Presence.Online(ctx, app, ids)
	if err != nil {
		return nil, fmt.Errorf("scheduler: presence: %w: %w", push.ErrAway, err)
	}
	for i, on := range online {
		all[places[i]] = on
	}
	return all, nil
}

const (
	// persistence is how long a worker tries to write down what it has done
	// while Redis is away, before it gives the task up to be done again. It is
	// the length of asynq's lease.
	persistence = 30 * time.Second
	// persistPause lies between the tries.
	persistPause = 200 * time.Millisecond
)

// persist repeats a write until Redis takes it.
func (w *Worker) persist(ctx context.Context, write func() error) error {
	ctx, cancel := context.WithTimeout(ctx, persistence)
	defer cancel()
	for {
		err := write()
		if err == nil || !errors.Is(err, push.ErrAway) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(persistPause):
		}
	}
}

// OwnLanes tells how each app fares with each provider, in this process.
func (w *Worker) OwnLanes() []push.Lane { return w.lanes.states() }

// LaneOpen tells whether a class finds an app's lane to a provider open now, in
// this process. It costs a lock; a lane that was never used is open.
func (w *Worker) LaneOpen(app, provider string, c push.Class) bool {
	l, ok := w.lanes.all.Load(redisstore.LaneName{App: app, Provider: provider})
	return !ok || l.(*lane).open(c)
}

// ReopenLane must be called when an app's credentials for a provider changed:
// why the lane was closed may be no more. Other processes learn of it by
// [Door.FreshenLane].
func (w *Worker) ReopenLane(app, provider string) {
	w.deaths.forgive(app, provider)
	if l, ok := w.lanes.all.Load(redisstore.LaneName{App: app, Provider: provider}); ok {
		l.(*lane).reopen()
	}
}
