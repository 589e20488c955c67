package scheduler

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/herald-push/herald/push"
)

// seconds are the bounds of all histograms of time.
var seconds = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 1800}

type doorMetrics struct {
	accepted *prometheus.CounterVec
	latency  prometheus.Histogram
}

func newDoorMetrics(reg prometheus.Registerer) *doorMetrics {
	m := &doorMetrics{
		accepted: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "herald_notifications_total", Help: "Notifications handed in, by class and result.",
		}, []string{"class", "result"}),
		latency: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "herald_enqueue_seconds", Help: "Time until a notification was durable.", Buckets: seconds,
		}),
	}
	reg.MustRegister(m.accepted, m.latency)
	return m
}

func (m *doorMetrics) enqueued(c push.Class, err error, took time.Duration) {
	result := "accepted"
	if err != nil {
		result = "refused"
	}
	m.accepted.WithLabelValues(string(c), result).Inc()
	m.latency.Observe(took.Seconds())
}

type workerMetrics struct {
	attempts   *prometheus.CounterVec
	took       *prometheus.HistogramVec
	waited     *prometheus.HistogramVec
	parked     *prometheus.CounterVec
	taskFailed *prometheus.CounterVec
	late       *prometheus.HistogramVec
}

func newWorkerMetrics(reg prometheus.Registerer, ls *lanes) *workerMetrics {
	m := &workerMetrics{
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "herald_attempts_total", Help: "Attempts, by provider and what came of them.",
		}, []string{"provider", "result"}),
		took: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "herald_attempt_seconds", Help: "Time a provider took to answer a request, which may be for many deliveries.", Buckets: seconds,
		}, []string{"provider"}),
		waited: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "herald_delivery_seconds", Help: "Time from acceptance by the API to a provider's first taking it.", Buckets: seconds,
		}, []string{"urgency"}),
		parked: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "herald_parked_total", Help: "Deliveries put off for want of a place in their lane.",
		}, []string{"provider"}),
		taskFailed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "herald_task_failures_total", Help: "Runs of tasks that failed for Herald's own trouble.",
		}, []string{"kind"}),
		late: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "herald_timer_late_seconds", Help: "How long after its time a fallback or retry was taken up.", Buckets: seconds,
		}, []string{"urgency"}),
	}
	reg.MustRegister(m.attempts, m.took, m.waited, m.parked, m.taskFailed, m.late, newLaneCollector(ls))
	return m
}

// answered notes a request, which may have been for many deliveries.
func (m *workerMetrics) answered(provider string, took time.Duration) {
	m.took.WithLabelValues(provider).Observe(took.Seconds())
}

func (m *workerMetrics) attempted(r *push.Receipt, urgency string) {
	result := r.Kind
	if result == "" {
		result = string(r.Stage)
	}
	m.attempts.WithLabelValues(r.Provider, result).Inc()
	if r.Kind == "" && r.Attempt == 1 {
		m.waited.WithLabelValues(urgency).Observe(r.SinceAccepted.Seconds())
	}
}

// laneCollector reads the lanes when somebody asks.
type laneCollector struct {
	lanes                                                *lanes
	inFlight, limit, waiting, closed, rate, bound, quota *prometheus.Desc
}

func newLaneCollector(ls *lanes) *laneCollector {
	desc := func(name, help string, more ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, append([]string{"app", "provider"}, more...), nil)
	}
	return &laneCollector{
		lanes:    ls,
		inFlight: desc("herald_lane_in_flight", "Requests in flight."),
		limit:    desc("herald_lane_limit", "Requests that may be in flight."),
		waiting:  desc("herald_lane_waiting", "Requests that wait for a place."),
		closed:   desc("herald_lane_closed", "1 while the lane is closed, probed or switched off."),
		rate:     desc("herald_lane_per_second", "Deliveries that the provider takes a second."),
		bound:    desc("herald_lane_bound_per_second", "Deliveries or requests that this process begins a second at most; 0 is no bound."),
		quota:    desc("herald_quota_used", "How much of a quota of the provider's day is used.", "quota"),
	}
}

// Describe implements [prometheus.Collector].
func (c *laneCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.inFlight, c.limit, c.waiting, c.closed, c.rate, c.bound, c.quota} {
		ch <- d
	}
}

// Collect implements [prometheus.Collector].
func (c *laneCollector) Collect(ch chan<- prometheus.Metric) {
	for _, s := range c.lanes.states() {
		for desc, v := range map[*prometheus.Desc]float64{
			c.inFlight: float64(s.InFlight), c.limit: float64(s.Limit), c.waiting: float64(s.Waiting),
			c.closed: float64(s.Closed), c.rate: s.PerSecond, c.bound: s.Bound,
		} {
			ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, v, s.App, s.Provider)
		}
		for _, q := range s.Quotas {
			ch <- prometheus.MustNewConstMetric(c.quota, prometheus.GaugeValue, float64(q.Used), s.App, s.Provider, q.Name)
		}
	}
}
