package node

import (
	"context"
	"time"

	"openflow"
	"openflow/store/catalogue"
	"openflow/store/objects"
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
	n.upkeep.Go(func() { n.queue.Run(ctx) })
	n.upkeep.Go(func() { n.watch.Run(ctx) })
	n.every(ctx, n.orphanAge(), "orphans", n.sweepOrphans)
	if n.taking != nil && !n.config.NoTasks {
		n.every(ctx, helloEvery, "own worker", n.hello)
	}
	n.every(ctx, silentEvery, "silent machines", n.tellSilent) // also without a listener: then none of them comes back
	n.every(ctx, sweepEvery, "unstarted jobs", n.dropUnstarted)
	n.every(ctx, sweepEvery, "jobs with strangers", n.farewell.toStrangers)
	n.every(ctx, askEndsEvery, "jobs that have ended elsewhere", n.unheard.take)
	n.every(ctx, sweepEvery, "messages", func(ctx context.Context) error {
		_, err := n.messages.Sweep(ctx, time.Now(), n.config.Retention.Messages)
		return err
	})
	n.every(ctx, retainEvery, "old jobs", n.dropOld)
	n.every(ctx, retainEvery, "old logs", n.dropLogs)
	n.every(ctx, retainEvery, "objects", func(ctx context.Context) error {
		_, err := objects.Sweep(ctx, n.objects, n.rows.ReferencedObject, time.Now(), objects.DefaultGrace)
		return err
	})
	n.every(ctx, retainEvery, "size of objects", n.countObjects)
	n.trimLogs(ctx)
	return nil
}

// orphanAge is how long the container of an ended run is left to whoever ended it. Where other machines run tasks of this
// site, a run can end without this one, while its container runs on here.
func (n *Node) orphanAge() time.Duration {
	if n.taking != nil {
		return settled
	}
	return sweepEvery
}

// sweepOrphans removes this node's containers whose run has ended or is not known.
func (n *Node) sweepOrphans(ctx context.Context) error {
	return n.sweep(ctx, n.orphanAge(), n.rows.TaskByExecution)
}

// createdFor is how long a job may stay "ready": its scheduler has reached this party and then neither the others nor
// this one again.
const createdFor = 10 * time.Minute

// dropUnstarted ends jobs that were created here and never started, when their scheduler has been silent for long. A
// scheduler whose job waits for resources asks every ten minutes at least.
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
		if err != nil {
			return err
		}
		if len(keys) == 0 {
			return n.dropScheduled(ctx)
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

// dropLogs forgets the logs of runs that ended long ago, whose jobs may still be there. Objects follow in their own
// sweep.
func (n *Node) dropLogs(ctx context.Context) error {
	_, err := n.rows.ForgetLogsBefore(ctx, time.Now().Add(-n.config.Retention.Logs))
	return err
}

// dropScheduled forgets what this node scheduled for others long ago, and what others schedule for it.
func (n *Node) dropScheduled(ctx context.Context) error {
	for _, drop := range []func(context.Context, time.Time, int) (int, error){
		n.rows.DeleteScheduledJobsBefore, n.rows.ForgetSchedulersBefore,
	} {
		for dropped := dropBatch; dropped == dropBatch; {
			var err error
			if dropped, err = drop(ctx, time.Now().Add(-n.config.Retention.Jobs), dropBatch); err != nil {
				return err
			}
		}
	}
	return nil
}
