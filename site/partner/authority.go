package partner

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"openflow"
	"openflow/site/authority"
)

// permit is what a job may have here.
type permit struct {
	authority.Permit
	owner  openflow.ModelOwner        // who counts as the owner of what the job makes
	others map[openflow.ModelRef]bool // models of others that it may use
	all    bool                       // it is this site's own: it may use every model
}

// small is how many tasks and parties a job has that is looked at as a whole although it is not taken: its initiator reads
// all that is missing in one refusal.
const small = 50

// knock is the first look at a job, by grants alone: it refuses a caller that may not schedule jobs here and, where the job is to
// be its own, not initiate any. So a stranger to the grants costs no look at the mandate or the graph. Who else the order names as
// initiator is not proven yet, and of what that one has been granted the caller learns nothing. It tells whether all was
// looked at that [Service.enter] looks at.
func (s *Service) knock(ctx context.Context, o openflow.JobOrder) (said openflow.Authority, entered bool, err error) {
	said = openflow.Authority{Initiator: cmp.Or(o.DAG.Conf.Initiator, o.Key.Scheduler), Scheduler: o.Key.Scheduler, Signed: o.Mandate != nil}
	switch {
	case s.GrantAll || said.Scheduler == s.Self: // this node itself has called
		return said, false, nil
	case said.Initiator == said.Scheduler:
		return said, true, s.enter(ctx, o, said)
	}
	grants, err := s.Store.GrantsFor(ctx, authority.By(s.Self, said), said.Scheduler)
	if err == nil {
		err = authority.Drive(s.Self, said, grants, time.Now())
	}
	said.Signed = false // as far as is known
	return said, false, err
}

// enter refuses jobs of those who may not initiate or schedule here, before anything else is looked at.
func (s *Service) enter(ctx context.Context, o openflow.JobOrder, word openflow.Authority) error {
	if s.GrantAll || s.own(word) {
		return nil
	}
	grants, err := s.Store.GrantsFor(ctx, authority.By(s.Self, word), word.Scheduler)
	if err != nil {
		return err
	}
	refused := authority.Enter(s.Self, word, grants, time.Now())
	if refused == nil || len(o.DAG.Tasks) > small || len(o.DAG.Parties) > small || len(o.DAG.PartyTasks) > small || o.DAG.Validate() != nil {
		return refused
	}
	specs := o.DAG.ForParty(o.Key.Party)
	if len(grants) == 0 { // what the job says is all that is looked at
		_, err = authority.Decide(bare(s.Self, word, o.DAG, specs), nil, time.Now())
	} else {
		_, err = s.permit(ctx, o.Key, o.DAG, word, specs)
	}
	if openflow.CodeOf(err) == openflow.CodePermission {
		return err
	}
	return refused
}

// bare is what a job claims by its own words.
func bare(self openflow.PartyID, word openflow.Authority, d *openflow.DAG, specs []openflow.TaskSpec) authority.Claim {
	c := authority.Claim{Self: self, Authority: word, Parties: sites(d.Parties), Tables: openflow.TablesOf(specs)}
	for _, spec := range specs {
		c.Tasks = append(c.Tasks, authority.TaskClaim{Component: spec.Component, Parameters: spec.Parameters})
	}
	return c
}

// own reports whether a job is this site's own, in every respect.
func (s *Service) own(word openflow.Authority) bool {
	return word.Initiator == s.Self && word.Scheduler == s.Self
}

// permit decides what a job may have here. Errors: CodePermission, with all that is missing.
func (s *Service) permit(
	ctx context.Context, k openflow.JobKey, d *openflow.DAG, word openflow.Authority, specs []openflow.TaskSpec,
) (permit, error) {
	by := authority.By(s.Self, word)
	p := permit{owner: openflow.ModelOwner{Initiator: by, Scheduler: word.Scheduler}, others: map[openflow.ModelRef]bool{}, all: by == s.Self}
	if s.own(word) {
		return p, nil
	}
	grants, err := s.Store.GrantsFor(ctx, by, word.Scheduler)
	if err != nil {
		return p, err
	}
	claim := authority.Claim{Self: s.Self, Authority: word, Parties: sites(d.Parties)}
	held, _, err := s.Store.GrantsOfJob(ctx, k.Scheduler, k.Job)
	if err != nil {
		return p, err
	}
	for _, g := range held {
		claim.Held = append(claim.Held, g.ID)
	}
	if claim.Models, err = s.modelsOfOthers(ctx, k, d, specs, p.owner); err != nil {
		return p, err
	}
	for _, m := range claim.Models {
		p.others[m] = true
	}
	if s.GrantAll {
		p.Permit, err = authority.DecideModels(claim, grants, time.Now())
		return p, err
	}
	if err = s.claimTables(ctx, k, d, specs, by, &claim); err != nil {
		return p, err
	}
	run, err := s.asInherited(ctx, k, d, specs)
	if err != nil {
		return p, err
	}
	claim.Tasks = s.claimedTasks(ctx, run)
	if p.Permit, err = authority.Decide(claim, grants, time.Now()); err != nil {
		return p, err
	}
	if spent, found := p.Spent(claim, grants); found {
		return p, spent.NoUse() // early; the catalogue has the last word
	}
	return p, nil
}

func sites(parties []openflow.Party) []openflow.PartyID {
	seen, list := map[openflow.PartyID]bool{}, []openflow.PartyID{}
	for _, p := range parties {
		if !seen[p.ID] {
			seen[p.ID] = true
			list = append(list, p.ID)
		}
	}
	return list
}

// claimedTasks are what the tasks run. A task that nobody serves here claims its component all the same: that it is not here
// is for those to know who may use it.
func (s *Service) claimedTasks(ctx context.Context, specs []openflow.TaskSpec) []authority.TaskClaim {
	served, err := s.Components.Providers(ctx, specs)
	if err != nil {
		served = make([]openflow.Served, len(specs))
	}
	claims := make([]authority.TaskClaim, len(specs))
	for i, spec := range specs {
		claims[i] = authority.TaskClaim{Component: spec.Component, Served: served[i], Parameters: spec.Parameters}
	}
	return claims
}

// claimTables claims the tables that the tasks read by name, and those that another job has read whose outputs they read. What was
// made of a table counts as the table, and as much of it as was read. A job that is here claims what it was given when it was created.
func (s *Service) claimTables(
	ctx context.Context, k openflow.JobKey, d *openflow.DAG, specs []openflow.TaskSpec, by openflow.PartyID, claim *authority.Claim,
) error {
	claim.Had = map[openflow.TableName]authority.Extent{}
	own, err := s.had(ctx, k, claim.Had)
	if err != nil {
		return err
	}
	seen := map[openflow.JobID]bool{k.Job: true}
	for left, from, direct := specs, inheritedFrom(d, specs), true; len(left) > 0; direct = false {
		claim.Tables = append(claim.Tables, openflow.TablesOf(left)...)
		var before []openflow.TaskSpec
		earlier := append(sources(left), from...)
		from = nil
		for _, id := range earlier {
			if seen[id] {
				continue
			}
			seen[id] = true
			source := openflow.JobKey{Scheduler: k.Scheduler, Job: id, Party: k.Party}
			job, err := s.Store.Job(ctx, source)
			gone := openflow.CodeOf(err) == openflow.CodeNotFound || err == nil && job.Initiator != by
			if gone && direct && !own[id] {
				continue // it is missing; see finder.outputs
			}
			if gone {
				return openflow.Errorf(openflow.CodeRejected, "job %s reads what was made from outputs of job %s, which is not here any more: nobody knows from which tables", k.Job, id).
					WithHint("run job %s again, and read its output or the uploaded table", id)
			}
			if err == nil {
				_, err = s.had(ctx, source, claim.Had)
			}
			if err != nil {
				return openflow.About(openflow.AboutJob, err)
			}
			ran := job.DAG.ForParty(k.Party)
			before, from = append(before, ran...), append(from, inheritedFrom(job.DAG, ran)...)
		}
		left = before
	}
	return nil
}

// had adds how much of tables a job was given when it was created, and returns the jobs whose outputs it was given.
func (s *Service) had(ctx context.Context, k openflow.JobKey, had map[openflow.TableName]authority.Extent) (sources map[openflow.JobID]bool, err error) {
	pins, err := s.Store.Pins(ctx, k)
	sources = map[openflow.JobID]bool{}
	for _, p := range pins {
		switch {
		case p.Kind != openflow.InputData:
		case p.SourceJob != "":
			sources[p.SourceJob] = true
		default:
			had[p.Table] = had[p.Table].With(p.Columns)
		}
	}
	return sources, err
}

// inheritedFrom is the earlier job that a party's tasks are taken over from, if any is.
func inheritedFrom(d *openflow.DAG, specs []openflow.TaskSpec) []openflow.JobID {
	for _, spec := range specs {
		if d.Conf.Inherits(spec.Name) {
			return []openflow.JobID{d.Conf.Inheritance.Job}
		}
	}
	return nil
}

// sources are the other jobs whose outputs tasks read.
func sources(specs []openflow.TaskSpec) (jobs []openflow.JobID) {
	for _, spec := range specs {
		for _, in := range spec.Inputs {
			for _, c := range in.Channels {
				if c.Source == openflow.FromDataWarehouse && c.Name == "" && c.Job != "" {
					jobs = append(jobs, c.Job)
				}
			}
		}
	}
	return jobs
}

// modelsOfOthers are the models that the tasks read, or that the job wishes to write, of which jobs of others have made parts
// here and this owner's none. A job that leaves the name of its model to the scheduler wishes none: it has the job's ID, and
// models of different schedulers are apart.
func (s *Service) modelsOfOthers(
	ctx context.Context, k openflow.JobKey, d *openflow.DAG, specs []openflow.TaskSpec, owner openflow.ModelOwner,
) ([]openflow.ModelRef, error) {
	named := map[openflow.ModelRef]bool{}
	var refs, others []openflow.ModelRef
	name := func(m openflow.ModelRef) {
		if m.ID != "" && !named[m] {
			named[m] = true
			refs = append(refs, m)
		}
	}
	if d.Conf.ModelID != string(k.Job) {
		name(openflow.ModelRef{ID: d.Conf.ModelID, Version: d.Conf.ModelVersion})
	}
	for _, spec := range specs {
		for _, in := range spec.Inputs {
			for _, c := range in.Channels {
				if c.Source == openflow.FromModelWarehouse && c.Model != nil {
					name(*c.Model)
				}
			}
		}
	}
	for _, m := range refs {
		owners, err := s.Store.ModelOwners(ctx, m, s.Self)
		if err != nil {
			return nil, openflow.About(openflow.AboutModel, err)
		}
		if len(owners) > 0 && !slices.Contains(owners, owner) {
			others = append(others, m)
		}
	}
	return others, nil
}

// stillPermitted refuses to start a run of a job whose grants are gone or have expired, or do not give what it would run now,
// unless others permit the job. Where the grants are as they were, the run alone is looked at.
func (s *Service) stillPermitted(ctx context.Context, job openflow.JobRecord, t openflow.TaskRecord) error {
	k, word := job.Key(), job.Authority()
	if s.GrantAll || s.own(word) {
		return nil
	}
	grants, were, err := s.Store.GrantsOfJob(ctx, k.Scheduler, k.Job)
	if err != nil {
		return err
	}
	now := time.Now()
	expired := func(g openflow.Grant) bool { return g.Expired(now) }
	if were > 0 && len(grants) == were && !slices.ContainsFunc(grants, expired) && s.gives(ctx, word, grants, t) {
		return nil
	}
	p, err := s.permit(ctx, k, job.DAG, word, job.DAG.ForParty(k.Party))
	if err == nil {
		err = s.Store.UseGrants(ctx, k.Scheduler, k.Job, p.Grants)
	}
	var e *openflow.Error
	if errors.As(err, &e) && e.Code == openflow.CodePermission {
		no := *e
		no.Message = fmt.Sprintf("job %s may not go on: %s", k.Job, e.Message)
		err = openflow.About(openflow.AboutJob, &no)
		s.ledger().Refused(ctx, asked(k, word, "run/start"), err)
	}
	return err
}

// gives tells whether grants on which a job was created give a run of it, whatever serves its component now.
func (s *Service) gives(ctx context.Context, word openflow.Authority, grants []openflow.Grant, t openflow.TaskRecord) bool {
	return authority.By(s.Self, word) == s.Self || !slices.ContainsFunc(grants, authority.Particular) ||
		authority.Still(grants, s.claimedTasks(ctx, []openflow.TaskSpec{t.Spec})[0])
}

// taken records that a job was created. A repeat is the same event.
func (s *Service) taken(ctx context.Context, k openflow.JobKey, word openflow.Authority, grants []openflow.GrantID) error {
	if s.own(word) {
		return nil
	}
	return s.ledger().Done(ctx, asked(k, word, "job/create"), grants)
}

func (s *Service) ledger() authority.Ledger {
	return authority.Ledger{Rows: s.Store, GrantAll: s.GrantAll, Log: s.Log}
}

func asked(k openflow.JobKey, word openflow.Authority, action string) authority.Asked {
	return authority.Asked{Caller: k.Scheduler, Word: word, Action: action, Subject: k.String(), ID: string(k.Scheduler) + " " + k.String()}
}
