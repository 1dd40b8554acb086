package partner

import (
	"context"
	"errors"
	"math"
	"slices"
	"time"

	"openflow"
	"openflow/site/authority"
)

// OpenJob creates the job and reserves its resources; see openflow.PartnerService.
func (s *Service) OpenJob(ctx context.Context, o openflow.JobOrder) (openflow.Reservation, error) {
	if err := s.createJob(ctx, o); err != nil {
		return openflow.Reservation{}, err
	}
	spoken, err := s.spoken(ctx, o)
	if err != nil || o.Later {
		return openflow.Reservation{Spoken: spoken}, err
	}
	got, err := s.reserve(ctx, o.Key, true)
	got.Spoken = spoken
	return got, err
}

// spoken is what this site would run the tasks with that it has with other parties, as it was found when the job was created:
// whose program, and what that one speaks. Nothing else of the registry is told.
func (s *Service) spoken(ctx context.Context, o openflow.JobOrder) ([]openflow.Spoken, error) {
	if len(o.DAG.Parties) < 2 {
		return nil, nil
	}
	tasks, err := s.Store.TasksOfJob(ctx, o.Key)
	if err != nil {
		return nil, openflow.About(openflow.AboutJob, err)
	}
	return s.Components.Spoken(ctx, slices.DeleteFunc(tasks, func(t openflow.TaskRecord) bool { return !ofSeveral(t.Spec) }))
}

// ofSeveral reports whether several parties run a task.
func ofSeveral(t openflow.TaskSpec) bool { return len(t.Parties) > 1 }

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
	switch has, err := s.Store.HasJob(ctx, o.Key, o.DAG); {
	case err != nil:
		return openflow.About(openflow.AboutJob, err)
	case has:
		return s.repeat(ctx, o.Key)
	}
	word, grants, err := s.create(ctx, o)
	if err == nil {
		return s.admitted(ctx, o.Key, word, grants)
	}
	if errors.Is(err, openflow.ErrOverQuota) {
		s.ledger().Refused(ctx, asked(o.Key, word, "job/create"), err)
	}
	if openflow.CodeOf(err).Retryable() {
		return err
	}
	switch has, other := s.Store.HasJob(ctx, o.Key, o.DAG); { // the first call may have gone on beside this one
	case other != nil && (has || openflow.CodeOf(other) == openflow.CodeConflict):
		return openflow.About(openflow.AboutJob, other)
	case has:
		return s.repeat(ctx, o.Key)
	}
	if code := openflow.CodeOf(err); code == openflow.CodePermission || code == openflow.CodeUnauthorized {
		s.ledger().Refused(ctx, asked(o.Key, word, "job/create"), err)
	}
	return err
}

// repeat answers a repeat. What follows a job's record is done once more: the first call may have broken off before.
func (s *Service) repeat(ctx context.Context, k openflow.JobKey) error {
	job, err := s.Store.Job(ctx, k)
	if err != nil {
		return openflow.About(openflow.AboutJob, err)
	}
	grants, _, err := s.Store.GrantsOfJob(ctx, k.Scheduler, k.Job)
	if err != nil {
		return openflow.About(openflow.AboutJob, err)
	}
	ids := make([]openflow.GrantID, len(grants))
	for i, g := range grants {
		ids[i] = g.ID
	}
	if job.Status.Terminal() { // it reads nothing more
		return s.taken(ctx, k, job.Authority(), ids)
	}
	return s.admitted(ctx, k, job.Authority(), ids)
}

// admitted does what follows the record of a job: the decision is written down, and what the job is to read is there. An error
// here is no refusal. The job is here, and a repeat goes on from there.
func (s *Service) admitted(ctx context.Context, k openflow.JobKey, word openflow.Authority, grants []openflow.GrantID) error {
	if err := s.taken(ctx, k, word, grants); err != nil {
		return err
	}
	return s.cutAgain(ctx, k)
}

// create records the job, and returns on whose word and on which grants.
func (s *Service) create(ctx context.Context, o openflow.JobOrder) (openflow.Authority, []openflow.GrantID, error) {
	word, entered, err := s.knock(ctx, o)
	if err != nil {
		return word, nil, err
	}
	if word, err = s.authority(ctx, o); err != nil {
		return word, nil, openflow.About(openflow.AboutJob, err)
	}
	if !entered {
		if err := s.enter(ctx, o, word); err != nil {
			return word, nil, err
		}
	}
	if err := o.DAG.Validate(); err != nil {
		return word, nil, openflow.About(openflow.AboutJob, err)
	}
	specs := o.DAG.ForParty(o.Key.Party)
	if len(specs) == 0 {
		return word, nil, openflow.Errorf(openflow.CodeInvalid, "%s takes part in no task of job %s", o.Key.Party, o.Key.Job)
	}
	for attempt := 1; ; attempt++ {
		permit, err := s.permit(ctx, o.Key, o.DAG, word, specs)
		if err != nil {
			return word, nil, err
		}
		job, tasks, reads, err := s.prepare(ctx, o, word, specs, permit)
		if err == nil {
			err = s.cut(ctx, reads.pins, reads.whole)
		}
		if err != nil {
			return word, nil, err
		}
		err = openflow.About(openflow.AboutJob, s.Store.AdmitJob(ctx, s.Limits.Rules().Quota, job, tasks, reads.pins...))
		if openflow.CodeOf(err) != openflow.CodePermission || attempt == decisions {
			return word, permit.Grants, err
		}
	}
}

// decisions is how often a job is looked at again whose grants another job has used up since.
const decisions = 3

// prepare checks what the job wants besides, and makes what is written down of it. What costs most is left: the parts of tables that
// it gets in part are made when nothing refuses it any more.
func (s *Service) prepare(
	ctx context.Context, o openflow.JobOrder, word openflow.Authority, specs []openflow.TaskSpec, permit permit,
) (job openflow.JobRecord, tasks []openflow.TaskRecord, reads found, err error) {
	if err := s.exposes(specs); err != nil {
		return job, nil, reads, err
	}
	if err := s.ofOwnUsers(word, specs); err != nil {
		return job, nil, reads, err
	}
	if err := s.room(); err != nil {
		return job, nil, reads, err
	}
	few := openflow.JobRecord{ID: o.Key.Job, Party: o.Key.Party, Scheduler: o.Key.Scheduler, Signed: word.Signed, Peer: s.peer(o)}
	if err := s.Store.MayAdmit(ctx, s.Limits.Rules().Quota, few); err != nil {
		return job, nil, reads, openflow.About(openflow.AboutJob, err)
	}
	if reads, err = s.find(ctx, o, specs, permit); err != nil {
		return job, nil, reads, err
	}
	mistakes, warnings, err := s.Components.Check(ctx, o.DAG, []openflow.Party{o.Key.Party}, reads.tables)
	if err != nil {
		return job, nil, reads, err
	}
	if err := openflow.Refusal(append(mistakes, reads.mistakes...)); err != nil {
		return job, nil, reads, err
	}
	providers, err := s.Components.Providers(ctx, specs)
	if err != nil {
		return job, nil, reads, openflow.About(openflow.AboutTask, err)
	}
	quota, err := s.quota(ctx, s.peer(o))
	if err != nil {
		return job, nil, reads, openflow.About(openflow.AboutJob, err)
	}
	job, tasks = s.records(o, quota, specs, providers)
	job.Initiator, job.Signed = authority.By(s.Self, word), word.Signed
	for _, t := range tasks {
		if t.GPUs > 0 {
			if _, err := s.pooling(ctx, t); err != nil {
				return job, nil, reads, err
			}
		}
	}
	job.Warnings, job.Grants = append(o.DAG.Warnings(), warnings...), permit.Grants
	return job, tasks, reads, nil
}

// authority finds out on whose word the job is to run here, before anything else is looked at. This site's operator reads why it
// does not, and what can be done.
func (s *Service) authority(ctx context.Context, o openflow.JobOrder) (openflow.Authority, error) {
	a, err := s.Mandates.OfOrder(ctx, o)
	if code := openflow.CodeOf(err); code == openflow.CodePermission || code == openflow.CodeUnauthorized {
		s.Log.WarnContext(ctx, "a job is refused: its authority is not proven", "job", o.Key.Job, "party", o.Key.Party.String(),
			"scheduler", o.Key.Scheduler, "initiator", a.Initiator, "err", err)
	}
	return a, err
}

// peer is whose quota a job counts to: that of the party that drives it, or has this site drive it; empty: it is this site's own.
func (s *Service) peer(o openflow.JobOrder) openflow.PartyID {
	switch initiator := o.DAG.Conf.Initiator; {
	case o.Key.Scheduler != s.Self:
		return o.Key.Scheduler
	case initiator != s.Self:
		return initiator
	}
	return ""
}

// quota is what holds for a peer. The site itself may have all that it has.
func (s *Service) quota(ctx context.Context, peer openflow.PartyID) (openflow.Quota, error) {
	if peer == "" {
		return openflow.Quota{Priority: math.MaxInt}, nil
	}
	said, err := s.Store.Quota(ctx, peer)
	return said.Or(s.Limits.Rules().Quota), err
}

// unsaidCores is what a role takes that does not say how many cores it needs. A party runs all of its roles at once, so they share
// what the site has and what the peer may hold.
func (s *Service) unsaidCores(o openflow.JobOrder, quota openflow.Quota) int {
	most := min(s.Limits.Cores, quota.Holds().Cores)
	roles := 0
	for _, p := range o.DAG.Parties {
		if p.ID == o.Key.Party.ID {
			roles++
		}
	}
	if roles > 1 && most > 0 {
		most = max(1, most/roles)
	}
	return min(s.Limits.JobCores, most)
}

func (s *Service) records(
	o openflow.JobOrder, quota openflow.Quota, specs []openflow.TaskSpec, providers []openflow.Served,
) (openflow.JobRecord, []openflow.TaskRecord) {
	conf := o.DAG.Conf
	job := openflow.JobRecord{
		ID: o.Key.Job, Party: o.Key.Party, Scheduler: o.Key.Scheduler, Status: openflow.JobReady,
		DAG: o.DAG, Priority: min(conf.Priority, quota.Priority), Cores: s.unsaidCores(o, quota),
		Memory: min(s.Limits.JobMemory, quota.Holds().Memory), ModelID: conf.ModelID, ModelVersion: conf.ModelVersion, UserName: o.UserName,
		Peer: s.peer(o),
	}
	if o.Key.Scheduler != s.Self {
		job.Lease = time.Now().Add(s.Limits.Lease)
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
		spec.Resident = providers[i].Resident
		t := openflow.TaskRecord{
			Key:      openflow.TaskKey{Scheduler: o.Key.Scheduler, Job: o.Key.Job, Task: spec.Name, Party: o.Key.Party},
			SyncType: conf.SyncType, Component: spec.Component, Provider: providers[i].Provider, Status: openflow.TaskWaiting,
			PartyStatus: openflow.TaskWaiting, Spec: spec,
		}
		if speaks := providers[i].Protocols; ofSeveral(spec) && len(speaks) > 0 {
			t.Protocol = speaks[0] // the scheduler says it if it is to be another one
		}
		s.size(&t, job.Cores, said)
		s.raise(&t, providers[i].Least)
		job.Cores, job.Memory, job.GPUs = max(job.Cores, t.Cores), max(job.Memory, t.Memory), max(job.GPUs, t.GPUs)
		tasks = append(tasks, t)
	}
	if o.Key.Party.Role == openflow.RoleArbiter {
		job.Cores, job.GPUs = 0, 0
	}
	job.RemainingCores, job.RemainingMemory, job.RemainingGPUs = job.Cores, job.Memory, job.GPUs
	return job, tasks
}

// raise lets a task have what its component needs at least. Otherwise it would begin, and end for want of it. An arbiter holds no cores.
func (s *Service) raise(t *openflow.TaskRecord, least openflow.Resources) {
	if t.Key.Party.Role != openflow.RoleArbiter {
		t.Cores = max(t.Cores, least.Cores)
	}
	if t.Memory > 0 || least.Memory > t.MemoryBytes {
		t.Memory = max(t.Memory, least.Memory)
	}
	t.MemoryBytes = max(t.MemoryBytes, least.Memory)
}

// size fills in what a task takes from a job of that many cores and bytes, and what its container may use. An arbiter has
// neither cores nor GPUs.
func (s *Service) size(t *openflow.TaskRecord, cores int, memory int64) {
	conf := t.Spec.Conf
	t.Cores, t.Memory = min(s.Limits.TaskCores, max(cores, 1)), min(s.Limits.TaskMemory, memory)
	if conf.Cores != nil {
		t.Cores = max(*conf.Cores, 1) // which its program gets in any case
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
