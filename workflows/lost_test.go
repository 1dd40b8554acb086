package workflows_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/testsuite"

	"openflow"
	"openflow/activities"
	"openflow/store/document"
	"openflow/workflows"
)

// A workflow in the place of one that is gone starts nothing. It tells every party, also one that does not answer at first, and
// the record.
func TestLostJobEndsEverywhere(t *testing.T) {
	w := newWorld(t)
	w.answer["stop host"] = times(3, openflow.CodeUnavailable, "away")
	p := chain()
	p.Lost = openflow.Lost{Status: openflow.JobFailed, Reason: "terminated"}
	w.after(time.Millisecond, func() { w.update(workflows.UpdateCreated, "created") })
	require.Equal(t, openflow.JobFailed, w.run(p))
	require.ErrorContains(t, w.accepted["created"], "job J has ended: terminated", "whoever waits for its creation")
	require.Empty(t, w.kinds("create"))
	require.Empty(t, w.kinds("start"))
	require.Len(t, w.kinds("stop host"), 4)
	require.Len(t, w.kinds("stop guest"), 1)
	require.Equal(t, "terminated", w.last().Reason)
	for _, r := range w.ended {
		require.False(t, r.Started, "nobody knows, so it is not run again")
	}
}

// A stop of such a job is told how far its end is.
func TestStopOfALostJobIsAnswered(t *testing.T) {
	w := newWorld(t)
	w.answer["stop host"] = times(5, openflow.CodeUnavailable, "away")
	got := w.asked(time.Second, "stop")
	p := chain()
	p.Lost = openflow.Lost{Status: openflow.JobFailed, Reason: "terminated"}
	require.Equal(t, openflow.JobFailed, w.run(p))
	require.NoError(t, w.accepted["stop"])
	require.Equal(t, openflow.JobFailed, got.Status)
}

// A workflow in the place of a run's records the end of it and reports that.
func TestLostRun(t *testing.T) {
	n := &node{}
	env := taskEnv(n)
	o := order()
	o.Lost = "the workflow of the run was ended from outside (terminated by ann)"
	env.ExecuteWorkflow(workflows.Task, o)
	want := activities.Outcome{
		Status: openflow.TaskFailed, Error: o.Lost, Cause: document.Cause{Code: openflow.CodeUnavailable, Text: openflow.LostRunPublic},
	}
	closed(t, env, want)
	require.Zero(t, n.runs)
	require.Equal(t, []activities.End{{Order: o, Outcome: want}}, n.ended)
	require.Equal(t, []activities.End{{Order: o, Outcome: want}}, n.reports)
}

// A job ends by itself before Temporal would end its workflow.
func TestJobEndsBeforeItsHistoryIsFull(t *testing.T) {
	for name, fill := range map[string]func(*testsuite.TestWorkflowEnvironment){
		"events": func(e *testsuite.TestWorkflowEnvironment) { e.SetCurrentHistoryLength(40_000) },
		"bytes":  func(e *testsuite.TestWorkflowEnvironment) { e.SetCurrentHistorySize(40 << 20) },
	} {
		t.Run("while it runs: "+name, func(t *testing.T) {
			w := newWorld(t)
			w.runs["a guest"], w.runs["a host"] = run{never: true}, run{never: true}
			w.after(time.Hour, func() { fill(w.env) })
			require.Equal(t, openflow.JobFailed, w.run(chain()))
			require.Contains(t, w.last().Reason, "used up its history")
			require.NotContains(t, w.last().Reason, "never confirmed")
		})
		t.Run("while it waits: "+name, func(t *testing.T) {
			w := newWorld(t)
			w.answer["apply host"] = answers(openflow.CodeExhausted, "busy")
			w.after(time.Hour, func() { fill(w.env) })
			require.Equal(t, openflow.JobFailed, w.run(chain()))
			require.Contains(t, w.last().Reason, "used up its history")
		})
	}
}

// What a party says of its runs again and again, and changes nothing, is not taken.
func TestManyReports(t *testing.T) {
	w := newWorld(t)
	w.runs["a guest"], w.runs["a host"] = run{after: time.Minute}, run{after: time.Minute}
	report := func(task openflow.TaskName, version int, p openflow.Party, status openflow.TaskStatus) activities.Report {
		k := openflow.TaskKey{Scheduler: "9999", Job: "J", Task: task, Version: version, Party: p}
		return activities.Report{Run: document.EncodeRun(k), Status: status}
	}
	taken := 0
	for i := range 100 {
		w.after(time.Second+time.Duration(i)*time.Millisecond, func() {
			for j, r := range []activities.Report{
				report("a", 0, host, openflow.TaskWaiting), report("a", 1, host, openflow.TaskFailed), report("a", -1, host, openflow.TaskFailed),
				report("b", 0, host, openflow.TaskFailed), report("c", 0, host, openflow.TaskSuccess), report("d", 0, host, openflow.TaskFailed),
				report("a", 0, arbiter, openflow.TaskFailed), report("a", 0, host, openflow.TaskRunning),
			} {
				w.env.UpdateWorkflow(workflows.UpdateReport, fmt.Sprint(i, j), counted{&taken}, r)
			}
		})
	}
	require.Equal(t, openflow.JobSuccess, w.run(chain()))
	require.Zero(t, taken, "none of them changes anything")
}

type counted struct{ taken *int }

func (c counted) Accept()             { *c.taken++ }
func (c counted) Reject(error)        {}
func (c counted) Complete(any, error) {}

// What goes into a history has the size that a call across nodes leaves it.
func TestPayloadsAreSmall(t *testing.T) {
	text := openflow.Heard(string(make([]byte, 20<<20)))
	p, err := converter.GetDefaultDataConverter().ToPayloads(activities.Report{Cause: document.Cause{Text: text}}, workflows.EndRequest{Reason: text})
	require.NoError(t, err)
	require.Less(t, len(p.String()), 16<<10)
}
