package webhooks

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the room's numbers. None has an app for a label: there may be any
// number of them.
type metrics struct {
	calls                 *prometheus.CounterVec
	took                  prometheus.Histogram
	dead, disabled        prometheus.Counter
	pending, deadLetters  prometheus.Gauge
	failing, off, waiting prometheus.Gauge
	outbox                prometheus.Gauge
}

func newMetrics() *metrics {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	}
	m := &metrics{
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "herald_webhook_calls_total", Help: "Calls to webhooks, by what came of them: ok, refused (an answer that is not 2xx) or unanswered.",
		}, []string{"result"}),
		took: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "herald_webhook_call_seconds", Help: "Time a webhook took to answer.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 15},
		}),
		dead:        prometheus.NewCounter(prometheus.CounterOpts{Name: "herald_webhook_dead_total", Help: "Events that were given up."}),
		disabled:    prometheus.NewCounter(prometheus.CounterOpts{Name: "herald_webhook_disabled_total", Help: "Webhooks that Herald disabled because they failed for long or are gone."}),
		pending:     gauge("herald_webhook_pending", "Events that are still to be taken by a webhook."),
		waiting:     gauge("herald_webhook_oldest_seconds", "How long the oldest of the pending events of webhooks that do not fail has been waiting."),
		deadLetters: gauge("herald_webhook_dead_letters", "Events that were given up and can be replayed."),
		failing:     gauge("herald_webhook_failing", "Webhooks whose last calls failed."),
		outbox:      gauge("herald_webhook_outbox", "Entries of the outbox: events that are not in SQL yet."),
		off:         gauge("herald_webhook_off", "Webhooks that are disabled."),
	}
	for _, result := range []string{"ok", "refused", "unanswered"} {
		m.calls.WithLabelValues(result)
	}
	return m
}

func (m *metrics) all() []prometheus.Collector {
	return []prometheus.Collector{m.calls, m.took, m.dead, m.disabled, m.pending, m.waiting, m.deadLetters, m.failing, m.off, m.outbox}
}

// Describe implements [prometheus.Collector].
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	for _, c := range m.all() {
		c.Describe(ch)
	}
}

// Collect implements [prometheus.Collector].
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	for _, c := range m.all() {
		c.Collect(ch)
	}
}

func (m *metrics) called(a *answer) {
	result := "refused"
	switch {
	case a.OK:
		result = "ok"
	case a.Status == 0:
		result = "unanswered"
	}
	m.calls.WithLabelValues(result).Inc()
	m.took.Observe(float64(a.TookMs) / 1000)
}

// takeStock counts what is on its way; each process tells the same.
func (h *Hooks) takeStock(ctx context.Context) error {
	const query = `
		SELECT
			(SELECT count(*) FROM webhook_messages WHERE state = 0),
			(SELECT count(*) FROM webhook_messages WHERE state = 2),
			(SELECT count(*) FROM webhooks WHERE enabled = 1 AND failing_since > 0),
			(SELECT count(*) FROM webhooks WHERE enabled = 0),
			(SELECT coalesce(min(m.created_at), 0) FROM webhook_messages m JOIN webhooks w ON w.id = m.webhook
				WHERE m.state = 0 AND w.enabled = 1 AND w.failing_since = 0)`
	var pending, dead, failing, off, oldest int64
	if err := h.db.Read().QueryRow(ctx, query).Scan(&pending, &dead, &failing, &off, &oldest); err != nil {
		return fail("take stock", err)
	}
	h.metrics.pending.Set(float64(pending))
	h.metrics.deadLetters.Set(float64(dead))
	h.metrics.failing.Set(float64(failing))
	h.metrics.off.Set(float64(off))
	if n, err := h.outbox.Len(ctx); err == nil { // Redis has an alert of its own
		h.metrics.outbox.Set(float64(n))
	}
	h.metrics.waiting.Set(0)
	if oldest > 0 {
		h.metrics.waiting.Set(h.now().Sub(at(oldest)).Seconds())
	}
	return nil
}
