package scenarios_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk/wire"
	"openflow/tests/env"
)

// A rerun never joins the run before it, which may be ending for long because a party does not answer.
func TestRerunWhileEnding(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"))
	guest := e.As(t, "9999")
	e.Hold(t, "a")
	id := guest.Submit(env.DAG(pair, env.Noop("a", nil), env.Noop("b", nil, "a")))
	e.As(t, "10000").WaitForTask(id, "a", openflow.TaskRunning)
	e.Stop(t, "10000")
	guest.StopJob(id)
	guest.WaitFor(id, openflow.JobCanceled)
	guest.Settled(id)
	rerun := func() wire.Envelope { return guest.Post("/v2/job/rerun", map[string]string{"job_id": string(id)}) }
	refused := rerun()
	require.NotZero(t, refused.Code, "a rerun that cannot begin is not taken for one")
	require.Contains(t, refused.Message, "still ending")
	require.Equal(t, "canceled", guest.Jobs(id)[0].Status)
	e.Start(t, "10000")
	env.WaitUntil(t, env.Patience, "the rerun is accepted", func() (bool, string) {
		answer := rerun()
		return answer.Code == 0, answer.Message
	})
	for _, party := range e.Parties {
		user := e.As(t, party)
		env.WaitUntil(t, env.Patience, "the rerun succeeds at "+party, func() (bool, string) {
			r := user.Jobs(id)[0]
			return r.Status == "success", r.Status + " " + r.Reason
		})
	}
	e.NoContainers(t)
	e.NoCoresHeld(t)
}
