package plan

import (
	"openflow"
	"slices"
)

// State is what the scheduler knows of a running job. The zero State of New has started nothing.
type State struct {
	Tasks   []Task                    // in the order of the plan
	Retries int                       // how often a task that fails is tried again
	at      map[openflow.TaskName]int // where each task is
	reports int                       // that have changed something
	starts  int                       // of tasks, so far
	ends    int                       // of runs that have been reported
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
	s := &State{Retries: retries, at: make(map[openflow.TaskName]int, len(tasks))}
	for _, t := range tasks {
		status := openflow.TaskWaiting
		if t.Done {
			status = openflow.TaskSuccess
		}
		s.at[t.Name] = len(s.Tasks)
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
		runs[i] = openflow.TaskRun{Name: t.Name, Version: t.Version, Started: t.Started, Status: t.Status, Protocol: t.Protocol}
	}
	return runs
}

// Agreed takes what the parties of tasks have in common. Of others it stays as it was in an earlier run.
func (s *State) Agreed(protocols map[openflow.TaskName]openflow.Protocol) {
	for i := range s.Tasks {
		if p, agreed := protocols[s.Tasks[i].Name]; agreed {
			s.Tasks[i].Protocol = p
		}
	}
}

// Find returns the task of that name, nil when there is none.
func (s *State) Find(name openflow.TaskName) *Task {
	if i, known := s.at[name]; known {
		return &s.Tasks[i]
	}
	return nil
}

// Started marks that name has been asked to start: its parties count as running until they say otherwise.
func (s *State) Started(name openflow.TaskName) {
	t := s.Find(name)
	s.starts++
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
	step.Progress = s.Progress()
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

// Progress is how many percent of the tasks have ended.
func (s *State) Progress() int {
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

// Moves counts what has happened: reports that changed something, and starts of tasks.
func (s *State) Moves() int { return s.reports + s.starts }

// Ends counts the runs that have ended. Each end may have freed cores of the job.
func (s *State) Ends() int { return s.ends }

// Begun tells whether a task has been started, also when it is about to be tried again.
func (s *State) Begun() bool {
	return s.starts > 0 || slices.ContainsFunc(s.Tasks, func(t Task) bool { return t.Started })
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

// goesOn tells whether a run is one of its task's latest version, and has not ended.
func (s *State) goesOn(k openflow.TaskKey) bool {
	t, i := s.run(k)
	return t != nil && !t.ByParty[i].Terminal()
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
