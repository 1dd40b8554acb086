package partner_test

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
)

func TestEveryCallMayBeRepeated(t *testing.T) {
	s := newSite(t)
	ctx, reader, lr := t.Context(), taskKey("1", "reader_0", host), taskKey("1", "lr_0", host)
	for range 2 {
		require.NoError(t, s.opens(ctx, openflow.JobOrder{Key: jobKey("1", host), DAG: dag()}))
		require.Equal(t, openflow.JobWaiting, s.job("1").Status)
		require.True(t, s.job("1").ResourceInUse)
	}
	first := openflow.TaskStart{TaskKey: reader, StartsJob: true}
	for range 2 {
		require.NoError(t, s.StartTask(ctx, first))
		require.Equal(t, openflow.JobRunning, s.job("1").Status)
	}
	s.ends(reader, openflow.TaskSuccess)
	second := openflow.TaskStart{TaskKey: lr, Ended: []openflow.TaskUpdate{{Key: reader, Status: openflow.TaskSuccess, Progress: 50}}}
	for range 2 {
		require.NoError(t, s.StartTask(ctx, second))
		require.Equal(t, openflow.TaskSuccess, s.task(reader).Status)
		require.Equal(t, 50, s.job("1").Progress)
	}
	s.ends(lr, openflow.TaskFailed)
	end := openflow.JobEnd{Status: openflow.JobFailed, Reason: "why", Tasks: []openflow.TaskUpdate{{Key: lr, Status: openflow.TaskFailed}}}
	for range 2 {
		require.NoError(t, s.Service.StopJob(ctx, jobKey("1", host), end))
		require.Equal(t, openflow.JobFailed, s.job("1").Status)
		require.Equal(t, openflow.TaskFailed, s.task(lr).Status)
		require.False(t, s.job("1").ResourceInUse)
	}
}

func TestOpenJobWhenThereIsNoRoom(t *testing.T) {
	s := newSite(t) // eight cores
	for _, id := range []openflow.JobID{"1", "2"} {
		require.NoError(t, s.opens(t.Context(), openflow.JobOrder{Key: jobKey(id, host), DAG: dag()}))
	}
	err := s.opens(t.Context(), openflow.JobOrder{Key: jobKey("3", host), DAG: dag()})
	var e *openflow.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, openflow.CodeExhausted, e.Code)
	require.Equal(t, openflow.AboutResource, e.Subject, "which tells that the job is there")
	require.Equal(t, openflow.JobWaiting, s.job("3").Status)

	broken := dag()
	broken.Tasks[1].Component = "unknown"
	err = s.opens(t.Context(), openflow.JobOrder{Key: jobKey("4", host), DAG: broken})
	require.ErrorAs(t, err, &e)
	require.NotEqual(t, openflow.AboutResource, e.Subject)
}

// A scheduler that starts tasks in several calls tells of a version before it starts it.
func TestAVersionThatWaitsIsMade(t *testing.T) {
	s := newSite(t)
	s.running("1", dag())
	again, unknown := taskKey("1", "lr_0", host), taskKey("1", "x", host)
	again.Version, unknown.Version = 1, 1
	for range 2 {
		require.NoError(t, s.tellsOf(t.Context(), "9999", openflow.TaskUpdate{Key: again, Status: openflow.TaskWaiting}))
		require.Equal(t, openflow.TaskWaiting, s.task(again).PartyStatus)
	}
	news := openflow.News{Progress: 40, Tasks: []openflow.TaskUpdate{{Key: unknown, Status: openflow.TaskWaiting}, {Key: again, Status: openflow.TaskRunning}}}
	require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(s.Tell(t.Context(), jobKey("1", host), news)))
	require.Equal(t, openflow.TaskRunning, s.task(again).Status, "what is known is taken over")
	require.Equal(t, 40, s.job("1").Progress)
}

func TestStartMakesAFurtherVersion(t *testing.T) {
	s := newSite(t)
	s.running("1", dag())
	k := taskKey("1", "lr_0", host)
	again := k
	again.Version = 2 // this site was not reached for version 1
	missed := k
	missed.Version = 1
	order := openflow.TaskStart{TaskKey: again, Ended: []openflow.TaskUpdate{{Key: missed, Status: openflow.TaskFailed}}}
	for range 2 {
		require.NoError(t, s.StartTask(t.Context(), order))
	}
	require.Equal(t, again, s.engine.started[0].Key)
	require.Equal(t, openflow.TaskWaiting, s.task(again).Status)
	require.Equal(t, openflow.TaskWaiting, s.task(k).PartyStatus)
	unknown := taskKey("1", "x", host)
	unknown.Version = 1
	err := s.StartTask(t.Context(), openflow.TaskStart{TaskKey: unknown})
	require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(err))
}

// How many versions a site was not reached for, the caller says: nothing is done for each of them. It need not even have a
// job here.
func TestAVersionFarAwayCostsNoMore(t *testing.T) {
	s := newSite(t)
	s.running("1", dag())
	far, nowhere := taskKey("1", "lr_0", host), taskKey("7", "lr_0", host)
	far.Version, nowhere.Version = math.MaxInt32, math.MaxInt
	require.NoError(t, s.StartTask(t.Context(), openflow.TaskStart{TaskKey: far}))
	require.Equal(t, openflow.TaskWaiting, s.task(far).Status)
	require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(s.StartTask(t.Context(), openflow.TaskStart{TaskKey: nowhere})))
	err := s.tellsOf(t.Context(), "9999", openflow.TaskUpdate{Key: nowhere, Status: openflow.TaskWaiting})
	require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(err))
}

func TestStartAfterTheEnd(t *testing.T) {
	s := newSite(t)
	require.NoError(t, s.opens(t.Context(), openflow.JobOrder{Key: jobKey("1", host), DAG: dag()}))
	require.NoError(t, s.Service.StopJob(t.Context(), jobKey("1", host), openflow.JobEnd{Status: openflow.JobCanceled, Reason: "why"}))
	err := s.StartTask(t.Context(), openflow.TaskStart{TaskKey: taskKey("1", "lr_0", host), StartsJob: true})
	require.Equal(t, openflow.CodeConflict, openflow.CodeOf(err), "an end is final")
	require.Empty(t, s.engine.started)
	require.Equal(t, openflow.JobCanceled, s.job("1").Status)
}

// A version that an ended job does not have is not made: it would be the latest of its task. However far a version is from the
// one before it, it is found at once.
func TestVersionsThatASchedulerMakesUp(t *testing.T) {
	s := newSite(t)
	s.running("1", dag())
	far := taskKey("1", "lr_0", host)
	far.Version = 1 << 40
	require.NoError(t, s.StartTask(t.Context(), openflow.TaskStart{TaskKey: far}))
	require.NoError(t, s.Service.StopJob(t.Context(), jobKey("1", host), openflow.JobEnd{Status: openflow.JobFailed, Reason: "why"}))
	further, between := far, far
	further.Version, between.Version = far.Version+1, 7
	for _, k := range []openflow.TaskKey{further, between} {
		require.Equal(t, openflow.CodeConflict, openflow.CodeOf(s.StartTask(t.Context(), openflow.TaskStart{TaskKey: k})))
		_, err := s.AskTask(t.Context(), k)
		require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(err), "no row is left")
	}
}

// A scheduler that ends as a success what it has never started has not run it here, and nothing stays held for it.
func TestSuccessOfAJobThatHasNotRun(t *testing.T) {
	s := newSite(t)
	require.NoError(t, s.opens(t.Context(), openflow.JobOrder{Key: jobKey("1", host), DAG: dag()}))
	for range 2 {
		require.NoError(t, s.Service.StopJob(t.Context(), jobKey("1", host), openflow.JobEnd{Status: openflow.JobSuccess}))
		job := s.job("1")
		require.Equal(t, openflow.JobCanceled, job.Status)
		require.Equal(t, "party 9999, which schedules the job, says that it has succeeded, and it has not run here", job.Reason)
		require.Zero(t, job.Progress)
		require.False(t, job.ResourceInUse)
	}
}

// An arbiter's run takes no cores, and its row tells all the same that it was accepted.
func TestStopOfAnAcceptedRunWithoutCores(t *testing.T) {
	for name, end := range map[string]func(*site, openflow.TaskKey) error{
		"with the job": func(s *site, _ openflow.TaskKey) error {
			return s.Service.StopJob(t.Context(), jobKey("1", arbiter), openflow.JobEnd{Status: openflow.JobCanceled, Reason: "why"})
		},
		"with its task": func(s *site, k openflow.TaskKey) error {
			return s.tellsOf(t.Context(), "9999", openflow.TaskUpdate{Key: k, Status: openflow.TaskCanceled, Reason: "why"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			k := taskKey("1", "lr_0", arbiter)
			require.NoError(t, s.opens(t.Context(), openflow.JobOrder{Key: jobKey("1", arbiter), DAG: dag()}))
			require.NoError(t, s.StartTask(t.Context(), openflow.TaskStart{TaskKey: k, StartsJob: true}))
			require.NoError(t, end(s, k))
			require.Equal(t, []stop{{k, openflow.TaskCanceled, "why"}}, s.engine.stopped)
			require.True(t, s.task(k).Killed)
		})
	}
}

// A job that needs nothing here runs also after it has given that nothing back: its scheduler asked again and lost the answer.
func TestRunOfAJobThatNeedsNothing(t *testing.T) {
	s := newSite(t)
	o := openflow.JobOrder{Key: jobKey("1", arbiter), DAG: dag()}
	require.NoError(t, s.opens(t.Context(), o))
	require.NoError(t, s.Release(t.Context(), o.Key))
	require.NoError(t, s.StartTask(t.Context(), openflow.TaskStart{TaskKey: taskKey("1", "lr_0", arbiter), StartsJob: true}))
	require.Len(t, s.engine.started, 1)
}
