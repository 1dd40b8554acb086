// Package initiator is this node as the one that users submit to: it checks a job, gives it an ID, warns of what the
// submitter may not have meant, and hands it to its scheduler.
//
// [Service] implements openflow.JobService. All that it keeps is which other party schedules a job: the job's rows appear
// when this node is asked as one of the job's parties.
package initiator

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"openflow"
)

// Rows is what this site knows of a job: its rows, where it runs tasks of it, and the scheduler that it was handed to.
type Rows interface {
	JobRows(ctx context.Context, id openflow.JobID) ([]openflow.JobRecord, error)
	RememberScheduler(ctx context.Context, id openflow.JobID, scheduler openflow.PartyID) error
	// RememberedScheduler is empty when none was remembered.
	RememberedScheduler(ctx context.Context, id openflow.JobID) (openflow.PartyID, error)
}

// Components knows the algorithms of this site.
type Components interface {
	// Unknown lists which of these parameters the component does not have; none for a component that is not known here.
	Unknown(component string, p openflow.Parameters) []string
}

// Service is this node as an initiator.
type Service struct {
	Self       openflow.PartyID
	Rows       Rows
	Components Components
	Directory  openflow.Directory
	NewID      func() openflow.JobID
}

var _ openflow.JobService = (*Service)(nil)

// SubmitJob checks the job and hands it to its scheduler; see openflow.JobService.
func (s *Service) SubmitJob(ctx context.Context, sub openflow.Submission) (openflow.Submitted, error) {
	if err := sub.DAG.Validate(); err != nil {
		return openflow.Submitted{}, openflow.About(openflow.AboutJob, err)
	}
	dag := *sub.DAG
	dag.Conf.Initiator = s.Self
	if dag.Conf.Scheduler == "" {
		dag.Conf.Scheduler = s.Self
	}
	sub.DAG, sub.Initiator = &dag, s.Self
	if sub.ID == "" {
		sub.ID = s.NewID()
	}
	scheduler, err := s.Directory.Scheduler(ctx, dag.Conf.Scheduler)
	if err != nil {
		return openflow.Submitted{}, openflow.AtParty(dag.Conf.Scheduler, err)
	}
	if err := s.remember(ctx, sub.ID, dag.Conf.Scheduler); err != nil { // before: the answer may be lost
		return openflow.Submitted{}, err
	}
	answer, err := scheduler.CreateJob(ctx, s.Self, sub)
	answer.Warnings = append(Warnings(&dag), s.misspelt(&dag)...)
	if err == nil && answer.ID != sub.ID { // a repeat is the first job, and a genuine scheduler chooses the ID
		return answer, s.remember(ctx, answer.ID, dag.Conf.Scheduler)
	}
	return answer, openflow.AtParty(dag.Conf.Scheduler, err)
}

func (s *Service) remember(ctx context.Context, id openflow.JobID, scheduler openflow.PartyID) error {
	if scheduler == s.Self {
		return nil
	}
	return openflow.About(openflow.AboutJob, s.Rows.RememberScheduler(ctx, id, scheduler))
}

// StopJob asks the job's scheduler to cancel it; see openflow.JobService.
func (s *Service) StopJob(ctx context.Context, id openflow.JobID) (openflow.Stopped, error) {
	var stopped openflow.Stopped
	return stopped, s.ask(ctx, id, func(scheduler openflow.SchedulerService) error {
		answer, err := scheduler.StopJob(ctx, s.Self, id, openflow.JobCanceled)
		if err == nil {
			stopped = answer
		}
		return err
	})
}

// RerunJob asks the job's scheduler to run again what has not succeeded.
func (s *Service) RerunJob(ctx context.Context, id openflow.JobID) error {
	return s.ask(ctx, id, func(scheduler openflow.SchedulerService) error { return scheduler.RerunJob(ctx, s.Self, id) })
}

// ask calls the job's scheduler, which knows who may ask. A job in which this node runs no task has no row here: then it is
// the scheduler that it was handed to, or this node.
func (s *Service) ask(ctx context.Context, id openflow.JobID, do func(openflow.SchedulerService) error) error {
	party, err := s.scheduler(ctx, id)
	if err != nil {
		return openflow.About(openflow.AboutJob, err)
	}
	service, err := s.Directory.Scheduler(ctx, party)
	if err == nil {
		err = do(service)
	}
	return openflow.AtParty(party, err)
}

func (s *Service) scheduler(ctx context.Context, id openflow.JobID) (openflow.PartyID, error) {
	rows, err := s.Rows.JobRows(ctx, id)
	if err != nil {
		return "", err
	}
	if len(rows) > 0 {
		return rows[0].Scheduler, nil
	}
	party, err := s.Rows.RememberedScheduler(ctx, id)
	return cmp.Or(party, s.Self), err
}

// misspelt lists parameters that no component will read. They are legal, because FATE's client sends those of other
// stages along (fate-components §1.3), and mostly a mistake.
func (s *Service) misspelt(d *openflow.DAG) []string {
	var warnings []string
	warn := func(where string, t openflow.Task, p openflow.Parameters) {
		for _, name := range s.Components.Unknown(t.Component, p) {
			warnings = append(warnings, fmt.Sprintf("%s: component %q has no parameter %q; it is ignored", where, t.Component, name))
		}
	}
	for _, t := range d.Tasks {
		warn("dag.tasks."+string(t.Name), t, t.Parameters)
		for _, pt := range d.PartyTasks {
			warn("dag.party_tasks."+pt.Site+".tasks."+string(t.Name), t, pt.Tasks[t.Name].Parameters)
		}
	}
	return warnings
}

// Warnings lists what is legal and probably not meant: an arbiter run by a party that also brings data holds the key to
// what it should not read.
func Warnings(d *openflow.DAG) []string {
	var warnings []string
	for _, a := range d.Parties {
		for _, p := range d.Parties {
			if a.Role == openflow.RoleArbiter && p.Role != openflow.RoleArbiter && p.ID == a.ID {
				warnings = append(warnings, fmt.Sprintf(
					"party %s is both %s and arbiter: whoever runs both can decrypt the other parties' intermediate values; use a third party as arbiter, because other parties refuse this one unless their policy has coordinated_lr.allow_common_arbiter (docs/policy.md)",
					a.ID, p.Role))
			}
		}
	}
	return warnings
}

// IDs makes job IDs of FATE-Flow's form: 25 digits, of which 20 are the time in UTC to the microsecond and 5 are those of
// the process, drawn at its start, because a site may be several processes. As text they are in the order of their times.
//
// Spec: fate-flow-api §4.8.
type IDs struct {
	now  func() time.Time
	salt int

	mu   sync.Mutex
	last time.Time
}

// NewIDs returns the maker of IDs of one process.
func NewIDs(now func() time.Time) *IDs { return &IDs{now: now, salt: rand.IntN(100_000)} }

// Next returns an ID later than the one before: within a microsecond, or after the clock was set back, that of the next
// microsecond.
func (g *IDs) Next() openflow.JobID {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now().UTC().Truncate(time.Microsecond)
	if !now.After(g.last) {
		now = g.last.Add(time.Microsecond)
	}
	g.last = now
	return openflow.JobID(fmt.Sprintf("%s%06d%05d", now.Format("20060102150405"), now.Nanosecond()/1000, g.salt))
}
