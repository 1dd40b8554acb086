package e2e_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"
	sdkclient "go.temporal.io/sdk/client"

	"openflow"
	"openflow/site/trust"
	"openflow/store/catalogue/postgrestest"
	"openflow/temporal/cluster"
	"openflow/tests/env"
)

// ownTemporal starts "openflow temporal" and waits until it is ready. end sends a signal and returns the exit code.
func ownTemporal(t *testing.T, database string, args ...string) (out *output, end func(os.Signal) int) {
	t.Helper()
	out = &output{}
	cmd := run(t, append([]string{"temporal"}, args...)...)
	cmd.Env = append(cmd.Env, "OPENFLOW_POSTGRES="+database)
	cmd.Stdout, cmd.Stderr = out, out
	require.NoError(t, cmd.Start())
	ended := make(chan struct{})
	go func() {
		_ = cmd.Wait() // the exit code is looked at where it matters
		close(ended)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended already
		<-ended
	})
	env.WaitUntil(t, env.Patience, "openflow temporal is ready", func() (bool, string) {
		select {
		case <-ended:
			t.Fatalf("openflow temporal ended: %s", out)
		default:
		}
		return strings.Contains(out.String(), "\nready\n"), out.String()
	})
	return out, func(s os.Signal) int {
		require.NoError(t, cmd.Process.Signal(s))
		<-ended
		return cmd.ProcessState.ExitCode()
	}
}

// A Temporal server of its own on PostgreSQL: nodes come with its token, workflows outlive kill −9 and SIGTERM.
func TestTemporalOfItsOwn(t *testing.T) {
	t.Cleanup(postgrestest.Stop)
	database, home, ports := postgrestest.Database(t), filepath.Join(t.TempDir(), "temporal"), env.Ports(t, 2)
	args := []string{"--home", home, "--listen", fmt.Sprintf("127.0.0.1:%d", ports[0]), "--ui", fmt.Sprintf("127.0.0.1:%d", ports[1])}
	out, end := ownTemporal(t, database, args...)
	require.NotContains(t, out.String(), "p%40ss", "the database's password is shown")

	token, err := trust.LoadOrCreateToken(home)
	require.NoError(t, err)
	require.NotContains(t, out.String(), token)
	o := cluster.Options{Address: args[3], Token: token}
	c, err := cluster.Dial(t.Context(), o)
	require.NoError(t, err)
	id := uuid.NewString()
	_, err = c.ExecuteWorkflow(t.Context(), sdkclient.StartWorkflowOptions{ID: id, TaskQueue: "none"}, "nobody runs it")
	require.NoError(t, err)
	c.Close()
	_, err = cluster.Dial(t.Context(), cluster.Options{Address: args[3]})
	require.Equal(t, openflow.CodePermission, openflow.CodeOf(err), "%v", err)
	page, err := http.Get("http://" + args[5] + "/")
	require.NoError(t, err)
	text, err := io.ReadAll(page.Body)
	require.NoError(t, err)
	require.NoError(t, page.Body.Close())
	require.Equal(t, http.StatusOK, page.StatusCode)
	require.Contains(t, string(text), "/temporal/_app/")

	require.Equal(t, -1, end(syscall.SIGKILL))
	_, end = ownTemporal(t, database, args...)
	c, err = cluster.Dial(t.Context(), o)
	require.NoError(t, err, "the token is the same")
	_, err = c.DescribeWorkflowExecution(t.Context(), id, "")
	require.NoError(t, err)
	c.Close()
	require.Equal(t, 0, end(syscall.SIGTERM))
}

func TestTemporalRefuses(t *testing.T) {
	open := filepath.Join(t.TempDir(), "token")
	require.NoError(t, os.WriteFile(open, []byte("a token that everybody reads"), 0o644))
	require.NoError(t, os.Chmod(open, 0o644))
	const url = "postgres://me:hidden@127.0.0.1:1/temporal?sslmode=disable"
	const usage, unavailable = 2, 3
	for name, test := range map[string]struct {
		args []string
		code int
		say  string
	}{
		"no database":          {nil, usage, "--postgres is missing"},
		"nobody there":         {[]string{"--postgres", url, "--home", t.TempDir(), "--open"}, unavailable, "PostgreSQL runs"},
		"open to the world":    {[]string{"--postgres", url, "--open", "--listen", "0.0.0.0:7233"}, usage, "everybody"},
		"a UI for the world":   {[]string{"--postgres", url, "--open", "--ui", "0.0.0.0:8233"}, usage, "loopback only"},
		"a token that is open": {[]string{"--postgres", url, "--token-file", open}, usage, "chmod 600"},
		"both":                 {[]string{"--postgres", url, "--token-file", open, "--open"}, usage, "exclude"},
	} {
		t.Run(name, func(t *testing.T) {
			code, said := refusal(t, append([]string{"temporal"}, test.args...)...)
			require.Equal(t, test.code, code, said)
			require.Contains(t, said, test.say)
			require.NotContains(t, said, "hidden")
		})
	}
}
