package plan

import (
	"time"

	"openflow"
)

// Pause is the pause between two questions of the same kind, after so long a wait. It grows with the wait, because every
// round is written to the job's history, and Temporal bounds that: weeks of waiting must fit.
func Pause(waited time.Duration) time.Duration {
	return min(max(waited/20, 250*time.Millisecond), longestPause)
}

const longestPause = 10 * time.Minute

// Asking is how often parties are asked about runs that they have not reported the end of.
type Asking struct {
	Poll  bool          // parties do not report: asking is the only way to know
	Bound time.Duration // what the pause is at most where they do not report, and at least where they do
}

// WhileRunning is the asking about runs that may go on for long. A report that is lost delays a job, and never hangs it.
func WhileRunning(job openflow.JobPlan) Asking {
	return Asking{Poll: job.SyncType == openflow.Poll, Bound: job.Timing.Collect}
}

// AtTheEnd is the asking about runs that have been told to end.
func AtTheEnd(job openflow.JobPlan) Asking {
	if job.SyncType == openflow.Poll {
		return Asking{Poll: true, Bound: longestPause}
	}
	return Asking{Bound: AtOnce}
}

// Pause is the pause before the next question, when nothing has happened for that long.
func (a Asking) Pause(quiet time.Duration) time.Duration {
	if a.Poll {
		return min(Pause(quiet), a.Bound)
	}
	return max(Pause(quiet), a.Bound)
}
