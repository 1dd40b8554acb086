package embedded_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	sdkclient "go.temporal.io/sdk/client"
	sdktemporal "go.temporal.io/sdk/temporal"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"openflow"
	"openflow/temporal/embedded"
)

func TestActivityRunsOnNewFolder(t *testing.T) {
	c := dial(t, server(t), "worker")
	queue := work(t, c)
	run(t, c, queue, 1)                 // the first one warms connections and caches
	require.Eventually(t, func() bool { // another process may have the machine
		begin := time.Now()
		require.Equal(t, 90, run(t, c, queue, 10))
		return time.Since(begin) < time.Second
	}, within, time.Millisecond, "ten activities: tuning has no effect")
}

func TestFolderIsPrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "below", "temporal")
	require.NoError(t, embedded.Options{Dir: dir}.PrepareStore(t.Context()))
	info, err := os.Stat(dir)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())
}

func TestOptionsAreChecked(t *testing.T) {
	for name, o := range map[string]embedded.Options{
		"no folder":        {},
		"synchronous":      {Dir: t.TempDir(), Synchronous: "OFF"},
		"retention":        {Dir: t.TempDir(), Retention: -time.Second},
		"relative ui path": {Dir: t.TempDir(), UIPublicPath: "temporal"},
		"ui path slash":    {Dir: t.TempDir(), UIPublicPath: "/temporal/"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := embedded.Start(t.Context(), o)
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), "%v", err)
		})
	}
}

// A restart keeps workflows, and brings retention and search attributes up to date.
func TestRestartOnExistingFolder(t *testing.T) {
	o := embedded.Options{Dir: t.TempDir(), Synchronous: embedded.SynchronousNormal, Retention: 5 * time.Hour}
	id := uuid.NewString()
	func() {
		s, err := embedded.Start(t.Context(), o)
		require.NoError(t, err)
		defer func() { require.NoError(t, s.Close()) }()
		c, err := s.Dial(t.Context(), "first", nil)
		require.NoError(t, err)
		defer c.Close()
		_, err = c.ExecuteWorkflow(t.Context(), sdkclient.StartWorkflowOptions{ID: id, TaskQueue: id}, sequence, 1)
		require.NoError(t, err)
	}()

	o.Retention = 9 * time.Hour
	o.SearchAttributes = map[string]enumspb.IndexedValueType{"JobID": enumspb.INDEXED_VALUE_TYPE_KEYWORD}
	s := start(t, o)
	c := dial(t, s, "second")
	d, err := c.DescribeWorkflowExecution(t.Context(), id, "")
	require.NoError(t, err)
	require.Equal(t, enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING, d.GetWorkflowExecutionInfo().GetStatus())

	ns, err := c.WorkflowService().DescribeNamespace(t.Context(),
		&workflowservice.DescribeNamespaceRequest{Namespace: "openflow"})
	require.NoError(t, err)
	require.Equal(t, 9*time.Hour, ns.GetConfig().GetWorkflowExecutionRetentionTtl().AsDuration())

	job := sdktemporal.NewSearchAttributeKeyKeyword("JobID")
	tagged := uuid.NewString()
	_, err = c.ExecuteWorkflow(t.Context(), sdkclient.StartWorkflowOptions{
		ID: tagged, TaskQueue: id, TypedSearchAttributes: sdktemporal.NewSearchAttributes(job.ValueSet("j1")),
	}, sequence, 1)
	require.NoError(t, err, "the new attribute is known from the first request on")
	require.EventuallyWithT(t, func(t *assert.CollectT) {
		found, err := c.ListWorkflow(context.Background(), &workflowservice.ListWorkflowExecutionsRequest{Query: `JobID = "j1"`})
		require.NoError(t, err)
		require.Len(t, found.GetExecutions(), 1)
	}, within, 10*time.Millisecond)

	o.SearchAttributes["JobID"] = enumspb.INDEXED_VALUE_TYPE_INT
	_, err = embedded.Start(t.Context(), o)
	require.Equal(t, openflow.CodeConflict, openflow.CodeOf(err), "%v", err)
}

func TestTooManySearchAttributes(t *testing.T) {
	wanted := map[string]enumspb.IndexedValueType{}
	for _, name := range []string{"A", "B", "C", "D"} {
		wanted[name] = enumspb.INDEXED_VALUE_TYPE_BOOL // there are three columns
	}
	_, err := embedded.Start(t.Context(), embedded.Options{Dir: t.TempDir(), SearchAttributes: wanted})
	require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), "%v", err)
}

func TestFrontendWantsToken(t *testing.T) {
	s := server(t)
	conn, err := grpc.NewClient(s.Frontend(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	frontend := workflowservice.NewWorkflowServiceClient(conn)

	calls := map[string]func(context.Context) error{
		"read": func(ctx context.Context) error {
			_, err := frontend.ListWorkflowExecutions(ctx, &workflowservice.ListWorkflowExecutionsRequest{Namespace: "openflow"})
			return err
		},
		"write": func(ctx context.Context) error {
			_, err := frontend.SignalWithStartWorkflowExecution(ctx,
				&workflowservice.SignalWithStartWorkflowExecutionRequest{Namespace: "openflow", WorkflowId: "x"})
			return err
		},
		"system": func(ctx context.Context) error {
			_, err := frontend.ListNamespaces(ctx, &workflowservice.ListNamespacesRequest{})
			return err
		},
	}
	tokens := map[string]struct {
		header  string
		refused bool
	}{
		"none":       {"", true},
		"wrong":      {"Bearer " + s.Token()[1:] + "0", true},
		"no scheme":  {s.Token(), true},
		"other case": {"bearer " + s.Token(), true},
		"right":      {"Bearer " + s.Token(), false},
	}
	for name, token := range tokens {
		for what, call := range calls {
			t.Run(name+" "+what, func(t *testing.T) {
				ctx := t.Context()
				if token.header != "" {
					ctx = metadata.AppendToOutgoingContext(ctx, "authorization", token.header)
				}
				err := call(ctx)
				require.Equal(t, token.refused, status.Code(err) == codes.PermissionDenied, "%v", err)
			})
		}
	}

	t.Run("sdk client", func(t *testing.T) {
		_, err := sdkclient.DialContext(t.Context(), sdkclient.Options{HostPort: s.Frontend(), Namespace: "openflow"})
		var denied *serviceerror.PermissionDenied
		require.True(t, errors.As(err, &denied), "%v", err)
	})
}

// Behind the frontend nobody asks for the token, so those ports must not even shake hands.
// A client that says nothing any more, not even when it is asked, is gone: what it polls for must not be given to it.
// As shipped, the server would hold its connection for 70 s.
func TestSilentClientIsDropped(t *testing.T) {
	s := start(t, embedded.Options{Dir: t.TempDir()})
	conn, err := net.Dial("tcp", s.Frontend())
	require.NoError(t, err)
	defer func() { require.NoError(t, conn.Close()) }()
	_, err = conn.Write([]byte("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + "\x00\x00\x00\x04\x00\x00\x00\x00\x00")) // the preface, empty settings
	require.NoError(t, err)
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(time.Minute)))
	_, err = io.Copy(io.Discard, conn)
	require.NoError(t, err, "the server has not ended the connection")
}

func TestInternodePortsRefuseStrangers(t *testing.T) {
	var ports []int
	start(t, embedded.Options{Dir: t.TempDir()}.WithPorts(func(n int) (_ []int, err error) {
		ports, err = embedded.FreePorts(n)
		return ports, err
	}))
	for _, port := range ports[1:4] { // internal frontend, history, matching; the worker does not listen
		conn, err := grpc.NewClient((&net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port}).String(),
			grpc.WithTransportCredentials(insecure.NewCredentials()))
		require.NoError(t, err)
		_, err = workflowservice.NewWorkflowServiceClient(conn).ListNamespaces(t.Context(), &workflowservice.ListNamespacesRequest{})
		require.Equal(t, codes.Unavailable, status.Code(err), "%v", err)
		require.NoError(t, conn.Close())
	}
}

// The first choice of ports contains one that somebody else has taken since.
func TestStartTriesOtherPorts(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	choices := 0
	s := start(t, embedded.Options{Dir: t.TempDir()}.WithPorts(func(n int) ([]int, error) {
		ports, err := embedded.FreePorts(n)
		if choices++; choices == 1 && err == nil {
			ports[2] = taken.Addr().(*net.TCPAddr).Port
		}
		return ports, err
	}))
	require.Equal(t, 2, choices)
	c := dial(t, s, "worker")
	require.Equal(t, 2, run(t, c, work(t, c), 2))
}

func TestStartGivesUpOnPorts(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	_, err = embedded.Start(t.Context(), embedded.Options{Dir: t.TempDir()}.WithPorts(func(n int) ([]int, error) {
		ports, err := embedded.FreePorts(n)
		if err == nil {
			ports[2] = taken.Addr().(*net.TCPAddr).Port
		}
		return ports, err
	}))
	require.ErrorContains(t, err, "address already in use")
}
