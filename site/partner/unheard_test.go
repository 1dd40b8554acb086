package partner_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/site/partner"
)

// ended is a job whose run of task b has ended here, and not elsewhere.
var ended = []openflow.TaskRecord{
	{Key: openflow.TaskKey{Task: "b"}, Status: openflow.TaskRunning, PartyStatus: openflow.TaskSuccess},
}

// A scheduler that does not take the end of a run is the reason of the job from the first refusal on, and is logged once, until it
// takes it.
func TestRefusedReportIsTheReason(t *testing.T) {
	for name, tc := range map[string]struct {
		err   error
		again bool
		want  string // part of the reason; empty: nothing is wrong
	}{
		"HTTP 500":        {unusable("the node answered /v2/scheduler/task/report with HTTP 500"), true, "(unavailable): party 9999 says “the node answered /v2/scheduler/task/report with HTTP 500”"},
		"an unknown code": {openflow.AtParty("9999", openflow.Errorf(openflow.CodeInternal, "no")), true, "(internal): party 9999 says “no”"},
		"no valid key":    {openflow.AtParty("9999", openflow.Errorf(openflow.CodeUnauthorized, "no")), true, "(unauthorized): party 9999 says “no”"},
		"it hangs":        {openflow.AtParty("9999", openflow.Errorf(openflow.CodeDeadline, "no answer in time")), true, "(deadline): party 9999 says “no answer in time”"},
		"for good":        {openflow.AtParty("9999", openflow.Errorf(openflow.CodePermission, "no")), false, "(permission): party 9999 says “no”"},
		"this node stops": {openflow.Errorf(openflow.CodeCanceled, "stops"), true, ""},
		"it is taken":     {nil, false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			watching(t, ended, func(r *running, _ *line, w *partner.Watch, log *bytes.Buffer) {
				k := openflow.TaskKey{Scheduler: "9999", Job: "1", Task: "b", Party: r.jobs[0].Party}
				pass(10 * time.Second)
				before := r.reason()
				w.Reported(k, tc.err, tc.again)
				pass(4 * time.Second)
				if tc.want == "" {
					require.Equal(t, before, r.reason())
					require.Empty(t, log.String())
					return
				}
				want := "waiting for party 9999 (guest): since 2000-01-01T00:00:10Z it does not take the report that task b has ended here " + tc.want
				require.Equal(t, want, r.reason())
				require.Empty(t, r.scheduled[0].Reason, "which is another job")
				for range 4 {
					if tc.again {
						w.Reported(k, tc.err, tc.again)
					}
					pass(time.Minute)
				}
				require.Equal(t, want, r.reason(), "from when on does not change")
				require.Equal(t, 1, strings.Count(log.String(), "does not take the report"), "%s", log)
				if tc.again {
					w.Reported(k, nil, false)
				} else {
					r.mu.Lock()
					r.jobs[0].Scheduler = "10001" // the job has ended, and another runs
					r.mu.Unlock()
				}
				pass(10 * time.Second)
				require.Equal(t, before, r.reason())
			})
		})
	}
}

// What nobody repeats is over, as where another replica of this node has told it; and where the scheduler does not answer at all, that
// alone is said.
func TestRefusedReportIsForgotten(t *testing.T) {
	watching(t, ended, func(r *running, l *line, w *partner.Watch, _ *bytes.Buffer) {
		k := openflow.TaskKey{Scheduler: "9999", Job: "1", Task: "b", Party: r.jobs[0].Party}
		w.Reported(k, openflow.AtParty("9999", openflow.Errorf(openflow.CodeUnavailable, "down")), true)
		l.set(func(l *line) { l.wrong["9999"] = openflow.Errorf(openflow.CodeUnavailable, "down") })
		pass(10 * time.Second)
		require.Contains(t, r.reason(), "party 9999 (guest): it has not answered since ")
		require.NotContains(t, r.reason(), "report")
		l.set(func(l *line) { clear(l.wrong) })
		pass(10 * time.Second)
		require.Contains(t, r.reason(), "the report")
		pass(3 * time.Minute)
		require.NotContains(t, r.reason(), "the report")
	})
}
