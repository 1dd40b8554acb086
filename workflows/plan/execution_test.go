package plan_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/workflows/plan"
)

var third = openflow.Party{Role: openflow.RoleArbiter, ID: "10001"}

// key names version 0 of a run.
func key(task openflow.TaskName, p openflow.Party) openflow.TaskKey {
	return openflow.TaskKey{Scheduler: "9999", Job: "J", Task: task, Party: p}
}

func at(task openflow.TaskName, parties ...openflow.Party) openflow.PlannedTask {
	return openflow.PlannedTask{Name: task, Component: "noop", Parties: parties}
}

func after(t openflow.PlannedTask, ups ...openflow.TaskName) openflow.PlannedTask {
	t.Upstreams = ups
	return t
}

// execution is that of a job of these tasks, with the state that it stands on.
func execution(retries int, tasks ...openflow.PlannedTask) (*plan.Execution, *plan.State) {
	s := plan.New(tasks, retries)
	job := openflow.JobPlan{ID: "J", Scheduler: "9999", Initiator: "9999", Parties: []openflow.Party{guest, host, third}, Tasks: tasks}
	return plan.NewExecution(job, s), s
}

// summary is what calls come to: whom they start, tell and carry news to.
type summary struct {
	Starts  []string // "a 9999"; of later versions "a1 9999"
	Tells   []string // "a 9999"
	Carried []string // by starts
	End     openflow.JobStatus
}

func named(k openflow.TaskKey) string {
	if k.Version > 0 {
		return string(k.Task) + string(rune('0'+k.Version)) + " " + string(k.Party.ID)
	}
	return string(k.Task) + " " + string(k.Party.ID)
}

func sum(c plan.Calls) summary {
	s := summary{End: c.End.Status}
	for _, start := range c.Start {
		s.Starts = append(s.Starts, named(start.TaskKey))
		for _, u := range start.Ended {
			s.Carried = append(s.Carried, named(u.Key))
		}
	}
	for _, t := range c.Tell {
		for _, u := range t.News {
			s.Tells = append(s.Tells, named(u.Key))
		}
	}
	return s
}

// script drives an execution by hand.
type script struct {
	t *testing.T
	x *plan.Execution
	s *plan.State
	c plan.Calls
}

func play(t *testing.T, retries int, tasks ...openflow.PlannedTask) *script {
	x, s := execution(retries, tasks...)
	return &script{t: t, x: x, s: s}
}

// next requires what is to be done next.
func (s *script) next(want summary) {
	s.t.Helper()
	s.c = s.x.Next(noon)
	require.Empty(s.t, cmp.Diff(want, sum(s.c)))
}

// answer answers all starts of the last step alike.
func (s *script) answer(err error) {
	for _, start := range s.c.Start {
		s.x.Answered(start, err)
	}
}

func (s *script) ends(task openflow.TaskName, st openflow.TaskStatus, parties ...openflow.Party) {
	for _, p := range parties {
		s.x.Report(report(task, p, st))
	}
}

var (
	errBusy = openflow.Errorf(openflow.CodeExhausted, "task b holds the job's cores")
	errNo   = openflow.Errorf(openflow.CodeConflict, "the job is canceled here")
)

// The end of a task goes along with the start of the next one; who takes no part in that is called for the news.
func TestNewsRidesWithTheNextStart(t *testing.T) {
	s := play(t, 0, at("a", guest, host, third), after(at("b", guest, host), "a"), after(at("c", third), "b"))
	require.Empty(t, s.x.Unaware(), "the first task's start tells that the job runs")
	s.next(summary{Starts: []string{"a 9999", "a 10000", "a 10001"}})
	for _, start := range s.c.Start {
		require.True(t, start.StartsJob)
	}
	s.answer(nil)
	s.next(summary{})
	s.ends("a", success, guest, host, third)
	s.next(summary{Starts: []string{"b 9999", "b 10000"}, Carried: []string{"a 9999", "a 10000"}, Tells: []string{"a 10001"}})
	for _, start := range s.c.Start {
		require.False(t, start.StartsJob, "they know")
	}
	s.answer(nil)
	s.x.Told(s.c.Tell[0], s.c.Tell[0].News)
	s.ends("b", success, guest, host)
	s.next(summary{Starts: []string{"c 10001"}, Carried: []string{"a 10001"}, Tells: []string{"b 9999", "b 10000"}})
	s.answer(nil)
	for _, tell := range s.c.Tell {
		s.x.Told(tell, nil)
	}
	s.ends("c", success, third)
	s.next(summary{End: openflow.JobSuccess})
}

// Who takes no part in the first task is told that the job runs in a call of its own.
func TestUnaware(t *testing.T) {
	x, _ := execution(0, at("a", guest), after(at("b", host, third), "a"))
	require.Equal(t, []openflow.Party{host, third}, x.Unaware())
	x.Aware(host)
	require.Equal(t, []openflow.Party{third}, x.Unaware())
	c := x.Next(noon)
	x.Answered(c.Start[0], nil)
	x.Report(report("a", guest, success))
	c = x.Next(noon)
	require.Equal(t, []string{"b 10000", "b 10001"}, sum(c).Starts)
	require.False(t, c.Start[0].StartsJob)
	require.True(t, c.Start[1].StartsJob)
}

// No two tasks are started at once, so that neither holds cores that the other one needs. While one is started, what has
// ended is told in calls of its own.
func TestOneTaskIsStartedAfterTheOther(t *testing.T) {
	s := play(t, 0, at("a", third), at("b", guest, host), after(at("c", third), "a"))
	s.next(summary{Starts: []string{"a 10001"}})
	require.True(t, s.x.Starting())
	s.next(summary{})
	s.answer(nil)
	s.next(summary{})
	s.c = plan.Calls{}
	x, _ := execution(0, at("a", third), at("b", guest, host), after(at("c", third), "a"))
	s.x = x
	s.next(summary{Starts: []string{"a 10001"}})
	s.answer(nil)
	s.next(summary{Starts: []string{"b 9999", "b 10000"}})
	b := s.c.Start
	s.ends("a", success, third)
	s.next(summary{Tells: []string{"a 10001"}})
	x.Answered(b[0], nil)
	s.next(summary{})
	x.Answered(b[1], nil)
	require.False(t, x.Starting())
	s.next(summary{Starts: []string{"c 10001"}})
}

// A start that finds no cores is repeated when a run has ended, with what its party has to hear; or when a pause is over.
func TestStartThatFindsNoCoresWaits(t *testing.T) {
	s := play(t, 0, at("b", guest, host), at("c", guest, host))
	s.next(summary{Starts: []string{"b 9999", "b 10000"}})
	s.answer(nil)
	s.next(summary{Starts: []string{"c 9999", "c 10000"}})
	freed := s.x.Freed()
	s.x.Answered(s.c.Start[0], nil)
	require.True(t, s.x.Again(errBusy))
	s.x.Answered(s.c.Start[1], errBusy)
	s.next(summary{})
	require.False(t, freed())
	began := time.Time{}
	s.x.Retry(key("c", host))
	s.next(summary{Starts: []string{"c 10000"}})
	began = s.c.Start[0].Began
	require.Equal(t, noon, began, "the wait goes on")
	s.answer(errBusy)
	s.ends("b", success, guest)
	require.True(t, freed())
	s.next(summary{Starts: []string{"c 10000"}})
	s.answer(errBusy)
	s.ends("b", success, host)
	s.next(summary{Starts: []string{"c 10000"}, Carried: []string{"b 10000"}, Tells: []string{"b 9999"}})
	s.answer(nil)
	require.False(t, s.x.Starting())
	s.x.Retry(key("c", host))
	s.next(summary{})
}

// A version that has failed elsewhere is not asked for any more; the next one is.
func TestStartThatIsNotWantedAnyMore(t *testing.T) {
	s := play(t, 1, at("b", guest, host))
	s.next(summary{Starts: []string{"b 9999", "b 10000"}})
	s.x.Answered(s.c.Start[0], nil)
	s.x.Answered(s.c.Start[1], errBusy)
	s.ends("b", failed, guest)
	s.next(summary{Starts: []string{"b1 9999", "b1 10000"}, Carried: []string{"b 9999", "b 10000"}})
}

func TestRefusedStartFailsTheRun(t *testing.T) {
	s := play(t, 0, at("b", guest, host))
	s.next(summary{Starts: []string{"b 9999", "b 10000"}})
	s.x.Answered(s.c.Start[0], nil)
	s.x.Answered(s.c.Start[1], errNo)
	s.next(summary{End: openflow.JobFailed})
	require.Equal(t, `task "b" could not be started at party 10000 (host): the job is canceled here`, s.c.End.Reason)
	require.Equal(t, openflow.CodeConflict, s.c.End.Code)
	require.True(t, s.c.End.Blames)
}

// The first who stops the job says how it ends, before all that its tasks would lead to; the last end of a task is noted
// nevertheless, and told with that of the job.
func TestStopGoesBeforeEverything(t *testing.T) {
	enough := plan.Ending{Status: openflow.JobCanceled, Reason: "enough"}
	for name, tc := range map[string]struct {
		status openflow.TaskStatus // of task a, when the stop comes
		told   []string
	}{
		"a task is ready":  {success, []string{"a success"}},
		"a task fails":     {failed, []string{"a failed"}},
		"a task goes on":   {running, []string{"a canceled"}},
		"it is tried anew": {timeout, []string{"a timeout"}},
	} {
		t.Run(name, func(t *testing.T) {
			retries := 0
			if tc.status == timeout {
				retries = 1
			}
			s := play(t, retries, at("a", guest), after(at("b", guest), "a"))
			s.next(summary{Starts: []string{"a 9999"}})
			s.answer(nil)
			s.ends("a", tc.status, guest)
			s.x.Stop(enough)
			s.x.Stop(plan.Ending{Status: openflow.JobFailed, Reason: "too late"})
			require.False(t, s.x.Suspect(), "nobody waits for a cause")
			s.next(summary{End: openflow.JobCanceled})
			require.Equal(t, enough, s.c.End)
			var told []string
			for _, u := range plan.NewFarewell(jobOf(guest), s.x, plan.Creation{}, s.c.End).Order(guest).Tasks {
				told = append(told, string(u.Key.Task)+" "+string(u.Status))
			}
			require.Equal(t, tc.told, told)
		})
	}
}

// A failure that only follows from another one lets the job wait for that, unless somebody stops it.
func TestSuspect(t *testing.T) {
	s := play(t, 0, at("a", guest, host))
	s.next(summary{Starts: []string{"a 9999", "a 10000"}})
	s.answer(nil)
	r := report("a", guest, failed)
	r.Cause = openflow.Cause{Code: openflow.CodeCanceled, Consequence: true}
	before := s.x.Changes()
	s.x.Report(r)
	require.NotEqual(t, before, s.x.Changes())
	require.True(t, s.x.Suspect())
	s.x.Stop(plan.Ending{Status: openflow.JobCanceled})
	require.False(t, s.x.Suspect())
}

func TestAwaited(t *testing.T) {
	s := play(t, 0, at("a", guest, host), at("b", third))
	s.next(summary{Starts: []string{"a 9999", "a 10000"}})
	s.answer(nil)
	s.next(summary{Starts: []string{"b 10001"}})
	require.Equal(t, "waiting for a at "+guest.String()+", "+host.String()+"; b at "+third.String(), s.x.Awaited())
}

// A run that its party has accepted and does not know any more has failed: nobody would report its end. One answer is not
// believed, nor one to a question that was asked before the start was acknowledged.
func TestLostRun(t *testing.T) {
	unknown := plan.Answer{Report: openflow.Report{Key: key("a", host)}, Failed: true, Unknown: true}
	runs := plan.Answer{Report: openflow.Report{Key: key("a", host), Status: openflow.TaskRunning}}
	silent := plan.Answer{Report: openflow.Report{Key: key("a", host)}, Failed: true}
	for name, tc := range map[string]struct {
		before, after []plan.Answer // of the answer to the start
		lost          bool
	}{
		"once":                    {nil, []plan.Answer{unknown}, false},
		"twice":                   {nil, []plan.Answer{unknown, unknown}, true},
		"with silence in between": {nil, []plan.Answer{unknown, silent, unknown}, true},
		"it is there after all":   {nil, []plan.Answer{unknown, runs, unknown}, false},
		"before the start":        {[]plan.Answer{unknown, unknown, unknown}, []plan.Answer{unknown}, false},
		"silence":                 {nil, []plan.Answer{silent, silent, silent}, false},
	} {
		x, _ := execution(0, at("a", guest, host))
		starts := x.Next(time.Time{}).Start
		for _, a := range tc.before {
			x.Asked(a)
		}
		for _, s := range starts {
			x.Answered(s, nil)
		}
		for _, a := range tc.after {
			x.Asked(a)
		}
		end := x.Next(time.Time{}).End
		require.Equal(t, tc.lost, end.Status == openflow.JobFailed, name)
		if tc.lost {
			require.Equal(t, `task "a" is lost at party 10000 (host): its node accepted the run and does not know it any more; perhaps it was restored from a backup`, end.Reason)
		}
	}
}
