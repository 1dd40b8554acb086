package plan_test

import (
	"testing"

	"openflow"
	"openflow/tests/worst"
	"openflow/workflows/plan"
)

// A job is planned, and what is ready found, in proportion to its tasks and edges.
func TestJobsArePlannedInProportion(t *testing.T) {
	worst.Linear(t, func(d *openflow.DAG) {
		if _, usable := d.Examine(); !usable {
			return
		}
		tasks, err := plan.Of(d)
		if err != nil {
			return
		}
		s := plan.New(tasks, 0)
		plan.Rerun(tasks, s.Runs())
		s.Next()
	})
}
