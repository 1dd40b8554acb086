package catalogue

import (
	"context"

	"openflow"
)

// runningJobs and runningScheduled name the status as a literal, so that they read an index of what runs and nothing
// else.
var (
	runningJobs = `select ` + jobColumns.names + ` from job where status = 'running'
		order by create_time, job_id, role, party, scheduler limit $1`
	runningScheduled = `select ` + scheduledColumns.names + ` from scheduled_job where status = 'running' order by create_time, job_id limit $1`
)

// RunningJobs lists jobs that run at this site, the oldest first; see partner.WatchStore.
func (c *Catalogue) RunningJobs(ctx context.Context, limit int) ([]openflow.JobRecord, error) {
	return list(ctx, c, runningJobs, limit, scanJob)
}

// RunningScheduledJobs lists jobs that this node schedules and that run.
func (c *Catalogue) RunningScheduledJobs(ctx context.Context, limit int) ([]openflow.ScheduledJob, error) {
	return list(ctx, c, runningScheduled, limit, scanScheduled)
}

func list[T any](ctx context.Context, c *Catalogue, query string, limit int, scan func(row) (T, error)) (jobs []T, err error) {
	err = c.each(ctx, query, []any{limit}, func(r row) error {
		j, err := scan(r)
		jobs = append(jobs, j)
		return err
	})
	return jobs, classify("list running jobs", err)
}

// SetRunningReason says what a job waits for while it runs; empty takes the reason away. It reports whether anything has
// changed: a job that does not run any more keeps the reason of its end.
func (c *Catalogue) SetRunningReason(ctx context.Context, k openflow.JobKey, reason string) (bool, error) {
	n, err := c.exec(ctx, `update job set reason = $5, update_time = $6 where `+jobKey+` and status = 'running' and reason <> $5`,
		keyArgs(k, reason, c.stamp())...)
	return n > 0, classify("update "+k.String(), err)
}

// SetRunningScheduledReason is SetRunningReason for the scheduler's own record.
func (c *Catalogue) SetRunningScheduledReason(ctx context.Context, id openflow.JobID, reason string) (bool, error) {
	n, err := c.exec(ctx, `update scheduled_job set reason = $2, update_time = $3 where job_id = $1 and status = 'running' and reason <> $2`,
		string(id), reason, c.stamp())
	return n > 0, classify("update job "+string(id), err)
}
