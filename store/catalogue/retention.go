package catalogue

import (
	"context"
	"slices"
	"time"

	"openflow"
)

// referenced holds for objects that some row needs. Objects are shared: equal content is one object. What a run has stored and not
// named yet is needed as long as the run is open, however long its node was down.
const referenced = `exists (select 1 from data_table where object = $1 and object <> '')
	or exists (select 1 from model where object = $1 and object <> '')
	or exists (select 1 from pin where object = $1 and object <> '')
	or exists (select 1 from task where log_digest = $1 and log_digest <> '')
	or exists (select 1 from task join upload on upload.run_id = task.run_id where task.resource_in_use and upload.object = $1)`

// ReferencedObject reports whether any table, model, log or pin of a job is the object of that digest, or an upload of a run that
// has not ended.
func (c *Catalogue) ReferencedObject(ctx context.Context, digest string) (bool, error) {
	var yes bool
	err := c.one(ctx, `select `+referenced, digest).Scan(&yes)
	return yes, classify("look for references to object "+digest, err)
}

// DeleteJob forgets a job at one party: its row, tasks, pins, tracked outputs and metrics, and the intermediate tables
// that no other job tracks. Models stay; they have a life of their own. It returns the digests of objects that nothing
// refers to any more. A job that is not there changes nothing. CodeConflict: the job has not ended.
func (c *Catalogue) DeleteJob(ctx context.Context, k openflow.JobKey) (freed []string, err error) {
	err = c.write(ctx, func(t *tx) error {
		freed = nil
		open, err := t.strings(ctx, `select status from job where `+jobKey, keyArgs(k)...)
		if err != nil || len(open) == 0 {
			return err
		}
		if s := openflow.JobStatus(open[0]); !s.Terminal() {
			return openflow.Errorf(openflow.CodeConflict, "%s is %s and cannot be deleted", k, s).WithHint("stop it first")
		}
		objects, err := t.forgetTasks(ctx, k)
		if err != nil {
			return err
		}
		for _, digest := range objects {
			var yes bool
			if err := t.one(ctx, `select `+referenced, digest).Scan(&yes); err != nil {
				return err
			}
			if !yes {
				freed = append(freed, digest)
			}
		}
		if err := returnJob(ctx, t, k, c.stamp()); err != nil {
			return err
		}
		if err := t.giveBackJob(ctx, jobAccount(k), k.Scheduler); err != nil {
			return err
		}
		n, err := t.exec(ctx, `delete from job where `+jobKey+` and end_time > 0`, keyArgs(k)...)
		if err == nil && n == 0 { // a rerun has opened it since the first look
			return conflict("%s was started again and cannot be deleted", k)
		}
		if err == nil {
			err = t.remember(ctx, k, c.stamp())
		}
		if err == nil {
			_, err = t.exec(ctx, forgetUses, string(k.Job))
		}
		return err
	})
	return freed, classify("delete "+k.String(), err)
}

// runs are the tasks of one job row.
const runs = `(select run_id from task where ` + jobKey + `)`

// dropped are the intermediate tables that only this job row tracks. A job that inherited a table keeps it.
const dropped = `intermediate and exists (select 1 from output where output.namespace = data_table.namespace
	and output.name = data_table.name and output.run_id in ` + runs + `)
	and not exists (select 1 from output where output.namespace = data_table.namespace
	and output.name = data_table.name and output.run_id not in ` + runs + `)`

// keepSpent lets what the tasks of a job have told go on to count when they are forgotten. Another job may get the same ID, and
// its runs are no repeats: what was told goes under a name that no run can have.
const keepSpent = `update score set run_id = run_id || '#' || cast(time as text) where run_id in ` + runs

// forgetTasks deletes what belongs to the tasks of a job and returns the objects that this may have freed.
func (t *tx) forgetTasks(ctx context.Context, k openflow.JobKey) ([]string, error) {
	tables, err := t.strings(ctx, `select object from data_table where object <> '' and `+dropped, keyArgs(k)...)
	if err != nil {
		return nil, err
	}
	pinned, err := t.strings(ctx, `select object from pin where object <> '' and `+jobKey, keyArgs(k)...)
	if err != nil {
		return nil, err
	}
	logs, err := t.strings(ctx, `select log_digest from task where log_digest <> '' and `+jobKey, keyArgs(k)...)
	if err != nil {
		return nil, err
	}
	for _, query := range []string{
		`delete from data_table where ` + dropped,
		`delete from output where run_id in ` + runs,
		`delete from upload where run_id in ` + runs,
		`delete from pin where ` + jobKey,
		`delete from metric where run_id in ` + runs,
		forgetRuns,
		keepSpent,
		`delete from task where ` + jobKey,
	} {
		if _, err := t.exec(ctx, query, keyArgs(k)...); err != nil {
			return nil, err
		}
	}
	objects := slices.Concat(tables, pinned, logs)
	slices.Sort(objects)
	return slices.Compact(objects), nil
}

// DeleteScheduledJob forgets the scheduler's row of a job. One that is not there changes nothing. CodeConflict: the job
// has not ended.
func (c *Catalogue) DeleteScheduledJob(ctx context.Context, id openflow.JobID) error {
	j, err := c.ScheduledJob(ctx, id)
	switch {
	case openflow.CodeOf(err) == openflow.CodeNotFound:
		return nil
	case err != nil:
		return err
	case !j.Status.Terminal():
		return openflow.Errorf(openflow.CodeConflict, "job %s is %s and cannot be deleted", id, j.Status).WithHint("stop it first")
	}
	err = c.write(ctx, func(t *tx) error {
		n, err := t.exec(ctx, `delete from scheduled_job where job_id = $1 and end_time > 0`, string(id))
		if err != nil || n == 0 {
			return err
		}
		if _, err := t.exec(ctx, forgetUses, string(id)); err != nil {
			return err
		}
		return t.giveBackJob(ctx, scheduledAccount(id), j.Initiator)
	})
	return classify("delete job "+string(id), err)
}

// DeleteScheduledJobsBefore forgets at most limit of the scheduler's rows whose jobs ended before a time, and says how
// many it was: those of jobs that this site takes no part in have no other row. A row that has been ready for as long
// belongs to a submission that broke off before its workflow began.
func (c *Catalogue) DeleteScheduledJobsBefore(ctx context.Context, at time.Time, limit int) (int, error) {
	n, err := c.dropScheduled(ctx, `select job_id, initiator from scheduled_job
		where (end_time > 0 and end_time < $1) or (status = 'ready' and create_time < $1) limit $2`, millis(at), int64(limit))
	return n, classify("delete scheduled jobs", err)
}

// Jobs that ended before any of their tasks began, as their scheduler and as a participant has them, by their place among
// those of a party: the newest is first. Those of this site itself are left out.
var (
	refusedJobs = `select job_id, initiator from (select job_id, initiator,
		row_number() over (partition by initiator order by create_time desc, job_id desc) as place
		from scheduled_job where end_time > 0 and start_time = 0 and status = 'failed' and initiator <> $1) refused
		where place > $2 limit $3`
	neverStarted = `select ` + keyColumns.names + ` from (select ` + keyColumns.names + `,
		row_number() over (partition by scheduler order by create_time desc, job_id desc, role, party) as place
		from job where end_time > 0 and start_time = 0 and status <> 'success' and scheduler <> $1) refused
		where place > $2 limit $3`
)

// DeleteRefusedJobs forgets what this node scheduled for others and failed before any task began, but for so many of each
// initiator, the newest. It forgets at most limit, and says how many it was.
func (c *Catalogue) DeleteRefusedJobs(ctx context.Context, self openflow.PartyID, keep, limit int) (int, error) {
	n, err := c.dropScheduled(ctx, refusedJobs, string(self), int64(keep), int64(limit))
	return n, classify("delete refused jobs", err)
}

// dropScheduled deletes the rows that a query selects.
func (c *Catalogue) dropScheduled(ctx context.Context, query string, args ...any) (n int, err error) {
	err = c.write(ctx, func(t *tx) error {
		gone := map[openflow.JobID]openflow.PartyID{}
		err := t.each(ctx, query, func(r row) error {
			var id openflow.JobID
			var initiator openflow.PartyID
			err := r.Scan(&id, &initiator)
			gone[id] = initiator
			return err
		}, args...)
		if err != nil {
			return err
		}
		for id, initiator := range gone {
			if _, err := t.exec(ctx, `delete from scheduled_job where job_id = $1`, string(id)); err != nil {
				return err
			}
			if _, err := t.exec(ctx, forgetUses, string(id)); err != nil {
				return err
			}
			if err := t.giveBackJob(ctx, scheduledAccount(id), initiator); err != nil {
				return err
			}
		}
		n = len(gone)
		return nil
	})
	return n, err
}

// JobsNeverStarted lists at most limit jobs of other schedulers that ended here before any of their tasks began, but for so
// many of each scheduler, the newest.
func (c *Catalogue) JobsNeverStarted(ctx context.Context, self openflow.PartyID, keep, limit int) ([]openflow.JobKey, error) {
	var keys []openflow.JobKey
	err := c.each(ctx, neverStarted, []any{string(self), int64(keep), int64(limit)}, func(from row) error {
		r, err := keyColumns.scan(from)
		keys = append(keys, r.key())
		return err
	})
	return keys, classify("list jobs that never started", err)
}

// JobsEndedBefore lists at most limit jobs that ended before a time, the one that ended first coming first.
func (c *Catalogue) JobsEndedBefore(ctx context.Context, at time.Time, limit int) ([]openflow.JobKey, error) {
	var keys []openflow.JobKey
	err := c.each(ctx, `select `+keyColumns.names+` from job where end_time > 0 and end_time < $1
		order by end_time, job_id, role, party, scheduler`+limits(limit, 0), []any{millis(at)}, func(from row) error {
		r, err := keyColumns.scan(from)
		keys = append(keys, r.key())
		return err
	})
	return keys, classify("list ended jobs", err)
}

// ForgetLogsBefore takes the logs off the tasks that ended before then, and tells how many had one. The tasks stay.
func (c *Catalogue) ForgetLogsBefore(ctx context.Context, then time.Time) (int, error) {
	n, err := c.exec(ctx, `update task set log_digest = '' where log_digest <> '' and end_time > 0 and end_time < $1`, millis(then))
	return int(n), classify("forget old logs", err)
}
