package partner

import (
	"context"

	"openflow"
)

// OpenJob creates the job and reserves its resources; see openflow.PartnerService.
func (s *Service) OpenJob(ctx context.Context, o openflow.JobOrder) (openflow.Reservation, error) {
	if err := s.createJob(ctx, o); err != nil || o.Later {
		return openflow.Reservation{}, err
	}
	return s.Reserve(ctx, o.Key)
}

// createJob checks what the job wants of this site, records it, and pins what it reads here; nothing runs. All mistakes
// come in one answer. A repeat is answered as the first time, also when a name stands for something else meanwhile.
//
// Spec: fate-flow-api §2.3 job/create, §0.7 (grants), §4.7 (cores); checks: part 7 #5.
func (s *Service) createJob(ctx context.Context, o openflow.JobOrder) error {
	if o.Key.Party.ID != s.Self {
		return openflow.Errorf(openflow.CodeInvalid, "this is party %s, not %s", s.Self, o.Key.Party.ID).
			WithHint("check the address that is registered for party %s", o.Key.Party.ID)
	}
	if err := openflow.CheckJobID(o.Key.Job); err != nil {
		return openflow.About(openflow.AboutJob, err)
	}
	err := s.create(ctx, o)
	if err == nil || openflow.CodeOf(err).Retryable() {
		return err
	}
	has, same := s.Store.HasJob(ctx, o.Key, o.DAG)
	if has || openflow.CodeOf(same) == openflow.CodeConflict {
		return openflow.About(openflow.AboutJob, same)
	}
	return err
}

func (s *Service) create(ctx context.Context, o openflow.JobOrder) error {
	if err := o.DAG.Validate(); err != nil {
		return openflow.About(openflow.AboutJob, err)
	}
	specs := o.DAG.ForParty(o.Key.Party)
	if len(specs) == 0 {
		return openflow.Errorf(openflow.CodeInvalid, "%s takes part in no task of job %s", o.Key.Party, o.Key.Job)
	}
	if err := s.permit(ctx, o.Key.Scheduler, specs, openflow.TablesOf(specs)); err != nil {
		return err
	}
	if err := s.exposes(specs); err != nil {
		return err
	}
	found, err := s.find(ctx, o, specs)
	if err != nil {
		return err
	}
	mistakes, warnings, err := s.Components.Check(ctx, o.DAG, []openflow.Party{o.Key.Party}, found.tables)
	if err != nil {
		return err
	}
	if err := openflow.Refusal(append(mistakes, found.mistakes...)); err != nil {
		return err
	}
	providers, err := s.Components.Providers(ctx, specs)
	if err != nil {
		return openflow.About(openflow.AboutTask, err)
	}
	job, tasks := s.records(o, specs, providers)
	for _, t := range tasks {
		if t.GPUs > 0 {
			if _, err := s.pooling(ctx, t); err != nil {
				return err
			}
		}
	}
	job.Warnings = append(o.DAG.Warnings(), warnings...)
	return openflow.About(openflow.AboutJob, s.Store.CreateJob(ctx, job, tasks, found.pins...))
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

func (s *Service) records(o openflow.JobOrder, specs []openflow.TaskSpec, providers []string) (openflow.JobRecord, []openflow.TaskRecord) {
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
	for i, spec := range specs {
		if spec.Conf.Timeout == 0 {
			spec.Conf.Timeout = s.Limits.TaskTimeout
		}
		t := openflow.TaskRecord{
			Key:      openflow.TaskKey{Scheduler: o.Key.Scheduler, Job: o.Key.Job, Task: spec.Name, Party: o.Key.Party},
			SyncType: conf.SyncType, Component: spec.Component, Provider: providers[i], Status: openflow.TaskWaiting,
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
	return job, tasks
}

// size fills in what a task takes from a job of that many cores and bytes, and what its container may use. An arbiter has
// neither cores nor GPUs.
func (s *Service) size(t *openflow.TaskRecord, cores int, memory int64) {
	conf := t.Spec.Conf
	t.Cores, t.Memory = min(s.Limits.TaskCores, max(cores, 1)), min(s.Limits.TaskMemory, memory)
	if conf.Cores != nil {
		t.Cores = *conf.Cores
	}
	if conf.GPUs != nil {
		t.GPUs = *conf.GPUs
	}
	if t.Key.Party.Role == openflow.RoleArbiter {
		t.Cores, t.GPUs = 0, 0
	}
	if conf.Memory != nil {
		t.Memory = *conf.Memory
	}
	if t.MemoryBytes = s.Limits.TaskMemory; t.Memory > 0 {
		t.MemoryBytes = t.Memory
	}
}
