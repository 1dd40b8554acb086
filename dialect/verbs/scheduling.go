package verbs

import (
	"net/http"

	"openflow"
	"openflow/dialect"
	"openflow/dialect/forms"
	"openflow/sdk/wire"
	"openflow/server/reply"
)

func (s service) schedule(r *http.Request) (any, error) {
	var b forms.SchedulerCreateJob
	if err := reply.Read(r, &b); err != nil {
		return nil, err
	}
	sub, err := b.Submission(dialect.Caller(r))
	if err != nil {
		return nil, err
	}
	answer, err := s.Scheduler.CreateJob(r.Context(), sub.Initiator, sub)
	if err != nil {
		return nil, err
	}
	return submitted{JobID: string(answer.ID), ModelID: answer.ModelID, ModelVersion: answer.ModelVersion, Warnings: answer.Warnings}, nil
}

func (s service) end(r *http.Request) (any, error) {
	var b forms.SchedulerStopJob
	if err := reply.Read(r, &b); err != nil {
		return nil, err
	}
	stopped, err := s.Scheduler.StopJob(r.Context(), dialect.Caller(r), openflow.JobID(b.JobID), openflow.JobStatus(b.StopStatus))
	if err != nil {
		return nil, err
	}
	return wire.EncodeStopped(stopped), nil
}

func (s service) rerun(r *http.Request) (any, error) {
	var b forms.SchedulerStopJob
	if err := reply.Read(r, &b); err != nil {
		return nil, err
	}
	return nil, s.Scheduler.RerunJob(r.Context(), dialect.Caller(r), openflow.JobID(b.JobID))
}

func (s service) wake(r *http.Request) (any, error) {
	var b forms.SchedulerStopJob
	if err := reply.Read(r, &b); err != nil {
		return nil, err
	}
	return nil, s.Scheduler.WakeJob(r.Context(), dialect.Caller(r), openflow.JobID(b.JobID))
}

func (s service) ended(r *http.Request) (any, error) {
	var b forms.SchedulerEndedJobs
	if err := reply.Read(r, &b); err != nil {
		return nil, err
	}
	list, err := s.Scheduler.EndedJobs(r.Context(), dialect.Caller(r), b.Decode())
	if err != nil {
		return nil, err
	}
	return forms.EncodeEndedJobs(list), nil
}

func (s service) report(r *http.Request) (any, error) {
	var b forms.SchedulerReportTask
	key, err := dialect.RunOf(r, &b, &b.TaskRef)
	if err != nil {
		return nil, err
	}
	return nil, s.Scheduler.ReportTask(r.Context(), dialect.Caller(r), openflow.Report{
		Key: key, Status: openflow.TaskStatus(b.Status), Cause: b.FailureCause.Decode(),
	})
}
