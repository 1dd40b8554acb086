package workflows_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
)

// gaps are the times between the calls of a kind, the first one since the start.
func (w *world) gaps(prefix string, since time.Time) []time.Duration {
	var list []time.Duration
	for _, c := range w.called(prefix) {
		list = append(list, c.at.Sub(since))
		since = c.at
	}
	return list
}

// A run of ten hours is asked every quarter of a second in the beginning and every ten minutes in the end.
func TestPullBacksOff(t *testing.T) {
	w := newWorld(t)
	p := jobOf(task("a"))
	p.SyncType, p.Timing.Collect = openflow.Poll, 10*time.Minute
	w.runs["a guest"], w.runs["a host"] = run{silent: true, after: 10 * time.Hour}, run{silent: true, after: 10 * time.Hour}
	start := w.env.Now()
	require.Equal(t, openflow.JobSuccess, w.run(p))
	gaps := w.gaps("collect a host", start)
	require.Less(t, gaps[0], time.Second)
	for i, gap := range gaps {
		require.LessOrEqual(t, gap, 10*time.Minute+time.Second, "gap %d", i)
		if i > 0 {
			require.GreaterOrEqual(t, gap+time.Millisecond, gaps[i-1], "gap %d", i)
		}
	}
	require.Less(t, len(gaps), 300, "ten hours by quarters of a second would be 144,000")
	require.Less(t, w.env.Now().Sub(start), 10*time.Hour+11*time.Minute)
}

// Parties report, so they are asked now and then only: never before a minute of silence, and the less the longer.
func TestPushCollectsNowAndThen(t *testing.T) {
	w := newWorld(t)
	p := jobOf(task("a"), task("b", "a"))
	p.Timing.Collect = time.Minute
	w.runs["a guest"], w.runs["a host"] = run{after: 50 * time.Second}, run{after: 50 * time.Second}
	w.runs["b guest"], w.runs["b host"] = run{after: 3 * time.Hour}, run{after: 3 * time.Hour}
	start := w.env.Now()
	require.Equal(t, openflow.JobSuccess, w.run(p))
	require.Empty(t, w.kinds("collect a"))
	gaps := w.gaps("collect b host", start)
	require.NotEmpty(t, gaps)
	for i, gap := range gaps {
		require.GreaterOrEqual(t, gap, time.Minute, "gap %d", i)
	}
	require.Less(t, len(gaps), 100, "three hours by the minute would be 180")
	require.WithinDuration(t, start.Add(3*time.Hour+50*time.Second), w.env.Now(), time.Second, "a report is not waited for by asking")
}

// A task that starts beside one that has run for hours is asked for as often as if it were alone.
func TestPullTurnsToWhatHasJustStarted(t *testing.T) {
	w := newWorld(t)
	p := jobOf(openflow.PlannedTask{Name: "a", Component: "noop", Parties: []openflow.Party{guest}},
		openflow.PlannedTask{Name: "b", Component: "noop", Parties: []openflow.Party{host}},
		openflow.PlannedTask{Name: "c", Component: "noop", Upstreams: []openflow.TaskName{"a"}, Parties: []openflow.Party{guest}},
		openflow.PlannedTask{Name: "d", Component: "noop", Upstreams: []openflow.TaskName{"c"}, Parties: []openflow.Party{guest}})
	p.SyncType, p.Timing.Collect = openflow.Poll, 10*time.Minute
	w.runs["a guest"], w.runs["b host"] = run{silent: true, after: 5 * time.Hour}, run{silent: true, after: 9 * time.Hour}
	w.runs["c guest"], w.runs["d guest"] = run{silent: true}, run{silent: true}
	require.Equal(t, openflow.JobSuccess, w.run(p))
	require.Less(t, w.called("start d guest")[0].at.Sub(w.called("start c guest")[0].at), 2*time.Second)
}

// Asking goes on beside everything else: a party that cannot be asked delays its own news only.
func TestPullIsOffTheHotPath(t *testing.T) {
	w := newWorld(t)
	p := jobOf(openflow.PlannedTask{Name: "a", Component: "noop", Parties: []openflow.Party{guest}},
		openflow.PlannedTask{Name: "b", Component: "noop", Parties: []openflow.Party{host}},
		openflow.PlannedTask{Name: "c", Component: "noop", Upstreams: []openflow.TaskName{"a"}, Parties: []openflow.Party{guest}})
	p.SyncType = openflow.Poll
	for _, name := range []string{"a guest", "b host", "c guest"} {
		w.runs[name] = run{silent: true}
	}
	w.answer["collect b host"] = times(200, openflow.CodeUnavailable, "does not answer")
	start := w.env.Now()
	require.Equal(t, openflow.JobSuccess, w.run(p))
	require.Less(t, w.called("start c guest")[0].at.Sub(start), 3*time.Second, "a's end is seen at once")
	require.Zero(t, w.regular["CollectTask"], "a try that fails is not repeated by itself")
}

// A party that has forgotten a run which it had accepted ends the job, whether it was to report or to be asked.
func TestForgottenRun(t *testing.T) {
	for _, way := range []openflow.SyncType{openflow.Callback, openflow.Poll} {
		w := newWorld(t)
		p := jobOf(task("a"))
		p.SyncType, p.Timing.Collect = way, time.Minute
		w.runs["a guest"], w.runs["a host"] = run{never: true}, run{never: true}
		w.answer["collect a host"] = answers(openflow.CodeNotFound, "no such run")
		require.Equal(t, openflow.JobFailed, w.run(p), way)
		require.Contains(t, w.last().Reason, `task "a" is lost at party 10000 (host)`)
	}
}
