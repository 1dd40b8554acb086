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
	remembered := func(id openflow.JobID) openflow.PartyID {
		scheduler, err := c.RememberedScheduler(t.Context(), id)
		require.NoError(t, err)
		return scheduler
	}
	require.Empty(t, remembered("1"))
	require.NoError(t, c.RememberScheduler(t.Context(), "1", "10000"))
	require.NoError(t, c.RememberScheduler(t.Context(), "1", "10001"), "a repeat")
	require.NoError(t, c.RememberScheduler(t.Context(), "2", "10001"))
	require.Equal(t, openflow.PartyID("10000"), remembered("1"), "the first word counts")
	require.Equal(t, openflow.PartyID("10001"), remembered("2"))

	n, err := c.ForgetSchedulersBefore(t.Context(), time.UnixMilli(1), 10)
	require.NoError(t, err)
	require.Zero(t, n, "they are young")
	for _, want := range []int{1, 1, 0} {
		n, err = c.ForgetSchedulersBefore(t.Context(), time.Now().Add(time.Hour), 1)
		require.NoError(t, err)
		require.Equal(t, want, n)
	}
	require.Empty(t, remembered("1"))
}
