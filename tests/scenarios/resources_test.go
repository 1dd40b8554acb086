package scenarios_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/tests/env"
)

var pair = env.Parties("guest 9999", "host 10000")

// long is a job whose only task lasts until it is stopped.
func long(parties []openflow.Party) *openflow.DAG {
	return env.DAG(parties, env.Noop("a", env.Sleep(300_000)))
}

// hold submits a long job, waits until it runs, and stops it with the test at the latest.
func hold(user *env.Client, d *openflow.DAG) openflow.JobID {
	user.Helper()
	id := user.Submit(d)
	user.Cleanup(func() { user.StopJob(id) })
	user.WaitForTask(id, "a", openflow.TaskRunning)
	return id
}

// cores makes a job take that many cores at every party.
func cores(n int, d *openflow.DAG) *openflow.DAG {
	d.Conf.Cores = &n
	return d
}

// Four cores at each node: one job takes all of them, the next waits and says for what.
func TestBusy(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Cores(4))

	t.Run("a busy party makes the job wait with a reason and run later", func(t *testing.T) {
		guest, host := e.As(t, "9999"), e.As(t, "10000")
		first := hold(guest, cores(4, long(pair)))
		require.Equal(t, 4, e.CoresHeld(t, "9999"))
		require.Equal(t, 4, e.CoresHeld(t, "10000"))

		second := guest.Submit(cores(3, env.DAG(pair, env.Noop("a", nil))))
		for _, c := range []*env.Client{guest, host} {
			reasonAt(t, c, second, env.Patience, "names the party, the resource, the need and what is free",
				regexp.MustCompile(`(party|guest|host) (9999|10000).*needs 3 cores.*0 of 4 are free`).MatchString)
			require.Equal(t, "waiting", c.Jobs(second)[0].Status)
		}
		require.Equal(t, 4, e.CoresHeld(t, "9999"), "a waiting job holds nothing")
		require.Empty(t, e.Starts(t, "9999", second))

		guest.StopJob(first)
		guest.WaitFor(second, openflow.JobSuccess)
		host.WaitFor(second, openflow.JobSuccess)
		require.Empty(t, guest.Jobs(second)[0].Reason, "the reason to wait is gone")
		e.NoCoresHeld(t)
		e.NoContainers(t)
	})

	t.Run("all or nothing: a grant is returned when another party is busy", func(t *testing.T) {
		guest, host := e.As(t, "9999"), e.As(t, "10000")
		alone := hold(host, cores(4, long(env.Parties("guest 10000"))))
		both := guest.Submit(cores(2, env.DAG(pair, env.Noop("a", nil))))
		env.WaitUntil(t, env.Patience, "the job waits for party 10000", func() (bool, string) {
			rows := guest.Jobs(both)
			return len(rows) == 1 && rows[0].Reason != "", guest.TaskLog(env.Run(both, "guest", "9999", "a"))
		})
		env.WaitUntil(t, env.Patience, "the reason names the busy party", func() (bool, string) {
			reason := guest.Jobs(both)[0].Reason
			return strings.Contains(reason, "10000"), reason
		})
		// The idle party must be free for others meanwhile.
		other := guest.Submit(cores(4, env.DAG(env.Parties("guest 9999"), env.Noop("a", nil))))
		guest.WaitFor(other, openflow.JobSuccess)
		host.StopJob(alone)
		guest.WaitFor(both, openflow.JobSuccess)
		e.NoCoresHeld(t)
	})

	t.Run("more than there will ever be fails at once", func(t *testing.T) {
		guest := e.As(t, "9999")
		id := guest.Submit(cores(5, env.DAG(pair, env.Noop("a", nil))))
		rows := guest.WaitFor(id, openflow.JobFailed)
		require.Contains(t, rows[0].Reason, "needs 5 cores, the site has 4")
		require.Contains(t, rows[0].Reason, "ask for less in dag.conf")
		e.NoCoresHeld(t)
	})

	t.Run("a waiting job can be stopped", func(t *testing.T) {
		guest, host := e.As(t, "9999"), e.As(t, "10000")
		first := hold(guest, cores(4, long(pair)))
		waiting := guest.Submit(cores(4, long(pair)))
		env.WaitUntil(t, env.Patience, "the job waits", func() (bool, string) {
			rows := guest.Jobs(waiting)
			return len(rows) == 1 && rows[0].Reason != "", "no reason"
		})
		guest.StopJob(waiting)
		guest.WaitFor(waiting, openflow.JobCanceled)
		host.WaitFor(waiting, openflow.JobCanceled)
		require.Empty(t, e.Starts(t, "9999", waiting))
		require.Empty(t, e.Starts(t, "10000", waiting))
		require.Equal(t, 4, e.CoresHeld(t, "9999"), "the running job keeps its cores")
		guest.StopJob(first)
		guest.WaitFor(first, openflow.JobCanceled)
		e.NoCoresHeld(t)
	})

	t.Run("every way to end gives the cores back", func(t *testing.T) {
		ends := map[string]struct {
			dag  *openflow.DAG
			stop bool
			want openflow.JobStatus
		}{
			"success":  {dag: env.DAG(pair, env.Noop("a", nil)), want: openflow.JobSuccess},
			"failed":   {dag: env.DAG(pair, env.Noop("a", openflow.Parameters{"fail": true})), want: openflow.JobFailed},
			"canceled": {dag: long(pair), stop: true, want: openflow.JobCanceled},
		}
		for name, c := range ends {
			t.Run(name, func(t *testing.T) {
				user := e.As(t, "9999")
				id := user.Submit(cores(4, c.dag))
				if c.stop {
					user.WaitForTask(id, "a", openflow.TaskRunning)
					user.StopJob(id)
				}
				user.WaitFor(id, c.want)
				e.NoCoresHeld(t)
				e.NoContainers(t)
			})
		}
	})

	t.Run("a queue of jobs drains", func(t *testing.T) {
		guest, host := e.As(t, "9999"), e.As(t, "10000")
		var ids []openflow.JobID
		for range 12 {
			ids = append(ids, guest.Submit(cores(2, env.DAG(pair, env.Noop("a", env.Sleep(50))))))
		}
		for _, id := range ids {
			guest.WaitFor(id, openflow.JobSuccess)
			host.WaitFor(id, openflow.JobSuccess)
		}
		e.NoCoresHeld(t)
		e.NoContainers(t)
	})
}
