package activities

import (
	"context"
	"errors"
	"slices"

	"go.temporal.io/sdk/activity"

	"openflow"
	"openflow/store/document"
)

// JobStore is what the scheduler remembers of its jobs.
type JobStore interface {
	ScheduledJob(ctx context.Context, id openflow.JobID) (openflow.ScheduledJob, error)
	UpdateScheduledJob(ctx context.Context, id openflow.JobID, to openflow.JobStatus, reason string) (bool, error)
	// QueueScheduledJob moves a job to waiting. One that had ended counts anew among those of its initiator; rule is that for
	// all peers, and self this site.
	QueueScheduledJob(ctx context.Context, rule openflow.Quota, self openflow.PartyID, id openflow.JobID, reason string) (bool, error)
	FreeKey(ctx context.Context, id openflow.JobID) error
	SetScheduledTasks(ctx context.Context, id openflow.JobID, runs []openflow.TaskRun) error
	SetScheduledReason(ctx context.Context, id openflow.JobID, reason string) error
	SetScheduledProgress(ctx context.Context, id openflow.JobID, percent int) error
	// JobWarnings lists what this site's own users should know of a job and its tasks here.
	JobWarnings(ctx context.Context, scheduler openflow.PartyID, id openflow.JobID) ([]string, error)
}

// Scheduling holds the activities of a job workflow.
type Scheduling struct {
	Self      openflow.PartyID
	Directory openflow.Directory
	Jobs      JobStore
	Quota     openflow.Quota // of each peer of which nothing else is said
	// Asked is told each time how it went that a party was asked how its run stands; nil: nobody is.
	Asked func(k openflow.TaskKey, status openflow.TaskStatus, err error)
}

func (s *Scheduling) key(c PartyCall) openflow.JobKey {
	return openflow.JobKey{Scheduler: s.Self, Job: c.Job, Party: openflow.Party(c.Party)}
}

// at calls the party's node about a job that exists, and puts its name on what goes wrong. A signature that one of the two nodes
// refuses is worth repeating, as a partner that is down is: somebody mends the key, or it is being changed.
func (s *Scheduling) at(ctx context.Context, p openflow.PartyID, do func(openflow.PartnerService) error) error {
	err := s.said(ctx, p, do)
	return carry(err, mayPass(err))
}

// mayPass tells whether a repeat of a call to another node may help: somebody may mend a key or a clock.
func mayPass(err error) bool {
	code := openflow.CodeOf(err)
	return code.Retryable() || code == openflow.CodeUnauthorized
}

func (s *Scheduling) said(ctx context.Context, p openflow.PartyID, do func(openflow.PartnerService) error) error {
	partner, err := s.partner(ctx, p)
	if err == nil {
		defer beating(ctx)()
		err = do(partner)
	}
	return saidBy(p, err)
}

// partner finds the service of a party for a call that may not be made twice lightly.
func (s *Scheduling) partner(ctx context.Context, p openflow.PartyID) (openflow.PartnerService, error) {
	partner, err := s.Directory.Partner(ctx, p)
	if err == nil {
		err = unhurried(ctx, partner)
	}
	return partner, err
}

// saidBy is what a party has answered, or what has kept it from that: all parties of the job may read it.
func saidBy(p openflow.PartyID, err error) error {
	var e *openflow.Error
	if !errors.As(openflow.AtParty(p, err), &e) {
		return nil
	}
	return e.WithPublic("%s", openflow.ForPartners(err).Public)
}

func (s *Scheduling) order(ctx context.Context, c PartyCall) (openflow.JobOrder, error) {
	job, err := s.Jobs.ScheduledJob(ctx, c.Job)
	if err != nil {
		return openflow.JobOrder{}, err
	}
	return openflow.JobOrder{
		Key: s.key(c), DAG: job.DAG.StrippedFor(c.Party.ID), UserName: job.UserName, Mandate: job.Mandate.For(c.Party.ID),
	}, nil
}

// OpenJob asks one party to create the job, with the DAG as that party may see it, and for its resources at once. That
// the job is created without its resources is an answer, not an error. That nobody listens at the party's address is
// told at once and not tried again.
func (s *Scheduling) OpenJob(ctx context.Context, c PartyCall) (ReserveAnswer, error) {
	order, err := s.order(ctx, c)
	if err != nil {
		return ReserveAnswer{}, ToTemporal(err)
	}
	var got openflow.Reservation
	partner, err := s.partner(ctx, c.Party.ID)
	if err == nil {
		defer beating(ctx)()
		got, err = partner.OpenJob(ctx, order)
	}
	if err == nil {
		answer := reserveAnswer(c.Party, got.Err())
		answer.Spoken = encodeSpoken(shared(order, got.Spoken))
		return answer, nil
	}
	if err = saidBy(c.Party.ID, err); errors.Is(err, openflow.ErrAbsent) {
		return ReserveAnswer{}, final(err) // whoever submits waits for the answer, and can do something about it
	}
	return ReserveAnswer{}, ToTemporal(err)
}

// shared leaves of what a party says that which is about tasks that it has with others, once for each: a party may say anything.
func shared(o openflow.JobOrder, said []openflow.Spoken) []openflow.Spoken {
	if len(said) == 0 {
		return nil
	}
	parts, seen := o.DAG.Parts(), map[openflow.TaskName]bool{}
	return slices.DeleteFunc(slices.Clone(said), func(s openflow.Spoken) bool {
		with := parts.Parties(s.Task)
		stays := len(with) > 1 && slices.Contains(with, o.Key.Party) && !seen[s.Task]
		seen[s.Task] = true
		return !stays
	})
}

// ApplyResources asks one party for the job's resources. A refusal is an answer, not an error.
func (s *Scheduling) ApplyResources(ctx context.Context, c PartyCall) (ReserveAnswer, error) {
	partner, err := s.partner(ctx, c.Party.ID)
	if openflow.CodeOf(err) == CodeSlow {
		return ReserveAnswer{}, ToTemporal(err)
	}
	if err == nil {
		defer beating(ctx)()
		var got openflow.Reservation
		if got, err = partner.Reserve(ctx, s.key(c)); err == nil {
			err = got.Err()
		}
	}
	return reserveAnswer(c.Party, err), nil
}

func reserveAnswer(p document.Party, err error) ReserveAnswer {
	g := ReserveAnswer{Party: p, Code: openflow.CodeOf(err)}
	if err != nil {
		g.Text = openflow.ForPartners(err).Public // all parties of the job read it
	}
	return g
}

// ReturnResources gives back what ApplyResources got at one party.
func (s *Scheduling) ReturnResources(ctx context.Context, c PartyCall) error {
	return s.at(ctx, c.Party.ID, func(p openflow.PartnerService) error { return p.Release(ctx, s.key(c)) })
}

// StartJob tells one party that the job runs.
func (s *Scheduling) StartJob(ctx context.Context, c PartyCall) error {
	return s.at(ctx, c.Party.ID, func(p openflow.PartnerService) error {
		return p.Tell(ctx, s.key(c), openflow.News{Status: openflow.JobRunning})
	})
}

// UpdateJob tells one party why the job waits.
func (s *Scheduling) UpdateJob(ctx context.Context, u JobUpdate) error {
	return s.at(ctx, u.Call.Party.ID, func(p openflow.PartnerService) error {
		return p.Tell(ctx, s.key(u.Call), openflow.News{Status: u.Status, Reason: u.Reason})
	})
}

// StopJob ends the job at one party. A party that has never heard of it has nothing to stop. One that refuses to hear of
// it, as for a signature, may have something running: a repeat may help.
func (s *Scheduling) StopJob(ctx context.Context, u JobUpdate) error {
	return retried(s.said(ctx, u.Call.Party.ID, func(p openflow.PartnerService) error {
		err := p.StopJob(ctx, s.key(u.Call), openflow.JobEnd{Status: u.Status, Reason: u.Reason, Tasks: decodeUpdates(u.Tasks)})
		if openflow.CodeOf(err) == openflow.CodeNotFound {
			return nil
		}
		return err
	}))
}

// StartTask asks one party to start its run of a task. A repeat says that it is one: not every party's node may be told twice.
func (s *Scheduling) StartTask(ctx context.Context, o TaskStart) error {
	start := o.Decode()
	start.Again = start.Again || repeated(ctx)
	return s.at(ctx, o.Run.Party.ID, func(p openflow.PartnerService) error { return p.StartTask(ctx, start) })
}

// repeated tells whether a call has been tried before: the first try is a local activity, or the first of the one to which that has left
// a slow call. A local one that a crash of this node has cut short is not counted.
func repeated(ctx context.Context) bool {
	if !activity.IsActivity(ctx) {
		return false
	}
	info := activity.GetInfo(ctx)
	first := info.IsLocalActivity || info.HeartbeatTimeout > 0 // the local activity has left the call to it
	return !first || info.Attempt > 1
}

// UpdateTask tells one party how the task stands at all parties together.
func (s *Scheduling) UpdateTask(ctx context.Context, u TaskUpdate) error {
	news := u.Decode()
	return s.at(ctx, u.Run.Party.ID, func(p openflow.PartnerService) error {
		return p.Tell(ctx, news.Key.JobKey(), openflow.News{Tasks: []openflow.TaskUpdate{news}})
	})
}

// CollectTask asks one party how its run of a task stands. One that is being stopped counts as running until it has
// ended, since its container may be about to begin.
func (s *Scheduling) CollectTask(ctx context.Context, k document.Run) (Report, error) {
	r := Report{Run: k}
	partner, err := s.Directory.Partner(ctx, k.Party.ID) // who is asked does nothing for it
	if err == nil {
		at, asked := partner.AskTask(ctx, k.Decode())
		r.Status, r.Cause = at.PartyStatus, document.Cause(at.Cause)
		if at.Stopping && r.Status == openflow.TaskWaiting {
			r.Status = openflow.TaskRunning
		}
		err = asked
	}
	err = saidBy(k.Party.ID, err)
	if s.Asked != nil {
		s.Asked(k.Decode(), r.Status, err)
	}
	return r, carry(err, mayPass(err))
}

// RecordJob writes the scheduler's own record. A terminal status stays as it is.
func (s *Scheduling) RecordJob(ctx context.Context, n JobNews) error {
	return ToTemporal(s.record(ctx, n))
}

func (s *Scheduling) record(ctx context.Context, n JobNews) error {
	var err error
	switch n.Status {
	case "":
	case openflow.JobWaiting:
		_, err = s.Jobs.QueueScheduledJob(ctx, s.Quota, s.Self, n.Job, n.Reason)
	case openflow.JobReady, openflow.JobRunning, openflow.JobCanceled, openflow.JobTimeout, openflow.JobFailed, openflow.JobSuccess:
		_, err = s.Jobs.UpdateScheduledJob(ctx, n.Job, n.Status, n.Reason)
	}
	if err != nil && openflow.CodeOf(err) != openflow.CodeConflict {
		return err
	}
	if n.Status == openflow.JobWaiting || n.Status == "" {
		if err := s.Jobs.SetScheduledReason(ctx, n.Job, n.Reason); err != nil {
			return err
		}
	}
	if n.Progress > 0 {
		return s.Jobs.SetScheduledProgress(ctx, n.Job, n.Progress)
	}
	return nil
}

// EndJob writes the scheduler's own record of the end.
func (s *Scheduling) EndJob(ctx context.Context, n JobNews) (JobEnd, error) {
	if err := s.Jobs.SetScheduledTasks(ctx, n.Job, document.DecodeTaskRuns(n.Tasks)); err != nil {
		return JobEnd{}, ToTemporal(err)
	}
	if n.Unbegun {
		if err := s.Jobs.FreeKey(ctx, n.Job); err != nil {
			return JobEnd{}, ToTemporal(err)
		}
	}
	if err := s.record(ctx, n); err != nil {
		return JobEnd{}, ToTemporal(err)
	}
	warnings, err := s.Jobs.JobWarnings(ctx, s.Self, n.Job)
	return JobEnd{Warnings: warnings}, ToTemporal(err)
}
