package scenarios_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/runtime/driver"
	"openflow/tests/env"
)

// A node that is stopped in the middle of a task and started again on its home takes the task up: the program runs on,
// is not started again, and the job succeeds.
func TestRestart(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"))
	cases := map[string][]string{
		"the scheduler's node": {"9999"},
		"the partner's node":   {"10000"},
		"both":                 {"9999", "10000"},
	}
	for name, restarted := range cases {
		t.Run(name, func(t *testing.T) {
			release := e.Hold(t, "a")
			id := e.As(t, "9999").Submit(env.DAG(pair, env.Noop("a", nil), env.Noop("b", nil, "a")))
			e.Started(t, id, "a", pair...)
			e.Stop(t, restarted...)
			for _, party := range restarted {
				require.NotEmpty(t, e.Containers(t, party), "the program outlives the node")
			}
			e.Start(t, restarted...)
			release()
			for i, party := range e.Parties {
				e.As(t, party).WaitFor(id, openflow.JobSuccess)
				e.OneStartEach(t, party, id, env.Key("a", pair[i]), env.Key("b", pair[i]))
			}
			e.NoContainers(t)
			e.NoCoresHeld(t)
		})
	}

	t.Run("the program is killed while its node is down", func(t *testing.T) {
		e.Start(t, e.Parties...) // an earlier subtest may have ended early
		id := e.As(t, "9999").Submit(env.DAG(pair, env.Noop("a", env.Sleep(300_000)), env.Noop("b", nil, "a")))
		e.Started(t, id, "a", pair...)
		e.Stop(t, "10000")
		list := e.Containers(t, "10000")
		require.Len(t, list, 1)
		env.KillProgram(t, e.Home("10000"), list[0].Name)
		env.WaitUntil(t, env.Patience, "its end has been noted", func() (bool, string) {
			state := e.Containers(t, "10000")[0].State
			return state == driver.StateExited, string(state)
		})
		e.Start(t, "10000")
		for _, party := range e.Parties {
			rows := e.As(t, party).WaitFor(id, openflow.JobFailed)
			require.Contains(t, rows[0].Reason, `task "a" failed at party 10000 (host): component noop failed (rejected): the program ended with exit code 137`)
		}
		e.NoContainers(t)
		e.NoCoresHeld(t)
	})

	t.Run("a job waits for a partner that is down between two tasks", func(t *testing.T) {
		e.Start(t, e.Parties...) // an earlier subtest may have ended early
		release := e.Hold(t, "a")
		id := e.As(t, "9999").Submit(env.DAG(pair,
			openflow.Task{Name: "a", Component: "noop", Parties: pair[:1]}, env.Noop("b", nil, "a")))
		e.As(t, "9999").WaitForTask(id, "a", openflow.TaskRunning)
		e.Stop(t, "10000")
		release()
		e.As(t, "9999").WaitForTask(id, "a", openflow.TaskSuccess)
		e.Start(t, "10000")
		e.As(t, "9999").WaitFor(id, openflow.JobSuccess)
		e.As(t, "10000").WaitFor(id, openflow.JobSuccess)
	})

	t.Run("a stop reaches a partner that was down", func(t *testing.T) {
		e.Start(t, e.Parties...) // an earlier subtest may have ended early
		id := e.As(t, "9999").Submit(long(pair))
		e.As(t, "10000").WaitForTask(id, "a", openflow.TaskRunning)
		e.Stop(t, "10000")
		e.As(t, "9999").StopJob(id)
		e.As(t, "9999").WaitFor(id, openflow.JobCanceled)
		e.Start(t, "10000")
		e.As(t, "10000").WaitFor(id, openflow.JobCanceled)
		e.NoContainers(t)
		e.NoCoresHeld(t)
	})

	t.Run("a waiting job goes on waiting", func(t *testing.T) {
		e.Start(t, e.Parties...) // an earlier subtest may have ended early
		guest := e.As(t, "9999")
		first := hold(guest, cores(32, long(pair)))
		second := guest.Submit(cores(32, env.DAG(pair, env.Noop("a", nil))))
		env.WaitUntil(t, env.Patience, "the job waits", func() (bool, string) {
			rows := guest.Jobs(second)
			return len(rows) == 1 && rows[0].Reason != "", "no reason"
		})
		e.Restart(t, "9999")
		require.Equal(t, "waiting", guest.Jobs(second)[0].Status)
		guest.StopJob(first)
		guest.WaitFor(second, openflow.JobSuccess)
		e.NoCoresHeld(t)
		e.NoContainers(t)
	})
}
