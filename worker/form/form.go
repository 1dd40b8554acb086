// Package form is what a node and the workers of its pool send each other, as JSON. Both ends are ours, and of releases next
// to each other: a field that one of them does not know is passed over.
package form

import (
	"encoding/json"
	"time"

	"openflow"
	"openflow/store/document"
)

// Task is the row of a run, as a worker of the pool reads it: an openflow.TaskRecord.
type Task struct {
	Run           document.Run        `json:"run"`
	SyncType      openflow.SyncType   `json:"sync_type,omitzero"`
	Component     string              `json:"component,omitzero"`
	Provider      string              `json:"provider,omitzero"`
	ProgramDigest string              `json:"program_digest,omitzero"`
	Protocol      document.Protocol   `json:"protocol,omitzero"`
	Status        openflow.TaskStatus `json:"status,omitzero"`
	PartyStatus   openflow.TaskStatus `json:"party_status,omitzero"`
	Reason        string              `json:"reason,omitzero"`
	ErrorReport   string              `json:"error_report,omitzero"`
	Cause         document.Cause      `json:"cause,omitzero"`
	Warnings      []string            `json:"warnings,omitempty"`
	Spec          document.TaskSpec   `json:"spec,omitzero"`
	Cores         int                 `json:"cores,omitzero"`
	Memory        int64               `json:"memory,omitzero"`
	GPUs          int                 `json:"gpus,omitzero"`
	GPUIDs        []string            `json:"gpu_ids,omitempty"`
	MemoryBytes   int64               `json:"memory_bytes,omitzero"`
	ResourceInUse bool                `json:"resource_in_use,omitzero"`
	Reported      openflow.TaskStatus `json:"reported,omitzero"`
	Killed        bool                `json:"killed,omitzero"`
	StopStatus    openflow.TaskStatus `json:"stop_status,omitzero"`
	Runtime       string              `json:"runtime,omitzero"`
	ContainerName string              `json:"container_name,omitzero"`
	ExitCode      *int                `json:"exit_code,omitempty"`
	LogDigest     string              `json:"log_digest,omitzero"`
	CreateTime    time.Time           `json:"create_time,omitzero"`
	UpdateTime    time.Time           `json:"update_time,omitzero"`
	StartTime     time.Time           `json:"start_time,omitzero"`
	EndTime       time.Time           `json:"end_time,omitzero"`
}

// EncodeTask is the inverse of Decode.
func EncodeTask(r openflow.TaskRecord) Task {
	return Task{
		Run: document.EncodeRun(r.Key), SyncType: r.SyncType, Component: r.Component, Provider: r.Provider, ProgramDigest: r.ProgramDigest,
		Protocol: document.Protocol(r.Protocol),
		Status:   r.Status, PartyStatus: r.PartyStatus, Reason: r.Reason, ErrorReport: r.ErrorReport, Cause: document.Cause(r.Cause),
		Warnings: r.Warnings, Spec: document.EncodeSpec(r.Spec), Cores: r.Cores, Memory: r.Memory, GPUs: r.GPUs, GPUIDs: r.GPUIDs,
		MemoryBytes: r.MemoryBytes, ResourceInUse: r.ResourceInUse, Reported: r.Reported, Killed: r.Killed, StopStatus: r.StopStatus,
		Runtime: r.Runtime, ContainerName: r.ContainerName, ExitCode: r.ExitCode, LogDigest: r.LogDigest, CreateTime: r.CreateTime,
		UpdateTime: r.UpdateTime, StartTime: r.StartTime, EndTime: r.EndTime,
	}
}

// Decode gives the row back.
func (r Task) Decode() openflow.TaskRecord {
	return openflow.TaskRecord{
		Key: r.Run.Decode(), SyncType: r.SyncType, Component: r.Component, Provider: r.Provider, ProgramDigest: r.ProgramDigest,
		Protocol: openflow.Protocol(r.Protocol),
		Status:   r.Status, PartyStatus: r.PartyStatus, Reason: r.Reason, ErrorReport: r.ErrorReport, Cause: openflow.Cause(r.Cause),
		Warnings: r.Warnings, Spec: r.Spec.Decode(), Cores: r.Cores, Memory: r.Memory, GPUs: r.GPUs, GPUIDs: r.GPUIDs,
		MemoryBytes: r.MemoryBytes, ResourceInUse: r.ResourceInUse, Reported: r.Reported, Killed: r.Killed, StopStatus: r.StopStatus,
		Runtime: r.Runtime, ContainerName: r.ContainerName, ExitCode: r.ExitCode, LogDigest: r.LogDigest, CreateTime: r.CreateTime,
		UpdateTime: r.UpdateTime, StartTime: r.StartTime, EndTime: r.EndTime,
	}
}

// DecodeTask reads a row. Numbers in parameters stay as they were written, whatever their size. Errors: CodeInvalid.
func DecodeTask(b json.RawMessage) (openflow.TaskRecord, error) {
	var r Task
	if err := document.Unmarshal(b, &r); err != nil {
		return openflow.TaskRecord{}, openflow.Errorf(openflow.CodeInvalid, "the row of a task is not readable: %w", err)
	}
	return r.Decode(), nil
}

// Supply is an openflow.TaskSupply.
type Supply struct {
	Credential   string               `json:"credential,omitzero"`
	ModelID      string               `json:"model_id,omitzero"`
	ModelVersion string               `json:"model_version,omitzero"`
	Partitions   int                  `json:"partitions,omitzero"`
	Policy       openflow.Policy      `json:"policy,omitzero"`
	May          openflow.Confinement `json:"may,omitzero"`
	Defaults     openflow.Parameters  `json:"defaults,omitzero"`
}

// Start records that a run has a container at a worker's machine: an openflow.Launch.
type Start struct {
	Run       document.Run `json:"run"`
	Runtime   string       `json:"runtime" check:"required"`
	Container string       `json:"container" check:"required"`
	Provider  string       `json:"provider,omitzero"`
	Digest    string       `json:"digest,omitzero"`
}

// EncodeStart is the inverse of Launch, for a run.
func EncodeStart(k openflow.TaskKey, at openflow.Launch) Start {
	return Start{Run: document.EncodeRun(k), Runtime: at.Runtime, Container: at.Container, Provider: at.Provider, Digest: at.Digest}
}

// Launch is where the container is, and whose program is in it.
func (s Start) Launch() openflow.Launch {
	return openflow.Launch{Runtime: s.Runtime, Container: s.Container, Provider: s.Provider, Digest: s.Digest}
}

// End records how a run has ended: an openflow.TaskEnd.
type End struct {
	Run         document.Run        `json:"run"`
	Status      openflow.TaskStatus `json:"status"`
	Reason      string              `json:"reason,omitzero"`
	ErrorReport string              `json:"error_report,omitzero"`
	Cause       document.Cause      `json:"cause,omitzero"`
	ExitCode    *int                `json:"exit_code,omitempty"`
	LogDigest   string              `json:"log_digest,omitzero"`
}

// EncodeEnd is the inverse of Decode.
func EncodeEnd(k openflow.TaskKey, e openflow.TaskEnd) End {
	return End{
		Run: document.EncodeRun(k), Status: e.Status, Reason: e.Reason, ErrorReport: e.ErrorReport, Cause: document.Cause(e.Cause),
		ExitCode: e.ExitCode, LogDigest: e.LogDigest,
	}
}

// Decode gives the end back.
func (e End) Decode() (openflow.TaskKey, openflow.TaskEnd) {
	return e.Run.Decode(), openflow.TaskEnd{
		Status: e.Status, Reason: e.Reason, ErrorReport: e.ErrorReport, Cause: openflow.Cause(e.Cause), ExitCode: e.ExitCode,
		LogDigest: e.LogDigest,
	}
}

// Site is what a worker is told of the site that it works for.
type Site struct {
	PartyID   openflow.PartyID `json:"party_id"`
	Namespace string           `json:"namespace"` // in Temporal
}

// Resident asks whether a component may have resident containers. With Serving it tells first whether the machine has one that serves.
type Resident struct {
	Component string            `json:"component"`
	Provider  document.Provider `json:"provider"`
	Machine   string            `json:"machine"` // its name, for people
	Serving   *bool             `json:"serving,omitempty"`
}

// Allowed answers that.
type Allowed struct {
	Allowed bool `json:"allowed"`
}

// Change answers whether a row has changed.
type Change struct {
	Changed bool `json:"changed"`
}

// Log answers where a log is kept; empty: it was empty.
type Log struct {
	Digest string `json:"digest"`
}

// Provider is a provider in the site's registry, as a worker of the pool needs it: an openflow.ProviderRecord.
type Provider struct {
	Name    string                `json:"name,omitzero"`
	Version string                `json:"version,omitzero"`
	Kind    openflow.ProviderKind `json:"kind,omitzero"`
	Place   string                `json:"place,omitzero"`
	Digest  string                `json:"digest,omitzero"`
	Archive string                `json:"archive,omitzero"`
	Dialect openflow.Dialect      `json:"dialect,omitzero"`
	AddedBy string                `json:"added_by,omitzero"`
	AddedAt time.Time             `json:"added_at,omitzero"`

	Interpreter string `json:"interpreter,omitzero"`
	Papers      string `json:"papers,omitzero"`
}

// EncodeProvider is the inverse of Decode.
func EncodeProvider(p openflow.ProviderRecord) Provider { return Provider(p) }

// Decode gives the record back.
func (p Provider) Decode() openflow.ProviderRecord { return openflow.ProviderRecord(p) }
