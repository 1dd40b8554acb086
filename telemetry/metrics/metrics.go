package metrics

import (
	"log/slog"
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"openflow"
)

// Buckets in seconds: of requests and calls, which should take milliseconds, and of jobs and tasks, which may take days.
var (
	callBuckets = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30}
	workBuckets = []float64{.1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 4 * 3600, 24 * 3600}
)

// Metrics is what one node counts. It is safe for concurrent use.
type Metrics struct {
	registry     *prometheus.Registry
	jobSeconds   *prometheus.HistogramVec
	taskSeconds  *prometheus.HistogramVec
	requests     *prometheus.CounterVec
	requestTime  *prometheus.HistogramVec
	peerCalls    *prometheus.CounterVec
	peerTime     *prometheus.HistogramVec
	activities   *prometheus.CounterVec
	activityTime *prometheus.HistogramVec
}

// New makes the metrics of a node of that version.
func New(version string) *Metrics {
	r := prometheus.NewRegistry()
	m := &Metrics{
		registry: r,
		jobSeconds: histogram(r, workBuckets, "openflow_job_duration_seconds",
			"Time from submission to the end of jobs that this node schedules.", "status"),
		taskSeconds: histogram(r, workBuckets, "openflow_task_duration_seconds",
			"Time from start to end of this site's task runs.", "status"),
		requests: counter(r, "openflow_http_requests_total",
			"Requests answered, by layer, route pattern and error code (ok: none).", "layer", "route", "code"),
		requestTime: histogram(r, callBuckets, "openflow_http_request_duration_seconds", "Time to answer requests.", "layer"),
		peerCalls: counter(r, "openflow_peer_calls_total",
			"Signed calls to peers, by peer and error code (ok: none).", "peer", "code"),
		peerTime: histogram(r, callBuckets, "openflow_peer_call_duration_seconds", "Time that peers take to answer.", "peer"),
		activities: counter(r, "openflow_activity_attempts_total",
			"Attempts of activities, by outcome: ok, failed or canceled, and by whether it was the first attempt or a retry.",
			"activity", "attempt", "outcome"),
		activityTime: histogram(r, callBuckets, "openflow_activity_duration_seconds", "Time that attempts of activities take.", "activity"),
	}
	about := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "openflow_build_info", Help: "Always 1; what runs is in the labels.",
		ConstLabels: prometheus.Labels{"version": version, "go_version": runtime.Version()},
	})
	about.Set(1)
	r.MustRegister(about, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

func counter(r *prometheus.Registry, name, help string, labels ...string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	r.MustRegister(c)
	return c
}

func histogram(r *prometheus.Registry, buckets []float64, name, help string, labels ...string) *prometheus.HistogramVec {
	h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
	r.MustRegister(h)
	return h
}

// Handler answers a scrape. What cannot be collected is left out and logged; the rest is answered.
func (m *Metrics) Handler(log *slog.Logger) http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelWarn),
	})
}

// JobEnded counts a job that this node schedules.
func (m *Metrics) JobEnded(status openflow.JobStatus, took time.Duration) {
	m.jobSeconds.WithLabelValues(string(status)).Observe(took.Seconds())
}

// TaskEnded counts a task run of this site.
func (m *Metrics) TaskEnded(status openflow.TaskStatus, took time.Duration) {
	m.taskSeconds.WithLabelValues(string(status)).Observe(took.Seconds())
}

// PeerCalled counts a call to a peer that is registered, and its error.
func (m *Metrics) PeerCalled(peer openflow.PartyID, took time.Duration, err error) {
	m.peerCalls.WithLabelValues(string(peer), outcome(openflow.CodeOf(err))).Inc()
	m.peerTime.WithLabelValues(string(peer)).Observe(took.Seconds())
}

// outcome is a code as a label.
func outcome(code openflow.Code) string {
	if code == "" {
		return "ok"
	}
	return string(code)
}
