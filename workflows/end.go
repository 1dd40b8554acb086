package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"openflow"
	"openflow/activities"
	"openflow/store/document"
	"openflow/workflows/plan"
)

// end ends the job at every party and in the scheduler's record, also when the workflow itself has been canceled. The
// end is visible at once. The workflow goes on until every party has acknowledged it and nothing of the job runs there
// any more. Until then the job's reason says whom it waits for.
func (j job) end(ctx workflow.Context, d *desk, f *plan.Farewell) {
	ctx, _ = workflow.NewDisconnectedContext(ctx)
	d.ending.give(f)
	status := string(f.Standing().Status)
	show(ctx, status)
	detail(ctx, sentence("telling the parties:", status, f.Reason()))
	errs := each(ctx, j.Parties, func(ctx workflow.Context, p openflow.Party) error { return j.stop(ctx, f, p, 0) })
	for i, err := range errs {
		f.Answered(j.Parties[i], reaches(err), openflow.CodeOf(err))
	}
	d.take()
	warnings := j.recordEnd(ctx, f)
	j.confirm(ctx, d, f, warnings)
	d.settled.give(struct{}{})
}

// stop tells a party of the end, until that deadline where one is given.
func (j job) stop(ctx workflow.Context, f *plan.Farewell, p openflow.Party, deadline time.Duration) error {
	end := f.Order(p)
	u := activities.JobUpdate{Call: j.at(p), Status: end.Status, Reason: end.Reason, Tasks: activities.EncodeUpdates(end.Tasks)}
	return call(ctx, deadline, "stop at "+p.String(), scheduling.StopJob, u, nil)
}

// reaches tells whether the end has come to a party that was told of it: it has acknowledged it, or is no peer any more. A
// party that refuses to be told, as for a signature, knows nothing of the end.
func reaches(err error) bool { return err == nil || activities.Removed(err) }

// recordEnd writes the end to the scheduler's record, and returns the warnings of this site's tasks.
func (j job) recordEnd(ctx workflow.Context, f *plan.Farewell) []string {
	status, reason := f.Standing().Status, f.Explain(false).Reason
	runs, progress := f.Record()
	var end activities.JobEnd
	if err := call(ctx, j.Timing.Undo, "record the end", scheduling.EndJob, activities.JobNews{
		Job: j.ID, Status: status, Reason: reason, Progress: progress, Tasks: document.EncodeTaskRuns(runs), Unbegun: f.Unbegun(),
	}, &end); err != nil {
		workflow.GetLogger(ctx).Error("end of the job not recorded", "job", j.ID, "err", err)
	}
	detail(ctx, warned(sentence(string(status), reason), end.Warnings))
	return end.Warnings
}

// confirm waits until nothing of the job runs at any party, and explains meanwhile whom it waits for. A party that does not
// answer is told of the end again and again until the deadline. One that has acknowledged it reports the ends of its
// runs, and is asked for what it does not report.
func (j job) confirm(ctx workflow.Context, d *desk, f *plan.Farewell, warnings []string) {
	lasts := false
	if !f.Over() || f.Corrected() {
		beside, cancel := workflow.WithCancel(ctx)
		defer cancel()
		absent := f.Absent()
		for _, p := range absent {
			workflow.Go(beside, func(ctx workflow.Context) { j.insist(ctx, d, f, p) })
		}
		workflow.Go(beside, func(ctx workflow.Context) { j.inquire(ctx, d, f) })
		if len(absent) == 0 {
			d.awaitFor(ctx, plan.AtOnce, f.Over)
		}
		lasts = !f.Over()
		deadline := workflow.Now(ctx).Add(j.Timing.Undo)
		for !f.Over() && workflow.Now(ctx).Before(deadline) {
			before := f.Standing()
			j.explain(ctx, f, warnings, lasts)
			d.awaitFor(ctx, deadline.Sub(workflow.Now(ctx)), func() bool { return f.Changed(before) })
		}
	}
	if left := f.Close(); len(left) > 0 {
		workflow.GetLogger(ctx).Error("the end of the job is not confirmed", "job", j.ID, "parties", left)
	}
	j.explain(ctx, f, warnings, lasts || f.Corrected()) // the last report may have come while the end was recorded
}

// insist tells a party of the end until it acknowledges it.
func (j job) insist(ctx workflow.Context, d *desk, f *plan.Farewell, p openflow.Party) {
	if err := j.stop(ctx, f, p, j.Timing.Undo); ctx.Err() == nil && reaches(err) {
		d.post(ctx, func() { f.Acknowledged(p) })
	}
}

// inquire asks the parties that know of the end for runs whose end they have not reported, the longer it takes the less.
func (j job) inquire(ctx workflow.Context, d *desk, f *plan.Farewell) {
	asking, began := plan.AtTheEnd(j.JobPlan), workflow.Now(ctx)
	for workflow.Sleep(ctx, asking.Pause(workflow.Now(ctx).Sub(began))) == nil {
		_ = each(ctx, f.Questions(), func(ctx workflow.Context, k openflow.TaskKey) error {
			r, err := j.ask(ctx, k)
			unknown := openflow.CodeOf(err) == openflow.CodeNotFound || activities.Removed(err)
			end, again := f.Weigh(plan.Answer{Report: r, Failed: err != nil, Unknown: unknown})
			if again {
				return j.stop(ctx, f, k.Party, 0)
			}
			if end != "" {
				r.Status = end
				d.post(ctx, func() { f.Report(r) })
			}
			return err
		})
	}
}

// explain shows whom the end waits for, and why the job has ended, as far as that is news.
func (j job) explain(ctx workflow.Context, f *plan.Farewell, warnings []string, lasts bool) {
	e := f.Explain(lasts)
	if e.Record {
		detail(ctx, warned(sentence(string(f.Standing().Status), e.Reason), warnings))
		j.record(ctx, "", e.Reason)
	}
	_ = each(ctx, e.Tell, func(ctx workflow.Context, p openflow.Party) error { return j.tell(ctx, p, "", f.For(p, e.Reason)) })
}
