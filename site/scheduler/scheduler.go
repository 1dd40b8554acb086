// Package scheduler is this node as the one that drives a job: it takes submissions, stops and reports from the job's
// initiator and parties and hands them to the job's workflow.
//
// [Service] implements openflow.SchedulerService. It decides nothing about what runs next; that is the workflow's part.
package scheduler

import (
	"context"
	"fmt"
	"slices"

	"openflow"
	"openflow/store/document"
	"openflow/workflows/plan"
)

// Store is the scheduler's own record of its jobs.
type Store interface {
	CreateScheduledJob(ctx context.Context, j openflow.ScheduledJob) (openflow.ScheduledJob, error)
	ScheduledJob(ctx context.Context, id openflow.JobID) (openflow.ScheduledJob, error)
	// Site returns a peer of this node; CodeNotFound: it is none.
	Site(ctx context.Context, id openflow.PartyID) (openflow.SiteRecord, error)
}

// Service is this node as a scheduler.
type Service struct {
	Self   openflow.PartyID
	Store  Store
	Engine openflow.Engine
	Timing openflow.Timing
	NewID  func() openflow.JobID
	Space  func() error // nil, or what it answers: there is room for what is new
}

var _ openflow.SchedulerService = (*Service)(nil)

// CreateJob records the job, starts its workflow and returns once all parties have created it. A repeat with the same
// idempotency key finds the job that the first one made.
//
// Spec: fate-flow-api §2.2 (defaults that the scheduler fills in), part 7 #26, #42.
func (s *Service) CreateJob(ctx context.Context, caller openflow.PartyID, sub openflow.Submission) (openflow.Submitted, error) {
	hash, err := document.Hash(document.EncodeDAG(*sub.DAG)) // tells a repeat from another job under the same key
	if err != nil {
		return openflow.Submitted{}, err
	}
	dag := *sub.DAG
	dag.Conf.Initiator, dag.Conf.Scheduler = caller, s.Self
	if sub.ID == "" {
		sub.ID = s.NewID()
	}
	if err := openflow.CheckJobID(sub.ID); err != nil {
		return openflow.Submitted{}, err
	}
	fillConf(&dag.Conf, sub.ID)
	if err := dag.Validate(); err != nil {
		return openflow.Submitted{}, openflow.About(openflow.AboutJob, err)
	}
	if err := s.reaches(ctx, dag.Participants()); err != nil {
		return openflow.Submitted{}, err
	}
	if s.Space != nil {
		if err := s.Space(); err != nil {
			return openflow.Submitted{}, openflow.About(openflow.AboutResource, err)
		}
	}
	job, err := s.Store.CreateScheduledJob(ctx, openflow.ScheduledJob{
		ID: sub.ID, Initiator: caller, Status: openflow.JobReady, DAG: &dag, Priority: dag.Conf.Priority,
		IdempotencyKey: sub.IdempotencyKey, SubmitHash: hash, UserName: sub.UserName,
	})
	if err != nil {
		return openflow.Submitted{}, openflow.About(openflow.AboutJob, err)
	}
	answer := openflow.Submitted{ID: job.ID, ModelID: job.DAG.Conf.ModelID, ModelVersion: job.DAG.Conf.ModelVersion}
	if job.Status.Terminal() {
		return answer, refusal(job) // a repeat of what has ended meanwhile
	}
	p, err := s.plan(job)
	if err != nil {
		return answer, err
	}
	return answer, openflow.About(openflow.AboutJob, s.Engine.StartJob(ctx, p))
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
	started := slices.ContainsFunc(job.Tasks, func(r openflow.TaskRun) bool { return r.Started })
	if job.Status != openflow.JobFailed || started {
		return nil
	}
	return openflow.About(openflow.AboutJob, openflow.Errorf(openflow.CodeRejected, "job %s was refused: %s", job.ID, job.Reason).
		WithHint("submit it again with another idempotency key"))
}

func fillConf(c *openflow.JobConf, id openflow.JobID) {
	if c.SyncType == "" {
		c.SyncType = openflow.Callback
	}
	if c.ModelID == "" {
		c.ModelID = string(id)
	}
	if c.ModelVersion == "" {
		c.ModelVersion = "0"
	}
	if c.ComputingPartitions == 0 {
		c.ComputingPartitions = 8
	}
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

// RerunJob opens a further run of an ended job; see openflow.SchedulerService.
//
// Spec: fate-flow-api §2.5.5.
func (s *Service) RerunJob(ctx context.Context, caller openflow.PartyID, id openflow.JobID) error {
	job, err := s.jobFor(ctx, caller, id)
	if err != nil {
		return err
	}
	if job.Status == openflow.JobSuccess {
		return nil // there is nothing left to do
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
	if !slices.ContainsFunc(job.Tasks, func(r openflow.TaskRun) bool { return r.Started }) {
		return openflow.About(openflow.AboutJob, openflow.Errorf(openflow.CodeConflict, "job %s has never started a task", id).
			WithHint("submit it as a new job"))
	}
	p, err := s.plan(job)
	if err != nil {
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
		stopped, err = s.Engine.StopJob(ctx, id, status, fmt.Sprintf("stopped by party %s", caller))
	}
	if openflow.CodeOf(err) != openflow.CodeNotFound {
		stopped.Reason = s.shownTo(caller, job, stopped.Reason)
		return stopped, openflow.About(openflow.AboutJob, err)
	}
	job, err = s.job(ctx, id) // its workflow has ended, so nothing of it runs anywhere
	return openflow.Stopped{Status: job.Status, Reason: s.shownTo(caller, job, job.Reason)}, err
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
		return nil // it has got them, or has ended
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
	if !r.Status.Valid() {
		return openflow.Errorf(openflow.CodeInvalid, "unknown task status %q", r.Status)
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
	err = s.Engine.ReportTask(ctx, r)
	if openflow.CodeOf(err) == openflow.CodeNotFound {
		return nil // an ended job takes no reports
	}
	return openflow.About(openflow.AboutTask, err)
}
