package embedded_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/activity"
	sdkclient "go.temporal.io/sdk/client"
	sdktemporal "go.temporal.io/sdk/temporal"
	sdkworker "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"openflow/temporal/embedded"
)

// long is a workflow with one activity that may take an hour and whose back-off is long, on a queue of its own.
func long(ctx workflow.Context, queue string) (worker string, err error) {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
		TaskQueue: queue, StartToCloseTimeout: time.Hour,
		RetryPolicy: &sdktemporal.RetryPolicy{InitialInterval: 10 * time.Minute},
	})
	err = workflow.ExecuteActivity(ctx, "hold").Get(ctx, &worker)
	return worker, err
}

// take polls queue once as a worker named identity and goes away with the task it got, as a killed process does.
func take(t *testing.T, c sdkclient.Client, queue, identity string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), within)
	defer cancel()
	got, err := c.WorkflowService().PollActivityTaskQueue(ctx, &workflowservice.PollActivityTaskQueueRequest{
		Namespace: "openflow", Identity: identity, TaskQueue: &taskqueuepb.TaskQueue{Name: queue},
	})
	require.NoError(t, err)
	require.NotEmpty(t, got.GetTaskToken(), "no activity to take")
}

func TestReleaseOrphans(t *testing.T) {
	s := server(t)
	c := dial(t, s, "process-b")
	queue, activities := uuid.NewString(), uuid.NewString()
	w := sdkworker.New(c, queue, sdkworker.Options{})
	w.RegisterWorkflow(long)
	require.NoError(t, w.Start())
	t.Cleanup(w.Stop)

	ids := map[string]string{} // workflow by worker that took its activity
	for _, worker := range []string{"process-a", "process-b", "process-a2", "worker-of-a-pool"} {
		id := uuid.NewString()
		_, err := c.ExecuteWorkflow(t.Context(), sdkclient.StartWorkflowOptions{ID: id, TaskQueue: queue}, long, activities)
		require.NoError(t, err)
		take(t, c, activities, worker)
		ids[worker] = id
	}
	t.Cleanup(func() {
		for _, worker := range []string{"process-b", "worker-of-a-pool"} {
			assert.NoError(t, c.TerminateWorkflow(context.Background(), ids[worker], "", "test is over"))
		}
	})
	waitListed(t, c, len(ids))

	released, err := s.ReleaseOrphans(t.Context(), "process-", "process-b")
	require.NoError(t, err)
	require.Equal(t, 2, released, "the attempts of this process's own worker and of a pool's stay")

	later := sdkworker.New(c, activities, sdkworker.Options{DisableWorkflowWorker: true})
	later.RegisterActivityWithOptions(func(context.Context) (string, error) { return "later worker", nil },
		activity.RegisterOptions{Name: "hold"})
	require.NoError(t, later.Start())
	t.Cleanup(later.Stop)
	for _, worker := range []string{"process-a", "process-a2"} {
		ctx, cancel := context.WithTimeout(t.Context(), within) // far below back-off and time-out
		defer cancel()
		var who string
		require.NoError(t, c.GetWorkflow(ctx, ids[worker], "").Get(ctx, &who))
		require.Equal(t, "later worker", who)
	}

	released, err = s.ReleaseOrphans(t.Context(), "process-", "process-b")
	require.NoError(t, err)
	require.Zero(t, released)
}

// The failure names its reason, so that a workflow can tell a lost worker from a failed activity.
func TestOrphanWithoutRetriesFailsWithWorkerGone(t *testing.T) {
	s := server(t)
	c := dial(t, s, "process-b")
	queue, activities := uuid.NewString(), uuid.NewString()
	w := sdkworker.New(c, queue, sdkworker.Options{})
	w.RegisterWorkflowWithOptions(func(ctx workflow.Context) error {
		ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{
			TaskQueue: activities, StartToCloseTimeout: time.Hour, RetryPolicy: oneAttempt(),
		})
		return workflow.ExecuteActivity(ctx, "hold").Get(ctx, nil)
	}, workflow.RegisterOptions{Name: "single"})
	require.NoError(t, w.Start())
	t.Cleanup(w.Stop)

	run, err := c.ExecuteWorkflow(t.Context(), sdkclient.StartWorkflowOptions{ID: queue, TaskQueue: queue}, "single")
	require.NoError(t, err)
	take(t, c, activities, "process-a")
	waitListed(t, c, 1)
	released, err := s.ReleaseOrphans(t.Context(), "process-", "process-b")
	require.NoError(t, err)
	require.Equal(t, 1, released)

	var app *sdktemporal.ApplicationError
	require.ErrorAs(t, run.Get(t.Context(), nil), &app)
	require.Equal(t, embedded.WorkerGone, app.Type())
}

// waitListed waits until at least n open workflows are in the listing, which is written behind the workflow itself.
func waitListed(t *testing.T, c sdkclient.Client, n int) {
	t.Helper()
	require.EventuallyWithT(t, func(t *assert.CollectT) {
		open, err := c.CountWorkflow(context.Background(), &workflowservice.CountWorkflowExecutionsRequest{
			Query: `ExecutionStatus = "` + enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING.String() + `"`,
		})
		require.NoError(t, err)
		require.GreaterOrEqual(t, open.GetCount(), int64(n))
	}, within, 10*time.Millisecond)
}
