package catalogue

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"openflow"
)

// Leased is a job of a peer's that has not ended here, and until when it may go on unless its scheduler drives it.
type Leased struct {
	Job     openflow.JobKey
	Created time.Time
	Applied time.Time // resources last taken; zero: never
	Until   time.Time
}

// leasedRow is what is looked at of such a job, every few seconds.
type leasedRow struct {
	keyRow
	Created int64 `db:"create_time"`
	Applied int64 `db:"apply_time"`
	Until   int64 `db:"lease"`
}

var (
	leasedColumns = columnsOf[leasedRow]()
	leasedJobs    = `select ` + leasedColumns.names + ` from job where end_time = 0 and peer <> '' and lease > 0`
)

// LeasedJobs lists the jobs that end here unless their schedulers still drive them.
func (c *Catalogue) LeasedJobs(ctx context.Context) ([]Leased, error) {
	var list []Leased
	err := c.each(ctx, leasedJobs, nil, func(from row) error {
		r, err := leasedColumns.scan(from)
		list = append(list, Leased{Job: r.key(), Created: timeOf(r.Created), Applied: timeOf(r.Applied), Until: timeOf(r.Until)})
		return err
	})
	return list, classify("list jobs under way", err)
}

// Lease is until when a job may go on unless its scheduler drives it; zero: for ever. CodeNotFound: there is no such job.
func (c *Catalogue) Lease(ctx context.Context, k openflow.JobKey) (time.Time, error) {
	var until int64
	err := c.one(ctx, `select lease from job where `+jobKey, keyArgs(k)...).Scan(&until)
	if errors.Is(err, sql.ErrNoRows) {
		return time.Time{}, notFound("%s does not exist here", k)
	}
	return timeOf(until), classify("read the lease of "+k.String(), err)
}

// RenewLease has a job go on until that time at least.
func (c *Catalogue) RenewLease(ctx context.Context, k openflow.JobKey, until time.Time) error {
	_, err := c.exec(ctx, `update job set lease = $5 where `+jobKey+` and end_time = 0 and lease > 0 and lease < $5`, keyArgs(k, millis(until))...)
	return classify("renew the lease of "+k.String(), err)
}

// idle is the condition that a peer's job holds resources since then and no run of it has used them. A job that needs none has
// nothing to give back. Its argument is the time, which every engine takes for a number.
func idle(since string) string {
	return `job.resource_in_use and job.peer <> '' and (job.cores > 0 or job.memory > 0 or job.gpus > 0) and job.apply_time <= ` + since + ` and not exists (select 1 from task
		where task.job_id = job.job_id and task.role = job.role and task.party = job.party and task.scheduler = job.scheduler
		and (task.resource_in_use or task.party_status = 'running' or task.end_time > ` + since + `))`
}

var (
	idleJobs   = `select ` + keyColumns.names + ` from job where ` + idle("$1")
	returnIdle = `update job set reason = case when status = 'running' then reason else $6 end where ` + jobKey + ` and ` + idle("$5") +
		` returning ` + needColumns.names
)

// IdleJobs lists jobs of peers that hold resources since then at least and have used them for nothing.
func (c *Catalogue) IdleJobs(ctx context.Context, since time.Time) ([]openflow.JobKey, error) {
	var keys []openflow.JobKey
	err := c.each(ctx, idleJobs, []any{millis(since)}, func(from row) error {
		r, err := keyColumns.scan(from)
		keys = append(keys, r.key())
		return err
	})
	return keys, classify("list idle jobs", err)
}

// ReturnIdle gives back what such a job holds, if it still does nothing with it, and says whether it has. The job goes on: it
// asks anew when its scheduler wants a run. One that waits is told why.
func (c *Catalogue) ReturnIdle(ctx context.Context, k openflow.JobKey, since time.Time, why string) (returned bool, err error) {
	now := c.stamp()
	err = c.write(ctx, func(t *tx) error {
		returned = false
		if _, err := scanNeed(t.one(ctx, returnIdle, keyArgs(k, millis(since), why)...)); err != nil {
			return err
		}
		returned = true
		return returnJob(ctx, t, k, now)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return returned, classify("return what "+k.String()+" holds", err)
}
