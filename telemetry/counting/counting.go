// Package counting counts what a node's metrics tell: the ends of jobs and runs as they are recorded, and what a scrape
// finds.
package counting

import (
	"context"
	"sync/atomic"
	"time"

	"openflow"
	"openflow/activities"
	"openflow/node/home"
	"openflow/store/catalogue"
	"openflow/store/events/changes"
	"openflow/store/messages"
	"openflow/store/objects"
	"openflow/telemetry/metrics"
)

// Site is what a scrape looks at.
type Site struct {
	Capacity openflow.Resources // of jobs
	Rows     *catalogue.Catalogue
	Messages messages.Store
	Objects  objects.Store
	Home     *home.Home

	bytes atomic.Pointer[int64] // of objects, when they were last counted; nil: not yet
}

// State is what a scrape finds.
func (c *Site) State(ctx context.Context) (s metrics.State, err error) {
	s = metrics.State{Capacity: c.Capacity, Messages: -1, MessageBytes: -1, ObjectBytes: -1}
	if bytes := c.bytes.Load(); bytes != nil {
		s.ObjectBytes = *bytes
	}
	if s.Jobs, err = c.Rows.JobCounts(ctx); err != nil {
		return s, err
	}
	if s.Tasks, err = c.Rows.TaskCounts(ctx); err != nil {
		return s, err
	}
	if s.Waits, err = c.Rows.WaitCounts(ctx); err != nil {
		return s, err
	}
	if s.Used, err = c.Rows.CapacityUse(ctx); err != nil {
		return s, err
	}
	if m, ok := c.Messages.(messages.Measured); ok {
		u, err := m.Usage(ctx)
		if err != nil {
			return s, err
		}
		s.Messages, s.MessageBytes = u.Messages, u.Bytes
	}
	free, err := c.Home.Free(c.Home.Dir)
	s.DiskFree = int64(free)
	return s, err
}

// CountObjects adds up what the object store holds. It looks at every object, so it is done now and then.
func (c *Site) CountObjects(ctx context.Context) error {
	var sum int64
	err := c.Objects.List(ctx, func(i objects.Info) error { sum += i.Bytes; return nil })
	if err == nil {
		c.bytes.Store(&sum)
	}
	return err
}

// Jobs is the scheduler's record of jobs, whose ends are counted.
type Jobs struct {
	*catalogue.Catalogue
	Metrics *metrics.Metrics
}

var _ activities.JobStore = Jobs{}

// UpdateScheduledJob implements activities.JobStore.
func (m Jobs) UpdateScheduledJob(ctx context.Context, id openflow.JobID, to openflow.JobStatus, reason string) (bool, error) {
	changed, err := m.Catalogue.UpdateScheduledJob(ctx, id, to, reason)
	if err != nil || !changed || !to.Terminal() {
		return changed, err
	}
	j, err := m.ScheduledJob(ctx, id)
	if err == nil {
		m.Metrics.JobEnded(to, time.Since(j.CreateTime))
	}
	return true, nil // that it cannot be read for counting does not undo the change
}

// Runs is this site's record of runs, whose changes are told and whose ends are counted.
type Runs struct {
	changes.Rows
	Metrics *metrics.Metrics
}

var _ activities.TaskStore = Runs{}

// FinishTask implements activities.TaskStore.
func (m Runs) FinishTask(ctx context.Context, k openflow.TaskKey, end openflow.TaskEnd) (bool, error) {
	changed, err := m.Rows.FinishTask(ctx, k, end)
	if err != nil || !changed {
		return changed, err
	}
	if t, err := m.Task(ctx, k); err == nil {
		took := time.Duration(0) // of a run that never started
		if !t.StartTime.IsZero() {
			took = t.EndTime.Sub(t.StartTime)
		}
		m.Metrics.TaskEnded(t.PartyStatus, took)
	}
	return true, nil
}
