package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/workflows"
)

// reasons lists what the scheduler's record has said of the end, in order.
func (w *world) reasons() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []string
	for _, r := range w.records {
		if r.Status.Terminal() {
			list = append(list, r.Reason)
		}
	}
	return list
}

// asked asks for the end of the job and returns what the answer was in the end.
func (w *world) asked(d time.Duration, id string) *openflow.Stopped {
	got := &openflow.Stopped{}
	w.after(d, func() {
		w.env.UpdateWorkflow(workflows.UpdateStop, id, answered{updated{w, id}, got},
			workflows.StopRequest{Status: openflow.JobCanceled, Reason: "stopped by party 9999"})
	})
	return got
}

type answered struct {
	updated
	into *openflow.Stopped
}

func (a answered) Complete(result any, err error) {
	a.updated.Complete(result, err)
	if s, ok := result.(workflows.Stopped); ok {
		*a.into = s.Decode()
	}
}

func TestStopIsAnsweredWhenNothingRunsAnyMore(t *testing.T) {
	w := newWorld(t)
	w.runs["a guest"], w.runs["a host"] = run{never: true}, run{never: true}
	got := w.asked(time.Minute, "stop")
	require.Equal(t, openflow.JobCanceled, w.run(chain()))
	require.NoError(t, w.accepted["stop"])
	require.Equal(t, openflow.Stopped{Status: openflow.JobCanceled, Reason: "stopped by party 9999"}, *got)
	require.Equal(t, []string{
		"stopped by party 9999; stopping at 9999 (guest), 10000 (host) until it is confirmed", "stopped by party 9999",
	}, w.reasons())
	require.Empty(t, w.kinds("update"), "what is over in a moment is no news")
	require.Empty(t, w.kinds("collect"), "the parties report")
	require.Len(t, w.kinds("stop"), 2)
}

// The job is canceled at once and says whom it still asks; that party is told as soon as it answers.
func TestStopWithAPartyOutOfReach(t *testing.T) {
	w := newWorld(t)
	p := chain()
	p.Parties = []openflow.Party{guest, host, arbiter}
	w.runs["a guest"], w.runs["a host"] = run{never: true, silent: true}, run{never: true} // the guest is asked how its run has ended
	w.answer["stop host"] = times(envAttempts, openflow.CodeUnavailable, "no route to host")
	const began = time.Minute
	start := w.env.Now()
	got := w.asked(began, "stop")
	require.Equal(t, openflow.JobCanceled, w.run(p))

	const stopping = "stopped by party 9999; stopping at 10000 (host) until it is confirmed"
	require.Equal(t, []openflow.Party{host}, got.Stopping, "the one who asked is not kept waiting for it")
	require.Equal(t, stopping, got.Reason)
	reasons := w.reasons()
	require.Equal(t, []string{stopping, "stopped by party 9999"}, reasons[len(reasons)-2:])
	require.Less(t, w.called("stop guest")[0].at.Sub(start), began+time.Second, "at once")
	var told []string
	for _, c := range w.called("update arbiter") {
		told = append(told, c.reason)
	}
	require.Equal(t, []string{stopping, "stopped by party 9999"}, told[max(len(told)-2, 0):], "the parties see it too: %v", w.called(""))
	require.Greater(t, w.env.Now().Sub(start), began+30*time.Second)
	require.Equal(t, openflow.TaskCanceled, w.status[openflow.TaskKey{Scheduler: "9999", Job: "J", Task: "a", Party: host}])
}

// A party that refuses to hear of the end, or cannot take it because its disk is full, has not heard of it: its runs go on,
// and it is told until it does.
func TestStopThatIsRefusedIsToldAgain(t *testing.T) {
	for _, code := range []openflow.Code{
		openflow.CodeUnauthorized, openflow.CodePermission, openflow.CodeInvalid, openflow.CodeExhausted, openflow.CodeInternal,
	} {
		t.Run(string(code), func(t *testing.T) {
			w := newWorld(t)
			w.runs["a guest"], w.runs["a host"] = run{never: true}, run{never: true}
			w.answer["stop host"] = times(8, code, "the request is signed with a key that is not in the record here")
			got := w.asked(time.Minute, "stop")
			require.Equal(t, openflow.JobCanceled, w.run(chain()))
			require.Equal(t, []openflow.Party{host}, got.Stopping)
			require.Equal(t, "stopped by party 9999; stopping at 10000 (host) until it is confirmed", got.Reason)
			require.Len(t, w.kinds("stop host"), 9)
			require.Equal(t, "stopped by party 9999", w.last().Reason)
			require.Equal(t, openflow.TaskCanceled, w.status[openflow.TaskKey{Scheduler: "9999", Job: "J", Task: "a", Party: host}])
		})
	}
}

// Nothing of a refused job stays waiting at those who had created it.
func TestTasksOfARefusedJobEnd(t *testing.T) {
	w := newWorld(t)
	w.answer["create host"] = answers(openflow.CodeRejected, "no")
	require.Equal(t, openflow.JobFailed, w.run(chain()))
	var told []string
	for _, c := range w.called("told ") {
		if c.status == string(openflow.TaskCanceled) {
			told = append(told, c.what)
		}
	}
	require.Subset(t, told, []string{"told a guest", "told b guest", "told c guest"})
}

// A party that refuses the job for the signature has nothing of it: its end waits for nothing there.
func TestEndDoesNotWaitForAPartyThatRefusedTheJob(t *testing.T) {
	w := newWorld(t)
	refuses := answers(openflow.CodeUnauthorized, "unknown key")
	w.answer["create host"], w.answer["stop host"] = refuses, refuses
	start := w.env.Now()
	require.Equal(t, openflow.JobFailed, w.run(chain()))
	require.Less(t, w.env.Now().Sub(start), time.Minute)
	require.NotContains(t, w.last().Reason, "confirmed")
}

func TestPartyThatNeverConfirmsIsNamedInTheEnd(t *testing.T) {
	w := newWorld(t)
	w.runs["a guest"], w.runs["a host"] = run{never: true}, run{never: true}
	w.answer["stop host"] = answers(openflow.CodeUnavailable, "gone")
	w.after(time.Minute, func() { w.stop(openflow.JobCanceled, "enough") })
	start := w.env.Now()
	require.Equal(t, openflow.JobCanceled, w.run(chain()))
	require.Equal(t, "enough; never confirmed by 10000 (host)", w.last().Reason)
	require.WithinDuration(t, start.Add(chain().Timing.Undo), w.env.Now(), 2*time.Hour)
}

func TestLostReportOfAStopIsCollected(t *testing.T) {
	for _, mode := range []openflow.SyncType{openflow.Callback, openflow.Poll} {
		t.Run(string(mode), func(t *testing.T) {
			w := newWorld(t)
			p := chain()
			p.SyncType, p.Timing.Collect = mode, 12*time.Hour
			w.runs["a guest"], w.runs["a host"] = run{never: true}, run{never: true, silent: true}
			start := w.env.Now()
			w.after(time.Minute, func() { w.stop(openflow.JobCanceled, "enough") })
			require.Equal(t, openflow.JobCanceled, w.run(p))
			require.Equal(t, "enough", w.last().Reason)
			require.NotEmpty(t, w.kinds("collect a host"))
			require.Less(t, w.env.Now().Sub(start), time.Minute+5*time.Second)
		})
	}
}

// A container that does not end, or was started beside the stop, is told of again; the job says where.
func TestRunThatGoesOnIsStoppedAgain(t *testing.T) {
	w := newWorld(t)
	w.runs["a guest"], w.runs["a host"] = run{never: true}, run{never: true, undying: true}
	w.answer["stop host"] = func(n int) error {
		if n == 3 {
			w.runs["a host"] = run{never: true} // take holds the lock
		}
		return nil
	}
	w.after(time.Minute, func() { w.stop(openflow.JobCanceled, "enough") })
	require.Equal(t, openflow.JobCanceled, w.run(chain()))
	require.Len(t, w.kinds("stop host"), 3)
	require.Len(t, w.kinds("stop guest"), 1)
	require.Contains(t, w.reasons(), "enough; stopping at 10000 (host) until it is confirmed")
	require.Equal(t, "enough", w.last().Reason)
}

// A party that has been removed as a peer is not asked any more, and the job waits for nothing there.
func TestEndDoesNotWaitForARemovedParty(t *testing.T) {
	w := newWorld(t)
	w.runs["a guest"], w.runs["a host"] = run{never: true}, run{never: true, undying: true}
	gone := func(int) error {
		return openflow.About(openflow.AboutSite, openflow.Errorf(openflow.CodeInvalid, "party 10000 is not known here"))
	}
	w.answer["stop host"], w.answer["collect a host"] = gone, gone
	w.after(time.Minute, func() { w.stop(openflow.JobCanceled, "party 10000 was removed at party 9999") })
	start := w.env.Now()
	require.Equal(t, openflow.JobCanceled, w.run(chain()))
	require.Less(t, w.env.Now().Sub(start), 2*time.Minute)
	require.Equal(t, "party 10000 was removed at party 9999", w.last().Reason)
}

func TestStopOfAnEndingJobChangesNothing(t *testing.T) {
	w := newWorld(t)
	w.runs["a host"] = run{status: openflow.TaskFailed, err: "exit code 7"}
	w.answer["stop host"] = times(8, openflow.CodeUnavailable, "down")
	got := w.asked(5*time.Second, "late")
	require.Equal(t, openflow.JobFailed, w.run(chain()))
	require.Equal(t, openflow.JobFailed, got.Status)
	require.NotContains(t, w.last().Reason, "stopped by")
	require.Equal(t, []openflow.Party{host}, got.Stopping)
}

func TestJobTimeout(t *testing.T) {
	w := newWorld(t)
	p := chain()
	p.Timeout = time.Hour
	w.answer["apply host"] = times(30, openflow.CodeExhausted, "busy") // what it waits for its resources does not count
	w.runs["b guest"], w.runs["b host"] = run{never: true}, run{never: true}
	require.Equal(t, openflow.JobTimeout, w.run(p))
	require.Equal(t, "the job ran longer than its timeout of 1h0m0s", w.last().Reason)
	started, stopped := w.called("start a guest")[0].at, w.called("stop guest")[0].at
	require.WithinDuration(t, started.Add(time.Hour), stopped, time.Second)
	require.Empty(t, w.kinds("start c"))
	require.Len(t, w.kinds("start b"), 2, "a timeout of the job is not retried")
}

func TestJobThatIsFasterThanItsTimeout(t *testing.T) {
	w := newWorld(t)
	p := chain()
	p.Timeout = time.Hour
	start := w.env.Now()
	require.Equal(t, openflow.JobSuccess, w.run(p))
	require.Less(t, w.env.Now().Sub(start), time.Minute)
}
