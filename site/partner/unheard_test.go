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

// Where calls of a peer are answered so that they cannot be used, the report is named beside.
func TestRefusedReportBesideOtherNonsense(t *testing.T) {
	watching(t, ended, func(r *running, _ *line, w *partner.Watch, _ *bytes.Buffer) {
		k := openflow.TaskKey{Scheduler: "9999", Job: "1", Task: "b", Party: r.jobs[0].Party}
		for range 3 {
			w.Called("9999", unusable("the node answered with HTTP 500"))
			w.Reported(k, unusable("the node answered with HTTP 500"), true)
			pass(4 * time.Second)
		}
		require.Contains(t, r.reason(), "its node answers, and not so that this node can use it")
		require.Contains(t, r.reason(), "it does not take the report that task b has ended here")
	})
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

// A party that does not say how its run stands is the reason of the job, here and in the scheduler's own record, until it says so or
// reports. One that says that its run has not begun is so too, when that lasts.
func TestUnansweredQuestionIsTheReason(t *testing.T) {
	run := openflow.TaskKey{Scheduler: "10000", Job: "1", Task: "b", Party: openflow.Party{Role: openflow.RoleGuest, ID: "9999"}}
	own := run
	own.Party = openflow.Party{Role: openflow.RoleHost, ID: "10000"}
	for name, tc := range map[string]struct {
		run    openflow.TaskKey
		status openflow.TaskStatus
		err    error
		want   string // of the reason, after the time; empty: nothing is wrong
		words  string // of the peer, after that, for this site only
	}{
		"an unknown status":   {run, "", unusable("told an unknown status"), "it does not say in a form that can be used how task b stands (unavailable)", ": party 9999 says “told an unknown status”"},
		"late":                {run, "", openflow.AtParty("9999", openflow.Errorf(openflow.CodeDeadline, "too late")), "it does not say in a form that can be used how task b stands (deadline)", ": party 9999 says “too late”"},
		"an unknown code":     {run, "", openflow.AtParty("9999", openflow.Errorf(openflow.CodeInternal, "no")), "it does not say in a form that can be used how task b stands (internal)", ": party 9999 says “no”"},
		"it has not begun":    {run, openflow.TaskWaiting, nil, "it says that its run of task b has not begun", ""},
		"nor has the own":     {own, openflow.TaskWaiting, nil, "", ""},
		"it runs":             {run, openflow.TaskRunning, nil, "", ""},
		"there is no run":     {run, "", openflow.Errorf(openflow.CodeNotFound, "no run"), "", ""},
		"this node stops":     {run, "", openflow.Errorf(openflow.CodeCanceled, "stops"), "", ""},
		"another job's run":   {openflow.TaskKey{Scheduler: "10000", Job: "3", Task: "b", Party: run.Party}, "", unusable("no"), "", ""},
		"another scheduler's": {openflow.TaskKey{Scheduler: "10001", Job: "1", Task: "b", Party: run.Party}, "", unusable("no"), "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			watching(t, ended, func(r *running, _ *line, w *partner.Watch, log *bytes.Buffer) {
				r.mu.Lock()
				r.jobs[0].Scheduler, r.scheduled[0].ID = "10000", "1"
				r.mu.Unlock()
				pass(10 * time.Second)
				before := r.reason()
				for range 3 {
					w.Asked(tc.run, tc.status, tc.err)
					pass(4 * time.Second)
				}
				if tc.want == "" {
					require.Equal(t, before, r.reason())
					require.Empty(t, r.scheduled[0].Reason)
					return
				}
				want := "waiting for party 9999 (guest): since 2000-01-01T00:00:10Z " + tc.want
				require.Equal(t, want+tc.words, r.reason())
				require.Equal(t, want, r.scheduled[0].Reason, "others read it")
				require.Equal(t, 1, strings.Count(log.String(), "party=9999"), "%s", log)
				w.Asked(tc.run, openflow.TaskRunning, nil)
				pass(4 * time.Second)
				require.Equal(t, before, r.reason())
				require.Empty(t, r.scheduled[0].Reason)

				w.Asked(tc.run, tc.status, tc.err)
				pass(4 * time.Second)
				w.Asked(tc.run, tc.status, tc.err)
				pass(4 * time.Second)
				require.Contains(t, r.reason(), tc.want)
				w.Heard(tc.run)
				pass(4 * time.Second)
				require.Equal(t, before, r.reason(), "it has reported")
			})
		})
	}
}

// A question that was lost while a party was silent is no reason any more when it answers again. Of many only some are named.
func TestQuestionsWhileAPartyIsSilent(t *testing.T) {
	watching(t, ended, func(r *running, l *line, w *partner.Watch, _ *bytes.Buffer) {
		r.mu.Lock()
		r.jobs[0].Scheduler, r.scheduled[0].ID = "10000", "1"
		r.mu.Unlock()
		k := openflow.TaskKey{Scheduler: "10000", Job: "1", Task: "b", Party: openflow.Party{Role: openflow.RoleGuest, ID: "9999"}}
		pass(10 * time.Second)
		before := r.reason()
		l.set(func(l *line) { l.wrong["9999"] = openflow.Errorf(openflow.CodeUnavailable, "down") })
		pass(4 * time.Second)
		w.Asked(k, "", openflow.AtParty("9999", openflow.Errorf(openflow.CodeUnavailable, "down")))
		pass(4 * time.Second)
		require.NotContains(t, r.reason(), "task b")
		l.set(func(l *line) { clear(l.wrong) })
		pass(4 * time.Second)
		require.Equal(t, before, r.reason())
		for _, task := range []openflow.TaskName{"a", "b", "c", "d", "e"} {
			k.Task = task
			w.Asked(k, "", unusable("told an unknown status"))
		}
		pass(4 * time.Second)
		require.Equal(t, 3, strings.Count(r.reason(), "how task "))
		require.Contains(t, r.reason(), "; 2 more such")
	})
}
