package wire

import (
	"encoding/json"
	"time"

	"openflow"
)

// JobRow is one row of /v2/job/query. Reason is ours (what a job waits for, or why it ended as it did), and so are
// Priority and the GPUs.
//
// Spec: fate-flow-api §4.9.1.
type JobRow struct {
	ApplyResourceTime  *int64          `json:"apply_resource_time"`
	Cores              int             `json:"cores"`
	CreateTime         *int64          `json:"create_time"`
	DAG                json.RawMessage `json:"dag,omitempty"`
	Description        string          `json:"description"`
	Elapsed            *int64          `json:"elapsed"`
	EndTime            *int64          `json:"end_time"`
	EngineName         *string         `json:"engine_name"`
	FlowID             string          `json:"flow_id"`
	Inheritance        map[string]any  `json:"inheritance"`
	InitiatorPartyID   string          `json:"initiator_party_id"`
	JobID              string          `json:"job_id"`
	GPUs               int             `json:"gpus"`
	Memory             int64           `json:"memory"`
	ModelID            string          `json:"model_id"`
	ModelVersion       string          `json:"model_version"`
	Parties            []PartyList     `json:"parties"`
	Partners           []string        `json:"partners,omitempty"`
	Pins               []Pin           `json:"pins,omitempty"`   // ours: what the job reads here; where one job is asked for
	Models             []JobModel      `json:"models,omitempty"` // ours: what its tasks have made here; where one job is asked for
	PartyID            string          `json:"party_id"`
	Priority           int             `json:"priority"`
	Progress           int             `json:"progress"`
	Protocol           string          `json:"protocol"`
	Reason             string          `json:"reason"`
	RemainingCores     int             `json:"remaining_cores"`
	RemainingGPUs      int             `json:"remaining_gpus"`
	RemainingMemory    int64           `json:"remaining_memory"`
	ResourceInUse      bool            `json:"resource_in_use"`
	ReturnResourceTime *int64          `json:"return_resource_time"`
	Role               string          `json:"role"`
	SchedulerPartyID   string          `json:"scheduler_party_id"`
	StartTime          *int64          `json:"start_time"`
	Status             string          `json:"status"`
	StatusCode         *int            `json:"status_code"`
	Tag                string          `json:"tag"`
	UpdateTime         *int64          `json:"update_time"`
	UserName           string          `json:"user_name"`
	Warnings           []string        `json:"warnings"` // ours
}

// JobModel is a model that a task of a job has made at this site.
type JobModel struct {
	TaskName  string `json:"task_name"`
	OutputKey string `json:"output_key"`
}

// EncodeJobModels renders the models of a job.
func EncodeJobModels(models []openflow.ModelRecord) []JobModel {
	out := make([]JobModel, len(models))
	for i, m := range models {
		out[i] = JobModel{string(m.Task), m.OutputKey}
	}
	return out
}

// Pin is an input that a job keeps as it was when it was created at this site, in a JobRow of this site.
type Pin struct {
	TaskName  string `json:"task_name"`
	Kind      string `json:"kind"`
	InputKey  string `json:"input_key"` // empty: what a reader names in its parameters
	Index     int    `json:"index"`
	Namespace string `json:"namespace,omitempty"`
	Name      string `json:"name,omitempty"`
	JobID     string `json:"job_id,omitempty"` // whose output it is
	ModelID   string `json:"model_id,omitempty"`
	Version   string `json:"model_version,omitempty"`
	Producer  string `json:"producer_task,omitempty"`
	OutputKey string `json:"output_artifact_key,omitempty"`
	Digest    string `json:"digest"` // SHA-256 of the rows or the model; empty for a table kept elsewhere
	Count     *int64 `json:"count,omitempty"`
}

// Source names what is pinned, for people.
func (p Pin) Source() string {
	switch {
	case p.ModelID != "":
		return "model " + p.ModelID + " version " + p.Version + ", " + p.Producer + "." + p.OutputKey
	case p.JobID != "":
		return "job " + p.JobID + ", " + p.Producer + "." + p.OutputKey
	}
	return "table " + p.Namespace + "/" + p.Name
}

// EncodePins renders what a job keeps.
func EncodePins(pins []openflow.Pin) []Pin {
	out := make([]Pin, 0, len(pins))
	for _, p := range pins {
		row := Pin{
			TaskName: string(p.Task), Kind: string(p.Kind), InputKey: p.InputKey, Index: p.Index, Namespace: p.Table.Namespace,
			Name: p.Table.Name, JobID: string(p.SourceJob), ModelID: p.Model.ID, Version: p.Model.Version, Producer: string(p.Producer),
			OutputKey: p.OutputKey, Digest: p.Object,
		}
		if p.Count >= 0 {
			row.Count = &p.Count
		}
		out = append(out, row)
	}
	return out
}

// Millis renders t in milliseconds since the epoch; null for the zero time.
func Millis(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	ms := t.UnixMilli()
	return &ms
}

func elapsed(start, end time.Time) *int64 {
	if start.IsZero() || end.IsZero() {
		return nil
	}
	ms := end.Sub(start).Milliseconds()
	return &ms
}

// ClientStatus is a job's status as the FATE client may see it: it waits for ever on anything but success, failed and
// canceled.
//
// Spec: fate-client §4 #3.
func ClientStatus(s openflow.JobStatus) string {
	switch s {
	case openflow.JobTimeout:
		return string(openflow.JobFailed)
	case openflow.JobReady:
		return string(openflow.JobWaiting)
	case openflow.JobWaiting, openflow.JobRunning, openflow.JobCanceled, openflow.JobFailed, openflow.JobSuccess:
	}
	return string(s)
}

// EncodeJob renders r; the DAG is part of it only when whole.
func EncodeJob(r openflow.JobRecord, whole bool) (JobRow, error) {
	row := JobRow{
		ApplyResourceTime: Millis(r.ApplyTime), Cores: r.Cores, CreateTime: Millis(r.CreateTime), Description: r.Notes,
		Elapsed: elapsed(r.StartTime, r.EndTime), EndTime: Millis(r.EndTime), Inheritance: map[string]any{},
		InitiatorPartyID: string(r.Initiator), JobID: string(r.ID), ModelID: r.ModelID, ModelVersion: r.ModelVersion,
		PartyID: string(r.Party.ID), Progress: r.Progress, Protocol: Kind, Reason: r.Reason, RemainingCores: r.RemainingCores,
		Memory: r.Memory, RemainingMemory: r.RemainingMemory, GPUs: r.GPUs, RemainingGPUs: r.RemainingGPUs, Priority: r.Priority,
		ResourceInUse: r.ResourceInUse, ReturnResourceTime: Millis(r.ReturnTime), Role: string(r.Party.Role),
		SchedulerPartyID: string(r.Scheduler), StartTime: Millis(r.StartTime), Status: ClientStatus(r.Status),
		UpdateTime: Millis(r.UpdateTime), UserName: r.UserName, Warnings: append([]string{}, r.Warnings...),
	}
	if !r.ApplyTime.IsZero() {
		engine := "openflow"
		row.EngineName = &engine
	}
	if r.Status.Terminal() {
		row.Tag = "job_end"
	}
	if r.DAG == nil {
		return row, nil
	}
	row.Parties = EncodeParties(r.DAG.Parties)
	if in := r.DAG.Conf.Inheritance; in != nil {
		row.Inheritance = map[string]any{"job_id": in.Job, "task_list": in.Tasks}
	}
	if !whole {
		return row, nil
	}
	var err error
	row.DAG, err = EncodeDocument(r.DAG)
	return row, err
}

// TaskRow is one row of /v2/job/task/query. Reason, Runtime, Container, ExitCode and GPUIDs are ours.
//
// Spec: fate-flow-api §4.9.2.
type TaskRow struct {
	Cmd                 []string       `json:"cmd"`
	Component           string         `json:"component"`
	ComponentParameters map[string]any `json:"component_parameters"`
	Container           string         `json:"container"`
	CreateTime          *int64         `json:"create_time"`
	Elapsed             *int64         `json:"elapsed"`
	EndTime             *int64         `json:"end_time"`
	EngineConf          map[string]any `json:"engine_conf"`
	ErrorReport         string         `json:"error_report"`
	RunID               string         `json:"execution_id"`
	ExitCode            *int           `json:"exit_code"`
	GPUIDs              []string       `json:"gpu_ids"`
	JobID               string         `json:"job_id"`
	KillStatus          bool           `json:"kill_status"`
	LauncherName        *string        `json:"launcher_name"`
	Memory              int64          `json:"memory"`
	PartyID             string         `json:"party_id"`
	PartyStatus         string         `json:"party_status"`
	Protocol            string         `json:"protocol"`
	ProgramDigest       string         `json:"program_digest"` // ours: of what ran
	ProviderName        string         `json:"provider_name"`
	Reason              string         `json:"reason"`
	ResourceInUse       bool           `json:"resource_in_use"`
	Role                string         `json:"role"`
	RunIP               *string        `json:"run_ip"`
	RunPID              *int           `json:"run_pid"`
	RunPort             *int           `json:"run_port"`
	Runtime             string         `json:"runtime"`
	SchedulerPartyID    string         `json:"scheduler_party_id"`
	StartTime           *int64         `json:"start_time"`
	Status              string         `json:"status"`
	StatusCode          *int           `json:"status_code"`
	SyncType            string         `json:"sync_type"`
	TaskCores           int            `json:"task_cores"`
	TaskID              string         `json:"task_id"`
	TaskName            string         `json:"task_name"`
	TaskParameters      map[string]any `json:"task_parameters"`
	TaskRun             map[string]any `json:"task_run"`
	TaskVersion         int            `json:"task_version"`
	Timeout             int            `json:"timeout"`
	UpdateTime          *int64         `json:"update_time"`
	Warnings            []string       `json:"warnings"` // ours
	WorkerID            *string        `json:"worker_id"`
}

// EncodeTask renders r.
func EncodeTask(r openflow.TaskRecord) TaskRow {
	row := TaskRow{
		Cmd: []string{}, Component: r.Component, ComponentParameters: map[string]any{"parameters": r.Spec.Parameters},
		Container: r.ContainerName, CreateTime: Millis(r.CreateTime), Elapsed: elapsed(r.StartTime, r.EndTime),
		EndTime: Millis(r.EndTime), EngineConf: map[string]any{}, ErrorReport: r.ErrorReport,
		RunID: PartyTaskID(r.Key), ExitCode: r.ExitCode, JobID: string(r.Key.Job), KillStatus: r.Killed,
		GPUIDs: append([]string{}, r.GPUIDs...), Memory: r.MemoryBytes, PartyID: string(r.Key.Party.ID), PartyStatus: string(r.PartyStatus), Protocol: Kind,
		ProgramDigest: r.ProgramDigest, ProviderName: r.Provider, Reason: r.Reason, ResourceInUse: r.ResourceInUse, Role: string(r.Key.Party.Role),
		Runtime: r.Runtime, SchedulerPartyID: string(r.Key.Scheduler), StartTime: Millis(r.StartTime), Status: string(r.Status),
		SyncType: string(r.SyncType), TaskCores: r.Cores, TaskID: string(r.Key.TaskID()), TaskName: string(r.Key.Task),
		TaskParameters: map[string]any{}, TaskRun: EngineRun(r.Spec.Conf), TaskVersion: r.Key.Version,
		Timeout: int(r.Spec.Conf.Timeout.Seconds()), UpdateTime: Millis(r.UpdateTime), Warnings: append([]string{}, r.Warnings...),
	}
	return row
}

// TableInfo is the data of /v2/table/query and one entry of /v2/worker/data/tracking/query.
//
// Spec: fate-flow-api §1.5.
type TableInfo struct {
	Namespace string          `json:"namespace"`
	Name      string          `json:"name"`
	Count     *int64          `json:"count"`
	Meta      json.RawMessage `json:"meta"`
	Engine    string          `json:"engine"`
	Path      string          `json:"path"`
	Source    TableSource     `json:"source"`
	DataType  string          `json:"data_type"`
	Display   json.RawMessage `json:"display,omitempty"`
}

// TableSource says which task made a table; all empty for none.
type TableSource struct {
	TaskID            string `json:"task_id,omitempty"`
	PartyTaskID       string `json:"party_task_id,omitempty"`
	TaskName          string `json:"task_name,omitempty"`
	Component         string `json:"component,omitempty"`
	OutputArtifactKey string `json:"output_artifact_key,omitempty"`
	OutputIndex       *int   `json:"output_index,omitempty"`
}

// EncodeTable renders r; path is where its rows are to be had.
func EncodeTable(r openflow.TableRecord, path string) TableInfo {
	info := TableInfo{
		Namespace: r.Name.Namespace, Name: r.Name.Name, Meta: r.Meta, Engine: "openflow", Path: path, DataType: r.DataType,
		Source: TableSource{
			TaskID: string(r.Source.TaskID), PartyTaskID: string(r.Source.RunID), TaskName: string(r.Source.TaskName),
			Component: r.Source.Component, OutputArtifactKey: r.Source.OutputKey,
		},
	}
	if len(info.Meta) == 0 {
		info.Meta = json.RawMessage("{}")
	}
	if r.Count >= 0 {
		n := r.Count
		info.Count = &n
	}
	return info
}

// Metric is one metric record.
//
// Spec: fate-flow-api §3.9.
type Metric struct {
	Name     string          `json:"name"`
	Type     *string         `json:"type"`
	Groups   json.RawMessage `json:"groups"`
	StepAxis *string         `json:"step_axis"`
	Data     json.RawMessage `json:"data,omitempty"`
}

// EncodeMetric renders r, with its data only when asked.
func EncodeMetric(r openflow.MetricRecord, data bool) Metric {
	m := Metric{Name: r.Name, Groups: r.Groups}
	if r.Type != "" {
		m.Type = &r.Type
	}
	if r.StepAxis != "" {
		m.StepAxis = &r.StepAxis
	}
	if data {
		m.Data = r.Data
	}
	return m
}

// EventRow is one change of a job, or of a task of it, as /openflow/v1/user/job/events tells it. Ours. What is left out is as before.
type EventRow struct {
	Scheduler   string `json:"scheduler_party_id"`
	JobID       string `json:"job_id"`
	Role        string `json:"role"`
	PartyID     string `json:"party_id"`
	TaskName    string `json:"task_name,omitempty"` // none: the job itself
	TaskVersion int    `json:"task_version,omitempty"`
	Status      string `json:"status,omitempty"`
	Reason      string `json:"reason,omitempty"`
	Progress    *int   `json:"progress,omitempty"`
	Time        *int64 `json:"time"`
}

// EncodeEvent renders e, with a job's status as in EncodeJob.
func EncodeEvent(e openflow.Event) EventRow {
	row := EventRow{
		Scheduler: string(e.Scheduler), JobID: string(e.Job), Role: string(e.Party.Role), PartyID: string(e.Party.ID), TaskName: string(e.Task), TaskVersion: e.Version,
		Status: e.Status, Reason: e.Reason, Progress: e.Progress, Time: Millis(e.At),
	}
	if e.Task == "" && e.Status != "" {
		row.Status = ClientStatus(openflow.JobStatus(e.Status))
	}
	return row
}

// The kinds of Server-Sent Events on /openflow/v1/user/job/events.
const (
	EventJob    = "job"    // data: an EventRow
	EventTask   = "task"   // data: an EventRow
	EventMissed = "missed" // some were not sent and are no longer kept: the state has to be read anew
	EventEnd    = "end"    // the job has ended in every role of this site; nothing follows
)
