package scheduler

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"github.com/herald-push/herald/internal/redisstore"
	"github.com/herald-push/herald/internal/redistest"
	"github.com/herald-push/herald/push"
)

// house is a scheduler on a real Redis among neighbours that are fakes.
type house struct {
	t     testing.TB
	redis *redistest.Server
	rdb   redis.UniversalClient
	cfg   Config
	*neighbours
}

func newHouse(t testing.TB) *house {
	t.Helper()
	srv := redistest.Start(t)
	rdb, err := redisstore.Connect(srv.URL())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { rdb.Close() })
	cfg := DefaultConfig()
	cfg.Flush = 5 * time.Millisecond
	cfg.Grace = time.Second
	return &house{t: t, redis: srv, rdb: rdb, cfg: cfg, neighbours: newNeighbours()}
}

func (h *house) parts() Parts {
	return Parts{
		Redis: h.rdb, Devices: h, Apps: h, Picker: h, Sender: h, Recorder: h, Presence: h, Letter: letter, Users: h,
		Deaths: h.died, Log: slog.New(slog.DiscardHandler), Metrics: prometheus.NewRegistry(),
		Limits: func(_ context.Context, _, provider string) push.Limits { return h.limits[provider] },
	}
}

func (h *house) door() *Door { return NewDoor(h.cfg, h.parts()) }

// work runs a worker until the test ends or stop is called.
func (h *house) work() (w *Worker, stop func()) {
	w = NewWorker(h.cfg, h.parts())
	return w, h.run(w)
}

// run runs w likewise.
func (h *house) run(w *Worker) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			h.t.Errorf("Run() = %v", err)
		}
	})
	h.t.Cleanup(stop)
	return stop
}

// enqueue hands n in as the API would.
func (h *house) enqueue(d *Door, n *push.Notification) push.Progress {
	h.t.Helper()
	p, err := d.Enqueue(h.t.Context(), n, hashOf(n))
	if err != nil {
		h.t.Fatalf("Enqueue(%s) = %v", n.ID, err)
	}
	return p
}

func hashOf(n *push.Notification) [32]byte { return sha256.Sum256([]byte(n.ID + n.Title)) }

// await waits for a state of a notification.
func (h *house) await(d *Door, id string, what string, is func(push.Progress) bool) push.Progress {
	h.t.Helper()
	var p push.Progress
	eventually(h.t, func() string {
		var err error
		if p, err = d.Progress(h.t.Context(), "demo", id); err != nil {
			return err.Error()
		}
		if !is(p) {
			return fmt.Sprintf("%s is not %s: %+v", id, what, p)
		}
		return ""
	})
	return p
}

func (h *house) awaitDone(d *Door, id string) push.Progress {
	h.t.Helper()
	return h.await(d, id, "done", func(p push.Progress) bool { return p.State == push.Done })
}

// patience outlasts two looks for orphans, which a Redis that is killed in the
// middle of handing a task over leaves behind.
const patience = 3 * orphanage

// eventually asks until the answer is "", and fails with the last one.
func eventually(t testing.TB, ask func() string) {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		answer := ask()
		if answer == "" {
			return
		}
		select {
		case <-deadline:
			t.Fatalf("still, after %v: %s", patience, answer)
		case <-tick.C:
		}
	}
}

// note is a notification to one device, or several with commas between.
func note(id, to string) *push.Notification {
	now := time.Now().UTC().Truncate(time.Millisecond)
	n := &push.Notification{
		App: "demo", ID: id, Class: push.Transactional, Title: "Shipped",
		AcceptedAt: now, ExpiresAt: now.Add(time.Hour),
	}
	if ids := strings.Split(to, ","); len(ids) > 1 {
		n.To.Devices = ids
	} else {
		n.To.Device = to
	}
	return n
}

// neighbours are the other rooms, as far as the scheduler sees them.
type neighbours struct {
	mu       sync.Mutex
	devices  map[string]*push.Device
	order    []string
	connects map[string]bool
	app      push.App
	users    map[string]push.User
	sends    []sent
	receipts []push.Receipt
	ids      map[string]bool // of receipts, as a store that drops duplicates has them
	forgot   []string
	deaths   []push.Death
	// answer decides what a provider says; nil accepts everything.
	answer func(ctx context.Context, provider string, d *push.Delivery) (push.Answer, error)
	// together is how many devices a provider takes in one request.
	together map[string]int
	batches  [][]string             // devices of each request for more than one
	limits   map[string]push.Limits // by provider
	// dedup are the providers through which a repeat is seen once.
	dedup []string
	// paged is called before each page of an audience.
	paged func(after string)
}

type sent struct {
	provider, delivery, device string
	at                         time.Time
	n                          *push.Notification
}

func newNeighbours() *neighbours {
	return &neighbours{
		devices: make(map[string]*push.Device), connects: make(map[string]bool), ids: make(map[string]bool),
		limits: make(map[string]push.Limits),
		app:    push.App{ID: "demo"},
	}
}

// lives adds a device with an address at each provider.
func (n *neighbours) lives(id string, providers ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	d := &push.Device{App: "demo", ID: id, Platform: "ios", Country: "DE", UpdatedAt: time.Now()}
	for _, p := range providers {
		d.Addresses = append(d.Addresses, push.Address{Provider: p, Token: p + "-" + id})
	}
	n.devices[id] = d
	n.order = append(n.order, id)
	slices.Sort(n.order)
}

func (n *neighbours) Devices(_ context.Context, _ string, ids []string) ([]*push.Device, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	all := make([]*push.Device, len(ids))
	for i, id := range ids {
		all[i] = n.devices[id]
	}
	return all, nil
}

func (n *neighbours) Count(context.Context, string, push.Audience) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.order), nil
}

func (n *neighbours) Page(_ context.Context, _ string, to push.Audience, after string, limit int) ([]string, error) {
	if n.paged != nil {
		n.paged(after)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if to.User != "" { // the few that belong to it, or else all
		var ids []string
		for _, id := range n.order {
			if n.devices[id].User == to.User && id > after {
				ids = append(ids, id)
			}
		}
		if len(ids) > 0 {
			return ids, nil
		}
	}
	from, found := slices.BinarySearch(n.order, after)
	if found {
		from++
	}
	return slices.Clone(n.order[from:min(from+limit, len(n.order))]), nil
}

func (n *neighbours) Forget(_ context.Context, _, device string, a push.Address) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.forgot = append(n.forgot, device+" at "+a.Provider)
	return nil
}

func (n *neighbours) App(context.Context, string) (push.App, error) { return n.app, nil }

func (n *neighbours) HasUsers(context.Context, string) (bool, error) { return len(n.users) > 0, nil }

func (n *neighbours) Users(context.Context, string, []string) (map[string]push.User, error) {
	return n.users, nil
}

func (n *neighbours) Rank(q *push.Question) []push.Choice {
	all := make([]push.Choice, len(q.Providers))
	for i, p := range q.Providers {
		all[i] = push.Choice{Provider: p, Why: p + " ranks " + fmt.Sprint(i+1)}
	}
	return all
}

func (n *neighbours) Send(ctx context.Context, _, provider string, d *push.Delivery) (push.Answer, error) {
	n.mu.Lock()
	n.sends = append(n.sends, sent{provider, d.ID, d.Device, time.Now(), d.Notification})
	answer := n.answer
	n.mu.Unlock()
	if answer != nil {
		return answer(ctx, provider, d)
	}
	return push.Answer{ID: provider + "/" + d.ID, Stage: push.Accepted}, nil
}

func (n *neighbours) Batch(_ context.Context, _ *push.Notification, provider string) int {
	return n.together[provider]
}

// SendBatch answers for each delivery as Send would.
func (n *neighbours) SendBatch(ctx context.Context, app, provider string, ds []*push.Delivery) []push.Reply {
	devices := make([]string, len(ds))
	replies := make([]push.Reply, len(ds))
	for i, d := range ds {
		devices[i] = d.Device
		replies[i].Answer, replies[i].Err = n.Send(ctx, app, provider, d)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.batches = append(n.batches, devices)
	return replies
}

func (n *neighbours) died(_ context.Context, ds []push.Death) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.deaths = append(n.deaths, ds...)
}

func (n *neighbours) Deduplicates(_ context.Context, _, provider string) bool {
	return slices.Contains(n.dedup, provider)
}

func (n *neighbours) Owners(_ context.Context, _, provider string, tokens []string) ([]string, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	owners := make([]string, len(tokens))
	for i, token := range tokens {
		for id, d := range n.devices {
			if a, ok := d.Address(provider); ok && a.Token == token {
				owners[i] = id
			}
		}
	}
	return owners, nil
}

func (n *neighbours) Weigh(_ context.Context, _, provider string, _ *push.Delivery) (push.Payload, error) {
	if provider == "fcm" {
		return push.Payload{}, &push.Error{Provider: provider, Kind: push.ErrRejected, Detail: "too large"}
	}
	return push.Payload{Bytes: 120, Limit: 4096}, nil
}

func (n *neighbours) Record(_ context.Context, rs ...push.Receipt) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, r := range rs {
		if !n.ids[r.ID] {
			n.ids[r.ID] = true
			n.receipts = append(n.receipts, r)
		}
	}
	return nil
}

func (n *neighbours) Online(_ context.Context, _ string, ids []string) ([]bool, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	on := make([]bool, len(ids))
	for i, id := range ids {
		on[i] = n.connects[id]
	}
	return on, nil
}

// sentTo lists the providers that a device was sent something through.
func (n *neighbours) sentTo(device string) []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var providers []string
	for _, s := range n.sends {
		if s.device == device {
			providers = append(providers, s.provider)
		}
	}
	return providers
}

// story lists a delivery's receipts as "provider stage kind".
func (n *neighbours) story(delivery string) []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var lines []string
	for _, r := range n.receipts {
		if r.Delivery == delivery {
			lines = append(lines, strings.Join(strings.Fields(r.Provider+" "+string(r.Stage)+" "+r.Kind), " "))
		}
	}
	return lines
}

func letter(_ *push.Notification, delivery string, sentAt time.Time) ([]byte, error) {
	return fmt.Appendf(nil, `{"id":%q,"sent_at":%q}`, delivery, sentAt.UTC().Format(time.RFC3339)), nil
}

// fault makes a provider's refusal.
func fault(provider string, kind error, after time.Duration) error {
	return &push.Error{Provider: provider, Kind: kind, RetryAfter: after, Err: errors.New("as the test wants")}
}
