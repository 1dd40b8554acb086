package plan

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"openflow"
)

// Execution is the part of a job's life in which its tasks run: it decides which party is called with which news. A
// party hears each end of a task until it has acknowledged it. The call that starts its next task carries the news where
// there is one, and a call of its own where not. The end of the job tells what has not arrived.
type Execution struct {
	job     openflow.JobPlan
	tasks   *State
	aware   map[openflow.Party]bool                  // the party knows that the job runs
	due     map[openflow.Party][]openflow.TaskUpdate // ends of tasks that no call carries to the party
	carried map[openflow.Party][]openflow.TaskUpdate // those that a call carries, which is not answered yet
	open    map[openflow.TaskKey]bool                // starts without a last answer: all of one task
	waits   []wait                                   // those that find no cores, and are repeated
	answers int                                      // to calls, so far
	asked   Ending                                   // what somebody has asked for; none: nobody has
	unknown map[openflow.TaskKey]int                 // how often in a row a party has not known a run that it had accepted
	over    bool                                     // the job has ended
}

// NewExecution is that of a job of which nothing has been started.
func NewExecution(job openflow.JobPlan, tasks *State) *Execution {
	return &Execution{
		job: job, tasks: tasks, aware: map[openflow.Party]bool{}, open: map[openflow.TaskKey]bool{}, unknown: map[openflow.TaskKey]int{},
		due: map[openflow.Party][]openflow.TaskUpdate{}, carried: map[openflow.Party][]openflow.TaskUpdate{},
	}
}

// Calls are what is to be done next, each thing in its order. All calls are made beside each other.
type Calls struct {
	Tell  []Telling // calls for news alone
	Start []Start   // of one task
	End   Ending    // how the job ends; none: it goes on
}

// Start asks a party to start its run, and carries the party's news.
type Start struct {
	openflow.TaskStart
	Began time.Time // when the party was asked for the first time
}

// wait is a start that waits for cores, which other tasks of the job hold.
type wait struct {
	start Start
	said  error
	ends  int  // of runs, when the party said so
	due   bool // it has waited for long enough
}

// Telling is a party's news, each in a call of its own.
type Telling struct {
	Party openflow.Party
	News  []openflow.TaskUpdate
}

// Unaware lists the parties that are told in a call of their own that the job runs. Those of the first task learn it from
// the start of that.
func (x *Execution) Unaware() []openflow.Party {
	var first []openflow.Party
	if ready := x.tasks.Ready(); len(ready) > 0 {
		first = x.tasks.Find(ready[0]).Parties
	}
	return slices.DeleteFunc(slices.Clone(x.job.Parties), func(p openflow.Party) bool {
		return x.aware[p] || slices.Contains(first, p)
	})
}

// Aware takes that a party knows that the job runs.
func (x *Execution) Aware(p openflow.Party) { x.aware[p] = true }

// Stop takes that somebody wants the job to end. The first such wish counts, and before all that the tasks would lead to.
func (x *Execution) Stop(e Ending) {
	if x.asked.None() {
		x.asked = e
	}
}

// Suspect reports whether the job should wait a moment before it ends: the failures that are known only follow from one
// that is not. A job that somebody stops waits for no cause.
func (x *Execution) Suspect() bool { return x.asked.None() && x.tasks.Suspect() }

// Changes counts what Next depends on: while it stays the same, there is nothing to do.
func (x *Execution) Changes() int { return x.tasks.Moves() + x.answers }

// Starting tells whether a party has not answered the start of its run. One task is started after the other, so that no
// two of them hold cores that the other one needs.
func (x *Execution) Starting() bool { return len(x.open) > 0 }

// Next decides what to do now. After the end of the job there is nothing: the end tells what the parties have not heard.
func (x *Execution) Next(now time.Time) Calls {
	step := x.tasks.Next()
	calls := Calls{End: x.asked}
	if calls.End.None() && step.End != "" {
		calls.End = Ending{Status: step.End, Reason: step.Reason, Code: step.Code, Blames: step.End != openflow.JobSuccess}
	}
	fresh := x.note(step)
	if !calls.End.None() {
		return calls
	}
	calls.Start = x.repeats()
	if !x.Starting() && len(step.Start) > 0 {
		calls.Start = x.start(step.Start[0], now)
	}
	for _, p := range x.job.Parties {
		rides := slices.ContainsFunc(calls.Start, func(s Start) bool { return s.Party == p })
		if fresh[p] && !rides {
			calls.Tell = append(calls.Tell, Telling{p, x.carry(p)})
		}
	}
	return calls
}

// note puts the ends of tasks on the lists of their parties, and tells who has got some.
func (x *Execution) note(step Step) map[openflow.Party]bool {
	fresh := map[openflow.Party]bool{}
	for _, a := range step.Announce {
		if !a.Status.Terminal() {
			continue
		}
		for _, p := range x.tasks.Find(a.Task).Parties {
			fresh[p] = true
			x.due[p] = append(x.due[p], openflow.TaskUpdate{
				Key: x.key(a.Task, a.Version, p), Status: a.Status, Reason: a.Reason, Progress: step.Progress,
			})
		}
	}
	return fresh
}

// start begins with a task, at all its parties.
func (x *Execution) start(name openflow.TaskName, now time.Time) []Start {
	x.tasks.Started(name)
	t := x.tasks.Find(name)
	var starts []Start
	for _, p := range t.Parties {
		key := x.key(name, t.Version, p)
		x.open[key] = true
		starts = append(starts, x.order(key, now))
	}
	return starts
}

// repeats are the starts that have waited for cores: a run has ended since, or they have waited for long enough. What is
// not wanted any more waits no longer, as a version that has failed elsewhere.
func (x *Execution) repeats() []Start {
	var starts []Start
	x.waits = slices.DeleteFunc(x.waits, func(w wait) bool {
		k := w.start.TaskKey
		if !x.tasks.goesOn(k) {
			delete(x.open, k)
			return true
		}
		again := w.due || w.ends != x.tasks.Ends()
		if again {
			starts = append(starts, x.order(k, w.start.Began))
		}
		return again
	})
	return starts
}

func (x *Execution) order(k openflow.TaskKey, began time.Time) Start {
	return Start{openflow.TaskStart{
		TaskKey: k, StartsJob: !x.aware[k.Party], Protocol: x.tasks.Find(k.Task).Protocol, Ended: x.carry(k.Party),
	}, began}
}

// carry takes what is due to a party for a call.
func (x *Execution) carry(p openflow.Party) []openflow.TaskUpdate {
	news := x.due[p]
	x.due[p] = nil
	x.carried[p] = slices.Concat(x.carried[p], news)
	return news
}

// arrived takes that a call is over which carried news, and that it could not tell some of them.
func (x *Execution) arrived(p openflow.Party, news, missed []openflow.TaskUpdate) {
	x.answers++
	x.carried[p] = slices.DeleteFunc(x.carried[p], func(u openflow.TaskUpdate) bool {
		return slices.ContainsFunc(news, func(v openflow.TaskUpdate) bool { return u.Key == v.Key })
	})
	x.due[p] = slices.Concat(missed, x.due[p])
}

// Told takes how a party was told its news: which of them it could not be told.
func (x *Execution) Told(t Telling, missed []openflow.TaskUpdate) { x.arrived(t.Party, t.News, missed) }

// Answered takes a party's answer to the start of its run. Where other tasks of the job hold the cores, the start waits:
// the job itself goes on meanwhile, so that is no failure. Any other refusal fails the run; when the job has ended
// before, that is why.
func (x *Execution) Answered(s Start, err error) {
	if err == nil {
		delete(x.open, s.TaskKey)
		x.arrived(s.Party, s.Ended, nil)
		x.aware[s.Party] = true
		return
	}
	x.arrived(s.Party, s.Ended, s.Ended)
	if x.Waits(err) {
		x.waits = append(x.waits, wait{start: s, said: err, ends: x.tasks.Ends()})
		return
	}
	x.fail(s.TaskKey, err)
}

func (x *Execution) fail(k openflow.TaskKey, err error) {
	delete(x.open, k)
	told := openflow.ForPartners(err)
	x.tasks.NotStarted(k, openflow.Cause{Code: told.Code, Text: openflow.Heard(told.Public), Consequence: told.Consequence || x.over})
}

// Waits tells whether a start with that answer waits. It is repeated when a run of the job has ended or a pause is over.
func (x *Execution) Waits(err error) bool {
	return openflow.CodeOf(err) == openflow.CodeExhausted && !x.over
}

// Freed gives the condition that a run of the job has ended from now on, or the job has.
func (x *Execution) Freed() func() bool {
	before := x.tasks.Ends()
	return func() bool { return x.over || x.tasks.Ends() != before }
}

// Retry takes that the pause of a start that waits is over.
func (x *Execution) Retry(k openflow.TaskKey) {
	for i := range x.waits {
		if x.waits[i].start.TaskKey == k {
			x.waits[i].due = true
			x.answers++
		}
	}
}

// close ends the execution with the job: what waits is not started any more.
func (x *Execution) close() {
	x.over = true
	for _, w := range x.waits {
		x.fail(w.start.TaskKey, w.said)
	}
	x.waits = nil
}

// Report takes over how a run stands.
func (x *Execution) Report(r openflow.Report) { x.tasks.Report(r) }

// lostAfter is how often in a row a party has to say that it does not know a run, before that is believed. Its first answer may
// have been on the way when the start was acknowledged.
const lostAfter = 2

// Asked takes what a party has said of a run that was silent. One that the party had accepted and does not know any more is
// lost: nobody would ever report its end.
func (x *Execution) Asked(a Answer) {
	k := a.Report.Key
	switch {
	case a.Unknown && !x.open[k]:
		if x.unknown[k]++; x.unknown[k] >= lostAfter {
			x.tasks.Lost(k)
		}
	case a.Failed, a.Unknown: // the next round asks again
	default:
		delete(x.unknown, k)
		if a.Report.Status.Terminal() {
			x.Report(a.Report)
		}
	}
}

// Moves counts the starts of tasks and what has been reported of them.
func (x *Execution) Moves() int { return x.tasks.Moves() }

// Silent lists the runs that have been started and have not ended.
func (x *Execution) Silent() []openflow.TaskKey { return x.tasks.Silent(x.job.Scheduler, x.job.ID) }

// Awaited says whose word about which tasks the job waits for.
func (x *Execution) Awaited() string {
	var parts []string
	at := map[openflow.TaskName]int{}
	for _, k := range x.Silent() {
		i, ok := at[k.Task]
		if !ok {
			at[k.Task] = len(parts)
			parts = append(parts, fmt.Sprintf("%s at %s", k.Task, k.Party))
			continue
		}
		parts[i] += ", " + k.Party.String()
	}
	return "waiting for " + strings.Join(parts, "; ")
}

// unheard are the ends of tasks that a party has not acknowledged, also where a call is under way.
func (x *Execution) unheard(p openflow.Party) []openflow.TaskUpdate {
	return slices.Concat(x.carried[p], x.due[p])
}

// key names a run of the job.
func (x *Execution) key(task openflow.TaskName, version int, p openflow.Party) openflow.TaskKey {
	return openflow.TaskKey{Scheduler: x.job.Scheduler, Job: x.job.ID, Task: task, Version: version, Party: p}
}
