package embedded

import (
	"context"
	"strings"
	"sync/atomic"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	failurepb "go.temporal.io/api/failure/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	"openflow"
)

const (
	// WorkerGone is the error type of an activity attempt whose worker died with an earlier process of this node.
	WorkerGone = "WorkerGone"

	orphanPage     = 200 // open workflows per page
	orphanParallel = 4   // workflows looked at at once; SQLite has one connection, so more gains nothing
)

// ReleaseOrphans fails the activity attempts that were running in earlier processes of this node, so that they are
// retried at once instead of after their heartbeat timeout. Those are the attempts of workers whose identity begins with
// kin; attempts of the present process, which has the given identity, and of everybody else are left alone. It returns
// how many were released.
//
// Call it after Start and before the first worker, and only with a kin of which no other process can be alive: it cannot
// tell a dead worker from a distant one. A workflow that was started in the last moments before the kill can be missing
// from the listing; its attempts end by their timeouts. Errors: CodeUnavailable.
func (s *Server) ReleaseOrphans(ctx context.Context, kin, identity string) (int, error) {
	frontend := workflowservice.NewWorkflowServiceClient(s.conn)
	var released atomic.Int64
	var page []byte
	for {
		open, err := frontend.ListWorkflowExecutions(ctx, &workflowservice.ListWorkflowExecutionsRequest{
			Namespace: s.options.Namespace, PageSize: orphanPage, NextPageToken: page,
			Query: `ExecutionStatus = "Running"`,
		})
		if err != nil {
			return int(released.Load()), openflow.Errorf(openflow.CodeUnavailable, "open workflows: %w", err)
		}
		group, groupCtx := errgroup.WithContext(ctx)
		group.SetLimit(orphanParallel)
		for _, e := range open.GetExecutions() {
			group.Go(func() error {
				n, err := s.releaseIn(groupCtx, frontend, e.GetExecution(), kin, identity)
				released.Add(int64(n))
				return err
			})
		}
		if err := group.Wait(); err != nil {
			return int(released.Load()), err
		}
		if page = open.GetNextPageToken(); len(page) == 0 {
			return int(released.Load()), nil
		}
	}
}

// releaseIn releases the orphans of one workflow. A workflow or attempt that ended meanwhile is no error.
func (s *Server) releaseIn(
	ctx context.Context, frontend workflowservice.WorkflowServiceClient, e *commonpb.WorkflowExecution, kin, identity string,
) (released int, err error) {
	d, err := frontend.DescribeWorkflowExecution(ctx, &workflowservice.DescribeWorkflowExecutionRequest{
		Namespace: s.options.Namespace, Execution: e,
	})
	if err != nil {
		return 0, orphanError(e, err)
	}
	for _, a := range d.GetPendingActivities() {
		if !started(a) || a.GetLastWorkerIdentity() == identity || !strings.HasPrefix(a.GetLastWorkerIdentity(), kin) {
			continue
		}
		_, err := frontend.RespondActivityTaskFailedById(ctx, &workflowservice.RespondActivityTaskFailedByIdRequest{
			Namespace: s.options.Namespace, WorkflowId: e.GetWorkflowId(), RunId: e.GetRunId(),
			ActivityId: a.GetActivityId(), Identity: identity, Failure: workerGone(a.GetLastWorkerIdentity()),
		})
		switch {
		case err == nil:
			released++
		case orphanError(e, err) != nil:
			return released, orphanError(e, err)
		}
	}
	return released, nil
}

// started reports whether a worker had the activity when it was last heard of. One whose cancellation was requested may
// also not have begun yet; the server then says that there is nothing to fail.
func started(a *workflowpb.PendingActivityInfo) bool {
	return a.GetState() == enumspb.PENDING_ACTIVITY_STATE_STARTED ||
		a.GetState() == enumspb.PENDING_ACTIVITY_STATE_CANCEL_REQUESTED
}

// workerGone is the failure of an attempt whose worker is dead. The delay replaces the back-off, which the kills of
// earlier processes have made long.
func workerGone(worker string) *failurepb.Failure {
	return &failurepb.Failure{
		Message: "worker " + worker + " is gone with an earlier process of this node",
		FailureInfo: &failurepb.Failure_ApplicationFailureInfo{ApplicationFailureInfo: &failurepb.ApplicationFailureInfo{
			Type: WorkerGone, NextRetryDelay: durationpb.New(time.Millisecond),
		}},
	}
}

// orphanError turns an answer about e into an error; nil when e, or the attempt in question, is no more.
func orphanError(e *commonpb.WorkflowExecution, err error) error {
	if status.Code(err) == codes.NotFound {
		return nil
	}
	return openflow.Errorf(openflow.CodeUnavailable, "orphaned activities of workflow %q: %w", e.GetWorkflowId(), err)
}
