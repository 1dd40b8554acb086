package openflow

import (
	"fmt"
	"time"
)

// Workflow names a durable workflow of a node: that of a job at its scheduler, or that of a run at its party.
type Workflow struct {
	Job JobID // of a job
	Run RunID // of a run; the job is then empty
}

// String names it for people.
func (w Workflow) String() string {
	if w.Run != "" {
		return "run " + string(w.Run)
	}
	return "job " + string(w.Job)
}

// Fate is how a workflow stands.
type Fate struct {
	Known    bool      // there is one of that name
	Open     bool      // and it goes on
	Instance string    // which of that name: a rerun of a job is another one
	Since    time.Time // when that one began
	How      string    // one that does not go on: what has become of it, for people
}

// LostJob is why a job ends whose workflow is gone.
func LostJob(f Fate) string {
	return fmt.Sprintf("the workflow of the job was ended from outside (%s)", f.How)
}

// LostRun is why a run ends whose workflow is gone.
func LostRun(f Fate) string {
	return fmt.Sprintf("the workflow of the run was ended from outside (%s)", f.How)
}

// LostRunPublic is what other parties read of it.
const LostRunPublic = "its node has lost the workflow that followed it"
