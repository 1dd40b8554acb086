// Package changes tells followers what changes: the catalogue as those get it who change jobs and runs.
package changes

import (
	"context"
	"log/slog"
	"time"

	"openflow"
	"openflow/site/admission"
	"openflow/store/catalogue"
	"openflow/store/events"
)

// publishTimeout bounds how long a change waits for being told.
const publishTimeout = time.Second

// Rows is the catalogue. What a method here has recorded is told to who follows.
type Rows struct {
	*catalogue.Catalogue
	Events events.Store
	Log    *slog.Logger
}

// tell publishes e. The row is the truth and stays; an event that gets lost is logged, and followers read rows too.
func (c Rows) tell(ctx context.Context, e openflow.Event) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), publishTimeout)
	defer cancel()
	e.At = time.Now()
	if err := c.Events.Publish(ctx, e); err != nil {
		c.Log.WarnContext(ctx, "event not published", "job", e.Job, "err", err)
	}
}

func (c Rows) tellJob(ctx context.Context, k openflow.JobKey, status openflow.JobStatus, reason string, progress *int) {
	c.tell(ctx, openflow.Event{Scheduler: k.Scheduler, Job: k.Job, Party: k.Party, Status: string(status), Reason: reason, Progress: progress})
}

func (c Rows) tellTask(ctx context.Context, k openflow.TaskKey, status openflow.TaskStatus, reason string) {
	c.tell(ctx, openflow.Event{
		Scheduler: k.Scheduler, Job: k.Job, Party: k.Party, Task: k.Task, Version: k.Version, Status: string(status), Reason: reason,
	})
}

// TellComponent tells that a component stands otherwise.
func (c Rows) TellComponent(ctx context.Context, o openflow.ComponentChange) {
	c.tell(ctx, openflow.Event{Component: o.Component, Provider: o.Provider.String(), Status: string(o.To), Reason: o.Reason})
}

// tellRow tells how the job stands, where the call does not say what has changed.
func (c Rows) tellRow(ctx context.Context, k openflow.JobKey) {
	if j, err := c.Job(ctx, k); err == nil {
		c.tellJob(ctx, k, j.Status, j.Reason, nil)
	}
}

// CreateJob tells of the job; a repeat may find it in a later status.
func (c Rows) CreateJob(ctx context.Context, j openflow.JobRecord, tasks []openflow.TaskRecord, pins ...openflow.Pin) error {
	return c.AdmitJob(ctx, openflow.Quota{}, j, tasks, pins...)
}

// AdmitJob tells of the job like CreateJob.
func (c Rows) AdmitJob(ctx context.Context, rule openflow.Quota, j openflow.JobRecord, tasks []openflow.TaskRecord, pins ...openflow.Pin) error {
	err := c.Catalogue.AdmitJob(ctx, rule, j, tasks, pins...)
	if err == nil {
		c.tellRow(ctx, j.Key())
	}
	return err
}

// ApplyJobResources tells what the job waits for when it is refused.
func (c Rows) ApplyJobResources(ctx context.Context, k openflow.JobKey, capacity openflow.Resources, rules admission.Rules) error {
	err := c.Catalogue.ApplyJobResources(ctx, k, capacity, rules)
	if openflow.CodeOf(err) == openflow.CodeExhausted {
		c.tellRow(ctx, k)
	}
	return err
}

// UpdateJobStatus tells a change of status.
func (c Rows) UpdateJobStatus(ctx context.Context, k openflow.JobKey, to openflow.JobStatus, reason string) (bool, error) {
	changed, err := c.Catalogue.UpdateJobStatus(ctx, k, to, reason)
	if changed {
		c.tellJob(ctx, k, to, reason, nil)
	}
	return changed, err
}

// SetJobReason tells what the job waits for.
func (c Rows) SetJobReason(ctx context.Context, k openflow.JobKey, reason string) error {
	err := c.Catalogue.SetJobReason(ctx, k, reason)
	if err == nil {
		c.tellJob(ctx, k, "", reason, nil)
	}
	return err
}

// SetRunningReason tells what a running job waits for.
func (c Rows) SetRunningReason(ctx context.Context, k openflow.JobKey, reason string) (bool, error) {
	changed, err := c.Catalogue.SetRunningReason(ctx, k, reason)
	if changed {
		c.tellJob(ctx, k, "", reason, nil)
	}
	return changed, err
}

// SetJobProgress tells progress.
func (c Rows) SetJobProgress(ctx context.Context, k openflow.JobKey, percent int) (bool, error) {
	changed, err := c.Catalogue.SetJobProgress(ctx, k, percent)
	if changed {
		c.tellJob(ctx, k, "", "", &percent)
	}
	return changed, err
}

// AddTask tells that a run waits.
func (c Rows) AddTask(ctx context.Context, t openflow.TaskRecord) error {
	err := c.Catalogue.AddTask(ctx, t)
	if err == nil {
		c.tellTask(ctx, t.Key, "", t.Reason)
	}
	return err
}

// SetTaskStatus tells that the federated status has changed; an event names the party's own only.
func (c Rows) SetTaskStatus(ctx context.Context, k openflow.TaskKey, to openflow.TaskStatus) (bool, error) {
	changed, err := c.Catalogue.SetTaskStatus(ctx, k, to)
	if changed {
		c.tellTask(ctx, k, "", "")
	}
	return changed, err
}

// SetTaskReason tells what the task waits for.
func (c Rows) SetTaskReason(ctx context.Context, k openflow.TaskKey, reason string) error {
	err := c.Catalogue.SetTaskReason(ctx, k, reason)
	if err == nil {
		c.tellTask(ctx, k, "", reason)
	}
	return err
}

// MarkTaskKilled tells why the task is to end.
func (c Rows) MarkTaskKilled(ctx context.Context, k openflow.TaskKey, status openflow.TaskStatus, reason string) error {
	err := c.Catalogue.MarkTaskKilled(ctx, k, status, reason)
	if err == nil {
		c.tellTask(ctx, k, "", reason)
	}
	return err
}

// StartTask tells that the task runs.
func (c Rows) StartTask(ctx context.Context, k openflow.TaskKey, at openflow.Launch) (bool, error) {
	changed, err := c.Catalogue.StartTask(ctx, k, at)
	if changed {
		c.tellTask(ctx, k, openflow.TaskRunning, "")
	}
	return changed, err
}

// FinishTask tells how the task has ended.
func (c Rows) FinishTask(ctx context.Context, k openflow.TaskKey, end openflow.TaskEnd) (bool, error) {
	changed, err := c.Catalogue.FinishTask(ctx, k, end)
	if changed {
		c.tellTask(ctx, k, end.Status, end.Reason)
	}
	return changed, err
}
