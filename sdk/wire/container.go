package wire

import "openflow"

// ContainerStatus is the body of POST /v2/worker/task/status. Error is for this party's users; the last three, which are
// ours, are what other parties may know. A container that sends Error alone tells them nothing.
type ContainerStatus struct {
	RunID       Text   `json:"execution_id" check:"required"`
	Status      Text   `json:"status" check:"required"`
	Error       string `json:"error,omitempty" heard:"words"`
	Public      string `json:"public,omitempty" heard:"words"`
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
	Warning string `json:"warning" heard:"words"`
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
