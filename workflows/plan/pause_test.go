package plan_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/workflows/plan"
)

// The longer nothing happens, the less is asked. Where parties report, never before the bound; where they do not, at the
// bound at the latest.
func TestPauseOfAsking(t *testing.T) {
	job := func(mode openflow.SyncType) openflow.JobPlan {
		return openflow.JobPlan{SyncType: mode, Timing: openflow.Timing{Collect: time.Minute}}
	}
	pull, push := plan.WhileRunning(job(openflow.Poll)), plan.WhileRunning(job(openflow.Callback))
	pullEnd, pushEnd := plan.AtTheEnd(job(openflow.Poll)), plan.AtTheEnd(job(openflow.Callback))
	for _, tc := range []struct {
		quiet                        time.Duration
		pull, push, pullEnd, pushEnd time.Duration
	}{
		{0, time.Second / 4, time.Minute, time.Second / 4, time.Second},
		{5 * time.Second, time.Second / 4, time.Minute, time.Second / 4, time.Second},
		{time.Minute, 3 * time.Second, time.Minute, 3 * time.Second, 3 * time.Second},
		{time.Hour, time.Minute, 3 * time.Minute, 3 * time.Minute, 3 * time.Minute},
		{24 * time.Hour, time.Minute, 10 * time.Minute, 10 * time.Minute, 10 * time.Minute},
	} {
		require.Equal(t, tc.pull, pull.Pause(tc.quiet), "pull, after %s", tc.quiet)
		require.Equal(t, tc.push, push.Pause(tc.quiet), "push, after %s", tc.quiet)
		require.Equal(t, tc.pullEnd, pullEnd.Pause(tc.quiet), "pull at the end, after %s", tc.quiet)
		require.Equal(t, tc.pushEnd, pushEnd.Pause(tc.quiet), "push at the end, after %s", tc.quiet)
	}
}
