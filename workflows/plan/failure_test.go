package plan_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/workflows/plan"
)

// said is a report of a party about task a.
func said(p openflow.Party, s openflow.TaskStatus, c openflow.Cause) openflow.Report {
	r := report("a", p, s)
	r.Cause = c
	return r
}

// The reason blames whose run failed first by its own cause, whoever is the first to speak.
func TestReason(t *testing.T) {
	own := func(code openflow.Code, text string) openflow.Cause { return openflow.Cause{Code: code, Text: text} }
	follows := func(text string) openflow.Cause {
		return openflow.Cause{Code: openflow.CodeCanceled, Text: text, Consequence: true}
	}
	const (
		atHost  = `task "a" failed at party 10000 (host): component noop `
		atGuest = `task "a" failed at party 9999 (guest): component noop `
		more    = ` see more with "openflow job show"`
	)
	for name, tc := range map[string]struct {
		reports []openflow.Report
		want    string
		suspect bool // before the last report, and after it unless settled
		settled bool
	}{
		"nothing marked": {
			reports: []openflow.Report{said(host, failed, own(openflow.CodeInvalid, ""))},
			want:    atHost + "refused its input or parameters (invalid); users of party 10000" + more,
		},
		"a marked text": {
			reports: []openflow.Report{said(host, failed, own(openflow.CodeInvalid, "too few rows"))},
			want:    atHost + "refused its input or parameters (invalid): too few rows; users of party 10000" + more,
		},
		"another code": {
			reports: []openflow.Report{said(host, failed, own(openflow.CodeInternal, "the component panicked"))},
			want:    atHost + "failed (internal): the component panicked; users of party 10000" + more,
		},
		"not offered": {
			reports: []openflow.Report{said(host, failed, own(openflow.CodeUnimplemented, ""))},
			want:    atHost + "does not offer what it was asked for (unimplemented); users of party 10000" + more,
		},
		"a site that says nothing, as FATE-Flow's": {
			reports: []openflow.Report{said(host, failed, openflow.Cause{})},
			want:    atHost + "failed, and its site does not say why",
		},
		"a timeout": {
			reports: []openflow.Report{said(host, timeout, own(openflow.CodeDeadline, "too long"))},
			want:    `task "a" timeout at party 10000 (host): component noop failed (deadline): too long`,
		},
		"the cause after its consequence": {
			reports: []openflow.Report{said(guest, failed, follows("session ended")), said(host, failed, own(openflow.CodeInvalid, ""))},
			want:    atHost + "refused its input or parameters (invalid); users of party 10000" + more, suspect: true, settled: true,
		},
		"the consequence after the cause": {
			reports: []openflow.Report{said(host, failed, own(openflow.CodeInvalid, "")), said(guest, failed, follows("session ended"))},
			want:    atHost + "refused its input or parameters (invalid); users of party 10000" + more,
		},
		"two causes: the first": {
			reports: []openflow.Report{said(guest, failed, own(openflow.CodeInternal, "one")), said(host, failed, own(openflow.CodeInternal, "two"))},
			want:    atGuest + "failed (internal): one; users of party 9999" + more,
		},
		"a cause beside a stop": {
			reports: []openflow.Report{said(guest, canceled, follows("it was stopped")), said(host, canceled, own(openflow.CodeInvalid, "why"))},
			want:    `task "a" canceled at party 10000 (host): component noop refused its input or parameters (invalid): why`, suspect: true, settled: true,
		},
		"consequences only: the first": {
			reports: []openflow.Report{said(guest, failed, follows("one")), said(host, failed, follows("two"))},
			want:    atGuest + "was stopped (canceled): one; users of party 9999" + more, suspect: true, settled: true,
		},
		"a consequence, and the other is silent": {
			reports: []openflow.Report{said(guest, failed, follows("one"))},
			want:    atGuest + "was stopped (canceled): one; users of party 9999" + more, suspect: true,
		},
		"a consequence, and the other has succeeded": {
			reports: []openflow.Report{said(host, success, openflow.Cause{}), said(guest, failed, follows("one"))},
			want:    atGuest + "was stopped (canceled): one; users of party 9999" + more, settled: true,
		},
		"nothing failed": {reports: []openflow.Report{said(host, success, openflow.Cause{})}},
	} {
		t.Run(name, func(t *testing.T) {
			s := plan.New([]openflow.PlannedTask{task("a")}, 0)
			start(s, "a")
			for i, r := range tc.reports {
				if i == len(tc.reports)-1 && i > 0 && tc.settled {
					require.Equal(t, tc.suspect, s.Suspect(), "before the last word")
				}
				require.True(t, s.Report(r))
			}
			require.Equal(t, tc.suspect && !tc.settled, s.Suspect())
			require.Equal(t, tc.want, s.Reason())
			if step := s.Next(); step.End != "" && step.End != openflow.JobSuccess {
				require.Equal(t, tc.want, step.Reason)
			}
		})
	}
}

// Of two branches that fail, the one that failed first is blamed, in whatever order the plan has them.
func TestReasonOfBranches(t *testing.T) {
	s := plan.New([]openflow.PlannedTask{task("a"), task("b")}, 0)
	start(s, "a", "b")
	late, early := report("a", host, failed), report("b", guest, failed)
	late.Cause, early.Cause = openflow.Cause{Code: openflow.CodeInvalid, Text: "late"}, openflow.Cause{Code: openflow.CodeInvalid, Text: "early"}
	s.Report(early)
	s.Report(late)
	require.Contains(t, s.Next().Reason, "early")
}

func TestNotStarted(t *testing.T) {
	s := plan.New([]openflow.PlannedTask{task("a")}, 0)
	start(s, "a")
	k := openflow.TaskKey{Scheduler: "9999", Job: "J", Task: "a", Party: host}
	require.True(t, s.NotStarted(k, openflow.Cause{Code: openflow.CodeInvalid, Text: "no component"}))
	require.False(t, s.NotStarted(k, openflow.Cause{Text: "again"}))
	step := s.Next()
	require.Equal(t, openflow.JobFailed, step.End)
	require.Equal(t, `task "a" could not be started at party 10000 (host): no component`, step.Reason)
}

// What is tried again is forgotten.
func TestNobodyIsBlamedForWhatIsTriedAgain(t *testing.T) {
	s := plan.New([]openflow.PlannedTask{task("a")}, 1)
	start(s, "a")
	s.Report(said(host, failed, openflow.Cause{Code: openflow.CodeInvalid}))
	require.Empty(t, s.Next().End)
	require.Empty(t, s.Reason())
	require.False(t, s.Suspect())
}

// A party that speaks of a run before anybody has asked for it changes no reason and suspects nobody.
func TestFailureOfWhatHasNotStarted(t *testing.T) {
	s := plan.New([]openflow.PlannedTask{task("a"), task("b", "a")}, 0)
	start(s, "a")
	early := report("b", host, failed)
	early.Cause = openflow.Cause{Code: openflow.CodeInvalid, Text: "guest 9999 has failed"}
	s.Report(early)
	contradicting := early
	contradicting.Status = success
	require.False(t, s.Report(contradicting), "nor does it then")
	require.Empty(t, s.Reason())
	require.Empty(t, s.Next().End)
	lied := report("a", guest, failed)
	lied.Cause = openflow.Cause{Code: openflow.CodeInternal, Consequence: true}
	s.Report(lied)
	require.True(t, s.Suspect(), "the other party of the task may have failed before")
	require.Contains(t, s.Reason(), `task "a" failed at party 9999`)
	s.Report(report("a", host, success))
	require.False(t, s.Suspect())
	require.Contains(t, s.Reason(), `task "a" failed at party 9999`, "a consequence of nothing is the cause")
}
