package partner

import (
	"context"

	"openflow"
	"openflow/sdk/wire"
)

// stepwise is the client of a peer that takes FATE-Flow's own calls only: each method makes the calls, in the order, that
// FATE-Flow's scheduler makes. Such a peer answers a repeat of some calls with a refusal, and starts a process for every
// repeat of task/start; what follows from that is handled here, so that every method may be repeated like its folded form.
//
// Spec: fate-flow-api §2.3, §2.5, §2.7.
type stepwise struct{ *Client }

var _ openflow.PartnerService = stepwise{}

// Stepwise is the peer as a FATE-Flow node.
func (c *Client) Stepwise() openflow.PartnerService { return stepwise{c} }

// OpenJob calls job/create and job/status/update waiting, and asks for the job's resources.
func (s stepwise) OpenJob(ctx context.Context, o openflow.JobOrder) (openflow.Reservation, error) {
	if err := s.create(ctx, createPath, o); err != nil {
		return openflow.Reservation{}, err
	}
	if err := s.push(ctx, "/v2/partner/job/status/update", jobStatus(o.Key, openflow.JobWaiting, "")); err != nil || o.Later {
		return openflow.Reservation{}, err
	}
	return s.Reserve(ctx, o.Key)
}

// Reserve calls job/resource/apply. A refusal does not tell a busy pool from an application that was granted before, so
// after one the resources are returned and applied for once more. A busy FATE-Flow node never says that it is so no more.
func (s stepwise) Reserve(ctx context.Context, k openflow.JobKey) (openflow.Reservation, error) {
	got, err := s.Client.Reserve(ctx, k)
	if err != nil || !busy(got) {
		return got, err
	}
	if err := s.Release(ctx, k); err != nil {
		return openflow.Reservation{}, err
	}
	if got, err = s.Client.Reserve(ctx, k); err != nil || !busy(got) {
		return got, err
	}
	taken := openflow.Errorf(openflow.CodeUnavailable, "its resources are taken: %w", got.Short)
	taken.Party, taken.Subject = s.Peer, openflow.AboutResource
	return openflow.Reservation{Short: taken}, nil
}

func busy(r openflow.Reservation) bool {
	return r.Short != nil && r.Short.Code == openflow.CodeExhausted
}

// Release calls job/resource/return. What is not held cannot be returned, which is as good.
func (s stepwise) Release(ctx context.Context, k openflow.JobKey) error {
	return s.push(ctx, "/v2/partner/job/resource/return", wire.Ref(k.Job, k.Party))
}

// Tell calls job/start, or job/status/update; task/status/update and task/stop, or task/rerun, for every task; and
// job/update, as far as there is something to say. FATE-Flow has no call for a reason alone.
func (s stepwise) Tell(ctx context.Context, k openflow.JobKey, n openflow.News) error {
	switch n.Status {
	case "":
	case openflow.JobRunning:
		if err := s.tell(ctx, "/v2/partner/job/start", wire.Ref(k.Job, k.Party)); err != nil {
			return err
		}
	default:
		if err := s.push(ctx, "/v2/partner/job/status/update", jobStatus(k, n.Status, n.Reason)); err != nil {
			return err
		}
	}
	percent := n.Progress
	var unknown error
	for _, u := range n.Tasks {
		percent = max(percent, u.Progress)
		err := s.tellTask(ctx, u)
		if openflow.CodeOf(err) == openflow.CodeNotFound {
			unknown, err = err, nil
		}
		if err != nil {
			return err
		}
	}
	if percent > 0 {
		if err := s.progress(ctx, k, percent); err != nil {
			return err
		}
	}
	return unknown
}

// StopJob calls, for every task that has ended, task/status/update and task/stop; then job/update, job/status/update and
// job/stop.
func (s stepwise) StopJob(ctx context.Context, k openflow.JobKey, end openflow.JobEnd) error {
	percent := 0
	if end.Status == openflow.JobSuccess {
		percent = 100
	}
	for _, u := range end.Tasks {
		percent = max(percent, u.Progress)
		if err := s.known(s.tellTask(ctx, u)); err != nil {
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
func (s stepwise) StartTask(ctx context.Context, scheduler openflow.PartyID, o openflow.TaskStart) error {
	key := openflow.JobKey{Scheduler: scheduler, Job: o.Job, Party: o.Party}
	if o.StartsJob {
		if err := s.Tell(ctx, key, openflow.News{Status: openflow.JobRunning}); err != nil {
			return err
		}
	}
	percent := 0
	for _, u := range o.Ended {
		percent = max(percent, u.Progress)
		if err := s.known(s.tellTask(ctx, u)); err != nil {
			return err
		}
	}
	if o.Version > 0 {
		if err := s.rerun(ctx, o.TaskKey); err != nil {
			return err
		}
	}
	if err := s.launch(ctx, scheduler, o.TaskKey); err != nil || percent == 0 {
		return err
	}
	return s.progress(ctx, key, percent)
}

// launch takes the task's cores and starts it, once: a peer that is told of running for the second time has perhaps
// started it at the first, and is asked.
func (s stepwise) launch(ctx context.Context, scheduler openflow.PartyID, k openflow.TaskKey) error {
	ref := wire.TaskRefOf(k)
	err := s.tell(ctx, "/v2/partner/task/resource/apply", ref)
	if openflow.CodeOf(err) == openflow.CodeExhausted {
		started, asked := s.started(ctx, scheduler, k)
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
		started, asked := s.started(ctx, scheduler, k)
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

func (s stepwise) started(ctx context.Context, scheduler openflow.PartyID, k openflow.TaskKey) (bool, error) {
	at, err := s.AskTask(ctx, scheduler, k)
	return err == nil && at.PartyStatus != openflow.TaskWaiting, err
}

// tellTask calls task/status/update, and for an end task/stop as well; for a further version that waits, task/rerun.
func (s stepwise) tellTask(ctx context.Context, u openflow.TaskUpdate) error {
	if u.Status == openflow.TaskWaiting {
		return s.rerun(ctx, u.Key)
	}
	body := wire.PartnerUpdateTask{TaskRef: wire.TaskRefOf(u.Key), Status: wire.Text(u.Status), Reason: u.Reason}
	if err := s.push(ctx, "/v2/partner/task/status/update", body); err != nil {
		return err
	}
	if !u.Status.Terminal() {
		return nil
	}
	return s.tell(ctx, "/v2/partner/task/stop", body)
}

// rerun makes a version of a task from the one before it.
func (s stepwise) rerun(ctx context.Context, k openflow.TaskKey) error {
	before, version := k, k.Version
	before.Version--
	return s.tell(ctx, "/v2/partner/task/rerun", wire.PartnerRerunTask{TaskRef: wire.TaskRefOf(before), NewVersion: &version})
}

func (s stepwise) progress(ctx context.Context, k openflow.JobKey, percent int) error {
	p := float64(percent)
	return s.push(ctx, "/v2/partner/job/update", wire.PartnerUpdateJob{JobRef: wire.Ref(k.Job, k.Party), Progress: &p})
}

// push makes a call whose refusal means that it changes nothing: 1003, 2002, and the resource codes of a return.
func (s stepwise) push(ctx context.Context, path string, body any) error {
	err := s.tell(ctx, path, body)
	if code := openflow.CodeOf(err); code == openflow.CodeConflict || code == openflow.CodeExhausted {
		return nil
	}
	return err
}

// known passes over that the peer has never had the version of a task.
func (s stepwise) known(err error) error {
	if openflow.CodeOf(err) == openflow.CodeNotFound {
		return nil
	}
	return err
}

func jobStatus(k openflow.JobKey, status openflow.JobStatus, reason string) wire.PartnerUpdateJob {
	return wire.PartnerUpdateJob{JobRef: wire.Ref(k.Job, k.Party), Status: wire.Text(status), Reason: reason}
}
