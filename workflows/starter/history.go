package starter

import (
	"context"

	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/temporalproto"
	sdkclient "go.temporal.io/sdk/client"

	"openflow"
)

// History is the recorded history of a workflow as JSON, for replay tests and for support. The workflow ID is a job's ID, or
// a run's: see workflows.TaskWorkflowID.
func History(ctx context.Context, c sdkclient.Client, workflowID string) ([]byte, error) {
	var h historypb.History
	events := c.GetWorkflowHistory(ctx, workflowID, "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		e, err := events.Next()
		if err != nil {
			return nil, openflow.Errorf(openflow.CodeNotFound, "history of workflow %s: %w", workflowID, err)
		}
		h.Events = append(h.Events, e)
	}
	b, err := temporalproto.CustomJSONMarshalOptions{Indent: " "}.Marshal(&h)
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeInternal, "history of workflow %s: %w", workflowID, err)
	}
	return b, nil
}
