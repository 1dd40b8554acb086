package scenarios_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/tests/env"
	"openflow/workflows"
)

// TestRecordHistories writes histories of the present workflows for workflows/replay_test.go. It records released code
// only, so it runs when `make replay-fixtures` asks for it, and is no check of its own.
func TestRecordHistories(t *testing.T) {
	if os.Getenv("OPENFLOW_RECORD") == "" {
		return
	}
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Cores(4))
	parties := env.Parties("guest 9999", "host 10000")
	guest, host := parties[0], parties[1]
	user := e.As(t, "9999")

	job := func(name string, id openflow.JobID) { save(t, e, name, workflows.JobWorkflowID(id)) }
	run := func(name string, id openflow.JobID, task openflow.TaskName) {
		key := openflow.TaskKey{Job: id, Task: task, Party: guest}
		save(t, e, name, workflows.TaskWorkflowID("9999", key))
	}

	chain := user.Submit(env.DAG(parties, env.Noop("a", nil), env.Noop("b", nil, "a"), env.Noop("c", nil, "b")))
	user.WaitFor(chain, openflow.JobSuccess)
	job("job-chain-of-3", chain)
	run("task-success", chain, "a")

	diamond := user.Submit(env.DAG(parties, env.Noop("a", nil), env.Noop("b", nil, "a"), env.Noop("c", nil, "a"), env.Noop("d", nil, "b", "c")))
	user.WaitFor(diamond, openflow.JobSuccess)
	job("job-diamond", diamond)

	failing := env.DAG(parties, env.Noop("a", env.Sleep(2000)))
	failing.PartyTasks = []openflow.PartyTasks{env.At(host, "a", openflow.Parameters{"fail": true, "sleep_ms": 0})}
	failed := user.Submit(failing)
	user.WaitFor(failed, openflow.JobFailed)
	job("job-failed-at-host", failed)
	user.Settled(failed)
	run("task-stopped", failed, "a")

	long := env.DAG(parties, env.Noop("a", env.Sleep(60_000)))
	four := 4
	long.Conf.Cores = &four
	holder := user.Submit(long)
	user.WaitForTask(holder, "a", openflow.TaskRunning)
	waiter := user.Submit(long)
	user.WaitFor(waiter, openflow.JobWaiting)
	user.StopJob(holder)
	user.WaitFor(holder, openflow.JobCanceled)
	job("job-stopped-while-running", holder)
	user.WaitForTask(waiter, "a", openflow.TaskRunning)
	user.StopJob(waiter)
	user.WaitFor(waiter, openflow.JobCanceled)
	job("job-waited-then-stopped", waiter)

	refused := user.TrySubmit(env.DAG(parties, openflow.Task{Name: "a", Component: "unknown"}))
	require.NotZero(t, refused.Code)
}

func save(t *testing.T, e *env.Env, name, workflowID string) {
	t.Helper()
	b, err := e.Node(t, "9999").History(t.Context(), workflowID)
	require.NoError(t, err)
	dir := filepath.Join("..", "..", "workflows", "testdata", "replay")
	require.NoError(t, os.MkdirAll(dir, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, name+".json"), append(b, '\n'), 0o644))
}
