package users

import (
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
)

// A filter finds what is shown under the word that it names.
func TestJobStatuses(t *testing.T) {
	for word, want := range map[string][]openflow.JobStatus{
		"":         nil,
		"failed":   {openflow.JobFailed, openflow.JobTimeout},
		"timeout":  {openflow.JobTimeout},
		"waiting":  {openflow.JobWaiting, openflow.JobReady},
		"canceled": {openflow.JobCanceled},
	} {
		require.Equal(t, want, jobStatuses([]string{word}), word)
	}
	require.Equal(t, []openflow.JobStatus{openflow.JobTimeout, openflow.JobFailed}, jobStatuses([]string{"timeout", "failed"}))
}
