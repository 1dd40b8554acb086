package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"openflow"
	"openflow/activities"
	"openflow/store/document"
)

// running only names the activities, so that the compiler checks them.
var running *activities.Running

// reportDeadline is how long a party offers the end of a run to a scheduler that does not answer, or refuses its signature.
const reportDeadline = 7 * 24 * time.Hour

// Task runs one task version at one party. It finds a machine for it where the site has a pool, and follows the
// container to its end. In a push job it reports that end until the scheduler has acknowledged it. A failing algorithm
// is a result, with which the workflow fails; see [closing].
//
// Steps 5 to 9 of docs/job-life.md.
func Task(ctx workflow.Context, input activities.TaskOrder) (openflow.TaskStatus, error) {
	in := input.Decode()
	detail(ctx, "running "+in.Component)
	run, cancel := workflow.WithCancel(ctx)
	ctx, _ = workflow.NewDisconnectedContext(ctx) // a canceled workflow still has its end to record and to report
	t := &taskRun{order: in, run: run, cancel: cancel, ended: workflow.GetSignalChannel(ctx, SignalEnd)}
	out := t.toItsEnd(ctx)
	cancel()
	show(ctx, string(out.Status))
	end := closing(out.Status, out.Error, out.Cause.Code)
	if !in.Report {
		detail(ctx, warned(sentence(string(out.Status), out.Error), out.Warnings))
		return out.Status, end
	}
	detail(ctx, "reporting "+string(out.Status)+" to the scheduler, party "+string(in.Key.Scheduler))
	err := call(ctx, reportDeadline, "report to "+string(in.Key.Scheduler), running.ReportTask, activities.End{Order: input, Outcome: out}, nil)
	detail(ctx, warned(sentence(string(out.Status), out.Error), out.Warnings))
	if err != nil {
		workflow.GetLogger(ctx).Error("scheduler did not take the report", "task", in.Key.String(), "err", err)
	}
	return out.Status, end
}

// taskRun is one run of the task workflow.
type taskRun struct {
	order   openflow.TaskOrder
	run     workflow.Context // canceled when the run is to end
	cancel  func()
	ended   workflow.ReceiveChannel
	request EndRequest       // somebody asks for the end; empty: nobody
	place   activities.Place // empty: the node itself
}

// toItsEnd runs the task and returns the outcome on record.
func (t *taskRun) toItsEnd(ctx workflow.Context) (out activities.Outcome) {
	var err error
	if t.order.Pool != nil {
		if err = t.findPlace(ctx); err == nil {
			detail(ctx, "running "+t.order.Component+" on machine "+t.place.String())
		}
	}
	if err == nil {
		err = t.await(ctx, workflow.ExecuteActivity(t.following(), running.RunTask, activities.EncodeOrder(t.order)), &out)
	}
	if err == nil && out.Status.Terminal() {
		return out
	}
	gone := t.gone(err)
	if gone != nil {
		err = gone
	}
	return t.record(ctx, conclude(t.request, activities.FromTemporal(err)), gone == nil)
}

// following is how the container's activity is run: by the machine that has it, when there is a pool.
func (t *taskRun) following() workflow.Context {
	ctx := following(t.run, t.order.Timeout, t.order.Component)
	if t.place.Machine == "" {
		return ctx
	}
	return onMachine(ctx, t.place.Machine, t.order.Pool.Gone)
}

// await waits for an activity of the run, and cancels it when somebody asks for the end.
func (t *taskRun) await(ctx workflow.Context, f workflow.Future, result any) (err error) {
	if t.request.Status == "" {
		selector := workflow.NewSelector(ctx)
		selector.AddFuture(f, func(f workflow.Future) { err = f.Get(ctx, result) })
		selector.AddReceive(t.ended, t.receive(ctx))
		selector.Select(ctx)
	}
	if t.request.Status != "" {
		t.cancel()
		err = f.Get(ctx, result)
	}
	return err
}

func (t *taskRun) receive(ctx workflow.Context) func(workflow.ReceiveChannel, bool) {
	return func(c workflow.ReceiveChannel, _ bool) {
		var request EndRequest // a fresh one: what is left out of a document keeps what is there
		c.Receive(ctx, &request)
		t.request = request
		if !t.request.Status.Terminal() { // sent by hand
			t.request.Status = openflow.TaskCanceled
		}
	}
}

// record writes the outcome of a run whose activity has none. Where a machine may have the container still, that machine
// stops it and keeps its log; otherwise, and when it does not answer, the machine's worker sweeps it once it is back.
func (t *taskRun) record(ctx workflow.Context, out activities.Outcome, reachable bool) activities.Outcome {
	end := activities.End{Order: activities.EncodeOrder(t.order), Outcome: out}
	var recorded activities.Outcome
	if reachable && t.place.Machine != "" {
		ctx := onMachine(untilDeadline(ctx, recordDeadline, "record the end"), t.place.Machine, recordStart)
		if workflow.ExecuteActivity(ctx, running.RecordEnd, end).Get(ctx, &recorded) == nil {
			return recorded
		}
	}
	if err := call(ctx, reportDeadline, "record the end", running.RecordEnd, end, &recorded); err != nil {
		workflow.GetLogger(ctx).Error("end of the task not recorded", "task", t.order.Key.String(), "err", err)
		return out
	}
	return recorded
}

// conclude is the outcome of a run whose activity has none: it was told to end, or it could not be run at all.
func conclude(request EndRequest, err error) activities.Outcome {
	if request.Status != "" {
		return activities.Outcome{Status: request.Status, Error: request.Reason, Cause: document.Cause{Code: openflow.CodeCanceled, Consequence: true}}
	}
	if err == nil {
		err = openflow.Errorf(openflow.CodeInternal, "the run ended without an outcome")
	}
	out := activities.NotRun(err)
	switch out.Cause.Code {
	case openflow.CodeDeadline:
		out.Status, out.Error = openflow.TaskTimeout, "the run took longer than its timeout"
		out.Cause.Text = out.Error
	case openflow.CodeCanceled:
		out.Status, out.Error = openflow.TaskCanceled, "the run's workflow was canceled"
		out.Cause.Text = out.Error
	}
	return out
}
