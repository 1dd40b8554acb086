package main

import (
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow/sdk/component"
)

// TestMain lets the test binary be the image's binary.
func TestMain(m *testing.M) {
	if os.Getenv("OPENFLOW_TEST_AS_COMPONENT") != "" {
		main()
	}
	os.Exit(m.Run())
}

// image runs the binary as a node would.
func image(t *testing.T, address string, parameters map[string]any, args ...string) *exec.Cmd {
	t.Helper()
	host, port, err := net.SplitHostPort(address)
	require.NoError(t, err)
	config, err := json.Marshal(map[string]any{
		"job_id": "j", "task_id": "j_noop_0", "task_name": "noop_0", "task_version": "0", "party_task_id": "j_noop_0_0_guest_9999",
		"component": "noop", "role": "guest", "party_id": "9999", "parameters": parameters,
		"mlmd": map[string]any{"metadata": map[string]any{"host": host, "port": json.Number(port), "protocol": "http"}},
	})
	require.NoError(t, err)
	self, err := os.Executable()
	require.NoError(t, err)
	c := exec.CommandContext(t.Context(), self, args...)
	c.Env = []string{"OPENFLOW_TEST_AS_COMPONENT=1", "CONFIG=" + string(config), "OPENFLOW_CREDENTIAL=secret"}
	return c
}

// node answers everything with success and passes on what it is told about the task's end.
func node(t *testing.T) (address string, reports chan string) {
	t.Helper()
	reports = make(chan string, 10)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct{ Status, Error string }
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil || r.Header.Get("Authorization") != "Bearer secret" {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		reports <- body.Status + " " + body.Error
		_, _ = w.Write([]byte(`{"code":0,"message":"success"}`)) // the component may be gone
	}))
	t.Cleanup(s.Close)
	return s.Listener.Addr().String(), reports
}

func TestExitCodes(t *testing.T) {
	address, reports := node(t)
	require.NoError(t, image(t, address, nil).Run())
	require.Equal(t, "success ", <-reports)

	c := image(t, address, map[string]any{"fail": "on purpose"}, "run")
	require.Error(t, c.Run())
	require.Equal(t, component.ExitFailed, c.ProcessState.ExitCode())
	require.Equal(t, "failed noop failed: on purpose", <-reports)

	c = image(t, address, nil, "what")
	require.Error(t, c.Run())
	require.Equal(t, component.ExitUsage, c.ProcessState.ExitCode())
}

func TestSIGTERMStopsATask(t *testing.T) {
	address, reports := node(t)
	c := image(t, address, map[string]any{"sleep_ms": 3_600_000, "fail": true})
	stderr, err := c.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, c.Start())
	var seen strings.Builder
	for b := make([]byte, 1024); !strings.Contains(seen.String(), "task runs"); { // the handler is in place by then
		n, err := stderr.Read(b)
		require.NoError(t, err)
		seen.Write(b[:n])
	}
	require.NoError(t, c.Process.Signal(syscall.SIGTERM))
	require.Error(t, c.Wait())
	require.Equal(t, component.ExitCanceled, c.ProcessState.ExitCode())
	require.Empty(t, reports)
}

func TestList(t *testing.T) {
	out, err := image(t, "127.0.0.1:1", nil, "list").Output()
	require.NoError(t, err)
	var list struct{ Buildin []string }
	require.NoError(t, json.Unmarshal(out, &list))
	require.Equal(t, []string{"reader", "psi", "coordinated_lr", "evaluation", "noop", "upload", "dataframe_transformer", "download", "toy_example"}, list.Buildin)
	for _, name := range list.Buildin {
		out, err := image(t, "127.0.0.1:1", nil, "desc", "--name", name).Output()
		require.NoError(t, err)
		var document struct {
			Component struct {
				Name  string
				Roles []string
			}
		}
		require.NoError(t, json.Unmarshal(out, &document))
		require.Equal(t, name, document.Component.Name)
		require.NotEmpty(t, document.Component.Roles)
	}
}
