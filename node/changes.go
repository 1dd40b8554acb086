package node

import (
	"context"
	"log/slog"
	"time"

	"openflow"
	"openflow/catalogue"
	"openflow/events"
)

// publishTimeout bounds how long a change waits for being told.
const publishTimeout = time.Second

// changes is the catalogue as those get it who change jobs and tasks: what has been recorded is told to who follows.
type changes struct {
	*catalogue.Catalogue
	events events.Store
	log    *slog.Logger
}

func (n *Node) changes() changes { return changes{n.rows, n.events, n.config.Log} }

// tell publishes e. The row is the truth and stays; an event that gets lost is logged, and followers read rows too.
func (c changes) tell(ctx context.Context, e openflow.Event) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), publishTimeout)
	defer cancel()
	e.At = time.Now()
	if err := c.events.Publish(ctx, e); err != nil {
		c.log.WarnContext(ctx, "event not published", "job", e.Job, "err", err)
	}
}

func (c changes) tellJob(ctx context.Context, k openflow.JobKey, status openflow.JobStatus, reason string, progress *int) {
	c.tell(ctx, openflow.Event{Job: k.Job, Party: k.Party, Status: string(status), Reason: reason, Progress: progress})
}

func (c changes) tellTask(ctx context.Context, k openflow.TaskKey, status openflow.TaskStatus, reason string) {
	c.tell(ctx, openflow.Event{
		Job: k.Job, Party: k.Party, Task: k.Task, Version: k.Version, Status: string(status), Reason: reason,
	})
}

// UpdateJobStatus tells a change of status.
func (c changes) UpdateJobStatus(ctx context.Context, k openflow.JobKey, to openflow.JobStatus, reason string) (bool, error) {
	changed, err := c.Catalogue.UpdateJobStatus(ctx, k, to, reason)
	if changed {
		c.tellJob(ctx, k, to, reason, nil)
	}
	return changed, err
}

// SetJobReason tells what the job waits for.
func (c changes) SetJobReason(ctx context.Context, k openflow.JobKey, reason string) error {
	err := c.Catalogue.SetJobReason(ctx, k, reason)
	if err == nil {
		c.tellJob(ctx, k, "", reason, nil)
	}
	return err
}

// SetJobProgress tells progress.
func (c changes) SetJobProgress(ctx context.Context, k openflow.JobKey, percent int) (bool, error) {
	changed, err := c.Catalogue.SetJobProgress(ctx, k, percent)
	if changed {
		c.tellJob(ctx, k, "", "", &percent)
	}
	return changed, err
}

// StartTask tells that the task runs.
func (c changes) StartTask(ctx context.Context, k openflow.TaskKey, runtime, container string) (bool, error) {
	changed, err := c.Catalogue.StartTask(ctx, k, runtime, container)
	if changed {
		c.tellTask(ctx, k, openflow.TaskRunning, "")
	}
	return changed, err
}

// FinishTask tells how the task has ended.
func (c changes) FinishTask(ctx context.Context, k openflow.TaskKey, end openflow.TaskEnd) (bool, error) {
	changed, err := c.Catalogue.FinishTask(ctx, k, end)
	if changed {
		c.tellTask(ctx, k, end.Status, end.Reason)
	}
	return changed, err
}
