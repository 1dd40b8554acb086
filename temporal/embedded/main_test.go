package embedded_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	sdkclient "go.temporal.io/sdk/client"
	sdktemporal "go.temporal.io/sdk/temporal"
	sdkworker "go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"openflow/store/catalogue/postgrestest"
	"openflow/temporal/embedded"
)

// killEnv makes the test binary a process that starts a server in the named folder and a workflow on it, says so, and
// waits to be killed.
const killEnv = "OPENFLOW_TEST_TEMPORAL_DIR"

// killPostgresEnv makes it a process that serves the database and address that it names.
const killPostgresEnv = "OPENFLOW_TEST_TEMPORAL_POSTGRES"

// keptID is the workflow that such a process starts.
const keptID = "kept"

func TestMain(m *testing.M) {
	if dir := os.Getenv(killEnv); dir != "" {
		startAndWait(dir)
	}
	if url, listen, ok := strings.Cut(os.Getenv(killPostgresEnv), " "); ok {
		serveAndWait(url, listen)
	}
	code := m.Run()
	stopShared()
	postgrestest.Stop()
	os.Exit(code)
}

// serveAndWait runs an open server on PostgreSQL until it is killed.
func serveAndWait(url, listen string) {
	s, err := embedded.Start(context.Background(), embedded.Options{
		Postgres: url, Listen: listen, Open: true, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("ready")
	fmt.Println(<-s.Failed())
	os.Exit(1)
}

func startAndWait(dir string) {
	ctx := context.Background()
	s, err := embedded.Start(ctx, embedded.Options{Dir: dir})
	if err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
	c, err := s.Dial(ctx, "killed", slog.New(slog.DiscardHandler))
	if err == nil {
		_, err = c.ExecuteWorkflow(ctx, sdkclient.StartWorkflowOptions{ID: keptID, TaskQueue: keptID}, sequence, 1)
	}
	if err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
	fmt.Println("started")
	<-s.Failed()
	os.Exit(1)
}

// shared is the one server that most tests use; a server takes a second to stop. Its folder's name holds the characters
// that mean something in a SQLite URI.
var shared = sync.OnceValues(func() (*embedded.Server, error) {
	root, err := os.MkdirTemp("", "openflow-temporal-")
	if err != nil {
		return nil, err
	}
	sharedRoot = root
	return embedded.Start(context.Background(), embedded.Options{
		Dir: filepath.Join(root, "a #1?50%"), UI: true, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
		SearchAttributes: map[string]enumspb.IndexedValueType{"JobID": enumspb.INDEXED_VALUE_TYPE_KEYWORD},
	})
})

var sharedRoot string

func stopShared() {
	if sharedRoot == "" {
		return
	}
	if s, err := shared(); err == nil {
		_ = s.Close() // tests are over: nobody to tell
	}
	_ = os.RemoveAll(sharedRoot)
}

func server(tb testing.TB) *embedded.Server {
	tb.Helper()
	s, err := shared()
	require.NoError(tb, err)
	return s
}

// start runs a server of the test's own.
func start(t *testing.T, o embedded.Options) *embedded.Server {
	t.Helper()
	o.Logger = slog.New(slog.NewTextHandler(t.Output(), nil))
	s, err := embedded.Start(t.Context(), o)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	return s
}

func dial(tb testing.TB, s *embedded.Server, identity string) sdkclient.Client {
	tb.Helper()
	c, err := s.Dial(tb.Context(), identity, slog.New(slog.DiscardHandler))
	require.NoError(tb, err)
	tb.Cleanup(c.Close)
	return c
}

// sequence runs n activities one after the other.
func sequence(ctx workflow.Context, n int) (sum int, err error) {
	ctx = workflow.WithActivityOptions(ctx, workflow.ActivityOptions{StartToCloseTimeout: 10 * time.Second})
	for i := range n {
		var got int
		if err := workflow.ExecuteActivity(ctx, double, i).Get(ctx, &got); err != nil {
			return 0, err
		}
		sum += got
	}
	return sum, nil
}

func double(_ context.Context, i int) (int, error) { return 2 * i, nil }

// report runs sequence as an update: waiting for one has no long poll that could be late.
func report(ctx workflow.Context) error {
	done := false
	err := workflow.SetUpdateHandler(ctx, "run", func(ctx workflow.Context, n int) (int, error) {
		defer func() { done = true }()
		return sequence(ctx, n)
	})
	if err != nil {
		return err
	}
	return workflow.Await(ctx, func() bool { return done })
}

// work polls a queue of the test's own with the test's workflows.
func work(tb testing.TB, c sdkclient.Client) (queue string) {
	tb.Helper()
	queue = uuid.NewString()
	w := sdkworker.New(c, queue, sdkworker.Options{})
	w.RegisterWorkflow(sequence)
	w.RegisterWorkflow(report)
	w.RegisterActivity(double)
	require.NoError(tb, w.Start())
	tb.Cleanup(w.Stop)
	return queue
}

// run starts a sequence of n activities and waits for its end.
func run(tb testing.TB, c sdkclient.Client, queue string, n int) (sum int) {
	tb.Helper()
	id := uuid.NewString()
	start := c.NewWithStartWorkflowOperation(sdkclient.StartWorkflowOptions{
		ID: id, TaskQueue: queue, WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_FAIL,
	}, report)
	h, err := c.UpdateWithStartWorkflow(tb.Context(), sdkclient.UpdateWithStartWorkflowOptions{
		StartWorkflowOperation: start,
		UpdateOptions: sdkclient.UpdateWorkflowOptions{
			WorkflowID: id, UpdateName: "run", Args: []any{n}, WaitForStage: sdkclient.WorkflowUpdateStageCompleted,
		},
	})
	require.NoError(tb, err)
	require.NoError(tb, h.Get(tb.Context(), &sum))
	return sum
}

// within is how long a test waits for what should happen at once; the machine may be busy.
const within = 3 * time.Minute

// once is a retry policy without retries.
func oneAttempt() *sdktemporal.RetryPolicy { return &sdktemporal.RetryPolicy{MaximumAttempts: 1} }
