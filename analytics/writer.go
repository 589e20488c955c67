package analytics

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/time/rate"
)

// WriterConfig shapes a writer. Start from [DefaultWriterConfig].
type WriterConfig struct {
	// FlushEvery is how old a batch may get before it is sent without being
	// full ([SpoolConfig.SegmentRows]). Default 500 ms: dashboards lag by it.
	FlushEvery time.Duration
	// Timeout bounds one batch. Default 1 min.
	Timeout time.Duration
	// MaxBackoff bounds the pause between tries while ClickHouse is away; the
	// first pause is 100 ms. Default 5 s.
	MaxBackoff time.Duration
	// Grace is how long the last batches may take once Run is told to end;
	// what is left waits in the spool for the next start. Default 5 s.
	Grace time.Duration
	// ReplayRate bounds how many events a second are sent of what has waited for
	// more than ten seconds, so that ClickHouse is not buried by what an outage
	// left. Default 200,000.
	ReplayRate int
	// RetentionDays is how long ClickHouse keeps receipts, and the numbers by
	// minute; those by hour stay for a year. Default 90; changing it drops
	// what is older.
	RetentionDays int
	// AppRetentionDays are fewer days for some apps. What is older is removed
	// once a day, from the receipts alone: rollups name nobody.
	AppRetentionDays map[string]int
}

// Validate reports every fault at once, by the names of the configuration.
func (c WriterConfig) Validate() error {
	var errs []error
	if c.RetentionDays < 1 {
		errs = append(errs, fmt.Errorf("clickhouse.retention_days: %d is less than 1", c.RetentionDays))
	}
	for app, days := range c.AppRetentionDays {
		if days < 1 {
			errs = append(errs, fmt.Errorf("clickhouse.app_retention_days.%s: %d is less than 1", app, days))
		}
	}
	return errors.Join(errs...)
}

// DefaultWriterConfig sends every half second.
func DefaultWriterConfig() WriterConfig {
	return WriterConfig{FlushEvery: 500 * time.Millisecond, Timeout: time.Minute, MaxBackoff: 5 * time.Second, Grace: 5 * time.Second, ReplayRate: 200_000, RetentionDays: 90}
}

// Writer carries receipts from the spool to ClickHouse, in order, at least
// once, and counted once.
type Writer struct {
	config  WriterConfig
	spool   *Spool
	store   *Store // nil: there is no ClickHouse
	log     *slog.Logger
	metrics *metrics
	pace    *rate.Limiter // of what has waited

	migrated bool      // only Run looks at it
	pruned   time.Time // likewise: when the apps' own retention was last seen to

	mu    sync.Mutex
	fault error // the last try's; nil if it went well
	rows  uint64
	last  time.Time // the last batch that went well
}

// NewWriter makes the writer of a spool. A nil store means that there is no
// ClickHouse: receipts stay in the spool up to its bound. Metrics go to
// registerer.
func NewWriter(spool *Spool, store *Store, config WriterConfig, log *slog.Logger, registerer prometheus.Registerer) (*Writer, error) {
	w := &Writer{config: config, spool: spool, store: store, log: log, pace: rate.NewLimiter(rate.Limit(max(config.ReplayRate, 1)), max(config.ReplayRate, 1))}
	m, err := newMetrics(w, registerer)
	if err != nil {
		return nil, err
	}
	w.metrics = m
	return w, nil
}

// Run migrates the database and sends batches until ctx ends, and then, for as
// long as the config's Grace, what the spool still holds. Stop those who
// record before it.
func (w *Writer) Run(ctx context.Context) error {
	if w.store == nil {
		w.log.WarnContext(ctx, "no ClickHouse: receipts stay in the spool", "dir", w.spool.config.Dir)
		<-ctx.Done()
		return nil
	}
	for {
		seg, err := w.spool.next(ctx, w.config.FlushEvery)
		if err != nil {
			return w.flush(ctx)
		}
		w.deliver(ctx, seg)
	}
}

// flush sends what is left, each batch with a single try.
func (w *Writer) flush(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), w.config.Grace)
	defer cancel()
	for {
		seg, _ := w.spool.oldest(0)
		if seg == nil {
			return nil
		}
		if _, err := w.try(ctx, seg); err != nil {
			return nil //nolint:nilerr // the rest is safe in the spool
		}
	}
}

// deliver tries a segment until ClickHouse has it or ctx ends.
func (w *Writer) deliver(ctx context.Context, seg *segment) {
	waited := time.Since(seg.born) > waitedLong
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, w.config.MaxBackoff) {
		rows, err := w.try(ctx, seg)
		if err == nil && waited {
			_ = w.pace.WaitN(ctx, min(rows, w.pace.Burst())) // fails only if ctx ends, and then so does Run
		}
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause/2 + rand.N(pause/2+1)):
		}
	}
}

// waitedLong is how old a segment is that lived through an outage.
const waitedLong = 10 * time.Second

// try sends a segment once and forgets it when that went well.
func (w *Writer) try(ctx context.Context, seg *segment) (rows int, err error) {
	ctx, cancel := context.WithTimeout(ctx, w.config.Timeout)
	defer cancel()
	started := time.Now()
	rows, err = w.send(ctx, seg)
	w.metrics.batch(err, rows, time.Since(started))
	w.note(ctx, err, rows)
	if err != nil {
		return 0, err
	}
	if err := w.spool.forget(seg); err != nil {
		w.log.WarnContext(ctx, "a sent segment stays", "segment", seg.path, "err", err)
	}
	return rows, nil
}

func (w *Writer) send(ctx context.Context, seg *segment) (rows int, err error) {
	if !w.migrated {
		if err := w.store.Migrate(ctx); err != nil {
			return 0, err
		}
		if err := w.store.retain(ctx, w.config.RetentionDays); err != nil {
			return 0, err
		}
		w.migrated = true
	}
	if time.Since(w.pruned) > 24*time.Hour {
		w.pruned = time.Now()
		if err := w.store.prune(ctx, w.config.AppRetentionDays, w.pruned); err != nil {
			w.log.WarnContext(ctx, "what is older than an app keeps is not removed yet", "err", err)
		}
	}
	batch, err := w.store.begin(ctx, seg.token())
	if err != nil {
		return 0, err
	}
	torn, err := seg.read(batch.add)
	if torn > 0 && err == nil {
		w.log.WarnContext(ctx, "spool segment ends with a torn write; nobody was told that it was recorded", "segment", seg.path, "bytes", torn)
	}
	if err = batch.end(err); errors.Is(err, errUnreadable) {
		w.setAside(ctx, seg, err)
		return 0, nil
	}
	if isException(err) {
		w.migrated = false // perhaps somebody began the database anew
	}
	return batch.rows, err
}

// setAside keeps a segment that cannot be read for a person to look at, so
// that it does not hold up the others.
func (w *Writer) setAside(ctx context.Context, seg *segment, cause error) {
	w.log.ErrorContext(ctx, "spool segment cannot be read; it is set aside", "segment", seg.path+".bad", "err", cause)
	w.metrics.unreadable.Inc()
	if err := os.Link(seg.path, seg.path+".bad"); err != nil {
		w.log.ErrorContext(ctx, "spool segment could not be set aside", "segment", seg.path, "err", err)
	}
}

// note keeps the last fault, and logs when it comes and when it goes.
func (w *Writer) note(ctx context.Context, err error, rows int) {
	w.mu.Lock()
	before := w.fault
	w.fault = err
	if err == nil {
		w.rows += uint64(rows)
		w.last = time.Now()
	}
	w.mu.Unlock()
	switch {
	case err != nil && before == nil:
		w.log.WarnContext(ctx, "ClickHouse does not take receipts; they wait in the spool", "err", err)
	case err == nil && before != nil:
		w.log.InfoContext(ctx, "ClickHouse takes receipts again", "was", before)
	}
}

// Status is how well the record of events is doing.
type Status struct {
	// ClickHouse is "up", "away" (the last batch failed, receipts wait) or
	// "none" (not configured).
	ClickHouse string      `json:"clickhouse"`
	Fault      string      `json:"fault,omitempty"` // why it is away
	Rows       uint64      `json:"rows"`            // sent since the process started
	LastBatch  time.Time   `json:"last_batch,omitzero"`
	LagSeconds float64     `json:"lag_seconds"` // age of the oldest receipt that waits
	Spool      SpoolStatus `json:"spool"`
}

// Status says how well the record of events is doing, from memory.
func (w *Writer) Status() Status {
	spool := w.spool.Status()
	w.mu.Lock()
	defer w.mu.Unlock()
	st := Status{ClickHouse: "up", Rows: w.rows, LastBatch: w.last, Spool: spool}
	if !spool.Oldest.IsZero() {
		st.LagSeconds = time.Since(spool.Oldest).Seconds()
	}
	switch {
	case w.store == nil:
		st.ClickHouse = "none"
	case w.fault != nil:
		st.ClickHouse, st.Fault = "away", w.fault.Error()
	}
	return st
}
