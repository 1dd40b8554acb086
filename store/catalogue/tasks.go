package catalogue

import (
	"context"
	"database/sql"
	"errors"
	"strings"

	"openflow"
	"openflow/store/document"
)

// taskRow is a row of the table task.
type taskRow struct {
	Execution     string        `db:"run_id"`
	Job           string        `db:"job_id"`
	Task          string        `db:"task_name"`
	Version       int           `db:"version"`
	Role          string        `db:"role"`
	Party         string        `db:"party"`
	Scheduler     string        `db:"scheduler"`
	SyncType      string        `db:"sync_type"`
	Component     string        `db:"component"`
	Provider      string        `db:"provider"`
	Status        string        `db:"status"`
	PartyStatus   string        `db:"party_status"`
	Reported      string        `db:"reported"`
	StopStatus    string        `db:"stop_status"`
	Cores         int           `db:"cores"`
	MemoryBytes   int64         `db:"memory_bytes"`
	ResourceInUse bool          `db:"resource_in_use"`
	Killed        bool          `db:"killed"`
	Runtime       string        `db:"runtime"`
	Container     string        `db:"container_name"`
	ExitCode      sql.NullInt64 `db:"exit_code"`
	LogDigest     string        `db:"log_digest"`
	Created       int64         `db:"create_time"`
	Updated       int64         `db:"update_time"`
	Started       int64         `db:"start_time"`
	Ended         int64         `db:"end_time"`
	Reason        string        `db:"reason"`
	ErrorReport   string        `db:"error_report"`
	Spec          string        `db:"spec"` // JSON
	Memory        int64         `db:"memory"`
	GPUs          int           `db:"gpus"`
	GPUIDs        string        `db:"gpu_ids"`  // separated by commas
	Warnings      string        `db:"warnings"` // JSON
	CauseCode     string        `db:"cause_code"`
	CauseText     string        `db:"cause_text"`
	Consequence   bool          `db:"cause_consequence"`
	ProgramDigest string        `db:"program_digest"`
	Protocol      string        `db:"protocol"`
}

var (
	taskColumns = columnsOf[taskRow]()
	insertTask  = taskColumns.insert("task")
)

// taskKey is the condition that finds a task's row; its arguments are taskArgs. A run's ID is one run, of one scheduler's
// job; see taskValues.
const taskKey = `run_id = $1`

func taskArgs(k openflow.TaskKey, more ...any) []any {
	return append([]any{string(k.RunID())}, more...)
}

// taskValues renders a task as the arguments of insertTask, the specification among them.
func (c *Catalogue) taskValues(t openflow.TaskRecord) ([]any, error) {
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
	r := taskRow{
		Execution: string(t.Key.RunID()), Job: string(t.Key.Job), Task: string(t.Key.Task), Version: t.Key.Version,
		Role: string(t.Key.Party.Role), Party: string(t.Key.Party.ID), Scheduler: string(t.Key.Scheduler), SyncType: string(t.SyncType),
		Component: t.Component, Provider: t.Provider, Status: string(t.Status), PartyStatus: string(t.PartyStatus), Reported: string(t.Reported),
		StopStatus: string(t.StopStatus), Cores: t.Cores, MemoryBytes: t.MemoryBytes, ResourceInUse: t.ResourceInUse, Killed: t.Killed,
		Runtime: t.Runtime, Container: t.ContainerName, ExitCode: nullable(t.ExitCode), LogDigest: t.LogDigest, Created: orNow(t.CreateTime, now), Updated: now,
		Started: millis(t.StartTime), Ended: millis(t.EndTime), Reason: t.Reason, ErrorReport: t.ErrorReport, Spec: spec, Memory: t.Memory,
		GPUs: t.GPUs, GPUIDs: strings.Join(t.GPUIDs, ","), Warnings: warnings, CauseCode: string(t.Cause.Code), CauseText: t.Cause.Text,
		Consequence: t.Cause.Consequence, ProgramDigest: t.ProgramDigest, Protocol: t.Protocol.String(),
	}
	return taskColumns.values(r), nil
}

func nullable(n *int) sql.NullInt64 {
	if n == nil {
		return sql.NullInt64{}
	}
	return sql.NullInt64{Int64: int64(*n), Valid: true}
}

func scanTask(from row) (openflow.TaskRecord, error) {
	r, err := taskColumns.scan(from)
	if err != nil {
		return openflow.TaskRecord{}, err
	}
	t := openflow.TaskRecord{
		Key: openflow.TaskKey{
			Scheduler: openflow.PartyID(r.Scheduler), Job: openflow.JobID(r.Job), Task: openflow.TaskName(r.Task), Version: r.Version,
			Party: openflow.Party{Role: openflow.Role(r.Role), ID: openflow.PartyID(r.Party)},
		},
		SyncType: openflow.SyncType(r.SyncType), Component: r.Component, Provider: r.Provider, ProgramDigest: r.ProgramDigest, Status: openflow.TaskStatus(r.Status),
		PartyStatus: openflow.TaskStatus(r.PartyStatus), Reported: openflow.TaskStatus(r.Reported), StopStatus: openflow.TaskStatus(r.StopStatus),
		Cores: r.Cores, MemoryBytes: r.MemoryBytes, ResourceInUse: r.ResourceInUse, Killed: r.Killed, Runtime: r.Runtime,
		ContainerName: r.Container, LogDigest: r.LogDigest, CreateTime: timeOf(r.Created), UpdateTime: timeOf(r.Updated),
		StartTime: timeOf(r.Started), EndTime: timeOf(r.Ended), Reason: r.Reason, ErrorReport: r.ErrorReport, Memory: r.Memory, GPUs: r.GPUs,
		Cause: openflow.Cause{Code: openflow.Code(r.CauseCode), Text: r.CauseText, Consequence: r.Consequence},
	}
	if t.Protocol, err = openflow.ParseProtocol(r.Protocol); err != nil {
		return t, openflow.Errorf(openflow.CodeInternal, "the protocol of %s in the catalogue is damaged: %w", t.Key, err)
	}
	if r.GPUIDs != "" {
		t.GPUIDs = strings.Split(r.GPUIDs, ",")
	}
	if r.ExitCode.Valid {
		t.ExitCode = new(int(r.ExitCode.Int64))
	}
	if t.Warnings, err = decodeWarnings(r.Warnings); err != nil {
		return t, err
	}
	var doc document.TaskSpec
	err = decode("the specification of "+t.Key.String(), r.Spec, &doc)
	t.Spec = doc.Decode()
	return t, err
}

// AddTask records one more version of a task of a job that exists. The same row again changes nothing. CodeConflict: that
// version exists and differs in what is to be run. CodeNotFound: the job does not exist.
func (c *Catalogue) AddTask(ctx context.Context, t openflow.TaskRecord) error {
	args, err := c.taskValues(t)
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
		if err != nil {
			return err
		}
		if n > 0 {
			return w.takeForJob(ctx, job, textBytes(args))
		}
		have, err := scanTask(w.one(ctx, `select `+taskColumns.names+` from task where run_id = $1`, string(t.Key.RunID())))
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

// sameTask compares what is to be run, by value; statuses move on and are no difference. The provider becomes the one that
// ran.
func sameTask(have, want openflow.TaskRecord) error {
	same, err := document.Equal(document.EncodeSpec(have.Spec), document.EncodeSpec(want.Spec))
	if err != nil {
		return err
	}
	if !same || have.Key != want.Key || have.Needs() != want.Needs() {
		return conflict("%s exists already and is a different one", want.Key)
	}
	return nil
}

// Task returns one version of a task; CodeNotFound if there is none.
func (c *Catalogue) Task(ctx context.Context, k openflow.TaskKey) (openflow.TaskRecord, error) {
	t, err := scanTask(c.one(ctx, `select `+taskColumns.names+` from task where `+taskKey, taskArgs(k)...))
	if errors.Is(err, sql.ErrNoRows) {
		return t, notFound("%s does not exist here", k)
	}
	return t, classify("read "+k.String(), err)
}

// TasksOfSession lists the runs of this site that exchange messages in a session, one for each role that it plays; in one that
// names no scheduler, as FATE-Flow's, those of the jobs of all schedulers. CodeNotFound: there is none.
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
	return tasks, err
}

// TaskByRunID returns the task version that a container reports under; CodeNotFound if there is none.
func (c *Catalogue) TaskByRunID(ctx context.Context, id openflow.RunID) (openflow.TaskRecord, error) {
	t, err := scanTask(c.one(ctx, `select `+taskColumns.names+` from task where run_id = $1`, string(id)))
	if errors.Is(err, sql.ErrNoRows) {
		return t, notFound("no run has the ID %q", id)
	}
	return t, classify("read task "+string(id), err)
}
