// Package words is what FATE-Flow calls the states of jobs and tasks.
package words

import "openflow"

// tasks are FATE-Flow's words for states of a task.
//
// Spec: fate-flow-api §4.6.1.
var tasks = map[string]openflow.TaskStatus{
	"waiting":  openflow.TaskWaiting,
	"running":  openflow.TaskRunning,
	"canceled": openflow.TaskCanceled,
	"timeout":  openflow.TaskTimeout,
	"failed":   openflow.TaskFailed,
	"pass":     openflow.TaskPass,
	"success":  openflow.TaskSuccess,
}

// jobs are FATE-Flow's words for states of a job.
//
// Spec: fate-flow-api §4.6.1.
var jobs = map[string]openflow.JobStatus{
	"ready":    openflow.JobReady,
	"waiting":  openflow.JobWaiting,
	"running":  openflow.JobRunning,
	"canceled": openflow.JobCanceled,
	"timeout":  openflow.JobTimeout,
	"failed":   openflow.JobFailed,
	"success":  openflow.JobSuccess,
}

// Task is the state of a task that a word means. Errors: CodeInvalid.
func Task(word string) (openflow.TaskStatus, error) {
	s, ok := tasks[word]
	if !ok {
		return "", openflow.Errorf(openflow.CodeInvalid, "unknown task status %q", openflow.Heard(word))
	}
	return s, nil
}

// Job is the state of a job that a word means, and none for no word. Errors: CodeInvalid.
func Job(word string) (openflow.JobStatus, error) {
	s, ok := jobs[word]
	if !ok && word != "" {
		return "", openflow.Errorf(openflow.CodeInvalid, "unknown job status %q", openflow.Heard(word))
	}
	return s, nil
}

// OfTask is FATE-Flow's word for the state of a task.
func OfTask(s openflow.TaskStatus) string {
	for word, means := range tasks {
		if means == s {
			return word
		}
	}
	return ""
}

// OfJob is FATE-Flow's word for the state of a job.
func OfJob(s openflow.JobStatus) string {
	for word, means := range jobs {
		if means == s {
			return word
		}
	}
	return ""
}
