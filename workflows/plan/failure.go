package plan

import (
	"fmt"

	"openflow"
)

// failure is what a task's end is blamed on: the word of one party.
type failure struct {
	report  openflow.Report
	order   int  // of the report among all that have come
	started bool // the run had begun, so its own party's users see more of it
	lost    bool // its party does not know it any more
}

// Report takes a party's word and tells whether it changed anything. A report before the start, for another version, from a
// stranger to the task, or against a terminal status changes nothing.
func (s *State) Report(r openflow.Report) bool { return s.take(failure{report: r, started: true}) }

// NotStarted takes that a party would not start a run, or could not be asked to.
func (s *State) NotStarted(k openflow.TaskKey, why openflow.Cause) bool {
	return s.take(failure{report: openflow.Report{Key: k, Status: openflow.TaskFailed, Cause: why}})
}

// Lost takes that a party does not know a run any more which it had accepted.
func (s *State) Lost(k openflow.TaskKey) bool {
	why := openflow.Cause{Code: openflow.CodeNotFound}
	return s.take(failure{report: openflow.Report{Key: k, Status: openflow.TaskFailed, Cause: why}, started: true, lost: true})
}

// Takes tells whether Report would change anything.
func (s *State) Takes(r openflow.Report) bool {
	t, i := s.run(r.Key)
	return t != nil && t.Started && t.ByParty[i].CanBecome(r.Status) && !t.ByParty[i].Terminal()
}

// Unstarted tells that a report is about a run that has not been started. A genuine one is repeated: its start was not recorded,
// because the scheduler's node was killed, and is made once more.
func (s *State) Unstarted(r openflow.Report) bool {
	t, _ := s.run(r.Key)
	return t != nil && !t.Started && r.Status.Valid()
}

// take takes the word of one party, which is a failure if the run has not succeeded.
func (s *State) take(f failure) bool {
	r := f.report
	if !s.Takes(r) {
		return false
	}
	t, i := s.run(r.Key)
	t.ByParty[i] = r.Status
	s.reports++
	if r.Status.Terminal() {
		s.ends++
	}
	if r.Status == openflow.TaskCanceled && r.Cause == (openflow.Cause{}) {
		r.Consequence = true // of whatever made somebody stop it
	}
	if r.Status.Terminal() && !r.Status.Succeeded() {
		f.report, f.order = r, s.reports
		t.blamed = earlier(t.blamed, &f)
	}
	return true
}

// earlier is the failure of two that caused the other one: the first to be reported. One that follows from what failed at
// another party only stands while nothing else is known.
func earlier(a, b *failure) *failure {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	case a.report.Consequence != b.report.Consequence:
		if a.report.Consequence {
			return b
		}
		return a
	case b.order < a.order:
		return b
	}
	return a
}

// first is the failure that the job's end is blamed on; nil while there is none. What a party says of a run that nobody has
// been asked to start ends nothing, and so it is no cause either.
func (s *State) first() (t *Task, f *failure) {
	for i := range s.Tasks {
		if !s.Tasks[i].Started {
			continue
		}
		if g := earlier(f, s.Tasks[i].blamed); g != f {
			t, f = &s.Tasks[i], g
		}
	}
	return t, f
}

// Reason says for all parties why the job has failed; empty when nothing has.
func (s *State) Reason() string {
	t, f := s.first()
	if f == nil {
		return ""
	}
	return t.reason()
}

// Code is that of the failure that Reason tells.
func (s *State) Code() openflow.Code {
	if _, f := s.first(); f != nil {
		return f.report.Code
	}
	return ""
}

// Suspect reports whether the cause of a failure may still come: all that was reported so far is consequences, and a party of
// such a task is silent.
func (s *State) Suspect() bool {
	t, f := s.first()
	if f == nil || !f.report.Consequence {
		return false
	}
	for _, st := range t.ByParty {
		if !st.Terminal() {
			return true
		}
	}
	return false
}

// reason tells everybody why the task has failed, in words that say nothing of any party's data.
func (t *Task) reason() string {
	if t.blamed == nil {
		return ""
	}
	r := t.blamed.report
	where := fmt.Sprintf("party %s (%s)", r.Key.Party.ID, r.Key.Party.Role)
	if t.blamed.lost {
		return fmt.Sprintf("task %q is lost at %s: its node accepted the run and does not know it any more; perhaps it was restored from a backup", t.Name, where)
	}
	if !t.blamed.started {
		return fmt.Sprintf("task %q could not be started at %s: %s", t.Name, where, r.Text)
	}
	msg := fmt.Sprintf("task %q %s at %s: component %s %s", t.Name, r.Status, where, t.Component, t.did())
	if r.Status == openflow.TaskFailed && r.Code != "" {
		msg += fmt.Sprintf(`; users of party %s see more with "openflow job show"`, r.Key.Party.ID)
	}
	return msg
}

// did says what the component did, with what it or its node lets everybody know.
func (t *Task) did() string {
	c := t.blamed.report.Cause
	if c.Code == "" && c.Text == "" {
		return "failed, and its site does not say why"
	}
	verb := "failed"
	switch c.Code {
	case openflow.CodeInvalid:
		verb = "refused its input or parameters"
	case openflow.CodeUnimplemented:
		verb = "does not offer what it was asked for"
	case openflow.CodeCanceled:
		verb = "was stopped"
	case openflow.CodeUnauthorized, openflow.CodePermission, openflow.CodeNotFound, openflow.CodeConflict, openflow.CodeRejected,
		openflow.CodeExhausted, openflow.CodeSpent, openflow.CodeUnavailable, openflow.CodeDeadline, openflow.CodeInternal:
	}
	if c.Code != "" {
		verb += " (" + string(c.Code) + ")"
	}
	if c.Text != "" {
		verb += ": " + c.Text
	}
	return verb
}
