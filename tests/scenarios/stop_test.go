package scenarios_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk/wire"
	"openflow/tests/env"
)

func TestStop(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Party("10001"))
	three := env.Parties("guest 9999", "host 10000", "arbiter 10001")

	byWhom := map[string]struct{ scheduler, user string }{
		"by the initiator, which schedules": {"9999", "9999"},
		"by the initiator, not scheduling":  {"10001", "9999"},
		"by another party":                  {"9999", "10000"},
	}
	for name, c := range byWhom {
		t.Run(name, func(t *testing.T) {
			d := env.DAG(three, env.Noop("a", env.Sleep(300_000)), env.Noop("b", nil, "a"))
			d.Conf.Scheduler = openflow.PartyID(c.scheduler)
			id := e.As(t, "9999").Submit(d)
			for _, party := range e.Parties {
				e.As(t, party).WaitForTask(id, "a", openflow.TaskRunning)
			}
			e.As(t, c.user).StopJob(id)
			for _, p := range three {
				user := e.As(t, string(p.ID))
				rows := user.WaitFor(id, openflow.JobCanceled)
				require.Contains(t, rows[0].Reason, "stopped by party "+c.user)
				at := string(p.Role) + " " + string(p.ID)
				require.Equal(t, map[string]string{"a " + at: "canceled", "b " + at: "waiting"}, user.Settled(id))
			}
			e.NoContainers(t)
			e.NoCoresHeld(t)
		})
	}

	t.Run("stopping what has ended changes nothing", func(t *testing.T) {
		user := e.As(t, "9999")
		id := user.Submit(env.DAG(three, env.Noop("a", nil)))
		user.WaitFor(id, openflow.JobSuccess)
		user.StopJob(id)
		user.StopJob(id)
		require.Equal(t, "success", user.Jobs(id)[0].Status)
	})

	t.Run("an unknown job is not found", func(t *testing.T) {
		answer := e.As(t, "9999").Post("/v2/job/stop", map[string]string{"job_id": "20010101000000000000"})
		require.Equal(t, wire.JobNotFound, answer.Code, answer.Message)
	})

	t.Run("the queue can be cleaned", func(t *testing.T) {
		user := e.As(t, "9999")
		running := hold(user, cores(32, long(three)))
		waiting := user.Submit(cores(32, long(three)))
		env.Eventually(t, env.Patience, "the job waits", func() (bool, string) {
			rows := user.Jobs(waiting)
			return len(rows) == 1 && rows[0].Reason != "", "no reason"
		})
		user.OK(user.Post("/v2/job/queue/clean", struct{}{}), nil)
		user.WaitFor(waiting, openflow.JobCanceled)
		require.Equal(t, "running", user.Jobs(running)[0].Status, "what runs is no part of the queue")
		user.StopJob(running)
		user.WaitFor(running, openflow.JobCanceled)
		e.NoCoresHeld(t)
	})
}
