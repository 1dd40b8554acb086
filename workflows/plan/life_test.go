package plan_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"openflow"
	"openflow/workflows/plan"
)

// life is a job and its parties without any Temporal: calls that are under way, runs at the parties, and the rules that
// hold whatever comes in which order.
type life struct {
	t        *rapid.T
	job      openflow.JobPlan
	state    *plan.State
	run      *plan.Execution
	farewell *plan.Farewell
	asked    plan.Ending // somebody has stopped the job
	faults   int         // that may still happen: in the end everything goes well
	seen     int         // changes that the job has looked at

	starts  []plan.Start       // under way
	tells   []plan.Telling     // under way
	stops   []openflow.Party   // the end, under way for the first time
	open    int                // of those, which have no answer
	pauses  []openflow.TaskKey // starts that wait for cores
	runs    map[openflow.TaskKey]openflow.TaskStatus
	began   map[openflow.TaskKey]bool // a start of it has been answered well, or for good
	knows   map[openflow.Party]bool   // the party knows that the job runs
	over    map[openflow.Party]bool   // the party knows that the job has ended
	heard   map[openflow.TaskKey]bool // the party has heard of this end of a task
	acked   map[openflow.TaskKey]bool // and the job knows that
	ended   map[openflow.TaskKey]bool // ends of tasks that the job has decided
	first   map[openflow.TaskKey]openflow.TaskStatus
	tried   map[openflow.TaskName]int // the latest version that was started
	unsure  map[openflow.TaskKey]bool // the run began, and the job was told otherwise
	closing openflow.JobStatus
}

func newLife(t *rapid.T) *life {
	tasks := anyGraph(t)
	for i := range tasks { // some take part in some tasks only
		n := rapid.IntRange(1, len(tasks[i].Parties)).Draw(t, "parties of the task")
		tasks[i].Parties = tasks[i].Parties[:n]
	}
	parties := []openflow.Party{guest, host, {Role: openflow.RoleArbiter, ID: "10000"}}
	job := openflow.JobPlan{ID: "J", Scheduler: "9999", Initiator: "9999", Parties: parties, Tasks: tasks}
	state := plan.New(tasks, rapid.IntRange(0, 2).Draw(t, "retries"))
	l := &life{
		t: t, job: job, state: state, run: plan.NewExecution(job, state), seen: -1, faults: rapid.IntRange(0, 12).Draw(t, "faults"),
		runs: map[openflow.TaskKey]openflow.TaskStatus{}, began: map[openflow.TaskKey]bool{}, knows: map[openflow.Party]bool{},
		over: map[openflow.Party]bool{}, heard: map[openflow.TaskKey]bool{}, acked: map[openflow.TaskKey]bool{},
		ended: map[openflow.TaskKey]bool{}, first: map[openflow.TaskKey]openflow.TaskStatus{}, tried: map[openflow.TaskName]int{}, unsure: map[openflow.TaskKey]bool{},
	}
	for _, p := range l.run.Unaware() {
		l.run.Aware(p)
		l.knows[p] = true
	}
	return l
}

// fault tells whether something goes wrong now.
func (l *life) fault(what string) bool {
	if l.faults == 0 || !rapid.Bool().Draw(l.t, what) {
		return false
	}
	l.faults--
	return true
}

// carries holds what a call may tell: nothing that is acknowledged, and nothing that another call carries already.
func (l *life) carries(news []openflow.TaskUpdate) {
	for _, u := range news {
		require.False(l.t, l.acked[u.Key], "%s is told once more", u.Key)
		require.False(l.t, slices.Contains(l.underWay(), u.Key), "%s is on its way already", u.Key)
	}
}

func (l *life) underWay() []openflow.TaskKey {
	var keys []openflow.TaskKey
	for _, s := range l.starts {
		for _, u := range s.Ended {
			keys = append(keys, u.Key)
		}
	}
	for _, t := range l.tells {
		for _, u := range t.News {
			keys = append(keys, u.Key)
		}
	}
	return keys
}

// step does what the job's workflow does when something has changed.
func (l *life) step() {
	if l.farewell != nil || l.run.Changes() == l.seen {
		return
	}
	if !l.asked.None() {
		l.run.Stop(l.asked)
	}
	l.seen = l.run.Changes()
	before := map[openflow.TaskName]openflow.TaskStatus{}
	for _, t := range l.state.Tasks {
		before[t.Name] = t.Status
	}
	calls := l.run.Next(noon)
	for _, c := range calls.Tell {
		l.carries(c.News)
		l.note(c.News)
		l.tells = append(l.tells, c)
	}
	for _, s := range calls.Start {
		require.False(l.t, l.began[s.TaskKey], "%s is started once", s.TaskKey)
		require.False(l.t, slices.ContainsFunc(l.starts, func(o plan.Start) bool { return o.TaskKey == s.TaskKey }), "%s is being started", s.TaskKey)
		require.GreaterOrEqual(l.t, s.Version, l.tried[s.Task], "no older version is started")
		task := l.state.Find(s.Task)
		require.Equal(l.t, task.Version, s.Version, "the latest version is started")
		require.False(l.t, task.ByParty[slices.Index(task.Parties, s.Party)].Terminal(), "what has ended is not started")
		l.tried[s.Task] = s.Version
		for _, up := range l.state.Find(s.Task).Upstreams {
			require.True(l.t, l.state.Find(up).Status.Succeeded(), "%s before %s", up, s.Task)
		}
		l.carries(s.Ended)
		l.note(s.Ended)
		l.starts = append(l.starts, s)
	}
	for _, s := range l.starts {
		require.Equal(l.t, l.starts[0].Task, s.Task, "one task is started after the other")
	}
	if calls.End.None() {
		return
	}
	if !l.asked.None() {
		require.Equal(l.t, l.asked, calls.End, "who stops the job says how it ends")
	}
	l.end(calls.End)
}

// note notes the ends of tasks that parties must hear of.
func (l *life) note(news []openflow.TaskUpdate) {
	for _, u := range news {
		require.True(l.t, u.Status.Terminal())
		l.ended[u.Key] = true
	}
}

func (l *life) end(e plan.Ending) {
	l.farewell, l.closing = plan.NewFarewell(l.job, l.run, plan.Creation{}, e), e.Status
	for _, p := range l.job.Parties {
		for _, u := range l.farewell.Order(p).Tasks {
			require.False(l.t, l.acked[u.Key], "%s is told once more", u.Key)
		}
		l.note(l.farewell.Order(p).Tasks)
		l.stops = append(l.stops, p)
	}
	l.open = len(l.stops)
}

// hears is a party that hears news: what has ended elsewhere is stopped there.
func (l *life) hears(news []openflow.TaskUpdate) {
	for _, u := range news {
		l.heard[u.Key] = true
		if l.runs[u.Key] == running {
			l.runs[u.Key] = canceled
		}
	}
}

func (l *life) acknowledges(news []openflow.TaskUpdate) {
	for _, u := range news {
		require.True(l.t, l.heard[u.Key])
		l.acked[u.Key] = true
	}
}

// actions are what can happen now, by name, in an order of its own.
func (l *life) actions() []func() {
	var list []func()
	add := func(f func()) { list = append(list, f) }
	for i := range l.starts {
		add(func() { l.answerStart(i) })
	}
	for i := range l.tells {
		add(func() { l.answerTell(i) })
	}
	for i := range l.stops {
		add(func() { l.answerStop(i) })
	}
	for i := range l.pauses {
		add(func() {
			l.run.Retry(l.pauses[i])
			l.pauses = slices.Delete(l.pauses, i, i+1)
		})
	}
	for _, k := range l.going() {
		add(func() { l.finish(k) })
	}
	for _, k := range l.run.Silent() {
		if l.farewell == nil {
			add(func() { l.collect(k) })
		}
	}
	if l.farewell == nil && l.asked.None() && rapid.IntRange(0, 9).Draw(l.t, "stop") == 0 {
		add(func() { l.asked = plan.Ending{Status: openflow.JobCanceled, Reason: "enough"}; l.seen = -1 })
	}
	if l.farewell != nil && l.open == 0 {
		for _, p := range l.farewell.Absent() {
			add(func() { l.insist(p) })
		}
		for _, k := range l.farewell.Questions() {
			add(func() { l.inquire(k) })
		}
	}
	return list
}

// going lists the runs that go on, in a fixed order.
func (l *life) going() []openflow.TaskKey {
	var keys []openflow.TaskKey
	for k, st := range l.runs {
		if st == running {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, func(a, b openflow.TaskKey) int {
		if fmt.Sprint(a) < fmt.Sprint(b) {
			return -1
		}
		return 1
	})
	return keys
}

// answerStart lets a start arrive, or not, and its answer.
func (l *life) answerStart(i int) {
	s := l.starts[i]
	l.starts = slices.Delete(l.starts, i, i+1)
	answer := func(err error) {
		l.run.Answered(s, err)
		if err == nil {
			l.acknowledges(s.Ended)
		}
		if l.run.Waits(err) {
			l.pauses = append(l.pauses, s.TaskKey)
		} else if openflow.CodeOf(err) != openflow.CodeExhausted {
			l.began[s.TaskKey] = true
		}
	}
	if l.fault("the start is lost") {
		answer(openflow.Errorf(openflow.CodeUnavailable, "no answer"))
		return
	}
	l.hears(s.Ended)
	if s.StartsJob {
		l.knows[s.Party] = true
	}
	require.True(l.t, l.knows[s.Party], "a party that starts a run knows that the job runs")
	switch {
	case l.over[s.Party]:
		answer(openflow.Errorf(openflow.CodeConflict, "the job has ended here"))
	case l.heard[s.TaskKey]:
		answer(nil) // it has been overtaken by the end of its task
	case l.fault("the party has no cores"):
		answer(openflow.Errorf(openflow.CodeExhausted, "no cores"))
	case l.fault("the party refuses"):
		answer(openflow.Errorf(openflow.CodeInvalid, "no such component"))
	default:
		l.runs[s.TaskKey] = running
		if l.fault("the answer is lost") {
			l.unsure[s.TaskKey] = true
			answer(openflow.Errorf(openflow.CodeUnavailable, "no answer"))
			return
		}
		answer(nil)
	}
}

func (l *life) answerTell(i int) {
	t := l.tells[i]
	l.tells = slices.Delete(l.tells, i, i+1)
	var missed, got []openflow.TaskUpdate
	for _, u := range t.News {
		if l.fault("the news is lost") {
			missed = append(missed, u)
			continue
		}
		l.hears([]openflow.TaskUpdate{u})
		if l.fault("its acknowledgement is lost") {
			missed = append(missed, u)
			continue
		}
		got = append(got, u)
	}
	l.acknowledges(got)
	l.run.Told(t, missed)
}

// stopAt lets a party hear of the end; it tells whether that was acknowledged.
func (l *life) stopAt(p openflow.Party) bool {
	if l.fault("the end is lost") {
		return false
	}
	order := l.farewell.Order(p)
	require.Equal(l.t, l.closing, order.Status)
	l.over[p] = true
	for _, u := range order.Tasks {
		if l.heard[u.Key] = true; l.runs[u.Key] == running && u.Key.Version < l.state.Find(u.Key.Task).Version {
			l.runs[u.Key] = canceled // nobody asks about an older version
		}
	}
	return !l.fault("the acknowledgement of the end is lost")
}

func (l *life) answerStop(i int) {
	p := l.stops[i]
	l.stops = slices.Delete(l.stops, i, i+1)
	code := openflow.Code("")
	ok := l.stopAt(p)
	if !ok {
		code = openflow.CodeUnavailable
	}
	l.farewell.Answered(p, ok, code)
	l.open--
}

func (l *life) insist(p openflow.Party) {
	if l.stopAt(p) {
		l.farewell.Acknowledged(p)
	}
}

// finish lets a run end, and its report arrive, or not.
func (l *life) finish(k openflow.TaskKey) {
	st := rapid.SampledFrom([]openflow.TaskStatus{success, success, success, success, pass, failed, timeout}).Draw(l.t, "outcome")
	if l.over[k.Party] {
		st = canceled
	}
	l.runs[k] = st
	if !l.fault("the report is lost") {
		l.run.Report(openflow.Report{Key: k, Status: st})
	}
	if l.fault("the report is repeated") {
		l.run.Report(openflow.Report{Key: k, Status: st})
	}
}

// collect asks about a silent run.
func (l *life) collect(k openflow.TaskKey) {
	if st := l.runs[k]; st.Terminal() && !l.fault("nobody answers") {
		l.run.Report(openflow.Report{Key: k, Status: st})
	}
}

// inquire asks about a run that should have ended.
func (l *life) inquire(k openflow.TaskKey) {
	st, known := l.runs[k]
	if !known {
		st = waiting
	}
	failed := l.fault("nobody answers")
	end, again := l.farewell.Weigh(plan.Answer{Report: openflow.Report{Key: k, Status: st}, Failed: failed})
	if again {
		l.stopAt(k.Party)
	}
	if end != "" {
		l.farewell.Report(openflow.Report{Key: k, Status: end})
	}
}

// check holds what is so at every moment.
func (l *life) check() {
	for _, t := range l.state.Tasks {
		for i, p := range t.Parties {
			k := openflow.TaskKey{Scheduler: "9999", Job: "J", Task: t.Name, Version: t.Version, Party: p}
			st := t.ByParty[i]
			if was, ok := l.first[k]; ok {
				require.Equal(l.t, was, st, "%s has ended", k)
			} else if st.Terminal() {
				l.first[k] = st
			}
		}
	}
	if l.farewell != nil {
		require.Equal(l.t, l.closing, l.farewell.Standing().Status, "the end of a job is final")
		require.NotEqual(l.t, l.closing == openflow.JobSuccess, l.farewell.Reason() != "", "who reads of an end reads why")
	}
}

// Whatever is lost, refused, repeated or stopped, in whatever order: the job ends, every party has heard of it and of each
// of its tasks' ends, and nothing of it runs anywhere.
func TestEveryLifeEnds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := newLife(t)
		for turns := 0; l.farewell == nil || l.open > 0 || !l.farewell.Over(); turns++ {
			require.Less(t, turns, 2000, "the job goes on for ever")
			l.step()
			if list := l.actions(); len(list) > 0 {
				list[rapid.IntRange(0, len(list)-1).Draw(t, "what happens")]()
			} else {
				require.NotEqual(t, l.seen, l.run.Changes(), "nothing is under way, and the job waits")
			}
			l.check()
		}
		require.Empty(t, l.farewell.Close())
		for _, p := range l.job.Parties {
			require.True(t, l.over[p], "%s knows of the end", p)
		}
		for _, k := range l.going() {
			require.True(t, l.unsure[k], "%s goes on", k)
		}
		for k := range l.ended {
			require.True(t, l.heard[k], "%s has been told", k)
		}
	})
}
