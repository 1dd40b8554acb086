package fateflow

import (
	"context"

	"openflow"
	"openflow/dialect/fateflow/words"
	"openflow/dialect/forms"
	"openflow/dialect/peer"
	"openflow/sdk/wire"
)

// scheduler is the client as a SchedulerService: both interfaces have a StopJob.
type scheduler struct{ *Client }

var _ openflow.SchedulerService = scheduler{}

// Scheduler implements dialect.Client.
func (c *Client) Scheduler() openflow.SchedulerService { return scheduler{c} }

// CreateJob calls /v2/scheduler/job/create. It takes as long as the slowest party of the job.
func (s scheduler) CreateJob(ctx context.Context, _ openflow.PartyID, sub openflow.Submission) (openflow.Submitted, error) {
	var answer openflow.Submitted
	body, err := forms.EncodeSubmission(sub)
	if err != nil {
		return answer, err
	}
	e, err := s.send(ctx, "/v2/scheduler/job/create", body, s.Self)
	if err != nil {
		return answer, err
	}
	var model wire.CreatedModel
	if err := unmarshal(e.Data, &model); err != nil {
		return answer, s.Unreadable("/v2/scheduler/job/create", err)
	}
	return openflow.Submitted{
		ID: openflow.JobID(openflow.Heard(e.JobID)), ModelID: model.ModelID, ModelVersion: model.ModelVersion,
	}, nil
}

// StopJob calls /v2/scheduler/job/stop.
func (s scheduler) StopJob(ctx context.Context, _ openflow.PartyID, id openflow.JobID, status openflow.JobStatus) (openflow.Stopped, error) {
	var answer wire.JobStopped
	e, err := s.post(ctx, "/v2/scheduler/job/stop", forms.SchedulerStopJob{JobID: wire.Text(id), StopStatus: wire.Text(words.OfJob(status))})
	if err == nil && len(e.Data) > 0 {
		if err := unmarshal(e.Data, &answer); err != nil {
			return openflow.Stopped{}, s.Unreadable("/v2/scheduler/job/stop", err)
		}
	}
	return answer.Decode(), err
}

// RerunJob calls /v2/scheduler/job/rerun.
func (s scheduler) RerunJob(ctx context.Context, _ openflow.PartyID, id openflow.JobID) error {
	return s.tell(ctx, "/v2/scheduler/job/rerun", forms.SchedulerStopJob{JobID: wire.Text(id)})
}

// WakeJob has no call in FATE-Flow, which asks again by itself. CodeUnimplemented.
func (s scheduler) WakeJob(context.Context, openflow.PartyID, openflow.JobID) error {
	return unspoken("that a job may ask for its resources again")
}

// EndedJobs has no call in FATE-Flow. CodeUnimplemented.
func (s scheduler) EndedJobs(context.Context, openflow.PartyID, []openflow.JobID) ([]openflow.EndedJob, error) {
	return nil, unspoken("which jobs have ended")
}

func unspoken(what string) error {
	return openflow.Errorf(openflow.CodeUnimplemented, "FATE-Flow has no call for this: %s", what)
}

// ReportTask calls /v2/scheduler/task/report. A scheduler of FATE-Flow refuses a report that changes nothing for it, such as
// the repeat of one whose answer was lost. It refuses likewise the end of a run that has not begun for it, and forgets it. So
// after a refused end it is told that the run has begun, and of the end once more. What it refuses then it has heard before.
//
// Spec: fate-flow-api §2.2, §4.6.2.
func (s scheduler) ReportTask(ctx context.Context, _ openflow.PartyID, r openflow.Report) error {
	err := s.report(ctx, r)
	if openflow.CodeOf(err) != openflow.CodeConflict || !r.Status.Terminal() {
		return heard(err)
	}
	began := openflow.Report{Key: r.Key, Status: openflow.TaskRunning}
	if err := heard(s.report(ctx, began)); err != nil {
		return err
	}
	return heard(s.report(ctx, r))
}

func (s scheduler) report(ctx context.Context, r openflow.Report) error {
	_, err := s.within(ctx, peer.CallTimeout, "/v2/scheduler/task/report", forms.SchedulerReportTask{
		TaskRef: forms.TaskRefOf(r.Key), FailureCause: wire.EncodeCause(r.Cause), Status: wire.Text(words.OfTask(r.Status)),
	})
	return err
}

// heard passes over that a report changes nothing.
func heard(err error) error {
	if openflow.CodeOf(err) == openflow.CodeConflict {
		return nil
	}
	return err
}
