package catalogue_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/store/catalogue"
)

// An object is of the run that has stored it, of no other one, for as long as the run is known.
func TestUploads(t *testing.T) { onEngines(t, testUploads) }

func testUploads(t *testing.T, newCatalogue opener) {
	c := newCatalogue(t)
	ctx := t.Context()
	job, tasks := createJob(t, c, "j", guest)
	k := tasks[0].Key
	has := func(k openflow.TaskKey, object string) bool {
		has, err := c.HasUploaded(ctx, k, object)
		require.NoError(t, err)
		return has
	}
	require.False(t, has(k, "d1"))
	for range 2 {
		require.NoError(t, c.RecordUpload(ctx, k, "d1"))
	}
	require.True(t, has(k, "d1"))
	require.False(t, has(k, "d2"))
	for i := range catalogue.MaxUploads - 1 {
		require.NoError(t, c.RecordUpload(ctx, k, fmt.Sprint("small ", i)))
	}
	requireCode(t, openflow.CodeSpent, c.RecordUpload(ctx, k, "d2"))
	require.NoError(t, c.RecordUpload(ctx, k, "d1"), "it is on record already")
	other := k
	other.Scheduler = "8888"
	require.False(t, has(other, "d1"), "a run of another scheduler's job of that ID")
	other = k
	other.Version = 1
	require.False(t, has(other, "d1"), "a further version stores its rows itself")
	_, err := c.UpdateJobStatus(ctx, job.Key(), openflow.JobFailed, "")
	require.NoError(t, err)
	_, err = c.DeleteJob(ctx, job.Key())
	require.NoError(t, err)
	require.False(t, has(k, "d1"))
}
