package fateflow

import (
	"context"

	"openflow"
	"openflow/dialect/fateflow/words"
	"openflow/dialect/forms"
	"openflow/dialect/peer"
	"openflow/sdk/wire"
)

// OpenJob calls job/create and job/status/update waiting, and asks for the job's resources.
func (c *Client) OpenJob(ctx context.Context, o openflow.JobOrder) (openflow.Reservation, error) {
	if err := c.create(ctx, o); err != nil {
		return openflow.Reservation{}, err
	}
	if err := c.push(ctx, "/v2/partner/job/status/update", jobStatus(o.Key, openflow.JobWaiting, "")); err != nil || o.Later {
		return openflow.Reservation{}, err
	}
	return c.Reserve(ctx, o.Key)
}

func (c *Client) create(ctx context.Context, o openflow.JobOrder) error {
	body, err := forms.EncodeOrder(o)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_, err = c.send(ctx, "/v2/partner/job/create", body, o.DAG.Conf.Initiator)
	return err
}

// Reserve calls job/resource/apply. A refusal does not tell a busy party from an application that was granted before. So
// after one the resources are returned and applied for once more. A FATE-Flow node does not call when it is no longer busy.
func (c *Client) Reserve(ctx context.Context, k openflow.JobKey) (openflow.Reservation, error) {
	got, err := c.apply(ctx, k)
	if err != nil || !busy(got) {
		return got, err
	}
	if err := c.Release(ctx, k); err != nil {
		return openflow.Reservation{}, err
	}
	if got, err = c.apply(ctx, k); err != nil || !busy(got) {
		return got, err
	}
	taken := openflow.Errorf(openflow.CodeUnavailable, "its resources are taken: %w", got.Short)
	taken.Party, taken.Subject = c.Peer, openflow.AboutResource
	return openflow.Reservation{Short: taken}, nil
}

func (c *Client) apply(ctx context.Context, k openflow.JobKey) (openflow.Reservation, error) {
	return openflow.Reserved(c.tell(ctx, "/v2/partner/job/resource/apply", wire.Ref(k.Job, k.Party)))
}

func busy(r openflow.Reservation) bool {
	return r.Short != nil && r.Short.Code == openflow.CodeExhausted
}

// Release calls job/resource/return. What is not held cannot be returned, which is as good.
func (c *Client) Release(ctx context.Context, k openflow.JobKey) error {
	return c.push(ctx, "/v2/partner/job/resource/return", wire.Ref(k.Job, k.Party))
}

// Tell calls job/start, or job/status/update; task/status/update and task/stop, or task/rerun, for every task; and
// job/update, as far as there is something to say. FATE-Flow has no call for a reason alone.
func (c *Client) Tell(ctx context.Context, k openflow.JobKey, n openflow.News) error {
	switch n.Status {
	case "":
	case openflow.JobRunning:
		if err := c.tell(ctx, "/v2/partner/job/start", wire.Ref(k.Job, k.Party)); err != nil {
			return err
		}
	default:
		if err := c.push(ctx, "/v2/partner/job/status/update", jobStatus(k, n.Status, n.Reason)); err != nil {
			return err
		}
	}
	percent := n.Progress
	var unknown error
	for _, u := range n.Tasks {
		percent = max(percent, u.Progress)
		err := c.tellTask(ctx, u)
		if openflow.CodeOf(err) == openflow.CodeNotFound {
			unknown, err = err, nil
		}
		if err != nil {
			return err
		}
	}
	if percent > 0 {
		if err := c.progress(ctx, k, percent); err != nil {
			return err
		}
	}
	return unknown
}

// StopJob calls, for every task that has ended, task/status/update and task/stop; then job/update, job/status/update and
// job/stop. A peer that refuses one of them is called for the others all the same. Its runs end by task/stop and job/stop.
// What it refuses is for instance the news of a task that it has lost.
func (c *Client) StopJob(ctx context.Context, k openflow.JobKey, end openflow.JobEnd) error {
	percent := 0
	if end.Status == openflow.JobSuccess {
		percent = 100
	}
	var calls []func() error
	for _, u := range end.Tasks {
		percent = max(percent, u.Progress)
		calls = append(calls,
			func() error { return c.known(c.moveTask(ctx, u)) },
			func() error { return c.known(c.stopTask(ctx, u)) })
	}
	if percent > 0 {
		calls = append(calls, func() error { return c.progress(ctx, k, percent) })
	}
	calls = append(calls,
		func() error {
			return c.push(ctx, "/v2/partner/job/status/update", jobStatus(k, end.Status, end.Reason))
		},
		func() error { return c.tell(ctx, "/v2/partner/job/stop", wire.Ref(k.Job, k.Party)) })
	var refused error
	for _, call := range calls {
		err := call()
		if code := openflow.CodeOf(err); code == openflow.CodeUnavailable || ctx.Err() != nil {
			return err // the others would not arrive either
		}
		if refused == nil {
			refused = err
		}
	}
	return refused
}

// StartTask calls job/start for the first task; for tasks that have ended, task/status/update and task/stop; task/rerun
// for a further version; then task/resource/apply, task/status/update running and task/start. A repeat calls task/collect before those,
// and leaves them when the run has begun.
func (c *Client) StartTask(ctx context.Context, o openflow.TaskStart) error {
	key := o.TaskKey.JobKey()
	if o.StartsJob {
		if err := c.Tell(ctx, key, openflow.News{Status: openflow.JobRunning}); err != nil {
			return err
		}
	}
	percent := 0
	for _, u := range o.Ended {
		percent = max(percent, u.Progress)
		if err := c.known(c.tellTask(ctx, u)); err != nil {
			return err
		}
	}
	if o.Version > 0 {
		if err := c.rerun(ctx, o.TaskKey); err != nil {
			return err
		}
	}
	if err := c.launch(ctx, o.TaskKey, o.Again); err != nil || percent == 0 {
		return err
	}
	return c.progress(ctx, key, percent)
}

// launch takes the task's cores and starts it, once: a peer that is called again, or told of running for the second time, has perhaps
// started it at the first, and is asked.
func (c *Client) launch(ctx context.Context, k openflow.TaskKey, again bool) error {
	if again {
		started, asked := c.started(ctx, k)
		if asked != nil || started {
			return asked
		}
	}
	ref := forms.TaskRefOf(k)
	err := c.tell(ctx, "/v2/partner/task/resource/apply", ref)
	if openflow.CodeOf(err) == openflow.CodeExhausted {
		started, asked := c.started(ctx, k)
		if asked != nil || started {
			return asked
		}
		if err = c.push(ctx, "/v2/partner/task/resource/return", ref); err == nil {
			err = c.tell(ctx, "/v2/partner/task/resource/apply", ref)
		}
	}
	if err != nil {
		return err
	}
	running := forms.PartnerUpdateTask{TaskRef: ref, Status: wire.Text(words.OfTask(openflow.TaskRunning))}
	err = c.tell(ctx, "/v2/partner/task/status/update", running)
	if openflow.CodeOf(err) == openflow.CodeConflict {
		started, asked := c.started(ctx, k)
		if asked != nil || started {
			return asked
		}
		err = nil
	}
	if err != nil {
		return err
	}
	return c.tell(ctx, "/v2/partner/task/start", ref)
}

func (c *Client) started(ctx context.Context, k openflow.TaskKey) (bool, error) {
	at, err := c.AskTask(ctx, k)
	return err == nil && at.PartyStatus != openflow.TaskWaiting, err
}

// tellTask calls task/status/update, and for an end task/stop as well; for a further version that waits, task/rerun.
func (c *Client) tellTask(ctx context.Context, u openflow.TaskUpdate) error {
	if u.Status == openflow.TaskWaiting {
		return c.rerun(ctx, u.Key)
	}
	if err := c.moveTask(ctx, u); err != nil || !u.Status.Terminal() {
		return err
	}
	return c.stopTask(ctx, u)
}

func (c *Client) moveTask(ctx context.Context, u openflow.TaskUpdate) error {
	return c.push(ctx, "/v2/partner/task/status/update", taskStatus(u))
}

func (c *Client) stopTask(ctx context.Context, u openflow.TaskUpdate) error {
	return c.tell(ctx, "/v2/partner/task/stop", taskStatus(u))
}

func taskStatus(u openflow.TaskUpdate) forms.PartnerUpdateTask {
	return forms.PartnerUpdateTask{TaskRef: forms.TaskRefOf(u.Key), Status: wire.Text(words.OfTask(u.Status)), Reason: u.Reason}
}

// rerun makes a version of a task from the one before it.
func (c *Client) rerun(ctx context.Context, k openflow.TaskKey) error {
	before, version := k, forms.Whole(k.Version)
	before.Version--
	return c.tell(ctx, "/v2/partner/task/rerun", forms.PartnerRerunTask{TaskRef: forms.TaskRefOf(before), NewVersion: &version})
}

func (c *Client) progress(ctx context.Context, k openflow.JobKey, percent int) error {
	p := forms.Percent(percent)
	return c.push(ctx, "/v2/partner/job/update", forms.PartnerUpdateJob{JobRef: wire.Ref(k.Job, k.Party), Progress: &p})
}

// push makes a call whose refusal means that it changes nothing: 1003, 2002, and the resource codes of a return.
func (c *Client) push(ctx context.Context, path string, body any) error {
	err := c.tell(ctx, path, body)
	if code := openflow.CodeOf(err); code == openflow.CodeConflict || code == openflow.CodeExhausted {
		return nil
	}
	return err
}

// known passes over that the peer has never had the version of a task.
func (c *Client) known(err error) error {
	if openflow.CodeOf(err) == openflow.CodeNotFound {
		return nil
	}
	return err
}

func jobStatus(k openflow.JobKey, status openflow.JobStatus, reason string) forms.PartnerUpdateJob {
	return forms.PartnerUpdateJob{JobRef: wire.Ref(k.Job, k.Party), Status: wire.Text(words.OfJob(status)), Reason: reason}
}

// AskTask calls task/collect.
func (c *Client) AskTask(ctx context.Context, k openflow.TaskKey) (openflow.TaskStanding, error) {
	e, err := c.within(ctx, peer.CallTimeout, "/v2/partner/task/collect", forms.TaskRefOf(k))
	if err != nil {
		return openflow.TaskStanding{Key: k}, err
	}
	var answer forms.TaskAnswer
	if err := unmarshal(e.Data, &answer); err != nil {
		return openflow.TaskStanding{Key: k}, c.Unreadable("/v2/partner/task/collect", err)
	}
	at := answer.Decode(k)
	if !at.PartyStatus.Valid() {
		return at, c.Unreachable("told an unknown status %q of %s", answer.PartyStatus, k)
	}
	return at, nil
}
