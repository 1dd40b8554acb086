package scenarios_test

import (
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/node"
	"openflow/node/home"
	"openflow/runtime/driver"
	"openflow/runtime/fake"
	"openflow/sdk"
	"openflow/tests/env"
)

// shared are containers in memory whose runs are real programs. It notes the containers that are asked for.
type shared struct {
	*fake.Runtime
	mu    sync.Mutex
	alone map[string]bool
}

func newShared() *shared {
	s := &shared{alone: map[string]bool{}}
	s.Runtime = fake.New(func(spec driver.Spec) fake.Plan {
		if spec.Labels["openflow.run"] != "" {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.alone[spec.Name] = true
		}
		return fake.Plan{Run: env.Execute}
	})
	return s
}

// residents are the resident containers of a machine that run.
func (s *shared) residents(t *testing.T, machine string) (names []string) {
	t.Helper()
	h, err := fake.Opener{Containers: s.Runtime}.Open(t.Context(), driver.Options{Node: machine})
	require.NoError(t, err)
	list, err := h.List(t.Context(), map[string]string{driver.LabelResident: machine})
	require.NoError(t, err)
	for _, c := range list {
		if c.State == driver.StateRunning {
			names = append(names, c.Name)
		}
	}
	return names
}

func (s *shared) alones() int { s.mu.Lock(); defer s.mu.Unlock(); return len(s.alone) }

// stay is a task whose container may serve others of it.
func stay(name string, after ...openflow.TaskName) openflow.Task {
	return openflow.Task{
		Name: openflow.TaskName(name), Component: "stay", Parameters: openflow.Parameters{"word": "hello"}, DependsOn: after,
	}
}

// Runs of two parties share a container at each, which outlives the node. The component says how it stands. What is unloaded ends.
func TestTasksShareAContainer(t *testing.T) {
	containers := newShared()
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Configure(func(c *node.Config) { c.Runtime = fake.Opener{Containers: containers.Runtime} }))
	registry := &sdk.Client{URL: e.URL("9999"), User: "ann"}
	for _, id := range e.Parties {
		_, err := (&sdk.Client{URL: e.URL(id)}).RegisterProvider(t.Context(), sdk.Registration{Place: env.Acme(t, "1.0.0")})
		require.NoError(t, err)
	}
	machine, err := home.NodeOf(e.Home("9999"))
	require.NoError(t, err)
	becomes := func(want string) {
		t.Helper()
		env.WaitUntil(t, env.Patience, "stay is "+want, func() (bool, string) {
			one, err := registry.Component(t.Context(), "stay", "acme")
			require.NoError(t, err)
			return one.State == want, one.State
		})
	}
	becomes("LOADED")
	guest := e.As(t, "9999")
	id := guest.Submit(env.DAG(pair, stay("a"), stay("b", "a"), stay("c", "b"), stay("d")))
	for _, party := range e.Parties {
		e.As(t, party).WaitFor(id, openflow.JobSuccess)
	}
	require.JSONEq(t, `{"word":"hello","by":"1.0.0"}`, string(guest.Metrics(env.Run(id, "guest", "9999", "c"))["said"]))
	require.Zero(t, containers.alones())
	before := containers.residents(t, machine)
	require.Len(t, before, 1)
	becomes("STARTED")

	e.Restart(t, "9999")
	id = guest.Submit(env.DAG(pair[:1], stay("a")))
	guest.WaitFor(id, openflow.JobSuccess)
	require.Equal(t, before, containers.residents(t, machine))
	own := stay("a")
	own.Conf.Way = openflow.WayTask
	id = guest.Submit(env.DAG(pair[:1], own))
	guest.WaitFor(id, openflow.JobSuccess)
	require.Equal(t, 1, containers.alones())

	_, err = registry.UnloadComponent(t.Context(), "stay", "acme")
	require.NoError(t, err)
	env.WaitUntil(t, env.Patience, "the container has ended", func() (bool, string) {
		left := containers.residents(t, machine)
		return len(left) == 0, strings.Join(left, " ")
	})
	becomes("UNLOADED")
	_, err = registry.StartComponent(t.Context(), "stay", "acme")
	require.NoError(t, err)
	becomes("STARTED")
	require.Len(t, containers.residents(t, machine), 1)
}

// A machine of a pool has resident containers of its own, and its node says how the component stands.
func TestResidentContainersOfAPool(t *testing.T) {
	containers := newShared()
	opener := fake.Opener{Containers: containers.Runtime}
	e := env.New(t, env.Party("9999"), env.Pooled(), env.Configure(func(c *node.Config) { c.Runtime = opener }))
	registry := &sdk.Client{URL: e.URL("9999")}
	_, err := registry.RegisterProvider(t.Context(), sdk.Registration{Place: env.Acme(t, "1.0.0")})
	require.NoError(t, err)
	w := e.StartWorkerOf(t, opener, "9999", "m1")
	guest := e.As(t, "9999")
	id := guest.Submit(env.DAG(pair[:1], stay("a"), stay("b", "a")))
	guest.WaitFor(id, openflow.JobSuccess)
	require.Zero(t, containers.alones())
	require.Len(t, containers.residents(t, w.Machine()), 1)
	becomes := func(want string) {
		t.Helper()
		env.WaitUntil(t, env.Patience, "stay is "+want, func() (bool, string) {
			one, err := registry.Component(t.Context(), "stay", "acme")
			require.NoError(t, err)
			return one.State == want, one.State
		})
	}
	becomes("STARTED")
	_, err = registry.UnloadComponent(t.Context(), "stay", "acme")
	require.NoError(t, err)
	env.WaitUntil(t, env.Patience, "the container has ended", func() (bool, string) {
		left := containers.residents(t, w.Machine())
		return len(left) == 0, strings.Join(left, " ")
	})
}
