package activities

import (
	"cmp"
	"fmt"

	"openflow"
	"openflow/runtime/driver"
	"openflow/store/document"
)

// Judge decides how a run has ended from what its container did and what it said. A stop that was asked for comes
// first, then the exit code, then the container's own report: success needs both. What the container said is for this
// party's users; other parties get what it marked public, or words of the node's own.
func Judge(rec openflow.TaskRecord, st driver.Status) Outcome {
	said := openflow.FirstLine(rec.ErrorReport)
	switch {
	case rec.Killed && rec.Reported != openflow.TaskSuccess:
		status := rec.StopStatus
		if !status.Terminal() || status.Succeeded() {
			status = openflow.TaskCanceled
		}
		out := Outcome{Status: status, Error: cmp.Or(rec.Reason, "stopped"), Cause: stopped}
		if rec.Reported == openflow.TaskFailed && rec.Cause.Code != "" && !rec.Cause.Consequence {
			out.Error, out.Cause = cmp.Or(said, out.Error), document.Cause(rec.Cause) // it had failed before anybody stopped it
		}
		return out
	case st.Reason == timeoutReason:
		return Outcome{Status: openflow.TaskTimeout, Error: tooLong, Cause: document.Cause{Code: openflow.CodeDeadline, Text: tooLong}}
	case st.Lost && st.Full:
		return failed(openflow.CodeUnavailable, "the end of the program could not be recorded: the disk of its machine is full, or was")
	case st.Lost:
		return failed(openflow.CodeUnavailable, "the machine lost the program before its end was recorded")
	case st.Interrupted && st.Resident && rec.Reported != openflow.TaskFailed:
		return failed(openflow.CodeUnavailable, "the container that served it beside other runs has ended")
	case st.Interrupted && rec.Reported != openflow.TaskFailed: // one that says why it failed has failed by itself
		return failed(openflow.CodeUnavailable, "the container runtime was restarted, and that ended the program")
	case st.OOMKilled:
		return failed(openflow.CodeRejected, "the program was killed for using more memory than the task may")
	case st.OverDisk:
		return failed(openflow.CodeRejected, "the program was ended for what it wrote: "+st.Reason)
	case st.ExitCode == cannotRun && st.Resident && st.Reason != "":
		out := failed(openflow.CodeRejected, "the program could not be started in a container of its own")
		out.Error += ": " + st.Reason
		return out
	case st.ExitCode != 0:
		return reported(rec, said, fmt.Sprintf("the program ended with exit code %d", st.ExitCode))
	case rec.Reported == openflow.TaskFailed:
		return reported(rec, said, "the program reported failure")
	case rec.Reported != openflow.TaskSuccess:
		return reported(openflow.TaskRecord{}, "", "the program ended without reporting success")
	}
	return Outcome{Status: openflow.TaskSuccess}
}

// cannotRun is the exit code of what never ran. A program may end with it too, and then has no reason.
const cannotRun = 127

const tooLong = "the run took longer than its timeout"

// stopped is the cause of a run that somebody asked to end: whatever made them ask.
var stopped = document.Cause{Code: openflow.CodeCanceled, Text: "it was stopped", Consequence: true}

// failed is a failure that the node tells everybody in the same words.
func failed(code openflow.Code, msg string) Outcome {
	return Outcome{Status: openflow.TaskFailed, Error: msg, Cause: document.Cause{Code: code, Text: msg}}
}

// seeLog tells users of this party where the rest is.
const seeLog = "; openflow job logs shows what it has written"

// reported is a failure of which the program itself has spoken, or else the node does.
func reported(rec openflow.TaskRecord, said, otherwise string) Outcome {
	if rec.Cause.Code == "" && said == "" {
		out := failed(openflow.CodeRejected, otherwise)
		out.Error += seeLog
		return out
	}
	out := Outcome{Status: openflow.TaskFailed, Error: cmp.Or(said, rec.Cause.Text, otherwise), Cause: document.Cause(rec.Cause)}
	out.Cause.Code = cmp.Or(out.Cause.Code, openflow.CodeRejected)
	return out
}
