package catalogue_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/site/admission"
	"openflow/store/catalogue"
)

var rules = admission.Rules{Patience: time.Hour}

// cores is a capacity of nothing else.
func cores(n int) openflow.Resources { return openflow.Resources{Cores: n} }

func requireUse(t *testing.T, c *catalogue.Catalogue, want int) {
	t.Helper()
	used, err := c.CapacityUse(t.Context())
	require.NoError(t, err)
	require.Equal(t, cores(want), used)
}

func TestJobResources(t *testing.T) { onEngines(t, testJobResources) }

func testJobResources(t *testing.T, newCatalogue opener) {
	c := newCatalogue(t)
	one, _ := createJob(t, c, "one", guest)
	two, _ := createJob(t, c, "two", guest)
	ctx := t.Context()

	for range 2 { // the holder may repeat
		require.NoError(t, c.ApplyJobResources(ctx, one.Key(), cores(6), rules))
		requireUse(t, c, 4)
	}
	got, err := c.Job(ctx, one.Key())
	require.NoError(t, err)
	require.True(t, got.ResourceInUse)
	require.False(t, got.ApplyTime.IsZero())

	var since string
	for range 2 { // waiting does not start anew
		err = c.ApplyJobResources(ctx, two.Key(), cores(6), rules)
		requireCode(t, openflow.CodeExhausted, err)
		require.ErrorContains(t, err, "needs 4 cores, 2 of 6 are free")
		waiting, rerr := c.Job(ctx, two.Key())
		require.NoError(t, rerr)
		require.False(t, waiting.ResourceInUse)
		require.Contains(t, waiting.Reason, "needs 4 cores, 2 of 6 are free; waiting since "+waiting.WaitingSince.Format("2006-01-02T15:04:05Z"))
		require.Contains(t, err.Error(), waiting.WaitingSince.Format("2006-01-02T15:04:05Z"))
		if since != "" {
			require.Equal(t, since, waiting.Reason)
		}
		since = waiting.Reason
	}

	for range 2 {
		require.NoError(t, c.ReturnJobResources(ctx, one.Key()))
		requireUse(t, c, 0)
	}
	require.NoError(t, c.ApplyJobResources(ctx, two.Key(), cores(6), rules))
	got, err = c.Job(ctx, two.Key())
	require.NoError(t, err)
	require.True(t, got.WaitingSince.IsZero())
	require.Empty(t, got.Reason)

	_, err = c.UpdateJobStatus(ctx, two.Key(), openflow.JobFailed, "no")
	require.NoError(t, err)
	requireUse(t, c, 0)
	requireCode(t, openflow.CodeConflict, c.ApplyJobResources(ctx, two.Key(), cores(6), rules))
	_, err = c.UpdateJobStatus(ctx, two.Key(), openflow.JobWaiting, "")
	require.NoError(t, err)
	require.NoError(t, c.ApplyJobResources(ctx, two.Key(), cores(6), rules), "a rerun takes them again")
	require.NoError(t, c.ReturnJobResources(ctx, openflow.JobKey{Scheduler: "9999", Job: "none", Party: guest}))
}

func TestJobBeyondTheCapacity(t *testing.T) { onEngines(t, testJobBeyondTheCapacity) }

func testJobBeyondTheCapacity(t *testing.T, newCatalogue opener) {
	c := newCatalogue(t)
	j, _ := createJob(t, c, "j", guest)
	err := c.ApplyJobResources(t.Context(), j.Key(), cores(3), rules)
	requireCode(t, openflow.CodeInvalid, err)
	require.ErrorIs(t, err, catalogue.ErrBeyondCapacity)
	require.ErrorContains(t, err, "needs 4 cores, the site has 3")
	requireUse(t, c, 0)
}

func TestConcurrentJobsTakeTheLastCores(t *testing.T) {
	onEngines(t, testConcurrentJobsTakeTheLastCores)
}

func testConcurrentJobsTakeTheLastCores(t *testing.T, newCatalogue opener) {
	c := newCatalogue(t)
	const jobs, capacity = 20, 4 * 7
	var won atomic.Int32
	var wg sync.WaitGroup
	for i := range jobs {
		j, _ := createJob(t, c, openflow.JobID(fmt.Sprint("j", i)), guest)
		wg.Go(func() {
			switch err := c.ApplyJobResources(t.Context(), j.Key(), cores(capacity), rules); openflow.CodeOf(err) {
			case "":
				won.Add(1)
			case openflow.CodeExhausted:
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 7, won.Load())
	requireUse(t, c, capacity)
	for i := range jobs {
		require.NoError(t, c.ReturnJobResources(t.Context(), openflow.JobKey{Scheduler: "9999", Job: openflow.JobID(fmt.Sprint("j", i)), Party: guest}))
	}
	requireUse(t, c, 0)
}

func TestConcurrentApplicationsOfOneJobCountOnce(t *testing.T) {
	onEngines(t, testConcurrentApplicationsOfOneJobCountOnce)
}

func testConcurrentApplicationsOfOneJobCountOnce(t *testing.T, newCatalogue opener) {
	c := newCatalogue(t)
	j, _ := createJob(t, c, "j", guest)
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			if err := c.ApplyJobResources(t.Context(), j.Key(), cores(100), rules); err != nil {
				t.Error(i, err)
			}
		})
	}
	wg.Wait()
	requireUse(t, c, 4)
}

func TestTaskResources(t *testing.T) { onEngines(t, testTaskResources) }

func testTaskResources(t *testing.T, newCatalogue opener) {
	c := newCatalogue(t)
	ctx := t.Context()
	j, tasks := sampleJob("j", guest)
	tasks[0].Cores, tasks[1].Cores = 3, 2
	free := tasks[0]
	free.Key.Task, free.Cores = "free_0", 0
	require.NoError(t, c.CreateJob(ctx, j, append(tasks, free)))
	holding(t, c, j)
	remaining := func(want int) {
		t.Helper()
		got, err := c.Job(ctx, j.Key())
		require.NoError(t, err)
		require.Equal(t, want, got.RemainingCores)
	}
	for range 2 {
		require.NoError(t, c.ApplyTaskResources(ctx, tasks[0].Key, 4, openflow.Quota{}))
		require.NoError(t, c.ApplyTaskResources(ctx, free.Key, 4, openflow.Quota{}))
		remaining(1)
	}
	err := c.ApplyTaskResources(ctx, tasks[1].Key, 4, openflow.Quota{})
	requireCode(t, openflow.CodeExhausted, err)
	require.ErrorContains(t, err, "needs 2 cores, 1 of its job are free")
	got, err := c.Task(ctx, tasks[1].Key)
	require.NoError(t, err)
	require.False(t, got.ResourceInUse)

	for range 2 {
		require.NoError(t, c.ReturnTaskResources(ctx, tasks[0].Key))
		require.NoError(t, c.ReturnTaskResources(ctx, free.Key))
		remaining(4)
	}
	require.NoError(t, c.ApplyTaskResources(ctx, tasks[1].Key, 4, openflow.Quota{}))
	for range 2 {
		_, err = c.FinishTask(ctx, tasks[1].Key, openflow.TaskEnd{Status: openflow.TaskFailed})
		require.NoError(t, err)
		remaining(4)
	}
	requireCode(t, openflow.CodeConflict, c.ApplyTaskResources(ctx, tasks[1].Key, 4, openflow.Quota{}))
	missing := tasks[0].Key
	missing.Version = 9
	requireCode(t, openflow.CodeNotFound, c.ApplyTaskResources(ctx, missing, 4, openflow.Quota{}))
	require.NoError(t, c.ReturnTaskResources(ctx, missing))
}

func TestConcurrentTasksTakeTheLastCores(t *testing.T) {
	onEngines(t, testConcurrentTasksTakeTheLastCores)
}

func testConcurrentTasksTakeTheLastCores(t *testing.T, newCatalogue opener) {
	c := newCatalogue(t)
	j, tasks := sampleJob("j", guest)
	j.Cores, j.RemainingCores = 28, 28
	all := make([]openflow.TaskRecord, 20)
	for i := range all {
		all[i] = tasks[0]
		all[i].Key.Task = openflow.TaskName(fmt.Sprint("t", i))
	}
	require.NoError(t, c.CreateJob(t.Context(), j, all))
	holding(t, c, j)
	var won atomic.Int32
	var wg sync.WaitGroup
	for _, task := range all {
		wg.Go(func() {
			switch err := c.ApplyTaskResources(t.Context(), task.Key, 4, openflow.Quota{}); openflow.CodeOf(err) {
			case "":
				won.Add(1)
			case openflow.CodeExhausted:
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 7, won.Load())
}
