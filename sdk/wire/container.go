package wire

import (
	"encoding/json"

	"openflow"
)

// ContainerStatus is the body of POST /v2/worker/task/status. Error is for this party's users; the last three, which are
// ours, are what other parties may know. A container that sends Error alone tells them nothing.
type ContainerStatus struct {
	RunID       Text   `json:"execution_id" check:"required"`
	Status      Text   `json:"status" check:"required"`
	Error       string `json:"error,omitempty"`
	Public      string `json:"public,omitempty"`
	Code        string `json:"code,omitempty"`
	Consequence bool   `json:"consequence,omitempty"`
}

// Cause is what other parties may know of the container's failure. CodeRejected where it names no code that is known.
func (s ContainerStatus) Cause() openflow.Cause {
	if openflow.TaskStatus(s.Status).Succeeded() || s.Error == "" && s.Public == "" {
		return openflow.Cause{}
	}
	c := FailureCause{Text: s.Public, Code: s.Code, Consequence: s.Consequence}.Decode()
	if c.Code == "" {
		c.Code = openflow.CodeRejected
	}
	return c
}

// ContainerWarning is what a container warns its own party's users of; ours.
type ContainerWarning struct {
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
	// CodeHeader is the openflow.Code of an answer that has no envelope, because no dialect serves its path.
	CodeHeader = "X-Openflow-Code"
)

// ArrowStream is the content type of a table's rows.
const ArrowStream = "application/vnd.apache.arrow.stream"
