package plan_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/workflows/plan"
)

var (
	guest = openflow.Party{Role: openflow.RoleGuest, ID: "9999"}
	host  = openflow.Party{Role: openflow.RoleHost, ID: "10000"}
)

const (
	waiting  = openflow.TaskWaiting
	running  = openflow.TaskRunning
	success  = openflow.TaskSuccess
	pass     = openflow.TaskPass
	failed   = openflow.TaskFailed
	timeout  = openflow.TaskTimeout
	canceled = openflow.TaskCanceled
)

// Task status from those of the parties: fate-flow-api §4.6.3.
func TestMerge(t *testing.T) {
	type statuses = []openflow.TaskStatus
	for name, tc := range map[string]struct {
		parties statuses
		want    openflow.TaskStatus
	}{
		"nobody":                     {nil, waiting},
		"all waiting":                {statuses{waiting, waiting}, waiting},
		"all running":                {statuses{running, running}, running},
		"all success":                {statuses{success, success}, success},
		"pass is success":            {statuses{success, pass}, success},
		"all pass":                   {statuses{pass, pass}, success},
		"one running":                {statuses{waiting, running}, running},
		"one done, one waiting":      {statuses{success, waiting}, running},
		"one done, one running":      {statuses{success, running}, running},
		"canceled before timeout":    {statuses{failed, timeout, canceled}, canceled},
		"timeout before failed":      {statuses{failed, timeout, success}, timeout},
		"failed before running":      {statuses{running, failed}, failed},
		"failed before waiting":      {statuses{waiting, failed}, failed},
		"one party, as it says":      {statuses{timeout}, timeout},
		"canceled wins over success": {statuses{success, canceled}, canceled},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, tc.want, plan.Merge(tc.parties)) })
	}
}

func task(name openflow.TaskName, ups ...openflow.TaskName) openflow.PlannedTask {
	return openflow.PlannedTask{Name: name, Component: "noop", Upstreams: ups, Parties: []openflow.Party{guest, host}}
}

func diamond() []openflow.PlannedTask {
	return []openflow.PlannedTask{task("a"), task("b", "a"), task("c", "a"), task("d", "b", "c")}
}

func report(task openflow.TaskName, p openflow.Party, s openflow.TaskStatus) openflow.Report {
	return openflow.Report{Key: openflow.TaskKey{Scheduler: "9999", Job: "J", Task: task, Party: p}, Status: s}
}

func both(s *plan.State, task openflow.TaskName, st openflow.TaskStatus) {
	s.Report(report(task, guest, st))
	s.Report(report(task, host, st))
}

type announcements = []plan.Announcement

func start(s *plan.State, names ...openflow.TaskName) {
	for _, n := range names {
		s.Started(n)
	}
}

// A diamond, step by step: parallel branches start together, each end is announced once.
func TestNextThroughADiamond(t *testing.T) {
	s := plan.New(diamond(), 0)
	step := func(want plan.Step) { t.Helper(); require.Empty(t, cmp.Diff(want, s.Next())) }

	step(plan.Step{Start: []openflow.TaskName{"a"}})
	start(s, "a")
	step(plan.Step{})
	s.Report(report("a", guest, success))
	step(plan.Step{})
	s.Report(report("a", host, success))
	step(plan.Step{
		Announce: announcements{{Task: "a", Status: success}}, Start: []openflow.TaskName{"b", "c"}, Progress: 25,
	})
	start(s, "b", "c")
	step(plan.Step{Progress: 25})
	both(s, "c", success)
	step(plan.Step{Announce: announcements{{Task: "c", Status: success}}, Progress: 50})
	both(s, "b", pass)
	step(plan.Step{Announce: announcements{{Task: "b", Status: success}}, Start: []openflow.TaskName{"d"}, Progress: 75})
	start(s, "d")
	both(s, "d", success)
	step(plan.Step{Announce: announcements{{Task: "d", Status: success}}, End: openflow.JobSuccess, Progress: 100})
	step(plan.Step{End: openflow.JobSuccess, Progress: 100})
}

func TestNothingStartsAfterAFailure(t *testing.T) {
	s := plan.New(diamond(), 0)
	start(s, "a")
	both(s, "a", success)
	s.Next()
	start(s, "b", "c")
	both(s, "b", success)
	r := report("c", host, failed)
	r.Cause = openflow.Cause{Code: openflow.CodeRejected, Text: "exit code 7"}
	s.Report(r)
	want := `task "c" failed at party 10000 (host): component noop failed (rejected): exit code 7; users of party 10000 see more with "openflow job show"`
	require.Empty(t, cmp.Diff(plan.Step{
		Announce: announcements{{Task: "b", Status: success}, {Task: "c", Status: failed, Reason: want}},
		End:      openflow.JobFailed, Reason: want, Code: openflow.CodeRejected, Progress: 75,
	}, s.Next()))
}

// A failure and what would let another task start can arrive together.
func TestFailureBesideAReadyTask(t *testing.T) {
	s := plan.New([]openflow.PlannedTask{task("a"), task("b"), task("c", "a")}, 0)
	start(s, "a", "b")
	both(s, "a", success)
	both(s, "b", failed)
	step := s.Next()
	require.Equal(t, openflow.JobFailed, step.End)
	require.Empty(t, step.Start)
	require.Len(t, step.Announce, 2)
}

// Failed comes before timeout before canceled: fate-flow-api §4.6.4.
func TestEndOfTheJob(t *testing.T) {
	for name, tc := range map[string]struct {
		b, c openflow.TaskStatus
		want openflow.JobStatus
	}{
		"failed and timeout":   {timeout, failed, openflow.JobFailed},
		"failed and canceled":  {canceled, failed, openflow.JobFailed},
		"timeout and canceled": {canceled, timeout, openflow.JobTimeout},
		"canceled":             {canceled, success, openflow.JobCanceled},
		"timeout":              {success, timeout, openflow.JobTimeout},
		"failed":               {running, failed, openflow.JobFailed},
		"success so far":       {success, success, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := plan.New(diamond(), 0)
			start(s, "a")
			both(s, "a", success)
			s.Next()
			start(s, "b", "c")
			both(s, "b", tc.b)
			both(s, "c", tc.c)
			step := s.Next()
			require.Equal(t, tc.want, step.End)
			require.Equal(t, tc.want == "", len(step.Start) > 0)
		})
	}
}

func TestFailureOfTwoPartiesTellsTheFirst(t *testing.T) {
	s := plan.New([]openflow.PlannedTask{task("a")}, 0)
	start(s, "a")
	first, second := report("a", guest, failed), report("a", host, canceled)
	first.Cause = openflow.Cause{Code: openflow.CodeRejected, Text: "the cause"}
	second.Cause = openflow.Cause{Code: openflow.CodeCanceled, Text: "stopped", Consequence: true}
	s.Report(first)
	s.Report(second)
	step := s.Next()
	require.Equal(t, openflow.JobCanceled, step.End, "canceled wins within a task (§4.6.3)")
	require.Contains(t, step.Reason, "the cause")
}

func TestReport(t *testing.T) {
	for name, tc := range map[string]struct {
		before openflow.TaskStatus // of the guest
		report openflow.Report
		change bool
		after  openflow.TaskStatus
	}{
		"news":                     {running, report("a", guest, success), true, success},
		"not started and failed":   {waiting, report("a", guest, failed), false, waiting},
		"not started and canceled": {waiting, report("a", guest, canceled), false, waiting},
		"a repeat":                 {running, report("a", guest, running), false, running},
		"back to waiting":          {running, report("a", guest, waiting), false, running},
		"an end is final":          {failed, report("a", guest, success), false, failed},
		"even where §4.6.2 has it": {timeout, report("a", guest, success), false, timeout},
		"and no rerun":             {canceled, report("a", guest, waiting), false, canceled},
		"unknown task":             {running, report("x", guest, success), false, running},
		"stranger":                 {running, report("a", openflow.Party{Role: openflow.RoleHost, ID: "9999"}, failed), false, running},
		"unknown status":           {running, report("a", guest, "finished"), false, running},
		"older version": {running, openflow.Report{
			Key: openflow.TaskKey{Scheduler: "9999", Job: "J", Task: "a", Version: -1, Party: guest}, Status: failed,
		}, false, running},
		"newer version": {running, openflow.Report{
			Key: openflow.TaskKey{Scheduler: "9999", Job: "J", Task: "a", Version: 1, Party: guest}, Status: failed,
		}, false, running},
	} {
		t.Run(name, func(t *testing.T) {
			s := plan.New([]openflow.PlannedTask{task("a")}, 0)
			if tc.before != waiting {
				start(s, "a")
			}
			s.Report(report("a", guest, tc.before))
			require.Equal(t, tc.before, s.Find("a").ByParty[0], "as the case has it")
			require.Equal(t, tc.change, s.Report(tc.report))
			require.Equal(t, tc.after, s.Find("a").ByParty[0])
		})
	}
}

// What a party says of a run before anybody asked it to start that is not believed: the run begins all the same. A report that
// overtakes the answer to that call comes after the start.
func TestReportBeforeStarted(t *testing.T) {
	s := plan.New([]openflow.PlannedTask{task("a")}, 0)
	require.False(t, s.Report(report("a", guest, success)))
	require.Empty(t, s.Next().Announce)
	start(s, "a")
	require.Equal(t, []openflow.TaskStatus{running, running}, s.Find("a").ByParty)
}

func TestSilent(t *testing.T) {
	s := plan.New(diamond(), 0)
	require.Empty(t, s.Silent("9999", "J"))
	start(s, "a")
	require.Len(t, s.Silent("9999", "J"), 2)
	s.Report(report("a", guest, success))
	require.Equal(t, []openflow.TaskKey{{Scheduler: "9999", Job: "J", Task: "a", Party: host}}, s.Silent("9999", "J"))
	s.Report(report("a", host, failed))
	require.Empty(t, s.Silent("9999", "J"))
}

func TestOf(t *testing.T) {
	d := &openflow.DAG{
		Parties: []openflow.Party{guest, host},
		Tasks: []openflow.Task{
			{Name: "b", Component: "psi", DependsOn: []openflow.TaskName{"a"}},
			{Name: "a", Component: "reader", Parties: []openflow.Party{host}},
		},
	}
	got, err := plan.Of(d)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff([]openflow.PlannedTask{
		{Name: "a", Component: "reader", Parties: []openflow.Party{host}},
		{Name: "b", Component: "psi", Upstreams: []openflow.TaskName{"a"}, Parties: []openflow.Party{guest, host}},
	}, got))

	d.Tasks[1].DependsOn = []openflow.TaskName{"b"}
	_, err = plan.Of(d)
	require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
}
