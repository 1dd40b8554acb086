package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/workflows/plan"
)

// failOnce makes the first version of a task's run at the host fail, and later ones succeed.
func (w *world) failOnce(name string) {
	w.runs[name] = run{status: openflow.TaskFailed, err: "boom"}
	w.answer["rerun "+name] = func(int) error {
		w.runs[name] = run{} // take holds the lock
		return nil
	}
}

func TestRetryMakesANewVersionAndNeverShowsFailure(t *testing.T) {
	w := newWorld(t)
	w.failOnce("b host")
	p := chain()
	p.AutoRetries = 1
	require.Equal(t, openflow.JobSuccess, w.run(p))
	require.Len(t, w.called("start b host"), 2)
	require.Len(t, w.called("rerun b guest"), 1, "both parties begin the new version")
	require.Len(t, w.called("start a host"), 1, "what has succeeded is not repeated")
	for _, r := range w.records {
		require.NotEqual(t, openflow.JobFailed, r.Status)
	}
	require.Equal(t, []openflow.TaskRun{
		{Name: "a", Started: true, Status: openflow.TaskSuccess},
		{Name: "b", Version: 1, Started: true, Status: openflow.TaskSuccess},
		{Name: "c", Started: true, Status: openflow.TaskSuccess},
	}, w.ended)
}

func TestRetriesAreCounted(t *testing.T) {
	w := newWorld(t)
	w.runs["b host"] = run{status: openflow.TaskFailed, err: "boom"}
	p := chain()
	p.AutoRetries = 2
	require.Equal(t, openflow.JobFailed, w.run(p))
	require.Len(t, w.called("start b host"), 3)
	require.Contains(t, w.last().Reason, "boom")
}

func TestWhatSomebodyStoppedIsNotRetried(t *testing.T) {
	w := newWorld(t)
	w.runs["a host"] = run{never: true}
	w.after(time.Minute, func() { w.stop(openflow.JobCanceled, "enough") })
	p := chain()
	p.AutoRetries = 5
	require.Equal(t, openflow.JobCanceled, w.run(p))
	require.Len(t, w.called("start a host"), 1)
}

func TestReportOfAnOlderVersionChangesNothing(t *testing.T) {
	w := newWorld(t)
	w.failOnce("b host")
	old := openflow.TaskKey{Scheduler: "9999", Job: chain().ID, Task: "b", Party: guest}
	w.runs["b guest"] = run{after: 10 * time.Second}
	w.after(5*time.Second, func() { w.end(old, run{status: openflow.TaskFailed, err: "late"}) })
	p := chain()
	p.AutoRetries = 1
	require.Equal(t, openflow.JobSuccess, w.run(p))
}

// A rerun for which there is no room is refused at once, and tells no party of anything but its end.
func TestRerunWithoutRoom(t *testing.T) {
	w := newWorld(t)
	w.full = true
	p := chain()
	p.Again, p.Tasks = true, plan.Rerun(p.Tasks, []openflow.TaskRun{
		{Name: "a", Started: true, Status: openflow.TaskSuccess}, {Name: "b", Started: true, Status: openflow.TaskFailed},
	})
	require.Equal(t, openflow.JobFailed, w.run(p))
	require.Empty(t, w.called("update host"), "no party opens it")
	require.Empty(t, w.called("start b host"))
	require.Contains(t, w.last().Reason, "as many jobs as it may have")
	require.Equal(t, []openflow.TaskRun{
		{Name: "a", Started: true, Status: openflow.TaskSuccess}, {Name: "b", Version: 1, Status: openflow.TaskWaiting}, {Name: "c", Status: openflow.TaskWaiting},
	}, w.ended, "from which it can be run again")
}

func TestRerunKeepsWhatSucceeded(t *testing.T) {
	w := newWorld(t)
	w.runs["b host"] = run{status: openflow.TaskFailed, err: "boom"}
	first := chain()
	require.Equal(t, openflow.JobFailed, w.run(first))

	again := newWorld(t)
	second := chain()
	second.Again, second.Tasks = true, plan.Rerun(second.Tasks, w.ended)
	require.Equal(t, openflow.JobSuccess, again.run(second))
	require.Empty(t, again.called("create host"), "its parties know the job")
	require.Equal(t, openflow.JobWaiting, again.records[0].Status, "the scheduler's record opens before anything else")
	require.Len(t, again.called("update host"), 1, "it waits once more")
	require.Empty(t, again.called("start a host"))
	require.Len(t, again.called("rerun b host"), 1)
	require.Empty(t, again.called("rerun c host"), "c was never started, so its first version runs now")
	require.Len(t, again.called("start c guest"), 1)
}
