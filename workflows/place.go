package workflows

import (
	"errors"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"openflow"
	"openflow/activities"
)

// These only name the activities, so that the compiler checks them.
var (
	choosing *activities.Choosing
	placing  *activities.Placing
)

const (
	// impatience is how long a run waits for a machine before its reason is told.
	impatience = 2 * time.Second
	// courtesy is how long a run waits for a machine with a core free, before it is urgent.
	courtesy = 10 * time.Second
	// recordDeadline is how long a machine may take to end a run that has no outcome; recordStart to begin with it.
	recordDeadline = time.Minute
	recordStart    = 10 * time.Second
)

// onMachine has an activity done by the worker of one machine. The worker gets that long to take it up, at first and after
// each attempt that was lost with an earlier process.
func onMachine(ctx workflow.Context, machine string, within time.Duration) workflow.Context {
	return workflow.WithScheduleToStartTimeout(workflow.WithTaskQueue(ctx, MachineQueue(machine)), within)
}

// findPlace lets a machine of the pool take the run: one that has a core free, and soon any. Otherwise two sites whose
// machines have taken different jobs would wait for each other for ever. Being slow is better. A run without cores waits
// for none. Where no worker may run it, that ends at the order's deadline. CodeUnavailable: none came. Without a pool
// the place is the node itself.
func (t task) findPlace(ctx workflow.Context, wish *wish) (activities.Place, error) {
	if t.Pool == nil {
		return activities.Place{}, nil
	}
	began, wait := workflow.Now(ctx), t.Pool.Wait
	if t.Cores > 0 {
		polite := min(courtesy, wait/2)
		if place, err := t.choose(ctx, wish, PoolQueue(t.Label), polite); err == nil || !neverStarted(err) {
			return place, err
		}
		t.tellWait(ctx)
		wait -= polite
	}
	for {
		place, err := t.choose(ctx, wish, UrgentQueue(t.Label), wait)
		if err == nil || !neverStarted(err) {
			return place, err
		}
		why := t.tellWait(ctx)
		if why.Workers == 0 && why.Reason != "" {
			waited := workflow.Now(ctx).Sub(began)
			return activities.Place{}, openflow.Errorf(openflow.CodeUnavailable, "%s took the task within %s", why.Reason, waited).
				WithPublic("%s took the task within %s", why.Reason, waited).WithHint("start one: openflow worker")
		}
	}
}

// choose offers the run to the pool once. A run that waits for longer than a moment tells why.
func (t task) choose(ctx workflow.Context, wish *wish, queue string, within time.Duration) (place activities.Place, err error) {
	offer := workflow.WithActivityOptions(wish.run, workflow.ActivityOptions{
		TaskQueue:              queue,
		ScheduleToStartTimeout: within,
		StartToCloseTimeout:    10 * time.Second,
		Summary:                "machine for " + t.Component,
		RetryPolicy:            &temporal.RetryPolicy{InitialInterval: 200 * time.Millisecond, MaximumInterval: 5 * time.Second},
	})
	answer := workflow.ExecuteActivity(offer, choosing.ChooseMachine, activities.EncodeOrder(t.TaskOrder))
	waits, stop := workflow.WithCancel(ctx)
	defer stop()
	beside := workflow.NewSelector(ctx)
	beside.AddFuture(workflow.NewTimer(waits, impatience), func(workflow.Future) { t.tellWait(ctx) })
	err = wish.await(ctx, beside, answer, &place)
	return place, err
}

// tellWait shows why the run waits. That it cannot be told now says nothing about the workers.
func (t task) tellWait(ctx workflow.Context) (w activities.Waiting) {
	if err := call(ctx, 0, "tell why it waits", placing.TellWait, activities.EncodeOrder(t.TaskOrder), &w); err != nil {
		workflow.GetLogger(ctx).Warn("reason of a wait not told", "task", t.Key.String(), "err", err)
		return activities.Waiting{}
	}
	detail(ctx, w.Reason)
	return w
}

// neverStarted tells that no worker has taken an activity up in time.
func neverStarted(err error) bool {
	var timeout *temporal.TimeoutError
	return errors.As(err, &timeout) && timeout.TimeoutType() == enumspb.TIMEOUT_TYPE_SCHEDULE_TO_START
}

// gone is the error of a run whose machine is silent for too long; nil when that is not why it has no outcome. The run
// may be tried again, as another version: its container is never taken up by another machine.
func (t task) gone(place activities.Place, err error) error {
	if place.Machine == "" || !neverStarted(err) {
		return nil
	}
	return openflow.Errorf(openflow.CodeUnavailable, "machine %s is gone: its worker has not come back within %s", place, t.Pool.Gone).
		WithPublic("the machine that ran it is gone: its worker has not come back within %s", t.Pool.Gone)
}
