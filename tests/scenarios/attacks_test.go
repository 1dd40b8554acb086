package scenarios_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk/wire"
	"openflow/tests/env"
)

// impostor is a server without any key that stands at the address of party 10000, as far as party 9999 knows.
func impostor(t *testing.T, e *env.Env, answer func(path string) any) {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = json.NewEncoder(w).Encode(answer(r.URL.Path)) // a caller that has gone is its own business
	}))
	t.Cleanup(s.Close)
	e.Stop(t, "10000")
	user := e.As(t, "9999")
	user.OK(user.Post("/openflow/v1/user/site/add", map[string]any{"party_id": "10000", "url": s.URL, "key": e.Key(t, "10000").Public().String()}), nil)
}

// A server that answers every call of FATE-Flow's with success, and signs nothing, gets no job.
func TestImpostorGetsNoJob(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"))
	impostor(t, e, func(string) any { return wire.Envelope{Message: "success"} })
	answer := e.As(t, "9999").TrySubmit(env.DAG(pair, env.Noop("a", nil)))
	require.Equal(t, wire.VerifyFailed, answer.Code, answer.Message)
	require.Contains(t, answer.Message, "without a signature")
	e.NoCoresHeld(t)
}

// A refusal of megabytes ends the job like any other, and what it held is given back.
func TestHugeRefusalEndsTheJob(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"))
	big := strings.Repeat("y", 3<<20)
	impostor(t, e, func(string) any {
		return map[string]any{"openflow": 1, "error": wire.Problem{Code: "invalid", Message: big, Hint: big}}
	})
	answer := e.As(t, "9999").TrySubmit(env.DAG(pair, env.Noop("a", nil)))
	require.Equal(t, wire.InvalidParameter, answer.Code)
	require.Less(t, len(answer.Message), 10<<10)
	e.NoCoresHeld(t)
}

// A party that takes no part in a job cannot use up what its workflow can take, nor find out that there is one.
func TestReportsOfAnOutsider(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Party("10001"))
	user := e.As(t, "9999")
	job := user.Submit(env.DAG(pair, env.Noop("a", env.Sleep(2_000))))
	at := link(t, e, "10001", "9999").Scheduler()
	k := openflow.TaskKey{Job: job, Task: "a", Party: openflow.Party{Role: openflow.RoleHost, ID: "10001"}}
	for k.Version = range 100 {
		err := at.ReportTask(t.Context(), "10001", openflow.Report{Key: k, Status: openflow.TaskFailed})
		require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(err))
	}
	user.WaitFor(job, openflow.JobSuccess)
}

// What a scheduler says to another site is kept in part, and ends the job there whatever its length.
func TestLongReasonsOfAScheduler(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"))
	at, user := link(t, e, "9999", "10000"), e.As(t, "10000")
	d := env.DAG(pair, env.Noop("a", env.Sleep(60_000)))
	d.Conf.Scheduler, d.Conf.Initiator = "9999", "9999"
	k := openflow.JobKey{Scheduler: "9999", Job: "2026010100000000000000001", Party: pair[1]}
	got, err := at.OpenJob(t.Context(), e.Order(t, k, d))
	require.NoError(t, err)
	require.True(t, got.Held)
	require.NoError(t, at.StartTask(t.Context(), openflow.TaskStart{TaskKey: openflow.TaskKey{Job: k.Job, Task: "a", Party: pair[1]}, StartsJob: true}))
	user.WaitForTask(k.Job, "a", openflow.TaskRunning)
	require.NoError(t, at.StopJob(t.Context(), k, openflow.JobEnd{Status: openflow.JobFailed, Reason: strings.Repeat("x", 12<<20)}))
	rows := user.WaitFor(k.Job, openflow.JobFailed)
	require.LessOrEqual(t, len(rows[0].Reason), 1<<10)
	e.NoCoresHeld(t)
}
