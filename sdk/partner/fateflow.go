package partner

import (
	"context"

	"openflow"
	"openflow/sdk/wire"
)

// fateFlow is the client of a peer that takes FATE-Flow's own calls only: each method makes the calls, in the order,
// that FATE-Flow's scheduler makes. Such a peer answers a repeat of some calls with a refusal, and starts a process for
// every repeat of task/start. What follows from that is handled here, so that every method may be repeated like its
// batched form.
//
// Spec: fate-flow-api §2.3, §2.5, §2.7.
type fateFlow struct{ *Client }

var _ openflow.PartnerService = fateFlow{}

// FATEFlow is the peer as a FATE-Flow node.
func (c *Client) FATEFlow() openflow.PartnerService { return fateFlow{c} }

// CreateJob calls job/create and job/status/update waiting.
func (s fateFlow) CreateJob(ctx context.Context, o openflow.JobOrder) error {
	if err := s.Client.CreateJob(ctx, o); err != nil {
		return err
	}
	return s.push(ctx, "/v2/partner/job/status/update", jobStatus(o.Key, openflow.JobWaiting, ""))
}

// OpenJob calls job/create, job/status/update waiting and job/resource/apply.
func (s fateFlow) OpenJob(ctx context.Context, o openflow.JobOrder) error {
	if err := s.CreateJob(ctx, o); err != nil {
		return err
	}
	return s.ApplyJobResources(ctx, o.Key)
}

// ApplyJobResources calls job/resource/apply. A refusal does not tell a busy pool from an application that was granted
// before, so after one the resources are returned and applied for once more. A busy FATE-Flow node never says that it is so
// no more: like one that does not answer (CodeUnavailable), it has to be asked again.
func (s fateFlow) ApplyJobResources(ctx context.Context, k openflow.JobKey) error {
	err := s.Client.ApplyJobResources(ctx, k)
	if openflow.CodeOf(err) != openflow.CodeExhausted {
		return err
	}
	if err := s.ReturnJobResources(ctx, k); err != nil {
		return err
	}
	if err = s.Client.ApplyJobResources(ctx, k); openflow.CodeOf(err) != openflow.CodeExhausted {
		return err
	}
	busy := openflow.Errorf(openflow.CodeUnavailable, "its resources are taken: %w", err)
	busy.Party = s.Peer
	return openflow.About(openflow.AboutResource, busy)
}

// ReturnJobResources calls job/resource/return. What is not held cannot be returned, which is as good.
func (s fateFlow) ReturnJobResources(ctx context.Context, k openflow.JobKey) error {
	return s.push(ctx, "/v2/partner/job/resource/return", wire.Ref(k.Job, k.Party))
}

// UpdateJob calls job/status/update and job/update, as far as there is something to say.
func (s fateFlow) UpdateJob(ctx context.Context, k openflow.JobKey, status openflow.JobStatus, reason string, progress *int) error {
	if status != "" {
		if err := s.push(ctx, "/v2/partner/job/status/update", jobStatus(k, status, reason)); err != nil {
			return err
		}
	}
	if progress == nil {
		return nil
	}
	return s.progress(ctx, k, *progress)
}

// StopJob calls, for every task that has ended, task/status/update and task/stop; then job/update, job/status/update and
// job/stop.
func (s fateFlow) StopJob(ctx context.Context, k openflow.JobKey, end openflow.JobEnd) error {
	percent := 0
	if end.Status == openflow.JobSuccess {
		percent = 100
	}
	for _, u := range end.Tasks {
		percent = max(percent, u.Progress)
		u.Progress = 0
		if err := s.known(s.UpdateTask(ctx, u)); err != nil {
			return err
		}
	}
	if percent > 0 {
		if err := s.progress(ctx, k, percent); err != nil {
			return err
		}
	}
	if err := s.push(ctx, "/v2/partner/job/status/update", jobStatus(k, end.Status, end.Reason)); err != nil {
		return err
	}
	return s.tell(ctx, "/v2/partner/job/stop", wire.Ref(k.Job, k.Party))
}

// StartTask calls job/start for the first task; for tasks that have ended, task/status/update and task/stop; task/rerun
// for a further version; then task/resource/apply, task/status/update running and task/start.
func (s fateFlow) StartTask(ctx context.Context, o openflow.TaskStart) error {
	if o.StartsJob {
		if err := s.StartJob(ctx, o.JobKey()); err != nil {
			return err
		}
	}
	percent := 0
	for _, u := range o.Ended {
		percent = max(percent, u.Progress)
		u.Progress = 0
		if err := s.known(s.UpdateTask(ctx, u)); err != nil {
			return err
		}
	}
	if o.Version > 0 {
		if err := s.RerunTask(ctx, o.TaskKey); err != nil {
			return err
		}
	}
	if err := s.launch(ctx, o.TaskKey); err != nil || percent == 0 {
		return err
	}
	return s.progress(ctx, o.JobKey(), percent)
}

// launch takes the task's cores and starts it, once: a peer that is told of running for the second time has perhaps
// started it at the first, and is asked.
func (s fateFlow) launch(ctx context.Context, k openflow.TaskKey) error {
	ref := wire.TaskRefOf(k)
	err := s.tell(ctx, "/v2/partner/task/resource/apply", ref)
	if openflow.CodeOf(err) == openflow.CodeExhausted {
		started, asked := s.started(ctx, k)
		if asked != nil || started {
			return asked
		}
		if err = s.push(ctx, "/v2/partner/task/resource/return", ref); err == nil {
			err = s.tell(ctx, "/v2/partner/task/resource/apply", ref)
		}
	}
	if err != nil {
		return err
	}
	running := wire.PartnerUpdateTask{TaskRef: ref, Status: wire.Text(openflow.TaskRunning)}
	err = s.tell(ctx, "/v2/partner/task/status/update", running)
	if openflow.CodeOf(err) == openflow.CodeConflict {
		started, asked := s.started(ctx, k)
		if asked != nil || started {
			return asked
		}
		err = nil
	}
	if err != nil {
		return err
	}
	return s.tell(ctx, "/v2/partner/task/start", ref)
}

func (s fateFlow) started(ctx context.Context, k openflow.TaskKey) (bool, error) {
	rec, err := s.CollectTask(ctx, k)
	return err == nil && rec.PartyStatus != openflow.TaskWaiting, err
}

// UpdateTask calls task/status/update, for an end task/stop as well, and job/update when the job has come further.
func (s fateFlow) UpdateTask(ctx context.Context, u openflow.TaskUpdate) error {
	body := wire.PartnerUpdateTask{TaskRef: wire.TaskRefOf(u.Key), Status: wire.Text(u.Status), Reason: u.Reason}
	if err := s.push(ctx, "/v2/partner/task/status/update", body); err != nil {
		return err
	}
	if u.Status.Terminal() {
		if err := s.tell(ctx, "/v2/partner/task/stop", body); err != nil {
			return err
		}
	}
	if u.Progress == 0 {
		return nil
	}
	return s.progress(ctx, u.Key.JobKey(), u.Progress)
}

func (s fateFlow) progress(ctx context.Context, k openflow.JobKey, percent int) error {
	p := float64(percent)
	return s.push(ctx, "/v2/partner/job/update", wire.PartnerUpdateJob{JobRef: wire.Ref(k.Job, k.Party), Progress: &p})
}

// push makes a call whose refusal means that it changes nothing: 1003, 2002, and the resource codes of a return.
func (s fateFlow) push(ctx context.Context, path string, body any) error {
	err := s.tell(ctx, path, body)
	if code := openflow.CodeOf(err); code == openflow.CodeConflict || code == openflow.CodeExhausted {
		return nil
	}
	return err
}

// known passes over that the peer has never had the version of a task.
func (s fateFlow) known(err error) error {
	if openflow.CodeOf(err) == openflow.CodeNotFound {
		return nil
	}
	return err
}

func jobStatus(k openflow.JobKey, status openflow.JobStatus, reason string) wire.PartnerUpdateJob {
	return wire.PartnerUpdateJob{JobRef: wire.Ref(k.Job, k.Party), Status: wire.Text(status), Reason: reason}
}
