package workflows

import (
	"fmt"
	"time"

	"go.temporal.io/sdk/workflow"

	"openflow"
	"openflow/activities"
	"openflow/workflows/plan"
)

// causePatience is how long a job waits for the cause of a failure that is only a consequence, before it ends. The party
// that failed first reports at about the same time. What comes later still corrects the reason.
const causePatience = 3 * time.Second

// execute tells the parties that the job runs, and makes the calls that run decides on, until the job ends. It returns
// how. What it has done beside goes on until that context is canceled.
func (j job) execute(ctx, beside workflow.Context, d *desk, run *plan.Execution) plan.Ending {
	if err := j.begin(ctx, run); err != nil {
		return plan.GivenUp(err)
	}
	workflow.Go(beside, func(ctx workflow.Context) { j.collect(ctx, d, run) })
	if j.Timeout > 0 {
		workflow.Go(beside, func(ctx workflow.Context) { j.expire(ctx, d) })
	}
	for {
		if run.Suspect() && !d.stop.given {
			d.awaitFor(ctx, causePatience, func() bool { return d.stop.given || !run.Suspect() })
		}
		if d.stop.given {
			run.Stop(d.stop.value)
		} else if spent(ctx) {
			run.Stop(exhausted(ctx))
		}
		seen := run.Changes()
		calls := run.Next(workflow.Now(ctx))
		for _, t := range calls.Tell {
			workflow.Go(ctx, func(ctx workflow.Context) { j.announce(ctx, d, run, t) })
		}
		for _, s := range calls.Start {
			workflow.Go(ctx, func(ctx workflow.Context) { j.start(ctx, d, run, s) })
		}
		if !calls.End.None() {
			return calls.End
		}
		detail(ctx, run.Awaited())
		if err := d.await(ctx, func() bool { return run.Changes() != seen || d.stop.given || spent(ctx) }); err != nil {
			return plan.Ending{Status: openflow.JobCanceled, Reason: "the job's workflow was canceled", Code: openflow.CodeCanceled}
		}
	}
}

// begin tells that the job runs.
func (j job) begin(ctx workflow.Context, run *plan.Execution) error {
	detail(ctx, "running")
	show(ctx, string(openflow.JobRunning))
	workflow.Go(ctx, func(ctx workflow.Context) { j.record(ctx, openflow.JobRunning, "") })
	unaware := run.Unaware()
	errs := each(ctx, unaware, func(ctx workflow.Context, p openflow.Party) error {
		return call(ctx, j.Timing.Partner, "start at "+p.String(), scheduling.StartJob, j.at(p), nil)
	})
	for i, err := range errs {
		if err == nil {
			run.Aware(unaware[i])
		}
	}
	return first(errs)
}

// expire ends the job when it has run for as long as it may. What it waited for before does not count.
func (j job) expire(ctx workflow.Context, d *desk) {
	if workflow.Sleep(ctx, j.Timeout) == nil {
		d.stop.give(plan.Stop(openflow.JobTimeout, fmt.Sprintf("the job ran longer than its timeout of %s", j.Timeout)))
	}
}

// announce tells a party its news, each in a call of its own.
func (j job) announce(ctx workflow.Context, d *desk, run *plan.Execution, t plan.Telling) {
	var missed []openflow.TaskUpdate
	for _, u := range t.News {
		if call(ctx, 0, fmt.Sprintf("%s %s, to %s", u.Key.Task, u.Status, t.Party), scheduling.UpdateTask, activities.EncodeUpdate(u), nil) != nil {
			missed = append(missed, u)
		}
	}
	d.post(ctx, func() { run.Told(t, missed) })
}

// start asks a party to start its run. When it finds no cores, and none have become free within a pause, it is time to
// ask again.
func (j job) start(ctx workflow.Context, d *desk, run *plan.Execution, s plan.Start) {
	what := fmt.Sprintf("start %s at %s", s.Task, s.Party)
	err := call(ctx, j.Timing.Partner, what, scheduling.StartTask, activities.EncodeStart(s.TaskStart), nil, openflow.CodeExhausted)
	d.post(ctx, func() { run.Answered(s, err) })
	if !run.Waits(err) {
		return
	}
	pause := plan.Pause(workflow.Now(ctx).Sub(s.Began))
	if _, err := workflow.AwaitWithTimeout(ctx, pause, run.Freed()); err == nil {
		d.post(ctx, func() { run.Retry(s.TaskKey) })
	}
}

// collect asks now and then how silent runs stand, beside everything else, also while the job ends. Where parties do not
// report, it looks at once at what has started or ended.
func (j job) collect(ctx workflow.Context, d *desk, run *plan.Execution) {
	asking := plan.WhileRunning(j.JobPlan)
	moves, moved := run.Moves(), workflow.Now(ctx)
	for {
		if now := run.Moves(); now != moves {
			moves, moved = now, workflow.Now(ctx)
		}
		pause := asking.Pause(workflow.Now(ctx).Sub(moved))
		if asking.Poll {
			news, err := workflow.AwaitWithTimeout(ctx, pause, func() bool { return run.Moves() != moves })
			if err != nil {
				return
			}
			if news {
				continue
			}
		} else if workflow.Sleep(ctx, pause) != nil {
			return
		}
		_ = each(ctx, run.Silent(), func(ctx workflow.Context, k openflow.TaskKey) error {
			r, err := j.ask(ctx, k)
			said := plan.Answer{Report: r, Failed: err != nil, Unknown: openflow.CodeOf(err) == openflow.CodeNotFound}
			d.post(ctx, func() { run.Asked(said) })
			return err
		})
	}
}
