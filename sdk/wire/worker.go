package wire

import (
	"encoding/json"

	"openflow"
)

// PreTaskConfig is what a node hands to a task's container, as JSON in the environment variable CONFIG.
//
// Spec: fate-flow-api §3.2.
type PreTaskConfig struct {
	ModelID             string          `json:"model_id"`
	ModelVersion        string          `json:"model_version"`
	JobID               string          `json:"job_id"`
	TaskID              string          `json:"task_id"`
	TaskVersion         string          `json:"task_version"`
	TaskName            string          `json:"task_name"`
	ProviderName        string          `json:"provider_name"`
	PartyTaskID         string          `json:"party_task_id"`
	Component           string          `json:"component"`
	Role                string          `json:"role"`
	PartyID             string          `json:"party_id"`
	Stage               string          `json:"stage"`
	Parameters          map[string]any  `json:"parameters"`
	InputArtifacts      InputArtifacts  `json:"input_artifacts"`
	Conf                TaskRuntimeConf `json:"conf"`
	MLMD                MLMD            `json:"mlmd"`
	EngineRun           map[string]any  `json:"engine_run"`
	ComputingPartitions int             `json:"computing_partitions"`
	LauncherName        string          `json:"launcher_name"`
	LauncherConf        map[string]any  `json:"launcher_conf"`
	Policy              openflow.Policy `json:"policy"` // of the site; ours
}

// InputArtifacts holds the channels by input key: a channel object or a list of them.
type InputArtifacts struct {
	Data  map[string]json.RawMessage `json:"data"`
	Model map[string]json.RawMessage `json:"model"`
}

// TaskRuntimeConf is the `conf` of a task.
type TaskRuntimeConf struct {
	Device     Typed      `json:"device"`
	Storage    string     `json:"storage"`
	Computing  Typed      `json:"computing"`
	Federation Federation `json:"federation"`
	Logger     Typed      `json:"logger"`
}

// Typed is a conf member that is discriminated by its type.
type Typed struct {
	Type     string         `json:"type,omitempty"`
	Metadata map[string]any `json:"metadata,omitempty"`
}

// Federation says which session the parties of the task share.
type Federation struct {
	Type     string             `json:"type"`
	Metadata FederationMetadata `json:"metadata"`
}

// FederationMetadata names session and parties.
type FederationMetadata struct {
	FederationID string            `json:"federation_id"`
	Parties      FederationParties `json:"parties"`
}

// FederationParties lists all parties of the task, in the order of the DAG.
type FederationParties struct {
	Local   FederationParty   `json:"local"`
	Parties []FederationParty `json:"parties"`
}

// FederationParty is a party; the key is really spelled `partyid`.
type FederationParty struct {
	Role    string `json:"role"`
	PartyID string `json:"partyid"`
}

// MLMD is where the node is, as seen from the container.
type MLMD struct {
	Type     string       `json:"type"`
	Metadata MLMDMetadata `json:"metadata"`
}

// MLMDMetadata is the address of the node's base layer.
type MLMDMetadata struct {
	Host       string `json:"host"`
	Port       int    `json:"port"`
	Protocol   string `json:"protocol"`
	APIVersion string `json:"api_version"`
}

// WorkerStatus is the body of POST /v2/worker/task/status. Error is for this party's users; the last three, which are
// ours, are what other parties may know. A container that sends Error alone tells them nothing.
type WorkerStatus struct {
	RunID       Text   `json:"execution_id" check:"required"`
	Status      Text   `json:"status" check:"required"`
	Error       string `json:"error,omitempty"`
	Public      string `json:"public,omitempty"`
	Code        string `json:"code,omitempty"`
	Consequence bool   `json:"consequence,omitempty"`
}

// Cause is what other parties may know of the container's failure. CodeRejected where it names no code that is known.
func (s WorkerStatus) Cause() openflow.Cause {
	if openflow.TaskStatus(s.Status).Succeeded() || s.Error == "" && s.Public == "" {
		return openflow.Cause{}
	}
	c := FailureCause{Text: s.Public, Code: s.Code, Consequence: s.Consequence}.Decode()
	if c.Code == "" {
		c.Code = openflow.CodeRejected
	}
	return c
}

// WorkerWarning is what a container warns its own party's users of; ours.
type WorkerWarning struct {
	Warning string `json:"warning"`
}

// ScoreSpend is what a container is about to tell a partner; ours.
type ScoreSpend struct {
	Role    Text `json:"role" check:"required"` // of the receiver, a party of the task
	PartyID Text `json:"party_id" check:"required"`
	Columns int  `json:"columns"`
	Vectors int  `json:"vectors"`
}

// TrackingSave is the body of POST /v2/worker/data/tracking/save.
type TrackingSave struct {
	RunID      Text            `json:"execution_id" check:"required"`
	URI        string          `json:"uri"`
	OutputKey  string          `json:"output_key" check:"required"`
	Namespace  string          `json:"namespace"`
	Name       string          `json:"name"`
	DataType   string          `json:"data_type" check:"required"`
	MetaData   json.RawMessage `json:"meta_data"`
	Overview   Overview        `json:"overview"`
	Source     TableSource     `json:"source"`
	Index      int             `json:"index"`
	Partitions int             `json:"partitions,omitempty"`
}

// Overview is what a writer of a table knows about its rows.
type Overview struct {
	Count   *int64          `json:"count,omitempty"`
	Samples json.RawMessage `json:"samples,omitempty"`
}

// MetricSave is the body of POST /v2/worker/metric/save[/<execution_id>].
type MetricSave struct {
	RunID Text     `json:"execution_id,omitempty"`
	Data  []Metric `json:"data"`
}

// ObjectStored is the data of PUT /openflow/v1/container/data/object.
type ObjectStored struct {
	URI   string `json:"uri"` // object:///sha256/<hex>
	Bytes int64  `json:"bytes"`
}

// Headers of ours on the base and interconnection layers.
const (
	// IdempotencyHeader carries the caller's key of a submission; a repeat with the same key is the same job.
	IdempotencyHeader = "Idempotency-Key"
	// UserHeader names the submitting user (fate-flow-api §0.2).
	UserHeader = "User-Name"
)

// ArrowStream is the content type of a table's rows.
const ArrowStream = "application/vnd.apache.arrow.stream"
