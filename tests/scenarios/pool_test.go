package scenarios_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/node"
	"openflow/tests/env"
)

// Two sites leave their tasks to pools of workers. The programs of a task exchange messages through their machines and
// their nodes. A worker that is told to end leaves its program to its next process.
func TestPoolsOfTwoSites(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Pooled())
	first := e.StartWorker(t, "9999", "m1", "gpu")
	e.StartWorker(t, "9999", "m2")
	e.StartWorker(t, "10000", "m1", "gpu")
	parties := env.Parties("guest 9999", "host 10000")
	user := e.As(t, "9999")

	upload(t, user, e.As(t, "10000"), 100, 60)
	id := user.Submit(intersection())
	user.WaitFor(id, openflow.JobSuccess)
	for i, party := range e.Parties {
		e.OneStartEach(t, party, id, env.Key("reader_0", parties[i]), env.Key("psi_0", parties[i]))
		require.Empty(t, e.Containers(t, party), "no container at the node itself")
	}

	release := e.Hold(t, "a")
	labelled := env.Noop("a", nil)
	labelled.Conf.Label = "gpu"
	id = user.Submit(env.DAG(parties, labelled))
	user.WaitForTask(id, "a", openflow.TaskRunning)
	ctx, cancel := context.WithTimeout(t.Context(), env.Patience)
	defer cancel()
	require.NoError(t, first.Close(ctx))
	e.StartWorker(t, "9999", "m1", "gpu")
	release()
	user.WaitFor(id, openflow.JobSuccess)
	for i, party := range e.Parties {
		e.OneStartEach(t, party, id, env.Key("a", parties[i]))
	}
}

// patience changes how long runs wait for a machine, and for one that is silent.
func patience(wait, gone time.Duration) env.Option {
	return env.Configure(func(c *node.Config) { c.Pooling = openflow.Pooling{Wait: wait, Gone: gone} })
}

// Machines that are busy take runs in the end: what keeps them busy may wait for the other half of such a run.
func TestBusyMachinesDoNotWaitForEachOther(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Pooled(), patience(4*time.Second, env.Patience))
	guest, host := e.As(t, "9999"), e.As(t, "10000")
	busy := map[*env.Client]openflow.JobID{}
	for _, user := range []*env.Client{guest, host} {
		party := map[*env.Client]string{guest: "9999", host: "10000"}[user]
		e.StartWorker(t, party, "m1")
		busy[user] = user.Submit(env.DAG(env.Parties("guest "+party), env.Noop("a", env.Sleep(300_000))))
		user.WaitForTask(busy[user], "a", openflow.TaskRunning)
	}
	upload(t, guest, host, 100, 60)
	guest.WaitFor(guest.Submit(intersection()), openflow.JobSuccess)
	for user, id := range busy {
		user.WaitForTask(id, "a", openflow.TaskRunning)
		user.StopJob(id)
	}
	e.NoCoresHeld(t)
}

// A run that no machine takes, and one whose machine is gone, give back what they held.
func TestRunsWithoutAMachineGiveBack(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Pooled(), patience(3*time.Second, 15*time.Second))
	user := e.As(t, "9999")
	labelled := env.Noop("a", env.Sleep(300_000))
	labelled.Conf.Label = "gpu"
	dag := env.DAG(env.Parties("guest 9999"), labelled)
	ended := func(id openflow.JobID, why string) {
		require.Contains(t, user.WaitFor(id, openflow.JobFailed)[0].Reason, why)
		e.NoCoresHeld(t)
	}
	ended(user.Submit(dag), "no worker with label gpu took the task within")

	w := e.StartWorker(t, "9999", "m1", "gpu")
	id := user.Submit(dag)
	user.WaitForTask(id, "a", openflow.TaskRunning)
	require.NotZero(t, e.CoresHeld(t, "9999"))
	ctx, cancel := context.WithTimeout(t.Context(), env.Patience)
	defer cancel()
	require.NoError(t, w.Close(ctx))
	ended(id, "is gone: its worker has not come back within")
}

// A node that is started again without a listener for workers, while a run is at one of them, blames no machine. It names the
// setting at its start, in doctor, and as the reason of the run. With the listener the run goes on.
func TestNodeComesBackWithoutItsListenerForWorkers(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Pooled(), patience(env.Patience, env.Patience))
	user := e.As(t, "9999")
	e.StartWorker(t, "9999", "m1")
	release := e.Hold(t, "a")
	id := user.Submit(env.DAG(env.Parties("guest 9999"), env.Noop("a", nil)))
	e.Started(t, id, "a", env.Parties("guest 9999")...)
	env.WaitUntil(t, env.Patience, "the machine has told of its run", func() (bool, string) {
		var list []map[string]any
		user.OK(user.Get("/openflow/v1/user/site/workers"), &list)
		return strings.Contains(fmt.Sprint(list), string(id)), fmt.Sprint(list)
	})

	var listen string
	e.Stop(t, "9999")
	e.Reconfigure("9999", func(c *node.Config) { listen, c.Workers, c.NoTasks = c.Workers, "", false })
	e.Start(t, "9999")
	require.Contains(t, fmt.Sprint(e.Node(t, "9999").Warnings()), "1 runs are at machines of the pool, which cannot reach this node since it was started without --listen-workers")
	require.Contains(t, fmt.Sprint(e.Node(t, "9999").Examine(t.Context())), "restart the node with --listen-workers")
	reasonAt(t, user, id, env.Patience, "names the flag", holds("waiting for task a: machine", "cannot reach this node, which was started without --listen-workers"))
	require.Contains(t, user.Tasks(id)[0].Reason, "--listen-workers")

	e.Stop(t, "9999")
	e.Reconfigure("9999", func(c *node.Config) { c.Workers = listen })
	e.Start(t, "9999")
	require.NotContains(t, fmt.Sprint(e.Node(t, "9999").Warnings()), "--listen-workers")
	release()
	user.WaitFor(id, openflow.JobSuccess)
}

// A label that cannot be one is refused when the job is created, and names the field.
func TestLabelThatIsNone(t *testing.T) {
	e := env.New(t, env.Party("9999"))
	task := env.Noop("a", nil)
	task.Conf.Label = "g pu"
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
	labelled.Conf.Label = "gpu"
	id := user.Submit(env.DAG(parties, labelled))
	user.StopJob(id)
	user.WaitFor(id, openflow.JobCanceled)

	e.StartWorker(t, "9999", "m1", "gpu")
	id = user.Submit(env.DAG(parties, labelled))
	user.WaitForTask(id, "a", openflow.TaskRunning)
	user.StopJob(id)
	user.WaitFor(id, openflow.JobCanceled)
	env.WaitUntil(t, env.Patience, "the machine has no container left", func() (bool, string) {
		return len(env.Tasks(t, e.WorkerHome("9999", "m1"))) == 0, "still there"
	})
	e.NoCoresHeld(t)
}
