package catalogue_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/store/catalogue"
)

// A job's warnings are its own and those of its tasks' latest versions, each at its own party.
func TestJobsTellTheirTasksWarnings(t *testing.T) { onEngines(t, testJobsTellTheirTasksWarnings) }

func testJobsTellTheirTasksWarnings(t *testing.T, newCatalogue opener) {
	c := newCatalogue(t)
	ctx := t.Context()
	j, tasks := sampleJob("j", guest)
	j.Warnings = []string{"mind the arbiter"}
	require.NoError(t, c.CreateJob(ctx, j, tasks))
	_, theirs := createJob(t, c, "j", host)
	other, _ := createJob(t, c, "k", guest)
	first, second := tasks[0].Key, tasks[1].Key
	require.NoError(t, c.AddTaskWarning(ctx, first, "an old one"))
	for range 2 {
		require.NoError(t, c.AddTaskWarning(ctx, second, "not converged"))
	}
	require.NoError(t, c.AddTaskWarning(ctx, theirs[0].Key, "columns are not scaled"))
	again := tasks[0]
	again.Key.Version = 1
	require.NoError(t, c.AddTask(ctx, again))
	require.NoError(t, c.AddTaskWarning(ctx, again.Key, "a new one"))

	jobs, _, err := c.JobsWhere(ctx, catalogue.JobFilter{})
	require.NoError(t, err)
	require.Len(t, jobs, 3)
	before := fmt.Sprint(jobs)
	told, err := c.WithTaskWarnings(ctx, jobs)
	require.NoError(t, err)
	require.Equal(t, before, fmt.Sprint(jobs), "what was given is left alone")
	got := map[openflow.JobKey][]string{}
	for _, j := range told {
		got[j.Key()] = j.Warnings
	}
	require.Equal(t, map[openflow.JobKey][]string{
		j.Key():     {"mind the arbiter", string(second.Task) + ": not converged", string(first.Task) + ": a new one"},
		other.Key(): nil,
		{Scheduler: j.Scheduler, Job: "j", Party: host}: {string(theirs[0].Key.Task) + ": columns are not scaled"},
	}, got)
	all, err := c.JobWarnings(ctx, "9999", "j")
	require.NoError(t, err)
	require.Len(t, all, 4)
	none, err := c.WithTaskWarnings(ctx, nil)
	require.NoError(t, err)
	require.Empty(t, none)
}

// A container chooses what it warns of: neither the length of a warning nor their number is up to it.
func TestWarningsAreBounded(t *testing.T) { onEngines(t, testWarningsAreBounded) }

func testWarningsAreBounded(t *testing.T, newCatalogue opener) {
	c := newCatalogue(t)
	_, tasks := createJob(t, c, "j", guest)
	for i := range 60 {
		require.NoError(t, c.AddTaskWarning(t.Context(), tasks[0].Key, fmt.Sprint(i)+strings.Repeat("ü", 2000)))
	}
	rec, err := c.Task(t.Context(), tasks[0].Key)
	require.NoError(t, err)
	require.Len(t, rec.Warnings, 50)
	for _, w := range rec.Warnings {
		require.LessOrEqual(t, len(w), 1<<10)
	}
	gone := tasks[0].Key
	gone.Version = 9
	requireCode(t, openflow.CodeNotFound, c.AddTaskWarning(t.Context(), gone, "w"))
}
