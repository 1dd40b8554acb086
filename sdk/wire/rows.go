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
	Purpose            string          `json:"purpose"` // ours: what the job is for, in the initiator's words
	Reason             string          `json:"reason"`
	RemainingCores     int             `json:"remaining_cores"`
	RemainingGPUs      int             `json:"remaining_gpus"`
	RemainingMemory    int64           `json:"remaining_memory"`
	ResourceInUse      bool            `json:"resource_in_use"`
	ReturnResourceTime *int64          `json:"return_resource_time"`
	Role               string          `json:"role"`
	SchedulerPartyID   string          `json:"scheduler_party_id"`
	Signed             bool            `json:"signed"` // ours: initiator and purpose are proven; otherwise its scheduler says so
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

// Millis renders t in milliseconds since the epoch; null for the zero time.
func Millis(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	ms := t.UnixMilli()
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
	Component   string `json:"component,omitempty"` // of an event about one
	Provider    string `json:"provider,omitempty"`  // of that component: name:version
}

// The kinds of Server-Sent Events on /openflow/v1/user/job/events.
const (
	EventJob       = "job"       // data: an EventRow
	EventTask      = "task"      // data: an EventRow
	EventComponent = "component" // data: an EventRow with a component and no job; only in the stream of all
	EventMissed    = "missed"    // some were not sent and are no longer kept: the state has to be read anew
	EventEnd       = "end"       // the job has ended in every role of this site; nothing follows
)
