package wire

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"openflow"
)

// Text is a string argument that a number may stand for: ids are written both ways (part 7 #40).
type Text string

// UnmarshalJSON accepts a string or a number.
func (t *Text) UnmarshalJSON(b []byte) error {
	if len(b) > 0 && b[0] == '"' {
		return json.Unmarshal(b, (*string)(t))
	}
	if _, err := strconv.ParseFloat(string(b), 64); err != nil {
		return fmt.Errorf("expected a string, found %s", clip(string(b)))
	}
	*t = Text(b)
	return nil
}

// JobRef names a job at one of its parties: what every /v2/partner/job/* call begins with.
//
// Spec: fate-flow-api §2.3.
type JobRef struct {
	JobID   Text `json:"job_id" check:"required"`
	Role    Text `json:"role" check:"required"`
	PartyID Text `json:"party_id" check:"required"`
}

// Ref makes the wire form of a job at p.
func Ref(job openflow.JobID, p openflow.Party) JobRef {
	return JobRef{JobID: Text(job), Role: Text(p.Role), PartyID: Text(p.ID)}
}

// Key is the row that the reference means when scheduler asks. Errors: CodeInvalid.
func (r JobRef) Key(scheduler openflow.PartyID) (openflow.JobKey, error) {
	p := openflow.Party{Role: openflow.Role(r.Role), ID: openflow.PartyID(r.PartyID)}
	if !p.Role.Valid() {
		return openflow.JobKey{}, openflow.Errorf(openflow.CodeInvalid, "unknown role %q", r.Role)
	}
	for kind, s := range map[string]Text{"job_id": r.JobID, "party_id": r.PartyID} {
		if err := openflow.CheckIdentifier(kind, string(s)); err != nil {
			return openflow.JobKey{}, err
		}
	}
	return openflow.JobKey{Scheduler: scheduler, Job: openflow.JobID(r.JobID), Party: p}, nil
}

// TaskRef names a task version at one of its parties: what every /v2/partner/task/* call begins with.
//
// Spec: fate-flow-api §2.3.
type TaskRef struct {
	JobRef
	TaskID      Text `json:"task_id" check:"required"`
	TaskVersion *int `json:"task_version" check:"required"`
}

// TaskRefOf makes the wire form of k.
func TaskRefOf(k openflow.TaskKey) TaskRef {
	v := k.Version
	return TaskRef{JobRef: Ref(k.Job, k.Party), TaskID: Text(k.TaskID()), TaskVersion: &v}
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
	return openflow.TaskKey{Scheduler: scheduler, Job: jk.Job, Task: name, Version: *r.TaskVersion, Party: jk.Party}, nil
}

// PartnerCreateJob is the body of POST /v2/partner/job/create. UserName, who submitted, is ours.
type PartnerCreateJob struct {
	JobRef
	DAG           json.RawMessage `json:"dag" check:"required"`
	SchemaVersion Text            `json:"schema_version" check:"required"`
	Kind          string          `json:"kind,omitempty"`
	UserName      string          `json:"user_name,omitempty"`
}

// Decode reads the DAG. Errors: CodeInvalid.
func (b PartnerCreateJob) Decode() (*openflow.DAG, error) {
	return receiveInner(b.DAG, b.SchemaVersion, b.Kind)
}

func receiveInner(dag json.RawMessage, version Text, kind string) (*openflow.DAG, error) {
	doc, err := json.Marshal(map[string]any{"dag": dag, "schema_version": string(version), "kind": kind})
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeInvalid, "dag: %w", err)
	}
	return ReceiveDAG(doc)
}

// PartnerUpdateJob is the body of POST /v2/partner/job/update and, with Status, of …/job/status/update and …/job/stop.
//
// Reason and Status in job/stop are ours: part 7 #24, #27.
type PartnerUpdateJob struct {
	JobRef
	Progress *float64 `json:"progress,omitempty"`
	Status   Text     `json:"status,omitempty"`
	Reason   string   `json:"reason,omitempty"`
}

// PartnerUpdateTask is the body of POST /v2/partner/task/status/update and …/task/stop.
type PartnerUpdateTask struct {
	TaskRef
	Status   Text    `json:"status,omitempty"`
	Reason   string  `json:"reason,omitempty"`
	Progress float64 `json:"progress,omitempty"` // of the job, in percent: saves the call to job/update
}

// EncodeTaskUpdates makes the wire form of what a scheduler says of tasks.
func EncodeTaskUpdates(updates []openflow.TaskUpdate) []PartnerUpdateTask {
	list := make([]PartnerUpdateTask, len(updates))
	for i, u := range updates {
		list[i] = PartnerUpdateTask{
			TaskRef: TaskRefOf(u.Key), Status: Text(u.Status), Reason: u.Reason, Progress: float64(u.Progress),
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
		if b.TaskID == "" || b.TaskVersion == nil || b.JobRef != Ref(k.Job, k.Party) {
			return nil, openflow.Errorf(openflow.CodeInvalid, "task %d of the call belongs to another job or party, or lacks its id or version", i)
		}
		key, err := b.TaskKey(k.Scheduler)
		if err != nil {
			return nil, err
		}
		u := openflow.TaskUpdate{Key: key, Status: openflow.TaskStatus(b.Status), Reason: openflow.Heard(b.Reason), Progress: int(b.Progress)}
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
	NewVersion *int `json:"new_version" check:"required"`
}

// FailureCause is what a party tells the others of how its run failed; ours. Nothing else of an error leaves its node.
type FailureCause struct {
	Text        string `json:"error,omitempty"` // that its author marked public
	Code        string `json:"error_code,omitempty"`
	Consequence bool   `json:"error_consequence,omitempty"` // it follows from what failed at another party
}

// EncodeCause makes the wire form of c.
func EncodeCause(c openflow.Cause) FailureCause {
	return FailureCause{Text: openflow.FirstLine(c.Text), Code: string(c.Code), Consequence: c.Consequence}
}

// Decode is the way back. Whoever sent it chose the text and the code: the one is bounded, the other has to be known.
func (c FailureCause) Decode() openflow.Cause {
	code := openflow.Code(c.Code)
	if !code.Valid() {
		code = ""
	}
	return openflow.Cause{Text: openflow.FirstLine(c.Text), Code: code, Consequence: c.Consequence}
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
	FailureCause
	Stopping bool `json:"stopping,omitempty"` // ours: it is being stopped, also before it has begun to run
}

// SchedulerCreateJob is the body of POST /v2/scheduler/job/create. The last three are ours: the ID that the initiator
// made, its idempotency key, and who submitted.
type SchedulerCreateJob struct {
	DAG            json.RawMessage `json:"dag" check:"required"`
	SchemaVersion  Text            `json:"schema_version" check:"required"`
	Kind           string          `json:"kind,omitempty"`
	JobID          Text            `json:"job_id,omitempty"`
	IdempotencyKey string          `json:"idempotency_key,omitempty"`
	UserName       string          `json:"user_name,omitempty"`
}

// Decode reads the DAG. Errors: CodeInvalid.
func (b SchedulerCreateJob) Decode() (*openflow.DAG, error) {
	return receiveInner(b.DAG, b.SchemaVersion, b.Kind)
}

// SchedulerStopJob is the body of POST /v2/scheduler/job/stop and, without a status, of rerun and wake.
type SchedulerStopJob struct {
	JobID      Text `json:"job_id" check:"required"`
	StopStatus Text `json:"stop_status,omitempty"`
}

// SchedulerEndedJobs is the body of POST /v2/scheduler/job/ended (ours): which of these jobs have ended?
type SchedulerEndedJobs struct {
	JobIDs []Text `json:"job_ids" check:"required"`
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
	b := SchedulerEndedJobs{JobIDs: make([]Text, len(ids))}
	for i, id := range ids {
		b.JobIDs[i] = Text(id)
	}
	return b
}

// EndedJob is a job in the answer to it. Those that have not ended are left out.
type EndedJob struct {
	JobID  string `json:"job_id"`
	Status string `json:"status,omitempty"` // absent: the scheduler does not know the job
	Reason string `json:"reason,omitempty"`
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
	return openflow.EndedJob{ID: openflow.JobID(openflow.Heard(j.JobID)), Status: openflow.JobStatus(openflow.Heard(j.Status)), Reason: openflow.Heard(j.Reason)}
}

// SchedulerReportTask is the body of POST /v2/scheduler/task/report. FailureCause is ours: part 7 #30.
type SchedulerReportTask struct {
	TaskRef
	FailureCause
	Status Text `json:"status,omitempty"`
}

// JobStopped is the data of POST /v2/scheduler/job/stop and /v2/job/stop (ours): how far the stop has come.
type JobStopped struct {
	Status   string     `json:"status,omitempty"` // absent: the job has not ended yet
	Reason   string     `json:"reason,omitempty"`
	Stopping []PartyRef `json:"stopping,omitempty"` // who has not confirmed yet that nothing of the job runs there
}

// PartyRef is one party in one role.
type PartyRef struct {
	Role    string `json:"role"`
	PartyID string `json:"party_id"`
}

// EncodeStopped makes the wire form of s.
func EncodeStopped(s openflow.Stopped) JobStopped {
	b := JobStopped{Status: string(s.Status), Reason: s.Reason}
	for _, p := range s.Stopping {
		b.Stopping = append(b.Stopping, PartyRef{Role: string(p.Role), PartyID: string(p.ID)})
	}
	return b
}

// Decode is the way back. A genuine scheduler says nothing, which is a stop that has been taken.
func (b JobStopped) Decode() openflow.Stopped {
	s := openflow.Stopped{Status: openflow.JobStatus(heard(b.Status, maxWord)), Reason: heard(b.Reason, maxList)}
	for _, p := range b.Stopping[:min(len(b.Stopping), maxWord)] {
		s.Stopping = append(s.Stopping, openflow.Party{Role: openflow.Role(heard(p.Role, maxWord)), ID: openflow.PartyID(heard(p.PartyID, maxWord))})
	}
	return s
}

// CreatedModel is the data of an answer that created a job.
type CreatedModel struct {
	ModelID      string `json:"model_id"`
	ModelVersion string `json:"model_version"`
}

// Decode reads a request body leniently: unknown keys are passed over, and fields tagged check:"required" must be there
// and not null. Errors: CodeInvalid; MissingFields tells which.
//
// Spec: fate-flow-api §0.2.
func Decode(body []byte, into any) error {
	if len(bytes.TrimSpace(body)) == 0 {
		body = []byte("{}")
	}
	if err := json.Unmarshal(body, into); err != nil {
		return openflow.Errorf(openflow.CodeInvalid, "invalid request body: %s", openflow.Heard(err.Error()))
	}
	if missing := missingFields(reflect.ValueOf(into).Elem()); len(missing) > 0 {
		return &openflow.Error{
			Code: openflow.CodeInvalid, Message: "invalid request: missing " + strings.Join(missing, ", "),
			Err: MissingFields(missing),
		}
	}
	return nil
}

// MissingFields is the cause of a Decode that lacked required fields, in the order of the struct.
type MissingFields []string

// Error lists the fields.
func (m MissingFields) Error() string {
	return "missing data for required fields " + strings.Join(m, ", ")
}

func missingFields(v reflect.Value) []string {
	var missing []string
	for i := range v.NumField() {
		f, t := v.Field(i), v.Type().Field(i)
		if t.Anonymous && f.Kind() == reflect.Struct {
			missing = append(missing, missingFields(f)...)
			continue
		}
		if t.Tag.Get("check") == "required" && (f.IsZero() || string(jsonText(f)) == "null") {
			name, _, _ := strings.Cut(t.Tag.Get("json"), ",")
			missing = append(missing, name)
		}
	}
	return slices.Clip(missing)
}

func jsonText(f reflect.Value) []byte {
	if raw, ok := f.Interface().(json.RawMessage); ok {
		return bytes.TrimSpace(raw)
	}
	return nil
}
