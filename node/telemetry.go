package node

import (
	"context"
	"time"

	"openflow"
	"openflow/activities"
	"openflow/server"
	"openflow/store/catalogue"
	"openflow/store/messages"
	"openflow/store/objects"
	"openflow/telemetry/metrics"
	"openflow/telemetry/traces"
)

// openTelemetry begins to count and, when spans have somewhere to go, to trace.
func (n *Node) openTelemetry(context.Context) error {
	n.bytes.Store(-1)
	n.metrics = metrics.New(n.config.Version)
	n.metrics.Observe(n.state)
	n.traces = traces.New(traces.Options{Party: n.config.Party, Version: n.config.Version, Exporter: n.config.Spans})
	n.onClose("traces", n.traces.Close)
	return nil
}

// counted is a layer whose requests are counted.
func (n *Node) counted(name string, l server.Layer) server.Layer {
	return server.Guarded{Layer: l, Guard: n.metrics.Requests(name)}
}

// state is what a scrape finds.
func (n *Node) state(ctx context.Context) (s metrics.State, err error) {
	if !n.ready.Load() {
		return s, openflow.Errorf(openflow.CodeUnavailable, "the node is starting or stopping")
	}
	s = metrics.State{Pool: n.config.Limits.Pool(), Messages: -1, MessageBytes: -1, ObjectBytes: n.bytes.Load()}
	if s.Jobs, err = n.rows.JobCounts(ctx); err != nil {
		return s, err
	}
	if s.Tasks, err = n.rows.TaskCounts(ctx); err != nil {
		return s, err
	}
	if s.Waits, err = n.rows.WaitCounts(ctx); err != nil {
		return s, err
	}
	if s.Used, err = n.rows.PoolUse(ctx); err != nil {
		return s, err
	}
	if m, ok := n.messages.(messages.Measured); ok {
		u, err := m.Usage(ctx)
		if err != nil {
			return s, err
		}
		s.Messages, s.MessageBytes = u.Messages, u.Bytes
	}
	free, err := n.home.free(n.home.dir)
	s.DiskFree = int64(free)
	return s, err
}

// countObjects adds up what the object store holds. It looks at every object, so it is done now and then.
func (n *Node) countObjects(ctx context.Context) error {
	var sum int64
	err := n.objects.List(ctx, func(i objects.Info) error { sum += i.Bytes; return nil })
	if err == nil {
		n.bytes.Store(sum)
	}
	return err
}

// measuredJobs is the scheduler's record of jobs, whose ends are counted.
type measuredJobs struct {
	*catalogue.Catalogue
	metrics *metrics.Metrics
}

var _ activities.JobStore = measuredJobs{}

// UpdateScheduledJob implements activities.JobStore.
func (m measuredJobs) UpdateScheduledJob(ctx context.Context, id openflow.JobID, to openflow.JobStatus, reason string) (bool, error) {
	changed, err := m.Catalogue.UpdateScheduledJob(ctx, id, to, reason)
	if err != nil || !changed || !to.Terminal() {
		return changed, err
	}
	j, err := m.ScheduledJob(ctx, id)
	if err == nil {
		m.metrics.JobEnded(to, time.Since(j.CreateTime))
	}
	return true, nil // that it cannot be read for counting does not undo the change
}

// measuredTasks is this site's record of runs, whose changes are told and whose ends are counted.
type measuredTasks struct {
	changes
	metrics *metrics.Metrics
}

func (n *Node) runs() measuredTasks { return measuredTasks{n.changes(), n.metrics} }

var _ activities.TaskStore = measuredTasks{}

// FinishTask implements activities.TaskStore.
func (m measuredTasks) FinishTask(ctx context.Context, k openflow.TaskKey, end openflow.TaskEnd) (bool, error) {
	changed, err := m.changes.FinishTask(ctx, k, end)
	if err != nil || !changed {
		return changed, err
	}
	if t, err := m.Task(ctx, k); err == nil {
		took := time.Duration(0) // of a run that never started
		if !t.StartTime.IsZero() {
			took = t.EndTime.Sub(t.StartTime)
		}
		m.metrics.TaskEnded(t.PartyStatus, took)
	}
	return true, nil
}
