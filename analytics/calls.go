package analytics

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/prometheus/client_golang/prometheus"
)

// Call is a call to a business as it is written down.
type Call struct {
	App       string          `json:"-"`
	Service   string          `json:"service"`
	Operation string          `json:"operation"`
	Version   int             `json:"version"`
	Device    string          `json:"device"` // "" for a call by key
	At        time.Time       `json:"at"`
	Took      time.Duration   `json:"took_ns"`
	Code      string          `json:"code,omitempty"`     // "" if it was answered
	Cached    string          `json:"cached,omitempty"`   // "", hit or stale
	Partial   int             `json:"partial,omitempty"`  // parts that could not be had
	Bytes     int             `json:"bytes"`              // of the answer
	Exchange  json.RawMessage `json:"exchange,omitempty"` // where the declaration keeps some
}

// Bounds of what waits to be written.
const (
	callsKept  = 200_000
	callsBatch = 20_000
	callsEvery = time.Second
)

// Calls carries calls to businesses to ClickHouse, in batches. What waits is in
// memory: the record of calls is for people who look, no call waits for it, and
// what comes while ClickHouse is away for longer than there is room is lost.
type Calls struct {
	store *Store // nil: there is no ClickHouse
	log   *slog.Logger
	lost  prometheus.Counter

	mu      sync.Mutex
	waiting []Call
	full    chan struct{} // a token when a batch is full
}

// NewCalls makes the record of calls. A nil store means that none is kept.
func NewCalls(store *Store, log *slog.Logger, registerer prometheus.Registerer) (*Calls, error) {
	c := &Calls{store: store, log: log, full: make(chan struct{}, 1), lost: prometheus.NewCounter(prometheus.CounterOpts{
		Name: "herald_gateway_events_lost_total", Help: "Calls to businesses that were not written down, for ClickHouse was away.",
	})}
	if err := registerer.Register(c.lost); err != nil {
		return nil, fmt.Errorf("analytics: metrics: %w", err)
	}
	return c, nil
}

// Record notes a call. It never blocks.
func (c *Calls) Record(call Call) {
	if c.store == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.waiting) >= callsKept {
		c.lost.Inc()
		return
	}
	if c.waiting = append(c.waiting, call); len(c.waiting) == callsBatch {
		select {
		case c.full <- struct{}{}:
		default:
		}
	}
}

// Run writes calls until ctx ends, and then what is left, with a single try.
func (c *Calls) Run(ctx context.Context) error {
	tick := time.NewTicker(callsEvery)
	defer tick.Stop()
	var fault error
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			_ = c.flush(last) // what cannot be written now is lost, as the type says
			return nil
		case <-tick.C:
		case <-c.full:
		}
		err := c.flush(ctx)
		switch {
		case err != nil && fault == nil && ctx.Err() == nil:
			c.log.WarnContext(ctx, "ClickHouse does not take calls to businesses; they wait in memory", "err", err)
		case err == nil && fault != nil:
			c.log.InfoContext(ctx, "ClickHouse takes calls to businesses again")
		}
		fault = err
	}
}

// flush writes what waits.
func (c *Calls) flush(ctx context.Context) error {
	for {
		c.mu.Lock()
		some := c.waiting[:min(len(c.waiting), callsBatch)]
		c.mu.Unlock()
		if len(some) == 0 {
			return nil
		}
		if err := c.store.writeCalls(ctx, some); err != nil {
			if isException(err) {
				_ = c.store.Migrate(ctx) // its fault is told by the writer of receipts
			}
			return err
		}
		c.mu.Lock()
		if c.waiting = c.waiting[len(some):]; len(c.waiting) == 0 {
			c.waiting = nil // give the memory back
		}
		c.mu.Unlock()
	}
}

// writeCalls inserts a batch. A batch whose answer was lost may be there twice.
func (s *Store) writeCalls(ctx context.Context, calls []Call) error {
	ctx = clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{"max_partitions_per_insert_block": 0}))
	batch, err := s.conn.PrepareBatch(ctx, "INSERT INTO gateway_events (app, service, operation, version, device, accepted_at, took_ms, code, cached, partial, bytes, exchange)")
	if err != nil {
		return failed("begin a batch of calls", err)
	}
	for i := range calls {
		e := &calls[i]
		err := batch.Append(e.App, e.Service, e.Operation, uint16(e.Version), e.Device, e.At.UTC(), millis(e.Took), e.Code, e.Cached,
			uint8(min(e.Partial, 255)), uint32(e.Bytes), string(e.Exchange))
		if err != nil {
			_ = batch.Abort()
			return failed("fill a batch of calls", err)
		}
	}
	return failed("send a batch of calls", batch.Send())
}

// EachCallOfDevices tells each call that names one of the devices, oldest first,
// and ends with the first error of tell.
func (s *Store) EachCallOfDevices(ctx context.Context, app string, devices []string, tell func(Call) error) error {
	const query = `
		SELECT service, operation, version, device, accepted_at, took_ms, code, cached, partial, bytes, exchange
		FROM gateway_events
		WHERE app = {app:String} AND has({devices:Array(String)}, device)
		ORDER BY accepted_at`
	found, err := s.conn.Query(ctx, query, clickhouse.Named("app", app), clickhouse.Named("devices", orderOf(devices)))
	if err != nil {
		return failed("calls of devices", err)
	}
	defer func() { _ = found.Close() }() // found.Err has the story
	for found.Next() {
		var version uint16
		var partial uint8
		var bytes uint32
		var took float64
		var exchange string
		call := Call{App: app}
		if err := found.Scan(&call.Service, &call.Operation, &version, &call.Device, &call.At, &took, &call.Code, &call.Cached, &partial, &bytes, &exchange); err != nil {
			return failed("calls of devices", err)
		}
		call.Version, call.Took, call.Partial, call.Bytes = int(version), fromMillis(took), int(partial), int(bytes)
		if call.At = call.At.UTC(); exchange != "" {
			call.Exchange = []byte(exchange)
		}
		if err := tell(call); err != nil {
			return err
		}
	}
	return failed("calls of devices", found.Err())
}

// CallsHour is how an app's calls of a service went in one hour.
type CallsHour struct {
	Hour   time.Time `ch:"hour"`
	Calls  uint64    `ch:"calls"`
	Failed uint64    `ch:"failed"`
	Cached uint64    `ch:"kept"` // answered from the cache
	P50MS  float64   `ch:"p50"`
	P99MS  float64   `ch:"p99"`
}

// CallsByHour tells how the calls of a service went in each hour of [from, to)
// that had some, in order, of all processes.
func (s *Store) CallsByHour(ctx context.Context, app, service string, from, to time.Time) ([]CallsHour, error) {
	const query = `
		SELECT toStartOfHour(accepted_at) AS hour, count() AS calls, countIf(code != '') AS failed, countIf(cached != '') AS kept,
			quantile(0.5)(took_ms) AS p50, quantile(0.99)(took_ms) AS p99
		FROM gateway_events
		WHERE app = {app:String} AND service = {service:String}
		  AND accepted_at >= {from:DateTime64(3, 'UTC')} AND accepted_at < {to:DateTime64(3, 'UTC')}
		GROUP BY hour
		ORDER BY hour`
	return rows[CallsHour](ctx, s, "calls by hour", query, append(window(app, from, to), clickhouse.Named("service", service))...)
}
