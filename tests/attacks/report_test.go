package attacks_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
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
