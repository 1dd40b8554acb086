package catalogue_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/store/catalogue"
)

func scheduled(id openflow.JobID, key, hash string) openflow.ScheduledJob {
	return openflow.ScheduledJob{
		ID: id, Initiator: "9999", DAG: sampleDAG(), Priority: 2, IdempotencyKey: key, SubmitHash: hash, UserName: "ann",
		Mandate: &openflow.Mandate{Text: []byte("text"), Signature: []byte{0xff, 0}, Salt: []byte{1}},
		Status:  openflow.JobReady,
	}
}

func TestAdmitScheduledJobIsIdempotent(t *testing.T) {
	onEngines(t, testAdmitScheduledJobIsIdempotent)
}

func testAdmitScheduledJobIsIdempotent(t *testing.T, newCatalogue opener) {
	c := newCatalogue(t)
	ctx := t.Context()
	first, err := c.AdmitScheduledJob(ctx, openflow.Quota{}, scheduled("first", "key", "hash"))
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(scheduled("first", "key", "hash"), first, cmpopts.IgnoreTypes(time.Time{})))
	stored, err := c.ScheduledJob(ctx, "first")
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(first, stored))
	_, err = c.AdmitScheduledJob(ctx, openflow.Quota{}, scheduled("keyless", "", "h"))
	require.NoError(t, err)

	other := scheduled("second", "key", "hash")
	other.Initiator = "10000"
	for name, test := range map[string]struct {
		submit openflow.ScheduledJob
		want   openflow.JobID
		say    string // of the conflict
	}{
		"the same again":                   {scheduled("first", "key", "hash"), "first", ""},
		"the same under another ID":        {scheduled("again", "key", "hash"), "first", ""},
		"the key for another submission":   {scheduled("again", "key", "other"), "", `idempotency key "key" belongs to job first`},
		"the ID for another submission":    {scheduled("first", "k2", "other"), "", "job first exists already"},
		"no key, the same":                 {scheduled("keyless", "", "h"), "keyless", ""},
		"no key is not one key":            {scheduled("keyless2", "", "h2"), "keyless2", ""},
		"the key of another initiator":     {other, "second", ""},
		"another initiator, the same ID":   {openflow.ScheduledJob{ID: "first", Initiator: "1", SubmitHash: "hash", DAG: sampleDAG()}, "", "the job ID first cannot be used here"},
		"the key counts more than the ID":  {scheduled("keyless", "key", "hash"), "first", ""},
		"a status that is none is refused": {openflow.ScheduledJob{ID: "x", Status: "finished", DAG: sampleDAG()}, "", "unknown status"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := c.AdmitScheduledJob(ctx, openflow.Quota{}, test.submit)
			if test.say != "" {
				require.ErrorContains(t, err, test.say)
				return
			}
			require.NoError(t, err)
			require.Equal(t, test.want, got.ID)
		})
	}
}

func TestConcurrentSubmissionsAreOneJob(t *testing.T) {
	onEngines(t, testConcurrentSubmissionsAreOneJob)
}

func testConcurrentSubmissionsAreOneJob(t *testing.T, newCatalogue opener) {
	c := newCatalogue(t)
	var wg sync.WaitGroup
	ids := make([]openflow.JobID, 20)
	for i := range ids {
		wg.Go(func() {
			for tries := 0; ; tries++ { // a busy database is asked again, as by every caller
				j, err := c.AdmitScheduledJob(t.Context(), openflow.Quota{}, scheduled(openflow.JobID(fmt.Sprint("j", i)), "key", "hash"))
				if err == nil || openflow.CodeOf(err) != openflow.CodeUnavailable || tries == 5 {
					assert.NoError(t, err)
					ids[i] = j.ID
					return
				}
			}
		})
	}
	wg.Wait()
	for _, id := range ids {
		require.Equal(t, ids[0], id)
	}
	all, _, err := c.ScheduledJobsWhere(t.Context(), catalogue.ScheduledFilter{})
	require.NoError(t, err)
	require.Len(t, all, 1)
}

func TestScheduledJobsWhere(t *testing.T) { onEngines(t, testScheduledJobsWhere) }

func testScheduledJobsWhere(t *testing.T, newCatalogue opener) {
	c := newCatalogue(t)
	for i := range 5 {
		j := scheduled(openflow.JobID(fmt.Sprint("j", i)), "", "h")
		j.Initiator = []openflow.PartyID{"9999", "10000"}[i%2]
		_, err := c.AdmitScheduledJob(t.Context(), openflow.Quota{}, j)
		require.NoError(t, err)
	}
	_, err := c.UpdateScheduledJob(t.Context(), "j0", openflow.JobFailed, "")
	require.NoError(t, err)
	var got []openflow.JobID
	f := catalogue.ScheduledFilter{Limit: 2}
	for more := true; more; more = f.After != "" {
		jobs, next, err := c.ScheduledJobsWhere(t.Context(), f)
		require.NoError(t, err)
		for _, j := range jobs {
			got = append(got, j.ID)
		}
		f.After = next
	}
	require.Equal(t, []openflow.JobID{"j4", "j3", "j2", "j1", "j0"}, got)
	jobs, _, err := c.ScheduledJobsWhere(t.Context(), catalogue.ScheduledFilter{Initiator: "9999", Statuses: []openflow.JobStatus{openflow.JobFailed}})
	require.NoError(t, err)
	require.Len(t, jobs, 1)
}

func TestScheduledProgressReasonAndRetention(t *testing.T) {
	onEngines(t, testScheduledProgressReasonAndRetention)
}

func testScheduledProgressReasonAndRetention(t *testing.T, newCatalogue opener) {
	c := newCatalogue(t)
	ctx := t.Context()
	_, err := c.AdmitScheduledJob(ctx, openflow.Quota{}, scheduled("j", "", "h"))
	require.NoError(t, err)
	require.NoError(t, c.SetScheduledProgress(ctx, "j", 40))
	require.NoError(t, c.SetScheduledProgress(ctx, "j", 20))
	require.NoError(t, c.SetScheduledReason(ctx, "j", "party 10000 is busy"))
	got, err := c.ScheduledJob(ctx, "j")
	require.NoError(t, err)
	require.Equal(t, 40, got.Progress)
	require.Equal(t, "party 10000 is busy", got.Reason)

	requireCode(t, openflow.CodeInvalid, c.SetScheduledProgress(ctx, "j", 101))
	requireCode(t, openflow.CodeNotFound, c.SetScheduledProgress(ctx, "none", 1))
	requireCode(t, openflow.CodeNotFound, c.SetScheduledReason(ctx, "none", ""))
	_, err = c.UpdateScheduledJob(ctx, "none", openflow.JobFailed, "")
	requireCode(t, openflow.CodeNotFound, err)

	requireCode(t, openflow.CodeConflict, c.DeleteScheduledJob(ctx, "j"))
	_, err = c.UpdateScheduledJob(ctx, "j", openflow.JobCanceled, "")
	require.NoError(t, err)
	for range 2 {
		require.NoError(t, c.DeleteScheduledJob(ctx, "j"))
	}
	_, err = c.ScheduledJob(ctx, "j")
	requireCode(t, openflow.CodeNotFound, err)
}

// A job that never waits for resources runs and ends all the same, or its record would be kept for ever.
func TestScheduledJobThatNeverWaits(t *testing.T) {
	onEngines(t, testScheduledJobThatNeverWaits)
}

func testScheduledJobThatNeverWaits(t *testing.T, newCatalogue opener) {
	for name, path := range map[string][]openflow.JobStatus{
		"seen running": {openflow.JobRunning, openflow.JobSuccess}, "too short to be seen": {openflow.JobSuccess},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCatalogue(t)
			_, err := c.AdmitScheduledJob(t.Context(), openflow.Quota{}, scheduled("j", "", "h"))
			require.NoError(t, err)
			for _, to := range path {
				changed, err := c.UpdateScheduledJob(t.Context(), "j", to, "")
				require.NoError(t, err)
				require.True(t, changed)
			}
			require.NoError(t, c.DeleteScheduledJob(t.Context(), "j"))
		})
	}
}

// Rows of jobs that only this scheduler knows go too, and those whose workflow never began; open jobs stay.
func TestOldScheduledJobsAreForgotten(t *testing.T) {
	onEngines(t, testOldScheduledJobsAreForgotten)
}

func testOldScheduledJobsAreForgotten(t *testing.T, newCatalogue opener) {
	c := newCatalogue(t)
	for id, status := range map[openflow.JobID]openflow.JobStatus{
		"ended": openflow.JobFailed, "left": openflow.JobReady, "waits": openflow.JobWaiting, "runs": openflow.JobRunning,
	} {
		j := scheduled(id, "", "h")
		j.Status = openflow.JobReady
		_, err := c.AdmitScheduledJob(t.Context(), openflow.Quota{}, j)
		require.NoError(t, err)
		if status != openflow.JobReady {
			_, err = c.UpdateScheduledJob(t.Context(), id, status, "")
			require.NoError(t, err)
		}
	}
	created, err := c.ScheduledJob(t.Context(), "ended")
	require.NoError(t, err)
	n, err := c.DeleteScheduledJobsBefore(t.Context(), created.CreateTime.Add(-time.Hour), 10)
	require.NoError(t, err)
	require.Zero(t, n, "they are young")
	n, err = c.DeleteScheduledJobsBefore(t.Context(), created.CreateTime.Add(time.Hour), 10)
	require.NoError(t, err)
	require.Equal(t, 2, n)
	left, _, err := c.ScheduledJobsWhere(t.Context(), catalogue.ScheduledFilter{})
	require.NoError(t, err)
	require.Len(t, left, 2)
	for _, j := range left {
		require.False(t, j.Status.Terminal() || j.Status == openflow.JobReady, j.ID)
	}
}

// What a scrape of the metrics counts.
func TestCounts(t *testing.T) {
	onEngines(t, testCounts)
}

func testCounts(t *testing.T, newCatalogue opener) {
	c := newCatalogue(t)
	_, tasks := createJob(t, c, "j", guest)
	_, err := c.AdmitScheduledJob(t.Context(), openflow.Quota{}, scheduled("j", "", "h"))
	require.NoError(t, err)
	_, err = c.UpdateScheduledJob(t.Context(), "j", openflow.JobWaiting, "")
	require.NoError(t, err)
	require.NoError(t, c.SetScheduledReason(t.Context(), "j", "10000 is busy"))
	jobs, err := c.JobCounts(t.Context())
	require.NoError(t, err)
	require.Equal(t, map[openflow.JobStatus]int{openflow.JobReady: 1}, jobs)
	runs, err := c.TaskCounts(t.Context())
	require.NoError(t, err)
	require.Equal(t, map[openflow.TaskStatus]int{openflow.TaskWaiting: len(tasks)}, runs)
	waits, err := c.WaitCounts(t.Context())
	require.NoError(t, err)
	require.Equal(t, map[string]int{"10000 is busy": 1}, waits)
}

// A job that ends just after it could not be moved to waiting is not opened by the answer that says so, whatever its initiator may
// have.
func TestRefusedMoveMovesNothing(t *testing.T) { atEngines(t, testRefusedMoveMovesNothing) }

func testRefusedMoveMovesNothing(t *testing.T, place catalogue.Options) {
	ctx, rule := t.Context(), openflow.Quota{Jobs: 1}
	other := mustOpen(t, place)
	moves, looks, at := false, 0, &clock{}
	place.Now = func() time.Time {
		if looks++; moves && looks == 2 { // after the move that was tried
			_, err := other.UpdateScheduledJob(ctx, "j", openflow.JobFailed, "")
			require.NoError(t, err)
		}
		return at.now()
	}
	c := mustOpen(t, place)
	for _, id := range []openflow.JobID{"j", "open"} {
		_, err := c.AdmitScheduledJob(ctx, openflow.Quota{}, scheduled(id, "", "h"))
		require.NoError(t, err)
	}
	_, err := other.UpdateScheduledJob(ctx, "j", openflow.JobRunning, "")
	require.NoError(t, err)
	moves, looks = true, 0
	changed, err := c.QueueScheduledJob(ctx, rule, "10000", "j", "")
	require.False(t, changed)
	requireCode(t, openflow.CodeConflict, err)
	got, err := c.ScheduledJob(ctx, "j")
	require.NoError(t, err)
	require.NotEqual(t, openflow.JobWaiting, got.Status)
	_, err = c.UpdateScheduledJob(ctx, "j", "none", "")
	requireCode(t, openflow.CodeInvalid, err)
}
