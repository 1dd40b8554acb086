// Package partner is this node as a participant: what it does when the scheduler of a job asks.
//
// [Service] implements openflow.PartnerService on the catalogue and the engine. Whatever it is asked may arrive twice,
// late or out of order, and gets the answer of the first time; row keys carry the scheduler, which is the verified
// caller, so a stranger finds nothing. It knows neither HTTP nor Temporal nor containers.
package partner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"openflow"
	"openflow/site/admission"
	"openflow/site/lineage"
)

// Store is the part of the catalogue that a participant needs.
type Store interface {
	lineage.Store
	Earlier
	// AdmitJob records a job, where its peer has no more than it may have; rule is that for all peers.
	AdmitJob(ctx context.Context, rule openflow.Quota, j openflow.JobRecord, tasks []openflow.TaskRecord, pins ...openflow.Pin) error
	// MayAdmit refuses early what AdmitJob would refuse of any job of that key and peer.
	MayAdmit(ctx context.Context, rule openflow.Quota, j openflow.JobRecord) error
	// QueueJob moves a job to waiting. One that had ended counts anew among those of its peer; rule is that for all peers.
	QueueJob(ctx context.Context, rule openflow.Quota, k openflow.JobKey, reason string) (bool, error)
	// JobEnded tells whether a job that is here has ended.
	JobEnded(ctx context.Context, k openflow.JobKey) (bool, error)
	// CloseJob notes that a job is never opened again.
	CloseJob(ctx context.Context, k openflow.JobKey) error
	// Quota is what the operator has said of a peer.
	Quota(ctx context.Context, peer openflow.PartyID) (openflow.Quota, error)
	// Lease is until when a job may go on unless its scheduler drives it; zero: for ever.
	Lease(ctx context.Context, k openflow.JobKey) (time.Time, error)
	// RenewLease has a job go on until then at least.
	RenewLease(ctx context.Context, k openflow.JobKey, until time.Time) error
	HasJob(ctx context.Context, k openflow.JobKey, d *openflow.DAG) (bool, error)
	Job(ctx context.Context, k openflow.JobKey) (openflow.JobRecord, error)
	TasksOfJob(ctx context.Context, k openflow.JobKey) ([]openflow.TaskRecord, error)
	Task(ctx context.Context, k openflow.TaskKey) (openflow.TaskRecord, error)
	// OpenTasks lists the runs of a job that were accepted and have not ended, RunsOfJob all that are here; both in all versions.
	OpenTasks(ctx context.Context, k openflow.JobKey) ([]openflow.TaskRecord, error)
	RunsOfJob(ctx context.Context, k openflow.JobKey) ([]openflow.TaskKey, error)
	// LatestTask is the latest version of a task that is here.
	LatestTask(ctx context.Context, k openflow.JobKey, task openflow.TaskName) (openflow.TaskRecord, error)
	Table(ctx context.Context, n openflow.TableName) (openflow.TableRecord, error)
	Model(ctx context.Context, scheduler openflow.PartyID, ref openflow.ModelRef, p openflow.Party, task openflow.TaskName, outputKey string) (openflow.ModelRecord, error)
	ModelOwners(ctx context.Context, ref openflow.ModelRef, p openflow.PartyID) ([]openflow.ModelOwner, error)
	// GrantsFor lists the grants that can permit a job of these two something.
	GrantsFor(ctx context.Context, initiator, scheduler openflow.PartyID) ([]openflow.Grant, error)
	// GrantsOfJob lists the grants on which a job was created here that are still there, and tells how many there were.
	GrantsOfJob(ctx context.Context, scheduler openflow.PartyID, job openflow.JobID) (grants []openflow.Grant, were int, err error)
	UseGrants(ctx context.Context, scheduler openflow.PartyID, job openflow.JobID, ids []openflow.GrantID) error
	RecordDecision(ctx context.Context, e openflow.AuditEvent) error
	ApplyJobResources(ctx context.Context, k openflow.JobKey, capacity openflow.Resources, rules admission.Rules) error
	ReturnJobResources(ctx context.Context, k openflow.JobKey) error
	AddTask(ctx context.Context, t openflow.TaskRecord) error
	// ApplyTaskResources takes what a run needs from its job, where it may run now; rule is the site's for all peers.
	ApplyTaskResources(ctx context.Context, k openflow.TaskKey, gpus int, rule openflow.Quota) error
	UpdateJobStatus(ctx context.Context, k openflow.JobKey, to openflow.JobStatus, reason string) (bool, error)
	SetJobReason(ctx context.Context, k openflow.JobKey, reason string) error
	SetJobProgress(ctx context.Context, k openflow.JobKey, percent int) (bool, error)
	SetTaskStatus(ctx context.Context, k openflow.TaskKey, to openflow.TaskStatus) (bool, error)
	SetTaskReason(ctx context.Context, k openflow.TaskKey, reason string) error
	SetTaskProtocol(ctx context.Context, k openflow.TaskKey, p openflow.Protocol) error
	MarkTaskKilled(ctx context.Context, k openflow.TaskKey, status openflow.TaskStatus, reason string) error
	FinishTask(ctx context.Context, k openflow.TaskKey, end openflow.TaskEnd) (bool, error)
}

// Sessions ends the exchange of messages of a task.
type Sessions interface {
	CloseSession(ctx context.Context, session string, quarantine time.Duration) error
}

// Components tells what this node can run.
type Components interface {
	// Providers returns which provider serves each of these tasks. CodeInvalid: none does, or several could.
	Providers(ctx context.Context, specs []openflow.TaskSpec) ([]openflow.Served, error)
	// Spoken tells what the providers of tasks would speak, of those that are still registered.
	Spoken(ctx context.Context, tasks []openflow.TaskRecord) ([]openflow.Spoken, error)
	// Failed tells which components cannot run here now, and why.
	Failed(ctx context.Context) ([]openflow.ComponentRecord, error)
	// Check compares what these parties do in a job with the descriptions of the components, and with tables of this site.
	Check(ctx context.Context, d *openflow.DAG, parties []openflow.Party, tables map[openflow.TableName]openflow.TableRecord) (mistakes []openflow.Mistake, warnings []string, err error)
}

// Excerpts cuts tables.
type Excerpts interface {
	// Outline is what is told of such a part, without its rows, which are not made. CodePermission: it cannot be cut so.
	Outline(ctx context.Context, rec openflow.TableRecord, columns []string) (openflow.TableRecord, error)
	// Cut makes the part of a table that has these columns and no others. CodePermission: it cannot be cut so.
	Cut(ctx context.Context, rec openflow.TableRecord, columns []string) (openflow.TableRecord, error)
	// Has tells whether a part that was made is there still.
	Has(ctx context.Context, object string) (bool, error)
}

// Mandates proves on whose authority a job is to run here.
type Mandates interface {
	// OfOrder refuses a job that its initiator has not signed just so, unless the scheduler's node is believed without. Errors:
	// CodePermission, CodeUnauthorized.
	OfOrder(ctx context.Context, o openflow.JobOrder) (openflow.Authority, error)
}

// Pool tells how runs find a machine of the site's pool.
type Pool interface {
	// Pooling is nil when the node itself runs a task with that label.
	Pooling(ctx context.Context, label string) (*openflow.Pooling, error)
}

// Limits are this site's own rules for jobs.
type Limits struct {
	Cores       int            // the capacity that jobs share; 0: those of the machine
	Memory      int64          // bytes of that capacity; 0: all that the machine has
	GPUs        int            // devices of that capacity, numbered from 0; negative: all that the machine has
	JobCores    int            // of a job that does not say, in a capacity that has as many
	JobMemory   int64          // bytes of a job that does not say; 0: it takes none, and its containers share what is left
	TaskCores   int            // of a task that does not say, in a job that has as many
	TaskMemory  int64          // bytes that the container of a task that does not say may use
	TaskTimeout time.Duration  // of a task that does not say
	Patience    time.Duration  // after which a job that waits is not passed by others any more
	Lease       time.Duration  // after which a job ends here whose scheduler has not said that it still drives it
	Unrenewed   time.Duration  // the same, of a scheduler whose dialect has no word for that, from the last reservation on
	Idle        time.Duration  // after which a peer's job gives back what it holds and runs nothing with
	Quota       openflow.Quota // of each peer of which nothing else is said; cores, memory and GPUs that are 0 follow from the capacity
}

// DefaultLimits follow FATE-Flow's defaults, but for the capacity: FATE-Flow promises 32 cores on every machine.
//
// Spec: fate-flow-api §4.10, §4.7.
func DefaultLimits() Limits {
	return Limits{
		GPUs: -1, JobCores: 4, TaskCores: 4, TaskMemory: 4 << 30, TaskTimeout: 72 * time.Hour, Patience: 5 * time.Minute,
		Lease: 30 * time.Minute, Unrenewed: 7 * 24 * time.Hour, Idle: time.Hour, Quota: openflow.DefaultQuota(),
	}
}

// leastLease is shorter than any scheduler may be silent: it is asked every few seconds.
const leastLease = time.Second

// Check refuses limits by which no job could run. CodeInvalid.
func (l Limits) Check() error {
	for _, k := range []struct {
		flag string
		d    time.Duration
	}{{"--lease", l.Lease}, {"--lease-unrenewed", l.Unrenewed}, {"--idle", l.Idle}} {
		if k.d < leastLease {
			return openflow.Errorf(openflow.CodeInvalid, "%s of %s would end every job", k.flag, k.d).WithHint("%s is the least", leastLease)
		}
	}
	return l.Quota.Check()
}

// Capacity is what jobs share at this site.
func (l Limits) Capacity() openflow.Resources {
	return openflow.Resources{Cores: l.Cores, Memory: l.Memory, GPUs: max(l.GPUs, 0)}
}

// Rules are those of the queue at this site.
func (l Limits) Rules() admission.Rules {
	return admission.Rules{Patience: l.Patience, Quota: l.Quota.Within(l.Capacity())}
}

// quarantine is how long the ID of an ended session takes no messages (interop-transport §6.5).
const quarantine = 10 * time.Minute

// Service is this node as a participant.
type Service struct {
	Self       openflow.PartyID
	Store      Store
	Engine     openflow.Engine
	Sessions   Sessions
	Components Components
	Excerpts   Excerpts
	Mandates   Mandates
	Pool       Pool // nil: the node runs every task itself
	Limits     Limits
	Policy     openflow.Policy
	Space      func() error          // nil, or what it answers: there is room for what is new
	GrantAll   bool                  // peers may initiate and schedule jobs, and use every table and component: for trials
	Freed      func()                // is told when a job has given back what it held; nil: nobody wants to know
	Ended      func(openflow.JobKey) // is told when a job has ended here; nil: nobody wants to know
	Log        *slog.Logger
}

var _ openflow.PartnerService = (*Service)(nil)

// room refuses what is new here on a disk that is nearly full.
func (s *Service) room() error {
	if s.Space == nil {
		return nil
	}
	return openflow.About(openflow.AboutResource, s.Space())
}

// Reserve takes what the job needs of the capacity; see openflow.PartnerService.
func (s *Service) Reserve(ctx context.Context, k openflow.JobKey) (openflow.Reservation, error) {
	return s.reserve(ctx, k, false)
}

// reserve is Reserve; first says that the job is only just recorded.
func (s *Service) reserve(ctx context.Context, k openflow.JobKey, first bool) (openflow.Reservation, error) {
	if _, err := s.move(ctx, k, openflow.JobWaiting, ""); err != nil && openflow.CodeOf(err) != openflow.CodeConflict {
		return openflow.Reservation{}, s.overQuota(ctx, k, err) // a job that runs already is no conflict: the store knows whether it holds its cores
	}
	if err := s.awaits(ctx, k, first); err != nil {
		return openflow.Reserved(err)
	}
	err := s.Store.ApplyJobResources(ctx, k, s.Limits.Capacity(), s.Limits.Rules())
	return openflow.Reserved(openflow.About(openflow.AboutResource, s.overQuota(ctx, k, err)))
}

// overQuota records a refusal of resources that the job's peer may not have.
func (s *Service) overQuota(ctx context.Context, k openflow.JobKey, err error) error {
	if errors.Is(err, openflow.ErrOverQuota) {
		word := openflow.Authority{Scheduler: k.Scheduler}
		if job, missing := s.Store.Job(ctx, k); missing == nil {
			word = job.Authority()
		}
		s.ledger().Refused(ctx, asked(k, word, "job/reserve"), err)
	}
	return err
}

// Release undoes Reserve. While a run of the job is under way, its programs have what the job holds, and nothing is given back.
func (s *Service) Release(ctx context.Context, k openflow.JobKey) error {
	if err := s.Store.ReturnJobResources(ctx, k); err != nil {
		return openflow.About(openflow.AboutResource, err)
	}
	s.tellFreed()
	return nil
}

func (s *Service) tellFreed() {
	if s.Freed != nil {
		s.Freed()
	}
}

// Tell takes over what the scheduler says of the job and its tasks. All that can be taken over is, whatever is not known. An end of
// the job stops what runs of it. A job that is not here costs one look.
func (s *Service) Tell(ctx context.Context, k openflow.JobKey, n openflow.News) error {
	if _, err := s.Store.JobEnded(ctx, k); err != nil {
		return openflow.About(openflow.AboutJob, err)
	}
	if n.Status != "" {
		if _, err := s.move(ctx, k, n.Status, n.Reason); err != nil {
			return err
		}
	}
	if n.Inherit {
		if err := s.takeOverAll(ctx, k); err != nil {
			return err
		}
	}
	if n.Status.Terminal() {
		if err := s.stopOpen(ctx, k, n.Status, n.Reason, nil); err != nil {
			return err
		}
	}
	if n.Reason != "" && !n.Status.Terminal() {
		if err := s.Store.SetJobReason(ctx, k, n.Reason); err != nil {
			return openflow.About(openflow.AboutJob, err)
		}
	}
	if n.Progress > 0 {
		if _, err := s.Store.SetJobProgress(ctx, k, n.Progress); err != nil {
			return openflow.About(openflow.AboutJob, err)
		}
	}
	tasks, unknown, err := s.about(ctx, k, n.Tasks)
	if err != nil {
		return err
	}
	for _, u := range tasks {
		err := s.tellTask(ctx, u)
		switch openflow.CodeOf(err) {
		case "":
		case openflow.CodeNotFound:
			unknown = err
		default:
			return err
		}
	}
	return unknown
}

func (s *Service) move(ctx context.Context, k openflow.JobKey, to openflow.JobStatus, reason string) (bool, error) {
	if to == openflow.JobWaiting {
		return s.queue(ctx, k, reason)
	}
	if reason == "" && to.Terminal() && to != openflow.JobSuccess {
		var err error
		if reason, err = s.unsaid(ctx, k, to); err != nil {
			return false, err
		}
	}
	changed, err := s.Store.UpdateJobStatus(ctx, k, to, reason)
	if changed && to.Terminal() {
		s.tellFreed()
		if s.Ended != nil {
			s.Ended(k)
		}
	}
	return changed, openflow.About(openflow.AboutJob, err)
}

// queue lets a job wait. One that has ended is new once more: it needs room, and a place among the jobs of its peer.
func (s *Service) queue(ctx context.Context, k openflow.JobKey, reason string) (bool, error) {
	if full := s.room(); full != nil {
		if ended, err := s.Store.JobEnded(ctx, k); err != nil || ended {
			return false, cmp.Or(openflow.About(openflow.AboutJob, err), full)
		}
	}
	changed, err := s.Store.QueueJob(ctx, s.Limits.Rules().Quota, k, reason)
	return changed, openflow.About(openflow.AboutJob, err)
}

// StopJob ends the job here; see openflow.PartnerService. Tasks that never started stay waiting for a rerun, with a reason,
// unless the scheduler says that they have ended.
//
// Spec: fate-flow-api §2.3 job/stop; the status in the call: part 7 #24.
func (s *Service) StopJob(ctx context.Context, k openflow.JobKey, end openflow.JobEnd) error {
	if err := s.hear(ctx, k, end.Tasks); err != nil {
		return err
	}
	status, reason, err := s.asHere(ctx, k, end)
	if err != nil {
		return err
	}
	tasks, err := s.Store.TasksOfJob(ctx, k)
	if err != nil {
		return openflow.About(openflow.AboutJob, err)
	}
	stopped := map[openflow.TaskKey]bool{}
	for _, t := range tasks {
		if err := s.stopForJob(ctx, t, status, reason); err != nil {
			return err
		}
		stopped[t.Key] = t.PartyStatus == openflow.TaskRunning || t.ResourceInUse
	}
	if status == openflow.JobSuccess {
		if _, err := s.Store.SetJobProgress(ctx, k, 100); err != nil {
			return openflow.About(openflow.AboutJob, err)
		}
	}
	_, err = s.move(ctx, k, status, reason)
	if openflow.CodeOf(err) == openflow.CodeConflict {
		err = nil // it has ended otherwise, which is final until a rerun
	}
	if err != nil {
		return err
	}
	return s.stopOpen(ctx, k, status, reason, stopped)
}

// stopOpen stops what is under way of a job that has ended, but for what is stopped already: earlier versions, and a run that was
// accepted at the same moment. No further one is accepted.
func (s *Service) stopOpen(ctx context.Context, k openflow.JobKey, status openflow.JobStatus, reason string, stopped map[openflow.TaskKey]bool) error {
	runs, err := s.Store.OpenTasks(ctx, k)
	if err != nil {
		return openflow.About(openflow.AboutTask, err)
	}
	for _, t := range runs {
		if stopped[t.Key] {
			continue
		}
		if err := s.stopRun(ctx, t, endFor(status), reason); err != nil {
			return err
		}
	}
	return nil
}

// asHere is how a job ends here that its scheduler ends so. One that has ended keeps the way it has, whatever a repeat says, and its tasks
// say the same. A success of a job that has not run here is none, and what it holds is given back all the same.
func (s *Service) asHere(ctx context.Context, k openflow.JobKey, end openflow.JobEnd) (status openflow.JobStatus, reason string, err error) {
	job, err := s.Store.Job(ctx, k)
	switch {
	case err != nil:
		return "", "", openflow.About(openflow.AboutJob, err)
	case job.Status.Terminal() && job.Status != end.Status:
		return job.Status, job.Reason, nil
	case end.Status == openflow.JobSuccess && !job.Status.Terminal() && job.Status != openflow.JobRunning:
		return openflow.JobCanceled, fmt.Sprintf("party %s, which schedules the job, says that it has succeeded, and it has not run here", k.Scheduler), nil
	}
	return end.Status, end.Reason, nil
}

// EndHere ends this site's part of a job for good, whatever its scheduler says: it cannot open the job again. One that has ended
// keeps the way it has.
func (s *Service) EndHere(ctx context.Context, k openflow.JobKey, reason string) error {
	if err := s.Store.CloseJob(ctx, k); err != nil {
		return openflow.About(openflow.AboutJob, err)
	}
	return s.StopJob(ctx, k, openflow.JobEnd{Status: openflow.JobCanceled, Reason: reason})
}

func (s *Service) stopForJob(ctx context.Context, t openflow.TaskRecord, status openflow.JobStatus, reason string) error {
	switch {
	case t.PartyStatus == openflow.TaskWaiting && !t.ResourceInUse: // it was never accepted
		if status == openflow.JobSuccess {
			return nil
		}
		why := "not started: the job is " + string(status)
		if t.Status.Terminal() && !t.Status.Succeeded() {
			return s.neverStarts(ctx, t, why)
		}
		return s.Store.SetTaskReason(ctx, t.Key, why)
	case !t.PartyStatus.Terminal():
		if err := s.stopRun(ctx, t, endFor(status), reason); err != nil {
			return err
		}
	}
	if !t.Status.Terminal() {
		federated := endFor(status)
		if t.PartyStatus.Terminal() && !t.PartyStatus.Succeeded() && status != openflow.JobSuccess { // a success here is none elsewhere
			federated = t.PartyStatus
		}
		if err := s.announce(ctx, t.Key, federated); err != nil {
			return err
		}
	}
	return s.Sessions.CloseSession(ctx, string(t.Key.SessionID()), quarantine)
}

// endFor is how a run ends that is stopped because its job has ended.
func endFor(s openflow.JobStatus) openflow.TaskStatus {
	switch s {
	case openflow.JobSuccess:
		return openflow.TaskSuccess
	case openflow.JobFailed, openflow.JobTimeout, openflow.JobCanceled, openflow.JobReady, openflow.JobWaiting, openflow.JobRunning:
	}
	return openflow.TaskCanceled
}

// stopRun ends an accepted run. One without a workflow ends here, as when this node was killed while it accepted the run:
// nobody else would give back what it holds.
func (s *Service) stopRun(ctx context.Context, t openflow.TaskRecord, status openflow.TaskStatus, reason string) error {
	if status.Succeeded() {
		status = openflow.TaskCanceled
	}
	if err := s.Store.MarkTaskKilled(ctx, t.Key, status, reason); err != nil {
		return openflow.About(openflow.AboutTask, err)
	}
	err := s.Engine.StopTask(ctx, t.Key, status, reason)
	if openflow.CodeOf(err) == openflow.CodeNotFound {
		_, err = s.Store.FinishTask(ctx, t.Key, openflow.TaskEnd{
			Status: status, Reason: reason, Cause: openflow.Cause{Code: openflow.CodeCanceled, Consequence: true},
		})
		if openflow.CodeOf(err) == openflow.CodeConflict {
			return nil // its workflow has ended it meanwhile
		}
		if err == nil && t.PartyStatus == openflow.TaskRunning { // its program may run on, and nobody follows it
			o := s.order(t)
			o.Lost = reason
			err = s.Engine.EndTask(ctx, o)
		}
	}
	return openflow.About(openflow.AboutTask, err)
}

// neverStarts ends a run that has not begun here and never will: a rerun makes a further version of it.
func (s *Service) neverStarts(ctx context.Context, t openflow.TaskRecord, why string) error {
	_, err := s.Store.FinishTask(ctx, t.Key, openflow.TaskEnd{
		Status: openflow.TaskCanceled, Reason: why, Cause: openflow.Cause{Code: openflow.CodeCanceled, Consequence: true},
	})
	if openflow.CodeOf(err) == openflow.CodeConflict {
		return nil // its workflow has ended it meanwhile
	}
	return openflow.About(openflow.AboutTask, err)
}

// EndLost ends a run whose workflow is gone: one in its place stops what still runs of it, records that, and reports it. One
// that has ended stays as it is.
func (s *Service) EndLost(ctx context.Context, id openflow.RunID, why string) error {
	k, err := openflow.ParseRunID(id)
	if err != nil {
		return err
	}
	t, err := s.task(ctx, k)
	if err != nil || t.PartyStatus.Terminal() {
		return err
	}
	o := s.order(t)
	o.Lost = why
	return openflow.About(openflow.AboutTask, s.Engine.EndTask(ctx, o))
}

func (s *Service) announce(ctx context.Context, k openflow.TaskKey, status openflow.TaskStatus) error {
	_, err := s.Store.SetTaskStatus(ctx, k, status)
	if openflow.CodeOf(err) == openflow.CodeConflict {
		return nil // an earlier end is final
	}
	return openflow.About(openflow.AboutTask, err)
}
