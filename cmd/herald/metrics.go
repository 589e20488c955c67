package main

import "github.com/prometheus/client_golang/prometheus"

// gauges shows what the rooms count but do not publish: the queues and the
// live connections.
type gauges struct {
	house   *house
	waiting *prometheus.Desc
	oldest  *prometheus.Desc
	open    *prometheus.Desc
	written *prometheus.Desc
	acked   *prometheus.Desc
	full    *prometheus.Desc
	merged  *prometheus.Desc
	ended   *prometheus.Desc
}

func newGauges(h *house) *gauges {
	return &gauges{
		house:   h,
		waiting: prometheus.NewDesc("herald_queue_tasks", "Tasks in a queue by their state.", []string{"queue", "state"}, nil),
		oldest:  prometheus.NewDesc("herald_queue_oldest_seconds", "How long the next due task has been waiting.", []string{"queue"}, nil),
		open:    prometheus.NewDesc("herald_live_sessions", "Devices that are connected to this node.", nil, nil),
		written: prometheus.NewDesc("herald_live_messages_total", "Messages written to devices.", nil, nil),
		acked:   prometheus.NewDesc("herald_live_acknowledged_total", "Messages that devices acknowledged.", nil, nil),
		full:    prometheus.NewDesc("herald_live_full_total", "Messages for which a slow device had no room; they wait in its inbox.", nil, nil),
		merged:  prometheus.NewDesc("herald_live_collapsed_total", "Messages whose place a newer one of their collapse key took.", nil, nil),
		ended:   prometheus.NewDesc("herald_live_ended_total", "Connections that ended, by cause.", []string{"cause"}, nil),
	}
}

// Describe implements [prometheus.Collector].
func (g *gauges) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{g.waiting, g.oldest, g.open, g.written, g.acked, g.full, g.merged, g.ended} {
		ch <- d
	}
}

// Collect implements [prometheus.Collector]. Queues that cannot be asked about
// are left out: the alert for Redis is another.
func (g *gauges) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	if queues, err := g.house.scheduler.QueueStates(); err == nil {
		for _, q := range queues {
			gauge(g.oldest, q.OldestSeconds, q.Queue)
			for state, n := range map[string]int{
				"pending": q.Pending, "active": q.Active, "scheduled": q.Scheduled, "retry": q.Retry, "archived": q.Archived,
			} {
				gauge(g.waiting, float64(n), q.Queue, state)
			}
		}
	}
	if g.house.conns == nil {
		return
	}
	live := g.house.conns.Stats()
	gauge(g.open, float64(live.Sessions))
	count := func(d *prometheus.Desc, value uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, float64(value), labels...)
	}
	count(g.written, live.Delivered)
	count(g.acked, live.Acked)
	count(g.full, live.Full)
	count(g.merged, live.Collapsed)
	for cause, n := range live.Closed {
		count(g.ended, n, cause)
	}
}
