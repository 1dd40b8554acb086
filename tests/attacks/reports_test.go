package attacks_test

import (
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk/wire"
	"openflow/tests/env"
)

// A party of a job cannot end the run of another party, by whichever way it says so.
func TestReportForAnotherParty(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"))
	parties := env.Parties("guest 9999", "host 10000")
	release := e.Hold(t, "a")
	user := e.As(t, "9999")
	job := user.Submit(env.DAG(parties, env.Noop("a", nil)))
	user.WaitForTask(job, "a", openflow.TaskRunning)
	a := attack(t, e, "10000", "9999")
	lie := openflow.Report{
		Key: openflow.TaskKey{Scheduler: "9999", Job: job, Task: "a", Party: parties[0]}, Status: openflow.TaskFailed,
	}
	err := a.calls().Scheduler().ReportTask(t.Context(), a.Party, lie)
	require.Equal(t, openflow.CodePermission, openflow.CodeOf(err), "%v", err)
	status, answer := a.post("/v2/scheduler/task/report", map[string]any{
		"job_id": job, "task_name": "a", "role": "guest", "party_id": "9999", "status": "failed",
	})
	require.NotContains(t, string(answer), `"code":0`, "%d", status)
	require.NotEqual(t, http.StatusInternalServerError, status, "%s", answer)
	release()
	user.WaitFor(job, openflow.JobSuccess)
}

// A party that takes no part in a job cannot use up what its workflow can take, nor find out that there is one.
func TestReportsOfAnOutsider(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Party("10001"))
	release := e.Hold(t, "a")
	user := e.As(t, "9999")
	job := user.Submit(env.DAG(env.Parties("guest 9999", "host 10000"), env.Noop("a", nil)))
	user.WaitForTask(job, "a", openflow.TaskRunning)
	a := attack(t, e, "10001", "9999")
	k := openflow.TaskKey{Job: job, Task: "a", Party: openflow.Party{Role: openflow.RoleHost, ID: "10001"}}
	for k.Version = range 100 {
		err := a.calls().Scheduler().ReportTask(t.Context(), a.Party, openflow.Report{Key: k, Status: openflow.TaskFailed})
		require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(err))
	}
	for range 20 {
		_, answer := a.post("/v2/scheduler/task/report", map[string]any{
			"job_id": job, "task_id": job + "_a", "task_version": 0, "role": "host", "party_id": "10001", "status": "failed",
			"error": strings.Repeat("x", 1<<20), "error_code": "internal",
		})
		require.NotContains(t, string(answer), `"code":0`)
	}
	release()
	user.WaitFor(job, openflow.JobSuccess)
}

// What a party says of its own run before that was started, of a version that there is not, or after its end, changes nothing.
func TestReportsInWrongStates(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"))
	parties := env.Parties("guest 9999", "host 10000")
	release := e.Hold(t, "b")
	user := e.As(t, "9999")
	job := user.Submit(env.DAG(parties, env.Noop("a", nil), env.Noop("b", nil, "a"), env.Noop("c", nil, "b")))
	a := attack(t, e, "10000", "9999")
	user.WaitForTask(job, "b", openflow.TaskRunning)
	for _, lie := range []struct {
		task    openflow.TaskName
		version int
		status  openflow.TaskStatus
		want    openflow.Code
	}{
		{"c", 0, openflow.TaskFailed, openflow.CodeUnavailable}, {"c", 0, openflow.TaskSuccess, openflow.CodeUnavailable}, // it has not begun
		{"c", 0, openflow.TaskRunning, ""},                                    // nothing follows from that it runs
		{"a", 0, openflow.TaskFailed, ""}, {"a", 0, openflow.TaskRunning, ""}, // it has succeeded
		{"b", 1, openflow.TaskFailed, ""}, {"a", 7, openflow.TaskFailed, ""}, // there is no such version
		{"b", -1, openflow.TaskFailed, openflow.CodeInvalid}, {"b", 0, openflow.TaskWaiting, openflow.CodeInvalid}, {"b", 0, "finished", openflow.CodeInvalid},
		{"d", 0, openflow.TaskFailed, openflow.CodeNotFound},
	} {
		k := openflow.TaskKey{Scheduler: "9999", Job: job, Task: lie.task, Version: lie.version, Party: parties[1]}
		err := a.calls().Scheduler().ReportTask(t.Context(), a.Party, openflow.Report{
			Key: k, Status: lie.status, Cause: openflow.Cause{Code: openflow.CodeInternal, Text: "a lie"},
		})
		require.Equal(t, lie.want, openflow.CodeOf(err), "%v: %v", lie, err)
	}
	release()
	for _, id := range e.Parties {
		e.As(t, id).WaitFor(job, openflow.JobSuccess)
		e.OneStartEach(t, id, job, env.Key("a", party(parties, id)), env.Key("b", party(parties, id)), env.Key("c", party(parties, id)))
	}
}

func party(parties []openflow.Party, id string) openflow.Party {
	for _, p := range parties {
		if string(p.ID) == id {
			return p
		}
	}
	return openflow.Party{}
}

// What a scheduler says to another site is kept in part, and ends the job there whatever its length.
func TestLongReasonsOfAScheduler(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"))
	a, user := attack(t, e, "9999", "10000"), e.As(t, "10000")
	parties := env.Parties("guest 9999", "host 10000")
	d := env.DAG(parties, env.Noop("a", env.Sleep(60_000)))
	d.Conf.Scheduler, d.Conf.Initiator = "9999", "9999"
	k := openflow.JobKey{Scheduler: "9999", Job: "2026010100000000000000001", Party: parties[1]}
	at := a.calls().Partner()
	got, err := at.OpenJob(t.Context(), e.Order(t, k, d))
	require.NoError(t, err)
	require.True(t, got.Held)
	run := openflow.TaskKey{Job: k.Job, Task: "a", Party: parties[1]}
	require.NoError(t, at.StartTask(t.Context(), openflow.TaskStart{TaskKey: run, StartsJob: true}))
	user.WaitForTask(k.Job, "a", openflow.TaskRunning)
	big := strings.Repeat("x", 1<<20)
	require.NoError(t, at.Tell(t.Context(), k, openflow.News{Reason: big}))
	require.LessOrEqual(t, len(user.Jobs(k.Job)[0].Reason), openflow.MaxHeard)
	require.NoError(t, at.StopJob(t.Context(), k, openflow.JobEnd{
		Status: openflow.JobFailed, Reason: strings.Repeat("x", 12<<20),
		Tasks: []openflow.TaskUpdate{{Key: run, Status: openflow.TaskFailed, Reason: big}},
	}))
	rows := user.WaitFor(k.Job, openflow.JobFailed)
	require.LessOrEqual(t, len(rows[0].Reason), openflow.MaxHeard)
	require.Contains(t, rows[0].Reason, "12582912 bytes; see the log")
	require.Contains(t, e.Log("10000"), "a long text was cut")
	for _, task := range user.Tasks(k.Job) {
		require.LessOrEqual(t, len(task.Reason)+len(task.ErrorReport), 2*openflow.MaxHeard)
	}
	e.NoCoresHeld(t)
}

// Long texts where a name belongs are refused, in every call.
func TestLongNames(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"))
	a := attack(t, e, "10000", "9999")
	big := strings.Repeat("x", 100<<10)
	for _, path := range []string{
		"/v2/partner/job/create", "/v2/partner/job/start", "/v2/partner/job/status/update", "/v2/partner/job/update", "/v2/partner/job/stop",
		"/v2/partner/job/resource/apply", "/v2/partner/job/resource/return", "/v2/partner/task/start", "/v2/partner/task/collect",
		"/v2/partner/task/status/update", "/v2/partner/task/stop", "/v2/partner/task/rerun", "/v2/scheduler/job/create", "/v2/scheduler/job/stop",
		"/v2/scheduler/job/rerun", "/v2/scheduler/task/report", "/openflow/v1/node/job/open", "/openflow/v1/node/job/tell",
		"/openflow/v1/node/job/stop", "/openflow/v1/node/task/start", "/openflow/v1/node/task/ask", "/openflow/v1/node/scheduled/report",
		"/openflow/v1/node/scheduled/stop", "/openflow/v1/node/scheduled/wake", "/openflow/v1/node/scheduled/create",
	} {
		_, answer := a.post(path, map[string]any{
			"job_id": big, "task_id": big, "task_version": 0, "new_version": 1, "role": big, "party_id": big, "status": big, "stop_status": big,
			"dag": map[string]any{}, "schema_version": big, "user_name": big,
		})
		require.NotContains(t, string(answer), `"code":0`, path)
		require.Less(t, len(answer), 4<<10, path)
	}
	e.NoCoresHeld(t)
}

// A report of 20 MB is refused, and one with a long text ends a job like any other.
func TestLongReport(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"))
	parties := env.Parties("guest 9999", "host 10000")
	e.Hold(t, "a")
	user := e.As(t, "9999")
	job := user.Submit(env.DAG(parties, env.Noop("a", nil)))
	user.WaitForTask(job, "a", openflow.TaskRunning)
	a := attack(t, e, "10000", "9999")
	said := map[string]any{
		"job_id": job, "task_id": job + "_a", "task_version": 0, "role": "host", "party_id": "10000", "status": "failed",
		"error": strings.Repeat("y", 20<<20), "error_code": "internal",
	}
	_, answer := a.post("/openflow/v1/node/scheduled/report", said)
	require.Contains(t, string(answer), `"error"`, "a body of 20 MB is too large")
	said["error"] = strings.Repeat("y", 200<<10)
	_, answer = a.post("/openflow/v1/node/scheduled/report", said)
	require.NotContains(t, string(answer), `"error"`, "%s", answer)
	for _, id := range e.Parties {
		rows := e.As(t, id).WaitFor(job, openflow.JobFailed)
		require.Less(t, len(rows[0].Reason), 2*openflow.MaxHeard)
	}
	history, err := e.Node(t, "9999").History(t.Context(), string(job))
	require.NoError(t, err)
	require.Less(t, len(history), 200<<10)
	e.NoContainers(t)
	e.NoCoresHeld(t)
}

// A refusal of 20 MB ends the job like any other, wherever it comes, and what the job held is given back.
func TestHugeRefusalEndsTheJob(t *testing.T) {
	big, long := strings.Repeat("y", 20<<20), strings.Repeat("z", 1<<20)
	refusal := map[string]any{"openflow": 1, "error": wire.Problem{Code: "invalid", Message: big, Hint: long, Subject: long, Party: long}}
	for name, at := range map[string]string{"at the creation": "/job/open", "at the start": "/task/start"} {
		t.Run(name, func(t *testing.T) {
			e := env.New(t, env.Party("9999"), env.Party("10000"))
			standIn(t, e, "10000", func(path string) any {
				if strings.HasSuffix(path, at) {
					return refusal
				}
				return nil
			})
			user := e.As(t, "9999")
			answer := user.TrySubmit(env.DAG(env.Parties("guest 9999", "host 10000"), env.Noop("a", nil)))
			require.Less(t, len(answer.Message), 10<<10)
			if at == "/job/open" {
				require.Equal(t, wire.InvalidParameter, answer.Code)
			} else {
				rows := user.WaitFor(openflow.JobID(answer.JobID), openflow.JobFailed)
				require.Less(t, len(rows[0].Reason), 2*openflow.MaxHeard)
			}
			e.NoContainers(t)
			e.NoCoresHeld(t)
		})
	}
}

// events counts those of a workflow's history.
func events(t *testing.T, e *env.Env, id, workflow string) int {
	t.Helper()
	history, err := e.Node(t, id).History(t.Context(), workflow)
	require.NoError(t, err)
	return strings.Count(string(history), `"eventId"`)
}

// A party of a job that calls its scheduler again and again does not fill the job's history, and the job ends as it should.
func TestFloodOfCalls(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Cores(4))
	parties := env.Parties("guest 9999", "host 10000")
	e.Hold(t, "a")
	user := e.As(t, "9999")
	busy := user.Submit(env.DAG(env.Parties("guest 9999"), env.Noop("a", nil)))
	user.WaitForTask(busy, "a", openflow.TaskRunning)
	waits := user.Submit(env.DAG(parties, env.Noop("b", nil)))
	user.WaitFor(waits, openflow.JobWaiting)
	a := attack(t, e, "10000", "9999")
	at := a.calls().Scheduler()
	flood := func(times int, call func() error) {
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				for range times / 4 {
					_ = call() // it may be refused
				}
			})
		}
		all.Wait()
	}
	report := func(job openflow.JobID, task openflow.TaskName, s openflow.TaskStatus, version int) func() error {
		return func() error {
			k := openflow.TaskKey{Scheduler: "9999", Job: job, Task: task, Version: version, Party: parties[1]}
			return at.ReportTask(t.Context(), a.Party, openflow.Report{Key: k, Status: s})
		}
	}
	flood(240, func() error { return at.WakeJob(t.Context(), a.Party, waits) })
	flood(80, report(waits, "b", openflow.TaskSuccess, 1))
	require.Less(t, events(t, e, "9999", string(waits)), 4_000, "of 40,000")
	before := events(t, e, "9999", string(waits))
	flood(80, report(waits, "b", openflow.TaskFailed, 0))
	require.Less(t, events(t, e, "9999", string(waits))-before, 80, "what changes nothing is not written down")
	flood(40, func() error {
		_, err := at.StopJob(t.Context(), a.Party, waits, openflow.JobCanceled)
		return err
	})
	for _, id := range e.Parties {
		e.As(t, id).WaitFor(waits, openflow.JobCanceled)
	}
	user.StopJob(busy)
	user.WaitFor(busy, openflow.JobCanceled)
	e.NoCoresHeld(t)
}

// A scheduler that stops a run without end does not fill the run's history at its party.
func TestFloodOfStops(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"))
	parties := env.Parties("guest 9999", "host 10000")
	e.Hold(t, "a")
	user := e.As(t, "9999")
	job := user.Submit(env.DAG(parties, env.Noop("a", nil)))
	e.Started(t, job, "a", parties...)
	at := attack(t, e, "9999", "10000").calls().Partner()
	run := openflow.TaskKey{Scheduler: "9999", Job: job, Task: "a", Party: parties[1]}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 50 {
				_ = at.Tell(t.Context(), run.JobKey(), openflow.News{Tasks: []openflow.TaskUpdate{{Key: run, Status: openflow.TaskFailed, Reason: "stop"}}})
			}
		})
	}
	all.Wait()
	for _, id := range e.Parties {
		e.As(t, id).Wait(job)
	}
	require.Less(t, events(t, e, "10000", string(run.RunID())), 100)
	e.NoContainers(t)
	e.NoCoresHeld(t)
}
