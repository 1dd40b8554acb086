package e2e_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/runtime/driver"
	"openflow/sdk"
	"openflow/sdk/wire"
	"openflow/tests/env"
	"openflow/tests/images"
)

// residents are the resident containers of a node, by component, and the others that it has.
func (g *dockerGround) residents(t *testing.T) (serving map[string][]string, others []string) {
	t.Helper()
	serving = map[string][]string{}
	for _, c := range g.containers(t) {
		if _, is := c.Labels[driver.LabelResident]; !is {
			others = append(others, c.Name)
			continue
		}
		component := strings.Split(strings.TrimPrefix(c.Name, "of-resident-"), "-")[0]
		serving[component] = append(serving[component], c.Name)
	}
	return serving, others
}

// stays is a task whose container may serve others too. One that holds does not end by itself.
func stays(name string, holds bool) openflow.Task {
	task := openflow.Task{Name: openflow.TaskName(name), Component: "stay", Parameters: openflow.Parameters{"word": "hello"}}
	if holds {
		task.Parameters["while"] = "/proc"
	}
	return task
}

// Runs of a vendor's components share a container, of an image in Go and of one in Python made without our kit. The container is
// killed, and the node; an operator unloads the component.
func TestResidentContainers(t *testing.T) {
	requireDocker(t)
	list := sites(t, "docker", "9999", "10000")
	registry := map[string]*sdk.Client{}
	for party, s := range list {
		s.start(t)
		registry[party] = &sdk.Client{URL: s.url}
		for _, archive := range []string{images.Of(t, env.Acme(t, "1.0.0")), images.Python(t)} {
			_, err := registry[party].RegisterProvider(t.Context(), sdk.Registration{Place: archive})
			require.NoError(t, err)
		}
	}
	s := list["9999"]
	user, ground := s.as(t), s.ground.(*dockerGround)
	both := env.Parties("guest 9999", "host 10000")
	state := func(component string) string {
		one, err := registry["9999"].Component(t.Context(), component, "")
		require.NoError(t, err)
		return one.State
	}
	becomes := func(component, want string) {
		t.Helper()
		env.WaitUntil(t, env.Patience, component+" is "+want, func() (bool, string) { now := state(component); return now == want, now })
	}

	// Started before its first task, it serves all of them. No container is started for any.
	require.Equal(t, "LOADED", state("stay"))
	changes, err := registry["9999"].StartComponent(t.Context(), "stay", "")
	require.NoError(t, err)
	require.Empty(t, changes, "it was loaded")
	becomes("stay", "STARTED")
	_, err = registry["9999"].StartComponent(t.Context(), "noop", "acme")
	require.ErrorContains(t, err, "nothing of that is resident")
	before, _ := ground.residents(t)
	require.Len(t, before["stay"], 1)
	var tasks []openflow.Task
	for i := range 6 {
		task := stays(fmt.Sprint("stay_", i), false)
		if i > 0 {
			task.DependsOn = []openflow.TaskName{tasks[i-1].Name}
		}
		tasks = append(tasks, task)
	}
	tasks = append(tasks, openflow.Task{Name: "murmur_0", Component: "murmur", Parameters: openflow.Parameters{"word": "HELLO"}})
	id := user.Submit(env.DAG(both, tasks...))
	for party, at := range list {
		at.as(t).WaitFor(id, openflow.JobSuccess)
		serving, others := at.ground.(*dockerGround).residents(t)
		require.Empty(t, others)
		require.Len(t, serving["stay"], 1)
		require.Len(t, serving["murmur"], 1)
		require.Empty(t, at.ground.starts(t), "no container was started for a task")
		role := map[string]string{"9999": "guest", "10000": "host"}[party]
		require.Contains(t, string(at.as(t).Metrics(env.Run(id, role, party, "murmur_0"))["said"]), "hello")
	}
	after, _ := ground.residents(t)
	require.Equal(t, before["stay"], after["stay"])
	becomes("murmur", "STARTED")

	// A task may have a container of its own. What is not resident cannot be.
	alone := stays("stay_0", false)
	alone.Conf.Way = openflow.WayTask
	id = user.Submit(env.DAG(env.Parties("guest 9999"), alone))
	user.WaitFor(id, openflow.JobSuccess)
	require.Len(t, ground.starts(t), 1)
	noop := env.Noop("a", nil)
	noop.Conf.Way = openflow.WayResident
	require.Contains(t, user.TrySubmit(env.DAG(env.Parties("guest 9999"), noop)).Message, `component "noop" is not resident at party 9999`)

	// One that is killed ends no other.
	lasting := user.Submit(env.DAG(env.Parties("guest 9999"), stays("stay_0", true)))
	user.WaitForTask(lasting, "stay_0", openflow.TaskRunning)
	crash := user.Submit(env.DAG(env.Parties("guest 9999"), openflow.Task{
		Name: "murmur_0", Component: "murmur", Parameters: openflow.Parameters{"word": "x", "crash": true},
	}))
	user.WaitFor(crash, openflow.JobFailed)
	after, _ = ground.residents(t)
	require.Len(t, after["murmur"], 1, "its container goes on")
	second := user.Submit(env.DAG(env.Parties("guest 9999"), stays("stay_0", true)))
	user.WaitForTask(second, "stay_0", openflow.TaskRunning)
	user.StopJob(second)
	user.WaitFor(second, openflow.JobCanceled)
	user.WaitForTask(lasting, "stay_0", openflow.TaskRunning)

	// The next process of the node finds the run.
	s.kill(t)
	s.start(t)
	user.WaitForTask(lasting, "stay_0", openflow.TaskRunning)
	again, others := ground.residents(t)
	require.Equal(t, before["stay"], again["stay"])
	require.Empty(t, others)

	// The container is killed. Its run goes on in one of its own, and the next task has another resident one.
	ground.kill(t, before["stay"][0])
	env.WaitUntil(t, env.Patience, "the run has a container of its own", func() (bool, string) {
		_, others := ground.residents(t)
		return len(others) == 1, strings.Join(others, " ")
	})
	user.WaitForTask(lasting, "stay_0", openflow.TaskRunning)
	user.StopJob(lasting)
	user.WaitFor(lasting, openflow.JobCanceled)
	id = user.Submit(env.DAG(env.Parties("guest 9999"), stays("stay_0", false)))
	user.WaitFor(id, openflow.JobSuccess)
	after, _ = ground.residents(t)
	require.Len(t, after["stay"], 1)
	require.NotEqual(t, before["stay"], after["stay"])
	becomes("stay", "STARTED")

	// What is unloaded is drained.
	for _, component := range []string{"stay", "murmur"} {
		_, err = registry["9999"].UnloadComponent(t.Context(), component, "")
		require.NoError(t, err)
	}
	nothingLeft(t, map[string]*site{"9999": s})
	require.Equal(t, "UNLOADED", state("stay"))
	audit, err := registry["9999"].Audit(t.Context(), sdk.AuditFilter{Action: "component"})
	require.NoError(t, err)
	require.True(t, slices.ContainsFunc(audit.Events, func(e wire.AuditEvent) bool { return strings.Contains(e.Detail, "STARTED") }), "%+v", audit.Events)
}
