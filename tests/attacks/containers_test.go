package attacks_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/docker"
	"openflow/docker/engine"
	"openflow/node"
	"openflow/node/home"
	"openflow/runtime/driver"
	"openflow/runtime/runtimetest"
	"openflow/sdk"
	"openflow/tests/env"
)

// spy builds a vendor's program that looks for the key of a node, and for its application layer.
func spy(t *testing.T, e *env.Env, id string) string {
	t.Helper()
	t.Setenv("OPENFLOW_SPIED", "secret")
	path := filepath.Join(t.TempDir(), "spy")
	flags := fmt.Sprintf("-X main.key=%s -X main.address=%s", filepath.Join(e.Home(id), "node.key"), strings.TrimPrefix(e.URL(id), "http://"))
	cmd := exec.CommandContext(t.Context(), "go", "build", "-ldflags", flags, "-o", path, "openflow/tests/attacks/spy")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	require.NoErrorf(t, err, "%s", out)
	_, err = os.Stat(filepath.Join(e.Home(id), "node.key"))
	require.NoError(t, err, "there is something to be found")
	return path
}

// looks is a job that runs the spy.
func looks() *openflow.DAG {
	return env.DAG(env.Parties("guest 9999"), openflow.Task{Name: "a", Component: "look", Conf: openflow.TaskConf{Provider: "spy"}})
}

// A vendor's program cannot read the node's key, variables or network: neither while it tells what it has, nor while it runs.
func TestDockerSpyFindsNothing(t *testing.T) {
	var dir string
	e := env.New(t, env.Party("9999"), env.Configure(func(c *node.Config) {
		c.Runtime, c.Components, dir = docker.Opener{}, env.Components(t), c.Home
	}))
	t.Cleanup(func() { vacate(t, e, dir) })
	site := &sdk.Client{URL: e.URL("9999")}
	_, err := site.RegisterProvider(t.Context(), sdk.Registration{Name: "spy", Place: spy(t, e, "9999")})
	require.NoError(t, err)
	said, err := site.Component(t.Context(), "look", "spy")
	require.NoError(t, err)
	require.Contains(t, string(said.Description), `"found: "`, "while it tells what it has")
	user := e.As(t, "9999")
	id := user.Submit(looks())
	user.WaitFor(id, openflow.JobFailed)
	require.Contains(t, user.TaskLog(env.Run(id, "guest", "9999", "a")), "found: \n", "while it runs")
	requireNothingAsked(t)
}

// vacate removes what a node has in Docker.
func vacate(t *testing.T, e *env.Env, dir string) {
	t.Helper()
	e.Stop(t, "9999")
	id, err := home.NodeOf(dir)
	require.NoError(t, err)
	_, err = docker.Opener{}.Vacate(context.WithoutCancel(t.Context()), driver.Options{
		Home: dir, Node: id, Identity: runtimetest.Unseen, Log: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
}

// requireNothingAsked holds that no container is left that was asked what its program has.
func requireNothingAsked(t *testing.T) {
	t.Helper()
	rt, err := engine.New(t.Context(), engine.Options{Network: "openflow-attacks"})
	require.NoError(t, err)
	list, err := rt.List(t.Context(), nil)
	require.NoError(t, err)
	require.Empty(t, list)
	require.NoError(t, rt.Close())
}

// A runtime that isolates nothing runs no program of a vendor, not even to ask what it has, unless the operator names the
// vendor. Who is named has all that the node's user has, and the operator is told so.
func TestSpyIsNotRunUnisolated(t *testing.T) {
	for _, trusted := range []bool{false, true} {
		t.Run(fmt.Sprintf("trusted %v", trusted), func(t *testing.T) {
			options := []env.Option{env.Party("9999"), env.Trust("another")}
			if trusted {
				options = append(options, env.Trust("spy"))
			}
			e := env.New(t, options...)
			site := &sdk.Client{URL: e.URL("9999")}
			_, err := site.RegisterProvider(t.Context(), sdk.Registration{Name: "spy", Place: spy(t, e, "9999")})
			seen := filepath.Join(e.Home("9999"), "spied")
			if !trusted {
				require.Equal(t, openflow.CodePermission, openflow.CodeOf(err), "%v", err)
				require.ErrorContains(t, err, "--trust-provider spy")
				require.NoFileExists(t, seen, "it was not run")
				return
			}
			require.NoError(t, err)
			require.FileExists(t, seen)
			said, err := site.Component(t.Context(), "look", "spy")
			require.NoError(t, err)
			require.Contains(t, string(said.Description), "the node's key")
			require.NotContains(t, string(said.Description), "a variable of the node")
			doctor, err := site.Doctor(t.Context())
			require.NoError(t, err)
			require.Condition(t, func() bool {
				for _, f := range doctor {
					if f.Name == "provider spy:1" && f.Status == "warn" {
						return true
					}
				}
				return false
			}, "%v", doctor)
			e.Restart(t, "9999")
			require.Contains(t, strings.Join(e.Node(t, "9999").Warnings(), "\n"), "spy:1 run as the node's user")
		})
	}
}
