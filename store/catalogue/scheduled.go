package catalogue

import (
	"context"
	"database/sql"
	"errors"

	"openflow"
	"openflow/store/document"
)

// scheduledRow is a row of the table scheduled_job.
type scheduledRow struct {
	ID             string `db:"job_id"`
	Initiator      string `db:"initiator"`
	Status         string `db:"status"`
	Progress       int    `db:"progress"`
	Priority       int    `db:"priority"`
	IdempotencyKey string `db:"idempotency_key"`
	SubmitHash     string `db:"submit_hash"`
	UserName       string `db:"user_name"`
	Created        int64  `db:"create_time"`
	Updated        int64  `db:"update_time"`
	Started        int64  `db:"start_time"`
	Ended          int64  `db:"end_time"`
	Reason         string `db:"reason"`
	Reruns         int    `db:"reruns"`
	Tasks          string `db:"tasks"`   // JSON; empty: none
	Mandate        string `db:"mandate"` // JSON; empty: none
	DAG            string `db:"dag"`     // JSON
}

var scheduledColumns = columnsOf[scheduledRow]()

const scheduledOf = `select count(*) from scheduled_job where initiator = $1 and end_time = 0`

func scanScheduled(from row) (openflow.ScheduledJob, error) {
	r, err := scheduledColumns.scan(from)
	if err != nil {
		return openflow.ScheduledJob{}, err
	}
	j := openflow.ScheduledJob{
		ID: openflow.JobID(r.ID), Initiator: openflow.PartyID(r.Initiator), Status: openflow.JobStatus(r.Status), Progress: r.Progress,
		Priority: r.Priority, IdempotencyKey: r.IdempotencyKey, SubmitHash: r.SubmitHash, UserName: r.UserName, Reason: r.Reason,
		CreateTime: timeOf(r.Created), UpdateTime: timeOf(r.Updated), StartTime: timeOf(r.Started), EndTime: timeOf(r.Ended), Reruns: r.Reruns,
	}
	if r.Tasks != "" {
		var runs []document.TaskRun
		if err := decode("tasks of job "+r.ID, r.Tasks, &runs); err != nil {
			return j, err
		}
		j.Tasks = document.DecodeTaskRuns(runs)
	}
	if r.Mandate != "" {
		var m document.Mandate
		if err := decode("the mandate of job "+r.ID, r.Mandate, &m); err != nil {
			return j, err
		}
		j.Mandate = (*openflow.Mandate)(&m)
	}
	j.DAG, err = decodeDAG(j.ID, r.DAG)
	return j, err
}

// AdmitScheduledJob records a job that this node schedules and returns the row that counts. That is j itself, or the
// row of an earlier submission that it repeats; see [openflow.ScheduledJob.Repeats]. The rule is the site's for all initiators that are peers; the zero value is for
// the site itself. CodeConflict: the earlier submission was a different one. Of the job of another initiator that has the ID,
// nothing is told. CodePermission: one of its grants allows no further job. CodeExhausted: the initiator has as many jobs under
// way as it may have. Then no use of a grant is counted.
func (c *Catalogue) AdmitScheduledJob(ctx context.Context, rule openflow.Quota, j openflow.ScheduledJob) (openflow.ScheduledJob, error) {
	if j.Status == "" {
		j.Status = openflow.JobReady
	}
	if !j.Status.Valid() {
		return j, openflow.Errorf(openflow.CodeInvalid, "job %s: unknown status %q", j.ID, j.Status)
	}
	dag, err := encodeDAG(j.ID, j.DAG)
	if err != nil {
		return j, err
	}
	mandate := ""
	if j.Mandate != nil {
		if mandate, err = encode("the mandate of job "+string(j.ID), document.Mandate(*j.Mandate)); err != nil {
			return j, err
		}
	}
	now := c.stamp()
	args := scheduledColumns.values(scheduledRow{
		ID: string(j.ID), Initiator: string(j.Initiator), Status: string(j.Status), Progress: j.Progress, Priority: j.Priority,
		IdempotencyKey: j.IdempotencyKey, SubmitHash: j.SubmitHash, UserName: j.UserName, Created: orNow(j.CreateTime, now), Updated: now,
		Started: millis(j.StartTime), Ended: millis(j.EndTime), Reason: j.Reason, Reruns: j.Reruns, Mandate: mandate, DAG: dag,
	})
	var kept openflow.ScheduledJob
	err = c.write(ctx, func(t *tx) error {
		n, err := t.exec(ctx, scheduledColumns.insert("scheduled_job")+` on conflict do nothing`, args...)
		if err != nil {
			return err
		}
		if n > 0 {
			if err := admits(ctx, t.one, scheduledOf, j.Initiator, rule, 0); err != nil {
				return err
			}
			kept = j
			kept.CreateTime, kept.UpdateTime = timeOf(orNow(j.CreateTime, now)), timeOf(now)
			if err := t.useGrants(ctx, j.DAG.Conf.Scheduler, j.ID, j.Grants); err != nil {
				return err
			}
			return t.takeForScheduled(ctx, j.ID, j.Initiator, textBytes(args))
		}
		kept, err = scanScheduled(t.one(ctx, submitted, string(j.Initiator), j.IdempotencyKey, string(j.ID)))
		return err
	})
	if err != nil {
		return j, classify("create job "+string(j.ID), err)
	}
	return kept, j.Repeats(kept)
}

// submitted finds an earlier submission. The key says which it is, so a match by key comes before one by ID.
var submitted = `select ` + scheduledColumns.names + ` from scheduled_job
	where (initiator = $1 and idempotency_key = $2 and idempotency_key <> '') or job_id = $3
	order by case when idempotency_key = $2 and initiator = $1 then 0 else 1 end limit 1`

// Submitted finds the job that an initiator has submitted under an idempotency key, or with an ID. CodeNotFound: there is none.
// Those of others are not found.
func (c *Catalogue) Submitted(ctx context.Context, initiator openflow.PartyID, key string, id openflow.JobID) (openflow.ScheduledJob, error) {
	var have openflow.JobID
	err := c.one(ctx, submittedOwn, string(initiator), key, string(id)).Scan(&have)
	if errors.Is(err, sql.ErrNoRows) {
		return openflow.ScheduledJob{}, notFound("job %s is not scheduled here", id)
	}
	if err != nil {
		return openflow.ScheduledJob{}, classify("read job "+string(id), err)
	}
	return c.ScheduledJob(ctx, have)
}

// submittedOwn is submitted where the job is the initiator's, and reads no more than its ID.
const submittedOwn = `select job_id from (
	select job_id, 0 as place from scheduled_job where initiator = $1 and idempotency_key = $2 and idempotency_key <> ''
	union all select job_id, 1 as place from scheduled_job where job_id = $3 and initiator = $1) as found order by place limit 1`

// ScheduledJob returns one job of this scheduler; CodeNotFound if there is none.
func (c *Catalogue) ScheduledJob(ctx context.Context, id openflow.JobID) (openflow.ScheduledJob, error) {
	j, err := scanScheduled(c.one(ctx, `select `+scheduledColumns.names+` from scheduled_job where job_id = $1`, string(id)))
	if errors.Is(err, sql.ErrNoRows) {
		return j, notFound("job %s is not scheduled here", id)
	}
	return j, classify("read job "+string(id), err)
}

// ScheduledFilter selects scheduled jobs; the zero value selects all.
type ScheduledFilter struct {
	Initiator openflow.PartyID
	Statuses  []openflow.JobStatus
	Ascending bool // oldest first; the default is newest first
	Limit     int  // 0: all
	After     string
}

// ScheduledJobsWhere lists jobs of this scheduler like JobsWhere.
func (c *Catalogue) ScheduledJobsWhere(ctx context.Context, f ScheduledFilter) (jobs []openflow.ScheduledJob, next string, err error) {
	w := &where{}
	w.equal("initiator", string(f.Initiator))
	in(w, "status", f.Statuses)
	tail, err := page(w, []string{"job_id"}, f.Ascending, f.After, f.Limit, 0)
	if err != nil {
		return nil, "", err
	}
	err = c.each(ctx, `select `+scheduledColumns.names+` from scheduled_job`+w.String()+tail, w.args, func(r row) error {
		j, err := scanScheduled(r)
		jobs = append(jobs, j)
		return err
	})
	if err == nil && f.Limit > 0 && len(jobs) == f.Limit {
		last := jobs[len(jobs)-1]
		next, err = cursor{Time: millis(last.CreateTime), Keys: []string{string(last.ID)}}.String()
	}
	return jobs, next, classify("list scheduled jobs", err)
}

// UpdateScheduledJob moves a scheduled job to a status, like UpdateJobStatus.
func (c *Catalogue) UpdateScheduledJob(ctx context.Context, id openflow.JobID, to openflow.JobStatus, reason string) (changed bool, err error) {
	query, reachable := scheduledMoves[to]
	if !reachable {
		return false, c.refuseScheduledMove(ctx, id, to)
	}
	n, err := c.exec(ctx, query, append([]any{string(id)}, moveArgs(to, reason, c.stamp())...)...)
	if err != nil || n > 0 {
		return n > 0, classify("update job "+string(id), err)
	}
	return false, c.refuseScheduledMove(ctx, id, to)
}

// refuseScheduledMove explains why no row moved, like refuseJobMove. It moves none itself.
func (c *Catalogue) refuseScheduledMove(ctx context.Context, id openflow.JobID, to openflow.JobStatus) error {
	if !to.Valid() {
		return openflow.Errorf(openflow.CodeInvalid, "job %s: unknown status %q", id, to)
	}
	j, err := c.ScheduledJob(ctx, id)
	if err != nil || j.Status == to {
		return err
	}
	return conflict("job %s is %s and cannot become %s", id, j.Status, to)
}

// QueueScheduledJob moves a scheduled job to waiting, like UpdateScheduledJob. One that has ended counts anew among those of its
// initiator; rule is the site's for all peers, and self is the site. CodeExhausted: the initiator has as many as it may have.
// The job stays as it is then.
func (c *Catalogue) QueueScheduledJob(ctx context.Context, rule openflow.Quota, self openflow.PartyID, id openflow.JobID, reason string) (changed bool, err error) {
	err = c.write(ctx, func(t *tx) error {
		changed = false
		var initiator openflow.PartyID
		var ended int64
		err := t.one(ctx, `select initiator, end_time from scheduled_job where job_id = $1`, string(id)).Scan(&initiator, &ended)
		if errors.Is(err, sql.ErrNoRows) {
			return notFound("job %s is not scheduled here", id)
		}
		if err != nil {
			return err
		}
		n, err := t.exec(ctx, scheduledMoves[openflow.JobWaiting], append([]any{string(id)}, moveArgs(openflow.JobWaiting, reason, c.stamp())...)...)
		if changed = n > 0; err != nil || !changed || ended == 0 || initiator == self {
			return err
		}
		return admits(ctx, t.one, scheduledOf, initiator, rule, 0)
	})
	switch {
	case err != nil:
		return false, classify("update job "+string(id), err)
	case changed:
		return true, nil
	}
	return false, c.refuseScheduledMove(ctx, id, openflow.JobWaiting)
}

// MaySchedule is an early look at one more job of an initiator, a peer, that this node is to schedule. CodeExhausted: it has as
// many as it may have.
func (c *Catalogue) MaySchedule(ctx context.Context, rule openflow.Quota, initiator openflow.PartyID) error {
	return classify("count the jobs of party "+string(initiator), admits(ctx, c.one, scheduledOf, initiator, rule, 1))
}

// SetScheduledProgress raises the progress of a scheduled job, in percent; a value not above the stored one changes
// nothing.
func (c *Catalogue) SetScheduledProgress(ctx context.Context, id openflow.JobID, percent int) error {
	if percent < 0 || percent > 100 {
		return openflow.Errorf(openflow.CodeInvalid, "job %s: progress %d is not between 0 and 100", id, percent)
	}
	return c.setScheduled(ctx, id, `update scheduled_job set progress = case when progress < $2 then $2 else progress end,
		update_time = $3 where job_id = $1`, percent)
}

// SetScheduledTasks notes how the tasks of a scheduled job stand at its end.
func (c *Catalogue) SetScheduledTasks(ctx context.Context, id openflow.JobID, runs []openflow.TaskRun) error {
	text, err := encode("tasks of job "+string(id), document.EncodeTaskRuns(runs))
	if err != nil {
		return err
	}
	return c.setScheduled(ctx, id, `update scheduled_job set tasks = $2, update_time = $3 where job_id = $1`, text)
}

// FreeKey lets the submission of a job be made again under the same idempotency key, as another job.
func (c *Catalogue) FreeKey(ctx context.Context, id openflow.JobID) error {
	return c.setScheduled(ctx, id, `update scheduled_job set idempotency_key = $2, update_time = $3 where job_id = $1`, "")
}

// SetScheduledReason says why a scheduled job waits or failed; empty takes the reason away.
func (c *Catalogue) SetScheduledReason(ctx context.Context, id openflow.JobID, reason string) error {
	return c.setScheduled(ctx, id, `update scheduled_job set reason = $2, update_time = $3 where job_id = $1`, reason)
}

func (c *Catalogue) setScheduled(ctx context.Context, id openflow.JobID, query string, value any) error {
	n, err := c.exec(ctx, query, string(id), value, c.stamp())
	if err == nil && n == 0 {
		return notFound("job %s is not scheduled here", id)
	}
	return classify("update job "+string(id), err)
}
