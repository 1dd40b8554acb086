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
// is a result, with which the workflow fails; see [closing]. One in the place of a workflow that is gone runs nothing: it
// ends the run.
//
// Steps 5 to 9 of docs/job-life.md.
func Task(ctx workflow.Context, input activities.TaskOrder) (openflow.TaskStatus, error) {
	t := task{input.Decode()}
	detail(ctx, "running "+t.Component)
	wish := listen(ctx)
	ctx, _ = workflow.NewDisconnectedContext(ctx) // a canceled workflow still has its end to record and to report

	ended := t.begin(ctx)
	var place activities.Place
	var out activities.Outcome
	var err error
	if t.Lost != "" {
		err = openflow.Errorf(openflow.CodeUnavailable, "%s", t.Lost).WithPublic(openflow.LostRunPublic)
	} else {
		place, err = t.findPlace(ctx, wish)
	}
	if err == nil {
		out, err = t.follow(ctx, wish, place)
	}
	if err != nil || !out.Status.Terminal() {
		out = t.record(ctx, place, wish.made, err)
	}
	wish.cancel()
	show(ctx, string(out.Status))
	ended()
	t.report(ctx, out)
	detail(ctx, warned(sentence(string(out.Status), out.Error), out.Warnings))
	return out.Status, closing(out.Status, out.Error, out.Cause.Code)
}

// task is what a task workflow has been started with. Nothing of it changes.
type task struct{ openflow.TaskOrder }

// wish is somebody's wish that a run ends early. It comes by a signal.
type wish struct {
	signal workflow.ReceiveChannel
	run    workflow.Context // of what the run does: canceled with the wish, or with the workflow
	cancel workflow.CancelFunc
	made   EndRequest // empty: nobody has
}

func listen(ctx workflow.Context) *wish {
	run, cancel := workflow.WithCancel(ctx)
	return &wish{signal: workflow.GetSignalChannel(ctx, SignalEnd), run: run, cancel: cancel}
}

// await waits for an activity of the run, and cancels it when somebody wishes for the end. Whatever else the selector
// waits for happens meanwhile.
func (w *wish) await(ctx workflow.Context, beside workflow.Selector, f workflow.Future, result any) error {
	beside.AddFuture(f, func(workflow.Future) {})
	beside.AddReceive(w.signal, func(c workflow.ReceiveChannel, _ bool) {
		var request EndRequest // a fresh one: what is left out of a document keeps what is there
		c.Receive(ctx, &request)
		if !request.Status.Terminal() { // sent by hand
			request.Status = openflow.TaskCanceled
		}
		w.made = request
	})
	for !f.IsReady() && w.made.Status == "" {
		beside.Select(ctx)
	}
	if w.made.Status != "" {
		w.cancel()
	}
	return f.Get(ctx, result)
}

// follow has the container made and followed to its end: by the machine that the run has found, when there is a pool.
func (t task) follow(ctx workflow.Context, wish *wish, place activities.Place) (out activities.Outcome, err error) {
	run := following(wish.run, t.Timeout, t.Component)
	if place.Machine != "" {
		detail(ctx, "running "+t.Component+" on machine "+place.String())
		run = onMachine(run, place.Machine, t.Pool.Gone)
	}
	err = wish.await(ctx, workflow.NewSelector(ctx), workflow.ExecuteActivity(run, running.RunTask, activities.EncodeOrder(t.TaskOrder)), &out)
	return out, err
}

// begin tells the scheduler that the run has begun, where it wants to hear that, beside everything else. When the run has ended
// there is no use in that any more: the report of the end says so too, to whom it must.
//
// Spec: fate-flow-api §2.5.7, §4.6.2.
func (t task) begin(ctx workflow.Context) (ended workflow.CancelFunc) {
	ctx, cancel := workflow.WithCancel(ctx)
	if t.Begun && t.Lost == "" {
		workflow.Go(ctx, func(ctx workflow.Context) { t.report(ctx, activities.Outcome{Status: openflow.TaskRunning}) })
	}
	return cancel
}

// report tells the scheduler how the run has ended, in a job whose parties report.
func (t task) report(ctx workflow.Context, out activities.Outcome) {
	if !t.Report {
		return
	}
	to := string(t.Key.Scheduler)
	if out.Status.Terminal() {
		detail(ctx, "reporting "+string(out.Status)+" to the scheduler, party "+to)
	}
	end := activities.End{Order: activities.EncodeOrder(t.TaskOrder), Outcome: out}
	if err := call(ctx, reportDeadline, "report to "+to, running.ReportTask, end, nil); err != nil && ctx.Err() == nil {
		workflow.GetLogger(ctx).Error("scheduler did not take the report", "task", t.Key.String(), "err", err)
	}
}

// record writes the outcome of a run whose activity has none, and returns the one on record. Where a machine may have the
// container still, that machine stops it and keeps its log; otherwise, and when it does not answer, the machine's worker
// sweeps it once it is back.
func (t task) record(ctx workflow.Context, place activities.Place, wish EndRequest, err error) activities.Outcome {
	gone := t.gone(place, err)
	if gone != nil {
		err = gone
	}
	end := activities.End{Order: activities.EncodeOrder(t.TaskOrder), Outcome: conclude(wish, activities.FromTemporal(err))}
	var recorded activities.Outcome
	if gone == nil && place.Machine != "" {
		ctx := onMachine(untilDeadline(ctx, recordDeadline, "record the end"), place.Machine, recordStart)
		if workflow.ExecuteActivity(ctx, running.RecordEnd, end).Get(ctx, &recorded) == nil {
			return recorded
		}
	}
	if err := call(ctx, reportDeadline, "record the end", running.RecordEnd, end, &recorded); err != nil {
		workflow.GetLogger(ctx).Error("end of the task not recorded", "task", t.Key.String(), "err", err)
		return end.Outcome
	}
	return recorded
}

// conclude is the outcome of a run whose activity has none: somebody wished for its end, or it could not be run at all.
func conclude(wish EndRequest, err error) activities.Outcome {
	if wish.Status != "" {
		return activities.Outcome{Status: wish.Status, Error: wish.Reason, Cause: document.Cause{Code: openflow.CodeCanceled, Consequence: true}}
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
