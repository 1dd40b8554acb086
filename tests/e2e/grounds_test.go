package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/docker/engine"
	"openflow/runtime/driver"
	"openflow/runtime/launch"
	"openflow/sdk/wire"
	"openflow/tests/env"
)

// ground is what a site's tasks run on, seen from outside of the node.
type ground interface {
	// components is the binary to give to the node.
	components() string
	// containers lists what exists, running or not.
	containers(t *testing.T) []driver.Status
	// starts counts the programs started so far, by the ID of the run.
	starts(t *testing.T) map[string]int
	// hold makes the first runs of a task last, once they have begun, until they are released. A container lasts for a time.
	hold(t *testing.T, task openflow.TaskName) (lasting openflow.Parameters, release func())
	// kill ends a container's program with SIGKILL.
	kill(t *testing.T, container string)
	// end removes what the site has left, after its node.
	end(t *testing.T)
}

func newGround(t *testing.T, runtime, dir, home string) ground {
	t.Helper()
	if runtime == "docker" {
		return newDockerGround(t, home)
	}
	require.NoError(t, os.Mkdir(dir, 0o700))
	return processGround{home, env.NewWitness(t, dir)}
}

// processGround is a home folder of the process runtime.
type processGround struct {
	home    string
	witness *env.Witness
}

func (g processGround) components() string                      { return g.witness.Program }
func (g processGround) containers(t *testing.T) []driver.Status { return env.Tasks(t, g.home) }
func (g processGround) starts(t *testing.T) map[string]int      { return g.witness.Starts(t) }
func (g processGround) kill(t *testing.T, container string)     { env.KillProgram(t, g.home, container) }
func (g processGround) end(t *testing.T)                        { env.EndTasks(t, g.home) }

func (g processGround) hold(t *testing.T, task openflow.TaskName) (openflow.Parameters, func()) {
	return nil, g.witness.Hold(t, task)
}

// requireDocker fails without a daemon: a suite that skips itself tests nothing where it matters.
func requireDocker(t *testing.T) {
	t.Helper()
	rt, err := engine.New(t.Context(), engine.Options{})
	require.NoError(t, err, "no Docker daemon: run tests/services/docker.sh, or leave these tests out with -skip TestDocker")
	require.NoError(t, rt.Close())
}

// dockerGround is a site's part of the machine's daemon. It listens to the daemon's events from before the node's start,
// so it knows of every container, also of those that are gone.
type dockerGround struct {
	home string
	path string
	api  *client.Client

	mu   sync.Mutex
	seen []events.Message
}

func newDockerGround(t *testing.T, home string) *dockerGround {
	t.Helper()
	requireDocker(t)
	api, err := client.New(client.WithHostFromEnv())
	require.NoError(t, err)
	g := &dockerGround{home: home, path: env.Components(t), api: api}
	ctx, cancel := context.WithCancel(context.Background())
	stream := api.Events(ctx, client.EventsListOptions{
		Since:   time.Now().Format(time.RFC3339Nano), // so that the stream may begin a little later
		Filters: make(client.Filters).Add("type", "container").Add("event", "start"),
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case m := <-stream.Messages:
				g.mu.Lock()
				g.seen = append(g.seen, m)
				g.mu.Unlock()
			case err := <-stream.Err:
				if ctx.Err() == nil {
					t.Errorf("events of the daemon: %v", err)
				}
				return
			}
		}
	}()
	t.Cleanup(func() {
		cancel()
		<-done
		if err := api.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return g
}

func (g *dockerGround) components() string { return g.path }

// node is the node's UUID; ok is false before its first start.
func (g *dockerGround) node(t testing.TB) (id string, ok bool) {
	data, err := os.ReadFile(filepath.Join(g.home, "home.json"))
	if errors.Is(err, os.ErrNotExist) {
		return "", false
	}
	require.NoError(t, err)
	var home struct {
		Node string `json:"node"`
	}
	require.NoError(t, json.Unmarshal(data, &home))
	return home.Node, true
}

// network is the name of the node's own network.
func (g *dockerGround) network(t testing.TB) string {
	id, ok := g.node(t)
	require.True(t, ok, "the node has been started")
	first, _, _ := strings.Cut(id, "-")
	return "openflow-" + first
}

// open is the runtime as the node has it.
func (g *dockerGround) open(t testing.TB) *engine.Runtime {
	rt, err := engine.New(context.WithoutCancel(t.Context()), engine.Options{Network: g.network(t)})
	require.NoError(t, err)
	return rt
}

func (g *dockerGround) containers(t *testing.T) []driver.Status {
	t.Helper()
	rt := g.open(t)
	defer func() { require.NoError(t, rt.Close()) }()
	list, err := rt.List(context.WithoutCancel(t.Context()), nil)
	require.NoError(t, err)
	return list
}

func (g *dockerGround) starts(t *testing.T) map[string]int {
	t.Helper()
	id, _ := g.node(t)
	g.mu.Lock()
	defer g.mu.Unlock()
	starts := map[string]int{}
	for _, m := range g.seen {
		if _, resident := m.Actor.Attributes[driver.LabelResident]; !resident && m.Actor.Attributes[launch.LabelNode] == id {
			run, err := openflow.ParseRunID(openflow.RunID(m.Actor.Attributes[launch.LabelRun]))
			require.NoError(t, err)
			starts[wire.PartyTaskID(run)]++ // as rows name it
		}
	}
	return starts
}

// containerLasts is for how long a container's program lasts that is to be running when something happens to others.
const containerLasts = 10_000

func (g *dockerGround) hold(*testing.T, openflow.TaskName) (openflow.Parameters, func()) {
	return env.Sleep(containerLasts), func() {}
}

// kill waits for the program to run, because its row says so a moment before.
func (g *dockerGround) kill(t *testing.T, container string) {
	t.Helper()
	env.WaitUntil(t, env.Patience, "container "+container+" runs", func() (bool, string) {
		seen, err := g.api.ContainerInspect(t.Context(), container, client.ContainerInspectOptions{})
		require.NoError(t, err)
		return seen.Container.State.Running, string(seen.Container.State.Status)
	})
	_, err := g.api.ContainerKill(t.Context(), container, client.ContainerKillOptions{Signal: "KILL"})
	require.NoError(t, err)
}

func (g *dockerGround) end(t *testing.T) {
	if _, started := g.node(t); !started {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), env.Patience)
	defer cancel()
	rt := g.open(t)
	list, err := rt.List(ctx, nil)
	for _, c := range list {
		err = errors.Join(err, rt.Stop(ctx, c.Name, 0), rt.Remove(ctx, c.Name))
	}
	if err := errors.Join(err, rt.RemoveFirewall(ctx), rt.RemoveNetwork(ctx), rt.Close()); err != nil {
		t.Errorf("end what runs in Docker: %v", err)
	}
}
