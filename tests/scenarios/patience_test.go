package scenarios_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/tests/env"
)

// A program that dies is run again by itself when the job says so, under a new version, and the job never looks failed.
func TestRetryOfAKilledProgram(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"))
	guest := e.As(t, "9999")
	d := env.DAG(pair, env.Noop("a", nil), env.Noop("b", nil, "a"))
	d.Conf.AutoRetries = 1
	e.Hold(t, "a")
	id := guest.Submit(d)
	e.Started(t, id, "a", pair...)
	victim := e.Containers(t, "10000")
	require.Len(t, victim, 1)
	env.KillProgram(t, e.Home("10000"), victim[0].Name)
	for i, party := range e.Parties {
		e.As(t, party).WaitFor(id, openflow.JobSuccess)
		second := env.Key("a", pair[i])
		second.Version = 1
		e.OneStartEach(t, party, id, env.Key("a", pair[i]), second, env.Key("b", pair[i]))
	}
	e.NoContainers(t)
	e.NoCoresHeld(t)
}

// A partner that stays away longer than the job's patience fails the job with a reason, and the others are freed.
func TestPartnerStaysAway(t *testing.T) {
	timing := env.Timing()
	timing.Partner = 3 * time.Second
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Deadlines(timing))
	guest := e.As(t, "9999")
	release := e.Hold(t, "a")
	id := guest.Submit(env.DAG(pair, openflow.Task{Name: "a", Component: "noop", Parties: pair[:1]}, env.Noop("b", nil, "a")))
	guest.WaitForTask(id, "a", openflow.TaskRunning)
	e.Stop(t, "10000")
	release()
	rows := guest.WaitFor(id, openflow.JobFailed)
	require.Contains(t, rows[0].Reason, `task "b" could not be started at party 10000 (host)`)
	require.Contains(t, rows[0].Reason, "the node does not answer")
	require.NotContains(t, rows[0].Reason, e.SecureURL("10000"), "all parties read it")
	e.Start(t, "10000")
	e.As(t, "10000").WaitFor(id, openflow.JobFailed)
	e.NoContainers(t)
	e.NoCoresHeld(t)
}

// A task that waits for the cores of its own job longer than a partner may be silent is no failure.
func TestLongBranch(t *testing.T) {
	timing := env.Timing()
	timing.Partner = 10 * time.Second // a call may take that long on a slow machine
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Deadlines(timing))
	guest := e.As(t, "9999")
	d := env.DAG(pair, env.Noop("a", env.Sleep(14_000)), env.Noop("b", nil), env.Noop("c", nil, "a", "b"))
	d.Conf.Task.Cores = new(4)
	id := guest.Submit(cores(4, d))
	guest.WaitFor(id, openflow.JobSuccess)
	e.As(t, "10000").WaitFor(id, openflow.JobSuccess)
	e.NoCoresHeld(t)
}
