package workflows

import (
	"errors"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/workflow"

	"openflow"
	"openflow/activities"
	"openflow/store/document"
	"openflow/workflows/plan"
)

// stopPatience is how long somebody who stops a job is kept waiting for the news that nothing of it runs any more.
const stopPatience = 5 * time.Second

// atOnce is how long containers may take to stop before anybody is told that they are waited for.
const atOnce = time.Second

// end ends the job at every party and in the scheduler's record, also when the workflow itself has been canceled. The
// end is visible at once. The workflow goes on until every party has acknowledged it and nothing of the job runs there
// any more. Until then the job's reason says whom it waits for.
func (j *jobRun) end(ctx workflow.Context, status openflow.JobStatus, reason string, code openflow.Code) {
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	j.status, j.reason, j.code = status, reason, code
	j.created = true
	show(ctx, string(status))
	detail(ctx, sentence("telling the parties:", string(status), reason))
	progress := j.state.Next().Progress
	ends := map[openflow.Party]activities.JobUpdate{}
	for _, p := range j.plan.Parties {
		ends[p] = activities.JobUpdate{Call: j.at(p), Status: status, Reason: j.shownTo(p, reason), Tasks: activities.EncodeUpdates(j.lastWords(p))}
	}
	_ = each(ctx, j.plan.Parties, func(ctx workflow.Context, p openflow.Party) error {
		err := call(ctx, 0, "stop at "+p.String(), scheduling.StopJob, ends[p], nil)
		j.reached[p] = reaches(err) || j.strangers[p] && !openflow.CodeOf(err).Retryable()
		return nil
	})
	j.recordEnd(ctx, j.stopped().Reason, progress)
	j.confirm(ctx, ends, reason)
	j.settled = true
}

// shownTo is the reason as a party may read it. A refusal of the job itself may name what the DAG says to the party that
// refuses, as its tables: that party and the initiator, who wrote it, read more than the others.
func (j *jobRun) shownTo(p openflow.Party, reason string) string {
	var e *openflow.Error
	if j.refusal == nil || p.ID == j.plan.Initiator || errors.As(j.refusal, &e) && p.ID == e.Party {
		return reason
	}
	return strings.Replace(reason, j.reason, plan.Refused(openflow.CodeOf(j.refusal), j.plan.Initiator), 1)
}

// lastWords are the ends of tasks that a party learns with that of the job: those it has not been told, and for a job
// that ends early the runs that are stopped for that. A job that ends before its first task ends all of them.
func (j *jobRun) lastWords(p openflow.Party) []openflow.TaskUpdate {
	words := slices.Clone(j.due[p])
	told := func(k openflow.TaskKey) bool {
		return slices.ContainsFunc(j.due[p], func(u openflow.TaskUpdate) bool { return u.Key == k })
	}
	for _, k := range j.silent() {
		if k.Party == p && !told(k) {
			words = append(words, openflow.TaskUpdate{Key: k, Status: openflow.TaskCanceled, Reason: j.reason})
		}
	}
	if j.status != openflow.JobSuccess && !j.plan.Again && !j.state.Begun() {
		for _, t := range j.state.Tasks { // there is no rerun of a job that has never started a task
			if slices.Contains(t.Parties, p) {
				k := j.key(t.Name, t.Version, p)
				words = append(words, openflow.TaskUpdate{Key: k, Status: openflow.TaskCanceled, Reason: j.reason})
			}
		}
	}
	if j.status == openflow.JobSuccess {
		for i := range words {
			words[i].Progress = 0 // the end says that it is 100
		}
	}
	return words
}

func (j *jobRun) recordEnd(ctx workflow.Context, reason string, progress int) {
	var end activities.JobEnd
	if err := call(ctx, j.plan.Timing.Undo, "record the end", scheduling.EndJob, activities.JobNews{
		Job: j.plan.ID, Status: j.status, Reason: reason, Progress: progress, Tasks: document.EncodeTaskRuns(j.state.Runs()), Unbegun: j.unbegun,
	}, &end); err != nil {
		workflow.GetLogger(ctx).Error("end of the job not recorded", "job", j.plan.ID, "err", err)
	}
	j.shown, j.warnings = reason, end.Warnings
	detail(ctx, warned(sentence(string(j.status), reason), j.warnings))
}

// stopped is how far the end of the job has come.
func (j *jobRun) stopped() openflow.Stopped {
	s := openflow.Stopped{Status: j.status, Reason: j.reason}
	if j.status == "" || j.settled {
		return s
	}
	running := map[openflow.Party]bool{}
	for _, k := range j.silent() {
		running[k.Party] = true
	}
	for _, p := range j.plan.Parties {
		if !j.reached[p] || running[p] {
			s.Stopping = append(s.Stopping, p)
		}
	}
	s.Reason = plan.StoppingReason(j.status, j.reason, s.Stopping)
	return s
}

// confirm waits until nothing of the job runs at any party. A party that does not answer is told of the end again and
// again until the deadline. One that has acknowledged it reports the ends of its runs, and is asked for what it does
// not report. told is the reason as the parties have heard it with the end.
func (j *jobRun) confirm(ctx workflow.Context, ends map[openflow.Party]activities.JobUpdate, told string) {
	if j.stopped().Everywhere() && j.reason == told {
		j.tellStopping(ctx, false) // the last report may have come while the end was recorded
		return
	}
	side, cancel := workflow.WithCancel(ctx)
	defer cancel()
	absent := slices.DeleteFunc(slices.Clone(j.plan.Parties), func(p openflow.Party) bool { return j.reached[p] })
	for _, p := range absent {
		workflow.Go(side, func(ctx workflow.Context) { j.insist(ctx, ends[p]) })
	}
	workflow.Go(side, func(ctx workflow.Context) { j.inquire(ctx, ends) })
	everywhere := func() bool { return j.stopped().Everywhere() }
	if len(absent) == 0 {
		_, _ = workflow.AwaitWithTimeout(ctx, atOnce, everywhere) // a disconnected context is not canceled
	}
	lasts := !everywhere()
	deadline := workflow.Now(ctx).Add(j.plan.Timing.Undo)
	for !everywhere() && workflow.Now(ctx).Before(deadline) {
		seen := j.stopped()
		j.tellStopping(ctx, lasts)
		_, _ = workflow.AwaitWithTimeout(ctx, deadline.Sub(workflow.Now(ctx)), func() bool {
			now := j.stopped()
			return now.Reason != seen.Reason || !slices.Equal(now.Stopping, seen.Stopping)
		})
	}
	if s := j.stopped(); len(s.Stopping) > 0 {
		j.reason = plan.UnconfirmedReason(j.status, j.reason, s.Stopping)
		workflow.GetLogger(ctx).Error("the end of the job is not confirmed", "job", j.plan.ID, "parties", s.Stopping)
		j.settled = true
	}
	j.tellStopping(ctx, lasts || j.reason != told)
}

// reaches tells whether the end has come to a party that was told of it: it has acknowledged it, or is no peer any more. A
// party that refuses to be told, as for a signature, knows nothing of the end.
func reaches(err error) bool { return err == nil || activities.Removed(err) }

// insist tells a party of the end until it acknowledges it.
func (j *jobRun) insist(ctx workflow.Context, end activities.JobUpdate) {
	p := openflow.Party(end.Call.Party)
	err := call(ctx, j.plan.Timing.Undo, "stop at "+p.String(), scheduling.StopJob, end, nil)
	j.reached[p] = ctx.Err() == nil && reaches(err)
	if j.reached[p] && j.shownTo(p, j.reason) != end.Reason { // the cause has become known meanwhile
		u := activities.JobUpdate{Call: end.Call, Reason: j.shownTo(p, j.stopped().Reason)}
		_ = call(ctx, 0, "tell "+p.String(), scheduling.UpdateJob, u, nil) // news only
	}
}

// inquire asks the parties that know of the end for runs whose end they have not reported, the longer it takes the
// less. A run that has never begun, or is not known, does not run, and of a party that is no peer any more nothing can
// be learnt. One that does run was perhaps started while its party heard of the end, so the party is told once more.
func (j *jobRun) inquire(ctx workflow.Context, ends map[openflow.Party]activities.JobUpdate) {
	began := workflow.Now(ctx)
	pause := func() time.Duration {
		waited := pauseAfter(workflow.Now(ctx).Sub(began))
		if j.plan.SyncType == openflow.Poll {
			return waited
		}
		return max(waited, atOnce)
	}
	for workflow.Sleep(ctx, pause()) == nil {
		_ = each(ctx, j.silent(), func(ctx workflow.Context, k openflow.TaskKey) error {
			if !j.reached[k.Party] {
				return nil
			}
			r, err := j.ask(ctx, k)
			idle := err == nil && r.Status == openflow.TaskWaiting && !j.starting.IsLocked()
			if openflow.CodeOf(err) == openflow.CodeNotFound || activities.Removed(err) || idle {
				r.Status, err = openflow.TaskCanceled, nil
			}
			switch {
			case err != nil:
				return err
			case r.Status.Terminal():
				j.take(ctx, r)
				return nil
			case r.Status == openflow.TaskWaiting:
				return nil // its start is on the way, and will be refused
			}
			return call(ctx, 0, "stop at "+k.Party.String(), scheduling.StopJob, ends[k.Party], nil)
		})
	}
}

// tellStopping shows whom the end waits for: in the scheduler's record, and where the wait lasts, at the parties too.
func (j *jobRun) tellStopping(ctx workflow.Context, lasts bool) {
	reason := j.stopped().Reason
	if reason == j.shown {
		return
	}
	j.shown = reason
	detail(ctx, warned(sentence(string(j.status), reason), j.warnings))
	j.record(ctx, "", reason, 0)
	if !lasts {
		return
	}
	_ = each(ctx, j.plan.Parties, func(ctx workflow.Context, p openflow.Party) error {
		if !j.reached[p] {
			return nil
		}
		return call(ctx, 0, "tell "+p.String(), scheduling.UpdateJob, activities.JobUpdate{Call: j.at(p), Reason: j.shownTo(p, reason)}, nil)
	})
}
