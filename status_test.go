package openflow_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
)

var jobStatuses = []openflow.JobStatus{
	openflow.JobReady, openflow.JobWaiting, openflow.JobRunning, openflow.JobCanceled, openflow.JobTimeout,
	openflow.JobFailed, openflow.JobSuccess,
}

var taskStatuses = []openflow.TaskStatus{
	openflow.TaskWaiting, openflow.TaskRunning, openflow.TaskCanceled, openflow.TaskTimeout, openflow.TaskFailed,
	openflow.TaskPass, openflow.TaskSuccess,
}

// The left table of fate-flow-api §4.6.2, as written there.
var specJobTransitions = map[openflow.JobStatus][]openflow.JobStatus{
	openflow.JobReady: {openflow.JobWaiting, openflow.JobCanceled, openflow.JobTimeout, openflow.JobFailed},
	openflow.JobWaiting: {
		openflow.JobRunning, openflow.JobCanceled, openflow.JobTimeout, openflow.JobFailed, openflow.JobSuccess,
	},
	openflow.JobRunning:  {openflow.JobCanceled, openflow.JobTimeout, openflow.JobFailed, openflow.JobSuccess},
	openflow.JobCanceled: {openflow.JobWaiting},
	openflow.JobTimeout:  {openflow.JobFailed, openflow.JobSuccess, openflow.JobWaiting},
	openflow.JobFailed:   {openflow.JobWaiting, openflow.JobCanceled},
	openflow.JobSuccess:  {openflow.JobWaiting},
}

// The right table of fate-flow-api §4.6.2, as written there.
var specTaskTransitions = map[openflow.TaskStatus][]openflow.TaskStatus{
	openflow.TaskWaiting: {openflow.TaskRunning, openflow.TaskSuccess},
	openflow.TaskRunning: {
		openflow.TaskCanceled, openflow.TaskTimeout, openflow.TaskFailed, openflow.TaskPass, openflow.TaskSuccess,
	},
	openflow.TaskCanceled: {openflow.TaskWaiting},
	openflow.TaskTimeout:  {openflow.TaskFailed, openflow.TaskSuccess},
}

// What openflow allows beyond it: a run may end before anybody saw it run (part 7 #44).
var ownTaskTransitions = map[openflow.TaskStatus][]openflow.TaskStatus{
	openflow.TaskWaiting: {openflow.TaskPass, openflow.TaskCanceled, openflow.TaskTimeout, openflow.TaskFailed},
}

func TestJobTransitionsAreThoseOfTheSpecification(t *testing.T) {
	for _, from := range jobStatuses {
		for _, to := range jobStatuses {
			require.Equal(t, slices.Contains(specJobTransitions[from], to), from.CanBecome(to), "%s → %s", from, to)
			require.Equal(t, from.CanBecome(to), slices.Contains(to.Before(), from), "Before of %s and %s", to, from)
		}
		require.False(t, from.CanBecome("finished"))
		require.True(t, from.Valid())
	}
	require.False(t, openflow.JobStatus("finished").Valid())
	require.False(t, openflow.JobStatus("").Valid())
}

func TestTaskTransitionsAreThoseOfTheSpecificationAndOurs(t *testing.T) {
	for _, from := range taskStatuses {
		for _, to := range taskStatuses {
			want := slices.Contains(specTaskTransitions[from], to) || slices.Contains(ownTaskTransitions[from], to)
			require.Equal(t, want, from.CanBecome(to), "%s → %s", from, to)
			require.Equal(t, want, slices.Contains(to.Before(), from), "Before of %s and %s", to, from)
		}
		require.True(t, from.Valid())
	}
	require.False(t, openflow.TaskStatus("finished").Valid())
	require.False(t, openflow.TaskStatus("").Valid())
}

func TestBeforeIsOrdered(t *testing.T) {
	require.True(t, slices.IsSorted(openflow.JobSuccess.Before()))
	require.True(t, slices.IsSorted(openflow.TaskSuccess.Before()))
	require.Empty(t, openflow.JobReady.Before())
}

func TestEndStatuses(t *testing.T) {
	ends := map[string]bool{
		"canceled": true, "timeout": true, "failed": true, "pass": true, "success": true,
		"ready": false, "waiting": false, "running": false, "": false, "finished": false,
	}
	for s, end := range ends {
		if s != "pass" {
			require.Equal(t, end, openflow.JobStatus(s).Terminal(), "job %q", s)
		}
		require.Equal(t, end, openflow.TaskStatus(s).Terminal(), "task %q", s)
		require.Equal(t, s == "pass" || s == "success", openflow.TaskStatus(s).Succeeded(), "task %q", s)
	}
}
