package partner

import (
	"context"
	"encoding/json"
	"slices"

	"openflow"
	"openflow/sdk/wire"
)

// scheduler is the client as a SchedulerService: both interfaces have a CreateJob and a StopJob.
type scheduler struct{ *Client }

// Scheduler is the peer as a scheduler of jobs.
func (c *Client) Scheduler() openflow.SchedulerService { return scheduler{c} }

// CreateJob calls /v2/scheduler/job/create. It takes as long as the slowest party of the job.
func (s scheduler) CreateJob(ctx context.Context, _ openflow.PartyID, sub openflow.Submission) (openflow.Submitted, error) {
	var answer openflow.Submitted
	dag, err := wire.EncodeDAG(sub.DAG)
	if err != nil {
		return answer, err
	}
	e, err := s.send(ctx, schedulePath, wire.SchedulerCreateJob{
		DAG: dag, SchemaVersion: wire.Text(sub.DAG.SchemaVersion), Kind: wire.Kind, JobID: wire.Text(sub.ID),
		IdempotencyKey: sub.IdempotencyKey, UserName: sub.UserName,
	}, s.Self)
	if err != nil {
		return answer, err
	}
	var model wire.CreatedModel
	if err := json.Unmarshal(e.Data, &model); err != nil {
		return answer, s.unreachable("answered %s with unreadable data: %v", schedulePath, err)
	}
	return openflow.Submitted{
		ID: openflow.JobID(openflow.Heard(e.JobID)), ModelID: openflow.Heard(model.ModelID), ModelVersion: openflow.Heard(model.ModelVersion),
	}, nil
}

// StopJob calls /v2/scheduler/job/stop.
func (s scheduler) StopJob(ctx context.Context, _ openflow.PartyID, id openflow.JobID, status openflow.JobStatus) (openflow.Stopped, error) {
	var answer wire.JobStopped
	e, err := s.post(ctx, "/v2/scheduler/job/stop", wire.SchedulerStopJob{JobID: wire.Text(id), StopStatus: wire.Text(status)})
	if err == nil && len(e.Data) > 0 {
		if err := json.Unmarshal(e.Data, &answer); err != nil {
			return openflow.Stopped{}, s.unreachable("answered /v2/scheduler/job/stop with unreadable data: %v", err)
		}
	}
	return answer.Decode(), err
}

// RerunJob calls /v2/scheduler/job/rerun.
func (s scheduler) RerunJob(ctx context.Context, _ openflow.PartyID, id openflow.JobID) error {
	return s.tell(ctx, "/v2/scheduler/job/rerun", wire.SchedulerStopJob{JobID: wire.Text(id)})
}

// WakeJob calls /v2/scheduler/job/wake.
func (s scheduler) WakeJob(ctx context.Context, _ openflow.PartyID, id openflow.JobID) error {
	return s.tell(ctx, "/v2/scheduler/job/wake", wire.SchedulerStopJob{JobID: wire.Text(id)})
}

// EndedJobs calls /v2/scheduler/job/ended. What it says of other jobs, or of statuses that are no ends, is dropped.
func (s scheduler) EndedJobs(ctx context.Context, _ openflow.PartyID, ids []openflow.JobID) ([]openflow.EndedJob, error) {
	e, err := s.post(ctx, endedPath, wire.EncodeEndedQuestion(ids))
	if err != nil {
		return nil, err
	}
	var answer []wire.EndedJob
	if err := json.Unmarshal(e.Data, &answer); err != nil {
		return nil, s.unreachable("answered %s with unreadable data: %v", endedPath, err)
	}
	var ended []openflow.EndedJob
	for _, a := range answer {
		j := a.Decode()
		if slices.Contains(ids, j.ID) && (j.Status == "" || j.Status.Terminal()) {
			ended = append(ended, j)
		}
	}
	return ended, nil
}

// ReportTask calls /v2/scheduler/task/report.
func (s scheduler) ReportTask(ctx context.Context, _ openflow.PartyID, r openflow.Report) error {
	return s.tell(ctx, "/v2/scheduler/task/report", wire.SchedulerReportTask{
		TaskRef: wire.TaskRefOf(r.Key), FailureCause: wire.EncodeCause(r.Cause), Status: wire.Text(r.Status),
	})
}
