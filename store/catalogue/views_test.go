package catalogue_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
)

func TestViewsOfAJob(t *testing.T) { onEngines(t, testViewsOfAJob) }

func testViewsOfAJob(t *testing.T, newCatalogue opener) {
	c := newCatalogue(t)
	ctx := t.Context()
	j, tasks := createJob(t, c, "j", guest)
	createJob(t, c, "j", host)
	createJob(t, c, "k", guest)

	rows, err := c.JobRows(ctx, "9999", "j")
	require.NoError(t, err)
	require.Len(t, rows, 2)
	require.Equal(t, guest, rows[0].Party)
	require.Equal(t, host, rows[1].Party)

	retry := tasks[0]
	retry.Key.Version = 1
	require.NoError(t, c.AddTask(ctx, retry))
	latest, err := c.TasksOfJob(ctx, j.Key())
	require.NoError(t, err)
	require.Len(t, latest, 2)
	for _, r := range latest {
		require.Equal(t, "j", string(r.Key.Job))
		require.Equal(t, guest, r.Key.Party)
		if r.Key.Task == "reader_0" {
			require.Equal(t, 1, r.Key.Version)
		}
	}
	_, err = c.TasksOfJob(ctx, openflow.JobKey{Scheduler: "8888", Job: "j", Party: guest})
	requireCode(t, openflow.CodeNotFound, err)
}

func TestLatestOutputs(t *testing.T) { onEngines(t, testLatestOutputs) }

func testLatestOutputs(t *testing.T, newCatalogue opener) {
	c := newCatalogue(t)
	ctx := t.Context()
	j, tasks := createJob(t, c, "j", guest)
	retry := tasks[0]
	retry.Key.Version = 1
	require.NoError(t, c.AddTask(ctx, retry))
	for version, table := range []string{"old", "new"} {
		k := tasks[0].Key
		k.Version = version
		require.NoError(t, c.SaveOutput(ctx, openflow.OutputRecord{Task: k, OutputKey: "o", Table: openflow.TableName{Namespace: "ns", Name: table}}, nil))
	}
	got, err := c.LatestOutputs(ctx, j.Key(), "reader_0")
	require.NoError(t, err)
	require.Len(t, got, 1)
	require.Equal(t, "new", got[0].Table.Name)
	got, err = c.LatestOutputs(ctx, j.Key(), "psi_0")
	require.NoError(t, err)
	require.Empty(t, got)
	_, err = c.LatestOutputs(ctx, openflow.JobKey{Scheduler: j.Scheduler, Job: "j", Party: host}, "psi_0")
	requireCode(t, openflow.CodeNotFound, err)
}
