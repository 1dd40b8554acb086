// Package forms is the JSON in which nodes tell each other of jobs and tasks: references, updates, states and reports. It
// follows FATE-Flow's bodies, and our own dialect is made of the same parts.
package forms

import (
	"encoding/json"
	"slices"
	"time"

	"openflow"
	"openflow/sdk/wire"
)

// TaskRef names a task version at one of its parties: what every /v2/partner/task/* call begins with.
//
// Spec: fate-flow-api §2.3.
type TaskRef struct {
	wire.JobRef
	TaskID      wire.Text `json:"task_id" check:"required"`
	TaskVersion *Whole    `json:"task_version" check:"required"`
}

// TaskRefOf makes the wire form of k.
func TaskRefOf(k openflow.TaskKey) TaskRef {
	v := Whole(k.Version)
	return TaskRef{JobRef: wire.Ref(k.Job, k.Party), TaskID: wire.Text(k.TaskID()), TaskVersion: &v}
}

// TaskKey is the run that the reference means when scheduler is the job's. Errors: CodeInvalid.
func (r TaskRef) TaskKey(scheduler openflow.PartyID) (openflow.TaskKey, error) {
	jk, err := r.Key(scheduler)
	if err != nil {
		return openflow.TaskKey{}, err
	}
	name, err := openflow.TaskNameOf(jk.Job, openflow.TaskID(r.TaskID))
	if err != nil {
		return openflow.TaskKey{}, err
	}
	if err := openflow.CheckIdentifier("task name", string(name)); err != nil {
		return openflow.TaskKey{}, err
	}
	if *r.TaskVersion < 0 {
		return openflow.TaskKey{}, openflow.Errorf(openflow.CodeInvalid, "task_version %d is negative", *r.TaskVersion)
	}
	return openflow.TaskKey{Scheduler: scheduler, Job: jk.Job, Task: name, Version: int(*r.TaskVersion), Party: jk.Party}, nil
}

// Mandate is an openflow.Mandate, in the bodies that bring a job to its scheduler and to its parties. FATE-Flow passes over it.
type Mandate struct {
	Text      []byte `json:"text"`
	Signature []byte `json:"signature"`
	Salt      []byte `json:"salt"`
}

// Decode checks the sizes; what a mandate says is read by who can prove it. Errors: CodeInvalid, about the job.
func (m *Mandate) Decode() (*openflow.Mandate, error) {
	if m == nil {
		return nil, nil
	}
	if len(m.Text) > openflow.MaxMandate || len(m.Signature) != openflow.MandateSignature || len(m.Salt) != openflow.MandateSalt {
		return nil, openflow.About(openflow.AboutJob, openflow.Errorf(openflow.CodeInvalid,
			"the mandate has %d bytes of text, %d of a signature and %d of salt", len(m.Text), len(m.Signature), len(m.Salt)).
			WithHint("it has at most %d, and %d and %d", openflow.MaxMandate, openflow.MandateSignature, openflow.MandateSalt))
	}
	given := openflow.Mandate(*m)
	return &given, nil
}

// PartnerCreateJob is the body of POST /v2/partner/job/create. UserName, who submitted, and Mandate are ours.
type PartnerCreateJob struct {
	wire.JobRef
	DAG           json.RawMessage `json:"dag" check:"required"`
	SchemaVersion wire.Text       `json:"schema_version" check:"required"`
	Kind          string          `json:"kind,omitempty"`
	UserName      string          `json:"user_name,omitempty"`
	Mandate       *Mandate        `json:"mandate,omitempty"`
}

// EncodeOrder makes the body that asks a party to create a job. Errors: CodeInvalid.
func EncodeOrder(o openflow.JobOrder) (PartnerCreateJob, error) {
	dag, err := wire.EncodeDAG(o.DAG)
	return PartnerCreateJob{
		JobRef: wire.Ref(o.Key.Job, o.Key.Party), DAG: dag, SchemaVersion: wire.Text(o.DAG.SchemaVersion), Kind: wire.Kind,
		UserName: o.UserName, Mandate: (*Mandate)(o.Mandate),
	}, err
}

// Order is what the scheduler, whose the key is, asks for. Errors: CodeInvalid, about the job.
func (b PartnerCreateJob) Order(k openflow.JobKey) (openflow.JobOrder, error) {
	o := openflow.JobOrder{Key: k, UserName: b.UserName}
	err := wire.CheckName("user_name", b.UserName)
	if err == nil {
		o.Mandate, err = b.Mandate.Decode()
	}
	if err == nil {
		o.DAG, err = receiveInner(b.DAG, b.SchemaVersion, b.Kind)
	}
	return o, openflow.About(openflow.AboutJob, err)
}

func receiveInner(dag json.RawMessage, version wire.Text, kind string) (*openflow.DAG, error) {
	doc, err := json.Marshal(map[string]any{"dag": dag, "schema_version": string(version), "kind": kind})
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeInvalid, "dag: %w", err)
	}
	return wire.ReceiveDAG(doc)
}

// Spoken is an openflow.Spoken, for all tasks of which the same is said.
type Spoken struct {
	Tasks     []openflow.TaskName `json:"tasks"`
	Provider  string              `json:"provider"` // name:version
	Protocols []wire.Protocol     `json:"protocols"`
}

// The most that a party may say of what its programs speak: a scheduler keeps all of it in the history of the job.
const (
	maxSpoken      = 200       // entries
	maxSpokenBytes = 256 << 10 // of all names together
)

// EncodeSpoken writes what is said of several tasks once. What is beyond all bounds is left out: then nothing is compared.
func EncodeSpoken(list []openflow.Spoken) []Spoken {
	var out []Spoken
	for _, s := range list {
		said := Spoken{Provider: s.Provider.String(), Protocols: wire.EncodeProtocols(s.Protocols)}
		i := slices.IndexFunc(out, func(o Spoken) bool { return o.Provider == said.Provider && slices.Equal(o.Protocols, said.Protocols) })
		if i < 0 {
			i, out = len(out), append(out, said)
		}
		out[i].Tasks = append(out[i].Tasks, s.Task)
	}
	if _, err := DecodeSpoken(out); err != nil {
		return nil
	}
	return out
}

// DecodeSpoken is the way back. Errors: CodeInvalid, for more than the bounds, and for names that none can have.
func DecodeSpoken(list []Spoken) ([]openflow.Spoken, error) {
	if len(list) > maxSpoken {
		return nil, openflow.Errorf(openflow.CodeInvalid, "%d entries say what programs speak, more than %d", len(list), maxSpoken)
	}
	var out []openflow.Spoken
	size := 0
	for _, s := range list {
		said := openflow.Spoken{}
		var err error
		if said.Provider, err = openflow.ParseProvider(s.Provider); err == nil {
			err = openflow.CheckProvider(said.Provider.Name, said.Provider.Version)
		}
		for _, p := range s.Protocols {
			said.Protocols = append(said.Protocols, openflow.Protocol(p))
			size += len(p.Name) + len(p.Version)
		}
		if err == nil {
			err = openflow.CheckProtocols(said.Protocols)
		}
		said.Provider.Device = ""
		for _, task := range s.Tasks {
			if err == nil {
				err = openflow.CheckIdentifier("task name", string(task))
			}
			said.Task = task
			out = append(out, said)
			size += len(task)
		}
		if err == nil && size > maxSpokenBytes {
			err = openflow.Errorf(openflow.CodeInvalid, "what programs speak has more than %d bytes", maxSpokenBytes)
		}
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

// PartnerUpdateJob is the body of POST /v2/partner/job/update and, with Status, of …/job/status/update and …/job/stop.
//
// Reason and Status in job/stop are ours: part 7 #24, #27.
type PartnerUpdateJob struct {
	wire.JobRef
	Progress *Percent  `json:"progress,omitempty"`
	Status   wire.Text `json:"status,omitempty"`
	Reason   string    `json:"reason,omitempty" heard:"words"`
}

// PartnerUpdateTask is the body of POST /v2/partner/task/status/update and …/task/stop.
type PartnerUpdateTask struct {
	TaskRef
	Status   wire.Text `json:"status,omitempty"`
	Reason   string    `json:"reason,omitempty" heard:"words"`
	Progress Percent   `json:"progress,omitempty"` // of the job, in percent: saves the call to job/update
}

// EncodeTaskUpdates makes the wire form of what a scheduler says of tasks.
func EncodeTaskUpdates(updates []openflow.TaskUpdate) []PartnerUpdateTask {
	list := make([]PartnerUpdateTask, len(updates))
	for i, u := range updates {
		list[i] = PartnerUpdateTask{
			TaskRef: TaskRefOf(u.Key), Status: wire.Text(u.Status), Reason: u.Reason, Progress: Percent(u.Progress),
		}
	}
	return list
}

// DecodeTaskEnds is DecodeTaskUpdates of tasks that have ended.
func DecodeTaskEnds(list []PartnerUpdateTask, k openflow.JobKey) ([]openflow.TaskUpdate, error) {
	updates, err := DecodeTaskUpdates(list, k)
	for _, u := range updates {
		if !u.Status.Terminal() {
			return nil, openflow.Errorf(openflow.CodeInvalid, "%q does not end task %s", u.Status, u.Key.Task)
		}
	}
	return updates, err
}

// DecodeTaskUpdates is the way back; each names the job and the party of k. Errors: CodeInvalid.
func DecodeTaskUpdates(list []PartnerUpdateTask, k openflow.JobKey) ([]openflow.TaskUpdate, error) {
	if len(list) > openflow.MaxTasks {
		return nil, openflow.Errorf(openflow.CodeInvalid, "the call tells of %d tasks, more than a job may have (%d)", len(list), openflow.MaxTasks)
	}
	var updates []openflow.TaskUpdate
	for i, b := range list {
		if b.TaskID == "" || b.TaskVersion == nil || b.JobRef != wire.Ref(k.Job, k.Party) {
			return nil, openflow.Errorf(openflow.CodeInvalid, "task %d of the call belongs to another job or party, or lacks its id or version", i)
		}
		key, err := b.TaskKey(k.Scheduler)
		if err != nil {
			return nil, err
		}
		u := openflow.TaskUpdate{Key: key, Status: openflow.TaskStatus(b.Status), Reason: b.Reason, Progress: int(b.Progress)}
		if !u.Status.Valid() {
			return nil, openflow.Errorf(openflow.CodeInvalid, "unknown status %q of task %s", u.Status, key.Task)
		}
		updates = append(updates, u)
	}
	return updates, nil
}

// PartnerRerunTask is the body of POST /v2/partner/task/rerun; task_version is the version before.
type PartnerRerunTask struct {
	TaskRef
	NewVersion *Whole `json:"new_version" check:"required"`
}

// TaskState is the data of POST /v2/partner/task/collect. FailureCause is ours: part 7 #30.
type TaskState struct {
	JobID       string `json:"job_id"`
	TaskID      string `json:"task_id"`
	TaskVersion int    `json:"task_version"`
	Role        string `json:"role"`
	PartyID     string `json:"party_id"`
	Status      string `json:"status"`
	PartyStatus string `json:"party_status"`
	StartTime   *int64 `json:"start_time"`
	UpdateTime  *int64 `json:"update_time"`
	EndTime     *int64 `json:"end_time"`
	Elapsed     *int64 `json:"elapsed"`
	wire.FailureCause
	Stopping bool `json:"stopping,omitempty"` // ours: it is being stopped, also before it has begun to run
}

// SchedulerCreateJob is the body of POST /v2/scheduler/job/create. The last four are ours: the ID that the initiator
// made, its idempotency key, who submitted, and the initiator's mandate.
type SchedulerCreateJob struct {
	DAG            json.RawMessage `json:"dag" check:"required"`
	SchemaVersion  wire.Text       `json:"schema_version" check:"required"`
	Kind           string          `json:"kind,omitempty"`
	JobID          wire.Text       `json:"job_id,omitempty"`
	IdempotencyKey string          `json:"idempotency_key,omitempty"`
	UserName       string          `json:"user_name,omitempty"`
	Mandate        *Mandate        `json:"mandate,omitempty"`
}

// EncodeSubmission makes the body that hands a job to its scheduler. Errors: CodeInvalid.
func EncodeSubmission(sub openflow.Submission) (SchedulerCreateJob, error) {
	dag, err := wire.EncodeDAG(sub.DAG)
	return SchedulerCreateJob{
		DAG: dag, SchemaVersion: wire.Text(sub.DAG.SchemaVersion), Kind: wire.Kind, JobID: wire.Text(sub.ID),
		IdempotencyKey: sub.IdempotencyKey, UserName: sub.UserName, Mandate: (*Mandate)(sub.Mandate),
	}, err
}

// Submission is what the initiator, the verified caller, submits. Errors: CodeInvalid, about the job.
func (b SchedulerCreateJob) Submission(initiator openflow.PartyID) (openflow.Submission, error) {
	for kind, name := range map[string]string{"user_name": b.UserName, "idempotency_key": b.IdempotencyKey} {
		if err := wire.CheckName(kind, name); err != nil {
			return openflow.Submission{}, openflow.About(openflow.AboutJob, err)
		}
	}
	given, err := b.Mandate.Decode()
	if err != nil {
		return openflow.Submission{}, err
	}
	dag, err := receiveInner(b.DAG, b.SchemaVersion, b.Kind)
	if err != nil {
		return openflow.Submission{}, openflow.About(openflow.AboutJob, err)
	}
	return openflow.Submission{
		DAG: dag, Initiator: initiator, ID: openflow.JobID(b.JobID), IdempotencyKey: b.IdempotencyKey, UserName: b.UserName, Mandate: given,
	}, nil
}

// SchedulerStopJob is the body of POST /v2/scheduler/job/stop and, without a status, of rerun and wake.
type SchedulerStopJob struct {
	JobID      wire.Text `json:"job_id" check:"required"`
	StopStatus wire.Text `json:"stop_status,omitempty"`
}

// SchedulerEndedJobs is the body of POST /openflow/v1/node/scheduled/ended: which of these jobs have ended?
type SchedulerEndedJobs struct {
	JobIDs []wire.Text `json:"job_ids" check:"required"`
}

// Decode reads the IDs.
func (b SchedulerEndedJobs) Decode() []openflow.JobID {
	ids := make([]openflow.JobID, len(b.JobIDs))
	for i, id := range b.JobIDs {
		ids[i] = openflow.JobID(id)
	}
	return ids
}

// EncodeEndedQuestion makes the wire form of the question.
func EncodeEndedQuestion(ids []openflow.JobID) SchedulerEndedJobs {
	b := SchedulerEndedJobs{JobIDs: make([]wire.Text, len(ids))}
	for i, id := range ids {
		b.JobIDs[i] = wire.Text(id)
	}
	return b
}

// EndedJob is a job in the answer to it. Those that have not ended are left out.
type EndedJob struct {
	JobID  string `json:"job_id"`
	Status string `json:"status,omitempty"` // absent: the scheduler does not know the job
	Reason string `json:"reason,omitempty" heard:"words"`
}

// EncodeEndedJobs makes the wire form of the answer.
func EncodeEndedJobs(list []openflow.EndedJob) []EndedJob {
	out := make([]EndedJob, len(list))
	for i, j := range list {
		out[i] = EndedJob{JobID: string(j.ID), Status: string(j.Status), Reason: j.Reason}
	}
	return out
}

// Decode reads it, as far as what a peer says is taken.
func (j EndedJob) Decode() openflow.EndedJob {
	return openflow.EndedJob{ID: openflow.JobID(j.JobID), Status: openflow.JobStatus(j.Status), Reason: j.Reason}
}

// SchedulerReportTask is the body of POST /v2/scheduler/task/report. FailureCause is ours: part 7 #30.
type SchedulerReportTask struct {
	TaskRef
	wire.FailureCause
	Status wire.Text `json:"status,omitempty"`
}

// TaskAnswer is what is read of a TaskState: nothing else of it is believed, so nothing else can make it unreadable.
type TaskAnswer struct {
	Status      string `json:"status"`
	PartyStatus string `json:"party_status"`
	wire.FailureCause
	Stopping bool `json:"stopping"`
}

// Decode is what a peer says of its run of k. Whether it knows the status is the caller's to judge.
func (s TaskAnswer) Decode(k openflow.TaskKey) openflow.TaskStanding {
	return openflow.TaskStanding{
		Key: k, Status: openflow.TaskStatus(s.Status), PartyStatus: openflow.TaskStatus(s.PartyStatus),
		Cause: s.FailureCause.Decode(), Stopping: s.Stopping,
	}
}

// EncodeTaskState renders r for /v2/partner/task/collect.
func EncodeTaskState(r openflow.TaskStanding) TaskState {
	return TaskState{
		JobID: string(r.Key.Job), TaskID: string(r.Key.TaskID()), TaskVersion: r.Key.Version, Role: string(r.Key.Party.Role),
		PartyID: string(r.Key.Party.ID), Status: string(r.Status), PartyStatus: string(r.PartyStatus),
		StartTime: wire.Millis(r.StartTime), UpdateTime: wire.Millis(r.UpdateTime), EndTime: wire.Millis(r.EndTime),
		Elapsed: elapsed(r.StartTime, r.EndTime), FailureCause: wire.EncodeCause(r.Cause),
		Stopping: r.Stopping,
	}
}

func elapsed(start, end time.Time) *int64 {
	if start.IsZero() || end.IsZero() {
		return nil
	}
	ms := end.Sub(start).Milliseconds()
	return &ms
}

// Refusal is a peer's problem as an error, with what is taken of a peer's words; nil for none.
func Refusal(p *wire.Problem) error {
	if p == nil {
		return nil
	}
	heard := p.Heard()
	if heard.Code == "" {
		heard.Code = string(openflow.CodeInternal)
	}
	return wire.Envelope{Code: wire.ServerException, Error: &heard}.Err()
}
