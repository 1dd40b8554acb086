package verbs

import (
	"context"
	"slices"

	"openflow"
	"openflow/dialect/forms"
	"openflow/sdk/wire"
)

// scheduler is the client as a SchedulerService: both interfaces have a StopJob.
type scheduler struct{ *Client }

var _ openflow.SchedulerService = scheduler{}

// Scheduler is the peer as a scheduler of jobs.
func (c *Client) Scheduler() openflow.SchedulerService { return scheduler{c} }

// CreateJob implements openflow.SchedulerService. It takes as long as the slowest party of the job: the caller's time.
func (s scheduler) CreateJob(ctx context.Context, _ openflow.PartyID, sub openflow.Submission) (openflow.Submitted, error) {
	body, err := forms.EncodeSubmission(sub)
	if err != nil {
		return openflow.Submitted{}, err
	}
	var answer submitted
	err = s.carry(ctx, schedule, body, &answer)
	return openflow.Submitted{
		ID: openflow.JobID(answer.JobID), ModelID: answer.ModelID, ModelVersion: answer.ModelVersion,
		Warnings: answer.Warnings[:min(len(answer.Warnings), openflow.MaxMistakes)],
	}, err
}

// StopJob implements openflow.SchedulerService.
func (s scheduler) StopJob(ctx context.Context, _ openflow.PartyID, id openflow.JobID, status openflow.JobStatus) (openflow.Stopped, error) {
	var answer wire.JobStopped
	err := s.call(ctx, end, forms.SchedulerStopJob{JobID: wire.Text(id), StopStatus: wire.Text(status)}, &answer)
	return answer.Decode(), err
}

// RerunJob implements openflow.SchedulerService.
func (s scheduler) RerunJob(ctx context.Context, _ openflow.PartyID, id openflow.JobID) error {
	return s.call(ctx, rerun, forms.SchedulerStopJob{JobID: wire.Text(id)}, nil)
}

// WakeJob implements openflow.SchedulerService.
func (s scheduler) WakeJob(ctx context.Context, _ openflow.PartyID, id openflow.JobID) error {
	return s.call(ctx, wake, forms.SchedulerStopJob{JobID: wire.Text(id)}, nil)
}

// EndedJobs implements openflow.SchedulerService. What the peer says of other jobs, or of statuses that are no ends, is
// dropped, and so is what it says beyond the number of jobs that may be asked for.
func (s scheduler) EndedJobs(ctx context.Context, _ openflow.PartyID, ids []openflow.JobID) ([]openflow.EndedJob, error) {
	var answer []forms.EndedJob
	if err := s.call(ctx, ended, forms.EncodeEndedQuestion(ids), &answer); err != nil {
		return nil, err
	}
	var list []openflow.EndedJob
	for _, a := range answer[:min(len(answer), openflow.MaxEndedJobs)] {
		j := a.Decode()
		if slices.Contains(ids, j.ID) && (j.Status == "" || j.Status.Terminal()) {
			list = append(list, j)
		}
	}
	return list, nil
}

// ReportTask implements openflow.SchedulerService.
func (s scheduler) ReportTask(ctx context.Context, _ openflow.PartyID, r openflow.Report) error {
	return s.call(ctx, report, forms.SchedulerReportTask{
		TaskRef: forms.TaskRefOf(r.Key), FailureCause: wire.EncodeCause(r.Cause), Status: wire.Text(r.Status),
	}, nil)
}
