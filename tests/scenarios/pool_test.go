package scenarios_test

import (
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/tests/env"
)

// Two sites leave their tasks to pools of workers; the programs of a task exchange messages through their machines and
// their nodes, and a worker that is told to end leaves its program to its next process.
func TestPoolsOfTwoSites(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Pooled())
	first := e.StartWorker(t, "9999", "m1", "gpu")
	e.StartWorker(t, "9999", "m2")
	e.StartWorker(t, "10000", "m1", "gpu")
	parties := env.Parties("guest 9999", "host 10000")
	user := e.As(t, "9999")

	id := user.Submit(env.DAG(parties, env.Noop("a", nil), env.Noop("b", nil, "a"), env.Noop("c", nil, "b")))
	user.WaitFor(id, openflow.JobSuccess)
	for i, party := range e.Parties {
		e.OneStartEach(t, party, id, env.Key("a", parties[i]), env.Key("b", parties[i]), env.Key("c", parties[i]))
		require.Empty(t, e.Containers(t, party), "no container at the node itself")
	}

	labelled := env.Noop("a", env.Sleep(3000))
	labelled.Conf.EngineRun = map[string]any{"label": "gpu"}
	id = user.Submit(env.DAG(parties, labelled))
	user.WaitForTask(id, "a", openflow.TaskRunning)
	ctx, cancel := context.WithTimeout(t.Context(), env.Patience)
	defer cancel()
	require.NoError(t, first.Close(ctx))
	e.StartWorker(t, "9999", "m1", "gpu")
	user.WaitFor(id, openflow.JobSuccess)
	for i, party := range e.Parties {
		e.OneStartEach(t, party, id, env.Key("a", parties[i]))
	}
}

// A label that cannot be one is refused when the job is created, and names the field.
func TestLabelThatIsNone(t *testing.T) {
	e := env.New(t, env.Party("9999"))
	task := env.Noop("a", nil)
	task.Conf.EngineRun = map[string]any{"label": "g pu"}
	answer := e.As(t, "9999").TrySubmit(env.DAG(env.Parties("guest 9999"), task))
	require.NotZero(t, answer.Code)
	require.True(t, strings.Contains(answer.Message, "engine_run.label"), answer.Message)
}

// A stop reaches a run that waits for a worker, and one at a machine of the pool.
func TestStopOfAPooledTask(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Pooled())
	parties := env.Parties("guest 9999")
	user := e.As(t, "9999")
	labelled := env.Noop("a", env.Sleep(300_000))
	labelled.Conf.EngineRun = map[string]any{"label": "gpu"}
	id := user.Submit(env.DAG(parties, labelled))
	user.StopJob(id)
	user.WaitFor(id, openflow.JobCanceled)

	e.StartWorker(t, "9999", "m1", "gpu")
	id = user.Submit(env.DAG(parties, labelled))
	user.WaitForTask(id, "a", openflow.TaskRunning)
	user.StopJob(id)
	user.WaitFor(id, openflow.JobCanceled)
	env.Eventually(t, env.Patience, "the machine has no container left", func() (bool, string) {
		return len(env.Tasks(t, e.WorkerHome("9999", "m1"))) == 0, "still there"
	})
	e.NoCoresHeld(t)
}
