package peers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"openflow"
	"openflow/store/catalogue"
)

// Leases ends this site's part of jobs that nobody drives any more. What a job of another scheduler has here, it has for a time
// only. Every round asks the schedulers, and an answer that does not name a job as ended renews it. So a scheduler that is
// gone, or has never meant to go on, holds nothing for ever. And an end that was lost on its way comes here all the same.
type Leases struct {
	Self      openflow.PartyID
	Rows      *catalogue.Catalogue
	Directory openflow.Directory
	Partner   openflow.PartnerService // this site's own
	For       time.Duration           // how long a job goes on whose scheduler does not answer
	Unrenewed time.Duration           // the same from the last reservation on, where the dialect has no word for the question
	Idle      time.Duration           // how long a peer's job holds what it does not use
	Every     time.Duration           // between two rounds; younger jobs are left alone
	Freed     func()                  // is told when something was given back
	Log       *slog.Logger
	Now       func() time.Time

	over  map[openflow.JobKey]bool // what the last round has heard for the first time
	began time.Time                // of the first round
}

// AskEndsEvery is the time between two questions to a scheduler about the jobs that it has here. Young jobs
// are left alone: most are over soon. An end counts when it is told twice, since the scheduler's own news may be on its way.
const AskEndsEvery = 5 * time.Second

// settling is how long after its start a node ends nothing for silence: it has not heard anybody while it was down.
const settling = time.Minute

// said is what a scheduler has answered about its jobs here.
type said struct {
	ended    map[openflow.JobID]openflow.EndedJob
	answered bool
	unspoken bool // its dialect has no word for the question
}

// Take asks the schedulers of all jobs that are under way here, at once and each in as few calls as possible. It ends what has
// ended there, and what has not been renewed for too long.
func (l *Leases) Take(ctx context.Context) error {
	now := l.Now()
	if l.began.IsZero() {
		l.began = now
	}
	jobs, err := l.Rows.LeasedJobs(ctx)
	if err != nil {
		return err
	}
	of := map[openflow.PartyID][]openflow.JobID{}
	for _, j := range jobs {
		if now.Sub(j.Created) >= l.Every {
			of[j.Job.Scheduler] = append(of[j.Job.Scheduler], j.Job.Job)
		}
	}
	heard := l.ask(ctx, of)
	if ctx.Err() != nil {
		return nil // the answers were cut short
	}
	before := l.over
	l.over = map[openflow.JobKey]bool{}
	for _, j := range jobs { // one that cannot be ended now keeps no other
		err = errors.Join(err, l.take(ctx, j, heard[j.Job.Scheduler], before[j.Job], now))
	}
	return err
}

// take draws the consequence for one job.
func (l *Leases) take(ctx context.Context, j catalogue.Leased, s said, twice bool, now time.Time) error {
	e, over := s.ended[j.Job.Job]
	switch {
	case over && twice:
		return l.ended(ctx, j.Job, e)
	case over:
		l.over[j.Job] = true
		return nil
	case s.answered && j.Until.Sub(now) < l.For/2: // so a job is written once in a while, and not every round
		return l.Rows.RenewLease(ctx, j.Job, now.Add(l.For))
	case s.answered:
		return nil
	case s.unspoken:
		last := j.Created
		if j.Applied.After(last) {
			last = j.Applied
		}
		if until := last.Add(l.Unrenewed); until.After(now) {
			if until.After(j.Until) {
				return l.Rows.RenewLease(ctx, j.Job, until)
			}
			return nil
		}
	}
	if now.Before(j.Until) || now.Sub(l.began) < min(settling, l.For) {
		return nil
	}
	reason := fmt.Sprintf("party %s, which schedules the job, has not answered for %s whether the job goes on", j.Job.Scheduler, l.For)
	if s.unspoken {
		reason = fmt.Sprintf("party %s, which schedules the job, reserved for it more than %s ago, and cannot be asked whether it goes on", j.Job.Scheduler, l.Unrenewed)
	}
	l.Log.WarnContext(ctx, "a job is ended whose lease is over", "job", j.Job.Job, "party", j.Job.Scheduler, "reason", reason)
	return l.Partner.StopJob(ctx, j.Job, openflow.JobEnd{Status: openflow.JobFailed, Reason: reason})
}

// ask asks the schedulers about their jobs.
func (l *Leases) ask(ctx context.Context, of map[openflow.PartyID][]openflow.JobID) map[openflow.PartyID]said {
	heard, mu := map[openflow.PartyID]said{}, sync.Mutex{}
	var asked sync.WaitGroup
	for scheduler, ids := range of {
		asked.Go(func() {
			s := l.askOne(ctx, scheduler, ids)
			mu.Lock()
			defer mu.Unlock()
			heard[scheduler] = s
		})
	}
	asked.Wait()
	return heard
}

// askOne asks one scheduler. One that is no peer any more is not asked: its jobs are the farewell's concern. What a job
// without a scheduler ends by is its lease.
func (l *Leases) askOne(ctx context.Context, scheduler openflow.PartyID, ids []openflow.JobID) (s said) {
	if _, err := l.Rows.Site(ctx, scheduler); err != nil {
		return s
	}
	service, err := l.Directory.Scheduler(ctx, scheduler)
	if err != nil {
		return s
	}
	s.ended = map[openflow.JobID]openflow.EndedJob{}
	slices.Sort(ids)
	for part := range slices.Chunk(slices.Compact(ids), openflow.MaxEndedJobs) { // a party may have several roles in one job
		ended, err := service.EndedJobs(ctx, l.Self, part)
		for _, e := range ended {
			s.ended[e.ID] = e
		}
		if err != nil {
			l.Log.DebugContext(ctx, "scheduler did not say which jobs have ended", "party", scheduler, "err", err)
			s.unspoken = openflow.CodeOf(err) == openflow.CodeUnimplemented
			return s
		}
	}
	s.answered = true
	return s
}

// ended ends a job here as it has ended at its scheduler.
func (l *Leases) ended(ctx context.Context, k openflow.JobKey, e openflow.EndedJob) error {
	end := openflow.JobEnd{Status: e.Status, Reason: e.Reason}
	if end.Status == "" {
		end.Status, end.Reason = openflow.JobFailed, openflow.UnknownToScheduler(k.Scheduler)
	}
	if end.Status != openflow.JobSuccess && end.Reason == "" {
		end.Reason = fmt.Sprintf("it is %s at its scheduler, party %s", end.Status, k.Scheduler)
	}
	l.Log.WarnContext(ctx, "a job is ended whose scheduler has not told of its end", "job", k.Job, "party", k.Scheduler, "status", end.Status, "reason", end.Reason)
	return l.Partner.StopJob(ctx, k, end)
}

// ReturnIdle gives back what jobs of peers hold and have run nothing with for too long. The jobs go on, and ask for it again when
// a task is to start.
func (l *Leases) ReturnIdle(ctx context.Context) error {
	since := l.Now().Add(-l.Idle)
	jobs, err := l.Rows.IdleJobs(ctx, since)
	if err != nil {
		return err
	}
	for _, k := range jobs {
		returned, wrong := l.Rows.ReturnIdle(ctx, k, since, openflow.GivenBackUnused(k.Scheduler))
		err = errors.Join(err, wrong)
		if returned {
			l.Log.WarnContext(ctx, "a job gives back what it has not used", "job", k.Job, "party", k.Scheduler, "for", l.Idle)
			l.Freed()
		}
	}
	return err
}
