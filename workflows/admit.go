package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"openflow"
	"openflow/activities"
	"openflow/workflows/plan"
)

// admit reserves the job's resources at every party, all or nothing, and waits as long as that takes. answers are what the
// parties answered to the application that went with the creation. It returns how the job ends when it gets none.
func (j job) admit(ctx workflow.Context, d *desk, answers []plan.ReserveAnswer) plan.Ending {
	defer func() { d.waits = "" }()
	queue := plan.NewQueue(j.ID, workflow.Now(ctx))
	for {
		if answers == nil {
			var err error
			if answers, err = j.apply(ctx, queue.InOrder()); err != nil {
				return plan.GivenUp(err)
			}
		}
		verdict := plan.Admit(answers)
		switch {
		case verdict.Granted:
			return plan.Ending{}
		case verdict.Fail != "":
			return plan.Ending{Status: openflow.JobFailed, Reason: verdict.Fail, Code: openflow.CodeRejected}
		}
		if j.wait(ctx, d, queue, verdict); d.stop.given {
			return d.stop.value
		}
		if spent(ctx) {
			return exhausted(ctx)
		}
		answers = nil
	}
}

// apply asks the parties for the job's resources: all at once, or one after the other until one refuses.
func (j job) apply(ctx workflow.Context, inOrder bool) ([]plan.ReserveAnswer, error) {
	ask := func(ctx workflow.Context, p openflow.Party) (plan.ReserveAnswer, error) {
		var said activities.ReserveAnswer
		err := call(ctx, j.Timing.Partner, "apply at "+p.String(), scheduling.ApplyResources, j.at(p), &said)
		return said.Decode(), err
	}
	if !inOrder {
		answers, errs := gather(ctx, j.Parties, ask)
		return answers, first(errs)
	}
	var answers []plan.ReserveAnswer
	for _, p := range plan.InOrder(j.Parties) {
		g, err := ask(ctx, p)
		if err != nil {
			return nil, err
		}
		if answers = append(answers, g); g.Code != "" {
			break
		}
	}
	return answers, nil
}

// wait returns what was granted, tells everybody why the job waits, and pauses. A party that calls, or a stop, ends the pause
// early.
func (j job) wait(ctx workflow.Context, d *desk, queue *plan.Queue, refused plan.Verdict) {
	next := queue.Refused(refused, workflow.Now(ctx))
	if err := first(each(ctx, refused.Return, func(ctx workflow.Context, p openflow.Party) error {
		return call(ctx, j.Timing.Partner, "return at "+p.String(), scheduling.ReturnResources, j.at(p), nil)
	})); err != nil {
		workflow.GetLogger(ctx).Warn("resources not returned", "job", j.ID, "err", err)
	}
	d.waits = refused.Wait
	detail(ctx, refused.Wait)
	if next.Record {
		j.record(ctx, openflow.JobWaiting, refused.Wait)
	}
	tell := func() {
		queue.Told(workflow.Now(ctx))
		_ = each(ctx, j.Parties, func(ctx workflow.Context, p openflow.Party) error {
			return j.tell(ctx, p, openflow.JobWaiting, refused.Wait)
		})
	}
	if next.Tell {
		tell()
	}
	if next.Lasting {
		if d.called(ctx, plan.Lasting) {
			return
		}
		tell()
	}
	d.called(ctx, next.Pause)
}

// called waits that long, or until a party calls or somebody stops the job; only then it reports true.
func (d *desk) called(ctx workflow.Context, patience time.Duration) bool {
	timer, cancel := workflow.WithCancel(ctx)
	defer cancel()
	elapsed := workflow.NewTimer(timer, patience)
	called := false
	_ = workflow.Await(ctx, func() bool {
		for d.wake.ReceiveAsync(nil) { // several parties may call at once
			called = true
		}
		return called || elapsed.IsReady() || d.stop.given
	})
	return called || d.stop.given
}
