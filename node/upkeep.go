package node

import (
	"context"
	"time"

	"openflow"
	"openflow/catalogue"
	"openflow/docker"
	"openflow/objects"
)

// How often each kind of upkeep runs.
const (
	sweepEvery  = time.Minute
	retainEvery = time.Hour
)

// stopGrace is what an orphan gets between TERM and KILL.
const stopGrace = 5 * time.Second

// startUpkeep begins what keeps the node healthy when nobody looks: orphans, jobs that were forgotten, and old things.
func (n *Node) startUpkeep(context.Context) error {
	ctx, cancel := context.WithCancel(context.Background()) // lives as long as the node; Close cancels it
	n.closing = cancel
	n.every(ctx, sweepEvery, "orphans", n.sweepOrphans)
	n.every(ctx, sweepEvery, "unstarted jobs", n.dropUnstarted)
	n.every(ctx, sweepEvery, "messages", func(ctx context.Context) error {
		_, err := n.messages.Sweep(ctx, time.Now(), n.config.Retention.Messages)
		return err
	})
	n.every(ctx, retainEvery, "old jobs", n.dropOld)
	n.every(ctx, retainEvery, "objects", func(ctx context.Context) error {
		_, err := objects.Sweep(ctx, n.objects, n.rows.ReferencedObject, time.Now(), objects.DefaultGrace)
		return err
	})
	return nil
}

// every runs do now and then every period, until ctx ends.
func (n *Node) every(ctx context.Context, period time.Duration, what string, do func(context.Context) error) {
	n.upkeep.Go(func() {
		t := time.NewTicker(period)
		defer t.Stop()
		for {
			if err := do(ctx); err != nil && ctx.Err() == nil {
				n.config.Log.Error("upkeep failed; it is tried again", "what", what, "err", err)
			}
			select {
			case <-ctx.Done():
				return
			case <-t.C:
			}
		}
	})
}

// sweepOrphans removes this node's containers whose run has ended or is not known. What a run in progress owns is left
// to its workflow.
func (n *Node) sweepOrphans(ctx context.Context) error {
	containers, err := n.runtime.List(ctx, map[string]string{docker.LabelNode: n.home.Node})
	if err != nil {
		return err
	}
	for _, c := range containers {
		t, err := n.rows.TaskByExecution(ctx, openflow.ExecutionID(c.Labels[docker.LabelExecution]))
		switch {
		case openflow.CodeOf(err) == openflow.CodeNotFound:
		case err != nil:
			return err
		case !t.PartyStatus.Terminal() || time.Since(t.EndTime) < sweepEvery:
			continue // running, or its own removal is on the way
		}
		n.config.Log.Info("removing a container that nothing needs", "container", c.Name)
		if err := n.runtime.Stop(ctx, c.Name, stopGrace); err != nil {
			return err
		}
		if err := n.runtime.Remove(ctx, c.Name); err != nil {
			return err
		}
	}
	return nil
}

// createdFor is how long a job may stay "ready": its scheduler has reached this party and then neither the others nor
// this one again.
const createdFor = 10 * time.Minute

// dropUnstarted ends jobs that were created here and never started, when their scheduler has been silent for long. A
// scheduler that waits for resources speaks every few seconds.
func (n *Node) dropUnstarted(ctx context.Context) error {
	for status, patience := range map[openflow.JobStatus]time.Duration{
		openflow.JobReady: createdFor, openflow.JobWaiting: n.config.Retention.Unstarted,
	} {
		jobs, _, err := n.rows.JobsWhere(ctx, catalogue.JobFilter{Statuses: []openflow.JobStatus{status}, Limit: dropBatch, Ascending: true})
		if err != nil {
			return err
		}
		for _, j := range jobs {
			if j.Scheduler == n.config.Party || time.Since(j.UpdateTime) < patience {
				continue // its own workflow looks after it, or it is young
			}
			if _, err := n.changes().UpdateJobStatus(ctx, j.Key(), openflow.JobFailed, "dropped: created and never started by its scheduler, party "+string(j.Scheduler)); err != nil {
				return err
			}
		}
	}
	return nil
}

// dropBatch bounds one round of upkeep.
const dropBatch = 500

// dropOld forgets jobs that ended long ago, with everything that only they needed. Objects follow in their own sweep.
func (n *Node) dropOld(ctx context.Context) error {
	for {
		keys, err := n.rows.JobsEndedBefore(ctx, time.Now().Add(-n.config.Retention.Jobs), dropBatch)
		if err != nil || len(keys) == 0 {
			return err
		}
		for _, k := range keys {
			if _, err := n.rows.DeleteJob(ctx, k); err != nil {
				return err
			}
			if k.Scheduler != n.config.Party {
				continue
			}
			if err := n.rows.DeleteScheduledJob(ctx, k.Job); err != nil && openflow.CodeOf(err) != openflow.CodeConflict {
				return err
			}
		}
	}
}
