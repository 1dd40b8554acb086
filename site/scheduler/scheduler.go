// Package scheduler is this node as the one that drives a job: it takes submissions, stops and reports from the job's
// initiator and parties and hands them to the job's workflow.
//
// [Service] implements openflow.SchedulerService. It decides nothing about what runs next; that is the workflow's part.
package scheduler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"openflow"
	"openflow/store/document"
	"openflow/workflows/plan"
)

// Store is the scheduler's own record of its jobs.
type Store interface {
	// AdmitScheduledJob records a job where its initiator has no more under way than it may have; rule is that for all peers.
	AdmitScheduledJob(ctx context.Context, rule openflow.Quota, j openflow.ScheduledJob) (openflow.ScheduledJob, error)
	// Submitted finds the job that an initiator has submitted under that key, or with that ID. CodeNotFound: there is none.
	Submitted(ctx context.Context, initiator openflow.PartyID, key string, id openflow.JobID) (openflow.ScheduledJob, error)
	// MaySchedule refuses early what AdmitScheduledJob would refuse of any job of that initiator.
	MaySchedule(ctx context.Context, rule openflow.Quota, initiator openflow.PartyID) error
	ScheduledJob(ctx context.Context, id openflow.JobID) (openflow.ScheduledJob, error)
	// Site returns a peer of this node; CodeNotFound: it is none.
	Site(ctx context.Context, id openflow.PartyID) (openflow.SiteRecord, error)
	// GrantsFor lists the grants that can permit a job of these two something.
	GrantsFor(ctx context.Context, initiator, scheduler openflow.PartyID) ([]openflow.Grant, error)
	// GrantsOfJob lists the grants on which a job was taken here.
	GrantsOfJob(ctx context.Context, scheduler openflow.PartyID, job openflow.JobID) (grants []openflow.Grant, were int, err error)
	RecordDecision(ctx context.Context, e openflow.AuditEvent) error
}

// Mandates proves on whose authority a job is to be scheduled.
type Mandates interface {
	// OfSubmission refuses a job that its initiator has not signed, unless its node is believed without. Errors:
	// CodePermission, CodeUnauthorized.
	OfSubmission(ctx context.Context, caller openflow.PartyID, sub openflow.Submission) (openflow.Authority, error)
}

// Service is this node as a scheduler.
type Service struct {
	Self     openflow.PartyID
	Store    Store
	Mandates Mandates
	Engine   openflow.Engine
	Timing   openflow.Timing
	NewID    func() openflow.JobID
	Quota    openflow.Quota // of each peer of which nothing else is said
	Space    func() error   // nil, or what it answers: there is room for what is new
	// GrantAll lets every peer initiate jobs: for trials.
	GrantAll bool
	// Heard is told of each report that is taken; nil: nobody is.
	Heard func(openflow.TaskKey)
	Log   *slog.Logger

	wakes wakes
}

var _ openflow.SchedulerService = (*Service)(nil)

// CreateJob records the job, starts its workflow and returns once all parties have created it. A repeat with the same
// idempotency key finds the job that the first one made. Of what an initiator has signed nothing is changed; what another one
// has left open is filled in. A caller that may not initiate jobs here is refused before anything else is looked at.
//
// Spec: fate-flow-api §2.2 (defaults that the scheduler fills in), part 7 #26, #42.
func (s *Service) CreateJob(ctx context.Context, caller openflow.PartyID, sub openflow.Submission) (openflow.Submitted, error) {
	job, word, err := s.admit(ctx, caller, sub)
	code := openflow.CodeOf(err)
	if code == openflow.CodePermission || code == openflow.CodeUnauthorized || errors.Is(err, openflow.ErrOverQuota) {
		s.refused(ctx, caller, word, "job/schedule", sub.ID, err)
	}
	if err != nil {
		return openflow.Submitted{}, err
	}
	if err := s.taken(ctx, caller, word, job); err != nil {
		return openflow.Submitted{}, err
	}
	answer := openflow.Submitted{ID: job.ID, ModelID: job.DAG.Conf.ModelID, ModelVersion: job.DAG.Conf.ModelVersion}
	if job.Status.Terminal() {
		return answer, refusal(job) // a repeat of what has ended meanwhile
	}
	p, err := s.plan(job)
	if err != nil {
		return answer, err
	}
	answer.Warnings, err = s.Engine.StartJob(ctx, p)
	return answer, openflow.About(openflow.AboutJob, err)
}

// admit records a job, and tells on whose word. A repeat of what is there needs neither grants nor room.
func (s *Service) admit(ctx context.Context, caller openflow.PartyID, sub openflow.Submission) (openflow.ScheduledJob, openflow.Authority, error) {
	word := s.word(caller)
	no := func(err error) (openflow.ScheduledJob, openflow.Authority, error) {
		return openflow.ScheduledJob{}, word, err
	}
	first, err := s.Store.Submitted(ctx, caller, sub.IdempotencyKey, sub.ID)
	known := err == nil
	if !known && openflow.CodeOf(err) != openflow.CodeNotFound {
		return no(openflow.About(openflow.AboutJob, err))
	}
	if !known {
		if err := s.enter(ctx, caller); err != nil { // it is cheap, and comes first
			return no(err)
		}
		if err := s.room(ctx, caller); err != nil {
			return no(err)
		}
	}
	dag := *sub.DAG
	if err := s.own(caller, &dag.Conf); err != nil {
		return no(openflow.About(openflow.AboutJob, err))
	}
	if sub.ID == "" {
		sub.ID = s.NewID()
	}
	if err := openflow.CheckJobID(sub.ID); err != nil {
		return no(err)
	}
	dag.Conf = dag.Conf.Filled(sub.ID)
	sub.DAG = &dag
	job := openflow.ScheduledJob{
		ID: sub.ID, Initiator: caller, Status: openflow.JobReady, DAG: &dag, Priority: dag.Conf.Priority,
		IdempotencyKey: sub.IdempotencyKey, UserName: sub.UserName, Mandate: sub.Mandate,
	}
	if known {
		if job.SubmitHash, err = content(dag, sub.ID); err == nil {
			err = openflow.About(openflow.AboutJob, job.Repeats(first))
		}
		if err != nil {
			return no(err)
		}
		return s.repeat(ctx, first)
	}
	if word, err = s.Mandates.OfSubmission(ctx, caller, sub); err != nil {
		word = s.word(caller)
		return no(openflow.About(openflow.AboutJob, err))
	}
	if job.SubmitHash, err = content(dag, sub.ID); err != nil {
		return no(err)
	}
	if err := dag.Validate(); err != nil {
		return no(openflow.About(openflow.AboutJob, err))
	}
	if err := s.reaches(ctx, dag.Participants()); err != nil {
		return no(err)
	}
	if job.Grants, err = s.permit(ctx, word, &dag); err != nil {
		return no(err)
	}
	job, err = s.Store.AdmitScheduledJob(ctx, s.rule(caller), job)
	return job, word, openflow.About(openflow.AboutJob, err)
}

// room refuses further jobs of an initiator that has as many as it may have, and of everybody on a disk that is nearly full.
func (s *Service) room(ctx context.Context, initiator openflow.PartyID) error {
	if initiator != s.Self {
		if err := s.Store.MaySchedule(ctx, s.Quota, initiator); err != nil {
			return openflow.About(openflow.AboutJob, err)
		}
	}
	if s.Space == nil {
		return nil
	}
	return openflow.About(openflow.AboutResource, s.Space())
}

// rule is what holds for an initiator of which the operator has said nothing. The site itself may have any number of jobs.
func (s *Service) rule(initiator openflow.PartyID) openflow.Quota {
	if initiator == s.Self {
		return openflow.Quota{}
	}
	return s.Quota
}

// repeat answers a repeat, and tells on whose word and on which grants the job was taken.
func (s *Service) repeat(ctx context.Context, job openflow.ScheduledJob) (openflow.ScheduledJob, openflow.Authority, error) {
	word := s.word(job.Initiator)
	word.Purpose, word.Signed = job.DAG.Conf.Purpose, job.Mandate != nil
	grants, _, err := s.Store.GrantsOfJob(ctx, s.Self, job.ID)
	for _, g := range grants {
		if g.Kind == openflow.GrantInitiate { // others are of this site's own part in the job
			job.Grants = append(job.Grants, g.ID)
		}
	}
	return job, word, openflow.About(openflow.AboutJob, err)
}

// reaches refuses a job with a party that is no peer of this node: it could not be told of the job.
func (s *Service) reaches(ctx context.Context, parties []openflow.Party) error {
	for _, p := range parties {
		if p.ID == s.Self {
			continue
		}
		_, err := s.Store.Site(ctx, p.ID)
		if openflow.CodeOf(err) == openflow.CodeNotFound {
			err = openflow.Errorf(openflow.CodeInvalid, "party %s is not a peer of party %s, which is to schedule the job", p.ID, s.Self).
				WithHint("correct the party in the document, or register it there: openflow site add %s --url URL --key KEY", p.ID)
		}
		if err != nil {
			return openflow.About(openflow.AboutSite, err)
		}
	}
	return nil
}

// refusal is what a repeated submission learns of a job that has failed before any task was started: the parties would
// not have it.
func refusal(job openflow.ScheduledJob) error {
	if job.Status != openflow.JobFailed || began(job) {
		return nil
	}
	return openflow.About(openflow.AboutJob, openflow.Errorf(openflow.CodeRejected, "job %s was refused: %s", job.ID, job.Reason).
		WithHint("submit it again with another idempotency key"))
}

// began tells whether a task of a job was ever started. A rerun that was refused has started none, and its tasks have further
// versions.
func began(job openflow.ScheduledJob) bool {
	return slices.ContainsFunc(job.Tasks, func(r openflow.TaskRun) bool { return r.Started || r.Version > 0 || r.Status.Succeeded() })
}

// own makes the caller the initiator and this node the scheduler. CodePermission: the document names somebody else.
func (s *Service) own(caller openflow.PartyID, c *openflow.JobConf) error {
	if c.Initiator != "" && c.Initiator != caller {
		return openflow.Errorf(openflow.CodePermission, "party %s may not submit a job of party %s", caller, c.Initiator).
			WithHint("each party submits its own jobs")
	}
	if c.Scheduler != "" && c.Scheduler != s.Self {
		return openflow.Errorf(openflow.CodePermission, "this is party %s, and the job is for party %s to schedule", s.Self, c.Scheduler).
			WithHint("check the address that is registered for party %s", c.Scheduler)
	}
	c.Initiator, c.Scheduler = caller, s.Self
	return nil
}

// content names what is submitted, to tell a repeat from another job under the same key. Each attempt has an ID of its own, and
// the model's name that follows from it.
func content(dag openflow.DAG, id openflow.JobID) (string, error) {
	if dag.Conf.ModelID == string(id) {
		dag.Conf.ModelID = ""
	}
	return document.Hash(document.EncodeDAG(dag))
}

func (s *Service) plan(job openflow.ScheduledJob) (openflow.JobPlan, error) {
	tasks, err := plan.Of(job.DAG)
	if err != nil {
		return openflow.JobPlan{}, err
	}
	parties := job.DAG.Participants()
	return openflow.JobPlan{
		ID: job.ID, Scheduler: s.Self, Initiator: job.Initiator, Parties: parties, Tasks: tasks,
		Name: fmt.Sprintf("%d tasks, %d parties", len(tasks), len(parties)), UserName: job.UserName,
		SyncType: job.DAG.Conf.SyncType, AutoRetries: job.DAG.Conf.AutoRetries, Timeout: job.DAG.Conf.Timeout, Timing: s.Timing,
	}, nil
}

// RerunJob opens a further run of an ended job; see openflow.SchedulerService. It is for the job's initiator, and for this node's own
// users. A job is run again [openflow.MaxReruns] times at most.
//
// Spec: fate-flow-api §2.5.5.
func (s *Service) RerunJob(ctx context.Context, caller openflow.PartyID, id openflow.JobID) error {
	job, err := s.jobFor(ctx, caller, id)
	if err != nil {
		return err
	}
	if caller != job.Initiator && caller != s.Self {
		err := openflow.About(openflow.AboutJob,
			openflow.Errorf(openflow.CodePermission, "party %s may not run job %s again: that is for its initiator, party %s", caller, id, job.Initiator).
				WithHint("ask party %s to run it again", job.Initiator))
		s.refused(ctx, caller, s.word(job.Initiator), "job/rerun", id, err)
		return err
	}
	if job.Status == openflow.JobSuccess {
		return nil // there is nothing left to do
	}
	if err := s.enter(ctx, job.Initiator); err != nil {
		s.refused(ctx, caller, s.word(job.Initiator), "job/rerun", id, err)
		return err
	}
	runs, err := s.Engine.JobRuns(ctx, id)
	if err != nil || runs {
		return openflow.About(openflow.AboutJob, err)
	}
	if job, err = s.job(ctx, id); err != nil { // its end may have been recorded since
		return err
	}
	if job.Status == openflow.JobSuccess {
		return nil
	}
	if job.Status.Terminal() { // otherwise it counts already
		if err := s.room(ctx, job.Initiator); err != nil {
			if errors.Is(err, openflow.ErrOverQuota) {
				s.refused(ctx, caller, s.word(job.Initiator), "job/rerun", id, err)
			}
			return err
		}
	}
	if !began(job) {
		return openflow.About(openflow.AboutJob, openflow.Errorf(openflow.CodeConflict, "job %s has never started a task, as far as is known here", id).
			WithHint("submit it as a new job"))
	}
	if job.Reruns >= openflow.MaxReruns {
		return openflow.About(openflow.AboutJob, openflow.Errorf(openflow.CodeConflict, "job %s was run again %d times, and no job is more often", id, job.Reruns).
			WithHint("submit it as a new job"))
	}
	p, err := s.plan(job)
	if err != nil {
		return err
	}
	if err := s.rerun(ctx, caller, job); err != nil { // what is not written down is not done
		return err
	}
	p.Tasks, p.Again = plan.Rerun(p.Tasks, job.Tasks), true
	return openflow.About(openflow.AboutJob, s.Engine.RerunJob(ctx, p))
}

// jobFor finds a job for its initiator or one of its parties. Others are told that there is none.
func (s *Service) jobFor(ctx context.Context, caller openflow.PartyID, id openflow.JobID) (openflow.ScheduledJob, error) {
	job, err := s.job(ctx, id)
	if err != nil && openflow.CodeOf(err) != openflow.CodeNotFound {
		return job, err
	}
	takesPart := func(p openflow.Party) bool { return p.ID == caller }
	if err != nil || caller != job.Initiator && caller != s.Self && !slices.ContainsFunc(job.DAG.Parties, takesPart) {
		return job, openflow.About(openflow.AboutJob, openflow.Errorf(openflow.CodeNotFound, "job %s is not scheduled here", id))
	}
	return job, nil
}

// StopJob ends a job early; see openflow.SchedulerService.
func (s *Service) StopJob(ctx context.Context, caller openflow.PartyID, id openflow.JobID, status openflow.JobStatus) (openflow.Stopped, error) {
	job, err := s.jobFor(ctx, caller, id)
	if err != nil {
		return openflow.Stopped{}, err
	}
	if status == "" {
		status = openflow.JobCanceled
	}
	if !status.Terminal() || status == openflow.JobSuccess {
		return openflow.Stopped{}, openflow.Errorf(openflow.CodeInvalid, "a job cannot be stopped as %q", status).
			WithHint("use canceled, failed or timeout")
	}
	var stopped openflow.Stopped
	if job.Status.Terminal() {
		stopped, err = s.Engine.Stopped(ctx, id)
	} else {
		stopped, err = s.Engine.StopJob(ctx, id, status, stoppedBy(caller))
	}
	if openflow.CodeOf(err) != openflow.CodeNotFound {
		stopped.Reason = s.shownTo(caller, job, stopped.Reason)
		return stopped, openflow.About(openflow.AboutJob, err)
	}
	job, err = s.job(ctx, id) // its workflow has ended, so nothing of it runs anywhere
	if err != nil || job.Status.Terminal() {
		return openflow.Stopped{Status: job.Status, Reason: s.shownTo(caller, job, job.Reason)}, err
	}
	// Its workflow is gone, and had not ended it.
	if err = s.EndLost(ctx, id, openflow.Lost{Status: status, Reason: stoppedBy(caller)}); err == nil {
		stopped, err = s.Engine.Stopped(ctx, id)
	}
	if openflow.CodeOf(err) == openflow.CodeNotFound { // it is over already
		job, err = s.job(ctx, id)
		stopped = openflow.Stopped{Status: job.Status, Reason: job.Reason}
	}
	stopped.Reason = s.shownTo(caller, job, stopped.Reason)
	return stopped, openflow.About(openflow.AboutJob, err)
}

func stoppedBy(p openflow.PartyID) string { return fmt.Sprintf("stopped by party %s", p) }

// EndLost ends a job whose workflow is gone, at all its parties and in the record. One that has ended stays as it is.
func (s *Service) EndLost(ctx context.Context, id openflow.JobID, end openflow.Lost) error {
	job, err := s.job(ctx, id)
	if err != nil || job.Status.Terminal() {
		return err
	}
	p, err := s.plan(job)
	if err != nil {
		return err
	}
	p.Lost = end
	return openflow.About(openflow.AboutJob, s.Engine.EndJob(ctx, p))
}

// EndedJobs tells a party or an initiator which of its jobs have ended; see openflow.SchedulerService.
func (s *Service) EndedJobs(ctx context.Context, caller openflow.PartyID, ids []openflow.JobID) ([]openflow.EndedJob, error) {
	if len(ids) > openflow.MaxEndedJobs {
		return nil, openflow.Errorf(openflow.CodeInvalid, "%d jobs are asked for at once", len(ids)).WithHint("ask for %d at most", openflow.MaxEndedJobs)
	}
	var ended []openflow.EndedJob
	for _, id := range ids {
		job, err := s.jobFor(ctx, caller, id)
		switch {
		case openflow.CodeOf(err) == openflow.CodeNotFound:
			ended = append(ended, openflow.EndedJob{ID: id})
		case err != nil:
			return nil, err
		case job.Status.Terminal():
			ended = append(ended, openflow.EndedJob{ID: id, Status: job.Status, Reason: s.shownTo(caller, job, job.Reason)})
		}
	}
	return ended, nil
}

// shownTo is the reason of a job as a caller may read it. A refusal may name what the DAG says to the party that refuses,
// as its tables; the initiator, who wrote it, reads more than the parties.
func (s *Service) shownTo(caller openflow.PartyID, job openflow.ScheduledJob, reason string) string {
	if caller == s.Self || caller == job.Initiator || refusal(job) == nil {
		return reason
	}
	return plan.Refused(openflow.CodeRejected, job.Initiator)
}

// WakeJob makes a job that waits for resources ask for them now. Only its parties may say so.
func (s *Service) WakeJob(ctx context.Context, caller openflow.PartyID, id openflow.JobID) error {
	job, err := s.jobFor(ctx, caller, id)
	if err != nil {
		return err
	}
	if job.Status != openflow.JobWaiting && job.Status != openflow.JobReady {
		s.wakes.forget(id)
		return nil // it has got them, or has ended
	}
	if !s.wakes.allow(id, time.Since(job.CreateTime)) {
		return openflow.About(openflow.AboutJob, openflow.Errorf(openflow.CodeExhausted, "job %s is called too often", id).WithHint("call it again later"))
	}
	return openflow.About(openflow.AboutJob, s.Engine.WakeJobs(ctx, []openflow.JobID{id}))
}

func (s *Service) job(ctx context.Context, id openflow.JobID) (openflow.ScheduledJob, error) {
	job, err := s.Store.ScheduledJob(ctx, id)
	return job, openflow.About(openflow.AboutJob, err)
}

// ReportTask takes a party's word about its own run. Late, repeated and outdated reports succeed and change nothing. Those of a
// stranger, or about a run that is not in the job's plan, never reach the workflow, which can take so many reports and no more.
func (s *Service) ReportTask(ctx context.Context, caller openflow.PartyID, r openflow.Report) error {
	if caller != r.Key.Party.ID {
		return openflow.Errorf(openflow.CodePermission, "party %s may not report for party %s", caller, r.Key.Party.ID)
	}
	if !r.Status.Valid() || r.Status == openflow.TaskWaiting {
		return openflow.Errorf(openflow.CodeInvalid, "a run is reported as running, or how it has ended, and not as %q", r.Status)
	}
	job, err := s.jobFor(ctx, caller, r.Key.Job)
	if err != nil {
		return err
	}
	r.Key.Scheduler = s.Self // a call from another node names none
	runs := func(t openflow.Task) bool {
		return t.Name == r.Key.Task && slices.Contains(job.DAG.PartiesOf(t), r.Key.Party)
	}
	if !slices.ContainsFunc(job.DAG.Tasks, runs) {
		return openflow.About(openflow.AboutTask, openflow.Errorf(openflow.CodeNotFound, "job %s has no task %s for %s", r.Key.Job, r.Key.Task, r.Key.Party))
	}
	if r.Status == openflow.TaskRunning {
		return nil // it counts as running since it was asked to start
	}
	err = s.Engine.ReportTask(ctx, r)
	if err == nil && s.Heard != nil {
		s.Heard(r.Key)
	}
	if openflow.CodeOf(err) == openflow.CodeNotFound {
		return nil // an ended job takes no reports
	}
	return openflow.About(openflow.AboutTask, err)
}
