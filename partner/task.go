package partner

import (
	"context"

	"openflow"
	"openflow/sdk/wire"
)

// task finds a run of scheduler's. One of another scheduler is not found.
func (s *Service) task(ctx context.Context, scheduler openflow.PartyID, k openflow.TaskKey) (openflow.TaskRecord, error) {
	t, err := s.Store.Task(ctx, k)
	if err == nil && t.Scheduler != scheduler {
		err = openflow.Errorf(openflow.CodeNotFound, "%s does not exist here", k)
	}
	return t, openflow.About(openflow.AboutTask, err)
}

// StartTask accepts a run durably: its workflow exists when this returns. Its resources are taken along (fate-flow-api §2.3
// task/resource/apply), and so is what the scheduler has to say before: one call starts a task.
func (s *Service) StartTask(ctx context.Context, scheduler openflow.PartyID, o openflow.TaskStart) error {
	if err := s.hear(ctx, scheduler, o.Ended); err != nil {
		return err
	}
	k := o.TaskKey
	t, err := s.version(ctx, scheduler, k)
	if err != nil {
		return err
	}
	if t.PartyStatus.Terminal() {
		return nil // it has run already; its report is on the way or was taken
	}
	key := openflow.JobKey{Scheduler: scheduler, Job: k.Job, Party: k.Party}
	if o.StartsJob {
		if err := s.StartJob(ctx, key); err != nil && openflow.CodeOf(err) != openflow.CodeConflict {
			return err
		}
	}
	job, err := s.Store.Job(ctx, key)
	if err != nil {
		return openflow.About(openflow.AboutJob, err)
	}
	if job.Status != openflow.JobRunning {
		return openflow.About(openflow.AboutTask, openflow.Errorf(openflow.CodeConflict, "%s cannot start: the job is %s", k, job.Status))
	}
	order := openflow.TaskOrder{
		Key: k, Scheduler: scheduler, Report: t.SyncType != openflow.Poll, Timeout: t.Spec.Conf.Timeout, Component: t.Component,
		Cores: t.Cores,
	}
	if order.Label, order.Pool, err = s.pooling(ctx, t); err != nil {
		return err
	}
	err = s.Store.ApplyTaskResources(ctx, k, s.Limits.Pool().GPUs)
	switch openflow.CodeOf(err) {
	case openflow.CodeConflict:
		return nil // it has ended since it was read: this is a repeat, which a lost or late answer has caused
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

// pooling tells the label of a run, and how it finds a machine of the site's pool; nil: the node itself runs it. GPUs are
// counted by the site and not by its machines, so a run with GPUs is for the node's own alone, and stays there once it has them.
func (s *Service) pooling(ctx context.Context, t openflow.TaskRecord) (string, *openflow.Pooling, error) {
	label, err := wire.LabelOf(t.Spec.Conf)
	if err != nil || s.Pool == nil {
		return label, nil, openflow.About(openflow.AboutTask, err)
	}
	pool, err := s.Pool.Pooling(ctx, label)
	if err != nil {
		return label, nil, openflow.About(openflow.AboutTask, err)
	}
	switch {
	case pool == nil || t.GPUs == 0:
		return label, pool, nil
	case t.ResourceInUse:
		return label, nil, nil
	}
	return label, nil, openflow.About(openflow.AboutResource, openflow.Errorf(openflow.CodeInvalid,
		"task %s asks for GPUs (%d), and party %s runs it in its pool of machines: GPUs there are those of the node's own machine",
		t.Key.Task, t.GPUs, s.Self).
		WithHint("leave out gpus and label, or have the party's node run its tasks itself, without workers"))
}

// hear takes over ends of tasks that came along with another call. One of a version that never got here says nothing.
func (s *Service) hear(ctx context.Context, scheduler openflow.PartyID, ended []openflow.TaskUpdate) error {
	for _, u := range ended {
		if err := s.UpdateTask(ctx, scheduler, u); err != nil && openflow.CodeOf(err) != openflow.CodeNotFound {
			return err
		}
	}
	return nil
}

// version finds a run, and makes the version when it is a further one that is not here yet.
func (s *Service) version(ctx context.Context, scheduler openflow.PartyID, k openflow.TaskKey) (openflow.TaskRecord, error) {
	t, err := s.task(ctx, scheduler, k)
	if k.Version == 0 || openflow.CodeOf(err) != openflow.CodeNotFound {
		return t, err
	}
	if err := s.RerunTask(ctx, scheduler, k); err != nil {
		return t, err
	}
	return s.task(ctx, scheduler, k)
}

// UpdateTask takes over the federated status; with an end status it stops what still runs of the task here.
//
// Spec: fate-flow-api §2.3 task/status/update and task/stop. A repeat is success: part 7 #22.
func (s *Service) UpdateTask(ctx context.Context, scheduler openflow.PartyID, u openflow.TaskUpdate) error {
	t, err := s.task(ctx, scheduler, u.Key)
	if err != nil {
		return err
	}
	if err := s.announce(ctx, u.Key, u.Status); err != nil {
		return err
	}
	if u.Progress > 0 {
		key := openflow.JobKey{Scheduler: scheduler, Job: u.Key.Job, Party: u.Key.Party}
		if _, err := s.Store.SetJobProgress(ctx, key, u.Progress); err != nil {
			return openflow.About(openflow.AboutJob, err)
		}
	}
	started := t.PartyStatus == openflow.TaskRunning || t.ResourceInUse
	if !u.Status.Terminal() || t.PartyStatus.Terminal() {
		return nil
	}
	if !started {
		return s.stopUntold(ctx, t, u.Status, u.Reason)
	}
	return s.stopRun(ctx, t, u.Status, u.Reason)
}

// RerunTask makes version k.Version of a task from the latest before it that has come here, as waiting as that one was in
// the beginning.
//
// Spec: fate-flow-api §2.3 task/rerun.
func (s *Service) RerunTask(ctx context.Context, scheduler openflow.PartyID, k openflow.TaskKey) error {
	before := k
	before.Version--
	t, err := s.task(ctx, scheduler, before)
	for before.Version > 0 && openflow.CodeOf(err) == openflow.CodeNotFound {
		before.Version-- // this site was not reached then
		t, err = s.task(ctx, scheduler, before)
	}
	if err != nil {
		return err
	}
	return openflow.About(openflow.AboutTask, s.Store.AddTask(ctx, openflow.TaskRecord{
		Key: k, Scheduler: scheduler, SyncType: t.SyncType, Component: t.Component, Provider: t.Provider,
		Status: openflow.TaskWaiting, PartyStatus: openflow.TaskWaiting, Spec: t.Spec, Cores: t.Cores, Memory: t.Memory, GPUs: t.GPUs,
		MemoryBytes: t.MemoryBytes,
	}))
}

// CollectTask tells how the run stands here.
func (s *Service) CollectTask(ctx context.Context, scheduler openflow.PartyID, k openflow.TaskKey) (openflow.TaskRecord, error) {
	return s.task(ctx, scheduler, k)
}

// OpenJob creates the job and reserves its resources; see openflow.PartnerService.
func (s *Service) OpenJob(ctx context.Context, o openflow.JobOrder) error {
	if err := s.CreateJob(ctx, o); err != nil {
		return err
	}
	return s.ApplyJobResources(ctx, o.Key)
}

// CreateJob checks what the job wants of this site and records it; nothing runs.
//
// Spec: fate-flow-api §2.3 job/create, §0.7 (grants), §4.7 (cores); checks: part 7 #5.
func (s *Service) CreateJob(ctx context.Context, o openflow.JobOrder) error {
	if o.Key.Party.ID != s.Self {
		return openflow.Errorf(openflow.CodeInvalid, "this is party %s, not %s", s.Self, o.Key.Party.ID).
			WithHint("check the address that is registered for party %s", o.Key.Party.ID)
	}
	if err := openflow.CheckJobID(o.Key.Job); err != nil {
		return openflow.About(openflow.AboutJob, err)
	}
	if err := o.DAG.Validate(); err != nil {
		return openflow.About(openflow.AboutJob, err)
	}
	specs := o.DAG.ForParty(o.Key.Party)
	if len(specs) == 0 {
		return openflow.Errorf(openflow.CodeInvalid, "%s takes part in no task of job %s", o.Key.Party, o.Key.Job)
	}
	tables := o.DAG.Tables(o.Key.Party)
	if err := s.permit(ctx, o.Key.Scheduler, specs, tables); err != nil {
		return err
	}
	for _, name := range tables {
		if _, err := s.Store.Table(ctx, name); err != nil {
			if openflow.CodeOf(err) == openflow.CodeNotFound {
				err = openflow.Errorf(openflow.CodeNotFound, "no table %s", name).WithHint("upload it there: openflow data upload")
			}
			return openflow.About(openflow.AboutTable, err)
		}
	}
	job, tasks, err := s.records(o, specs)
	if err != nil {
		return err
	}
	for _, t := range tasks {
		if t.GPUs > 0 {
			if _, _, err := s.pooling(ctx, t); err != nil {
				return err
			}
		}
	}
	return openflow.About(openflow.AboutJob, s.Store.CreateJob(ctx, job, tasks))
}

func (s *Service) permit(ctx context.Context, caller openflow.PartyID, specs []openflow.TaskSpec, tables []openflow.TableName) error {
	if caller == s.Self || s.GrantAll {
		return nil
	}
	components := make([]string, 0, len(specs))
	for _, t := range specs {
		components = append(components, t.Component)
	}
	return s.Store.Granted(ctx, caller, components, tables)
}

func (s *Service) records(o openflow.JobOrder, specs []openflow.TaskSpec) (openflow.JobRecord, []openflow.TaskRecord, error) {
	conf := o.DAG.Conf
	job := openflow.JobRecord{
		ID: o.Key.Job, Party: o.Key.Party, Scheduler: o.Key.Scheduler, Initiator: conf.Initiator, Status: openflow.JobReady,
		DAG: o.DAG, Priority: conf.Priority, Cores: min(s.Limits.JobCores, s.Limits.Cores), Memory: s.Limits.JobMemory,
		ModelID: conf.ModelID, ModelVersion: conf.ModelVersion, UserName: o.UserName,
	}
	if conf.Cores != nil {
		job.Cores = *conf.Cores
	}
	if conf.Memory != nil {
		job.Memory = *conf.Memory
	}
	if conf.GPUs != nil {
		job.GPUs = *conf.GPUs
	}
	said := job.Memory
	var tasks []openflow.TaskRecord
	for _, spec := range specs {
		provider, err := s.Components.Component(spec, o.Key.Party.Role)
		if err != nil {
			return job, nil, openflow.About(openflow.AboutTask, err)
		}
		if spec.Conf.Timeout == 0 {
			spec.Conf.Timeout = s.Limits.TaskTimeout
		}
		if _, err := wire.LabelOf(spec.Conf); err != nil {
			return job, nil, openflow.About(openflow.AboutTask, err)
		}
		t := openflow.TaskRecord{
			Key: openflow.TaskKey{Job: o.Key.Job, Task: spec.Name, Party: o.Key.Party}, Scheduler: o.Key.Scheduler,
			SyncType: conf.SyncType, Component: spec.Component, Provider: provider, Status: openflow.TaskWaiting,
			PartyStatus: openflow.TaskWaiting, Spec: spec,
		}
		s.size(&t, job.Cores, said)
		job.Cores, job.Memory, job.GPUs = max(job.Cores, t.Cores), max(job.Memory, t.Memory), max(job.GPUs, t.GPUs)
		tasks = append(tasks, t)
	}
	if o.Key.Party.Role == openflow.RoleArbiter {
		job.Cores, job.GPUs = 0, 0
	}
	job.RemainingCores, job.RemainingMemory, job.RemainingGPUs = job.Cores, job.Memory, job.GPUs
	return job, tasks, nil
}

// size fills in what a task takes from a job of that many cores and bytes, and what its container may use. An arbiter has
// neither cores nor GPUs.
func (s *Service) size(t *openflow.TaskRecord, cores int, memory int64) {
	var said bool
	if t.Cores, said = wire.CoresOf(t.Spec.Conf); !said {
		t.Cores = min(s.Limits.TaskCores, max(cores, 1))
	}
	t.GPUs = wire.GPUsOf(t.Spec.Conf)
	if t.Key.Party.Role == openflow.RoleArbiter {
		t.Cores, t.GPUs = 0, 0
	}
	if t.Memory, said = wire.MemoryOf(t.Spec.Conf); !said {
		t.Memory = min(s.Limits.TaskMemory, memory)
	}
	if t.MemoryBytes = s.Limits.TaskMemory; t.Memory > 0 {
		t.MemoryBytes = t.Memory
	}
}
