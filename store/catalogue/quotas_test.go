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

// ofPeer records a job of a peer that needs so many cores.
func ofPeer(t *testing.T, c *catalogue.Catalogue, peer openflow.PartyID, id openflow.JobID, n int, rule openflow.Quota) (openflow.JobKey, error) {
	t.Helper()
	j, _ := sampleJob(id, guest)
	j.Scheduler, j.Peer, j.Cores, j.RemainingCores = peer, peer, n, n
	return j.Key(), c.AdmitJob(t.Context(), rule, j, nil)
}

func TestQuotaOfAPeer(t *testing.T) { onEngines(t, testQuotaOfAPeer) }

func testQuotaOfAPeer(t *testing.T, newCatalogue opener) {
	c := newCatalogue(t)
	q := openflow.Quota{Jobs: 5, Cores: 2, Calls: 7, Memory: 1 << 30, Priority: -1}
	require.NoError(t, c.SaveSite(t.Context(), openflow.SiteRecord{Party: "10000", URL: "http://x"}))
	require.NoError(t, c.SaveQuota(t.Context(), "10000", q))
	got, err := c.Quota(t.Context(), "10000")
	require.NoError(t, err)
	require.Equal(t, q, got)
	got, err = c.Quota(t.Context(), "10001")
	require.NoError(t, err)
	require.Zero(t, got, "nothing is said of it")
	requireCode(t, openflow.CodeInvalid, c.SaveQuota(t.Context(), "10000", openflow.Quota{Cores: -1}))
	require.NoError(t, c.DeleteSite(t.Context(), "10000"))
	got, err = c.Quota(t.Context(), "10000")
	require.NoError(t, err)
	require.Zero(t, got, "what was said of a peer goes with it")
}

func TestOpenJobsAreBounded(t *testing.T) { onEngines(t, testOpenJobsAreBounded) }

func testOpenJobsAreBounded(t *testing.T, newCatalogue opener) {
	c, ctx, rule := newCatalogue(t), t.Context(), openflow.Quota{Jobs: 5}
	var made atomic.Int32
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			switch _, err := ofPeer(t, c, "10000", openflow.JobID(fmt.Sprint("j", i)), 1, rule); openflow.CodeOf(err) {
			case "":
				made.Add(1)
			case openflow.CodeExhausted:
			default:
				t.Error(err)
			}
		})
	}
	all.Wait()
	require.EqualValues(t, 5, made.Load(), "also when they come at once")
	_, err := ofPeer(t, c, "10001", "other", 1, rule)
	require.NoError(t, err)
	use, err := c.PeerUse(ctx, "10000")
	require.NoError(t, err)
	require.Equal(t, openflow.PeerUse{Jobs: 5}, use)

	jobs, _, err := c.JobsWhere(ctx, catalogue.JobFilter{Scheduler: "10000"})
	require.NoError(t, err)
	again, err := ofPeer(t, c, "10000", jobs[0].ID, 1, rule)
	require.NoError(t, err, "a repeat is no further job")
	_, err = c.UpdateJobStatus(ctx, again, openflow.JobFailed, "")
	require.NoError(t, err)
	_, err = ofPeer(t, c, "10000", "next", 1, rule)
	require.NoError(t, err)
	_, err = ofPeer(t, c, "10000", "more", 1, rule)
	requireCode(t, openflow.CodeExhausted, err)
	require.ErrorContains(t, err, "party 10000 has 5 jobs under way at this site, which is as many as it may have")
	require.NoError(t, c.SaveQuota(ctx, "10000", openflow.Quota{Jobs: 6}))
	_, err = ofPeer(t, c, "10000", "more", 1, rule)
	require.NoError(t, err, "what is said of a peer counts")

	for i := range 4 {
		_, err := c.AdmitScheduledJob(ctx, openflow.Quota{Jobs: 3}, openflow.ScheduledJob{ID: openflow.JobID(fmt.Sprint("s", i)), Initiator: "10002", DAG: &openflow.DAG{}})
		require.Equal(t, i == 3, openflow.CodeOf(err) == openflow.CodeExhausted, "%v", err)
	}
	_, err = c.AdmitScheduledJob(ctx, openflow.Quota{Jobs: 3}, openflow.ScheduledJob{ID: "t", Initiator: "10001", DAG: &openflow.DAG{}})
	require.NoError(t, err)
}

func TestWhatAPeerHoldsIsBounded(t *testing.T) { onEngines(t, testWhatAPeerHoldsIsBounded) }

func testWhatAPeerHoldsIsBounded(t *testing.T, newCatalogue opener) {
	c, ctx, capacity := newCatalogue(t), t.Context(), cores(8)
	r := admission.Rules{Patience: time.Second, Quota: openflow.Quota{Cores: 4, Waiting: 2}} // the clock moves a second at every look
	job := func(peer openflow.PartyID, id openflow.JobID, n int) openflow.JobKey {
		k, err := ofPeer(t, c, peer, id, n, r.Quota)
		require.NoError(t, err)
		return k
	}
	apply := func(k openflow.JobKey) error { return c.ApplyJobResources(ctx, k, capacity, r) }

	err := apply(job("10000", "large", 5))
	requireCode(t, openflow.CodePermission, err)
	require.ErrorContains(t, err, "party 10000 asks for 5 cores, and may have 4 at this site")

	first, second, third, fourth := job("10000", "1", 3), job("10000", "2", 3), job("10000", "3", 3), job("10000", "4", 3)
	require.NoError(t, apply(first))
	err = apply(second)
	requireCode(t, openflow.CodeExhausted, err)
	require.ErrorContains(t, err, "needs 3 cores, and all jobs of party 10000 together may take 1 more; waiting since ")
	requireCode(t, openflow.CodeExhausted, apply(third))
	err = apply(fourth)
	requireCode(t, openflow.CodeUnavailable, err)
	require.ErrorContains(t, err, "party 10000 has 2 jobs in this site's queue, which is as many as it may have")
	requireCode(t, openflow.CodeExhausted, apply(second)) // who has a place keeps it
	require.Empty(t, told(t, c, capacity, r), "they wait for their own peer's jobs")
	require.NoError(t, apply(job("10001", "other", 4)), "and overdue as they are, they keep nothing from others")
	small := job("10000", "small", 1)
	require.NoError(t, apply(small), "what its quota has left")
	requireUse(t, c, 8)

	require.NoError(t, c.ReturnJobResources(ctx, first))
	require.Equal(t, "2", told(t, c, capacity, r), "one of them, since both would be too much")
	require.NoError(t, apply(second))
	require.Empty(t, told(t, c, capacity, r))
	use, err := c.PeerUse(ctx, "10000")
	require.NoError(t, err)
	require.Equal(t, openflow.PeerUse{Jobs: 6, Waiting: 1, Held: cores(4)}, use)
}

// However many jobs of one peer wait, those of another are seen.
func TestNobodyIsHiddenInTheQueue(t *testing.T) { onEngines(t, testNobodyIsHiddenInTheQueue) }

func testNobodyIsHiddenInTheQueue(t *testing.T, newCatalogue opener) {
	c, ctx, capacity := newCatalogue(t), t.Context(), cores(4)
	r := admission.Rules{Patience: time.Hour, Quota: openflow.Quota{Cores: 3}}
	holder := wants(t, c, "holder", cores(4), 0)
	require.NoError(t, c.ApplyJobResources(ctx, holder, capacity, r))
	for i := range 100 {
		k, err := ofPeer(t, c, "10000", openflow.JobID(fmt.Sprintf("%03d", i)), 2, r.Quota)
		require.NoError(t, err)
		requireCode(t, openflow.CodeExhausted, c.ApplyJobResources(ctx, k, capacity, r))
	}
	k, err := ofPeer(t, c, "10001", "zzz", 2, r.Quota)
	require.NoError(t, err)
	requireCode(t, openflow.CodeExhausted, c.ApplyJobResources(ctx, k, capacity, r))
	require.NoError(t, c.ReturnJobResources(ctx, holder))
	require.Equal(t, "000 zzz", told(t, c, capacity, r))
}

func TestAgeInTheQueue(t *testing.T) { onEngines(t, testAgeInTheQueue) }

func testAgeInTheQueue(t *testing.T, newCatalogue opener) {
	c, ctx, capacity := newCatalogue(t), t.Context(), cores(4)
	ask := func(k openflow.JobKey) openflow.Code {
		return openflow.CodeOf(c.ApplyJobResources(ctx, k, capacity, rules))
	}
	holder := wants(t, c, "8", cores(4), 0)
	require.Empty(t, ask(holder))
	late, first, second := wants(t, c, "9", cores(1), 0), wants(t, c, "7", cores(4), 0), wants(t, c, "0000", cores(4), 0)
	for _, s := range []openflow.JobStatus{openflow.JobWaiting, openflow.JobFailed, openflow.JobWaiting} { // it runs again
		_, err := c.UpdateJobStatus(ctx, late, s, "")
		require.NoError(t, err)
	}
	for _, k := range []openflow.JobKey{late, second, first} { // whoever asks first
		require.Equal(t, openflow.CodeExhausted, ask(k))
	}
	require.NoError(t, c.ReturnJobResources(ctx, holder))
	require.Equal(t, openflow.CodeExhausted, ask(second), "who asks takes nobody's turn")
	require.Equal(t, openflow.CodeExhausted, ask(late), "a job that runs again is the youngest")
	require.Equal(t, "7", told(t, c, capacity, rules))
	require.Empty(t, ask(first))
}

// A job that has ended counts anew when it is run again, at its participant and at its scheduler, also when many come at once.
func TestEndedJobsCountAnew(t *testing.T) { onEngines(t, testEndedJobsCountAnew) }

func testEndedJobsCountAnew(t *testing.T, newCatalogue opener) {
	const most, ended = 2, 8
	c, ctx, rule := newCatalogue(t), t.Context(), openflow.Quota{Jobs: most}
	keys := make([]openflow.JobKey, ended)
	for i := range keys {
		k, err := ofPeer(t, c, "10000", openflow.JobID(fmt.Sprint("j", i)), 1, rule)
		require.NoError(t, err)
		keys[i] = k
		_, err = c.UpdateJobStatus(ctx, k, openflow.JobFailed, "no")
		require.NoError(t, err)
		_, err = c.AdmitScheduledJob(ctx, rule, openflow.ScheduledJob{ID: k.Job, Initiator: "10000", DAG: &openflow.DAG{}})
		require.NoError(t, err)
		_, err = c.UpdateScheduledJob(ctx, k.Job, openflow.JobFailed, "no")
		require.NoError(t, err)
	}
	for name, open := range map[string]func(k openflow.JobKey) (bool, error){
		"participant": func(k openflow.JobKey) (bool, error) { return c.QueueJob(ctx, rule, k, "") },
		"scheduler":   func(k openflow.JobKey) (bool, error) { return c.QueueScheduledJob(ctx, rule, "9999", k.Job, "") },
	} {
		var opened atomic.Int32
		require.NoError(t, parallel(ended, func(i int) error {
			changed, err := open(keys[i])
			if changed {
				opened.Add(1)
			}
			return allow(err, openflow.CodeExhausted)
		}), name)
		require.EqualValues(t, most, opened.Load(), name)
	}
	use, err := c.PeerUse(ctx, "10000")
	require.NoError(t, err)
	require.Equal(t, most, use.Jobs)
	requireCode(t, openflow.CodeExhausted, c.MaySchedule(ctx, rule, "10000"))
	requireCode(t, openflow.CodeExhausted, c.MayAdmit(ctx, rule, openflow.JobRecord{ID: "new", Party: guest, Scheduler: "10000", Peer: "10000"}))
	require.NoError(t, c.MaySchedule(ctx, rule, "10001"))

	for _, k := range keys {
		j, err := c.Job(ctx, k)
		require.NoError(t, err)
		if j.Status == openflow.JobFailed {
			require.Equal(t, "no", j.Reason, "what is refused stays as it was")
			continue
		}
		changed, err := c.QueueJob(ctx, rule, k, "")
		require.NoError(t, err)
		require.False(t, changed, "it waits already")
	}
	_, err = c.QueueScheduledJob(ctx, rule, "10000", keys[0].Job, "")
	require.NoError(t, err, "the site itself may have any number")
	_, err = c.QueueJob(ctx, rule, openflow.JobKey{Scheduler: "10000", Job: "none", Party: guest}, "")
	requireCode(t, openflow.CodeNotFound, err)
	_, err = c.QueueScheduledJob(ctx, rule, "9999", "none", "")
	requireCode(t, openflow.CodeNotFound, err)
}
