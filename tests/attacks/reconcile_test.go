package attacks_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/api/workflowservice/v1"

	"openflow"
	"openflow/tests/env"
)

// workflows lists those of a node that go on, the lists of Temporal lag behind.
func workflows(t *testing.T, e *env.Env, id string) []string {
	t.Helper()
	answer, err := e.Node(t, id).TemporalClient().ListWorkflow(t.Context(), &workflowservice.ListWorkflowExecutionsRequest{
		Query: `ExecutionStatus = "Running"`,
	})
	require.NoError(t, err)
	var ids []string
	for _, w := range answer.GetExecutions() {
		ids = append(ids, w.GetExecution().GetWorkflowId())
	}
	return ids
}

// terminate ends a workflow as somebody may who reaches Temporal, and as Temporal does with one that has outgrown its limits.
func terminate(t *testing.T, e *env.Env, id, workflow string) {
	t.Helper()
	require.NoError(t, e.Node(t, id).TemporalClient().TerminateWorkflow(t.Context(), workflow, "", "at random"))
}

// Workflows are terminated at random under load, and a node is restarted meanwhile. Every job ends at every party, with a
// reason, and nothing of it is left.
func TestWorkflowsTerminatedAtRandom(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	dice := rand.New(rand.NewPCG(seed, 0))
	e := env.New(t, env.Party("9999"), env.Party("10000"))
	parties := env.Parties("guest 9999", "host 10000")
	e.Hold(t, "b") // nothing ends by itself
	const load = 4
	begin := time.Now()
	phase := func(what string) { t.Logf("%5.1fs %s", time.Since(begin).Seconds(), what) }
	jobs := make([]openflow.JobID, load)
	for i := range jobs {
		by := e.Parties[i%2]
		jobs[i] = e.As(t, by).Submit(env.DAG(parties, env.Noop("a", nil), env.Noop("b", nil, "a")))
	}
	// Each job loses one of its three workflows that go on, and perhaps others.
	type victim struct{ node, workflow string }
	var victims []victim
	for i, job := range jobs {
		scheduler := openflow.PartyID(e.Parties[i%2])
		all := []victim{{string(scheduler), string(job)}}
		for _, p := range parties {
			e.As(t, string(p.ID)).WaitForTask(job, "b", openflow.TaskRunning)
			k := openflow.TaskKey{Scheduler: scheduler, Job: job, Task: "b", Party: p}
			all = append(all, victim{string(p.ID), string(k.RunID())})
		}
		dice.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		victims = append(victims, all[:1+dice.IntN(len(all))]...)
	}
	dice.Shuffle(len(victims), func(i, j int) { victims[i], victims[j] = victims[j], victims[i] })
	for i, v := range victims {
		if i == len(victims)/2 {
			phase("restart")
			e.Restart(t, e.Parties[dice.IntN(2)])
		}
		// A job that has lost another workflow may be over by now.
		err := e.Node(t, v.node).TemporalClient().TerminateWorkflow(t.Context(), v.workflow, "", "at random")
		if err != nil {
			require.ErrorContains(t, err, "already completed", "%v", v)
		}
	}
	phase("all are terminated")
	for _, job := range jobs {
		for _, id := range e.Parties {
			for _, row := range e.As(t, id).Wait(job) {
				require.NotEmpty(t, row.Reason)
			}
		}
	}
	phase("all have ended")
	e.NoCoresHeld(t)
	e.NoContainers(t)
	phase("nothing is held")
	for _, id := range e.Parties {
		env.WaitUntil(t, env.Patience, "no workflow goes on", func() (bool, string) {
			left := workflows(t, e, id)
			return len(left) == 0, fmt.Sprint(left)
		})
	}
	phase("no workflow goes on")
}

// A job whose workflow is terminated says so at every party, the doctor tells of it, and a stop ends such a job at once.
func TestTerminatedJobSaysWhy(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"))
	parties := env.Parties("guest 9999", "host 10000")
	e.Hold(t, "a")
	user := e.As(t, "9999")
	job, stopped := user.Submit(env.DAG(parties, env.Noop("a", nil))), user.Submit(env.DAG(parties, env.Noop("a", nil)))
	user.WaitForTask(job, "a", openflow.TaskRunning)
	user.WaitForTask(stopped, "a", openflow.TaskRunning)
	terminate(t, e, "9999", string(stopped))
	user.StopJob(stopped)
	for _, id := range e.Parties {
		e.As(t, id).Wait(stopped)
	}
	terminate(t, e, "9999", string(job))
	for _, id := range e.Parties {
		for _, row := range e.As(t, id).WaitFor(job, openflow.JobFailed) {
			require.Contains(t, row.Reason, "the workflow of the job was ended from outside (terminated by ")
			require.Contains(t, row.Reason, "at random")
		}
	}
	e.NoContainers(t)
	e.NoCoresHeld(t)
	found := e.Node(t, "9999").Examine(t.Context())
	i := slices.IndexFunc(found, func(f openflow.Finding) bool { return f.Check == "strays" })
	require.GreaterOrEqual(t, i, 0)
	require.Equal(t, openflow.VerdictWarn, found[i].Verdict)
	require.Contains(t, found[i].Detail, string(job))
}

// A run whose workflow is terminated fails, and its job with it: at the site that lost it, and at the others.
func TestTerminatedRunSaysWhy(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"))
	parties := env.Parties("guest 9999", "host 10000")
	e.Hold(t, "a")
	user := e.As(t, "9999")
	job := user.Submit(env.DAG(parties, env.Noop("a", nil)))
	e.Started(t, job, "a", parties...)
	e.As(t, "10000").WaitForTask(job, "a", openflow.TaskRunning)
	terminate(t, e, "10000", string(openflow.TaskKey{Scheduler: "9999", Job: job, Task: "a", Party: parties[1]}.RunID()))
	rows := user.WaitFor(job, openflow.JobFailed)
	require.Contains(t, rows[0].Reason, openflow.LostRunPublic)
	require.NotContains(t, rows[0].Reason, "at random", "that is for the users of its party")
	tasks := e.As(t, "10000").Tasks(job)
	require.Contains(t, tasks[0].Reason, "the workflow of the run was ended from outside (terminated by ")
	e.NoContainers(t)
	e.NoCoresHeld(t)
}
