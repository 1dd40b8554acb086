package workflows

import (
	"fmt"

	"go.temporal.io/sdk/workflow"

	"openflow"
	"openflow/activities"
	"openflow/store/document"
	"openflow/workflows/plan"
)

// scheduling only names the activities, so that the compiler checks them.
var scheduling *activities.Scheduling

// Job drives one job from creation to end at its scheduler. It closes as the job ends: with its status when it
// succeeds, and with the error of [closing] when not. What counts is in the rows; nobody waits for the result.
//
// The life of a job has four phases, each in a file of its own: what a phase is given and what comes of it are values.
// A phase waits and calls. It has a part of package plan decide, and is the only one to tell that part what has happened.
//
// Spec: fate-flow-api §2.4, and docs/job-life.md.
func Job(ctx workflow.Context, input JobPlan) (openflow.JobStatus, error) {
	j := job{input.Decode()}
	tasks := plan.New(j.Tasks, j.AutoRetries)
	desk, err := openDesk(ctx, tasks)
	if err != nil {
		return "", err
	}

	var made plan.Creation
	var answers []plan.ReserveAnswer
	end := plan.Lost(j.JobPlan)
	if end.None() {
		made, answers = j.create(ctx)
		end = made.End()
		tasks.Agreed(made.Protocols)
		desk.created.give(made)
	} else {
		desk.created.give(plan.Creation{Refusal: openflow.Errorf(openflow.CodeConflict, "job %s has ended: %s", j.ID, end.Reason)})
	}
	run := plan.NewExecution(j.JobPlan, tasks)
	beside, cancel := workflow.WithCancel(ctx)
	if end.None() {
		end = j.admit(ctx, desk, answers)
	}
	if end.None() {
		end = j.execute(ctx, beside, desk, run)
	}
	farewell := plan.NewFarewell(j.JobPlan, run, made, end)
	j.end(ctx, desk, farewell)
	cancel()

	if err := workflow.Await(ctx, func() bool { return workflow.AllHandlersFinished(ctx) }); err != nil {
		return "", err
	}
	return end.Status, closing(openflow.TaskStatus(end.Status), farewell.Reason(), farewell.Code())
}

// job is what a job workflow has been started with. Nothing of it changes.
type job struct{ openflow.JobPlan }

func (j job) at(p openflow.Party) activities.PartyCall {
	return activities.PartyCall{Job: j.ID, Party: document.Party(p)}
}

// record tells the scheduler's record; an empty status leaves that as it is. What it misses, later news repeats.
func (j job) record(ctx workflow.Context, status openflow.JobStatus, reason string) {
	n := activities.JobNews{Job: j.ID, Status: status, Reason: reason}
	if err := call(ctx, 0, "record "+string(status), scheduling.RecordJob, n, nil); err != nil {
		workflow.GetLogger(ctx).Warn("job news not recorded", "job", j.ID, "err", err)
	}
}

// tell tells a party how the job stands. It is news only: a party that misses it sees the next.
func (j job) tell(ctx workflow.Context, p openflow.Party, status openflow.JobStatus, reason string) error {
	u := activities.JobUpdate{Call: j.at(p), Status: status, Reason: reason}
	return call(ctx, 0, "tell "+p.String(), scheduling.UpdateJob, u, nil)
}

// ask asks a party how its run stands.
func (j job) ask(ctx workflow.Context, k openflow.TaskKey) (openflow.Report, error) {
	said := activities.Report{Run: document.EncodeRun(k)}
	err := call(ctx, 0, fmt.Sprintf("how %s stands at %s", k.Task, k.Party), scheduling.CollectTask, said.Run, &said)
	return said.Decode(), err
}
