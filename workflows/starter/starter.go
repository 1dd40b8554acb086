// Package starter is openflow.Engine on a Temporal client: it starts workflows, sends them updates and signals, and
// turns Temporal's answers into the domain's errors. Nothing waits for a workflow's end here.
package starter

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	sdkclient "go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"

	"openflow"
	"openflow/activities"
	"openflow/workflows"
)

// Engine runs jobs and tasks on Temporal.
type Engine struct {
	Client    sdkclient.Client
	Namespace string
	Queue     string // task queue of this site
}

var _ openflow.Engine = (*Engine)(nil)

func (e *Engine) options(id, summary string) sdkclient.StartWorkflowOptions {
	return sdkclient.StartWorkflowOptions{
		ID: id, TaskQueue: e.Queue, StaticSummary: summary, EnableEagerStart: true,
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
		WorkflowIDReusePolicy:    enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE,
	}
}

// StartJob starts the job's workflow, or finds it, and waits for the update that answers when all parties have created
// the job. A job that has ended before is success: it was created once.
func (e *Engine) StartJob(ctx context.Context, p openflow.JobPlan) ([]string, error) {
	opts := e.options(workflows.JobWorkflowID(p.ID), "job "+string(p.ID)+": "+p.Name)
	opts.EnableEagerStart = false // update-with-start does not go with it
	describe(&opts, &p)
	var created workflows.Created
	err := ready(ctx, &created, func() (sdkclient.WorkflowUpdateHandle, error) {
		return e.Client.UpdateWithStartWorkflow(ctx, sdkclient.UpdateWithStartWorkflowOptions{
			StartWorkflowOperation: e.Client.NewWithStartWorkflowOperation(opts, workflows.Job, workflows.EncodePlan(p)), // good for one try
			UpdateOptions: sdkclient.UpdateWorkflowOptions{
				UpdateName: workflows.UpdateCreated, UpdateID: workflows.UpdateCreated, WorkflowID: opts.ID,
				WaitForStage: sdkclient.WorkflowUpdateStageCompleted,
			},
		})
	})
	if ended(err) {
		return nil, nil
	}
	return created.Warnings, fromTemporal("start job "+string(p.ID), err)
}

// settling bounds the two waits of a rerun: for the run before, which ends in milliseconds unless a party does not
// answer, and for the parties to open the job again.
const settling = 3 * time.Second

// JobRuns implements openflow.Engine.
func (e *Engine) JobRuns(ctx context.Context, id openflow.JobID) (bool, error) {
	what, workflow := "state of job "+string(id), workflows.JobWorkflowID(id)
	d, err := e.Client.DescribeWorkflow(ctx, workflow, "")
	if err = fromTemporal(what, err); openflow.CodeOf(err) == openflow.CodeNotFound {
		return false, nil // its retention is over
	}
	if err != nil || d.Status != enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING {
		return false, err
	}
	run := d.WorkflowExecution.RunID
	answer, err := e.Client.QueryWorkflow(ctx, workflow, run, workflows.QueryEnding)
	if err != nil {
		return false, fromTemporal(what, err)
	}
	var ending bool
	if err := answer.Get(&ending); err != nil || !ending {
		return !ending, fromTemporal(what, err)
	}
	wait, cancel := context.WithTimeout(ctx, settling)
	defer cancel()
	err = e.Client.GetWorkflow(wait, workflow, run).Get(wait, nil)
	var otherwise *temporal.WorkflowExecutionError
	if err == nil || errors.As(err, &otherwise) {
		return false, nil // that it has closed counts, not how
	}
	if err = fromTemporal(what, err); openflow.CodeOf(err) != openflow.CodeDeadline {
		return false, err
	}
	return false, openflow.Errorf(openflow.CodeConflict, "job %s is still ending: not all of its parties have been told", id).
		WithHint("try again when their nodes answer: openflow site list, openflow doctor")
}

// RerunJob implements openflow.Engine.
func (e *Engine) RerunJob(ctx context.Context, p openflow.JobPlan) error {
	opts := e.options(workflows.JobWorkflowID(p.ID), "job "+string(p.ID)+", again: "+p.Name)
	opts.WorkflowIDReusePolicy = enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE
	describe(&opts, &p)
	what := "run job " + string(p.ID) + " again"
	run, err := e.Client.ExecuteWorkflow(ctx, opts, workflows.Job, workflows.EncodePlan(p))
	if err != nil {
		return fromTemporal(what, err)
	}
	wait, cancel := context.WithTimeout(ctx, settling)
	defer cancel()
	err = e.await(wait, sdkclient.UpdateWorkflowOptions{
		WorkflowID: opts.ID, RunID: run.GetRunID(), UpdateName: workflows.UpdateCreated, UpdateID: workflows.UpdateCreated,
	}, nil)
	var closed *serviceerror.NotFound
	if ended(err) || errors.As(err, &closed) { // it has closed before it could answer, as where a party refuses it at once: its end tells
		err = run.Get(wait, nil)
	}
	err = fromTemporal(what, err)
	if openflow.CodeOf(err) == openflow.CodeDeadline && ctx.Err() == nil {
		return nil // the workflow waits for the party that is slow
	}
	return err
}

// await sends an update and waits for its result; nil: it has none.
func (e *Engine) await(ctx context.Context, u sdkclient.UpdateWorkflowOptions, result any) error {
	u.WaitForStage = sdkclient.WorkflowUpdateStageCompleted
	return ready(ctx, result, func() (sdkclient.WorkflowUpdateHandle, error) { return e.Client.UpdateWorkflow(ctx, u) })
}

// unready is how long a request waits for a workflow that cannot take it.
const unready = 30 * time.Second

// ready sends an update and waits for its result, and does so again while Temporal refuses it because the workflow's last
// steps came to nothing. That is so on a machine that is too busy to write them down in time. The workflow goes on by itself
// when it is not. The update must be good to repeat.
func ready(ctx context.Context, result any, update func() (sdkclient.WorkflowUpdateHandle, error)) error {
	_, err := backoff.Retry(ctx, func() (struct{}, error) {
		h, err := update()
		if err == nil {
			err = h.Get(ctx, result)
		}
		var notReady *serviceerror.WorkflowNotReady
		if err != nil && !errors.As(err, &notReady) {
			err = backoff.Permanent(err)
		}
		return struct{}{}, err
	}, backoff.WithMaxElapsedTime(unready), backoff.WithBackOff(&backoff.ExponentialBackOff{
		InitialInterval: 100 * time.Millisecond, Multiplier: 2, MaxInterval: 2 * time.Second,
	}))
	return err
}

// describe adds what the Temporal UI shows of a job and finds it by.
func describe(o *sdkclient.StartWorkflowOptions, p *openflow.JobPlan) {
	p.Revision = workflows.Revision
	o.TypedSearchAttributes = temporal.NewSearchAttributes(
		workflows.AttributeJob.ValueSet(string(p.ID)), workflows.AttributeScheduler.ValueSet(string(p.Scheduler)), workflows.AttributeParty.ValueSet(string(p.Initiator)),
		workflows.AttributeStatus.ValueSet(string(openflow.JobWaiting)),
	)
	parties := make([]string, len(p.Parties))
	for i, q := range p.Parties {
		parties[i] = q.String()
	}
	o.Memo = map[string]any{
		workflows.MemoName: p.Name, workflows.MemoInitiator: p.Initiator, workflows.MemoScheduler: p.Scheduler, workflows.MemoParties: strings.Join(parties, ", "),
	}
	if p.UserName != "" {
		o.Memo[workflows.MemoUser] = p.UserName
	}
}

// ended tells that the workflow has closed before it could take an update.
func ended(err error) bool {
	var started *serviceerror.WorkflowExecutionAlreadyStarted
	var failed *temporal.ApplicationError
	return errors.As(err, &started) || errors.As(err, &failed) && failed.Type() == endedType
}

// endedType is the type of Temporal's own failure of an update that was accepted and whose workflow closed before it ended.
const endedType = "AcceptedUpdateCompletedWorkflow"

// StopJob implements openflow.Engine. All requests are one update, so that nobody can fill the history with them. A repeat is
// told how far the stop is by then.
func (e *Engine) StopJob(ctx context.Context, id openflow.JobID, status openflow.JobStatus, reason string) (openflow.Stopped, error) {
	var s workflows.Stopped
	err := e.update(ctx, id, workflows.UpdateStop, workflows.UpdateStop, workflows.StopRequest{Status: status, Reason: reason}, &s)
	if err == nil && !s.Decode().Over() {
		return e.Stopped(ctx, id)
	}
	return s.Decode(), err
}

// Stopped implements openflow.Engine.
func (e *Engine) Stopped(ctx context.Context, id openflow.JobID) (openflow.Stopped, error) {
	var s workflows.Stopped
	what, workflow := "state of job "+string(id), workflows.JobWorkflowID(id)
	run, err := e.running(ctx, id, "")
	if err != nil {
		return openflow.Stopped{}, err
	}
	answer, err := e.Client.QueryWorkflow(ctx, workflow, run, workflows.QueryStopped)
	if err == nil {
		err = answer.Get(&s)
	}
	if err == nil {
		return s.Decode(), nil
	}
	if _, ended := e.running(ctx, id, run); ended != nil {
		return openflow.Stopped{}, ended // it has closed meanwhile, and such a workflow is not asked
	}
	return openflow.Stopped{}, fromTemporal(what, err)
}

// running returns the run of a job's workflow that is open; CodeNotFound: it has closed. No run asks for the latest one.
func (e *Engine) running(ctx context.Context, id openflow.JobID, run string) (string, error) {
	d, err := e.Client.DescribeWorkflow(ctx, workflows.JobWorkflowID(id), run)
	if err != nil {
		return "", fromTemporal("state of job "+string(id), err)
	}
	if d.Status != enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING {
		return "", openflow.Errorf(openflow.CodeNotFound, "job %s has ended", id)
	}
	return d.WorkflowExecution.RunID, nil
}

// ReportTask hands a report to a running job. The update's ID makes a repeated report one update.
func (e *Engine) ReportTask(ctx context.Context, r openflow.Report) error {
	err := e.update(ctx, r.Key.Job, workflows.UpdateReport, fmt.Sprintf("%s/%s", r.Key.RunID(), r.Status), activities.EncodeReport(r), nil)
	switch openflow.CodeOf(err) {
	case workflows.ErrorStale:
		return nil
	case workflows.ErrorEarly:
		return openflow.Errorf(openflow.CodeUnavailable, "%s has not been started", r.Key).WithHint("report it again later")
	}
	return err
}

func (e *Engine) update(ctx context.Context, job openflow.JobID, name, id string, arg, result any) error {
	err := e.await(ctx, sdkclient.UpdateWorkflowOptions{
		WorkflowID: workflows.JobWorkflowID(job), UpdateName: name, UpdateID: id, Args: []any{arg},
	}, result)
	if ended(err) {
		return openflow.Errorf(openflow.CodeNotFound, "job %s has ended", job)
	}
	return fromTemporal(name+" of job "+string(job), err)
}

// WakeJobs signals jobs that wait for resources. One that has ended meanwhile needs no waking.
func (e *Engine) WakeJobs(ctx context.Context, ids []openflow.JobID) (err error) {
	for _, id := range ids { // one that cannot be woken keeps no other
		wrong := fromTemporal("wake job "+string(id), e.Client.SignalWorkflow(ctx, workflows.JobWorkflowID(id), "", workflows.SignalWake, nil))
		if openflow.CodeOf(wrong) != openflow.CodeNotFound {
			err = errors.Join(err, wrong)
		}
	}
	return err
}

// StartTask starts the workflow of a run. It exists when this returns, started now or before.
func (e *Engine) StartTask(ctx context.Context, o openflow.TaskOrder) error {
	opts := e.runOptions(&o, fmt.Sprintf("%s: %s as %s", o.Key.Task, o.Component, o.Key.Party.Role))
	_, err := e.Client.ExecuteWorkflow(ctx, opts, workflows.Task, activities.EncodeOrder(o))
	if ended(err) {
		return nil
	}
	return fromTemporal("start "+o.Key.String(), err)
}

// runOptions adds what the Temporal UI shows of a run and finds it by.
func (e *Engine) runOptions(o *openflow.TaskOrder, summary string) sdkclient.StartWorkflowOptions {
	opts := e.options(workflows.TaskWorkflowID(o.Key), summary)
	opts.TypedSearchAttributes = temporal.NewSearchAttributes(
		workflows.AttributeJob.ValueSet(string(o.Key.Job)), workflows.AttributeScheduler.ValueSet(string(o.Key.Scheduler)),
		workflows.AttributeTask.ValueSet(string(o.Key.Task)),
		workflows.AttributeParty.ValueSet(string(o.Key.Party.ID)), workflows.AttributeRole.ValueSet(string(o.Key.Party.Role)),
		workflows.AttributeComponent.ValueSet(o.Component), workflows.AttributeStatus.ValueSet(string(openflow.TaskRunning)),
	)
	opts.Memo = map[string]any{workflows.MemoScheduler: o.Key.Scheduler}
	o.Revision = workflows.Revision
	return opts
}

// StopTask implements openflow.Engine: the first wish counts, and a repeat of it leaves no trace in the history.
func (e *Engine) StopTask(ctx context.Context, k openflow.TaskKey, status openflow.TaskStatus, reason string) error {
	return fromTemporal("stop "+k.String(), e.signal(ctx, workflows.TaskWorkflowID(k), workflows.SignalEnd, workflows.SignalEnd,
		workflows.EndRequest{Status: status, Reason: reason}))
}

// signal sends a signal once to a workflow: Temporal drops one with an ID that the workflow has had.
func (e *Engine) signal(ctx context.Context, workflow, name, id string, arg any) error {
	input, err := converter.GetDefaultDataConverter().ToPayloads(arg)
	if err != nil {
		return err
	}
	_, err = e.Client.WorkflowService().SignalWorkflowExecution(ctx, &workflowservice.SignalWorkflowExecutionRequest{
		Namespace: e.Namespace, WorkflowExecution: &commonpb.WorkflowExecution{WorkflowId: workflow}, SignalName: name, Input: input, RequestId: id,
	})
	return err
}

func fromTemporal(what string, err error) error {
	if err == nil {
		return nil
	}
	var app *temporal.ApplicationError
	if errors.As(err, &app) {
		return activities.FromTemporal(err)
	}
	var notFound *serviceerror.NotFound
	var unavailable *serviceerror.Unavailable
	var exhausted *serviceerror.ResourceExhausted
	var late *serviceerror.DeadlineExceeded
	var notReady *serviceerror.WorkflowNotReady
	switch {
	case errors.As(err, &notFound):
		return openflow.Errorf(openflow.CodeNotFound, "%s: no such workflow: %w", what, err)
	case errors.As(err, &unavailable), errors.As(err, &exhausted):
		return openflow.Errorf(openflow.CodeUnavailable, "%s: Temporal does not answer: %w", what, err)
	case errors.As(err, &notReady):
		return openflow.Errorf(openflow.CodeUnavailable, "%s: this node is too busy to go on with the job now: %w", what, err).
			WithHint("the job goes on when it is not: openflow job show, openflow doctor")
	case errors.As(err, &late), errors.Is(err, context.DeadlineExceeded):
		return openflow.Errorf(openflow.CodeDeadline, "%s: no answer in time: %w", what, err)
	}
	return openflow.Errorf(openflow.CodeOf(err), "%s: %w", what, err)
}
