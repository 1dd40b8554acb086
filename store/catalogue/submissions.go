package catalogue

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"openflow"
)

// RememberScheduler records which party schedules a job that was submitted here. The first word counts.
func (c *Catalogue) RememberScheduler(ctx context.Context, id openflow.JobID, scheduler openflow.PartyID) error {
	_, err := c.exec(ctx, `insert into submission (job_id, scheduler, create_time) values ($1, $2, $3)
		on conflict (job_id) do nothing`, string(id), string(scheduler), c.stamp())
	return classify("remember the scheduler of job "+string(id), err)
}

// RememberedScheduler returns the party that schedules a job that was submitted here; empty when none was remembered.
func (c *Catalogue) RememberedScheduler(ctx context.Context, id openflow.JobID) (scheduler openflow.PartyID, err error) {
	err = c.one(ctx, `select scheduler from submission where job_id = $1`, string(id)).Scan(&scheduler)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return scheduler, classify("look up the scheduler of job "+string(id), err)
}

// ForgetSchedulersBefore forgets at most limit of the schedulers of jobs that were submitted before a time, and says how
// many it was.
func (c *Catalogue) ForgetSchedulersBefore(ctx context.Context, at time.Time, limit int) (int, error) {
	n, err := c.exec(ctx, `delete from submission where job_id in (select job_id from submission where create_time < $1 limit $2)`,
		millis(at), int64(limit))
	return int(n), classify("forget schedulers", err)
}
