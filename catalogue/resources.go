package catalogue

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"openflow"
)

// Resources are bookkeeping in two levels: a job takes cores from the site's pool, its tasks take cores from the job.
// Every change of a counter is in one transaction with the flag of the row that holds the cores, so a repeat finds the
// flag set and takes nothing twice.
//
// Spec: fate-flow-api §4.7.

// refusal leaves a transaction, rolling it back, with the numbers for the message.
type refusal struct {
	need, free int64
	beyond     bool
}

func (r refusal) Error() string { return "not enough cores" }

// ApplyJobResources takes the job's cores from the site's pool of that many cores. A job that holds them already
// succeeds. CodeExhausted: not enough are free for now; the message says how many are needed and free and since when
// the job waits, and is kept as the job's reason. CodeInvalid wrapping ErrBeyondPool: it needs more than the pool has.
// CodeConflict: the job has ended. The first two are about openflow.AboutResource. CodeUnavailable: another call returned
// the job's cores at this moment; apply again.
func (c *Catalogue) ApplyJobResources(ctx context.Context, k openflow.JobKey, pool int) error {
	now := c.stamp()
	err := c.write(ctx, func(t *tx) error {
		var cores int64
		err := t.one(ctx, `update job set resource_in_use = true, apply_time = $5, update_time = $5, waiting_since = 0,
			reason = case when waiting_since > 0 then '' else reason end
			where `+jobKey+` and not resource_in_use and end_time = 0 returning cores`, keyArgs(k, now)...).Scan(&cores)
		if err != nil {
			return err
		}
		if cores > int64(pool) {
			return refusal{need: cores, beyond: true}
		}
		n, err := t.exec(ctx, `update pool set used = used + $1 where name = 'cores' and used + $1 <= $2`, cores, pool)
		if err != nil || n > 0 {
			return err
		}
		var used int64
		if err := t.one(ctx, `select used from pool where name = 'cores'`).Scan(&used); err != nil {
			return err
		}
		return refusal{need: cores, free: max(int64(pool)-used, 0)}
	})
	var no refusal
	switch {
	case errors.As(err, &no) && no.beyond:
		return openflow.About(openflow.AboutResource,
			openflow.Errorf(openflow.CodeInvalid, "%s needs %d cores, the site has %d: %w", k, no.need, pool, ErrBeyondPool).
				WithHint("ask for fewer cores in dag.conf.cores, or give the site more"))
	case errors.As(err, &no):
		return c.waitForCores(ctx, k, no, pool, now)
	case errors.Is(err, sql.ErrNoRows):
		return c.holdsResources(ctx, k)
	}
	return classify("apply resources of "+k.String(), err)
}

// waitForCores records since when and for what the job waits and returns that as the error.
func (c *Catalogue) waitForCores(ctx context.Context, k openflow.JobKey, no refusal, pool int, now int64) error {
	var since int64
	err := c.write(ctx, func(t *tx) error {
		return t.one(ctx, `update job set waiting_since = case when waiting_since = 0 then $5 else waiting_since end
			where `+jobKey+` and not resource_in_use returning waiting_since`, keyArgs(k, now)...).Scan(&since)
	})
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return classify("update "+k.String(), err)
	}
	if since == 0 {
		since = now // gone or served meanwhile; the next application will see it
	}
	wait := openflow.Errorf(openflow.CodeExhausted, "%s needs %d cores, %d of %d are free; it waits since %s",
		k, no.need, no.free, pool, timeOf(since).Format(time.RFC3339)).
		WithHint("it goes on when other jobs give cores back")
	if since == now {
		if err := c.SetJobReason(ctx, k, wait.Message); err != nil && openflow.CodeOf(err) != openflow.CodeNotFound {
			return err
		}
	}
	return openflow.About(openflow.AboutResource, wait)
}

// holdsResources explains why no row could apply; nil when the job holds its cores.
func (c *Catalogue) holdsResources(ctx context.Context, k openflow.JobKey) error {
	var s openflow.JobStatus
	var held bool
	err := c.one(ctx, `select status, resource_in_use from job where `+jobKey, keyArgs(k)...).Scan(&s, &held)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return notFound("%s of scheduler %s does not exist here", k, k.Scheduler)
	case err != nil:
		return classify("read "+k.String(), err)
	case held:
		return nil
	case !s.Terminal(): // it held them at the first look
		return openflow.Errorf(openflow.CodeUnavailable, "%s gave its resources back at this moment", k)
	}
	return conflict("%s has ended (%s) and takes no resources", k, s)
}

// ReturnJobResources gives the job's cores back to the pool. A job that holds none changes nothing.
func (c *Catalogue) ReturnJobResources(ctx context.Context, k openflow.JobKey) error {
	now := c.stamp()
	err := c.write(ctx, func(t *tx) error { return returnJob(ctx, t, k, now) })
	return classify("return resources of "+k.String(), err)
}

func returnJob(ctx context.Context, t *tx, k openflow.JobKey, now int64) error {
	var cores int64
	err := t.one(ctx, `update job set resource_in_use = false, return_time = $5, update_time = $5
		where `+jobKey+` and resource_in_use returning cores`, keyArgs(k, now)...).Scan(&cores)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return err
	}
	_, err = t.exec(ctx, `update pool set used = used - $1 where name = 'cores'`, cores)
	return err
}

// PoolUse says how many cores of the site's pool jobs hold.
func (c *Catalogue) PoolUse(ctx context.Context) (cores int, err error) {
	err = c.one(ctx, `select used from pool where name = 'cores'`).Scan(&cores)
	return cores, classify("read the pool", err)
}

// ApplyTaskResources takes the task's cores from its job. A task without cores, and one that holds them already,
// succeeds. CodeExhausted: the job's other tasks hold too many for now. CodeConflict: the task has ended.
func (c *Catalogue) ApplyTaskResources(ctx context.Context, k openflow.TaskKey) error {
	now := c.stamp()
	err := c.write(ctx, func(t *tx) error {
		var cores int64
		var scheduler string
		err := t.one(ctx, `update task set resource_in_use = true, update_time = $4
			where `+taskKey+` and not resource_in_use and cores > 0 and party_status in ('waiting', 'running')
			returning cores, scheduler`, taskArgs(k, now)...).Scan(&cores, &scheduler)
		if err != nil {
			return err
		}
		job := openflow.JobKey{Scheduler: openflow.PartyID(scheduler), Job: k.Job, Party: k.Party}
		n, err := t.exec(ctx, `update job set remaining_cores = remaining_cores - $5
			where `+jobKey+` and remaining_cores >= $5`, keyArgs(job, cores)...)
		if err != nil || n > 0 {
			return err
		}
		var free int64
		if err := t.one(ctx, `select remaining_cores from job where `+jobKey, keyArgs(job)...).Scan(&free); err != nil {
			return err
		}
		return refusal{need: cores, free: free}
	})
	var no refusal
	switch {
	case errors.As(err, &no):
		return openflow.About(openflow.AboutResource,
			openflow.Errorf(openflow.CodeExhausted, "%s needs %d cores, %d of its job are free", k, no.need, no.free).
				WithHint("it goes on when another task of the job ends"))
	case errors.Is(err, sql.ErrNoRows):
		return c.taskHoldsResources(ctx, k)
	}
	return classify("apply resources of "+k.String(), err)
}

func (c *Catalogue) taskHoldsResources(ctx context.Context, k openflow.TaskKey) error {
	t, err := c.Task(ctx, k)
	if err != nil || t.ResourceInUse || t.Cores == 0 {
		return err
	}
	if !t.PartyStatus.Terminal() { // it held them at the first look
		return openflow.Errorf(openflow.CodeUnavailable, "%s gave its cores back at this moment", k)
	}
	return conflict("%s has ended (%s) and takes no resources", k, t.PartyStatus)
}

// ReturnTaskResources gives the task's cores back to its job. A task that holds none changes nothing.
func (c *Catalogue) ReturnTaskResources(ctx context.Context, k openflow.TaskKey) error {
	now := c.stamp()
	err := c.write(ctx, func(t *tx) error { return returnTask(ctx, t, k, now) })
	return classify("return resources of "+k.String(), err)
}

func returnTask(ctx context.Context, t *tx, k openflow.TaskKey, now int64) error {
	var cores int64
	var scheduler string
	err := t.one(ctx, `update task set resource_in_use = false, update_time = $4
		where `+taskKey+` and resource_in_use returning cores, scheduler`, taskArgs(k, now)...).Scan(&cores, &scheduler)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return err
	}
	job := openflow.JobKey{Scheduler: openflow.PartyID(scheduler), Job: k.Job, Party: k.Party}
	_, err = t.exec(ctx, `update job set remaining_cores = remaining_cores + $5 where `+jobKey, keyArgs(job, cores)...)
	return err
}
