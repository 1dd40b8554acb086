package scenarios_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk"
	"openflow/sdk/wire"
	"openflow/tests/env"
)

// statusesUntil reads all that a site tells until the job next has begun, and returns what it said of the job id.
func statusesUntil(t *testing.T, stream *sdk.EventStream, id, next openflow.JobID) (shown []string) {
	t.Helper()
	for {
		event, err := stream.Next()
		require.NoError(t, err)
		require.NotEqual(t, wire.EventMissed, event.Kind)
		switch {
		case event.JobID == string(next):
			return shown
		case event.JobID == string(id) && event.Kind == wire.EventJob && event.Status != "":
			shown = append(shown, event.Status)
		}
	}
}

func TestRerun(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"))
	parties := env.Parties("guest 9999", "host 10000")
	user := e.As(t, "9999")

	t.Run("what succeeded is kept, the rest runs again", func(t *testing.T) {
		e.Hold(t, "b")
		id := user.Submit(env.DAG(parties, env.Noop("a", nil), env.Noop("b", nil, "a"), env.Noop("c", nil, "b")))
		e.Started(t, id, "b", parties...)
		e.As(t, "10000").StopJob(id)
		user.WaitFor(id, openflow.JobCanceled)
		user.Settled(id)

		refused := e.As(t, "10000").Post("/v2/job/rerun", map[string]string{"job_id": string(id)})
		require.Contains(t, refused.Message, "that is for its initiator, party 9999")
		user.OK(user.Post("/v2/job/rerun", map[string]string{"job_id": string(id)}), nil)
		for _, party := range e.Parties {
			rows := e.As(t, party).WaitFor(id, openflow.JobSuccess)
			require.Equal(t, 100, rows[0].Progress)
			for _, task := range e.As(t, party).Tasks(id) {
				want := 0
				if task.TaskName == "b" {
					want = 1
				}
				require.Equal(t, want, task.TaskVersion, task.TaskName)
				require.Equal(t, "success", task.PartyStatus, task.TaskName)
			}
			run := func(name string, version int) string {
				role := map[string]openflow.Role{"9999": openflow.RoleGuest, "10000": openflow.RoleHost}[party]
				return wire.PartyTaskID(openflow.TaskKey{Scheduler: "9999", Job: id, Task: openflow.TaskName(name), Version: version, Party: openflow.Party{Role: role, ID: openflow.PartyID(party)}})
			}
			require.Equal(t, map[string]int{run("a", 0): 1, run("b", 0): 1, run("b", 1): 1, run("c", 0): 1}, e.Starts(t, party, id))
		}
		user.OK(user.Post("/v2/job/rerun", map[string]string{"job_id": string(id)}), nil)
		require.Equal(t, "success", user.Jobs(id)[0].Status, "there is nothing left to do")
		e.NoContainers(t)
		e.NoCoresHeld(t)
	})

	t.Run("a failing task is tried again by itself, as often as the job says", func(t *testing.T) {
		d := env.DAG(parties, env.Noop("a", nil))
		d.Conf.AutoRetries = 2
		d.PartyTasks = []openflow.PartyTasks{env.At(parties[1], "a", openflow.Parameters{"fail": true})}
		streams := map[string]*sdk.EventStream{}
		for _, party := range e.Parties {
			stream, err := (&sdk.Client{URL: e.Node(t, party).URL()}).Events(t.Context(), "", "")
			require.NoError(t, err)
			defer func() { _ = stream.Close() }() // it was only read from
			streams[party] = stream
		}
		id := user.Submit(d)
		rows := user.WaitFor(id, openflow.JobFailed)
		require.Contains(t, rows[0].Reason, `task "a" failed at party 10000`)
		require.Len(t, e.Starts(t, "10000", id), 3)
		e.NoContainers(t)
		e.NoCoresHeld(t)

		next := user.Submit(env.DAG(parties, env.Noop("a", nil)))
		user.WaitFor(next, openflow.JobSuccess)
		for party, stream := range streams {
			shown := statusesUntil(t, stream, id, next)
			require.Equal(t, []string{"running", "failed"}, shown[max(len(shown)-2, 0):], party)
			require.Equal(t, len(shown)-1, slices.IndexFunc(shown, env.Ended), "at %s it never looked failed in between: %v", party, shown)
		}
	})

	t.Run("an unknown job is not found", func(t *testing.T) {
		answer := user.Post("/v2/job/rerun", map[string]string{"job_id": "20010101000000000000"})
		require.Equal(t, wire.JobNotFound, answer.Code, answer.Message)
	})
}
