package plan_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"openflow"
	"openflow/workflows/plan"
)

// anyGraph draws a plan: upstreams first, one to three parties.
func anyGraph(t *rapid.T) []openflow.PlannedTask {
	parties := []openflow.Party{guest, host, {Role: openflow.RoleArbiter, ID: "10000"}}[:rapid.IntRange(1, 3).Draw(t, "parties")]
	var tasks []openflow.PlannedTask
	for i := range rapid.IntRange(1, 6).Draw(t, "tasks") {
		p := openflow.PlannedTask{Name: openflow.TaskName(fmt.Sprintf("t%d", i)), Parties: parties}
		for _, up := range tasks {
			if rapid.Bool().Draw(t, "edge") {
				p.Upstreams = append(p.Upstreams, up.Name)
			}
		}
		tasks = append(tasks, p)
	}
	return tasks
}

type outcomes map[openflow.TaskKey]openflow.TaskStatus

// anyOutcomes fixes what every run will report, if it runs at all.
func anyOutcomes(t *rapid.T, tasks []openflow.PlannedTask) outcomes {
	ends := []openflow.TaskStatus{success, success, success, pass, failed, timeout, canceled}
	o := outcomes{}
	for _, task := range tasks {
		for _, p := range task.Parties {
			o[openflow.TaskKey{Scheduler: "9999", Job: "J", Task: task.Name, Party: p}] = rapid.SampledFrom(ends).Draw(t, "outcome")
		}
	}
	return o
}

// drive runs a job to its end as the workflow does, delivering what runs report in an order of the caller's choice.
func drive(t require.TestingT, tasks []openflow.PlannedTask, o outcomes, pick func([]openflow.TaskKey) (openflow.TaskKey, bool)) (*plan.State, plan.Step) {
	s := plan.New(tasks, 0)
	started := map[openflow.TaskName]bool{}
	announced := map[plan.Announcement]bool{}
	last := 0
	for {
		step := s.Next()
		require.GreaterOrEqual(t, step.Progress, last, "progress only grows")
		last = step.Progress
		for _, a := range step.Announce {
			a.Reason = ""
			require.False(t, announced[a], "%v is announced once", a)
			announced[a] = true
		}
		for _, name := range step.Start {
			require.Empty(t, step.End, "nothing starts after the end")
			require.False(t, started[name], "%s starts once", name)
			for _, up := range s.Find(name).Upstreams {
				require.True(t, s.Find(up).Status.Succeeded(), "%s starts after %s", name, up)
			}
			started[name] = true
			s.Started(name)
		}
		silent := s.Silent("9999", "J")
		if step.End != "" || len(silent) == 0 {
			require.NotEmpty(t, step.End, "a job with nothing to wait for has ended")
			return s, step
		}
		key, again := pick(silent)
		r := openflow.Report{Key: key, Status: o[key]}
		require.True(t, s.Report(r))
		if again {
			before := clone(s)
			require.False(t, s.Report(r), "a repeat changes nothing")
			require.Empty(t, cmp.Diff(before, s, shown))
		}
	}
}

func clone(s *plan.State) *plan.State {
	c := &plan.State{Tasks: slices.Clone(s.Tasks)}
	for i := range c.Tasks {
		c.Tasks[i].ByParty = slices.Clone(c.Tasks[i].ByParty)
	}
	return c
}

// Reports of successful jobs in any order, some repeated, lead to the same end; a job with a failure does not succeed.
func TestAnyOrderOfReportsLeadsToTheSameEnd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tasks := anyGraph(t)
		o := anyOutcomes(t, tasks)
		inOrder := func(silent []openflow.TaskKey) (openflow.TaskKey, bool) { return silent[0], false }
		anyhow := func(silent []openflow.TaskKey) (openflow.TaskKey, bool) {
			return rapid.SampledFrom(silent).Draw(t, "who reports"), rapid.Bool().Draw(t, "repeats")
		}
		one, first := drive(t, tasks, o, inOrder)
		other, second := drive(t, tasks, o, anyhow)

		good := true
		for _, st := range o {
			good = good && st.Succeeded()
		}
		require.Equal(t, good, first.End == openflow.JobSuccess)
		require.Equal(t, good, second.End == openflow.JobSuccess)
		if good {
			require.Empty(t, cmp.Diff(one, other, shown))
			require.Equal(t, 100, second.Progress)
		} else {
			require.NotEmpty(t, first.Reason)
			require.NotEmpty(t, second.Reason)
		}
	})
}

// shown leaves out what only explains a failure.
var shown = cmpopts.IgnoreUnexported(plan.State{}, plan.Task{})

// What arrives after everything has been reported changes nothing, whatever it says.
func TestNothingMovesAnEndedTask(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tasks := anyGraph(t)
		s, _ := drive(t, tasks, anyOutcomes(t, tasks), func(k []openflow.TaskKey) (openflow.TaskKey, bool) { return k[0], false })
		for range 10 {
			task := rapid.SampledFrom(s.Tasks).Draw(t, "task")
			party := rapid.IntRange(0, len(task.Parties)-1).Draw(t, "party")
			st := rapid.SampledFrom([]openflow.TaskStatus{waiting, running, success, pass, failed, timeout, canceled}).Draw(t, "status")
			r := openflow.Report{Key: openflow.TaskKey{Scheduler: "9999", Job: "J", Task: task.Name, Party: task.Parties[party]}, Status: st}
			was := task.ByParty[party]
			if s.Report(r); was.Terminal() {
				require.Equal(t, was, s.Find(task.Name).ByParty[party])
			}
		}
	})
}
