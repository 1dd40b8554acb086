package doctor

import (
	"fmt"
	"time"

	"openflow"
)

// Queue is a task queue of Temporal as its server sees it.
type Queue struct {
	Name    string
	Pollers int
	Backlog int64
	Age     time.Duration // of the oldest entry
	Err     error
}

// longBacklog is how long work may lie in a queue before somebody should look.
const longBacklog = time.Minute

// Temporal checks that the server answers and that somebody takes its work.
func Temporal(version string, queues []Queue) []openflow.Finding {
	var list []openflow.Finding
	for _, q := range queues {
		if q.Err != nil {
			return []openflow.Finding{fail("temporal", fmt.Sprint(q.Err), "read the node's log; with an external server, check that it runs and is reachable")}
		}
		list = append(list, q.worked())
	}
	return append([]openflow.Finding{ok("temporal", "version "+version+" answers")}, list...)
}

func (q Queue) worked() openflow.Finding {
	check := "queue " + q.Name
	detail := fmt.Sprintf("%d pollers, %d waiting, the oldest for %s", q.Pollers, q.Backlog, q.Age.Round(time.Second))
	switch {
	case q.Pollers == 0 && q.Backlog > 0:
		return fail(check, "nobody works on it: "+detail, "start a worker for it: openflow worker, or restart the node")
	case q.Pollers == 0:
		return warn(check, "nobody works on it; nothing waits", "start a worker before a job needs it")
	case q.Age > longBacklog:
		return warn(check, detail, "the workers do not keep up: add one, or look for what holds them")
	}
	return ok(check, detail)
}

// Failing is a workflow whose decisions cannot be made: its code panics, or does not fit its history.
type Failing struct {
	Workflow string
	Attempts int
}

// Workflows checks for workflows that cannot go on. looked is how many open ones were looked at, of open.
func Workflows(failing []Failing, looked, open int, err error) openflow.Finding {
	if err != nil {
		return fail("workflows", fmt.Sprint(err), "read the node's log")
	}
	if len(failing) == 0 {
		return ok("workflows", fmt.Sprintf("%d of %d open ones looked at, none is stuck", looked, open))
	}
	names := make([]string, len(failing))
	for i, f := range failing {
		names[i] = fmt.Sprintf("%s (attempt %d)", f.Workflow, f.Attempts)
	}
	return fail("workflows", fmt.Sprintf("%d cannot make their next decision: %s", len(failing), few(names)),
		"start the version that ran before: a history of it does not replay on this one. The error is in the log and in the Temporal UI")
}

// Strays tells of jobs and runs that had lost their workflow, or workflows their row, and were ended for that.
func Strays(ended []string) openflow.Finding {
	if len(ended) == 0 {
		return ok("strays", "every open job and run has its workflow, and every workflow its row")
	}
	return warn("strays", fmt.Sprintf("%d were ended since the start of the node: %s", len(ended), few(ended)),
		"see who ends workflows in Temporal; openflow job stop ends a job")
}

// Waiting is a job that has not begun to run.
type Waiting struct {
	Job    openflow.JobID
	Reason string
	For    time.Duration
}

// longWait is a wait that somebody should know about.
const longWait = 24 * time.Hour

// Waits checks for jobs that wait for very long.
func Waits(jobs []Waiting) openflow.Finding {
	var long []string
	for _, j := range jobs {
		if j.For > longWait {
			long = append(long, fmt.Sprintf("%s for %s (%s)", j.Job, j.For.Round(time.Hour), j.Reason))
		}
	}
	if len(long) == 0 {
		return ok("waits", fmt.Sprintf("%d jobs wait, none for longer than a day", len(jobs)))
	}
	return warn("waits", fmt.Sprintf("%d jobs have waited for more than a day: %s", len(long), few(long)),
		"see what their reason names: a busy party, or one that is away; or stop them")
}

// Capacity checks what jobs hold of the capacity against the jobs there are.
func Capacity(used, total openflow.Resources, open int) openflow.Finding {
	detail := fmt.Sprintf("%d of %d cores, %s of %s of memory and %d of %d GPUs are held; %d jobs are open",
		used.Cores, total.Cores, openflow.FormatBytes(used.Memory), openflow.FormatBytes(total.Memory), used.GPUs, total.GPUs, open)
	full := used.Cores >= total.Cores || used.Memory >= total.Memory || (total.GPUs > 0 && used.GPUs >= total.GPUs)
	switch {
	case used != openflow.Resources{} && open == 0:
		return fail("capacity", detail, "restart the node; if that does not return them, report it with the catalogue")
	case full:
		return warn("capacity", detail, "further jobs wait; raise --cores, --memory or --gpus to let more run")
	}
	return ok("capacity", detail)
}

// Retention is how long a node keeps what has ended.
type Retention struct{ Workflows, Jobs, Logs, Messages time.Duration }

// Bounds of retention: less loses what a rerun or an operator needs, more fills the disk.
const (
	shortWorkflows = time.Hour
	longJobs       = 366 * 24 * time.Hour
)

// Kept checks the retention settings.
func Kept(r Retention) openflow.Finding {
	detail := fmt.Sprintf("histories %s, jobs %s, logs %s, unread messages %s", kept(r.Workflows), kept(r.Jobs), kept(r.Logs), kept(r.Messages))
	switch {
	case r.Workflows < shortWorkflows:
		return warn("retention", detail, "keep histories for an hour at least (--keep-histories): the Temporal UI shows what went wrong only as long")
	case r.Jobs > longJobs:
		return warn("retention", detail, "keep jobs for a year at most (--keep-jobs), or watch the disk")
	}
	return ok("retention", detail)
}

// kept is a time as people say it: days where it is whole ones.
func kept(d time.Duration) string {
	const day = 24 * time.Hour
	if d >= 2*day && d%day == 0 {
		return fmt.Sprintf("%d days", d/day)
	}
	return d.String()
}
