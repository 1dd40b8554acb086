package fateflow

import (
	"sync"

	"openflow"
)

// shown remembers which runs a scheduler that asks has seen running. FATE-Flow takes no failure of a run that it has not, and
// starts it again and again.
//
// Spec: fate-flow-api §2.5.7, part 7 #44.
type shown struct {
	mu   sync.Mutex
	runs map[openflow.TaskKey]bool
}

// manyShown bounds how many runs are remembered. When it is reached all are forgotten: each is shown as running once more.
const manyShown = 10_000

func newShown() *shown { return &shown{runs: map[openflow.TaskKey]bool{}} }

// status is how a run is shown to who asks. One that was accepted counts as running. Where nobody reports, one that has not
// succeeded is shown so once before its end is told.
func (s *shown) status(at openflow.TaskStanding) openflow.TaskStatus {
	status := at.PartyStatus
	if status == openflow.TaskWaiting && at.Accepted {
		status = openflow.TaskRunning
	}
	if !at.Polled || status == openflow.TaskWaiting || status.Succeeded() {
		return status
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.runs[at.Key] {
		if len(s.runs) >= manyShown {
			clear(s.runs)
		}
		s.runs[at.Key] = true
		return openflow.TaskRunning
	}
	return status
}
