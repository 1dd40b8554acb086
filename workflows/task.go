package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"openflow"
	"openflow/activities"
)

// running only names the activities, so that the compiler checks them.
var running *activities.Running

// reportDeadline is how long a party offers the end of a run to a scheduler that does not answer.
const reportDeadline = 7 * 24 * time.Hour

// Task runs one task version at one party: it follows the container to its end and, in a push job, reports that end
// until the scheduler has acknowledged it. A failing algorithm is a result.
//
// Spec: design §3 steps 5–6.
func Task(ctx workflow.Context, in openflow.TaskOrder) (openflow.TaskStatus, error) {
	workflow.SetCurrentDetails(ctx, "running "+in.Component)
	run, cancel := workflow.WithCancel(ctx)
	ctx, _ = workflow.NewDisconnectedContext(ctx) // a canceled workflow still has its end to record and to report
	ended := workflow.GetSignalChannel(ctx, SignalEnd)
	result := workflow.ExecuteActivity(following(run, in.Timeout, in.Component), running.RunTask, in)

	var request EndRequest
	var out activities.Outcome
	var err error
	selector := workflow.NewSelector(ctx)
	selector.AddFuture(result, func(f workflow.Future) { err = f.Get(ctx, &out) })
	selector.AddReceive(ended, func(c workflow.ReceiveChannel, _ bool) {
		c.Receive(ctx, &request)
		if !request.Status.Terminal() { // sent by hand
			request.Status = openflow.TaskCanceled
		}
	})
	selector.Select(ctx)
	if request.Status != "" {
		cancel()
		err = result.Get(ctx, &out)
	}
	if err != nil || !out.Status.Terminal() {
		out = conclude(request, activities.FromTemporal(err))
		if err := call(ctx, reportDeadline, "record the end", running.RecordEnd, activities.End{Order: in, Outcome: out}, &out); err != nil {
			workflow.GetLogger(ctx).Error("end of the task not recorded", "task", in.Key.String(), "err", err)
		}
	}
	cancel()
	if !in.Report {
		return out.Status, nil
	}
	workflow.SetCurrentDetails(ctx, "reporting "+string(out.Status)+" to the scheduler, party "+string(in.Scheduler))
	err = call(ctx, reportDeadline, "report to "+string(in.Scheduler), running.ReportTask, activities.End{Order: in, Outcome: out}, nil)
	workflow.SetCurrentDetails(ctx, string(out.Status))
	if err != nil {
		workflow.GetLogger(ctx).Error("scheduler did not take the report", "task", in.Key.String(), "err", err)
	}
	return out.Status, nil
}

// conclude is the outcome of a run whose activity has none: it was told to end, or it could not be run at all.
func conclude(request EndRequest, err error) activities.Outcome {
	if request.Status != "" {
		return activities.Outcome{Status: request.Status, Error: request.Reason, Code: openflow.CodeCanceled}
	}
	code := openflow.CodeOf(err)
	if code == openflow.CodeDeadline {
		return activities.Outcome{Status: openflow.TaskTimeout, Error: "the run took longer than its timeout", Code: code}
	}
	if code == openflow.CodeCanceled {
		return activities.Outcome{Status: openflow.TaskCanceled, Error: "the run's workflow was canceled", Code: code}
	}
	msg := "the run ended without an outcome"
	if err != nil {
		msg = err.Error()
	}
	return activities.Outcome{Status: openflow.TaskFailed, Error: msg, Code: code}
}
