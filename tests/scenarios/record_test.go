//go:build record

package scenarios_test

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk/wire"
	"openflow/tests/env"
	"openflow/workflows"
)

// TestRecordHistories writes histories of the present workflows for workflows/replay_test.go: `make replay-fixtures`. It
// records released code only and is no check of its own, so it has a build tag.
func TestRecordHistories(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Cores(4), env.Proxied())
	parties := env.Parties("guest 9999", "host 10000")
	guest, host := parties[0], parties[1]
	user := e.As(t, "9999")

	job := func(name string, id openflow.JobID) { save(t, e, name, workflows.JobWorkflowID(id)) }
	run := func(name string, id openflow.JobID, task openflow.TaskName) {
		key := openflow.TaskKey{Scheduler: "9999", Job: id, Task: task, Party: guest}
		save(t, e, name, workflows.TaskWorkflowID(key))
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
	job("job-waited-asked-in-order", waiter)

	user.OK(user.Post("/v2/job/rerun", map[string]string{"job_id": string(failed)}), nil)
	user.WaitFor(failed, openflow.JobFailed)
	job("job-rerun-opened-by-its-workflow", failed)

	retried := env.DAG(parties, env.Noop("a", nil))
	retried.Conf.AutoRetries = 1
	retried.PartyTasks = []openflow.PartyTasks{env.At(host, "a", openflow.Parameters{"fail": true})}
	twice := user.Submit(retried)
	user.WaitFor(twice, openflow.JobFailed)
	job("job-retried", twice)

	polled := env.DAG(parties, env.Noop("a", env.Sleep(700)))
	polled.Conf.SyncType = openflow.Poll
	pulled := user.Submit(polled)
	user.WaitFor(pulled, openflow.JobSuccess)
	job("job-polled", pulled)
	run("task-of-polled-job", pulled, "a")

	// Only the host knows that it has no such table, so its refusal comes to the workflow.
	lacking := env.DAG(parties, env.Noop("a", nil), openflow.Task{
		Name: "b", Component: "reader", Parties: []openflow.Party{host}, Parameters: openflow.Parameters{"namespace": "none", "name": "none"},
	})
	require.NotZero(t, user.TrySubmit(lacking, wire.IdempotencyHeader, "refused").Code)
	job("job-refused", openflow.JobID(idIn.FindString(user.TrySubmit(lacking, wire.IdempotencyHeader, "refused").Message)))

	e.Link(t, "9999", "10000").Inject(env.First(1, "/openflow/v1/node/job/open", env.Lost))
	late := user.Submit(env.DAG(parties, env.Noop("a", nil)))
	user.WaitFor(late, openflow.JobSuccess)
	job("job-partner-late", late)

	distant := user.Submit(env.DAG(parties, env.Noop("a", env.Sleep(60_000))))
	user.WaitForTask(distant, "a", openflow.TaskRunning)
	e.As(t, "10000").WaitForTask(distant, "a", openflow.TaskRunning)
	e.Stop(t, "10000")
	user.StopJob(distant)
	e.Start(t, "10000")
	env.WaitUntil(t, env.Patience, "the job has stopped everywhere", func() (bool, string) {
		s := user.StopJob(distant)
		return s.Everywhere(), s.Reason
	})
	job("job-stopped-out-of-reach", distant)

	e.Stop(t, "10000")
	absent := env.DAG(parties, env.Noop("a", nil))
	require.NotZero(t, user.TrySubmit(absent).Code)
	e.Start(t, "10000")
	var latest struct {
		Jobs []wire.JobRow `json:"data"`
	}
	user.OK(user.Get("/v2/job/list/query", "status", "failed", "limit", "1", "fields", "short"), &latest)
	require.Len(t, latest.Jobs, 1)
	id := openflow.JobID(latest.Jobs[0].JobID)
	user.WaitFor(id, openflow.JobFailed)
	job("job-partner-absent", id)
}

// TestRecordPooledHistories is TestRecordHistories for runs of a pool.
func TestRecordPooledHistories(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Pooled(), patience(3*time.Second, env.Patience))
	e.StartWorker(t, "9999", "m1", "gpu")
	guest := env.Parties("guest 9999")[0]
	user := e.As(t, "9999")
	run := func(name, label string, ms int, status openflow.JobStatus) {
		task := env.Noop("a", env.Sleep(ms))
		task.Conf.Label = label
		id := user.Submit(env.DAG([]openflow.Party{guest}, task))
		if status == openflow.JobCanceled {
			user.WaitForTask(id, "a", openflow.TaskRunning)
			user.StopJob(id)
		}
		user.WaitFor(id, status)
		user.Settled(id)
		save(t, e, name, workflows.TaskWorkflowID(openflow.TaskKey{Scheduler: "9999", Job: id, Task: "a", Party: guest}))
	}
	run("task-pooled-success", "gpu", 0, openflow.JobSuccess)
	run("task-pooled-stopped", "gpu", 60_000, openflow.JobCanceled)
	run("task-pooled-no-worker", "tpu", 0, openflow.JobFailed)
}

// idIn finds the ID of a refused job in the answer to its repetition.
var idIn = regexp.MustCompile(`\d{21,25}`)

func save(t *testing.T, e *env.Env, name, workflowID string) {
	t.Helper()
	b, err := e.Node(t, "9999").History(t.Context(), workflowID)
	require.NoError(t, err)
	dir := filepath.Join("..", "..", "workflows", "testdata", "replay")
	require.NoError(t, os.MkdirAll(dir, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(dir, name+".json"), append(b, '\n'), 0o644))
}
