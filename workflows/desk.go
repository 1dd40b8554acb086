package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"openflow"
	"openflow/activities"
	"openflow/workflows/plan"
)

// stopPatience is how long somebody who stops a job is kept waiting for the news that nothing of it runs any more.
const stopPatience = 5 * time.Second

// desk is where others reach a job's workflow, whatever it does meanwhile: parties that report, people who stop the job or
// ask for it, and the workflow's own calls with what they have learnt.
type desk struct {
	wake    workflow.ReceiveChannel // a party calls: resources may have become free
	created once[plan.Creation]     // all parties have answered the creation: how
	stop    once[plan.Ending]       // somebody wants the job to end
	ending  once[*plan.Farewell]    // the job has ended, and that is being told
	settled once[struct{}]          // nothing of the job is left, or there is no use in asking further
	reports int                     // that were taken
	waits   string                  // why the job waits for its resources, while it does; admit writes it
	learnt  workflow.Channel        // of func(): what calls beside the main coroutine have learnt
}

// once is a value that is given once: the first one stands. Whoever needs it waits until it is given.
type once[T any] struct {
	value T
	given bool
}

func (o *once[T]) give(v T) {
	if !o.given {
		o.value, o.given = v, true
	}
}

// manyCalls is how many calls may have learnt something before the main coroutine takes it over. More wait.
const manyCalls = 1000

// openDesk opens the desk of a job. Reports of its tasks are taken over as they come: whether one changes anything is
// decided before it is written to the history.
func openDesk(ctx workflow.Context, tasks *plan.State) (*desk, error) {
	d := &desk{wake: workflow.GetSignalChannel(ctx, SignalWake), learnt: workflow.NewBufferedChannel(ctx, manyCalls)}
	abandon := workflow.UpdateHandlerOptions{UnfinishedPolicy: workflow.HandlerUnfinishedPolicyAbandon}
	created := func(ctx workflow.Context) (Created, error) {
		if err := workflow.Await(ctx, func() bool { return d.created.given }); err != nil {
			return Created{}, err
		}
		return Created{Warnings: d.created.value.Warnings}, activities.ToTemporal(d.created.value.Refusal)
	}
	report := func(_ workflow.Context, r activities.Report) error {
		d.reports++
		tasks.Report(r.Decode())
		return nil
	}
	stop := func(ctx workflow.Context, r StopRequest) (Stopped, error) {
		d.stop.give(plan.Stop(r.Status, r.Reason))
		_, err := workflow.AwaitWithTimeout(ctx, stopPatience, func() bool { return d.settled.given })
		return EncodeStopped(d.stopped()), err
	}
	if err := workflow.SetUpdateHandlerWithOptions(ctx, UpdateCreated, created, abandon); err != nil {
		return nil, err
	}
	// What changes nothing is turned away, so that no party can fill the history, or use up the updates that Temporal allows.
	// What a job of very many runs cannot take any more is asked for.
	fresh := abandon
	fresh.Validator = func(r activities.Report) error {
		if tasks.Unstarted(r.Decode()) {
			return temporal.NewApplicationError("the run has not been started", ErrorEarly)
		}
		if d.reports >= maxReports || !tasks.Takes(r.Decode()) {
			return temporal.NewApplicationError("the report changes nothing", ErrorStale)
		}
		return nil
	}
	if err := workflow.SetUpdateHandlerWithOptions(ctx, UpdateReport, report, fresh); err != nil {
		return nil, err
	}
	if err := workflow.SetUpdateHandlerWithOptions(ctx, UpdateStop, stop, abandon); err != nil {
		return nil, err
	}
	if err := workflow.SetQueryHandler(ctx, QueryStopped, func() (Stopped, error) { return EncodeStopped(d.stopped()), nil }); err != nil {
		return nil, err
	}
	return d, workflow.SetQueryHandler(ctx, QueryEnding, func() (bool, error) { return d.ending.given, nil })
}

// stopped is how far the end of the job has come. One that has not ended may wait for its resources.
func (d *desk) stopped() openflow.Stopped {
	if !d.ending.given {
		return openflow.Stopped{Reason: d.waits}
	}
	return d.ending.value.Standing()
}

// post hands to the main coroutine what a call beside it has learnt: only the main one takes over how the job stands.
func (d *desk) post(ctx workflow.Context, learnt func()) { d.learnt.Send(ctx, learnt) }

// take takes over what the calls have learnt so far.
func (d *desk) take() {
	var learnt func()
	for d.learnt.ReceiveAsync(&learnt) {
		learnt()
	}
}

// await waits until the condition holds, and takes over meanwhile what the calls learn.
func (d *desk) await(ctx workflow.Context, holds func() bool) error {
	return workflow.Await(ctx, func() bool { d.take(); return holds() })
}

// awaitFor is await, for that long at most.
func (d *desk) awaitFor(ctx workflow.Context, patience time.Duration, holds func() bool) {
	_, _ = workflow.AwaitWithTimeout(ctx, patience, func() bool { d.take(); return holds() }) // whoever waits looks again
}
