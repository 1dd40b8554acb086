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

// Farewell ends the jobs that this site shares with a party that is to be, or is, a peer no more. Neither node believes
// the other one any more, so such a job could only stand still and hold what it has.
type Farewell struct {
	Self      openflow.PartyID
	Rows      *catalogue.Catalogue
	Engine    openflow.Engine
	Partner   openflow.PartnerService // this site's own
	Directory openflow.Directory
	Log       *slog.Logger
}

// underWay are the statuses of jobs that have not ended.
var underWay = []openflow.JobStatus{openflow.JobReady, openflow.JobWaiting, openflow.JobRunning}

// telling bounds what other nodes may take to hear of it.
const telling = 10 * time.Second

// To ends all jobs with the peer: those that this node schedules with it or for it, those that the peer schedules, and those of other
// schedulers in which both take part. The peer hears of it as far as it is still one and answers. It returns the jobs
// of the peer that it has ended here. An error is of this node.
func (f Farewell) To(ctx context.Context, peer openflow.PartyID) (ended []openflow.JobKey, err error) {
	scheduled, _, err := f.Rows.ScheduledJobsWhere(ctx, catalogue.ScheduledFilter{Statuses: underWay})
	if err != nil {
		return nil, err
	}
	jobs, _, err := f.Rows.JobsWhere(ctx, catalogue.JobFilter{Statuses: underWay})
	if err != nil {
		return nil, err
	}
	limited, cancel := context.WithTimeout(ctx, telling)
	defer cancel()
	var told sync.WaitGroup
	defer told.Wait()
	for _, j := range scheduled {
		if j.Initiator == peer || takesPart(j.DAG, peer) {
			told.Go(func() { f.note(j.ID, f.endScheduled(limited, j.ID, f.gone(peer))) })
		}
	}
	asked := map[openflow.JobKey]bool{}
	for _, j := range jobs {
		if j.Scheduler == f.Self || j.Scheduler != peer && !takesPart(j.DAG, peer) {
			continue
		}
		if j.Scheduler == peer {
			if wrong := f.endHere(ctx, j.Key()); wrong != nil {
				err = errors.Join(err, wrong) // it keeps no other
			} else {
				ended = append(ended, j.Key())
			}
		}
		job := openflow.JobKey{Scheduler: j.Scheduler, Job: j.ID}
		if !asked[job] {
			asked[job] = true
			told.Go(func() { f.note(j.ID, f.askScheduler(limited, job)) })
		}
	}
	return ended, err
}

// restate gives jobs that ended here their reason again. The scheduler has put its own in the place, as long as it was a peer.
func (f Farewell) restate(ctx context.Context, ended []openflow.JobKey) (err error) {
	for _, k := range ended { // one that cannot be written keeps no other
		err = errors.Join(err, f.Rows.SetJobReason(ctx, k, f.gone(k.Scheduler)))
	}
	return err
}

func takesPart(d *openflow.DAG, id openflow.PartyID) bool {
	return slices.ContainsFunc(d.Parties, func(p openflow.Party) bool { return p.ID == id })
}

// gone is why a job with a party that is no peer ends.
func (f Farewell) gone(peer openflow.PartyID) string {
	return fmt.Sprintf("party %s was removed at party %s", peer, f.Self)
}

// endHere ends a job at this site, whatever its scheduler thinks of it.
func (f Farewell) endHere(ctx context.Context, k openflow.JobKey) error {
	return f.Partner.StopJob(ctx, k, openflow.JobEnd{Status: openflow.JobCanceled, Reason: f.gone(k.Scheduler)})
}

func (f Farewell) endScheduled(ctx context.Context, id openflow.JobID, reason string) error {
	_, err := f.Engine.StopJob(ctx, id, openflow.JobCanceled, reason)
	if openflow.CodeOf(err) == openflow.CodeNotFound {
		return nil // it has ended by itself
	}
	return err
}

func (f Farewell) askScheduler(ctx context.Context, k openflow.JobKey) error {
	s, err := f.Directory.Scheduler(ctx, k.Scheduler)
	if err == nil {
		_, err = s.StopJob(ctx, f.Self, k.Job, openflow.JobCanceled)
	}
	return err
}

// note logs what was not told: the next round of upkeep, or the other node's own operator, ends the job.
func (f Farewell) note(id openflow.JobID, err error) {
	if err != nil {
		f.Log.Warn("a job with a party that was removed is not told of it", "job", id, "err", err)
	}
}

// ToStrangers ends what a removal has missed because the node stopped, or because a job began at that moment. These are
// the jobs that this site schedules with a party that is no peer, and those that a scheduler which is no peer has here.
// It looks at every job by itself. That a job names a stranger, which any peer can bring about, so says nothing about
// other jobs.
func (f Farewell) ToStrangers(ctx context.Context) error {
	jobs, _, err := f.Rows.JobsWhere(ctx, catalogue.JobFilter{Statuses: underWay})
	if err != nil {
		return err
	}
	scheduled, _, err := f.Rows.ScheduledJobsWhere(ctx, catalogue.ScheduledFilter{Statuses: underWay})
	if err != nil {
		return err
	}
	sites, err := f.Rows.Sites(ctx)
	if err != nil {
		return err
	}
	known := map[openflow.PartyID]bool{f.Self: true}
	for _, s := range sites {
		known[s.Party] = true
	}
	for _, j := range scheduled {
		parties := append(j.DAG.Participants(), openflow.Party{ID: j.Initiator})
		if i := slices.IndexFunc(parties, func(p openflow.Party) bool { return !known[p.ID] }); i >= 0 {
			f.note(j.ID, f.endScheduled(ctx, j.ID, f.gone(parties[i].ID)))
		}
	}
	for _, j := range jobs {
		if known[j.Scheduler] {
			continue // the other parties of its jobs need not be peers of this site
		}
		err = errors.Join(err, f.endHere(ctx, j.Key()))
	}
	return err
}
