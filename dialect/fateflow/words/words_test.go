package words_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/dialect/fateflow/words"
)

// Every state has one word, and every word one state.
func TestWordsGoBothWays(t *testing.T) {
	for _, s := range []openflow.TaskStatus{
		openflow.TaskWaiting, openflow.TaskRunning, openflow.TaskCanceled, openflow.TaskTimeout, openflow.TaskFailed, openflow.TaskPass, openflow.TaskSuccess,
	} {
		got, err := words.Task(words.OfTask(s))
		require.NoError(t, err)
		require.Equal(t, s, got)
	}
	for _, s := range []openflow.JobStatus{
		"", openflow.JobReady, openflow.JobWaiting, openflow.JobRunning, openflow.JobCanceled, openflow.JobTimeout, openflow.JobFailed, openflow.JobSuccess,
	} {
		got, err := words.Job(words.OfJob(s))
		require.NoError(t, err)
		require.Equal(t, s, got)
	}
}

func TestOtherWordsAreRefused(t *testing.T) {
	for _, word := range []string{"finished", "Success", " success", "ready"} {
		_, err := words.Task(word)
		require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), word)
	}
	_, err := words.Task("")
	require.Error(t, err)
	for _, word := range []string{"finished", "pass", "Running"} {
		_, err := words.Job(word)
		require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), word)
	}
}
