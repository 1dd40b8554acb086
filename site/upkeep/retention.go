package upkeep

import (
	"time"

	"openflow"
)

// Retention says how long things are kept, so that an idle year or a million jobs do not fill a disk.
type Retention struct {
	Workflows time.Duration // histories in Temporal after the end
	Jobs      time.Duration // rows, metrics and intermediate tables of ended jobs
	Logs      time.Duration // of runs that have ended; no longer than their jobs
	Messages  time.Duration // unread messages of sessions that nobody uses
	Unstarted time.Duration // jobs that were created here and never heard of again
}

// DefaultRetention keeps what an operator may want to look at after a weekend.
func DefaultRetention() Retention {
	return Retention{Workflows: 72 * time.Hour, Jobs: 30 * 24 * time.Hour, Logs: 30 * 24 * time.Hour, Messages: 30 * time.Minute, Unstarted: time.Hour}
}

// Least of what is kept: Temporal keeps no history for less than an hour, and an operator needs an hour to look. A
// container that waits for its machine to come back has messages that nobody else has.
const (
	leastKept     = time.Hour
	leastMessages = 5 * time.Minute
)

// Check refuses what would take from jobs what they need.
func (r Retention) Check() error {
	for _, k := range []struct {
		what, flag   string
		kept, needed time.Duration
	}{
		{"histories", "--keep-histories", r.Workflows, leastKept}, {"jobs", "--keep-jobs", r.Jobs, leastKept},
		{"logs", "--keep-logs", r.Logs, leastKept}, {"messages", "--keep-messages", r.Messages, leastMessages},
		{"jobs that never started", "--keep-unstarted", r.Unstarted, leastMessages},
	} {
		if k.kept < k.needed {
			return openflow.Errorf(openflow.CodeInvalid, "%s would be kept for %s", k.what, k.kept).WithHint("%s takes %s at least", k.flag, k.needed)
		}
	}
	return nil
}
