package activities

import (
	"cmp"
	"context"
	"io"
	"log/slog"
	"time"

	"go.temporal.io/sdk/activity"

	"openflow"
	"openflow/runtime/driver"
	"openflow/store/document"
)

// TaskStore is what a party remembers of its runs.
type TaskStore interface {
	Task(ctx context.Context, k openflow.TaskKey) (openflow.TaskRecord, error)
	// StartTask moves a waiting run to running and notes where it runs, and what; one that runs there already is left alone.
	StartTask(ctx context.Context, k openflow.TaskKey, at openflow.Launch) (bool, error)
	// FinishTask records the outcome and returns the run's cores, in one step. A recorded outcome is final.
	FinishTask(ctx context.Context, k openflow.TaskKey, end openflow.TaskEnd) (bool, error)
}

// Launcher turns a run into a container.
type Launcher interface {
	// Spec is a pure function of the run and the node: the same run gives the same name and labels. It also says what is in the
	// container.
	Spec(ctx context.Context, r openflow.TaskRecord) (driver.Spec, openflow.Launch, error)
}

// LogStore keeps what a container has written. It returns the digest that the log is found by.
type LogStore interface {
	PutLog(ctx context.Context, write func(stdout, stderr io.Writer) error) (digest string, err error)
}

// Running holds the activities of a task workflow.
type Running struct {
	Self      openflow.PartyID
	Tasks     TaskStore
	Runtime   driver.Runtime
	Launcher  Launcher
	Logs      LogStore
	Directory openflow.Directory // not needed where ReportTask is never called: on the machines of a pool
	Machine   *Machine           // whose cores the runs take; nil: nobody counts
	Ahead     *Ahead             // makes the containers of what follows; nil: nobody does
	// Reported is told each time how it went that a scheduler was told of a run's end, and whether it is told again; nil: nobody is.
	Reported func(k openflow.TaskKey, err error, again bool)
	Log      *slog.Logger
}

// beat is the time between two heartbeats. A cancellation reaches a worker in the answer to one.
const beat = time.Second

// stopGrace is what a program gets between TERM and KILL.
const stopGrace = 5 * time.Second

// RunTask makes the run's container exist, starts it, and follows it to its end. A second attempt, after a crash of the
// node, adopts the container by its name, whatever state it is in. Nothing is removed before its outcome is recorded.
func (r *Running) RunTask(ctx context.Context, in TaskOrder) (Outcome, error) {
	o := in.Decode()
	defer r.Machine.follow(o.Key.RunID(), o.Cores)()
	rec, err := r.Tasks.Task(ctx, o.Key)
	if err != nil {
		return Outcome{}, ToTemporal(err)
	}
	if rec.PartyStatus.Terminal() && rec.ContainerName == "" { // it was taken over from an earlier job: nothing has run here
		return recorded(rec), nil
	}
	spec, of, err := r.Launcher.Spec(ctx, rec)
	made := false
	if err != nil {
		if made, err = r.adoptable(ctx, rec, err); !made {
			return r.unable(ctx, rec, err)
		}
		spec.Name, of = rec.ContainerName, openflow.Launch{Container: rec.ContainerName, Provider: rec.Provider, Digest: rec.ProgramDigest}
	}
	if rec.PartyStatus.Terminal() {
		r.remove(ctx, spec.Name)
		return recorded(rec), nil
	}
	of.Runtime = r.Runtime.Kind()
	if !made {
		r.Ahead.Take(spec.Name)
		if err := r.ensure(ctx, spec); err != nil {
			return r.unable(ctx, rec, err)
		}
	}
	st, err := r.launch(ctx, o, rec, of)
	if err == nil && spec.Resident != nil {
		st, err = r.repeat(ctx, o, st)
	}
	if err != nil {
		return r.unable(ctx, rec, err)
	}
	return r.settle(ctx, o, st)
}

// repeat runs again, in a container of its own, what has ended with the resident container that served it. It leaves a run as it has
// ended that somebody has stopped, that has said why it failed, or that speaks with other parties. Those have heard a part of it
// already, so all of them begin anew, or nobody: the job's automatic retries do that.
func (r *Running) repeat(ctx context.Context, o openflow.TaskOrder, st driver.Status) (driver.Status, error) {
	if !st.Resident || !st.Interrupted || st.Reason == timeoutReason {
		return st, nil
	}
	rec, err := r.Tasks.Task(ctx, o.Key)
	if err != nil || rec.Killed || rec.Reported == openflow.TaskFailed || rec.Protocol != (openflow.Protocol{}) {
		return st, err
	}
	r.Log.WarnContext(ctx, "a run has ended with its resident container, and is run again in one of its own", "run", o.Key.String(), "why", st.Reason)
	spec, of, err := r.Launcher.Spec(ctx, rec) // by the site's policy as it is now: the one that has ended may be of long ago
	if err != nil {
		return st, err
	}
	spec.Resident, of.Runtime = nil, r.Runtime.Kind()
	if err := r.ensure(ctx, spec); err != nil {
		return st, err
	}
	return r.launch(ctx, o, rec, of)
}

// ensure makes the container exist. One that has never run may have been made ahead, or by an attempt before, of something
// else than today's: of another program, say, or policy. It is made again.
func (r *Running) ensure(ctx context.Context, spec driver.Spec) error {
	st, err := r.Runtime.Ensure(ctx, spec)
	if err != nil || st.State != driver.StateCreated || st.Made == spec.Made {
		return err
	}
	err = r.Runtime.Remove(ctx, spec.Name)
	if openflow.CodeOf(err) == openflow.CodeConflict {
		return nil // another attempt has started it: it is adopted
	}
	if err == nil {
		_, err = r.Runtime.Ensure(ctx, spec)
	}
	return err
}

// adoptable reports whether the container of a run has run that could not be described again, such as when its program has
// changed since: that one is followed all the same. Otherwise it returns why it could not. One that has never run is removed:
// what the policy refuses today becomes no process.
func (r *Running) adoptable(ctx context.Context, rec openflow.TaskRecord, why error) (bool, error) {
	if rec.ContainerName == "" {
		return false, why
	}
	st, err := r.Runtime.Inspect(ctx, rec.ContainerName)
	if err == nil && st.State == driver.StateCreated {
		err = r.Runtime.Remove(ctx, rec.ContainerName)
		if openflow.CodeOf(err) == openflow.CodeConflict {
			return true, nil // another attempt, which could describe it, has started it
		}
		if err == nil {
			return false, why
		}
	}
	if openflow.CodeOf(err) == openflow.CodeNotFound {
		return false, why
	}
	return err == nil, err
}

// unable tells what becomes of a run that could not be followed to its end: another attempt, unless none could help. That
// this attempt was called off says nothing about the run.
func (r *Running) unable(ctx context.Context, rec openflow.TaskRecord, err error) (Outcome, error) {
	if ctx.Err() != nil {
		return Outcome{}, ctx.Err()
	}
	code := openflow.CodeOf(err)
	if code.Retryable() {
		return Outcome{}, ToTemporal(err)
	}
	return r.finish(ctx, rec, driver.Status{}, NotRun(err))
}

// NotRun is the outcome of a run that the node could not get done. What a daemon or a file system has said of that stays
// at this party.
func NotRun(err error) Outcome {
	out := failed(openflow.CodeOf(err), "its node could not run it")
	out.Error = openflow.Heard(err.Error())
	if text := openflow.PublicText(err); text != "" {
		out.Cause.Text = text
	}
	return out
}

func recorded(rec openflow.TaskRecord) Outcome {
	return Outcome{Status: rec.PartyStatus, Error: cmp.Or(rec.Reason, rec.ErrorReport), Cause: document.Cause(rec.Cause), Warnings: rec.Warnings}
}

// launch starts the container and waits for it. The run's timeout counts from its first start, across adoptions.
func (r *Running) launch(ctx context.Context, o openflow.TaskOrder, rec openflow.TaskRecord, of openflow.Launch) (driver.Status, error) {
	if _, err := r.Tasks.StartTask(ctx, o.Key, of); err != nil {
		return driver.Status{}, err
	}
	if err := r.start(ctx, of.Container); err != nil {
		return driver.Status{}, err
	}
	left := o.Timeout
	if !rec.StartTime.IsZero() {
		left = max(o.Timeout-time.Since(rec.StartTime), time.Millisecond)
	}
	return r.follow(ctx, o.Key, of.Container, left)
}

// start starts the container. One that is gone had never run, or its outcome is on record: the next attempt finds out.
func (r *Running) start(ctx context.Context, name string) error {
	err := r.Runtime.Start(ctx, name)
	if openflow.CodeOf(err) == openflow.CodeNotFound {
		return openflow.Errorf(openflow.CodeUnavailable, "container %q was removed before it could start", name)
	}
	return err
}

type exited struct {
	status driver.Status
	err    error
}

// follow waits for the exit, heartbeating. On its own context's end it decides whose end that is: the node shuts down
// or another attempt has taken over, and the container goes on; or somebody wants the run to end.
func (r *Running) follow(ctx context.Context, k openflow.TaskKey, name string, timeout time.Duration) (driver.Status, error) {
	wctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	ch := make(chan exited, 1)
	go func() {
		st, err := r.Runtime.Wait(wctx, name)
		ch <- exited{st, err}
	}()
	tick := time.NewTicker(beat)
	defer tick.Stop()
	deadline := time.NewTimer(timeout)
	defer deadline.Stop()
	for {
		select {
		case e := <-ch:
			return e.status, e.err
		case <-tick.C:
			activity.RecordHeartbeat(ctx, name)
		case <-deadline.C:
			if err := r.Runtime.Stop(wctx, name, stopGrace); err != nil {
				return driver.Status{}, err
			}
			e := <-ch
			e.status.Reason = timeoutReason
			return e.status, e.err
		case <-activity.GetWorkerStopChannel(ctx):
			// Nothing is wrong: the next process takes the container up at once.
			return driver.Status{}, openflow.Errorf(openflow.CodeUnavailable, "this node stops; container %q goes on", name)
		case <-ctx.Done():
			return r.leave(ctx, wctx, k, name, ch)
		}
	}
}

// timeoutReason marks a container that was stopped because its time was up.
const timeoutReason = "timeout"

func (r *Running) leave(ctx, wctx context.Context, k openflow.TaskKey, name string, ch <-chan exited) (driver.Status, error) {
	select {
	case <-activity.GetWorkerStopChannel(ctx):
		return driver.Status{}, ctx.Err()
	default:
	}
	rec, err := r.Tasks.Task(wctx, k)
	if err != nil || !rec.Killed {
		return driver.Status{}, ctx.Err()
	}
	if err := r.Runtime.Stop(wctx, name, stopGrace); err != nil {
		return driver.Status{}, err
	}
	e := <-ch
	return e.status, e.err
}

// settle judges the exit and records it.
func (r *Running) settle(ctx context.Context, o openflow.TaskOrder, st driver.Status) (Outcome, error) {
	ctx = context.WithoutCancel(ctx)
	rec, err := r.Tasks.Task(ctx, o.Key)
	if err != nil {
		return Outcome{}, ToTemporal(err)
	}
	out := Judge(rec, st)
	if out.Status.Succeeded() && o.Pool == nil {
		r.Ahead.Succeeded(o.Key)
	}
	return r.finish(ctx, rec, st, out)
}

// finish records the outcome and returns the one on record: another attempt may have been faster.
func (r *Running) finish(ctx context.Context, rec openflow.TaskRecord, st driver.Status, out Outcome) (Outcome, error) {
	out.Warnings = rec.Warnings
	end := openflow.TaskEnd{Status: out.Status, Reason: out.Error, ErrorReport: rec.ErrorReport, Cause: openflow.Cause(out.Cause)}
	if st.Name != "" {
		if !st.Lost {
			end.ExitCode = &st.ExitCode
		}
		digest, err := r.Logs.PutLog(ctx, func(stdout, stderr io.Writer) error {
			return r.Runtime.Logs(ctx, st.Name, stdout, stderr)
		})
		if err != nil && openflow.CodeOf(err) != openflow.CodeNotFound {
			return Outcome{}, ToTemporal(err)
		}
		end.LogDigest = digest
	}
	_, err := r.Tasks.FinishTask(ctx, rec.Key, end)
	if openflow.CodeOf(err) == openflow.CodeConflict {
		if rec, err = r.Tasks.Task(ctx, rec.Key); err == nil {
			out = recorded(rec)
		}
	}
	if err != nil {
		return Outcome{}, ToTemporal(err)
	}
	if st.Name != "" {
		go r.remove(context.WithoutCancel(ctx), st.Name) // the sweeper repeats what a crash cuts short
	}
	return out, nil
}

func (r *Running) remove(ctx context.Context, name string) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if err := r.Runtime.Remove(ctx, name); err != nil {
		r.Log.Warn("container not removed; the sweeper tries again", "container", name, "err", err)
	}
}

// RecordEnd records the outcome of a run that RunTask could not conclude, and stops what may still run of it. It returns
// the outcome on record, which is another one when the run had ended before.
func (r *Running) RecordEnd(ctx context.Context, e End) (Outcome, error) {
	rec, err := r.Tasks.Task(ctx, e.Order.Run.Decode())
	if err != nil {
		return Outcome{}, ToTemporal(err)
	}
	ended, lost := rec.PartyStatus.Terminal(), e.Order.Lost != ""
	switch {
	case ended && !lost:
		return recorded(rec), nil
	case !ended && lost: // first: who still follows the container would take its stop for a failure of the program
		if _, err := r.finish(ctx, rec, driver.Status{}, e.Outcome); err != nil {
			return Outcome{}, err
		}
	case ended && rec.ContainerName == "":
		return recorded(rec), nil
	}
	var st driver.Status
	if rec.ContainerName != "" {
		if err := r.Runtime.Stop(ctx, rec.ContainerName, stopGrace); err != nil {
			return Outcome{}, ToTemporal(err)
		}
		st, err = r.Runtime.Inspect(ctx, rec.ContainerName)
		if err != nil && openflow.CodeOf(err) != openflow.CodeNotFound {
			return Outcome{}, ToTemporal(err)
		}
	}
	return r.finish(ctx, rec, st, e.Outcome)
}

// ReportTask tells the scheduler how the run ended. A scheduler that knows nothing of the job any more has no use for it.
// One that refuses its signature may take it later, when somebody has mended a key or a clock: a repeat may help.
func (r *Running) ReportTask(ctx context.Context, e End) error {
	scheduler, err := r.Directory.Scheduler(ctx, e.Order.Run.Scheduler)
	if err == nil {
		err = scheduler.ReportTask(ctx, r.Self, openflow.Report{
			Key: e.Order.Run.Decode(), Status: e.Outcome.Status, Cause: openflow.Cause(e.Outcome.Cause),
		})
	}
	if openflow.CodeOf(err) == openflow.CodeNotFound {
		err = nil
	}
	err = openflow.AtParty(e.Order.Run.Scheduler, err)
	again := mayPass(err)
	if r.Reported != nil {
		r.Reported(e.Order.Run.Decode(), err, again)
	}
	return carry(err, again)
}
