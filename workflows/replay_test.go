package workflows_test

import (
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/log"
	sdkworker "go.temporal.io/sdk/worker"

	"openflow/telemetry/traces"
	"openflow/workflows"
)

// Workflows that run while a node is updated go on with the new code, so it must make the decisions that every recorded
// history holds. A change that cannot needs a version gate and a new recording: docs/workflows.md, "Changing a workflow".
func TestRecordedHistoriesReplay(t *testing.T) { replayAll(t, sdkworker.WorkflowReplayerOptions{}) }

// Tracing may be switched on or off between two starts of a node: it adds no commands to a workflow.
func TestRecordedHistoriesReplayWithTracing(t *testing.T) {
	made := tracetest.NewInMemoryExporter()
	tr := traces.New(traces.Options{Party: "9999", Exporter: made})
	interceptors, err := tr.Interceptors()
	require.NoError(t, err)
	require.Len(t, interceptors, 1)
	replayAll(t, sdkworker.WorkflowReplayerOptions{Interceptors: []interceptor.WorkerInterceptor{interceptors[0].(interceptor.WorkerInterceptor)}})
	require.NoError(t, tr.Close(t.Context()))
}

func replayAll(t *testing.T, o sdkworker.WorkflowReplayerOptions) {
	files, err := filepath.Glob("testdata/replay/*.json")
	require.NoError(t, err)
	require.NotEmpty(t, files, "no recorded histories")
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			replayer, err := sdkworker.NewWorkflowReplayerWithOptions(o)
			require.NoError(t, err)
			replayer.RegisterWorkflow(workflows.Job)
			replayer.RegisterWorkflow(workflows.Task)
			require.NoError(t, replayer.ReplayWorkflowHistoryFromJSONFile(log.NewStructuredLogger(slog.New(slog.DiscardHandler)), file))
		})
	}
}
