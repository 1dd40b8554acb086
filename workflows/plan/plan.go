// Package plan decides: which tasks of a job may start, what a task's and a job's status is, when a job has ended, and
// whether a failed call is worth repeating.
//
// Everything here is a pure function over plain values, tested by tables and without Temporal; the job workflow
// gathers the inputs and carries out the answers. Start reading at [State.Next].
package plan

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"openflow"
)

// Of takes the skeleton of a valid DAG: tasks with upstreams and parties, upstreams first.
func Of(d *openflow.DAG) ([]openflow.PlannedTask, error) {
	order, err := d.Order()
	if err != nil {
		return nil, err
	}
	upstreams := d.Edges()
	tasks := make([]openflow.PlannedTask, 0, len(order))
	for _, name := range order {
		t, _ := d.Task(name)
		tasks = append(tasks, openflow.PlannedTask{
			Name: name, Component: t.Component, Upstreams: upstreams[name], Parties: d.PartiesOf(t),
		})
	}
	return tasks, nil
}

// State is what the scheduler knows of a running job. The zero State of New has started nothing.
type State struct {
	Tasks   []Task // in the order of the plan
	Retries int    // how often a task that fails is tried again
	reports int    // that have changed something
}

// Task is what the scheduler knows of one task.
type Task struct {
	openflow.PlannedTask
	Version int
	Tries   int // versions of this run that have failed and were tried again
	Started bool
	Status  openflow.TaskStatus   // federated, as last announced
	ByParty []openflow.TaskStatus // in the order of Parties
	blamed  *failure              // why it failed; nil while nothing is reported
}

// New is the state before the first task.
func New(tasks []openflow.PlannedTask, retries int) *State {
	s := &State{Retries: retries}
	for _, t := range tasks {
		status := openflow.TaskWaiting
		if t.Done {
			status = openflow.TaskSuccess
		}
		s.Tasks = append(s.Tasks, Task{
			PlannedTask: t, Version: t.Version, Started: t.Done, Status: status, ByParty: slices.Repeat([]openflow.TaskStatus{status}, len(t.Parties)),
		})
	}
	return s
}

// Runs is how the tasks stand, for the record.
func (s *State) Runs() []openflow.TaskRun {
	runs := make([]openflow.TaskRun, len(s.Tasks))
	for i, t := range s.Tasks {
		runs[i] = openflow.TaskRun{Name: t.Name, Version: t.Version, Started: t.Started, Status: t.Status}
	}
	return runs
}

// Rerun is the skeleton of a further run: tasks that succeeded are done, tasks that were started get a new version.
//
// Spec: fate-flow-api §2.5.5.
func Rerun(tasks []openflow.PlannedTask, before []openflow.TaskRun) []openflow.PlannedTask {
	again := slices.Clone(tasks)
	for i, t := range again {
		j := slices.IndexFunc(before, func(r openflow.TaskRun) bool { return r.Name == t.Name })
		if j < 0 {
			continue
		}
		r := before[j]
		again[i].Version, again[i].Done = r.Version, r.Status.Succeeded()
		if r.Started && !again[i].Done {
			again[i].Version++
		}
	}
	return again
}

// Find returns the task of that name, nil when there is none.
func (s *State) Find(name openflow.TaskName) *Task {
	for i := range s.Tasks {
		if s.Tasks[i].Name == name {
			return &s.Tasks[i]
		}
	}
	return nil
}

// Started marks that name has been asked to start: its parties count as running until they say otherwise.
func (s *State) Started(name openflow.TaskName) {
	t := s.Find(name)
	t.Started = true
	t.Status = openflow.TaskRunning
	for i, st := range t.ByParty {
		if st == openflow.TaskWaiting {
			t.ByParty[i] = openflow.TaskRunning
		}
	}
}

// Merge is a task's federated status from those of its parties.
//
// Spec: fate-flow-api §4.6.3; pass counts as success.
func Merge(parties []openflow.TaskStatus) openflow.TaskStatus {
	if len(parties) == 0 {
		return openflow.TaskWaiting
	}
	for _, end := range []openflow.TaskStatus{openflow.TaskCanceled, openflow.TaskTimeout, openflow.TaskFailed} {
		if slices.Contains(parties, end) {
			return end
		}
	}
	succeeded, waiting := 0, 0
	for _, p := range parties {
		switch {
		case p.Succeeded():
			succeeded++
		case p == openflow.TaskWaiting:
			waiting++
		}
	}
	switch {
	case succeeded == len(parties):
		return openflow.TaskSuccess
	case waiting == len(parties):
		return openflow.TaskWaiting
	}
	return openflow.TaskRunning
}

// Announcement is a task whose federated status has changed.
type Announcement struct {
	Task    openflow.TaskName
	Version int
	Status  openflow.TaskStatus
	Reason  string
}

// Step is what the scheduler does next.
type Step struct {
	Announce []Announcement      // tell the parties of the task
	Start    []openflow.TaskName // ask the parties of the task to start it
	End      openflow.JobStatus  // not empty: the job has ended so
	Reason   string              // why, when it did not succeed
	Code     openflow.Code       // likewise, as far as it is known
	Progress int                 // percent of the tasks that have ended
}

// Next takes over the parties' reports into the tasks' statuses and decides. A job ends with the first task that does
// not succeed: what still runs is stopped, and nothing more is started.
//
// Spec: fate-flow-api §2.4.1, §4.6.3–4.6.5.
func (s *State) Next() Step {
	var step Step
	for i := range s.Tasks {
		t := &s.Tasks[i]
		if merged := Merge(t.ByParty); t.Started && merged != t.Status {
			t.Status = merged
			step.Announce = append(step.Announce, Announcement{t.Name, t.Version, merged, t.reason()})
			if retryable(merged) && t.Tries < s.Retries {
				t.retry()
			}
		}
	}
	step.End, step.Reason, step.Code = s.end()
	step.Progress = s.progress()
	if step.End == "" {
		step.Start = s.Ready()
	}
	return step
}

// retryable reports whether a task that ended so may be tried again by itself: not one that somebody stopped.
//
// Spec: fate-flow-api §4.6.1 (auto-rerun).
func retryable(s openflow.TaskStatus) bool {
	return s == openflow.TaskFailed || s == openflow.TaskTimeout
}

// retry makes the task a new version that nobody has heard of yet, so the job never shows the failure.
func (t *Task) retry() {
	t.Version++
	t.Tries++
	t.Started, t.Status, t.blamed = false, openflow.TaskWaiting, nil
	t.ByParty = slices.Repeat([]openflow.TaskStatus{openflow.TaskWaiting}, len(t.Parties))
}

// end is the job's end status, empty while it goes on. Failed comes before timeout before canceled (fate-flow-api §4.6.4).
func (s *State) end() (openflow.JobStatus, string, openflow.Code) {
	succeeded := 0
	for _, end := range []openflow.TaskStatus{openflow.TaskFailed, openflow.TaskTimeout, openflow.TaskCanceled} {
		for _, t := range s.Tasks {
			if t.Status == end {
				return openflow.JobStatus(end), s.Reason(), s.Code()
			}
		}
	}
	for _, t := range s.Tasks {
		if t.Status.Succeeded() {
			succeeded++
		}
	}
	if succeeded == len(s.Tasks) {
		return openflow.JobSuccess, "", ""
	}
	return "", "", ""
}

// Ready lists the tasks that wait for nothing any more, in the order of the plan.
func (s *State) Ready() []openflow.TaskName {
	var ready []openflow.TaskName
	for _, t := range s.Tasks {
		if t.Started {
			continue
		}
		blocked := slices.ContainsFunc(t.Upstreams, func(up openflow.TaskName) bool {
			u := s.Find(up)
			return u == nil || !u.Status.Succeeded()
		})
		if !blocked {
			ready = append(ready, t.Name)
		}
	}
	return ready
}

func (s *State) progress() int {
	ended := 0
	for _, t := range s.Tasks {
		if t.Status.Terminal() {
			ended++
		}
	}
	if len(s.Tasks) == 0 {
		return 0
	}
	return ended * 100 / len(s.Tasks)
}

// Begun tells whether a task has been started.
func (s *State) Begun() bool {
	return slices.ContainsFunc(s.Tasks, func(t Task) bool { return t.Started })
}

// Silent lists the runs of a job that have been started and have not ended: whom to ask when no report comes.
func (s *State) Silent(scheduler openflow.PartyID, job openflow.JobID) []openflow.TaskKey {
	var keys []openflow.TaskKey
	for _, t := range s.Tasks {
		for i, p := range t.Parties {
			if t.Started && !t.ByParty[i].Terminal() {
				keys = append(keys, openflow.TaskKey{Scheduler: scheduler, Job: job, Task: t.Name, Version: t.Version, Party: p})
			}
		}
	}
	return keys
}

// ReserveAnswer is one party's answer to the application for a job's resources.
type ReserveAnswer struct {
	Party openflow.Party
	Code  openflow.Code // empty: granted
	Text  string
}

// Verdict is what follows from all answers together: all or nothing.
type Verdict struct {
	Granted bool
	Return  []openflow.Party // who must take back what it gave
	Wait    string           // why the job waits, for people
	Called  bool             // whoever is busy will call when that has changed
	Fail    string           // why it can never run; empty when it can
}

// InOrder puts parties into the one order in which all jobs ask for resources.
func InOrder(parties []openflow.Party) []openflow.Party {
	return slices.SortedFunc(slices.Values(parties), func(a, b openflow.Party) int {
		return cmp.Or(cmp.Compare(a.ID, b.ID), cmp.Compare(a.Role, b.Role))
	})
}

// Admit decides from the parties' answers. A busy party, or one that cannot be reached now, means waiting; one that is
// busy calls when its turn comes, one that cannot be reached does not. A party that can never grant it, or refuses, means
// failure.
//
// Spec: fate-flow-api §2.4 W.
func Admit(answers []ReserveAnswer) Verdict {
	var a Verdict
	refused := false
	for _, g := range answers {
		switch {
		case g.Code == "":
			a.Return = append(a.Return, g.Party)
		case g.Code.Retryable():
			refused = true
			a.Called = g.Code == openflow.CodeExhausted && (a.Called || a.Wait == "")
			if a.Wait == "" {
				a.Wait = fmt.Sprintf("waiting for party %s (%s): %s", g.Party.ID, g.Party.Role, g.Text)
			}
		default:
			refused = true
			if a.Fail == "" {
				a.Fail = fmt.Sprintf("refused by party %s (%s): %s", g.Party.ID, g.Party.Role, cmp.Or(g.Text, string(g.Code)))
			}
		}
	}
	if !refused {
		return Verdict{Granted: true}
	}
	return a
}

// Refused is what the parties of a job read that another one did not accept, or could not be asked to.
func Refused(code openflow.Code, initiator openflow.PartyID) string {
	return fmt.Sprintf("not all parties accepted the job (%s); party %s, which submitted it, knows more", code, initiator)
}

// StoppingReason is what people read of a job that has ended early while parties have not confirmed yet that nothing of
// it runs there. Nothing runs at the end of a job that has succeeded.
func StoppingReason(status openflow.JobStatus, reason string, stopping []openflow.Party) string {
	if len(stopping) == 0 || status == openflow.JobSuccess {
		return reason
	}
	return reason + "; stopping at " + names(stopping) + " until it is confirmed"
}

// UnconfirmedReason is what remains of StoppingReason when there is no use in asking further.
func UnconfirmedReason(status openflow.JobStatus, reason string, stopping []openflow.Party) string {
	if status == openflow.JobSuccess {
		return reason
	}
	return reason + "; never confirmed by " + names(stopping)
}

// run finds the task of a key, and which of its parties the key is about; nil for what is not known or another version.
func (s *State) run(k openflow.TaskKey) (*Task, int) {
	t := s.Find(k.Task)
	if t == nil || k.Version != t.Version {
		return nil, 0
	}
	i := slices.Index(t.Parties, k.Party)
	if i < 0 {
		return nil, 0
	}
	return t, i
}

func names(parties []openflow.Party) string {
	list := make([]string, len(parties))
	for i, p := range parties {
		list[i] = fmt.Sprintf("%s (%s)", p.ID, p.Role)
	}
	return strings.Join(list, ", ")
}
