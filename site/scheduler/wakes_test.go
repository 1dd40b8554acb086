package scheduler

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
)

func TestAllowanceOfWakes(t *testing.T) {
	for waited, want := range map[time.Duration]int{
		0: 50, 10 * time.Second: 60, 100 * time.Second: 150, time.Hour: 508, 7 * 24 * time.Hour: 1020, 365 * 24 * time.Hour: 1416,
	} {
		require.InDelta(t, want, allowance(waited), 1, waited)
	}
	var w wakes
	for range allowance(0) {
		require.True(t, w.allow("a", 0))
	}
	require.False(t, w.allow("a", 0))
	require.True(t, w.allow("a", time.Second), "it has waited for longer")
	require.True(t, w.allow("b", 0), "another job")
	w.forget("a")
	require.True(t, w.allow("a", 0))
	for i := range 2 * maxWaiting {
		w.allow(openflow.JobID(time.Duration(i).String()), 0)
	}
	require.LessOrEqual(t, len(w.taken), maxWaiting)
}
