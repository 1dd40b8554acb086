package partner

import (
	"context"
	"slices"
	"time"

	"openflow"
	"openflow/site/admission"
)

// task finds a run. One of another scheduler's job of the same ID is another run.
func (s *Service) task(ctx context.Context, k openflow.TaskKey) (openflow.TaskRecord, error) {
	t, err := s.Store.Task(ctx, k)
	return t, openflow.About(openflow.AboutTask, err)
}

// StartTask accepts a run durably: its workflow exists when this returns. Its resources are taken along (fate-flow-api
// §2.3 task/resource/apply), and so is what the scheduler has to say before: one call starts a task.
func (s *Service) StartTask(ctx context.Context, o openflow.TaskStart) error {
	k := o.TaskKey
	key := k.JobKey()
	if err := s.hear(ctx, key, o.Ended); err != nil {
		return err
	}
	if err := s.goesOn(ctx, k); err != nil {
		return err
	}
	t, err := s.version(ctx, k)
	if err != nil {
		return err
	}
	if t.PartyStatus.Terminal() {
		return s.ended(ctx, t) // it has run already; its report is on the way or was taken
	}
	if t.PartyStatus == openflow.TaskWaiting && !t.ResourceInUse {
		if err := s.room(); err != nil {
			return err
		}
	}
	if err := s.agree(ctx, t, o.Protocol); err != nil {
		return openflow.About(openflow.AboutTask, err)
	}
	if o.StartsJob {
		if _, err := s.move(ctx, key, openflow.JobRunning, ""); err != nil && openflow.CodeOf(err) != openflow.CodeConflict {
			return err
		}
	}
	job, err := s.Store.Job(ctx, key)
	if err != nil {
		return openflow.About(openflow.AboutJob, err)
	}
	if job.Status != openflow.JobRunning {
		return tooLate(k, job.Status)
	}
	if t.PartyStatus == openflow.TaskWaiting && !t.ResourceInUse {
		if err := s.works(ctx, t); err != nil {
			return err
		}
	}
	if t.PartyStatus == openflow.TaskWaiting {
		if err := s.stillPermitted(ctx, job, t); err != nil {
			return err
		}
	}
	if err := s.drives(ctx, key, job.Lease); err != nil {
		return err
	}
	if source, ok := inherited(job.DAG, key, k.Task); ok {
		return s.takeOver(ctx, job, t, source)
	}
	order := s.order(t)
	order.Begun = o.Begun && order.Report
	if order.Pool, err = s.pooling(ctx, t); err != nil {
		return err
	}
	if !job.ResourceInUse { // it has never asked, or has given it back unused
		err = s.Store.ApplyJobResources(ctx, key, s.Limits.Capacity(), s.Limits.Rules())
	}
	if err == nil {
		err = s.Store.ApplyTaskResources(ctx, k, s.Limits.Capacity().GPUs, s.Limits.Rules().Quota)
	}
	switch openflow.CodeOf(err) {
	case openflow.CodeConflict:
		if t, wrong := s.task(ctx, k); wrong != nil || t.PartyStatus.Terminal() {
			return wrong // it has ended since it was read: this is a repeat, which a lost or late answer has caused
		}
	case openflow.CodeExhausted:
		if err := s.Store.SetTaskReason(ctx, k, err.Error()); err != nil {
			return openflow.About(openflow.AboutTask, err)
		}
	}
	if err != nil {
		return openflow.About(openflow.AboutResource, err)
	}
	return openflow.About(openflow.AboutTask, s.Engine.StartTask(ctx, order))
}

// ended answers the start of a run that has ended here. One that was taken over may have been recorded and not reported, since
// nothing else has run of it.
func (s *Service) ended(ctx context.Context, t openflow.TaskRecord) error {
	if t.ContainerName != "" || !t.PartyStatus.Succeeded() {
		return nil
	}
	job, err := s.Store.Job(ctx, t.Key.JobKey())
	if err != nil {
		return openflow.About(openflow.AboutJob, err)
	}
	if source, ok := inherited(job.DAG, t.Key.JobKey(), t.Key.Task); ok {
		return s.takeOver(ctx, job, t, source)
	}
	return nil
}

// agree notes what a run is to speak with its other parties, as the scheduler says that all have agreed. A scheduler chooses among
// what this party has offered for the task, and nothing else: an old protocol may be one that its program speaks badly. A run
// that is started keeps what it was told. Errors: CodeInvalid.
func (s *Service) agree(ctx context.Context, t openflow.TaskRecord, agreed openflow.Protocol) error {
	if agreed == (openflow.Protocol{}) || agreed == t.Protocol || t.PartyStatus != openflow.TaskWaiting {
		return nil
	}
	var offered []openflow.Protocol
	if ofSeveral(t.Spec) {
		said, err := s.Components.Spoken(ctx, []openflow.TaskRecord{t})
		if err != nil {
			return err
		}
		for _, o := range said {
			offered = append(offered, o.Protocols...)
		}
	}
	if !slices.Contains(offered, agreed) {
		return openflow.Errorf(openflow.CodeInvalid, "%s is to speak %q, which party %s has not offered for it", t.Key, openflow.Cut(agreed.String(), 80), s.Self).
			WithHint("the scheduler takes what all parties of the task have said that they speak; submit the job again if a program has changed since")
	}
	return s.Store.SetTaskProtocol(ctx, t.Key, agreed)
}

// order is what the workflow of a run is given.
func (s *Service) order(t openflow.TaskRecord) openflow.TaskOrder {
	return openflow.TaskOrder{
		Key: t.Key, Report: t.SyncType != openflow.Poll, Timeout: t.Spec.Conf.Timeout, Component: t.Component,
		Label: t.Spec.Conf.Label, Cores: t.Cores,
	}
}

// drives notes that the scheduler of a job still drives it, as far as that is no news a moment later. lease is until when the job may
// go on as it is.
func (s *Service) drives(ctx context.Context, k openflow.JobKey, lease time.Time) error {
	until := time.Now().Add(s.Limits.Lease)
	if lease.IsZero() || until.Sub(lease) < s.Limits.Lease/2 {
		return nil
	}
	return openflow.About(openflow.AboutJob, s.Store.RenewLease(ctx, k, until))
}

func tooLate(k openflow.TaskKey, status openflow.JobStatus) error {
	return openflow.About(openflow.AboutTask, openflow.Errorf(openflow.CodeConflict, "%s cannot start: the job is %s", k, status))
}

// goesOn refuses a version that an ended job does not have: it would never run, and would be the latest of its task.
func (s *Service) goesOn(ctx context.Context, k openflow.TaskKey) error {
	if _, err := s.task(ctx, k); openflow.CodeOf(err) != openflow.CodeNotFound {
		return err
	}
	job, err := s.Store.Job(ctx, k.JobKey())
	if openflow.CodeOf(err) == openflow.CodeNotFound {
		return nil // what is not here is said of the task
	}
	if err == nil && job.Status.Terminal() {
		return tooLate(k, job.Status)
	}
	return openflow.About(openflow.AboutJob, err)
}

// pooling tells how a run finds a machine of the site's pool; nil: the node itself runs it. GPUs
// are counted by the site and not by its machines, so a run with GPUs is for the node's own alone, and stays there once
// it has them.
func (s *Service) pooling(ctx context.Context, t openflow.TaskRecord) (*openflow.Pooling, error) {
	if s.Pool == nil {
		return nil, nil
	}
	pool, err := s.Pool.Pooling(ctx, t.Spec.Conf.Label)
	if err != nil {
		return nil, openflow.About(openflow.AboutTask, err)
	}
	switch {
	case pool == nil || t.GPUs == 0:
		return pool, nil
	case t.ResourceInUse:
		return nil, nil
	}
	return nil, openflow.About(openflow.AboutResource, openflow.Errorf(openflow.CodeInvalid,
		"task %s asks for GPUs (%d), and party %s runs it in its pool of machines: only the node's own machine offers GPUs",
		t.Key.Task, t.GPUs, s.Self).
		WithHint("leave out gpus and label, or have the party's node run its tasks itself, without workers"))
}

// hear takes over ends of tasks that came along with another call. One of a version that never got here says nothing.
func (s *Service) hear(ctx context.Context, k openflow.JobKey, ended []openflow.TaskUpdate) error {
	if len(ended) == 0 {
		return nil
	}
	if _, err := s.Store.JobEnded(ctx, k); err != nil {
		return openflow.About(openflow.AboutJob, err)
	}
	ended, _, err := s.about(ctx, k, ended)
	if err != nil {
		return err
	}
	for _, u := range ended {
		if err := s.tellTask(ctx, u); err != nil && openflow.CodeOf(err) != openflow.CodeNotFound {
			return err
		}
	}
	return nil
}

// about picks from the news of one call what is about runs that are here, and what may make one further version of a task that is. Each
// counts once, so that no call costs more than the job has runs. unknown says that there was other news, and is no failure.
func (s *Service) about(ctx context.Context, k openflow.JobKey, news []openflow.TaskUpdate) (known []openflow.TaskUpdate, unknown, err error) {
	if len(news) < 2 { // it is looked up itself
		return news, nil, nil
	}
	runs, err := s.Store.RunsOfJob(ctx, k)
	if err != nil {
		return nil, nil, openflow.About(openflow.AboutTask, err)
	}
	here, tasks := map[openflow.TaskKey]bool{}, map[openflow.TaskName]bool{}
	for _, run := range runs {
		here[run], tasks[run.Task] = true, true
	}
	heard := map[openflow.TaskKey]bool{}
	for _, u := range news {
		further := u.Status == openflow.TaskWaiting && tasks[u.Key.Task] && !here[u.Key]
		switch {
		case heard[u.Key]:
			continue
		case further:
			delete(tasks, u.Key.Task)
		case !here[u.Key]:
			unknown = openflow.About(openflow.AboutTask, openflow.Errorf(openflow.CodeNotFound, "%s does not exist here", u.Key))
			continue
		}
		heard[u.Key] = true
		known = append(known, u)
	}
	return known, unknown, nil
}

// version finds a run, and makes the version when it is a further one that is not here yet.
func (s *Service) version(ctx context.Context, k openflow.TaskKey) (openflow.TaskRecord, error) {
	t, err := s.task(ctx, k)
	if k.Version == 0 || openflow.CodeOf(err) != openflow.CodeNotFound {
		return t, err
	}
	if err := s.addVersion(ctx, k); err != nil {
		return t, err
	}
	return s.task(ctx, k)
}

// tellTask takes over the federated status; with an end status it stops what still runs of the task here. A repeat is
// success. A further version that waits is made.
func (s *Service) tellTask(ctx context.Context, u openflow.TaskUpdate) error {
	find := s.task
	if u.Status == openflow.TaskWaiting {
		find = s.version
	}
	t, err := find(ctx, u.Key)
	if err != nil {
		return err
	}
	if err := s.announce(ctx, u.Key, u.Status); err != nil {
		return err
	}
	if u.Progress > 0 {
		if _, err := s.Store.SetJobProgress(ctx, u.Key.JobKey(), u.Progress); err != nil {
			return openflow.About(openflow.AboutJob, err)
		}
	}
	started := t.PartyStatus == openflow.TaskRunning || t.ResourceInUse
	if !u.Status.Terminal() || t.PartyStatus.Terminal() || !started {
		return nil
	}
	return s.stopRun(ctx, t, u.Status, u.Reason)
}

// mayFollow refuses a further version of a task that has not failed, and one beyond the retries that the initiator has asked for, in
// each run of the job. So the use of a grant has a bounded number of runs.
func (s *Service) mayFollow(ctx context.Context, k openflow.TaskKey, last openflow.TaskRecord) error {
	before := admission.Version{Number: last.Key.Version, Status: last.Status, PartyStatus: last.PartyStatus}
	if err := admission.Follows(k, []admission.Version{before}); err != nil {
		return err
	}
	job, err := s.Store.Job(ctx, k.JobKey())
	if err != nil {
		return err
	}
	runs := 1 + job.Reruns
	if (job.Status == openflow.JobWaiting || job.Status.Terminal()) && !job.StartTime.IsZero() {
		runs++ // it counts once it runs, which is about to be: FATE-Flow makes the versions of a rerun before it opens the job again
	}
	if k.Version >= (1+job.DAG.Conf.AutoRetries)*runs {
		return openflow.Errorf(openflow.CodeConflict, "%s is no version of this job: it has %d retries, and was run again %d times", k,
			job.DAG.Conf.AutoRetries, job.Reruns).WithHint("its initiator can run it again, or submit it anew with auto_retries")
	}
	return nil
}

// addVersion makes version k.Version of a task from the latest that has come here, as waiting as that one was in the
// beginning. How many versions this site was not reached for, the caller says, so nobody counts them.
func (s *Service) addVersion(ctx context.Context, k openflow.TaskKey) error {
	t, err := s.Store.LatestTask(ctx, k.JobKey(), k.Task)
	if err != nil {
		return openflow.About(openflow.AboutTask, err)
	}
	if err := s.mayFollow(ctx, k, t); err != nil {
		return openflow.About(openflow.AboutTask, err)
	}
	if t.Cause.Code == openflow.CodeUnavailable {
		t.Spec.Resident = 0 // the container that it shared may have ended: the next has its own
	}
	return openflow.About(openflow.AboutTask, s.Store.AddTask(ctx, openflow.TaskRecord{
		Key: k, SyncType: t.SyncType, Component: t.Component, Provider: t.Provider, Protocol: t.Protocol,
		Status: openflow.TaskWaiting, PartyStatus: openflow.TaskWaiting, Spec: t.Spec, Cores: t.Cores, Memory: t.Memory, GPUs: t.GPUs,
		MemoryBytes: t.MemoryBytes,
	}))
}

// AskTask tells how the run stands here.
func (s *Service) AskTask(ctx context.Context, k openflow.TaskKey) (openflow.TaskStanding, error) {
	t, err := s.task(ctx, k)
	if err != nil || t.SyncType != openflow.Poll { // otherwise this node asks whether the job is still driven
		return t.Standing(), err
	}
	lease, err := s.Store.Lease(ctx, k.JobKey())
	if err != nil {
		return t.Standing(), openflow.About(openflow.AboutJob, err)
	}
	return t.Standing(), s.drives(ctx, k.JobKey(), lease)
}
