package scenarios_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk"
	"openflow/tests/env"
)

// A component that fails while jobs need it: a new job is refused with the reason. One that is run again waits for it, and so does
// a task of one that runs. All of that survives a restart of the node, and goes on when the component has recovered.
func TestJobsWaitForAComponentThatHasFailed(t *testing.T) {
	e := env.New(t, env.Trust("acme"), env.Party("9999"), env.Party("10000"))
	user, host := e.As(t, "9999"), e.As(t, "10000")
	registry := &sdk.Client{URL: e.URL("9999")}
	_, err := registry.RegisterProvider(t.Context(), sdk.Registration{Name: "acme", Place: env.Acme(t, "9.0.0")})
	require.NoError(t, err)
	standing := func() string {
		c, err := registry.Component(t.Context(), "noop", "acme")
		require.NoError(t, err)
		return c.State + " " + c.Reason
	}
	require.Equal(t, "LOADED ", standing())

	parties := env.Parties("guest 9999", "host 10000")
	say := by("acme", "noop", "say", openflow.Parameters{"word": "x"})
	say.DependsOn, say.Parties = []openflow.TaskName{"a"}, parties[:1]
	later := by("acme", "noop", "say", openflow.Parameters{"word": "x"})
	later.DependsOn = []openflow.TaskName{"b"}
	ended := user.Submit(env.DAG(parties[:1], env.Noop("b", env.Sleep(300_000)), later))
	user.WaitForTask(ended, "b", openflow.TaskRunning)
	user.StopJob(ended)
	user.WaitFor(ended, openflow.JobCanceled)
	release := e.Hold(t, "a")
	runs := user.Submit(env.DAG(parties, env.Noop("a", nil), say))
	user.WaitForTask(runs, "a", openflow.TaskRunning)

	ails := filepath.Join(e.Home("9999"), "ails")
	require.NoError(t, os.WriteFile(ails, nil, 0o600))
	_, err = registry.LoadComponent(t.Context(), "noop", "acme")
	require.ErrorContains(t, err, "is not loaded: its startup probe has failed once")
	require.Contains(t, standing(), "FAILED its startup probe has failed once: asked [\"works\" \"--name\" \"noop\"]: exit status 1: it ails")
	alone := env.DAG(parties[:1], by("acme", "noop", "say", openflow.Parameters{"word": "x"}))
	require.Contains(t, user.TrySubmit(alone).Message, `component "noop" of provider acme:9.0.0 is FAILED at this site, and takes no new jobs: its startup probe has failed once`)

	why := holds(`waiting for component "noop" of provider acme:9.0.0, which has failed here since 20`, "it ails")
	release()
	reasonOfTask(t, user, runs, "say", why)
	require.Equal(t, "running", user.Jobs(runs)[0].Status)
	user.OK(user.Post("/v2/job/rerun", map[string]string{"job_id": string(ended)}), nil)
	reasonAt(t, user, ended, env.Patience, "names the component", holds(`waiting for party 9999 (guest): component "noop" does not work there, and the job waits for it`))
	reasonOfTask(t, user, ended, "say", why)
	require.Equal(t, "waiting", user.Jobs(ended)[0].Status)

	require.Contains(t, user.Jobs(ended)[0].Reason, "openflow component show tells the users of that party why")

	e.Restart(t, "9999")
	require.Contains(t, standing(), "FAILED its startup probe")
	require.Equal(t, "waiting", user.Jobs(ended)[0].Status)
	require.NoError(t, os.Remove(ails))
	user.WaitFor(runs, openflow.JobSuccess)
	host.WaitFor(runs, openflow.JobSuccess)
	require.Equal(t, "LOADED ", standing())
	user.WaitForTask(ended, "b", openflow.TaskRunning)
	user.StopJob(ended)
	user.WaitFor(ended, openflow.JobCanceled)
	for _, r := range user.Tasks(runs) {
		require.Empty(t, r.Reason)
	}
	e.NoCoresHeld(t)
}
