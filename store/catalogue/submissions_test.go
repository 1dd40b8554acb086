package catalogue_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
)

func TestSchedulersOfSubmissions(t *testing.T) { onEngines(t, testSchedulersOfSubmissions) }

func testSchedulersOfSubmissions(t *testing.T, newCatalogue opener) {
	c := newCatalogue(t)
	remembered := func(id openflow.JobID) (openflow.PartyID, error) { return c.SchedulerOf(t.Context(), "9999", id) }
	_, err := remembered("1")
	requireCode(t, openflow.CodeNotFound, err)
	for range 2 {
		require.NoError(t, c.RememberScheduler(t.Context(), "1", "10000"), "and a repeat")
	}
	require.NoError(t, c.RememberScheduler(t.Context(), "2", "10001"))
	for id, want := range map[openflow.JobID]openflow.PartyID{"1": "10000", "2": "10001"} {
		got, err := remembered(id)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	require.NoError(t, c.RememberScheduler(t.Context(), "2", "10000"), "another job of that ID")
	_, err = remembered("2")
	requireCode(t, openflow.CodeConflict, err)
	require.ErrorContains(t, err, "10000, 10001")
	_, err = c.AdmitScheduledJob(t.Context(), openflow.Quota{}, openflow.ScheduledJob{ID: "1", Initiator: "9999", DAG: sampleDAG()})
	require.NoError(t, err)
	_, err = remembered("1")
	requireCode(t, openflow.CodeConflict, err)
	require.ErrorContains(t, err, "10000, 9999", "this site schedules one itself")

	n, err := c.ForgetSchedulersBefore(t.Context(), time.UnixMilli(1), 10)
	require.NoError(t, err)
	require.Zero(t, n, "they are young")
	for _, want := range []int{1, 1, 1, 0} {
		n, err = c.ForgetSchedulersBefore(t.Context(), time.Now().Add(time.Hour), 1)
		require.NoError(t, err)
		require.Equal(t, want, n)
	}
	_, err = remembered("2")
	requireCode(t, openflow.CodeNotFound, err)
}
