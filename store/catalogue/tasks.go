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

const taskColumns = `run_id, job_id, task_name, version, role, party, scheduler, sync_type, component, provider,
	status, party_status, reported, stop_status, cores, memory_bytes, resource_in_use, killed, runtime, container_name,
	exit_code, log_digest, create_time, update_time, start_time, end_time, reason, error_report, spec, memory, gpus, gpu_ids, warnings,
	cause_code, cause_text, cause_consequence`

const insertTask = `insert into task (` + taskColumns + `) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13,
	$14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36)`

// taskKey is the condition that finds a task's row; its arguments are taskArgs. A run's ID is one run, of one scheduler's
// job; see taskRow.
const taskKey = `run_id = $1`

func taskArgs(k openflow.TaskKey, more ...any) []any {
	return append([]any{string(k.RunID())}, more...)
}

// taskRow renders a task as the arguments of insertTask, the specification among them.
func (c *Catalogue) taskRow(t openflow.TaskRecord) ([]any, error) {
	if t.Status == "" {
		t.Status = openflow.TaskWaiting
	}
	if t.PartyStatus == "" {
		t.PartyStatus = openflow.TaskWaiting
	}
	if !t.Status.Valid() || !t.PartyStatus.Valid() {
		return nil, openflow.Errorf(openflow.CodeInvalid, "%s: unknown status %q or %q", t.Key, t.Status, t.PartyStatus)
	}
	if back, err := openflow.ParseRunID(t.Key.RunID()); err != nil || back != t.Key {
		return nil, openflow.Errorf(openflow.CodeInvalid, "%s of scheduler %q would have the ID of another run", t.Key, t.Key.Scheduler)
	}
	spec, err := encode("the specification of "+t.Key.String(), document.EncodeSpec(t.Spec))
	if err != nil {
		return nil, err
	}
	warnings, err := encodeWarnings(t.Warnings)
	if err != nil {
		return nil, err
	}
	now := c.stamp()
	return []any{
		string(t.Key.RunID()), string(t.Key.Job), string(t.Key.Task), t.Key.Version, string(t.Key.Party.Role),
		string(t.Key.Party.ID), string(t.Key.Scheduler), string(t.SyncType), t.Component, t.Provider, string(t.Status),
		string(t.PartyStatus), string(t.Reported), string(t.StopStatus), t.Cores, t.MemoryBytes, t.ResourceInUse, t.Killed,
		t.Runtime, t.ContainerName, nullable(t.ExitCode), t.LogDigest, orNow(t.CreateTime, now), now,
		millis(t.StartTime), millis(t.EndTime), t.Reason,
		t.ErrorReport, spec, t.Memory, t.GPUs, strings.Join(t.GPUIDs, ","), warnings,
		string(t.Cause.Code), t.Cause.Text, t.Cause.Consequence,
	}, nil
}

func nullable(n *int) any {
	if n == nil {
		return nil
	}
	return *n
}

func scanTask(r row) (openflow.TaskRecord, error) {
	var t openflow.TaskRecord
	var run, spec, devices, warnings string
	var exit sql.NullInt64
	var created, updated, started, ended int64
	err := r.Scan(&run, &t.Key.Job, &t.Key.Task, &t.Key.Version, &t.Key.Party.Role, &t.Key.Party.ID, &t.Key.Scheduler,
		&t.SyncType, &t.Component, &t.Provider, &t.Status, &t.PartyStatus, &t.Reported, &t.StopStatus, &t.Cores,
		&t.MemoryBytes, &t.ResourceInUse, &t.Killed, &t.Runtime,
		&t.ContainerName, &exit, &t.LogDigest, &created, &updated, &started, &ended, &t.Reason,
		&t.ErrorReport, &spec, &t.Memory, &t.GPUs, &devices, &warnings,
		&t.Cause.Code, &t.Cause.Text, &t.Cause.Consequence)
	if err != nil {
		return t, err
	}
	if devices != "" {
		t.GPUIDs = strings.Split(devices, ",")
	}
	if exit.Valid {
		code := int(exit.Int64)
		t.ExitCode = &code
	}
	t.CreateTime, t.UpdateTime, t.StartTime, t.EndTime = timeOf(created), timeOf(updated), timeOf(started), timeOf(ended)
	if t.Warnings, err = decodeWarnings(warnings); err != nil {
		return t, err
	}
	var doc document.TaskSpec
	err = decode("the specification of "+t.Key.String(), spec, &doc)
	t.Spec = doc.Decode()
	return t, err
}

// AddTask records one more version of a task of a job that exists. The same row again changes nothing. CodeConflict: that
// version exists and differs in what is to be run. CodeNotFound: the job does not exist.
func (c *Catalogue) AddTask(ctx context.Context, t openflow.TaskRecord) error {
	args, err := c.taskRow(t)
	if err != nil {
		return err
	}
	job := t.Key.JobKey()
	err = c.write(ctx, func(w *tx) error {
		var one int
		if err := w.one(ctx, `select 1 from job where `+jobKey, keyArgs(job)...).Scan(&one); err != nil {
			return err
		}
		n, err := w.exec(ctx, insertTask+` on conflict (run_id) do nothing`, args...)
		if err != nil || n > 0 {
			return err
		}
		have, err := scanTask(w.one(ctx, `select `+taskColumns+` from task where run_id = $1`, string(t.Key.RunID())))
		if err != nil {
			return err
		}
		return sameTask(have, t)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return notFound("%s of scheduler %s does not exist here", job, job.Scheduler)
	}
	return classify("create "+t.Key.String(), err)
}

// sameTask compares what is to be run, by value; statuses move on and are no difference.
func sameTask(have, want openflow.TaskRecord) error {
	same, err := document.Equal(document.EncodeSpec(have.Spec), document.EncodeSpec(want.Spec))
	if err != nil {
		return err
	}
	if !same || have.Key != want.Key || have.Provider != want.Provider || have.Needs() != want.Needs() {
		return conflict("%s exists already and is a different one", want.Key)
	}
	return nil
}

// Task returns one version of a task; CodeNotFound if there is none.
func (c *Catalogue) Task(ctx context.Context, k openflow.TaskKey) (openflow.TaskRecord, error) {
	t, err := scanTask(c.one(ctx, `select `+taskColumns+` from task where `+taskKey, taskArgs(k)...))
	if errors.Is(err, sql.ErrNoRows) {
		return t, notFound("%s does not exist here", k)
	}
	return t, classify("read "+k.String(), err)
}

// TasksOfSession lists the runs of this site that exchange messages in a session, one for each role that it plays. A session
// that names no scheduler, as FATE-Flow's, is the only one of that job, task and version. CodeNotFound: there is none.
// CodeConflict, listing the schedulers: there are several.
func (c *Catalogue) TasksOfSession(ctx context.Context, self openflow.PartyID, id openflow.SessionID) ([]openflow.TaskRecord, error) {
	k, err := openflow.ParseSessionID(id)
	if err != nil {
		return nil, notFound("no task here has the session %q", id)
	}
	tasks, _, err := c.TasksWhere(ctx, TaskFilter{
		Scheduler: k.Scheduler, Job: k.Job, Task: k.Task, Version: &k.Version, Party: self, Ascending: true,
	})
	if err == nil && len(tasks) == 0 {
		err = notFound("no task here has the session %q", id)
	}
	if err != nil {
		return nil, err
	}
	schedulers := make([]openflow.PartyID, len(tasks))
	for i, t := range tasks {
		schedulers[i] = t.Key.Scheduler
	}
	if slices.Sort(schedulers); len(slices.Compact(schedulers)) > 1 {
		return nil, severalSchedulers("session "+string(id), schedulers)
	}
	return tasks, nil
}

// TaskByRunID returns the task version that a container reports under; CodeNotFound if there is none.
func (c *Catalogue) TaskByRunID(ctx context.Context, id openflow.RunID) (openflow.TaskRecord, error) {
	t, err := scanTask(c.one(ctx, `select `+taskColumns+` from task where run_id = $1`, string(id)))
	if errors.Is(err, sql.ErrNoRows) {
		return t, notFound("no run has the ID %q", id)
	}
	return t, classify("read task "+string(id), err)
}
