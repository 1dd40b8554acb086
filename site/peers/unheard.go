package peers

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"openflow"
	"openflow/store/catalogue"
)

// Unheard ends this site's part of jobs whose end has not come here, because their scheduler has lost it: it was restored
// from a backup, or told it in vain for longer than it tells. Nobody else would give back what such a job holds.
type Unheard struct {
	Self      openflow.PartyID
	Rows      *catalogue.Catalogue
	Directory openflow.Directory
	Partner   openflow.PartnerService // this site's own
	Log       *slog.Logger
	Now       func() time.Time

	over map[openflow.JobKey]bool // what the last round has heard for the first time
}

// AskEndsEvery is the time between two questions to a scheduler about the jobs that it has here. Young jobs
// are left alone: most are over soon. An end counts when it is told twice, since the scheduler's own news may be on its way.
const AskEndsEvery = 5 * time.Second

// Take asks the schedulers of all jobs that are under way here, each in one call, and ends what has ended there. One that
// does not answer is the watch's concern.
func (u *Unheard) Take(ctx context.Context) error {
	jobs, _, err := u.Rows.JobsWhere(ctx, catalogue.JobFilter{Statuses: underWay, Limit: openflow.MaxEndedJobs, Ascending: true})
	if err != nil {
		return err
	}
	of := map[openflow.PartyID][]openflow.JobRecord{}
	for _, j := range jobs {
		if j.Scheduler != u.Self && u.Now().Sub(j.CreateTime) >= AskEndsEvery {
			of[j.Scheduler] = append(of[j.Scheduler], j)
		}
	}
	before := u.over
	u.over = map[openflow.JobKey]bool{}
	for scheduler, jobs := range of {
		for _, e := range u.ask(ctx, scheduler, jobs) {
			for _, j := range jobs {
				if j.ID != e.ID {
					continue
				}
				if !before[j.Key()] {
					u.over[j.Key()] = true
					continue
				}
				if err := u.end(ctx, j, e); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// ask asks one scheduler. One whose dialect has no word for the question says nothing, and one that is no peer any more is
// the farewell's concern.
func (u *Unheard) ask(ctx context.Context, scheduler openflow.PartyID, jobs []openflow.JobRecord) []openflow.EndedJob {
	if _, err := u.Rows.Site(ctx, scheduler); err != nil {
		return nil
	}
	ids := map[openflow.JobID]bool{}
	for _, j := range jobs {
		ids[j.ID] = true
	}
	s, err := u.Directory.Scheduler(ctx, scheduler)
	if err != nil {
		return nil
	}
	ended, err := s.EndedJobs(ctx, u.Self, slices.Sorted(maps.Keys(ids)))
	if err != nil {
		u.Log.DebugContext(ctx, "scheduler did not say which jobs have ended", "party", scheduler, "err", err)
	}
	return ended
}

// end ends a job here as it has ended at its scheduler.
func (u *Unheard) end(ctx context.Context, j openflow.JobRecord, e openflow.EndedJob) error {
	end := openflow.JobEnd{Status: e.Status, Reason: e.Reason}
	if end.Status == "" {
		end.Status, end.Reason = openflow.JobFailed, openflow.UnknownToScheduler(j.Scheduler)
	}
	if end.Status != openflow.JobSuccess && end.Reason == "" {
		end.Reason = fmt.Sprintf("it is %s at its scheduler, party %s", end.Status, j.Scheduler)
	}
	u.Log.WarnContext(ctx, "a job is ended whose scheduler has not told of its end", "job", j.ID, "party", j.Scheduler, "status", end.Status, "reason", end.Reason)
	return u.Partner.StopJob(ctx, j.Key(), end)
}
