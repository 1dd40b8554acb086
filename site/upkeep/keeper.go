// Package upkeep keeps a node healthy when nobody looks: it ends what was forgotten and forgets what is old.
//
// Rounds run what is to be done again and again, Keeper looks after jobs, logs, messages and objects, and Orphans after
// containers.
package upkeep

import (
	"context"
	"errors"
	"time"

	"openflow"
	"openflow/store/catalogue"
	"openflow/store/events/changes"
	"openflow/store/messages"
	"openflow/store/objects"
)

// How often each kind of upkeep runs.
const (
	SweepEvery  = time.Minute
	RetainEvery = time.Hour
)

// Keeper ends jobs that were forgotten here, and forgets what has been kept for long enough.
type Keeper struct {
	Self     openflow.PartyID
	Rows     changes.Rows
	Objects  objects.Store
	Messages messages.Store
	Keep     Retention
	// Space tells nothing while the disk that has the objects has room; nil: they are elsewhere, where no sweep of this machine's
	// makes room on its disk.
	Space func() error
}

// Start does it in rounds.
func (k Keeper) Start(r *Rounds) {
	r.Every(SweepEvery, "unstarted jobs", k.dropUnstarted)
	r.Every(SweepEvery, "messages", k.sweepMessages)
	r.Every(SweepEvery, "refused jobs", k.dropRefused)
	r.Every(SweepEvery, "a full disk", k.reclaim)
	r.Every(RetainEvery, "old jobs", k.dropOld)
	r.Every(RetainEvery, "old logs", k.dropLogs)
	r.Every(RetainEvery, "objects", k.sweepObjects)
	r.Every(SweepEvery, "old decisions", k.Rows.TrimDecisions)
}

func (k Keeper) sweepMessages(ctx context.Context) error {
	_, err := k.Messages.Sweep(ctx, time.Now(), k.Keep.Messages)
	return err
}

// sweepObjects removes what no row names any more.
func (k Keeper) sweepObjects(ctx context.Context) error {
	_, err := objects.Sweep(ctx, k.Objects, k.Rows.ReferencedObject, time.Now(), objects.DefaultGrace)
	return err
}

// scarceGrace is how long an object may be without a reference while the disk is nearly full. No upload begins then, so this
// is for those that were under way. What a run has stored has a reference as soon as that is recorded.
const scarceGrace = time.Minute

// reclaim does so at once while the disk is nearly full, so that what is deleted makes room.
func (k Keeper) reclaim(ctx context.Context) error {
	if k.Space == nil || k.Space() == nil {
		return nil
	}
	_, err := objects.Sweep(ctx, k.Objects, k.Rows.ReferencedObject, time.Now(), scarceGrace)
	return err
}

// keptRefused is how many jobs that never started are kept of each other party, to be looked at; older ones are forgotten
// before their time. So what is refused does not pile up.
const keptRefused = 100

// dropRefused forgets them, as the scheduler and as a participant.
func (k Keeper) dropRefused(ctx context.Context) error {
	_, err := k.Rows.DeleteRefusedJobs(ctx, k.Self, keptRefused, dropBatch)
	keys, wrong := k.Rows.JobsNeverStarted(ctx, k.Self, keptRefused, dropBatch)
	err = errors.Join(err, wrong)
	for _, key := range keys { // one that cannot be forgotten now keeps no other
		if _, wrong := k.Rows.DeleteJob(ctx, key); openflow.CodeOf(wrong) != openflow.CodeConflict {
			err = errors.Join(err, wrong)
		}
	}
	return err
}

// createdFor is how long a job may stay "ready": its scheduler has reached this party and then neither the others nor
// this one again.
const createdFor = 10 * time.Minute

// dropUnstarted ends jobs that were created here and never started, when their scheduler has been silent for long. A
// scheduler whose job waits for resources asks every ten minutes at least.
func (k Keeper) dropUnstarted(ctx context.Context) (err error) {
	for status, patience := range map[openflow.JobStatus]time.Duration{
		openflow.JobReady: createdFor, openflow.JobWaiting: k.Keep.Unstarted,
	} {
		jobs, _, wrong := k.Rows.JobsWhere(ctx, catalogue.JobFilter{Statuses: []openflow.JobStatus{status}, Limit: dropBatch, Ascending: true})
		err = errors.Join(err, wrong)
		for _, j := range jobs {
			if j.Scheduler == k.Self || time.Since(j.UpdateTime) < patience {
				continue // its own workflow looks after it, or it is young
			}
			_, wrong := k.Rows.UpdateJobStatus(ctx, j.Key(), openflow.JobFailed, "dropped: created and never started by its scheduler, party "+string(j.Scheduler))
			err = errors.Join(err, wrong)
		}
	}
	return err
}

// dropBatch bounds one round of upkeep.
const dropBatch = 500

// dropOld forgets jobs that ended long ago, with everything that only they needed. Objects follow in their own sweep.
func (k Keeper) dropOld(ctx context.Context) error {
	for {
		keys, err := k.Rows.JobsEndedBefore(ctx, time.Now().Add(-k.Keep.Jobs), dropBatch)
		dropped := 0
		for _, key := range keys { // one that cannot be forgotten now keeps no other
			wrong := k.drop(ctx, key)
			if err = errors.Join(err, wrong); wrong == nil {
				dropped++
			}
		}
		if dropped == 0 || len(keys) < dropBatch {
			return errors.Join(err, k.dropScheduled(ctx))
		}
	}
}

func (k Keeper) drop(ctx context.Context, key openflow.JobKey) error {
	if _, err := k.Rows.DeleteJob(ctx, key); err != nil || key.Scheduler != k.Self {
		return err
	}
	if err := k.Rows.DeleteScheduledJob(ctx, key.Job); openflow.CodeOf(err) != openflow.CodeConflict {
		return err
	}
	return nil
}

// dropLogs forgets the logs of runs that ended long ago, whose jobs may still be there. Objects follow in their own
// sweep.
func (k Keeper) dropLogs(ctx context.Context) error {
	_, err := k.Rows.ForgetLogsBefore(ctx, time.Now().Add(-k.Keep.Logs))
	return err
}

// dropScheduled forgets what this node scheduled for others long ago, and what others schedule for it.
func (k Keeper) dropScheduled(ctx context.Context) (err error) {
	for _, drop := range []func(context.Context, time.Time, int) (int, error){
		k.Rows.DeleteScheduledJobsBefore, k.Rows.ForgetSchedulersBefore,
	} {
		for dropped := dropBatch; dropped == dropBatch; {
			var wrong error
			if dropped, wrong = drop(ctx, time.Now().Add(-k.Keep.Jobs), dropBatch); wrong != nil {
				err = errors.Join(err, wrong)
				break
			}
		}
	}
	return err
}
