package activities_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"

	"openflow"
	"openflow/runtime/driver"
	"openflow/runtime/fake"
	"openflow/runtime/resident"
	"openflow/sdk/httpclient"
)

// A run whose resident container ends runs again in a container of its own, unless that is no help or would do harm.
func TestRunAgainAlone(t *testing.T) {
	const meanwhile = "the policy refuses it meanwhile"
	for name, tc := range map[string]struct {
		before func(*openflow.TaskRecord)
		want   openflow.TaskStatus
		code   openflow.Code
		alone  bool
	}{
		"again":               {func(*openflow.TaskRecord) {}, openflow.TaskSuccess, "", true},
		"it had said success": {func(r *openflow.TaskRecord) { r.Reported = openflow.TaskSuccess }, openflow.TaskSuccess, "", true},
		"it had failed by itself": {
			func(r *openflow.TaskRecord) { r.Reported, r.ErrorReport = openflow.TaskFailed, "why" }, openflow.TaskFailed, openflow.CodeRejected, false,
		},
		"others have heard a part of it": {
			func(r *openflow.TaskRecord) { r.Protocol = openflow.Protocol{Name: "acme/greet", Version: "1"} },
			openflow.TaskFailed, openflow.CodeUnavailable, false,
		},
		meanwhile: {func(*openflow.TaskRecord) {}, openflow.TaskFailed, openflow.CodePermission, false},
		"somebody has stopped it": {
			func(r *openflow.TaskRecord) { r.Killed, r.StopStatus = true, openflow.TaskCanceled }, openflow.TaskCanceled, openflow.CodeCanceled, false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newParty(t, fake.Plan{})
			alone := false
			var served string
			p.runtime = fake.New(func(s driver.Spec) fake.Plan {
				if len(s.Command) > 0 && s.Command[0] == "serve" {
					served = s.Name
					return fake.Plan{}
				}
				if s.Labels["node"] == "" { // in a resident container, which dies under it
					return fake.Plan{Run: func(ctx context.Context, _ driver.Spec, _, _ io.Writer) int {
						p.store.change(tc.before)
						if name == meanwhile {
							p.launcher.err = openflow.Errorf(openflow.CodePermission, "policy.images.publishers: its key is revoked")
						}
						p.runtime.Kill(served)
						<-ctx.Done()
						return 143
					}}
				}
				alone = true
				return fake.Plan{Run: func(context.Context, driver.Spec, io.Writer, io.Writer) int {
					p.says(openflow.TaskSuccess, "")
					return 0
				}}
			})
			p.launcher.resident = &driver.Residency{
				Group: "g", Component: "psi", Image: "x", Runs: 2, Most: 1, Idle: time.Hour,
			}
			opened, err := fake.Opener{Containers: p.runtime}.Open(t.Context(), driver.Options{Node: "node"})
			require.NoError(t, err)
			h, err := resident.Over(opened, resident.Options{
				Node: "node", Folder: t.TempDir(), Log: slog.New(slog.DiscardHandler),
				HTTP: func(meet func(context.Context, net.Conn) error) *http.Client {
					return httpclient.New(httpclient.Options{Meet: meet})
				},
			})
			require.NoError(t, err)
			t.Cleanup(func() { require.NoError(t, h.Close()) })
			_, err = h.Confine(t.Context(), 1)
			require.NoError(t, err)
			var suite testsuite.WorkflowTestSuite
			suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
			env := suite.NewTestActivityEnvironment()
			r := p.activities(h)
			env.RegisterActivity(r)
			got, err := outcome(env.ExecuteActivity(r.RunTask, order(time.Minute)))
			require.NoError(t, err)
			require.Equal(t, tc.want, got.Status, "%+v", got)
			require.Equal(t, tc.code, got.Cause.Code)
			require.Equal(t, tc.alone, alone)
			require.Equal(t, tc.want, p.store.recorded().Status)
			require.Eventually(t, func() bool { // it is removed beside
				left, err := h.List(t.Context(), nil)
				require.NoError(t, err)
				return len(left) == 0 || name == meanwhile // then the sweeper does it
			}, time.Minute, time.Millisecond)
			if tc.code == openflow.CodeUnavailable {
				require.Contains(t, got.Error, "served it beside other runs")
			}
		})
	}
}
