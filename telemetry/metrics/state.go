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
	Jobs           map[openflow.JobStatus]int  // that this site takes part in
	Tasks          map[openflow.TaskStatus]int // runs of this site
	Waits          map[string]int              // reasons for which jobs that this node schedules wait, as users read them
	Capacity, Used openflow.Resources          // what jobs share, and how much of it they hold
	Messages       int64                       // that no container has read yet
	MessageBytes   int64
	ObjectBytes    int64
	DiskFree       int64 // bytes
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
	waits    = gauge("openflow_jobs_waiting", "Jobs of this scheduler that wait, by what they wait for. A running job counts while it waits for a partner that does not answer.", "reason")
	depth    = gauge("openflow_messages", "Messages that no container has read yet.")
	bytes    = gauge("openflow_message_bytes", "Bytes of messages that no container has read yet.")
	objects  = gauge("openflow_object_bytes", "Bytes of tables, models and logs, counted once an hour.")
	diskFree = gauge("openflow_home_free_bytes", "Free bytes on the disk of the home folder.")
)

// resource is one resource of the capacity, and how much of it jobs hold.
type resource struct {
	total, used *prometheus.Desc
	of          func(openflow.Resources) float64
}

var resources = []resource{
	resourceOf("cores", "Cores", func(r openflow.Resources) float64 { return float64(r.Cores) }),
	resourceOf("memory_bytes", "Bytes of memory", func(r openflow.Resources) float64 { return float64(r.Memory) }),
	resourceOf("gpus", "GPUs", func(r openflow.Resources) float64 { return float64(r.GPUs) }),
}

func resourceOf(name, what string, of func(openflow.Resources) float64) resource {
	return resource{
		gauge("openflow_capacity_"+name, what+" of the capacity."), gauge("openflow_capacity_"+name+"_used", what+" of the capacity that jobs hold."), of,
	}
}

func gauge(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

// Describe implements prometheus.Collector.
func (state) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{jobs, tasks, waits, depth, bytes, objects, diskFree} {
		out <- d
	}
	for _, p := range resources {
		out <- p.total
		out <- p.used
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
	for _, p := range resources {
		set(p.total, p.of(now.Capacity))
		set(p.used, p.of(now.Used))
	}
	set(depth, float64(now.Messages))
	set(bytes, float64(now.MessageBytes))
	set(objects, float64(now.ObjectBytes))
	set(diskFree, float64(now.DiskFree))
}

// WaitClass sorts a reason for waiting: "resources" (a party is busy), "partner" (one does not answer as it should) or
// "other". The reason itself names parties and numbers and would be a label without end.
func WaitClass(reason string) string {
	switch {
	case !strings.HasPrefix(reason, "waiting for party "):
		return "other"
	case strings.Contains(reason, "are free"), strings.Contains(reason, "resources are taken"): // by nodes of ours, by FATE-Flow's
		return "resources"
	}
	return "partner"
}
