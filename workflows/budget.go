package workflows

import (
	"fmt"

	"go.temporal.io/sdk/workflow"

	"openflow"
	"openflow/workflows/plan"
)

// Temporal terminates a workflow whose history has 51,200 events or 50 MB, and takes 2,000 updates of it. Nobody would then
// end its job. So a job ends by itself before, with enough left to tell a thousand parties.
const (
	maxEvents  = 40_000
	maxBytes   = 40 << 20
	maxReports = 1_800 // further ends of runs are asked for; the rest is for the creation and the stop
)

// spent tells that the job's history has used up its budget.
func spent(ctx workflow.Context) bool {
	i := workflow.GetInfo(ctx)
	return i.GetCurrentHistoryLength() >= maxEvents || i.GetCurrentHistorySize() >= maxBytes
}

// exhausted is how a job ends whose history is full.
func exhausted(ctx workflow.Context) plan.Ending {
	i := workflow.GetInfo(ctx)
	return plan.Ending{
		Status: openflow.JobFailed, Code: openflow.CodeExhausted,
		Reason: fmt.Sprintf("the job has used up its history (%d of %d events, %d of %d bytes): it has too many tasks, or tries or waits too often",
			i.GetCurrentHistoryLength(), maxEvents, i.GetCurrentHistorySize(), maxBytes),
	}
}
