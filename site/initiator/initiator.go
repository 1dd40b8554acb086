// Package initiator is this node as the one that users submit to. It checks a job, gives it an ID, and warns of what the
// submitter may not have meant. It fills in what is open, signs the job, and hands it to its scheduler.
//
// [Service] implements openflow.JobService. All that it keeps is which other party schedules a job: the job's rows appear
// when this node is asked as one of the job's parties.
package initiator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"openflow"
)

// Rows is what this site knows of a job: its rows, where it runs tasks of it, and the scheduler that it was handed to.
type Rows interface {
	JobRows(ctx context.Context, scheduler openflow.PartyID, id openflow.JobID) ([]openflow.JobRecord, error)
	RememberScheduler(ctx context.Context, id openflow.JobID, scheduler openflow.PartyID) error
	// SchedulerOf finds the scheduler of a job that self takes part in, schedules or has handed on. CodeNotFound: there is no
	// such job. CodeConflict: there are several, of different schedulers.
	SchedulerOf(ctx context.Context, self openflow.PartyID, id openflow.JobID) (openflow.PartyID, error)
	AddJobWarnings(ctx context.Context, scheduler openflow.PartyID, id openflow.JobID, texts []string) error
}

// Components knows the algorithms of this site.
type Components interface {
	// Check compares what these parties do in a job with the descriptions of the components. Components that this site lacks
	// are left to those who run them.
	Check(ctx context.Context, d *openflow.DAG, parties []openflow.Party, tables map[openflow.TableName]openflow.TableRecord) (mistakes []openflow.Mistake, warnings []string, err error)
}

// Ends is this node as a participant, where it ends its own part of a job.
type Ends interface {
	StopJob(ctx context.Context, k openflow.JobKey, end openflow.JobEnd) error
	// EndHere ends it for good: its scheduler cannot open it again.
	EndHere(ctx context.Context, k openflow.JobKey, reason string) error
}

// Mandates signs jobs of this node.
type Mandates interface {
	// Give makes the mandate of a job, whose DAG is final.
	Give(d *openflow.DAG, id openflow.JobID, user string) (*openflow.Mandate, error)
}

// Service is this node as an initiator.
type Service struct {
	Self       openflow.PartyID
	Ends       Ends
	Rows       Rows
	Components Components
	Mandates   Mandates
	Directory  openflow.Directory
	NewID      func() openflow.JobID
	Log        *slog.Logger
}

var _ openflow.JobService = (*Service)(nil)

// SubmitJob checks the job and hands it to its scheduler; see openflow.JobService.
func (s *Service) SubmitJob(ctx context.Context, sub openflow.Submission) (openflow.Submitted, error) {
	warnings, err := s.check(ctx, sub)
	if err != nil {
		return openflow.Submitted{}, openflow.About(openflow.AboutJob, err)
	}
	dag := *sub.DAG
	dag.Conf.Initiator = s.Self
	if dag.Conf.Scheduler == "" {
		dag.Conf.Scheduler = s.Self
	}
	if dag.Stage == "" {
		dag.Stage = openflow.StageDefault // a site of FATE-Flow takes no job without one, and nobody may add it to what is signed
	}
	sub.DAG, sub.Initiator = &dag, s.Self
	if sub.ID == "" {
		sub.ID = s.NewID()
	}
	dag.Conf = dag.Conf.Filled(sub.ID)
	scheduler, err := s.Directory.Scheduler(ctx, dag.Conf.Scheduler)
	if err != nil {
		return openflow.Submitted{}, openflow.AtParty(dag.Conf.Scheduler, err)
	}
	if sub.Mandate, err = s.Mandates.Give(&dag, sub.ID, sub.UserName); err != nil {
		return openflow.Submitted{}, openflow.About(openflow.AboutJob, err)
	}
	if err := s.remember(ctx, sub.ID, dag.Conf.Scheduler); err != nil { // before: the answer may be lost
		return openflow.Submitted{}, err
	}
	answer, err := scheduler.CreateJob(ctx, s.Self, sub)
	warnings = append(warnings, answer.Warnings...)
	answer.Warnings = warnings
	if err != nil {
		return answer, s.atScheduler(dag.Conf.Scheduler, err)
	}
	if err := openflow.CheckJobID(answer.ID); err != nil {
		return openflow.Submitted{}, unnamed(dag.Conf.Scheduler, answer.ID)
	}
	if answer.ID != sub.ID { // a repeat is the first job, and a genuine scheduler chooses the ID
		if err := s.unused(ctx, dag.Conf.Scheduler, answer.ID); err != nil {
			return openflow.Submitted{}, err
		}
		if err := s.remember(ctx, answer.ID, dag.Conf.Scheduler); err != nil {
			return answer, err
		}
	}
	if len(warnings) == 0 {
		return answer, nil
	}
	return answer, openflow.About(openflow.AboutJob, s.Rows.AddJobWarnings(ctx, dag.Conf.Scheduler, answer.ID, warnings))
}

// unnamed is that a scheduler has taken a job and names it in no way by which it could be found again.
func unnamed(scheduler openflow.PartyID, id openflow.JobID) error {
	said := "without a job ID"
	if id != "" {
		said = fmt.Sprintf("with the job ID %q, which is none", id)
	}
	err := openflow.Errorf(openflow.CodeUnavailable, "the scheduler has answered %s", said).
		WithHint("the job may run all the same; who operates party %s can find and stop it there", scheduler)
	return openflow.About(openflow.AboutJob, openflow.AtParty(scheduler, err))
}

// unused refuses an ID by which a scheduler calls a job as one of another scheduler is called here: neither of the two could be
// named by it alone any more.
func (s *Service) unused(ctx context.Context, scheduler openflow.PartyID, id openflow.JobID) error {
	other, err := s.Rows.SchedulerOf(ctx, s.Self, id)
	switch openflow.CodeOf(err) {
	case openflow.CodeNotFound:
		return nil
	case "":
		if other == scheduler {
			return nil
		}
	case openflow.CodeConflict:
	default:
		return openflow.About(openflow.AboutJob, err)
	}
	err = openflow.Errorf(openflow.CodeUnavailable, "the scheduler has answered with the job ID %s, which a job of another scheduler has here", id).
		WithHint("the job may run all the same; who operates party %s can find and stop it there", scheduler)
	return openflow.About(openflow.AboutJob, openflow.AtParty(scheduler, err))
}

// check finds the mistakes that this node can see, before any other one is called, all in one refusal, and what the
// submitter should know.
func (s *Service) check(ctx context.Context, sub openflow.Submission) ([]string, error) {
	graph, usable := sub.DAG.Examine()
	mistakes := append(slices.Clone(sub.Mistakes), openflow.Unrelated(sub.Mistakes, graph)...)
	if !usable {
		return nil, openflow.Refusal(mistakes)
	}
	found, warnings, err := s.Components.Check(ctx, sub.DAG, sub.DAG.Participants(), nil)
	if err != nil {
		return nil, err
	}
	mistakes = append(mistakes, openflow.Unrelated(mistakes, found)...)
	return slices.Concat(sub.Warnings, sub.DAG.Warnings(), warnings), openflow.Refusal(mistakes)
}

// atScheduler names the scheduler as the party where err happened, unless the parties of its mistakes say more.
func (s *Service) atScheduler(scheduler openflow.PartyID, err error) error {
	if len(openflow.MistakesOf(err)) > 1 {
		return err
	}
	return openflow.AtParty(scheduler, err)
}

func (s *Service) remember(ctx context.Context, id openflow.JobID, scheduler openflow.PartyID) error {
	if scheduler == s.Self {
		return nil
	}
	return openflow.About(openflow.AboutJob, s.Rows.RememberScheduler(ctx, id, scheduler))
}

// StopJob asks the job's scheduler to cancel it; see openflow.JobService. An ended job whose scheduler this site has
// removed stays as it is.
func (s *Service) StopJob(ctx context.Context, scheduler openflow.PartyID, id openflow.JobID) (openflow.Stopped, error) {
	party, err := s.scheduler(ctx, scheduler, id)
	if err != nil {
		return openflow.Stopped{}, err
	}
	service, err := s.Directory.Scheduler(ctx, party)
	var stopped openflow.Stopped
	if err == nil {
		stopped, err = service.StopJob(ctx, s.Self, id, openflow.JobCanceled)
	}
	err = openflow.AtParty(party, err)
	switch openflow.CodeOf(err) {
	case openflow.CodeNotFound:
		return s.endOwnPart(ctx, party, id, openflow.UnknownToScheduler, err)
	case openflow.CodeUnauthorized:
		return s.endOwnPart(ctx, party, id, openflow.RefusedByScheduler, err)
	case openflow.CodeUnimplemented:
		return s.endOwnPart(ctx, party, id, openflow.UnheardByScheduler, err)
	}
	if err != nil {
		return s.ended(ctx, party, id, err)
	}
	if !stopped.Status.Terminal() {
		stopped.Status = "" // it has not ended yet, whatever a foreign scheduler calls that
	}
	return stopped, s.takeOver(ctx, party, id, &stopped)
}

// telling bounds what a scheduler may take to hear that a job was ended here: nobody waits for its answer.
const telling = 10 * time.Second

// StopHere ends this site's own part of a job; see openflow.JobService. Runs that were stopped report by themselves, for as long
// as it takes. A job of which nothing ran is told to its scheduler once: one that does not hear it learns it when it comes back
// and wants something of the job.
func (s *Service) StopHere(ctx context.Context, scheduler openflow.PartyID, id openflow.JobID) (openflow.Stopped, error) {
	party, err := s.scheduler(ctx, scheduler, id)
	if err != nil {
		return openflow.Stopped{}, err
	}
	rows, err := s.Rows.JobRows(ctx, party, id)
	if err != nil {
		return openflow.Stopped{}, openflow.About(openflow.AboutJob, err)
	}
	if len(rows) == 0 {
		return openflow.Stopped{}, openflow.About(openflow.AboutJob, openflow.Errorf(openflow.CodeNotFound, "job %s has no part here", id).
			WithHint("openflow job list shows those that have"))
	}
	stopped := openflow.Stopped{Status: openflow.JobCanceled, Reason: fmt.Sprintf("stopped at party %s by its operator", s.Self)}
	for _, j := range rows {
		if err := s.Ends.EndHere(ctx, j.Key(), stopped.Reason); err != nil {
			return openflow.Stopped{}, openflow.AtParty(s.Self, err)
		}
		if j.Status.Terminal() {
			stopped.Status, stopped.Reason = j.Status, j.Reason
			continue
		}
		stopped.Stopping = append(stopped.Stopping, j.Party) // its containers have only been told
	}
	if len(stopped.Stopping) > 0 {
		go s.tellStopped(context.WithoutCancel(ctx), party, id)
	}
	return stopped, nil
}

func (s *Service) tellStopped(ctx context.Context, party openflow.PartyID, id openflow.JobID) {
	ctx, cancel := context.WithTimeout(ctx, telling)
	defer cancel()
	service, err := s.Directory.Scheduler(ctx, party)
	if err == nil {
		_, err = service.StopJob(ctx, s.Self, id, openflow.JobCanceled)
	}
	if err != nil {
		s.Log.WarnContext(ctx, "a scheduler is not told that its job was stopped here", "job", id, "party", party, "err", err)
	}
}

// endOwnPart ends this site's own part of a job of which it will not hear again: the scheduler does not know the job any more,
// does not accept this site's signature, or takes no stops. Where the job has no row here, the answer is why.
func (s *Service) endOwnPart(
	ctx context.Context, scheduler openflow.PartyID, id openflow.JobID, reason func(openflow.PartyID) string, why error,
) (openflow.Stopped, error) {
	rows, err := s.Rows.JobRows(ctx, scheduler, id)
	if err != nil || len(rows) == 0 || scheduler == s.Self {
		return openflow.Stopped{}, why
	}
	stopped := openflow.Stopped{Status: openflow.JobCanceled, Reason: reason(scheduler)}
	if rows[0].Status.Terminal() {
		stopped.Status, stopped.Reason = rows[0].Status, rows[0].Reason
	}
	return stopped, s.takeOver(ctx, scheduler, id, &stopped)
}

// takeOver ends this site's own part of a job that has ended at its scheduler, where the news of that has not come here:
// nobody else would give back what it holds.
func (s *Service) takeOver(ctx context.Context, scheduler openflow.PartyID, id openflow.JobID, stopped *openflow.Stopped) error {
	if !stopped.Status.Terminal() {
		return nil
	}
	rows, err := s.Rows.JobRows(ctx, scheduler, id)
	if err != nil {
		return openflow.About(openflow.AboutJob, err)
	}
	for _, j := range rows {
		if j.Status.Terminal() {
			continue
		}
		if err := s.Ends.StopJob(ctx, j.Key(), openflow.JobEnd{Status: stopped.Status, Reason: stopped.Reason}); err != nil {
			return openflow.AtParty(s.Self, err)
		}
		if !slices.Contains(stopped.Stopping, j.Party) {
			stopped.Stopping = append(stopped.Stopping, j.Party) // its containers have only been told
		}
	}
	return nil
}

// ended is how a job has ended here whose scheduler could not be asked because this site has removed it. Otherwise it is
// why it could not be asked, with what a user can do about a job that goes on here.
func (s *Service) ended(ctx context.Context, scheduler openflow.PartyID, id openflow.JobID, why error) (openflow.Stopped, error) {
	var e *openflow.Error
	rows, err := s.Rows.JobRows(ctx, scheduler, id)
	if !errors.As(why, &e) || err != nil || len(rows) == 0 {
		return openflow.Stopped{}, why
	}
	goesOn := slices.ContainsFunc(rows, func(j openflow.JobRecord) bool { return !j.Status.Terminal() })
	if removed := e.Code == openflow.CodeInvalid && e.Subject == openflow.AboutSite; !removed || goesOn {
		if goesOn && e.Code == openflow.CodeUnavailable && scheduler != s.Self {
			e = e.WithHint("the job goes on here until that party can be asked; to end this site's part of it now: openflow job stop %s --here", id)
			return openflow.Stopped{}, e
		}
		return openflow.Stopped{}, why
	}
	return openflow.Stopped{Status: rows[0].Status, Reason: rows[0].Reason}, nil
}

// RerunJob asks the job's scheduler to run again what has not succeeded.
func (s *Service) RerunJob(ctx context.Context, scheduler openflow.PartyID, id openflow.JobID) error {
	party, err := s.scheduler(ctx, scheduler, id)
	if err != nil {
		return err
	}
	service, err := s.Directory.Scheduler(ctx, party)
	if err == nil {
		err = service.RerunJob(ctx, s.Self, id)
	}
	return openflow.AtParty(party, err)
}

// scheduler is who schedules a job: the party that the user has named, otherwise the only one that has a job of that ID
// here. Of a job that nothing is known of, this node says so itself.
func (s *Service) scheduler(ctx context.Context, named openflow.PartyID, id openflow.JobID) (openflow.PartyID, error) {
	if named != "" {
		return named, nil
	}
	party, err := s.Rows.SchedulerOf(ctx, s.Self, id)
	if openflow.CodeOf(err) == openflow.CodeNotFound {
		return s.Self, nil
	}
	return party, openflow.About(openflow.AboutJob, err)
}

// IDs makes job IDs of FATE-Flow's form: 25 digits, of which 20 are the time in UTC to the microsecond. The other 5 are
// those of the process, drawn at its start, because a site may be several processes. As text they are in the order of
// their times.
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
