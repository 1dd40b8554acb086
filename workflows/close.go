package workflows

import (
	"cmp"

	"go.temporal.io/sdk/temporal"

	"openflow"
)

// closing is the error with which a workflow closes, so that the Temporal UI and its searches tell how a job or run has
// ended. It is nil for success, canceled for one that was stopped, and a failure for every other. A failure has the
// reason as its message and the code as its type; where no code is known, the status. Nothing is ever retried for it.
func closing(status openflow.TaskStatus, reason string, code openflow.Code) error {
	reason = openflow.Readable(reason)
	switch {
	case status.Succeeded():
		return nil
	case status == openflow.TaskCanceled:
		return temporal.NewCanceledError(reason)
	case status == openflow.TaskTimeout:
		code = cmp.Or(code, openflow.CodeDeadline)
	}
	kind := cmp.Or(string(code), string(status))
	return temporal.NewNonRetryableApplicationError(cmp.Or(reason, string(status)), kind, nil)
}
