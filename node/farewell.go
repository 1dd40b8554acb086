package node

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"openflow"
	"openflow/catalogue"
)

// farewell ends the jobs that this site shares with a party that is to be, or is, a peer no more. Neither node believes
// the other one any more, so such a job could only stand still and hold what it has.
type farewell struct {
	self      openflow.PartyID
	rows      *catalogue.Catalogue
	engine    openflow.Engine
	partner   openflow.PartnerService
	directory openflow.Directory
	log       *slog.Logger
}

// underWay are the statuses of jobs that have not ended.
var underWay = []openflow.JobStatus{openflow.JobReady, openflow.JobWaiting, openflow.JobRunning}

// telling bounds what other nodes may take to hear of it.
const telling = 10 * time.Second

// to ends all jobs with the peer: those that this node schedules, those that the peer schedules, and those of other
// schedulers in which both take part. The peer hears of it as far as it is still one and answers. An error is of this
// node.
func (f farewell) to(ctx context.Context, peer openflow.PartyID) error {
	reason := fmt.Sprintf("party %s was removed at party %s", peer, f.self)
	scheduled, _, err := f.rows.ScheduledJobsWhere(ctx, catalogue.ScheduledFilter{Statuses: underWay})
	if err != nil {
		return err
	}
	jobs, _, err := f.rows.JobsWhere(ctx, catalogue.JobFilter{Statuses: underWay})
	if err != nil {
		return err
	}
	limited, cancel := context.WithTimeout(ctx, telling)
	defer cancel()
	var told sync.WaitGroup
	defer told.Wait()
	for _, j := range scheduled {
		if takesPart(j.DAG, peer) {
			told.Go(func() { f.note(j.ID, f.endScheduled(limited, j.ID, reason)) })
		}
	}
	asked := map[openflow.JobKey]bool{}
	for _, j := range jobs {
		if j.Scheduler == f.self || j.Scheduler != peer && !takesPart(j.DAG, peer) {
			continue
		}
		if j.Scheduler == peer {
			if err := f.partner.StopJob(ctx, j.Key(), openflow.JobEnd{Status: openflow.JobCanceled, Reason: reason}); err != nil {
				return err
			}
		}
		job := openflow.JobKey{Scheduler: j.Scheduler, Job: j.ID}
		if !asked[job] {
			asked[job] = true
			told.Go(func() { f.note(j.ID, f.askScheduler(limited, job)) })
		}
	}
	return nil
}

func takesPart(d *openflow.DAG, id openflow.PartyID) bool {
	return slices.ContainsFunc(d.Parties, func(p openflow.Party) bool { return p.ID == id })
}

func (f farewell) endScheduled(ctx context.Context, id openflow.JobID, reason string) error {
	_, err := f.engine.StopJob(ctx, id, openflow.JobCanceled, reason)
	if openflow.CodeOf(err) == openflow.CodeNotFound {
		return nil // it has ended by itself
	}
	return err
}

func (f farewell) askScheduler(ctx context.Context, k openflow.JobKey) error {
	s, err := f.directory.Scheduler(ctx, k.Scheduler)
	if err == nil {
		_, err = s.StopJob(ctx, f.self, k.Job, openflow.JobCanceled)
	}
	return err
}

// note logs what was not told: the next round of upkeep, or the other node's own operator, ends the job.
func (f farewell) note(id openflow.JobID, err error) {
	if err != nil {
		f.log.Warn("a job with a party that was removed is not told of it", "job", id, "err", err)
	}
}

// toStrangers says farewell to all parties of jobs under way that are no peers: what a removal has missed because the
// node stopped, or because a job began at that moment.
func (f farewell) toStrangers(ctx context.Context) error {
	jobs, _, err := f.rows.JobsWhere(ctx, catalogue.JobFilter{Statuses: underWay})
	if err != nil {
		return err
	}
	scheduled, _, err := f.rows.ScheduledJobsWhere(ctx, catalogue.ScheduledFilter{Statuses: underWay})
	if err != nil {
		return err
	}
	seen := map[openflow.PartyID]bool{f.self: true}
	var parties []openflow.PartyID
	for _, j := range jobs {
		parties = append(parties, j.Scheduler) // the other parties of its jobs need not be peers of this site
	}
	for _, j := range scheduled {
		for _, p := range j.DAG.Parties {
			parties = append(parties, p.ID)
		}
	}
	for _, id := range parties {
		if seen[id] {
			continue
		}
		seen[id] = true
		_, err := f.rows.Site(ctx, id)
		if openflow.CodeOf(err) == openflow.CodeNotFound {
			err = f.to(ctx, id)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
