package openflow

import (
	"slices"
)

// JobStatus is the status of a job as every layer speaks of it.
//
// Spec: fate-flow-api §4.6.1.
type JobStatus string

// TaskStatus is the status of a task: federated (all its parties together) or of one party.
//
// Spec: fate-flow-api §4.6.1.
type TaskStatus string

// The job statuses. JobReady has been created and not yet accepted by all parties, JobWaiting waits for resources.
const (
	JobReady    JobStatus = "ready"
	JobWaiting  JobStatus = "waiting"
	JobRunning  JobStatus = "running"
	JobCanceled JobStatus = "canceled"
	JobTimeout  JobStatus = "timeout"
	JobFailed   JobStatus = "failed"
	JobSuccess  JobStatus = "success"
)

// The task statuses. TaskPass counts as success.
const (
	TaskWaiting  TaskStatus = "waiting"
	TaskRunning  TaskStatus = "running"
	TaskCanceled TaskStatus = "canceled"
	TaskTimeout  TaskStatus = "timeout"
	TaskFailed   TaskStatus = "failed"
	TaskPass     TaskStatus = "pass"
	TaskSuccess  TaskStatus = "success"
)

var jobTransitions = map[JobStatus][]JobStatus{
	JobReady:    {JobWaiting, JobCanceled, JobTimeout, JobFailed},
	JobWaiting:  {JobRunning, JobCanceled, JobTimeout, JobFailed, JobSuccess},
	JobRunning:  {JobCanceled, JobTimeout, JobFailed, JobSuccess},
	JobCanceled: {JobWaiting},
	JobTimeout:  {JobFailed, JobSuccess, JobWaiting},
	JobFailed:   {JobWaiting, JobCanceled},
	JobSuccess:  {JobWaiting},
}

// A task that ends before anybody saw it run is legal here, against fate-flow-api §4.6.2: docs/divergences.md, part 7 #44.
var taskTransitions = map[TaskStatus][]TaskStatus{
	TaskWaiting:  {TaskRunning, TaskSuccess, TaskPass, TaskCanceled, TaskTimeout, TaskFailed},
	TaskRunning:  {TaskCanceled, TaskTimeout, TaskFailed, TaskPass, TaskSuccess},
	TaskCanceled: {TaskWaiting},
	TaskTimeout:  {TaskFailed, TaskSuccess},
	TaskFailed:   nil,
	TaskPass:     nil,
	TaskSuccess:  nil,
}

// Valid reports whether s is a status of a job.
func (s JobStatus) Valid() bool { _, ok := jobTransitions[s]; return ok }

// Terminal reports whether a job in s does nothing more until a rerun.
func (s JobStatus) Terminal() bool {
	return s == JobCanceled || s == JobTimeout || s == JobFailed || s == JobSuccess
}

// CanBecome reports whether the transition from s to next is legal. A status never becomes itself.
//
// Spec: fate-flow-api §4.6.2.
func (s JobStatus) CanBecome(next JobStatus) bool { return slices.Contains(jobTransitions[s], next) }

// Before lists the statuses from which s can be reached, for a compare-and-set.
func (s JobStatus) Before() []JobStatus { return before(jobTransitions, s) }

// Valid reports whether s is a status of a task.
func (s TaskStatus) Valid() bool { _, ok := taskTransitions[s]; return ok }

// Terminal reports whether a task version in s has ended.
func (s TaskStatus) Terminal() bool {
	switch s {
	case TaskCanceled, TaskTimeout, TaskFailed, TaskPass, TaskSuccess:
		return true
	case TaskWaiting, TaskRunning:
	}
	return false
}

// Succeeded reports whether downstream tasks may run after s.
func (s TaskStatus) Succeeded() bool { return s == TaskSuccess || s == TaskPass }

// CanBecome reports whether the transition from s to next is legal. A status never becomes itself.
//
// Spec: fate-flow-api §4.6.2, with part 7 #44.
func (s TaskStatus) CanBecome(next TaskStatus) bool { return slices.Contains(taskTransitions[s], next) }

// Before lists the statuses from which s can be reached, for a compare-and-set.
func (s TaskStatus) Before() []TaskStatus { return before(taskTransitions, s) }

func before[S ~string](table map[S][]S, next S) []S {
	var from []S
	for s, to := range table {
		if slices.Contains(to, next) {
			from = append(from, s)
		}
	}
	slices.Sort(from)
	return from
}
