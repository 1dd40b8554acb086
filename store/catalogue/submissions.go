package catalogue

import (
	"context"
	"time"

	"openflow"
)

// submissionRow is a row of the table submission.
type submissionRow struct {
	Job       string `db:"job_id"`
	Scheduler string `db:"scheduler"`
	Created   int64  `db:"create_time"`
}

var (
	submissionColumns = columnsOf[submissionRow]()
	insertSubmission  = submissionColumns.insert("submission") + ` on conflict (job_id, scheduler) do nothing`
)

// RememberScheduler records which party schedules a job that was submitted here.
func (c *Catalogue) RememberScheduler(ctx context.Context, id openflow.JobID, scheduler openflow.PartyID) error {
	_, err := c.exec(ctx, insertSubmission, submissionColumns.values(submissionRow{string(id), string(scheduler), c.stamp()})...)
	return classify("remember the scheduler of job "+string(id), err)
}

// ForgetSchedulersBefore forgets at most limit of the schedulers of jobs that were submitted before a time, and says how
// many it was.
func (c *Catalogue) ForgetSchedulersBefore(ctx context.Context, at time.Time, limit int) (int, error) {
	n, err := c.exec(ctx, `delete from submission where (job_id, scheduler) in (select job_id, scheduler from submission where create_time < $1 limit $2)`,
		millis(at), int64(limit))
	return int(n), classify("forget schedulers", err)
}
