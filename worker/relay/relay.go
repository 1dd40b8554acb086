// Package relay passes what the workers of a pool call of Temporal on to the site's own frontend, and nothing else.
//
// A frontend's own token opens everything: workflows, histories, other queues. A worker needs to poll the queues of the
// pool and to say how its activities stand, so that is all that its token opens here. The frontend may be embedded or a
// cluster's; workers see this one address, which also stays the same when an embedded server takes new ports.
//
// An attempt is answered by a token that names it and is not signed, so a worker that lies could end other activities of
// the site. Workers are machines of the institution itself; the token is not for anybody else.
package relay

import (
	"context"
	"net/http"
	"path"
	"slices"

	"go.temporal.io/api/proxy"
	"go.temporal.io/api/serviceerror"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"openflow"
	"openflow/workflows"
)

// Prefix is the path below which a Handler is mounted: that of every gRPC call of the service.
const Prefix = "/temporal.api.workflowservice.v1.WorkflowService"

// allowed are the calls that a worker of activities makes.
var allowed = []string{
	"GetSystemInfo", "DescribeNamespace", "PollActivityTaskQueue", "RecordActivityTaskHeartbeat", "RespondActivityTaskCompleted",
	"RespondActivityTaskFailed", "RespondActivityTaskCanceled", "RecordWorkerHeartbeat", "ShutdownWorker",
}

// maxRequest bounds a call, in bytes: what Temporal itself takes.
const maxRequest = 4 << 20

// Handler serves gRPC over HTTP/2 for workers. frontend is the site's own, in that namespace. Who is a worker, its caller has
// found out before: gRPC reads what others send before it asks.
func Handler(frontend workflowservice.WorkflowServiceClient, namespace string) (http.Handler, error) {
	service, err := proxy.NewWorkflowServiceProxyServer(proxy.WorkflowServiceProxyOptions{Client: frontend, DisableHeaderForwarding: true})
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeInternal, "relay to Temporal: %w", err)
	}
	g := gate{namespace}
	server := grpc.NewServer(grpc.UnaryInterceptor(g.pass), grpc.MaxRecvMsgSize(maxRequest))
	workflowservice.RegisterWorkflowServiceServer(server, service)
	return server, nil
}

type gate struct{ namespace string }

func (g gate) pass(ctx context.Context, req any, info *grpc.UnaryServerInfo, next grpc.UnaryHandler) (any, error) {
	if err := g.admit(req, path.Base(info.FullMethod)); err != nil {
		return nil, err
	}
	answer, err := next(ctx, req)
	return answer, serviceerror.ToStatus(err).Err()
}

// admit refuses calls that workers do not make, and queues that are not the pool's.
func (g gate) admit(req any, method string) error {
	if !slices.Contains(allowed, method) {
		return status.Errorf(codes.PermissionDenied, "workers of a pool may not call %s", method)
	}
	if r, ok := req.(interface{ GetNamespace() string }); ok && r.GetNamespace() != g.namespace {
		return status.Errorf(codes.PermissionDenied, "workers of this site may not use the namespace %q", r.GetNamespace())
	}
	if r, ok := req.(interface{ GetTaskQueue() *taskqueuepb.TaskQueue }); ok && !workflows.OfPool(r.GetTaskQueue().GetName()) {
		return status.Errorf(codes.PermissionDenied, "workers of a pool may not serve the queue %q", r.GetTaskQueue().GetName())
	}
	return nil
}
