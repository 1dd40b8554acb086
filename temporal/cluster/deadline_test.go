package cluster

import (
	"context"
	"log/slog"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	sdkclient "go.temporal.io/sdk/client"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// silent is a server that takes calls and answers none but the first question.
type silent struct {
	workflowservice.UnimplementedWorkflowServiceServer
}

func (silent) GetSystemInfo(context.Context, *workflowservice.GetSystemInfoRequest) (*workflowservice.GetSystemInfoResponse, error) {
	return &workflowservice.GetSystemInfoResponse{}, nil
}

func (silent) SignalWorkflowExecution(ctx context.Context, _ *workflowservice.SignalWorkflowExecutionRequest) (*workflowservice.SignalWorkflowExecutionResponse, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// A call past the SDK ends, whatever the server does and however long its caller would wait.
func TestCallsOfNobodysDeadlineEnd(t *testing.T) {
	before := longestCall
	longestCall = 50 * time.Millisecond
	t.Cleanup(func() { longestCall = before })
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	server := grpc.NewServer()
	workflowservice.RegisterWorkflowServiceServer(server, silent{})
	go func() { _ = server.Serve(l) }() // until it is stopped
	t.Cleanup(server.Stop)

	o := Options{Address: l.Addr().String(), Namespace: "n", Logger: slog.New(slog.DiscardHandler)}
	settings, _, err := o.settings()
	require.NoError(t, err)
	client, err := sdkclient.DialContext(t.Context(), settings)
	require.NoError(t, err)
	t.Cleanup(client.Close)
	_, err = client.WorkflowService().SignalWorkflowExecution(t.Context(), &workflowservice.SignalWorkflowExecutionRequest{})
	var late *serviceerror.DeadlineExceeded
	require.ErrorAs(t, err, &late)

	conn, err := Conn(o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	_, err = workflowservice.NewWorkflowServiceClient(conn).SignalWorkflowExecution(t.Context(), &workflowservice.SignalWorkflowExecutionRequest{})
	require.Equal(t, codes.DeadlineExceeded, status.Code(err))

	soon, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = workflowservice.NewWorkflowServiceClient(conn).SignalWorkflowExecution(soon, &workflowservice.SignalWorkflowExecutionRequest{})
	require.Equal(t, codes.Canceled, status.Code(err))
}
