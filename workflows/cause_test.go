package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	sdkpb "go.temporal.io/api/sdk/v1"

	"openflow"
)

const (
	theCause       = `task "a" failed at party 10000 (host): component noop refused its input or parameters (invalid): too few rows; users of party 10000 see more with "openflow job show"`
	theConsequence = `task "a" failed at party 9999 (guest): component noop was stopped (canceled): session ended; users of party 9999 see more with "openflow job show"`
)

// guestFollows is a world in which the guest of task a tells after a second that it failed because of the host, which
// tells why after that long.
func guestFollows(t *testing.T, after time.Duration) *world {
	w := newWorld(t)
	w.runs["a guest"] = run{status: openflow.TaskFailed, code: openflow.CodeCanceled, err: "session ended", follows: true}
	w.runs["a host"] = run{after: after, status: openflow.TaskFailed, code: openflow.CodeInvalid, err: "too few rows", undying: true}
	return w
}

func TestTheCauseIsWaitedFor(t *testing.T) {
	w := guestFollows(t, 2*time.Second)
	require.Equal(t, openflow.JobFailed, w.run(chain()))
	for _, c := range w.called("stop ") {
		require.Equal(t, theCause, c.reason, c.what)
	}
	require.Equal(t, theCause, w.last().Reason)
	require.NotContains(t, w.reasons(), theConsequence, "nobody has ever read it")
}

// The page of a workflow takes details for Markdown. What a party writes is text there: nothing is fetched from elsewhere.
func TestWordsOfAPartyAreNoMarkdown(t *testing.T) {
	w := newWorld(t)
	w.runs["a host"] = run{status: openflow.TaskFailed, code: openflow.CodeInvalid, err: "![](http://x.test/p.png) <img src=//x.test> [here](http://x.test)"}
	require.Equal(t, openflow.JobFailed, w.run(chain()))
	require.Contains(t, w.last().Reason, "![](http", "rows and errors have the words as they are")
	value, err := w.env.QueryWorkflow("__temporal_workflow_metadata")
	require.NoError(t, err)
	var shown sdkpb.WorkflowMetadata
	require.NoError(t, value.Get(&shown))
	require.Contains(t, shown.GetCurrentDetails(), `!\[](http://x.test/p.png) \<img src=//x.test> \[here](http://x.test)`)
}

func TestTheCauseIsNotWaitedForLong(t *testing.T) {
	w := guestFollows(t, 10*time.Second)
	require.Equal(t, openflow.JobFailed, w.run(chain()))
	stops := w.called("stop ")[:2] // the host's is repeated while its run goes on
	started := w.called("start a guest")[0].at
	for _, c := range stops {
		require.Equal(t, theConsequence, c.reason, "what is known then")
		require.Less(t, c.at.Sub(started), 5*time.Second)
	}
	require.Equal(t, theCause, w.last().Reason, "but the truth is told once it is known")
	for _, party := range []string{"guest", "host"} {
		told := w.called("update " + party)
		require.NotEmpty(t, told)
		require.Equal(t, theCause, told[len(told)-1].reason, party)
	}
}

func TestConsequencesOnly(t *testing.T) {
	w := guestFollows(t, 2*time.Second)
	w.runs["a host"] = run{status: openflow.TaskFailed, code: openflow.CodeCanceled, err: "session ended", follows: true, after: 2 * time.Second}
	require.Equal(t, openflow.JobFailed, w.run(chain()))
	require.Equal(t, theConsequence, w.last().Reason)
}

// Somebody who stops the job is not blamed for a failure, nor is the failure for the stop.
func TestStopWhileTheCauseIsWaitedFor(t *testing.T) {
	w := guestFollows(t, time.Minute)
	w.after(3*time.Second, func() { w.stop(openflow.JobCanceled, "enough") })
	require.Equal(t, openflow.JobCanceled, w.run(chain()))
	require.Equal(t, "enough", w.last().Reason)
}

// Why a party does not accept a job may name its tables, which the DAGs of the others do not show.
func TestRefusalOfTheJobIsForThoseWhomItConcerns(t *testing.T) {
	w := newWorld(t)
	w.answer["create host"] = answers(openflow.CodeNotFound, "no table credit/payroll")
	p := chain()
	p.Parties = append(p.Parties, openflow.Party{Role: openflow.RoleArbiter, ID: "10001"})
	require.Equal(t, openflow.JobFailed, w.run(p))
	require.Contains(t, w.last().Reason, "at party 10000: no table credit/payroll")
	for party, want := range map[string]string{
		"guest": "at party 10000: no table credit/payroll", "host": "at party 10000: no table credit/payroll",
		"arbiter": "not all parties accepted the job (not_found); party 9999, which submitted it, knows more",
	} {
		told := w.called("stop " + party)
		require.NotEmpty(t, told, party)
		require.Equal(t, want, told[0].reason, party)
	}
	for _, c := range w.called("update arbiter") {
		require.NotContains(t, c.reason, "payroll")
	}
}
