package workflows

import (
	"go.temporal.io/sdk/workflow"

	"openflow"
	"openflow/activities"
	"openflow/workflows/plan"
)

// create makes the job at every party in parallel and applies for its resources along with that. It returns what the
// parties answered to the application, nil when they have not been asked: those of a rerun know the job.
func (j job) create(ctx workflow.Context) (plan.Creation, []plan.ReserveAnswer) {
	detail(ctx, "creating the job at its parties")
	if j.Again {
		return plan.Creation{Refusal: j.reopen(ctx)}, nil
	}
	answers, errs := gather(ctx, j.Parties, func(ctx workflow.Context, p openflow.Party) (plan.ReserveAnswer, error) {
		var said activities.ReserveAnswer
		// Whoever submits waits for this: that a party has no room is told at once.
		err := call(ctx, j.Timing.Create, "open at "+p.String(), scheduling.OpenJob, j.at(p), &said, openflow.CodeExhausted)
		return said.Decode(), err
	})
	return plan.Created(j.JobPlan, answers, errs), answers
}

// reopen lets an ended job wait once more: in the scheduler's record, and at every party. The workflow does that, not the
// request that started it: a record that waits always has a workflow behind it.
func (j job) reopen(ctx workflow.Context) error {
	news := activities.JobNews{Job: j.ID, Status: openflow.JobWaiting}
	// Whoever asks for the rerun waits for this: that there is no room is told at once.
	if err := call(ctx, j.Timing.Partner, "open the record again", scheduling.RecordJob, news, nil, openflow.CodeExhausted); err != nil {
		return err
	}
	errs := each(ctx, j.Parties, func(ctx workflow.Context, p openflow.Party) error {
		u := activities.JobUpdate{Call: j.at(p), Status: openflow.JobWaiting}
		return call(ctx, j.Timing.Partner, "open again at "+p.String(), scheduling.UpdateJob, u, nil, openflow.CodeExhausted)
	})
	return plan.Created(j.JobPlan, nil, errs).Refusal
}
