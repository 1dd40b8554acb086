package metrics

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"openflow"
)

// State is what a node holds at the moment of a scrape. A negative number is not known and left out.
type State struct {
	Jobs         map[openflow.JobStatus]int  // that this site takes part in
	Tasks        map[openflow.TaskStatus]int // runs of this site
	Waits        map[string]int              // reasons of waiting jobs that this node schedules, as users read them
	Cores        int                         // of the pool, in use
	CoresTotal   int
	Messages     int64 // that no container has read yet
	MessageBytes int64
	ObjectBytes  int64
	DiskFree     int64 // bytes
}

// Source tells the state. Its error fails the scrape's part of it only.
type Source func(ctx context.Context) (State, error)

// scrapeTimeout bounds what a scrape may ask of the stores.
const scrapeTimeout = 5 * time.Second

// Observe reads the state at every scrape.
func (m *Metrics) Observe(s Source) { m.registry.MustRegister(state{s}) }

type state struct{ source Source }

var (
	jobs     = gauge("openflow_jobs", "Jobs that this site takes part in, by status.", "status")
	tasks    = gauge("openflow_tasks", "Task runs of this site, by status.", "status")
	waits    = gauge("openflow_jobs_waiting", "Waiting jobs that this node schedules, by what they wait for.", "reason")
	cores    = gauge("openflow_pool_cores_used", "Cores of the pool that jobs hold.")
	total    = gauge("openflow_pool_cores", "Cores of the pool.")
	depth    = gauge("openflow_messages", "Messages that no container has read yet.")
	bytes    = gauge("openflow_message_bytes", "Bytes of messages that no container has read yet.")
	objects  = gauge("openflow_object_bytes", "Bytes of tables, models and logs, counted once an hour.")
	diskFree = gauge("openflow_home_free_bytes", "Free bytes on the disk of the home folder.")
)

func gauge(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

// Describe implements prometheus.Collector.
func (state) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{jobs, tasks, waits, cores, total, depth, bytes, objects, diskFree} {
		out <- d
	}
}

// Collect implements prometheus.Collector.
func (s state) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTimeout) // the interface has no context to give
	defer cancel()
	now, err := s.source(ctx)
	if err != nil {
		out <- prometheus.NewInvalidMetric(jobs, fmt.Errorf("state of the node: %w", err))
		return
	}
	set := func(d *prometheus.Desc, v float64, labels ...string) {
		if v >= 0 {
			out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
		}
	}
	for status, n := range now.Jobs {
		set(jobs, float64(n), string(status))
	}
	for status, n := range now.Tasks {
		set(tasks, float64(n), string(status))
	}
	classes := map[string]int{"resources": 0, "partner": 0, "other": 0}
	for reason, n := range now.Waits {
		classes[WaitClass(reason)] += n
	}
	for class, n := range classes {
		set(waits, float64(n), class)
	}
	set(cores, float64(now.Cores))
	set(total, float64(now.CoresTotal))
	set(depth, float64(now.Messages))
	set(bytes, float64(now.MessageBytes))
	set(objects, float64(now.ObjectBytes))
	set(diskFree, float64(now.DiskFree))
}

// WaitClass sorts a reason for waiting: "resources" (a party is busy), "partner" (one does not answer) or "other". The
// reason itself names parties and numbers and would be a label without end.
func WaitClass(reason string) string {
	has := func(words ...string) bool {
		for _, w := range words {
			if strings.Contains(reason, w) {
				return true
			}
		}
		return false
	}
	switch {
	case has("does not answer", "stopping at", "not reached", "unreachable"):
		return "partner"
	case has("cores", "memory", "gpu", "GPU", "busy", "free"):
		return "resources"
	}
	return "other"
}
