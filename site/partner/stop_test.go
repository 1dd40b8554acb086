package partner_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
)

func TestStopJob(t *testing.T) {
	for name, tc := range map[string]struct {
		status         openflow.JobStatus
		run, federated openflow.TaskStatus // of the running task
		waiting        string              // reason of the one that never started
	}{
		"canceled": {openflow.JobCanceled, openflow.TaskCanceled, openflow.TaskCanceled, "not started: the job is canceled"},
		"failed":   {openflow.JobFailed, openflow.TaskCanceled, openflow.TaskCanceled, "not started: the job is failed"},
		"timeout":  {openflow.JobTimeout, openflow.TaskCanceled, openflow.TaskCanceled, "not started: the job is timeout"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.running("1", dag())
			run, never := taskKey("1", "reader_0", host), taskKey("1", "lr_0", host)
			s.runs(run)
			for range 2 {
				require.NoError(t, s.Service.StopJob(t.Context(), jobKey("1", host), openflow.JobEnd{Status: tc.status, Reason: "why"}))
			}
			require.Equal(t, stop{run, tc.run, "why"}, s.engine.stopped[0])
			rec := s.task(run)
			require.True(t, rec.Killed)
			require.Equal(t, tc.federated, rec.Status)
			require.Contains(t, s.sessions.closed, string(run.SessionID()))
			rec = s.task(never)
			require.Equal(t, openflow.TaskWaiting, rec.PartyStatus, "clients see the word (part 7 #27)")
			require.Equal(t, tc.waiting, rec.Reason)
			require.False(t, rec.Killed)
			require.Equal(t, tc.status, s.job("1").Status)
			require.Equal(t, "why", s.job("1").Reason)
			require.False(t, s.job("1").EndTime.IsZero())
			used, err := s.catalogue.CapacityUse(t.Context())
			require.NoError(t, err)
			require.Equal(t, 4, used.Cores, "its program has not ended yet")
			_, err = s.catalogue.FinishTask(t.Context(), run, openflow.TaskEnd{Status: openflow.TaskCanceled})
			require.NoError(t, err)
			used, err = s.catalogue.CapacityUse(t.Context())
			require.NoError(t, err)
			require.Zero(t, used, "its cores are back")
		})
	}
}

// A scheduler that ends a job and opens it again has a task run again so many times and no more.
func TestAJobIsOpenedAgainAFewTimes(t *testing.T) {
	s, ctx := newSite(t), t.Context()
	s.running("1", dag())
	k, run := jobKey("1", host), taskKey("1", "reader_0", host)
	for version := range openflow.MaxReruns + 1 {
		run.Version = version
		require.NoError(t, s.StartTask(ctx, openflow.TaskStart{TaskKey: run, StartsJob: true}))
		beyond := run
		beyond.Version++
		require.Equal(t, openflow.CodeConflict, openflow.CodeOf(s.StartTask(ctx, openflow.TaskStart{TaskKey: beyond})), "it has not failed")
		s.ends(run, openflow.TaskFailed)
		require.Equal(t, openflow.CodeConflict, openflow.CodeOf(s.StartTask(ctx, openflow.TaskStart{TaskKey: beyond})), "the job has no retries")
		require.NoError(t, s.StopJob(ctx, k, openflow.JobEnd{Status: openflow.JobFailed}))
		err := s.reserves(ctx, k)
		if version < openflow.MaxReruns {
			require.NoError(t, err)
			continue
		}
		require.Equal(t, openflow.CodeConflict, openflow.CodeOf(err))
	}
	require.Equal(t, openflow.MaxReruns, s.job("1").Reruns)
}

// A job that ends before its first task leaves no run that waits for ever.
func TestStopOfAJobThatNeverBegan(t *testing.T) {
	s := newSite(t)
	s.running("1", dag())
	gone, kept := taskKey("1", "reader_0", host), taskKey("1", "lr_0", host)
	end := openflow.JobEnd{Status: openflow.JobFailed, Reason: "refused", Tasks: []openflow.TaskUpdate{{Key: gone, Status: openflow.TaskCanceled, Reason: "refused"}}}
	for range 2 {
		require.NoError(t, s.Service.StopJob(t.Context(), jobKey("1", host), end))
	}
	rec := s.task(gone)
	require.Equal(t, openflow.TaskCanceled, rec.PartyStatus)
	require.Equal(t, openflow.TaskCanceled, rec.Status)
	require.Equal(t, "not started: the job is failed", rec.Reason)
	require.False(t, rec.EndTime.IsZero())
	require.Equal(t, openflow.TaskWaiting, s.task(kept).PartyStatus, "the scheduler has not said that it ended")
}

// A node that was killed while it accepted a run has the row and no workflow: the stop ends the run.
func TestStopOfARunWithoutAWorkflow(t *testing.T) {
	k := taskKey("1", "lr_0", host)
	for name, stop := range map[string]func(*site) error{
		"with its job": func(s *site) error {
			return s.StopJob(s.t.Context(), jobKey("1", host), openflow.JobEnd{Status: openflow.JobCanceled, Reason: "why"})
		},
		"by itself": func(s *site) error {
			return s.tellsOf(s.t.Context(), "9999", openflow.TaskUpdate{Key: k, Status: openflow.TaskSuccess, Reason: "why"})
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.running("1", dag())
			s.engine.err = openflow.Errorf(openflow.CodeUnavailable, "Temporal does not answer")
			accept := s.StartTask(t.Context(), openflow.TaskStart{TaskKey: k})
			require.Equal(t, openflow.CodeUnavailable, openflow.CodeOf(accept))
			require.True(t, s.task(k).ResourceInUse)

			require.Equal(t, openflow.CodeUnavailable, openflow.CodeOf(stop(s)), "it may run")
			require.Equal(t, openflow.TaskWaiting, s.task(k).PartyStatus)

			s.engine.none = openflow.Errorf(openflow.CodeNotFound, "no such workflow")
			for range 2 {
				require.NoError(t, stop(s))
				rec := s.task(k)
				require.Equal(t, openflow.TaskCanceled, rec.PartyStatus)
				require.Equal(t, "why", rec.Reason)
				require.False(t, rec.ResourceInUse)
			}
			rec, err := s.AskTask(t.Context(), k)
			require.NoError(t, err)
			require.Equal(t, openflow.TaskCanceled, rec.PartyStatus)
		})
	}
}

// A waiting run that was never accepted has no workflow, and no end.
// A run whose workflow is gone is ended by one in its place; one that has ended stays as it is.
func TestEndOfALostRun(t *testing.T) {
	s := newSite(t)
	s.running("1", dag())
	k := taskKey("1", "lr_0", host)
	s.runs(k)
	require.NoError(t, s.EndLost(t.Context(), k.RunID(), "terminated"))
	require.Len(t, s.engine.lost, 1)
	require.Equal(t, k, s.engine.lost[0].Key)
	require.Equal(t, "terminated", s.engine.lost[0].Lost)
	require.True(t, s.engine.lost[0].Report)
	s.ends(k, openflow.TaskFailed)
	require.NoError(t, s.EndLost(t.Context(), k.RunID(), "terminated"))
	require.Len(t, s.engine.lost, 1)
	require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(s.EndLost(t.Context(), "1", "terminated")))
	require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(s.EndLost(t.Context(), taskKey("2", "lr_0", host).RunID(), "terminated")))
}

func TestStopOfAnArbiterThatWasNeverStarted(t *testing.T) {
	s := newSite(t)
	k := jobKey("1", arbiter)
	require.NoError(t, s.creates(t.Context(), openflow.JobOrder{Key: k, DAG: dag()}))
	s.engine.none = openflow.Errorf(openflow.CodeNotFound, "no such workflow")
	require.NoError(t, s.StopJob(t.Context(), k, openflow.JobEnd{Status: openflow.JobCanceled, Reason: "why"}))
	require.Empty(t, s.engine.stopped)
	require.Equal(t, openflow.TaskWaiting, s.task(taskKey("1", "lr_0", arbiter)).PartyStatus)
}

func TestStopJobOfASuccessfulJob(t *testing.T) {
	s := newSite(t)
	s.running("1", dag())
	for _, name := range []openflow.TaskName{"reader_0", "lr_0"} {
		s.runs(taskKey("1", name, host))
		s.ends(taskKey("1", name, host), openflow.TaskSuccess)
	}
	require.NoError(t, s.Service.StopJob(t.Context(), jobKey("1", host), openflow.JobEnd{Status: openflow.JobSuccess, Reason: ""}))
	require.Equal(t, openflow.JobSuccess, s.job("1").Status)
	require.Equal(t, 100, s.job("1").Progress)
	require.Empty(t, s.engine.stopped)
	for _, name := range []openflow.TaskName{"reader_0", "lr_0"} {
		require.Equal(t, openflow.TaskSuccess, s.task(taskKey("1", name, host)).Status)
		require.Contains(t, s.sessions.closed, string(taskKey("1", name, host).SessionID()))
	}
	require.NoError(t, s.Service.StopJob(t.Context(), jobKey("1", host), openflow.JobEnd{Status: openflow.JobFailed, Reason: "late"}), "an end is final")
	require.Equal(t, openflow.JobSuccess, s.job("1").Status)
}

// A job that has ended here is stopped in another way: its row stands, and its tasks say nothing else.
func TestStopOfAJobThatHasEnded(t *testing.T) {
	for _, was := range []openflow.JobStatus{openflow.JobSuccess, openflow.JobFailed, openflow.JobCanceled, openflow.JobTimeout} {
		for _, end := range []openflow.JobStatus{openflow.JobSuccess, openflow.JobFailed, openflow.JobCanceled, openflow.JobTimeout} {
			t.Run(string(was)+", then "+string(end), func(t *testing.T) {
				s := newSite(t)
				s.running("1", dag())
				ran, never, k := taskKey("1", "reader_0", host), taskKey("1", "lr_0", host), jobKey("1", host)
				s.runs(ran)
				s.ends(ran, openflow.TaskSuccess)
				require.NoError(t, s.Service.Tell(t.Context(), k, openflow.News{Status: was, Reason: "why"}))
				for range 2 {
					require.NoError(t, s.Service.StopJob(t.Context(), k, openflow.JobEnd{Status: end, Reason: "other"}))
				}
				require.Equal(t, was, s.job("1").Status)
				require.Equal(t, "why", s.job("1").Reason)
				want := "not started: the job is " + string(was)
				if was == openflow.JobSuccess {
					want = ""
				}
				require.Equal(t, want, s.task(never).Reason)
				require.Equal(t, was == openflow.JobSuccess, s.task(ran).Status == openflow.TaskSuccess, "its run has succeeded, and the job is %s", was)
			})
		}
	}
}

// A run that has failed by itself keeps its own end when the job fails for it.
func TestStopJobAfterAFailure(t *testing.T) {
	s := newSite(t)
	s.running("1", dag())
	k := taskKey("1", "reader_0", host)
	s.runs(k)
	s.ends(k, openflow.TaskFailed)
	require.NoError(t, s.Service.StopJob(t.Context(), jobKey("1", host), openflow.JobEnd{Status: openflow.JobFailed, Reason: "why"}))
	require.Empty(t, s.engine.stopped)
	require.Equal(t, openflow.TaskFailed, s.task(k).Status)
}

func TestStopJobOfAStrangerTouchesNothing(t *testing.T) {
	s := newSite(t)
	s.running("1", dag())
	s.runs(taskKey("1", "reader_0", host))
	err := s.Service.StopJob(t.Context(), openflow.JobKey{Scheduler: "666", Job: "1", Party: host}, openflow.JobEnd{Status: openflow.JobFailed, Reason: "why"})
	if err != nil {
		require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(err))
	}
	require.Empty(t, s.engine.stopped)
	require.Equal(t, openflow.JobRunning, s.job("1").Status)
}

// A rerun that some other party refuses uses up none of those that a job has.
func TestRefusedReopeningsAreNotCounted(t *testing.T) {
	s, ctx := newSite(t), t.Context()
	s.running("1", dag())
	k := jobKey("1", host)
	require.NoError(t, s.StopJob(ctx, k, openflow.JobEnd{Status: openflow.JobFailed}))
	for range openflow.MaxReruns + 1 {
		require.NoError(t, s.reserves(ctx, k))
		require.NoError(t, s.StopJob(ctx, k, openflow.JobEnd{Status: openflow.JobFailed}))
	}
	require.Zero(t, s.job("1").Reruns)
}
