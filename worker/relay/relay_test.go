package relay_test

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/api/serviceerror"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"openflow/worker/relay"
	"openflow/workflows"
)

// frontend is Temporal behind the relay. What it does not have would be a call too many.
type frontend struct {
	workflowservice.WorkflowServiceClient
	polled []string
	header metadata.MD
}

func (f *frontend) PollActivityTaskQueue(ctx context.Context, r *workflowservice.PollActivityTaskQueueRequest, _ ...grpc.CallOption) (*workflowservice.PollActivityTaskQueueResponse, error) {
	f.polled = append(f.polled, r.GetTaskQueue().GetName())
	f.header, _ = metadata.FromOutgoingContext(ctx)
	return &workflowservice.PollActivityTaskQueueResponse{TaskToken: []byte("t")}, nil
}

func (f *frontend) RecordActivityTaskHeartbeat(context.Context, *workflowservice.RecordActivityTaskHeartbeatRequest, ...grpc.CallOption) (*workflowservice.RecordActivityTaskHeartbeatResponse, error) {
	return nil, serviceerror.NewNotFound("the attempt is over")
}

func dial(t *testing.T, f *frontend) workflowservice.WorkflowServiceClient {
	t.Helper()
	h, err := relay.Handler(f, "openflow")
	require.NoError(t, err)
	s := httptest.NewUnstartedServer(h)
	s.Config.Protocols = &http.Protocols{}
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	t.Cleanup(s.Close)
	conn, err := grpc.NewClient(s.Listener.Addr().(*net.TCPAddr).String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	return workflowservice.NewWorkflowServiceClient(conn)
}

func as(t *testing.T, token string) context.Context {
	return metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer "+token)
}

func poll(namespace, queue string) *workflowservice.PollActivityTaskQueueRequest {
	return &workflowservice.PollActivityTaskQueueRequest{Namespace: namespace, TaskQueue: &taskqueuepb.TaskQueue{Name: queue}}
}

func TestWorkersPollTheirQueuesOnly(t *testing.T) {
	f := &frontend{}
	c := dial(t, f)
	for name, tc := range map[string]struct {
		namespace, queue string
		want             codes.Code
	}{
		"the pool's":        {"openflow", workflows.PoolQueue(""), codes.OK},
		"a label's":         {"openflow", workflows.PoolQueue("gpu"), codes.OK},
		"an urgent one":     {"openflow", workflows.UrgentQueue("gpu"), codes.OK},
		"a machine's":       {"openflow", workflows.MachineQueue("m"), codes.OK},
		"the node's own":    {"openflow", "openflow", codes.PermissionDenied},
		"another namespace": {"temporal-system", workflows.PoolQueue(""), codes.PermissionDenied},
	} {
		t.Run(name, func(t *testing.T) {
			before := len(f.polled)
			_, err := c.PollActivityTaskQueue(as(t, "right"), poll(tc.namespace, tc.queue))
			require.Equal(t, tc.want, status.Code(err))
			require.Equal(t, tc.want == codes.OK, len(f.polled) > before)
		})
	}
	require.Empty(t, f.header.Get("authorization"), "the worker token does not go on to Temporal")
}

func TestWorkersCallNothingElse(t *testing.T) {
	c := dial(t, &frontend{})
	ctx := as(t, "right")
	for name, call := range map[string]func() error{
		"start a workflow": func() error {
			_, err := c.StartWorkflowExecution(ctx, &workflowservice.StartWorkflowExecutionRequest{Namespace: "openflow"})
			return err
		},
		"run workflows": func() error {
			_, err := c.PollWorkflowTaskQueue(ctx, &workflowservice.PollWorkflowTaskQueueRequest{Namespace: "openflow"})
			return err
		},
		"read a history": func() error {
			_, err := c.GetWorkflowExecutionHistory(ctx, &workflowservice.GetWorkflowExecutionHistoryRequest{
				Namespace: "openflow", Execution: &commonpb.WorkflowExecution{WorkflowId: "1"},
			})
			return err
		},
		"end an activity by name": func() error {
			_, err := c.RespondActivityTaskFailedById(ctx, &workflowservice.RespondActivityTaskFailedByIdRequest{Namespace: "openflow"})
			return err
		},
	} {
		require.Equal(t, codes.PermissionDenied, status.Code(call()), name)
	}
}

// What Temporal answers comes through as it is: a worker that hears NotFound leaves its activity.
func TestErrorsComeThrough(t *testing.T) {
	c := dial(t, &frontend{})
	_, err := c.RecordActivityTaskHeartbeat(as(t, "right"), &workflowservice.RecordActivityTaskHeartbeatRequest{Namespace: "openflow"})
	require.Equal(t, codes.NotFound, status.Code(err))
	require.ErrorContains(t, err, "the attempt is over")
}
