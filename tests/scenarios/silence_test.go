package scenarios_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk/wire"
	"openflow/site/trust"
	"openflow/tests/env"
	"openflow/workflows"
)

// reasonAt waits until the reason of a job at a party is as wanted.
func reasonAt(t *testing.T, user *env.Client, id openflow.JobID, within time.Duration, what string, right func(string) bool) {
	t.Helper()
	env.WaitUntil(t, within, fmt.Sprintf("the job's reason at %s %s", user.URL, what), func() (bool, string) {
		rows := user.Jobs(id)
		if len(rows) == 0 {
			return false, "no such job"
		}
		return right(rows[0].Reason), rows[0].Status + " " + rows[0].Reason
	})
}

func holds(parts ...string) func(string) bool {
	return func(s string) bool {
		for _, p := range parts {
			if !strings.Contains(s, p) {
				return false
			}
		}
		return true
	}
}

// waitingForPartners waits until that many jobs are counted as waiting for a partner: the scheduler's record follows the
// rows of the parties.
func waitingForPartners(t *testing.T, user *env.Client, n int) {
	t.Helper()
	line := fmt.Sprintf(`openflow_jobs_waiting{reason="partner"} %d`, n)
	env.WaitUntil(t, env.Patience, line, func() (bool, string) {
		seen := scrape(t, user)
		_, counted, _ := strings.Cut(seen, "openflow_jobs_waiting{")
		counted, _, _ = strings.Cut(counted, "# HELP")
		return strings.Contains(seen, line+"\n"), counted
	})
}

// A running task is running for all its parties, at each of them and from the moment at which it runs there; a job that
// runs for long says what it waits for.
func TestRunningTaskIsRunning(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"))
	user := e.As(t, "9999")
	id := user.Submit(env.DAG(pair, env.Noop("a", env.Sleep(300_000)), env.Noop("b", nil, "a")))
	for _, p := range pair {
		at := e.As(t, string(p.ID))
		at.WaitForTask(id, "a", openflow.TaskRunning)
		for _, r := range at.Tasks(id) {
			want := map[string]string{"a": "running", "b": "waiting"}[r.TaskName]
			require.Equal(t, []string{want, want}, []string{r.Status, r.PartyStatus}, "%s at %s", r.TaskName, p.ID)
		}
		require.Equal(t, "running", at.Jobs(id)[0].Status)
		var found []wire.TaskRow
		at.OK(at.Get("/v2/job/task/query", "job_id", string(id), "status", "running"), &found)
		require.Len(t, found, 1)
		require.Equal(t, "a", found[0].TaskName)
		reasonAt(t, at, id, env.Patience, "says what it waits for", func(s string) bool {
			return s == "waiting for task a at 9999 (guest), 10000 (host)"
		})
	}
	user.StopJob(id)
	user.WaitFor(id, openflow.JobCanceled)
	reasonAt(t, user, id, env.Patience, "is who stopped it", func(s string) bool { return s == "stopped by party 9999" })
}

// A partner that hangs is named, with the time, at every party that misses it, and counted as what the job waits for.
// When it is back, the reason is that of before, and the job has lost nothing.
func TestHangingPartner(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Party("10001"), env.Proxied(), env.Deadlines(slowCollect()))
	three := env.Parties("guest 9999", "host 10000", "arbiter 10001")
	user, third := e.As(t, "9999"), e.As(t, "10001")
	id := user.Submit(env.DAG(three, env.Noop("a", env.Sleep(300_000))))
	for _, p := range three {
		e.As(t, string(p.ID)).WaitForTask(id, "a", openflow.TaskRunning)
	}
	for _, from := range []string{"9999", "10001"} {
		e.Link(t, from, "10000").Inject(env.Every(env.Hung))
	}
	for _, at := range []*env.Client{user, third} {
		reasonAt(t, at, id, env.Patience, "names the party that hangs", holds("waiting for party 10000 (host): it has not answered since 20", "Z"))
	}
	require.Equal(t, "running", user.Jobs(id)[0].Status)
	waitingForPartners(t, user, 1)
	require.Contains(t, e.Log("9999"), `msg="party does not answer as it should" node=9999 party=10000`)

	for _, from := range []string{"9999", "10001"} {
		e.Link(t, from, "10000").Inject(nil)
	}
	for _, at := range []*env.Client{user, third} {
		reasonAt(t, at, id, env.Patience, "is what it waits for", holds("waiting for task a at 9999 (guest)"))
	}
	waitingForPartners(t, user, 0)
	require.Equal(t, 1, strings.Count(e.Log("9999"), `msg="party does not answer as it should" node=9999 party=10000`), "once")
	require.Equal(t, 1, strings.Count(e.Log("9999"), `msg="party answers again" node=9999 party=10000`))
	user.StopJob(id)
	user.WaitFor(id, openflow.JobCanceled)
}

// A partner that is down in mid-job is told from one that hangs, also by a party that does not schedule the job.
func TestPartnerThatIsDown(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"))
	user, host := e.As(t, "9999"), e.As(t, "10000")
	release := e.Hold(t, "a")
	id := user.Submit(env.DAG(pair, env.Noop("a", nil), env.Noop("b", nil, "a")))
	user.WaitForTask(id, "a", openflow.TaskRunning)
	host.WaitForTask(id, "a", openflow.TaskRunning)
	e.Stop(t, "10000")
	reasonAt(t, user, id, env.Patience, "names the party that is down", holds("party 10000 (host)", "nobody listens at its address"))
	e.Start(t, "10000")
	e.Stop(t, "9999")
	reasonAt(t, host, id, env.Patience, "names the scheduler that is down", holds("party 9999 (guest)", "nobody listens at its address"))
	e.Start(t, "9999")
	release()
	require.Empty(t, user.WaitFor(id, openflow.JobSuccess)[0].Reason)
	require.Empty(t, host.WaitFor(id, openflow.JobSuccess)[0].Reason)
}

// A closed port is told at once.
func TestClosedPortAtSubmit(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Deadlines(openflow.Timing{
		Create: 5 * time.Minute, Partner: time.Minute, Undo: 5 * time.Minute, Collect: time.Minute,
	}))
	e.Stop(t, "10000")
	user := e.As(t, "9999")
	for i := range 2 { // also once it is known how the partner wants to be called
		key := []string{wire.IdempotencyHeader, fmt.Sprint("nightly-", i)}
		env.WaitUntil(t, env.Patience, "the closed port is told", func() (bool, string) { // a busy node may ask for a repeat itself
			began := time.Now()
			answer := user.TrySubmit(env.DAG(pair, env.Noop("a", nil)), key...)
			require.Less(t, time.Since(began), time.Minute, "long before the creation's deadline; a quiet machine takes 0.3 s")
			require.Equal(t, string(openflow.CodeUnavailable), answer.Error.Code, answer.Message)
			return holds("10000", "connection refused")(answer.Message), answer.Message
		})
		e.Restart(t, "10000")
		var again wire.Envelope
		env.WaitUntil(t, env.Patience, "the same submission is accepted once the partner is back", func() (bool, string) {
			again = user.TrySubmit(env.DAG(pair, env.Noop("a", nil)), key...)
			return again.Code == wire.Success, again.Message
		})
		user.WaitFor(openflow.JobID(again.JobID), openflow.JobSuccess)
		e.Stop(t, "10000")
	}
}

// anotherKey is a key that no node has.
func anotherKey(t *testing.T) string {
	t.Helper()
	key, err := trust.LoadOrCreateKey(t.TempDir() + "/keys")
	require.NoError(t, err)
	return key.Public().String()
}

func rotate(t *testing.T, user *env.Client, party, key string) {
	t.Helper()
	user.OK(user.Post("/openflow/v1/user/site/rotate", map[string]any{"party_id": party, "key": key, "final": true}), nil)
}

// A wrong key in a site's record of the other one is found when a job is created, whoever has it, and named.
func TestWrongKeyAtCreation(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Party("666"))
	job := func(scheduler string) *openflow.DAG {
		d := env.DAG(pair, env.Noop("a", nil))
		d.Conf.Scheduler = openflow.PartyID(scheduler)
		return d
	}
	user := e.As(t, "9999")
	user.WaitFor(user.Submit(job("9999")), openflow.JobSuccess)
	for name, c := range map[string]struct{ at, of, scheduler string }{
		"the scheduler's record of a party":     {"9999", "10000", "9999"},
		"a party's record of the scheduler":     {"10000", "9999", "9999"},
		"the initiator's record of a scheduler": {"9999", "10000", "10000"},
		"a scheduler's record of the initiator": {"10000", "9999", "10000"},
		"a third party schedules":               {"666", "10000", "666"},
	} {
		t.Run(name, func(t *testing.T) {
			wrong, right := anotherKey(t), e.Key(t, c.of).Public().String()
			rotate(t, e.As(t, c.at), c.of, wrong)
			defer rotate(t, e.As(t, c.at), c.of, right)
			answer := user.TrySubmit(job(c.scheduler))
			require.NotZero(t, answer.Code)
			require.Equal(t, string(openflow.CodeUnauthorized), answer.Error.Code, answer.Message)
			require.Contains(t, answer.Message, "party "+c.of)
			require.Contains(t, answer.Message, e.Key(t, c.of).Public().ID(), "the key that it really has")
			require.Contains(t, answer.Message, "openflow site rotate "+c.of)
			e.NoCoresHeld(t)
		})
	}
	user.WaitFor(user.Submit(job("9999")), openflow.JobSuccess)
}

// A key that changes in mid-job, or is no longer right here, is the job's reason until it is mended; then the job goes
// on.
func TestWrongKeyInMidJob(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"))
	user, host := e.As(t, "9999"), e.As(t, "10000")
	release := e.Hold(t, "a")
	id := user.Submit(env.DAG(pair, env.Noop("a", nil), env.Noop("b", nil, "a")))
	e.Started(t, id, "a", pair...)
	rotate(t, user, "10000", anotherKey(t))
	release()
	refused := holds("waiting for party 10000 (host): since 20", "do not accept each other's signatures")
	reasonAt(t, user, id, env.Patience, "names the party and the key", func(s string) bool {
		return refused(s) && holds("party 10000 shows a certificate of key", e.Key(t, "10000").Public().ID())(s)
	})
	reasonAt(t, host, id, env.Patience, "says that it is refused there", func(s string) bool {
		// On a connection from before it is the signature that does not fit, on a new one the certificate.
		return holds("waiting for party 9999 (guest)", "does not verify")(s) || holds("waiting for party 9999 (guest)", "does not accept the key", "of party 10000")(s)
	})
	rotate(t, user, "10000", e.Key(t, "10000").Public().String())
	user.WaitFor(id, openflow.JobSuccess)
	host.WaitFor(id, openflow.JobSuccess)
}

// A partner that is removed in mid-job ends the job at both, whoever removes the other, and the cores are free.
func TestPartnerIsRemovedInMidJob(t *testing.T) {
	for name, by := range map[string][]string{
		"by the scheduler": {"9999"}, "by the partner": {"10000"},
		"by both, the scheduler first": {"9999", "10000"}, "by both, the partner first": {"10000", "9999"},
	} {
		t.Run(name, func(t *testing.T) {
			e := env.New(t, env.Party("9999"), env.Party("10000"))
			other := map[string]string{"9999": "10000", "10000": "9999"}
			user := e.As(t, "9999")
			id := user.Submit(long(pair))
			for _, p := range pair {
				e.As(t, string(p.ID)).WaitForTask(id, "a", openflow.TaskRunning)
			}
			for _, at := range by {
				u := e.As(t, at)
				u.OK(u.Post("/openflow/v1/user/site/remove", map[string]string{"party_id": other[at]}), nil)
			}
			for _, p := range pair {
				at := e.As(t, string(p.ID))
				at.WaitFor(id, openflow.JobCanceled)
				reasonAt(t, at, id, env.Patience, "says who was removed and waits for nobody", func(s string) bool {
					if string(p.ID) == by[0] {
						return s == fmt.Sprintf("party %s was removed at party %s", other[by[0]], by[0])
					}
					return strings.Contains(s, "party "+by[0]) && !strings.Contains(s, "until it is confirmed")
				})
			}
			e.NoContainers(t)
			e.NoCoresHeld(t)
		})
	}
}

// A job whose partner was removed while the node was about to stop, or with the partner's node away, ends at each site
// alone.
func TestPartnerIsRemovedOutOfReach(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"))
	user, host := e.As(t, "9999"), e.As(t, "10000")
	id := user.Submit(long(pair))
	user.WaitForTask(id, "a", openflow.TaskRunning)
	host.WaitForTask(id, "a", openflow.TaskRunning)
	e.Stop(t, "10000")
	user.OK(user.Post("/openflow/v1/user/site/remove", map[string]string{"party_id": "10000"}), nil)
	reasonAt(t, user, id, env.Patience, "says who was removed", func(s string) bool { return s == "party 10000 was removed at party 9999" })
	require.Equal(t, "canceled", user.Jobs(id)[0].Status)
	e.Start(t, "10000")
	host.OK(host.Post("/openflow/v1/user/site/remove", map[string]string{"party_id": "9999"}), nil)
	require.Equal(t, "party 9999 was removed at party 10000", host.WaitFor(id, openflow.JobCanceled)[0].Reason)
	e.NoContainers(t)
	e.NoCoresHeld(t)
}

// Workflows close as what they ran has ended, so that the Temporal UI shows red what has failed.
func TestWorkflowsCloseAsJobsEnd(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"))
	user := e.As(t, "9999")
	closedAs := func(party, workflow, event string, parts ...string) {
		t.Helper()
		var last string
		env.WaitUntil(t, env.Patience, workflow+" has closed", func() (bool, string) {
			raw, err := e.Node(t, party).History(t.Context(), workflow)
			require.NoError(t, err)
			var h struct{ Events []json.RawMessage }
			require.NoError(t, json.Unmarshal(raw, &h))
			last = string(h.Events[len(h.Events)-1])
			return strings.Contains(last, "EVENT_TYPE_WORKFLOW_EXECUTION_"+event), last
		})
		for _, p := range parts {
			require.Contains(t, last, p)
		}
	}
	run := func(id openflow.JobID, p openflow.Party) string {
		return workflows.TaskWorkflowID(openflow.TaskKey{Scheduler: "9999", Job: id, Task: "a", Party: p})
	}
	failing := env.DAG(pair, env.Noop("a", env.Sleep(300_000)))
	failing.PartyTasks = []openflow.PartyTasks{env.At(pair[1], "a", openflow.Parameters{"fail": true, "sleep_ms": 0})}
	release := e.HoldAt(t, "10000", "a") // until the guest's run has begun
	id := user.Submit(failing)
	user.WaitForTask(id, "a", openflow.TaskRunning)
	release()
	user.WaitFor(id, openflow.JobFailed)
	closedAs("9999", workflows.JobWorkflowID(id), "FAILED", `task \"a\" failed at party 10000 (host)`, `"type": "internal"`)
	closedAs("10000", run(id, pair[1]), "FAILED", `"type": "internal"`)
	closedAs("9999", run(id, pair[0]), "FAILED", `task \"a\" failed at party 10000`)

	user.OK(user.Post("/v2/job/rerun", map[string]string{"job_id": string(id)}), nil)
	user.WaitFor(id, openflow.JobFailed)

	id = user.Submit(long(pair))
	for _, p := range pair {
		e.As(t, string(p.ID)).WaitForTask(id, "a", openflow.TaskRunning)
	}
	user.StopJob(id)
	closedAs("9999", workflows.JobWorkflowID(id), "CANCELED")
	closedAs("9999", run(id, pair[0]), "CANCELED")
	closedAs("10000", run(id, pair[1]), "CANCELED")

	late := env.DAG(pair, env.Noop("a", env.Sleep(300_000)))
	late.Conf.Timeout = time.Second
	id = user.Submit(late)
	closedAs("9999", workflows.JobWorkflowID(id), "FAILED", "longer than its timeout", `deadline`)

	answer := user.TrySubmit(env.DAG(pair, openflow.Task{Name: "a", Component: "unknown"}), wire.IdempotencyHeader, "unknown")
	require.NotZero(t, answer.Code)
}
