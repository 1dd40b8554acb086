package catalogue_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/store/catalogue"
)

// What FATE-Flow's lists ask for, on both engines: jobs by partner before paging, tasks by their ID alone, and orders.
func TestListsOfFATEFlow(t *testing.T) {
	atEngines(t, func(t *testing.T, place catalogue.Options) {
		c, ctx := mustOpen(t, place), t.Context()
		for _, id := range []openflow.JobID{"j1", "j2", "j3"} {
			createJob(t, c, id, guest)
		}
		j, tasks := sampleJob("alone", guest)
		j.DAG.Parties = []openflow.Party{guest}
		require.NoError(t, c.CreateJob(ctx, j, tasks))

		jobs, count, err := c.JobsWithPartner(ctx, catalogue.JobFilter{OrderBy: "job_id", Ascending: true, Limit: 1, Offset: 1}, host.ID)
		require.NoError(t, err)
		require.Equal(t, 3, count)
		require.Len(t, jobs, 1)
		require.Equal(t, openflow.JobID("j2"), jobs[0].ID)
		_, _, err = c.JobsWithPartner(ctx, catalogue.JobFilter{}, `%"`)
		requireCode(t, openflow.CodeInvalid, err)

		found, _, err := c.TasksWhere(ctx, catalogue.TaskFilter{ID: tasks[0].Key.TaskID(), OrderBy: "elapsed"})
		require.NoError(t, err)
		require.Len(t, found, 1)
		require.Equal(t, tasks[0].Key, found[0].Key)
		_, _, err = c.TasksWhere(ctx, catalogue.TaskFilter{OrderBy: "cell"})
		requireCode(t, openflow.CodeInvalid, err)
	})
}
