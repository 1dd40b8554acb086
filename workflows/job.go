package workflows

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"openflow"
	"openflow/activities"
	"openflow/store/document"
	"openflow/workflows/plan"
)

// scheduling only names the activities, so that the compiler checks them.
var scheduling *activities.Scheduling

// Job drives one job from creation to end at its scheduler. It closes as the job ends: with its status when it
// succeeds, and with the error of [closing] when not. What counts is in the rows; nobody waits for the result.
//
// Spec: fate-flow-api §2.4, and docs/job-life.md.
func Job(ctx workflow.Context, input JobPlan) (openflow.JobStatus, error) {
	in := input.Decode()
	j := &jobRun{
		plan: in, state: plan.New(in.Tasks, in.AutoRetries), wake: workflow.GetSignalChannel(ctx, SignalWake), starting: workflow.NewMutex(ctx),
		begun: map[openflow.Party]bool{}, due: map[openflow.Party][]openflow.TaskUpdate{}, reached: map[openflow.Party]bool{},
		strangers: map[openflow.Party]bool{},
	}
	if err := j.handlers(ctx); err != nil {
		return "", err
	}
	j.run(ctx)
	if err := workflow.Await(ctx, func() bool { return workflow.AllHandlersFinished(ctx) }); err != nil {
		return "", err
	}
	return j.status, closing(openflow.TaskStatus(j.status), j.reason, j.code)
}

// jobRun is all mutable state of a job workflow.
type jobRun struct {
	plan     openflow.JobPlan
	state    *plan.State
	created  bool               // all parties have answered the creation
	refusal  error              // why creation failed
	unbegun  bool               // it failed because a party could not be reached
	told     time.Time          // when the parties last heard why it waits
	refusals int                // how often a party refused its resources
	stop     *StopRequest       // somebody wants it to end
	news     bool               // a report has changed something since the last step
	ends     int                // reports of an end so far: each may have freed cores of the job
	moved    time.Time          // when a task last started or ended
	status   openflow.JobStatus // how it ended; empty until then
	reason   string
	code     openflow.Code // why it did not succeed; empty: not known
	blames   bool          // the reason is a failed run, the first that is known
	wake     workflow.ReceiveChannel

	starting workflow.Mutex // held while a task is being started

	answers []plan.ReserveAnswer                     // what parties answered to the application that went with the creation
	begun   map[openflow.Party]bool                  // the party knows that the job runs
	due     map[openflow.Party][]openflow.TaskUpdate // ends of tasks that the party has not been told
	reached map[openflow.Party]bool                  // the party has acknowledged the job's end
	// strangers are the parties that have refused to create the job: there is nothing of it there.
	strangers map[openflow.Party]bool
	shown     string   // the reason of the end as it was told last
	warnings  []string // of this site's tasks, once it has ended
	settled   bool     // nothing of the job runs any more, or there is no use in asking further
}

func (j *jobRun) handlers(ctx workflow.Context) error {
	abandon := workflow.UpdateHandlerOptions{UnfinishedPolicy: workflow.HandlerUnfinishedPolicyAbandon}
	created := func(ctx workflow.Context) error {
		if err := workflow.Await(ctx, func() bool { return j.created }); err != nil {
			return err
		}
		return activities.ToTemporal(j.refusal)
	}
	report := func(ctx workflow.Context, r activities.Report) error {
		j.take(ctx, r.Decode())
		return nil
	}
	stop := func(ctx workflow.Context, r StopRequest) (Stopped, error) {
		if j.stop == nil {
			j.stop = &r
		}
		_, err := workflow.AwaitWithTimeout(ctx, stopPatience, func() bool { return j.settled })
		return EncodeStopped(j.stopped()), err
	}
	if err := workflow.SetUpdateHandlerWithOptions(ctx, UpdateCreated, created, abandon); err != nil {
		return err
	}
	// What changes nothing is turned away, so that no party can fill the history, or use up the updates that Temporal allows.
	fresh := abandon
	fresh.Validator = func(r activities.Report) error {
		if !j.state.Takes(r.Decode()) {
			return temporal.NewApplicationError("the report changes nothing", ErrorStale)
		}
		return nil
	}
	if err := workflow.SetUpdateHandlerWithOptions(ctx, UpdateReport, report, fresh); err != nil {
		return err
	}
	if err := workflow.SetUpdateHandlerWithOptions(ctx, UpdateStop, stop, abandon); err != nil {
		return err
	}
	if err := workflow.SetQueryHandler(ctx, QueryStopped, func() (Stopped, error) { return EncodeStopped(j.stopped()), nil }); err != nil {
		return err
	}
	return workflow.SetQueryHandler(ctx, QueryEnding, func() (bool, error) { return j.status != "", nil })
}

// take takes a party's word, from a report, a refusal or a collection.
func (j *jobRun) take(ctx workflow.Context, r openflow.Report) {
	if j.state.Report(r) {
		j.heard(ctx, r.Status)
	}
}

// heard takes over that a run has come to another status. The cause of a job's failure may be reported after its end.
func (j *jobRun) heard(ctx workflow.Context, status openflow.TaskStatus) {
	j.news, j.moved = true, workflow.Now(ctx)
	if status.Terminal() {
		j.ends++
	}
	if j.blames && !j.settled {
		j.reason, j.code = j.state.Reason(), j.state.Code()
	}
}

func (j *jobRun) run(ctx workflow.Context) {
	if err := j.create(ctx); err != nil {
		j.unbegun = openflow.CodeOf(err) == openflow.CodeUnavailable
		j.giveUp(ctx, err)
		return
	}
	granted := j.acquire(ctx)
	if !granted {
		return
	}
	if err := j.start(ctx); err != nil {
		j.giveUp(ctx, err)
		return
	}
	side, cancel := workflow.WithCancel(ctx)
	defer cancel()
	workflow.Go(side, j.collect)
	if j.plan.Timeout > 0 {
		workflow.Go(side, j.expire)
	}
	j.drive(ctx)
}

// expire ends the job when it has run for as long as it may. What it waited for before does not count.
func (j *jobRun) expire(ctx workflow.Context) {
	if workflow.Sleep(ctx, j.plan.Timeout) == nil && j.stop == nil {
		j.stop = &StopRequest{Status: openflow.JobTimeout, Reason: fmt.Sprintf("the job ran longer than its timeout of %s", j.plan.Timeout)}
	}
}

// create makes the job at every party in parallel and applies for its resources along with that. Whoever waits for the
// answer gets it before anything is undone.
func (j *jobRun) create(ctx workflow.Context) error {
	detail(ctx, "creating the job at its parties")
	if j.refusal = j.reopen(ctx); j.refusal != nil {
		j.created = true
		return j.refusal
	}
	if !j.plan.Again {
		j.answers = make([]plan.ReserveAnswer, len(j.plan.Parties))
	}
	errs := each(ctx, j.plan.Parties, func(ctx workflow.Context, p openflow.Party) error {
		if j.plan.Again { // its parties know the job; it waits once more
			u := activities.JobUpdate{Call: j.at(p), Status: openflow.JobWaiting}
			return call(ctx, j.plan.Timing.Partner, "open again at "+p.String(), scheduling.UpdateJob, u, nil)
		}
		var granted activities.ReserveAnswer
		err := call(ctx, j.plan.Timing.Create, "open at "+p.String(), scheduling.OpenJob, j.at(p), &granted)
		j.answers[slices.Index(j.plan.Parties, p)] = granted.Decode()
		j.strangers[p] = err != nil && !openflow.CodeOf(err).Retryable()
		return err
	})
	j.refusal = refusal(errs)
	j.created = true
	return j.refusal
}

// refusal is what the user is told when parties refuse a job: all that they find wrong with it, unless one refuses for
// another reason.
func refusal(errs []error) error {
	var all []openflow.Mistake
	for _, err := range errs {
		if err == nil {
			continue
		}
		mistakes := openflow.MistakesOf(activities.FromTemporal(err))
		if len(mistakes) == 0 {
			return first(errs)
		}
		all = append(all, mistakes...)
	}
	return openflow.Refusal(all)
}

// reopen makes the scheduler's record of a rerun wait once more. The workflow does that, not the request that started it:
// a record that waits always has a workflow behind it.
func (j *jobRun) reopen(ctx workflow.Context) error {
	if !j.plan.Again {
		return nil
	}
	news := activities.JobNews{Job: j.plan.ID, Status: openflow.JobWaiting}
	return call(ctx, j.plan.Timing.Partner, "open the record again", scheduling.RecordJob, news, nil)
}

func (j *jobRun) at(p openflow.Party) activities.PartyCall {
	return activities.PartyCall{Job: j.plan.ID, Party: document.Party(p)}
}

// key names a run of the job.
func (j *jobRun) key(task openflow.TaskName, version int, p openflow.Party) openflow.TaskKey {
	return openflow.TaskKey{Scheduler: j.plan.Scheduler, Job: j.plan.ID, Task: task, Version: version, Party: p}
}

// silent lists the runs that have been started and have not ended.
func (j *jobRun) silent() []openflow.TaskKey { return j.state.Silent(j.plan.Scheduler, j.plan.ID) }

// start tells the parties that the job runs. Those of the first task learn it from the start of that.
func (j *jobRun) start(ctx workflow.Context) error {
	j.reason = ""
	detail(ctx, "running")
	show(ctx, string(openflow.JobRunning))
	workflow.Go(ctx, func(ctx workflow.Context) { j.record(ctx, openflow.JobRunning, "", 0) })
	riders := j.riders(j.state.Ready())
	parties := slices.DeleteFunc(slices.Clone(j.plan.Parties), func(p openflow.Party) bool { return slices.Contains(riders, p) })
	return first(each(ctx, parties, func(ctx workflow.Context, p openflow.Party) error {
		err := call(ctx, j.plan.Timing.Partner, "start at "+p.String(), scheduling.StartJob, j.at(p), nil)
		j.begun[p] = err == nil
		return err
	}))
}

// riders are the parties that are called at once when these tasks start, so that other news can go along: those of the
// first one, unless a task before it still waits for cores.
func (j *jobRun) riders(tasks []openflow.TaskName) []openflow.Party {
	if len(tasks) == 0 || j.starting.IsLocked() {
		return nil
	}
	return j.state.Find(tasks[0]).Parties
}

// drive starts what is ready, takes reports, and announces ends, until the job has ended.
func (j *jobRun) drive(ctx workflow.Context) {
	for {
		j.news = false
		j.awaitCause(ctx)
		step := j.state.Next()
		if j.stop != nil {
			step.End, step.Reason, step.Code, step.Start = j.stop.Status, j.stop.Reason, "", nil
		}
		j.announce(ctx, step)
		for _, name := range step.Start {
			j.startTask(ctx, name)
		}
		if step.End != "" {
			j.blames = j.stop == nil && step.End != openflow.JobSuccess
			j.end(ctx, step.End, step.Reason, step.Code)
			return
		}
		if len(step.Start) > 0 {
			continue // after a crash, reports of these tasks' ends can have come before the workflow starts them again
		}
		detail(ctx, j.awaited())
		if err := workflow.Await(ctx, func() bool { return j.news || j.stop != nil }); err != nil {
			j.end(ctx, openflow.JobCanceled, "the job's workflow was canceled", openflow.CodeCanceled)
			return
		}
	}
}

// causePatience is how long a job waits for the cause of a failure that is only a consequence, before it ends. The party
// that failed first reports at about the same time.
const causePatience = 3 * time.Second

// awaitCause gives the party that failed first a moment to say so, when another one has told before it that it failed for
// that. What comes later than that still corrects the reason; see heard.
func (j *jobRun) awaitCause(ctx workflow.Context) {
	if j.stop == nil && j.state.Suspect() {
		_, _ = workflow.AwaitWithTimeout(ctx, causePatience, func() bool { return j.stop != nil || !j.state.Suspect() }) // drive looks again
	}
}

// awaited says whose word about which tasks the job waits for.
func (j *jobRun) awaited() string {
	var parts []string
	at := map[openflow.TaskName]int{}
	for _, k := range j.silent() {
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

// announce tells the parties of a task that it has ended: with the next call to the party where one is due, in a call
// beside everything else where not. What cannot be told now goes with whatever call reaches the party first.
func (j *jobRun) announce(ctx workflow.Context, step plan.Step) {
	fresh := map[openflow.Party]bool{}
	for _, a := range step.Announce {
		if !a.Status.Terminal() {
			continue
		}
		for _, p := range j.state.Find(a.Task).Parties {
			fresh[p] = true
			key := j.key(a.Task, a.Version, p)
			j.due[p] = append(j.due[p], openflow.TaskUpdate{Key: key, Status: a.Status, Reason: a.Reason, Progress: step.Progress})
		}
	}
	if step.End != "" {
		return // the end of the job tells
	}
	riders := j.riders(step.Start)
	for _, p := range j.plan.Parties {
		if fresh[p] && !slices.Contains(riders, p) {
			workflow.Go(ctx, func(ctx workflow.Context) { j.tell(ctx, p) })
		}
	}
}

// tell tells a party what is due, in calls of their own.
func (j *jobRun) tell(ctx workflow.Context, p openflow.Party) {
	for _, u := range j.takeDue(p) {
		if call(ctx, 0, fmt.Sprintf("%s %s, to %s", u.Key.Task, u.Status, p), scheduling.UpdateTask, activities.EncodeUpdate(u), nil) != nil {
			j.due[p] = append(j.due[p], u)
		}
	}
}

// takeDue takes what is due to a party off the list. Who cannot deliver it puts it back.
func (j *jobRun) takeDue(p openflow.Party) []openflow.TaskUpdate {
	due := j.due[p]
	j.due[p] = nil
	return due
}

// startTask asks every party of the task in parallel. A party that refuses has failed its run, whatever the reason. One
// task is started after the other, so that no two of them hold cores that the other one needs.
func (j *jobRun) startTask(ctx workflow.Context, name openflow.TaskName) {
	j.state.Started(name)
	j.moved = workflow.Now(ctx)
	t := j.state.Find(name)
	version, parties := t.Version, t.Parties
	workflow.Go(ctx, func(ctx workflow.Context) {
		if err := j.starting.Lock(ctx); err != nil {
			return // the workflow is canceled, and drive ends the job
		}
		defer j.starting.Unlock()
		_ = each(ctx, parties, func(ctx workflow.Context, p openflow.Party) error {
			key := j.key(name, version, p)
			err := j.startAt(ctx, key)
			if err != nil {
				told := openflow.ForPartners(err)
				why := openflow.Cause{Code: told.Code, Text: told.Public, Consequence: told.Consequence || j.status != ""}
				if j.state.NotStarted(key, why) {
					j.heard(ctx, openflow.TaskFailed)
				}
			}
			return err
		})
	})
}

// startAt starts a run at its party. Where other tasks of the job hold the cores, it waits for one of them to end: the
// job itself goes on meanwhile, so that is no failure.
func (j *jobRun) startAt(ctx workflow.Context, k openflow.TaskKey) error {
	began := workflow.Now(ctx)
	for {
		order := openflow.TaskStart{TaskKey: k, StartsJob: !j.begun[k.Party], Ended: j.takeDue(k.Party)}
		err := call(ctx, j.plan.Timing.Partner, fmt.Sprintf("start %s at %s", k.Task, k.Party), scheduling.StartTask, activities.EncodeStart(order), nil)
		if err == nil {
			j.begun[k.Party] = true
		} else {
			j.due[k.Party] = append(order.Ended, j.due[k.Party]...)
		}
		if openflow.CodeOf(err) != openflow.CodeExhausted || j.status != "" {
			return err
		}
		seen := j.ends
		pause := pauseAfter(workflow.Now(ctx).Sub(began))
		if _, err := workflow.AwaitWithTimeout(ctx, pause, func() bool { return j.ends != seen || j.status != "" }); err != nil {
			return activities.FromTemporal(err)
		}
	}
}

// collect asks now and then how silent runs stand, so that a lost report delays a job and never hangs it. Where parties
// do not report at all it asks more often, the longer a run takes the less.
func (j *jobRun) collect(ctx workflow.Context) {
	pause := func() time.Duration {
		silent := pauseAfter(workflow.Now(ctx).Sub(j.moved))
		if j.plan.SyncType == openflow.Poll {
			return min(silent, j.plan.Timing.Collect)
		}
		return max(silent, j.plan.Timing.Collect)
	}
	for {
		moved, err := j.rest(ctx, pause())
		if err != nil {
			return
		}
		if moved {
			continue // a task has started: it is soon time to ask
		}
		_ = each(ctx, j.silent(), func(ctx workflow.Context, k openflow.TaskKey) error {
			r, err := j.ask(ctx, k)
			if err != nil {
				return err // not reachable now: the next round asks again
			}
			if r.Status.Terminal() {
				j.take(ctx, r)
			}
			return nil
		})
	}
}

// ask asks a party how its run stands.
func (j *jobRun) ask(ctx workflow.Context, k openflow.TaskKey) (openflow.Report, error) {
	said := activities.Report{Run: document.EncodeRun(k)}
	err := call(ctx, 0, fmt.Sprintf("how %s stands at %s", k.Task, k.Party), scheduling.CollectTask, said.Run, &said)
	return said.Decode(), err
}

// rest pauses the asking. Where nobody reports, it tells at once that a task has started or ended meanwhile.
func (j *jobRun) rest(ctx workflow.Context, pause time.Duration) (moved bool, err error) {
	if j.plan.SyncType != openflow.Poll {
		return false, workflow.Sleep(ctx, pause)
	}
	since := j.moved
	return workflow.AwaitWithTimeout(ctx, pause, func() bool { return !j.moved.Equal(since) })
}

// giveUp ends a job that cannot go on.
func (j *jobRun) giveUp(ctx workflow.Context, err error) {
	status := openflow.JobFailed
	if openflow.CodeOf(err) == openflow.CodeCanceled {
		status = openflow.JobCanceled
	}
	told := openflow.ForPartners(err) // all parties of the job read it
	j.end(ctx, status, told.Error(), told.Code)
}

func (j *jobRun) record(ctx workflow.Context, status openflow.JobStatus, reason string, progress int) {
	n := activities.JobNews{Job: j.plan.ID, Status: status, Reason: reason, Progress: progress}
	if err := call(ctx, 0, "record "+string(status), scheduling.RecordJob, n, nil); err != nil {
		workflow.GetLogger(ctx).Warn("job news not recorded", "job", j.plan.ID, "err", err)
	}
}
