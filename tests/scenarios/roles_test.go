package scenarios_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/tests/env"
)

// A party that has two roles in a job runs both at once, also on a machine of two cores. What both together can never have is told
// at once, and holds up no other job.
func TestTwoRolesOfOneParty(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Cores(2))
	user := e.As(t, "9999")
	both := func() *openflow.DAG { return env.DAG(env.Parties("guest 9999", "host 9999"), env.Noop("a", nil)) }
	user.WaitFor(user.Submit(both()), openflow.JobSuccess)

	large, two := both(), 2
	large.Conf.Cores = &two
	if answer := user.TrySubmit(large); answer.Code == 0 {
		rows := user.WaitFor(openflow.JobID(answer.JobID), openflow.JobFailed)
		require.Contains(t, rows[0].Reason, "4 cores")
	} else {
		require.Contains(t, answer.Message, "4 cores")
	}
	user.WaitFor(user.Submit(env.DAG(env.Parties("guest 9999"), env.Noop("a", nil))), openflow.JobSuccess)
	e.NoCoresHeld(t)
}
