package partner_test

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/site/partner"
)

// A task takes of what its job holds. A job that has given that back unused asks for it again, and waits like any other.
func TestTaskOfAJobThatHoldsNothing(t *testing.T) {
	s, ctx := newSite(t), t.Context()
	s.running("1", dag())
	k, run := jobKey("1", host), taskKey("1", "reader_0", host)
	returned, err := s.catalogue.ReturnIdle(ctx, k, time.Now().Add(time.Hour), "why")
	require.NoError(t, err)
	require.True(t, returned)

	d := dag()
	all := 8
	d.Conf.Cores = &all
	require.NoError(t, s.opens(ctx, openflow.JobOrder{Key: jobKey("2", host), DAG: d}), "another one has it now")
	err = s.StartTask(ctx, openflow.TaskStart{TaskKey: run})
	require.Equal(t, openflow.CodeExhausted, openflow.CodeOf(err), "%v", err)
	require.Contains(t, s.task(run).Reason, "needs 4 cores, 0 of 8 are free")
	require.Empty(t, s.engine.started)
	require.Equal(t, openflow.JobRunning, s.job("1").Status)

	require.NoError(t, s.StopJob(ctx, jobKey("2", host), openflow.JobEnd{Status: openflow.JobCanceled}))
	require.NoError(t, s.StartTask(ctx, openflow.TaskStart{TaskKey: run}))
	require.Len(t, s.engine.started, 1)
	require.True(t, s.job("1").ResourceInUse)
}

// What is closed here, its scheduler cannot open again.
func TestEndHere(t *testing.T) {
	s, ctx := newSite(t), t.Context()
	s.running("1", dag())
	k, run := jobKey("1", host), taskKey("1", "reader_0", host)
	s.runs(run)
	require.NoError(t, s.EndHere(ctx, k, "stopped here"))
	require.Equal(t, []stop{{run, openflow.TaskCanceled, "stopped here"}}, s.engine.stopped)
	require.Equal(t, openflow.JobCanceled, s.job("1").Status)
	require.Error(t, s.reserves(ctx, k))
	require.Error(t, s.StartTask(ctx, openflow.TaskStart{TaskKey: taskKey("1", "lr_0", host), StartsJob: true}))
	require.NoError(t, s.StopJob(ctx, k, openflow.JobEnd{Status: openflow.JobFailed, Reason: "its scheduler's word"}))
	require.Equal(t, openflow.JobCanceled, s.job("1").Status)
	require.Equal(t, "stopped here", s.job("1").Reason)
	require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(s.EndHere(ctx, jobKey("2", host), "x")))
}

// A job counts to the party that drives it, or has this site drive it, and goes as far as that one's quota.
func TestQuotaOfAJob(t *testing.T) {
	for name, tc := range map[string]struct {
		scheduler, initiator openflow.PartyID
		cores                *int
		priority             int
		peer                 openflow.PartyID
		takes, goes          int
		leased               bool
	}{
		"of a peer":                  {"9999", "9999", nil, math.MaxInt32, "9999", 1, 0, true},
		"of another one, by a peer":  {"9999", "10001", nil, -7, "9999", 1, -7, true},
		"scheduled here for a peer":  {"10000", "9999", nil, 5, "9999", 1, 0, false},
		"this site's own":            {"10000", "10000", nil, 5, "", 4, 5, false},
		"this site's own, at a peer": {"9999", "10000", nil, 5, "9999", 1, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			s.GrantAll = true
			s.Limits.Quota = openflow.Quota{Cores: 2}
			d := dag()
			d.Conf.Scheduler, d.Conf.Initiator, d.Conf.Priority = tc.scheduler, tc.initiator, tc.priority
			k := openflow.JobKey{Scheduler: tc.scheduler, Job: "1", Party: host}
			require.NoError(t, s.opens(t.Context(), openflow.JobOrder{Key: k, DAG: d}))
			j, err := s.catalogue.Job(t.Context(), k)
			require.NoError(t, err)
			require.Equal(t, tc.peer, j.Peer)
			require.Equal(t, []int{tc.takes, tc.goes}, []int{j.Cores, j.Priority})
			require.Equal(t, tc.leased, !j.Lease.IsZero())
		})
	}
}

// The lease of a job is renewed by its scheduler's calls where no report comes.
func TestCallsRenewTheLease(t *testing.T) {
	s, ctx := newSite(t), t.Context()
	s.Limits.Lease = time.Minute
	d := dag()
	d.Conf.SyncType = openflow.Poll
	s.running("1", d)
	s.Limits.Lease = time.Hour
	before := s.job("1").Lease
	_, err := s.AskTask(ctx, taskKey("1", "reader_0", host))
	require.NoError(t, err)
	after := s.job("1").Lease
	require.True(t, after.Sub(before) > 50*time.Minute, "%s, then %s", before, after)
	s.Limits.Lease = 4 * time.Hour
	require.NoError(t, s.StartTask(ctx, openflow.TaskStart{TaskKey: taskKey("1", "reader_0", host)}))
	require.True(t, s.job("1").Lease.Sub(after) > 2*time.Hour)
}

func TestLimits(t *testing.T) {
	require.NoError(t, partner.DefaultLimits().Check())
	for name, change := range map[string]func(*partner.Limits){
		"no lease":       func(l *partner.Limits) { l.Lease = 0 },
		"no time at all": func(l *partner.Limits) { l.Idle = time.Millisecond },
		"less than none": func(l *partner.Limits) { l.Quota.Jobs = -1 },
	} {
		l := partner.DefaultLimits()
		change(&l)
		require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(l.Check()), name)
	}
	l := partner.DefaultLimits()
	for cores, most := range map[int]int{0: 0, 1: 1, 2: 2, 4: 4, 8: 6, 32: 24} {
		l.Cores = cores
		require.Equal(t, most, l.Rules().Quota.Cores, "something is left for others, where there is more than one job needs")
	}
	l.Quota.Cores = 32
	require.Equal(t, 32, l.Rules().Quota.Cores)
}
