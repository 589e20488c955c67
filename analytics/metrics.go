package analytics

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics of a writer and its spool.
type metrics struct {
	batches    *prometheus.CounterVec
	rows       prometheus.Counter
	seconds    prometheus.Histogram
	unreadable prometheus.Counter
}

func newMetrics(w *Writer, registerer prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		batches: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "herald_analytics_batches_total", Help: "Batches tried, by result (ok, failed).",
		}, []string{"result"}),
		rows: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "herald_analytics_rows_total", Help: "Receipts that ClickHouse took.",
		}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "herald_analytics_batch_seconds", Help: "Time of a batch that ClickHouse took.",
			Buckets: prometheus.ExponentialBuckets(0.005, 2, 12),
		}),
		unreadable: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "herald_spool_unreadable_total", Help: "Segments set aside because they could not be read.",
		}),
	}
	spool := func(name, help string, of func(Status) float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return of(w.Status()) })
	}
	counted := func(name, help string, of func(Status) float64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, func() float64 { return of(w.Status()) })
	}
	for _, c := range []prometheus.Collector{
		m.batches, m.rows, m.seconds, m.unreadable,
		spool("herald_spool_bytes", "Bytes that wait for ClickHouse.", func(s Status) float64 { return float64(s.Spool.Bytes) }),
		spool("herald_spool_max_bytes", "Bound of the spool; receipts are lost beyond it.", func(s Status) float64 { return float64(s.Spool.MaxBytes) }),
		spool("herald_spool_oldest_seconds", "Age of the oldest receipt that waits for ClickHouse.", func(s Status) float64 { return s.LagSeconds }),
		spool("herald_clickhouse_up", "1 if the last batch went well.", func(s Status) float64 {
			if s.ClickHouse == "up" {
				return 1
			}
			return 0
		}),
		counted("herald_spool_recorded_total", "Receipts written to the spool.", func(s Status) float64 { return float64(s.Spool.Recorded) }),
		counted("herald_spool_refused_total", "Receipts lost to a full or failing spool.", func(s Status) float64 { return float64(s.Spool.Refused) }),
	} {
		if err := registerer.Register(c); err != nil {
			return nil, fmt.Errorf("analytics: register metrics: %w", err)
		}
	}
	return m, nil
}

func (m *metrics) batch(err error, rows int, took time.Duration) {
	if err != nil {
		m.batches.WithLabelValues("failed").Inc()
		return
	}
	m.batches.WithLabelValues("ok").Inc()
	m.rows.Add(float64(rows))
	m.seconds.Observe(took.Seconds())
}
