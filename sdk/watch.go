package sdk

import (
	"context"
	"time"

	"openflow"
	"openflow/sdk/wire"
)

// Snapshot is a job at one time, as this site sees it. It has at least one row.
type Snapshot struct {
	Rows []wire.JobRow // one for each role that the site plays, without the DAG
}

// Status is that of the whole job here: that of a role which is not done yet, or the worst end.
func (s Snapshot) Status() openflow.JobStatus { return openflow.JobStatus(s.row().Status) }

// Reason says what the job waits for or why it ended so; may be empty.
func (s Snapshot) Reason() string { return s.row().Reason }

// Progress is in percent.
func (s Snapshot) Progress() int { return s.row().Progress }

// Done reports whether the job has ended in every role of this site.
func (s Snapshot) Done() bool { return s.Status().Terminal() }

// row is the one that speaks for the others.
func (s Snapshot) row() wire.JobRow {
	rank := func(r wire.JobRow) int {
		switch st := openflow.JobStatus(r.Status); {
		case !st.Terminal():
			return 2
		case st != openflow.JobSuccess:
			return 1
		}
		return 0
	}
	var speaker wire.JobRow
	for i, r := range s.Rows {
		if i == 0 || rank(r) > rank(speaker) {
			speaker = r
		}
	}
	return speaker
}

func (s Snapshot) equal(o Snapshot) bool {
	return len(s.Rows) == len(o.Rows) && s.Status() == o.Status() && s.Progress() == o.Progress() && s.Reason() == o.Reason()
}

// Watching costs the node one small answer at a time: soon after the start of the job often, then once a second.
const (
	shortestWait = 50 * time.Millisecond
	longestWait  = time.Second
	// waitShare is how much later than it happened a change may be seen, as a share of the time watched so far.
	waitShare = 8
	// patience is how long a node that has answered once may be away, for a restart.
	patience = 2 * time.Minute
)

// Watch follows a job until it has ended and returns it as it is then. changed is called at the start and whenever
// status, progress or reason have changed; it may be nil. A node that restarts meanwhile is waited for.
//
// Errors: CodeNotFound (no such job here), CodeUnavailable, and ctx's.
func (c *Client) Watch(ctx context.Context, id openflow.JobID, changed func(Snapshot)) (Snapshot, error) {
	var last Snapshot
	begin := time.Now()
	answered := begin
	for {
		rows, err := c.jobRows(ctx, id, "short")
		now := Snapshot{Rows: rows}
		switch {
		case err == nil:
			answered = time.Now()
			if changed != nil && !now.equal(last) {
				changed(now)
			}
			last = now
			if now.Done() {
				return now, nil
			}
		case openflow.CodeOf(err) != openflow.CodeUnavailable || len(last.Rows) == 0 || time.Since(answered) > patience:
			return last, err
		}
		if err := pause(ctx, time.Since(begin)/waitShare); err != nil {
			return last, err
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(min(max(d, shortestWait), longestWait))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
