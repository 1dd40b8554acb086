package activities

import (
	"fmt"

	"openflow"
	"openflow/docker/driver"
	"openflow/sdk/wire"
)

// Judge decides how a run has ended from what its container did and what it said. A stop that was asked for comes
// first, then the exit code, then the container's own report: success needs both.
func Judge(rec openflow.TaskRecord, st driver.Status) Outcome {
	said := wire.FirstLine(rec.ErrorReport)
	switch {
	case rec.Killed && rec.Reported != openflow.TaskSuccess:
		status := rec.StopStatus
		if !status.Terminal() || status.Succeeded() {
			status = openflow.TaskCanceled
		}
		return Outcome{Status: status, Error: firstOf(rec.Reason, "stopped"), Code: openflow.CodeCanceled}
	case st.Reason == timeoutReason:
		return Outcome{Status: openflow.TaskTimeout, Error: "the run took longer than its timeout", Code: openflow.CodeDeadline}
	case st.Lost:
		return failed(openflow.CodeUnavailable, "the machine lost the program before its end was recorded")
	case st.Interrupted && rec.Reported != openflow.TaskFailed: // one that says why it failed has failed by itself
		return failed(openflow.CodeUnavailable, "the container runtime was restarted, and that ended the program")
	case st.OOMKilled:
		return failed(openflow.CodeRejected, "the program was killed for using more memory than the task may")
	case st.ExitCode != 0:
		return failed(openflow.CodeRejected, firstOf(said, fmt.Sprintf("the program ended with exit code %d", st.ExitCode)))
	case rec.Reported == openflow.TaskFailed:
		return failed(openflow.CodeRejected, firstOf(said, "the program reported failure"))
	case rec.Reported != openflow.TaskSuccess:
		return failed(openflow.CodeRejected, "the program ended without reporting success")
	}
	return Outcome{Status: openflow.TaskSuccess}
}

func failed(code openflow.Code, msg string) Outcome {
	return Outcome{Status: openflow.TaskFailed, Error: msg, Code: code}
}

func firstOf(texts ...string) string {
	for _, t := range texts {
		if t != "" {
			return t
		}
	}
	return ""
}
