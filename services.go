package openflow

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Submission is a job as it reaches its scheduler.
type Submission struct {
	DAG            *DAG
	Initiator      PartyID
	ID             JobID  // made by the initiator; empty: the scheduler makes one
	IdempotencyKey string // a repeat with the same key and content is the same job; may be empty
	UserName       string
	Mandate        *Mandate  // that the initiator has signed; nil: it signs nothing
	Warnings       []string  // what was found out while the document was read
	Mistakes       []Mistake // what was wrong with it there; the node tells them with all others
}

// Submitted is the answer to a submission.
type Submitted struct {
	ID           JobID
	ModelID      string
	ModelVersion string
	Warnings     []string // what the submitter should know, such as an arbiter at a data party's institution
}

// JobService is what a node offers its own users (application layer). A job that is named without its scheduler is the only
// one of that ID here; CodeConflict, listing the schedulers: there are several.
type JobService interface {
	// SubmitJob validates d, fills in what the submitter left open and hands the job to its scheduler. It returns once
	// every party has created the job. Repeating it with the same key and content gives the first job.
	// Errors: CodeInvalid, CodeConflict (key used for another content), CodeRejected, CodePermission, CodeUnavailable,
	// each naming the party.
	SubmitJob(ctx context.Context, s Submission) (Submitted, error)
	// StopJob asks the job's scheduler to cancel it and tells how far that has come after a moment. Stopping an ended job is
	// success; where its end has not come to this site, it does so now. Errors: CodeNotFound when neither this node nor a
	// peer schedules it for this node.
	StopJob(ctx context.Context, scheduler PartyID, id JobID) (Stopped, error)
	// StopHere ends this site's own part of a job at once and for good, whatever its scheduler says and whether or not it
	// answers. It is told afterwards, as far as it can be reached. Errors: CodeNotFound when this site has no part in it.
	StopHere(ctx context.Context, scheduler PartyID, id JobID) (Stopped, error)
	// RerunJob asks the scheduler to run again what has not succeeded of an ended job. A job that runs or has succeeded
	// is left alone.
	RerunJob(ctx context.Context, scheduler PartyID, id JobID) error
}

// Report is one party's word about its run of a task.
type Report struct {
	Key    TaskKey
	Status TaskStatus
	Cause  // when it did not succeed
}

// SchedulerService is what a node offers as scheduler of a job. caller is the verified party.
//
// Spec: fate-flow-api §2.2.
type SchedulerService interface {
	// CreateJob starts a job and returns once every party has created it, or with the refusal of the first that did not.
	// CodePermission: the caller is not the initiator that the job names, or its mandate does not say this job.
	CreateJob(ctx context.Context, caller PartyID, s Submission) (Submitted, error)
	// StopJob ends a job early; an ended one stays as it is. Only the job's parties and its initiator may. The answer comes
	// once nothing of the job runs anywhere, or after a moment.
	StopJob(ctx context.Context, caller PartyID, id JobID, status JobStatus) (Stopped, error)
	// RerunJob opens a new run of an ended job under the same ID: what succeeded is kept, the rest becomes new versions.
	// A job that runs or has succeeded is left alone. It is for the job's initiator, and the scheduler's own users. Errors:
	// CodePermission; CodeConflict when it was never created at its parties, is still ending, or was run again MaxReruns times.
	RerunJob(ctx context.Context, caller PartyID, id JobID) error
	// WakeJob is a party's word that a job which it kept waiting can now have its resources there. A job that does not
	// wait is left alone.
	WakeJob(ctx context.Context, caller PartyID, id JobID) error
	// EndedJobs tells which of these jobs have ended, and how; at most MaxEndedJobs are asked for at once. A job that this
	// node does not schedule for the caller has ended too: it is told without a status.
	EndedJobs(ctx context.Context, caller PartyID, ids []JobID) ([]EndedJob, error)
	// ReportTask takes a party's word. A late, repeated or outdated report is success without effect.
	ReportTask(ctx context.Context, caller PartyID, r Report) error
}

// JobOrder asks a party to create a job.
type JobOrder struct {
	Key      JobKey
	DAG      *DAG // as this party may see it
	UserName string
	Mandate  *Mandate // the initiator's, with the salt of this party; nil: it signs nothing
	Later    bool     // the job is only recorded; its resources are asked for by Reserve
}

// TaskUpdate is what the scheduler says of a task to its parties.
type TaskUpdate struct {
	Key      TaskKey
	Status   TaskStatus // federated
	Reason   string
	Progress int // of the job, in percent
}

// TaskStart asks a party to start its run of a task. What the party has to hear before goes along, so that a task costs
// one call.
type TaskStart struct {
	TaskKey                // a version that the party does not know yet is made from the latest before it
	StartsJob bool         // the job has not started at this party
	Protocol  Protocol     // that the task's parties have in common; zero: nothing was compared, or there is nothing to say
	Ended     []TaskUpdate // what has ended since the party last heard
	Again     bool         // it has been asked before, and the answer was lost: the run may have started
	Begun     bool         // the scheduler wants to hear in a push job that the run has begun
}

// JobEnd tells a party that the job has ended.
type JobEnd struct {
	Status JobStatus
	Reason string
	Tasks  []TaskUpdate // ends of tasks that the party has not heard of; others that still run there are stopped as well
}

// Stopped tells how far the stop of a job has come.
type Stopped struct {
	Status   JobStatus // in which the job has ended; empty: it has not yet
	Reason   string
	Stopping []Party // who has not confirmed yet that nothing of the job runs there; they are asked until they do
}

// EndedJob is how a job has ended at its scheduler.
type EndedJob struct {
	ID     JobID
	Status JobStatus // empty: the scheduler does not know the job
	Reason string    // as the one who asks may read it
}

// UnknownToScheduler is why a job ends at a party whose scheduler does not know it any more.
func UnknownToScheduler(scheduler PartyID) string {
	return fmt.Sprintf("party %s, which scheduled the job, does not know it any more; perhaps it was restored from a backup", scheduler)
}

// RefusedByScheduler is why a job ends at a party whose user stops it there, because its scheduler does not listen.
func RefusedByScheduler(scheduler PartyID) string {
	return fmt.Sprintf("stopped at this site only: party %s, which schedules the job, does not accept this site's signature", scheduler)
}

// UnheardByScheduler is why a job ends at a party whose user stops it there, because its scheduler takes no stops.
func UnheardByScheduler(scheduler PartyID) string {
	return fmt.Sprintf("stopped at this site only: party %s, which schedules the job, offers no way to stop it", scheduler)
}

// GivenBackUnused is why a job that goes on holds nothing at a party.
func GivenBackUnused(scheduler PartyID) string {
	return fmt.Sprintf("party %s, which schedules the job, has long run nothing here; what the job held was given back, and it asks again when a task is to start", scheduler)
}

// MaxEndedJobs bounds one question about ends.
const MaxEndedJobs = 500

// Over reports whether the job has ended and nothing of it runs at any party.
func (s Stopped) Over() bool { return s.Status.Terminal() && len(s.Stopping) == 0 }

// Reservation tells whether a job holds its cores, memory and GPUs at a party.
type Reservation struct {
	Held bool
	// Short is why it does not; nil when it does, or has not asked. CodeExhausted: they are taken, and the party calls back
	// with SchedulerService.WakeJob; ask again later all the same. CodeUnavailable: the same of a party that never calls.
	// CodeInvalid: more than the site has.
	Short *Error
	// Spoken is what OpenJob answers besides: who would run the tasks that the party has with others. A task that it leaves out is
	// one of which it says nothing, as parties whose dialect has no word for it.
	Spoken []Spoken
}

// Reserved sorts what came of asking for resources: an error about them is an answer, every other one an error.
func Reserved(err error) (Reservation, error) {
	var e *Error
	switch {
	case err == nil:
		return Reservation{Held: true}, nil
	case errors.As(err, &e) && e.Subject == AboutResource:
		return Reservation{Short: e}, nil
	}
	return Reservation{}, err
}

// Err is Short as an error.
func (r Reservation) Err() error {
	if r.Short == nil {
		return nil
	}
	return r.Short
}

// News is what a scheduler says of a job that goes on. What is empty stays as it is.
type News struct {
	Status   JobStatus // JobRunning starts the job
	Reason   string
	Progress int          // percent; it only grows
	Inherit  bool         // what the job takes over from an earlier one is taken over now, and not when its tasks are started
	Tasks    []TaskUpdate // an end stops what still runs; a further version that waits is made from the latest before it
}

// TaskStanding is how a party's run of a task stands.
type TaskStanding struct {
	Key         TaskKey
	Status      TaskStatus // federated, as the party has heard
	PartyStatus TaskStatus
	Cause            // when it did not succeed
	Stopping    bool // it is being stopped, also before it has begun to run
	Accepted    bool // it was accepted here: it holds what it needs, or has ended
	Polled      bool // nobody reports its end
	StartTime   time.Time
	UpdateTime  time.Time
	EndTime     time.Time
}

// PartnerService is what a node offers the scheduler of a job, for each role that it plays. Every method may be called
// twice with the same arguments and then answers as the first time. Row keys name the scheduler, which is the verified
// caller, so a stranger finds nothing.
type PartnerService interface {
	// OpenJob records the job and its tasks, and reserves what the job needs; nothing runs. Errors, of a job that is not
	// created: CodePermission (no grant, no mandate), CodeUnauthorized (a mandate that is not the initiator's), CodeInvalid,
	// CodeConflict.
	OpenJob(ctx context.Context, o JobOrder) (Reservation, error)
	// Reserve asks again for the cores, memory and GPUs of a job.
	Reserve(ctx context.Context, k JobKey) (Reservation, error)
	// Release gives back what the job holds, if anything. While a run of it is under way, nothing is given back.
	Release(ctx context.Context, k JobKey) error
	// StartTask accepts a task durably and returns; its end comes as a report or by AskTask.
	// Errors: CodeExhausted when what it needs is taken for now.
	StartTask(ctx context.Context, o TaskStart) error
	// Tell takes over news. An end of the job stops what runs of it. CodeNotFound: the job, or one of the tasks, is not here; the rest is taken over.
	Tell(ctx context.Context, k JobKey, n News) error
	// StopJob ends the job here: running tasks are stopped, resources returned. It returns when the stop is recorded.
	StopJob(ctx context.Context, k JobKey, end JobEnd) error
	// AskTask tells how a run of a task stands here.
	AskTask(ctx context.Context, k TaskKey) (TaskStanding, error)
}

// Slow is a service of another node that may take minutes to answer, and calls this node before it does. Whoever calls it waits
// for the answer and holds nothing up meanwhile: a repeat is not the same as one call.
type Slow interface{ Slow() }

// Directory finds the services of parties: this node's own, or a client of a partner's node.
type Directory interface {
	Partner(ctx context.Context, id PartyID) (PartnerService, error)
	Scheduler(ctx context.Context, id PartyID) (SchedulerService, error)
}

// TaskOrder starts a task's run at one party: what its durable task workflow is given.
type TaskOrder struct {
	Key       TaskKey
	Report    bool          // tell the scheduler about the end (push)
	Begun     bool          // and before that, that it has begun
	Timeout   time.Duration // of the run
	Label     string        // which workers may run it; empty: any
	Component string
	Cores     int      // that it takes of a machine
	Pool      *Pooling // how a machine of the site's pool is found; nil: the node runs it itself
	Lost      string   // why the run's workflow is gone, of one in its place that only records and reports that; empty: it runs
	Revision  int      // of the workflow's code at the start; set by the engine
}

// Pooling is how long a run waits for the site's pool, fixed when it starts.
type Pooling struct {
	Wait time.Duration // for a worker, where there is none that may run it, before the run fails
	Gone time.Duration // for the worker of a silent machine to come back, before the run fails
}

// JobPlan starts a job at its scheduler: what its durable job workflow is given. It holds the skeleton of the DAG and
// no parameters.
type JobPlan struct {
	ID          JobID
	Scheduler   PartyID
	Initiator   PartyID
	Name        string // for people: "4 tasks, 3 parties"
	UserName    string // who submitted it; may be empty
	Parties     []Party
	Tasks       []PlannedTask // upstreams first
	SyncType    SyncType
	AutoRetries int
	Timing      Timing
	Timeout     time.Duration // from the start of the job, not counting what it waits before; 0: none
	Again       bool          // a further run of a job that its parties know
	Lost        Lost          // with a status: the job's workflow is gone, and this one in its place only ends the job
	Revision    int           // of the workflow's code at the start; set by the engine
}

// Lost is how a job ends whose workflow is gone.
type Lost struct {
	Status JobStatus
	Reason string
}

// PlannedTask is a task as far as scheduling goes.
type PlannedTask struct {
	Name      TaskName
	Component string
	Upstreams []TaskName
	Parties   []Party
	Version   int      // the first to be run
	Done      bool     // it has succeeded in an earlier run
	Protocol  Protocol // that its parties had in common in an earlier run
}

// Timing holds the deadlines of a job, fixed when it starts.
type Timing struct {
	Create  time.Duration // for all parties to create the job
	Partner time.Duration // for one call to a partner, repeated, before the job fails
	Undo    time.Duration // how long an end is offered to a partner that does not answer
	Collect time.Duration // how long a task may be silent before it is asked
}

// Engine runs jobs and tasks durably.
type Engine interface {
	// StartJob starts the job's workflow, or finds it running or ended, and returns once all parties have created it, with what
	// the job's users should know of that.
	StartJob(ctx context.Context, p JobPlan) (warnings []string, err error)
	// JobRuns tells whether a job is under way. One that is ending is waited for, a moment long. CodeConflict: it is still
	// ending, because not all parties know of the end yet.
	JobRuns(ctx context.Context, id JobID) (bool, error)
	// RerunJob starts a further run of a job that JobRuns has told is over, and returns once its parties have opened it
	// again or are slow to answer. One that was started meanwhile is success.
	RerunJob(ctx context.Context, p JobPlan) error
	// StopJob tells the workflow to end early and returns how far that has come, at the latest after a moment. CodeNotFound
	// when there is none that still runs: the job has ended everywhere.
	StopJob(ctx context.Context, id JobID, status JobStatus, reason string) (Stopped, error)
	// Stopped tells how far the end of a job has come. CodeNotFound like StopJob.
	Stopped(ctx context.Context, id JobID) (Stopped, error)
	// ReportTask hands a report to the job's workflow. CodeNotFound when there is none that still runs.
	ReportTask(ctx context.Context, r Report) error
	// WakeJobs makes waiting jobs ask for resources now.
	WakeJobs(ctx context.Context, ids []JobID) error
	// StartTask starts the task's workflow; one that exists or existed is success.
	StartTask(ctx context.Context, o TaskOrder) error
	// StopTask ends a task's run with that status. CodeNotFound when none runs: it has ended, or was never started. A repeat
	// is success.
	StopTask(ctx context.Context, k TaskKey, status TaskStatus, reason string) error

	// OpenWorkflows lists those that go on, page by page: page is empty at first, and next at the end. It may lag behind.
	OpenWorkflows(ctx context.Context, page string) (list []Workflow, next string, err error)
	// Fate tells how one stands at this moment.
	Fate(ctx context.Context, w Workflow) (Fate, error)
	// EndJob starts a workflow in the place of one that is gone. It ends the job as the plan says: at all parties, and in the
	// record. Where one goes on, that is left alone.
	EndJob(ctx context.Context, p JobPlan) error
	// EndTask is EndJob for a run: its workflow records the end and reports it.
	EndTask(ctx context.Context, o TaskOrder) error
}

// Apps are the tokens of this site's apps: what proves peers that sign as FATE-Flow does, and this site to them.
//
// Spec: fate-flow-api §0.6.3.
type Apps interface {
	// App is the app of that kind and ID with its token. CodeNotFound about AboutApp: there is none.
	App(ctx context.Context, kind AppKind, id AppID) (a App, token string, err error)
	// AppOf is the app of a party: with AppSite that party calls this site, with AppPartner this site calls the party.
	// CodeNotFound about AboutApp: there is none.
	AppOf(ctx context.Context, kind AppKind, party PartyID) (a App, token string, err error)
}
