package catalogue_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
)

func TestLeases(t *testing.T) { onEngines(t, testLeases) }

func testLeases(t *testing.T, newCatalogue opener) {
	c, ctx := newCatalogue(t), t.Context()
	j, _ := sampleJob("theirs", guest)
	j.Scheduler, j.Peer, j.Lease = "10000", "10000", epoch.Add(time.Hour)
	require.NoError(t, c.CreateJob(ctx, j, nil))
	createJob(t, c, "own", guest)
	lease := func() time.Time {
		list, err := c.LeasedJobs(ctx)
		require.NoError(t, err)
		if len(list) == 0 {
			return time.Time{}
		}
		require.Len(t, list, 1, "this site's own jobs have none")
		require.Equal(t, j.Key(), list[0].Job)
		return list[0].Until
	}
	require.Equal(t, epoch.Add(time.Hour), lease())
	require.NoError(t, c.RenewLease(ctx, j.Key(), epoch.Add(2*time.Hour)))
	require.NoError(t, c.RenewLease(ctx, j.Key(), epoch.Add(time.Hour)), "it is not made shorter")
	until, err := c.Lease(ctx, j.Key())
	require.NoError(t, err)
	require.Equal(t, epoch.Add(2*time.Hour), until.UTC())
	_, err = c.Lease(ctx, openflow.JobKey{Scheduler: "1", Job: "1", Party: guest})
	requireCode(t, openflow.CodeNotFound, err)
	require.Equal(t, epoch.Add(2*time.Hour), lease())
	_, err = c.UpdateJobStatus(ctx, j.Key(), openflow.JobFailed, "")
	require.NoError(t, err)
	require.Zero(t, lease(), "what has ended has none")
	_, err = c.UpdateJobStatus(ctx, j.Key(), openflow.JobWaiting, "")
	require.NoError(t, err)
	require.False(t, lease().IsZero())
	require.True(t, lease().Before(epoch.Add(time.Hour)), "a job that runs again has a new one, for a moment")
}

func TestClosedJob(t *testing.T) { onEngines(t, testClosedJob) }

func testClosedJob(t *testing.T, newCatalogue opener) {
	c, ctx := newCatalogue(t), t.Context()
	j, _ := createJob(t, c, "j", guest)
	require.NoError(t, c.CloseJob(ctx, j.Key()))
	_, err := c.UpdateJobStatus(ctx, j.Key(), openflow.JobCanceled, "this site's reason")
	require.NoError(t, err)
	_, err = c.UpdateJobStatus(ctx, j.Key(), openflow.JobWaiting, "")
	requireCode(t, openflow.CodeConflict, err)
	require.ErrorContains(t, err, "was ended by its own site for good")
	require.NoError(t, c.SetJobReason(ctx, j.Key(), "another one's reason"))
	got, err := c.Job(ctx, j.Key())
	require.NoError(t, err)
	require.Equal(t, "this site's reason", got.Reason)
	require.True(t, got.Closed)
	requireCode(t, openflow.CodeNotFound, c.CloseJob(ctx, openflow.JobKey{Scheduler: "9999", Job: "none", Party: guest}))
}

func TestIdleJobs(t *testing.T) { onEngines(t, testIdleJobs) }

func testIdleJobs(t *testing.T, newCatalogue opener) {
	c, ctx := newCatalogue(t), t.Context()
	job := func(id openflow.JobID, peer openflow.PartyID) (openflow.JobKey, []openflow.TaskRecord) {
		j, tasks := sampleJob(id, guest)
		j.Peer = peer
		require.NoError(t, c.CreateJob(ctx, j, tasks))
		require.NoError(t, c.ApplyJobResources(ctx, j.Key(), cores(100), rules))
		return j.Key(), tasks
	}
	idle, tasks := job("idle", "10000")
	busy, runs := job("busy", "10000")
	job("own", "")
	empty, _ := sampleJob("needs-nothing", guest)
	empty.Peer, empty.Cores, empty.Memory, empty.GPUs = "10000", 0, 0, 0
	empty.RemainingCores, empty.RemainingMemory, empty.RemainingGPUs = 0, 0, 0
	require.NoError(t, c.CreateJob(ctx, empty, nil))
	require.NoError(t, c.ApplyJobResources(ctx, empty.Key(), cores(100), rules))
	require.NoError(t, c.ApplyTaskResources(ctx, runs[0].Key, 0))
	later := epoch.Add(time.Hour)
	list := func(since time.Time) []openflow.JobKey {
		keys, err := c.IdleJobs(ctx, since)
		require.NoError(t, err)
		return keys
	}
	require.Empty(t, list(epoch), "it has not held them for long")
	require.Equal(t, []openflow.JobKey{idle}, list(later))
	give := func(k openflow.JobKey, since time.Time) bool {
		returned, err := c.ReturnIdle(ctx, k, since, "why")
		require.NoError(t, err)
		return returned
	}
	require.False(t, give(idle, epoch))
	require.False(t, give(busy, later))
	require.True(t, give(idle, later))
	require.False(t, give(idle, later))
	got, err := c.Job(ctx, idle)
	require.NoError(t, err)
	require.False(t, got.ResourceInUse)
	require.Equal(t, "why", got.Reason)
	require.False(t, got.Status.Terminal())
	requireCode(t, openflow.CodeExhausted, c.ApplyTaskResources(ctx, tasks[0].Key, 0)) // there is nothing to take it from
	require.NoError(t, c.ApplyJobResources(ctx, idle, cores(100), rules))
	require.NoError(t, c.ApplyTaskResources(ctx, tasks[0].Key, 0))

	_, err = c.FinishTask(ctx, runs[0].Key, openflow.TaskEnd{Status: openflow.TaskFailed})
	require.NoError(t, err)
	require.Empty(t, list(epoch.Add(time.Second)), "it has just run something")
	require.Equal(t, []openflow.JobKey{busy}, list(later))
}
