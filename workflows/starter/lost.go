package starter

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"

	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	sdkclient "go.temporal.io/sdk/client"

	"openflow"
	"openflow/activities"
	"openflow/workflows"
)

// openPage is how many workflows are listed at once.
const openPage = 1000

// The names of workflow types are those of their functions.
const (
	typeJob  = "Job"
	typeTask = "Task"
)

// OpenWorkflows implements openflow.Engine. Those of other types, as somebody may start by hand, are passed over.
func (e *Engine) OpenWorkflows(ctx context.Context, page string) (list []openflow.Workflow, next string, err error) {
	token, err := base64.StdEncoding.DecodeString(page)
	if err != nil {
		return nil, "", openflow.Errorf(openflow.CodeInvalid, "no page of workflows: %w", err)
	}
	answer, err := e.Client.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{
		Query: `ExecutionStatus = "Running"`, PageSize: openPage, NextPageToken: token,
	})
	if err != nil {
		return nil, "", fromTemporal("list workflows", err)
	}
	for _, w := range answer.GetExecutions() {
		id := w.GetExecution().GetWorkflowId()
		switch w.GetType().GetName() {
		case typeJob:
			list = append(list, openflow.Workflow{Job: openflow.JobID(id)})
		case typeTask:
			list = append(list, openflow.Workflow{Run: openflow.RunID(id)})
		}
	}
	return list, base64.StdEncoding.EncodeToString(answer.GetNextPageToken()), nil
}

func idOf(w openflow.Workflow) string {
	if w.Run != "" {
		return string(w.Run)
	}
	return workflows.JobWorkflowID(w.Job)
}

// Fate implements openflow.Engine. It asks for the workflow by its ID, since lists lag behind.
func (e *Engine) Fate(ctx context.Context, w openflow.Workflow) (openflow.Fate, error) {
	what := "state of " + w.String()
	d, err := e.Client.DescribeWorkflow(ctx, idOf(w), "")
	var none *serviceerror.NotFound
	if errors.As(err, &none) {
		return openflow.Fate{How: "it was deleted, or never started"}, nil
	}
	if err != nil {
		return openflow.Fate{}, fromTemporal(what, err)
	}
	f := openflow.Fate{Known: true, Instance: d.WorkflowExecution.RunID, Since: d.WorkflowStartTime}
	if d.Status == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING {
		f.Open = true
		return f, nil
	}
	f.How, err = e.how(ctx, d)
	return f, fromTemporal(what, err)
}

// how tells how a workflow has closed, and who closed it.
func (e *Engine) how(ctx context.Context, d *sdkclient.WorkflowExecutionDescription) (string, error) {
	last := e.Client.GetWorkflowHistory(ctx, d.WorkflowExecution.ID, d.WorkflowExecution.RunID, false, enumspb.HISTORY_EVENT_FILTER_TYPE_CLOSE_EVENT)
	for last.HasNext() {
		event, err := last.Next()
		if err != nil {
			return "", err
		}
		if t := event.GetWorkflowExecutionTerminatedEventAttributes(); t != nil {
			return terminated(t), nil
		}
	}
	switch d.Status {
	case enumspb.WORKFLOW_EXECUTION_STATUS_TERMINATED:
		return "terminated", nil
	case enumspb.WORKFLOW_EXECUTION_STATUS_TIMED_OUT:
		return "it timed out", nil
	}
	return "it closed before its end was recorded", nil
}

func terminated(t *historypb.WorkflowExecutionTerminatedEventAttributes) string {
	by := "terminated"
	if t.GetIdentity() != "" {
		by += " by " + t.GetIdentity()
	}
	if t.GetReason() != "" {
		by += ": " + t.GetReason()
	}
	return openflow.FirstLine(by)
}

// EndJob implements openflow.Engine. The name of a workflow is its lock: of several that would start one, one does.
func (e *Engine) EndJob(ctx context.Context, p openflow.JobPlan) error {
	opts := e.options(workflows.JobWorkflowID(p.ID), "end of job "+string(p.ID)+", whose workflow is gone")
	opts.WorkflowIDReusePolicy = enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE
	describe(&opts, &p)
	_, err := e.Client.ExecuteWorkflow(ctx, opts, workflows.Job, workflows.EncodePlan(p))
	return fromTemporal("end job "+string(p.ID), err)
}

// EndTask implements openflow.Engine.
func (e *Engine) EndTask(ctx context.Context, o openflow.TaskOrder) error {
	opts := e.runOptions(&o, fmt.Sprintf("end of %s, whose workflow is gone", o.Key.Task))
	opts.WorkflowIDReusePolicy = enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE
	_, err := e.Client.ExecuteWorkflow(ctx, opts, workflows.Task, activities.EncodeOrder(o))
	return fromTemporal("end "+o.Key.String(), err)
}
