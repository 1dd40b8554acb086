package catalogue

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"strings"

	"openflow"
	"openflow/store/document"
)

// jobRow is a row of the table job.
type jobRow struct {
	Scheduler       string `db:"scheduler"`
	ID              string `db:"job_id"`
	Role            string `db:"role"`
	Party           string `db:"party"`
	Initiator       string `db:"initiator"`
	Status          string `db:"status"`
	Progress        int    `db:"progress"`
	Cores           int    `db:"cores"`
	RemainingCores  int    `db:"remaining_cores"`
	ResourceInUse   bool   `db:"resource_in_use"`
	WaitingSince    int64  `db:"waiting_since"`
	ModelID         string `db:"model_id"`
	ModelVersion    string `db:"model_version"`
	UserName        string `db:"user_name"`
	IdempotencyKey  string `db:"idempotency_key"`
	Signed          bool   `db:"signed"`
	Created         int64  `db:"create_time"`
	Updated         int64  `db:"update_time"`
	Started         int64  `db:"start_time"`
	Ended           int64  `db:"end_time"`
	Applied         int64  `db:"apply_time"`
	Returned        int64  `db:"return_time"`
	Reason          string `db:"reason"`
	Notes           string `db:"notes"`
	DAG             string `db:"dag"` // JSON
	Priority        int    `db:"priority"`
	Memory          int64  `db:"memory"`
	RemainingMemory int64  `db:"remaining_memory"`
	GPUs            int    `db:"gpus"`
	RemainingGPUs   int    `db:"remaining_gpus"`
	Warnings        string `db:"warnings"` // JSON
	Peer            string `db:"peer"`
	Age             int64  `db:"age"`
	Lease           int64  `db:"lease"`
	Closed          bool   `db:"closed"`
	Reruns          int    `db:"reruns"`
}

var (
	jobColumns = columnsOf[jobRow]()
	insertJob  = jobColumns.insert("job") + ` on conflict (job_id, role, party, scheduler) do nothing`
)

// nextAge is the number of a job that the site sees now. It is no time: a clock that is set back makes no job older.
const nextAge = `select coalesce(max(age), 0) + 1 from job`

// jobKey is the condition that finds a job's row; its arguments are keyArgs.
const jobKey = `job_id = $1 and role = $2 and party = $3 and scheduler = $4`

func keyArgs(k openflow.JobKey, more ...any) []any {
	return append([]any{string(k.Job), string(k.Party.Role), string(k.Party.ID), string(k.Scheduler)}, more...)
}

func scanJob(from row) (openflow.JobRecord, error) {
	r, err := jobColumns.scan(from)
	if err != nil {
		return openflow.JobRecord{}, err
	}
	j := openflow.JobRecord{
		Scheduler: openflow.PartyID(r.Scheduler), ID: openflow.JobID(r.ID), Party: openflow.Party{Role: openflow.Role(r.Role), ID: openflow.PartyID(r.Party)},
		Initiator: openflow.PartyID(r.Initiator), Status: openflow.JobStatus(r.Status), Progress: r.Progress, Cores: r.Cores,
		RemainingCores: r.RemainingCores, ResourceInUse: r.ResourceInUse, WaitingSince: timeOf(r.WaitingSince), ModelID: r.ModelID,
		ModelVersion: r.ModelVersion, UserName: r.UserName, IdempotencyKey: r.IdempotencyKey, Signed: r.Signed, CreateTime: timeOf(r.Created),
		UpdateTime: timeOf(r.Updated), StartTime: timeOf(r.Started), EndTime: timeOf(r.Ended), ApplyTime: timeOf(r.Applied),
		ReturnTime: timeOf(r.Returned), Reason: r.Reason, Notes: r.Notes, Priority: r.Priority, Memory: r.Memory,
		RemainingMemory: r.RemainingMemory, GPUs: r.GPUs, RemainingGPUs: r.RemainingGPUs, Peer: openflow.PartyID(r.Peer),
		Lease: timeOf(r.Lease), Closed: r.Closed, Reruns: r.Reruns,
	}
	if j.Warnings, err = decodeWarnings(r.Warnings); err != nil {
		return j, err
	}
	j.DAG, err = decodeDAG(j.ID, r.DAG)
	return j, err
}

// CreateJob records a job at one party with its tasks and pins, all or nothing. A status left empty is ready (tasks:
// waiting). The job again with an equal DAG changes nothing. CodeConflict: it exists with another DAG.
// CodeUnavailable: what is to be pinned was replaced just now. CodePermission: one of its grants allows no further job, or it is
// signed, and was deleted here.
func (c *Catalogue) CreateJob(ctx context.Context, j openflow.JobRecord, tasks []openflow.TaskRecord, pins ...openflow.Pin) error {
	return c.AdmitJob(ctx, openflow.Quota{}, j, tasks, pins...)
}

// AdmitJob is CreateJob where the job's peer has no more jobs than it may have; rule is the site's for all peers.
// CodeExhausted: it has as many. Then no use of a grant is counted.
func (c *Catalogue) AdmitJob(ctx context.Context, rule openflow.Quota, j openflow.JobRecord, tasks []openflow.TaskRecord, pins ...openflow.Pin) error {
	if j.Status == "" {
		j.Status = openflow.JobReady
	}
	if !j.Status.Valid() {
		return openflow.Errorf(openflow.CodeInvalid, "%s: unknown status %q", j.Key(), j.Status)
	}
	dag, err := encodeDAG(j.ID, j.DAG)
	if err != nil {
		return err
	}
	rows, err := c.taskRows(j, tasks)
	if err != nil {
		return err
	}
	warnings, err := encodeWarnings(j.Warnings)
	if err != nil {
		return err
	}
	now := c.stamp()
	row := jobRow{
		Scheduler: string(j.Scheduler), ID: string(j.ID), Role: string(j.Party.Role), Party: string(j.Party.ID), Initiator: string(j.Initiator),
		Status: string(j.Status), Progress: j.Progress, Cores: j.Cores, RemainingCores: j.RemainingCores, ResourceInUse: j.ResourceInUse,
		WaitingSince: millis(j.WaitingSince), ModelID: j.ModelID, ModelVersion: j.ModelVersion, UserName: j.UserName,
		IdempotencyKey: j.IdempotencyKey, Signed: j.Signed, Created: orNow(j.CreateTime, now), Updated: now, Started: millis(j.StartTime), Ended: millis(j.EndTime),
		Applied: millis(j.ApplyTime), Returned: millis(j.ReturnTime), Reason: j.Reason, Notes: j.Notes, DAG: dag, Priority: j.Priority,
		Memory: j.Memory, RemainingMemory: j.RemainingMemory, GPUs: j.GPUs, RemainingGPUs: j.RemainingGPUs, Warnings: warnings,
		Peer: string(j.Peer), Lease: millis(j.Lease), Closed: j.Closed, Reruns: j.Reruns,
	}
	err = c.write(ctx, func(t *tx) error {
		r := row
		if err := t.one(ctx, nextAge).Scan(&r.Age); err != nil {
			return err
		}
		args := jobColumns.values(r)
		n, err := t.exec(ctx, insertJob, args...)
		if err != nil {
			return err
		}
		if n == 0 {
			var have string
			if err := t.one(ctx, storedDAG, keyArgs(j.Key())...).Scan(&have); err != nil {
				return err
			}
			return sameDAG(j.Key(), have, j.DAG)
		}
		if j.Signed {
			if err := notAgain(ctx, t.one, j.Key(), now); err != nil {
				return err
			}
		}
		if err := admits(ctx, t.one, openJobs, j.Peer, rule, 0); err != nil {
			return err
		}
		if err := t.useGrants(ctx, j.Scheduler, j.ID, j.Grants); err != nil {
			return err
		}
		if err := t.takeForJob(ctx, j.Key(), textBytes(append(rows, args)...)+int64(len(pins))*rowOverhead); err != nil {
			return err
		}
		if err := t.takeParts(ctx, j.Key(), pins); err != nil {
			return err
		}
		for _, r := range rows {
			if _, err := t.exec(ctx, insertTask, r...); err != nil {
				return err
			}
		}
		return t.savePins(ctx, j.Key(), pins)
	})
	return classify("create "+j.Key().String(), err)
}

// taskRows prepares the rows of a new job's tasks and refuses tasks of another job.
func (c *Catalogue) taskRows(j openflow.JobRecord, tasks []openflow.TaskRecord) ([][]any, error) {
	rows := make([][]any, 0, len(tasks))
	for _, t := range tasks {
		if t.Key.JobKey() != j.Key() {
			return nil, openflow.Errorf(openflow.CodeInvalid, "%s is not a task of %s of scheduler %s", t.Key, j.Key(), j.Scheduler)
		}
		r, err := c.taskValues(t)
		if err != nil {
			return nil, err
		}
		rows = append(rows, r)
	}
	return rows, nil
}

// HasJob reports whether the job is here already, with an equal DAG. CodeConflict: with another one.
func (c *Catalogue) HasJob(ctx context.Context, k openflow.JobKey, d *openflow.DAG) (bool, error) {
	var have string
	err := c.one(ctx, storedDAG, keyArgs(k)...).Scan(&have)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, classify("read "+k.String(), err)
	}
	return true, sameDAG(k, have, d)
}

const storedDAG = `select dag from job where ` + jobKey

// sameDAG compares by value: what an earlier release has stored lacks the fields that are newer.
func sameDAG(k openflow.JobKey, stored string, d *openflow.DAG) error {
	have, err := decodeDAG(k.Job, stored)
	if err != nil {
		return err
	}
	same, err := document.Equal(document.EncodeDAG(*have), document.EncodeDAG(*d))
	if err == nil && !same {
		err = conflict("%s exists already with a different DAG", k)
	}
	return err
}

// Job returns one row. With an empty scheduler in the key it returns the only row of that job, role and party;
// CodeConflict if two schedulers made the same job ID. CodeNotFound if there is none.
func (c *Catalogue) Job(ctx context.Context, k openflow.JobKey) (openflow.JobRecord, error) {
	if k.Scheduler == "" {
		return c.jobOfAnyScheduler(ctx, k)
	}
	j, err := scanJob(c.one(ctx, `select `+jobColumns.names+` from job where `+jobKey, keyArgs(k)...))
	if errors.Is(err, sql.ErrNoRows) {
		return j, notFound("%s of scheduler %s does not exist here", k, k.Scheduler)
	}
	return j, classify("read "+k.String(), err)
}

func (c *Catalogue) jobOfAnyScheduler(ctx context.Context, k openflow.JobKey) (openflow.JobRecord, error) {
	jobs, _, err := c.JobsWhere(ctx, JobFilter{ID: k.Job, Roles: []openflow.Role{k.Party.Role}, Party: k.Party.ID})
	switch {
	case err != nil:
		return openflow.JobRecord{}, err
	case len(jobs) == 0:
		return openflow.JobRecord{}, notFound("%s does not exist here", k)
	case len(jobs) > 1:
		schedulers := make([]openflow.PartyID, len(jobs))
		for i, j := range jobs {
			schedulers[i] = j.Scheduler
		}
		return openflow.JobRecord{}, severalSchedulers(k.String(), schedulers)
	}
	return jobs[0], nil
}

// SchedulerOf returns the scheduler of the only job of that ID that self, this site, has submitted. Jobs that others have submitted
// count only where it has none, so what they call theirs does not come in its way. CodeNotFound: there is none. CodeConflict,
// listing the schedulers: there are several.
func (c *Catalogue) SchedulerOf(ctx context.Context, self openflow.PartyID, id openflow.JobID) (openflow.PartyID, error) {
	var schedulers, own []openflow.PartyID
	err := c.each(ctx, `select scheduler, 0 from job where job_id = $1 union select scheduler, 1 from submission where job_id = $1
		union select cast($2 as text), case when initiator = cast($2 as text) then 1 else 0 end from scheduled_job where job_id = $1 order by 1, 2`,
		[]any{string(id), string(self)}, func(r row) error {
			var s openflow.PartyID
			var submitted int
			err := r.Scan(&s, &submitted)
			schedulers = append(schedulers, s)
			if submitted == 1 {
				own = append(own, s)
			}
			return err
		})
	if len(own) > 0 {
		schedulers = own
	}
	schedulers = slices.Compact(schedulers) // in order
	switch {
	case err != nil:
		return "", classify("look up the scheduler of job "+string(id), err)
	case len(schedulers) == 0:
		return "", notFound("job %s does not exist here", id)
	case len(schedulers) > 1:
		return "", severalSchedulers("job "+string(id), schedulers)
	}
	return schedulers[0], nil
}

// severalSchedulers refuses a name that fits what several schedulers have made. Who they are is for this site's users.
func severalSchedulers(what string, schedulers []openflow.PartyID) error {
	list := make([]string, len(schedulers))
	for i, s := range schedulers {
		list[i] = string(s)
	}
	slices.Sort(list)
	return openflow.Errorf(openflow.CodeConflict, "%s is here more than once, from schedulers %s", what, strings.Join(slices.Compact(list), ", ")).
		WithPublic("%s is there more than once, from several schedulers", what).WithHint("name the scheduler: scheduler_party_id, or --scheduler")
}

// SetJobReason says why a job waits or failed; empty takes the reason away. A job that has succeeded has none: whoever
// gives it one, as a scheduler that was restored from a backup, speaks of another end. One that this site has closed keeps
// its own.
func (c *Catalogue) SetJobReason(ctx context.Context, k openflow.JobKey, reason string) error {
	return c.setJob(ctx, k, `update job set reason = case when status = 'success' then '' when closed then reason else $5 end, update_time = $6 where `+jobKey, reason)
}

// SetJobNotes replaces what the user noted about a job.
func (c *Catalogue) SetJobNotes(ctx context.Context, k openflow.JobKey, notes string) error {
	return c.setJob(ctx, k, `update job set notes = $5, update_time = $6 where `+jobKey, notes)
}

func (c *Catalogue) setJob(ctx context.Context, k openflow.JobKey, query, value string) error {
	n, err := c.exec(ctx, query, keyArgs(k, value, c.stamp())...)
	if err == nil && n == 0 {
		return notFound("%s of scheduler %s does not exist here", k, k.Scheduler)
	}
	return classify("update "+k.String(), err)
}

// SetJobProgress raises the progress of a job, in percent. A value not above the stored one changes nothing, since
// reports may arrive late; changed says which it was.
//
// Spec: fate-flow-api §4.6.5.
func (c *Catalogue) SetJobProgress(ctx context.Context, k openflow.JobKey, percent int) (changed bool, err error) {
	if percent < 0 || percent > 100 {
		return false, openflow.Errorf(openflow.CodeInvalid, "%s: progress %d is not between 0 and 100", k, percent)
	}
	n, err := c.exec(ctx, `update job set progress = $5, update_time = $6 where `+jobKey+` and progress < $5`,
		keyArgs(k, percent, c.stamp())...)
	if err != nil || n > 0 {
		return n > 0, classify("update "+k.String(), err)
	}
	_, err = c.jobStatus(ctx, k)
	return false, err
}

// JobEnded tells whether a job has ended at one party. CodeNotFound: it is not here.
func (c *Catalogue) JobEnded(ctx context.Context, k openflow.JobKey) (bool, error) {
	s, err := c.jobStatus(ctx, k)
	return s.Terminal(), err
}

// CloseJob notes that this site ends the job for good: no rerun opens it again. CodeNotFound: it is not here.
func (c *Catalogue) CloseJob(ctx context.Context, k openflow.JobKey) error {
	n, err := c.exec(ctx, `update job set closed = true where `+jobKey, keyArgs(k)...)
	if err == nil && n == 0 {
		return notFound("%s of scheduler %s does not exist here", k, k.Scheduler)
	}
	return classify("update "+k.String(), err)
}

// jobStatus reads only the status, on the way to an explanation.
func (c *Catalogue) jobStatus(ctx context.Context, k openflow.JobKey) (openflow.JobStatus, error) {
	var s openflow.JobStatus
	err := c.one(ctx, `select status from job where `+jobKey, keyArgs(k)...).Scan(&s)
	if errors.Is(err, sql.ErrNoRows) {
		return "", notFound("%s of scheduler %s does not exist here", k, k.Scheduler)
	}
	return s, classify("read "+k.String(), err)
}
