package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"openflow"
	"openflow/activities"
	"openflow/workflows/plan"
)

// This file holds how jobs go on that were started before calls were folded; see jobRun.folds. It goes with the gate.

// announceSingly tells the parties of a task that it has ended, beside everything else: nothing waits for the answer, and
// the end of the job repeats what matters.
func (j *jobRun) announceSingly(ctx workflow.Context, step plan.Step) {
	for _, a := range step.Announce {
		if !a.Status.Terminal() || step.End == openflow.JobSuccess {
			continue // the end of a job that succeeded says so of all its tasks
		}
		version, parties := a.Version, j.state.Find(a.Task).Parties
		tell := func(ctx workflow.Context) {
			_ = each(ctx, parties, func(ctx workflow.Context, p openflow.Party) error {
				key := openflow.TaskKey{Job: j.plan.ID, Task: a.Task, Version: version, Party: p}
				u := openflow.TaskUpdate{Key: key, Status: a.Status, Reason: a.Reason, Progress: step.Progress}
				return call(ctx, 0, "", scheduling.UpdateTask, u, nil)
			})
		}
		if step.End != "" {
			tell(ctx)
			continue
		}
		workflow.Go(ctx, tell)
	}
}

// endSingly ends the job at every party and in the scheduler's record. A party that does not answer is asked again until
// the deadline, while the end is already visible everywhere else.
func (j *jobRun) endSingly(ctx workflow.Context) {
	progress := j.state.Next().Progress
	unreached := make([]bool, len(j.plan.Parties))
	items := make([]int, len(j.plan.Parties))
	for i := range items {
		items[i] = i
	}
	stop := func(ctx workflow.Context, i int, deadline time.Duration) error {
		u := activities.JobUpdate{PartyCall: j.at(j.plan.Parties[i]), Status: j.status, Reason: j.reason}
		return call(ctx, deadline, "stop at "+j.plan.Parties[i].String(), scheduling.StopJob, u, nil)
	}
	_ = each(ctx, items, func(ctx workflow.Context, i int) error {
		unreached[i] = openflow.CodeOf(stop(ctx, i, 0)).Retryable()
		return nil
	})
	j.recordEnd(ctx, j.reason, progress)
	_ = each(ctx, items, func(ctx workflow.Context, i int) error {
		if !unreached[i] {
			return nil
		}
		err := stop(ctx, i, j.plan.Timing.Undo)
		if err != nil {
			workflow.GetLogger(ctx).Error("party not told of the end", "job", j.plan.ID, "party", j.plan.Parties[i].ID, "err", err)
		}
		return err
	})
}
