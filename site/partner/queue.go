package partner

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"openflow"
	"openflow/site/admission"
)

// QueueStore is the part of the catalogue that knows who waits.
type QueueStore interface {
	// NextToWake chooses, in the order of their turns, the waiting jobs that can have what they need now.
	NextToWake(ctx context.Context, capacity openflow.Resources, rules admission.Rules) ([]openflow.JobKey, error)
	// NotWoken takes back that a job was told.
	NotWoken(ctx context.Context, k openflow.JobKey) error
	// NobodyWoken takes back what an earlier process may have meant to tell.
	NobodyWoken(ctx context.Context) error
}

// Queue calls the jobs that wait at this site when it is their turn, so that they need not ask. A job costs nothing while
// it waits: what runs is one look at the queue when something has been given back, and one now and then for calls that
// were lost.
type Queue struct {
	store     QueueStore
	directory openflow.Directory
	self      openflow.PartyID
	limits    Limits
	log       *slog.Logger
	freed     chan struct{}
	calls     sync.WaitGroup
}

const (
	// settle is how long a look waits after something was given back: a job ends at all its parties at about the same time,
	// and whoever is called next needs all of them.
	settle = 20 * time.Millisecond
	// lookEvery is the time between two looks when nothing is given back.
	lookEvery = 5 * time.Second
	// callTimeout bounds one call to a scheduler.
	callTimeout = 5 * time.Second
)

// NewQueue is the queue of the site self; Run works it off.
func NewQueue(self openflow.PartyID, store QueueStore, d openflow.Directory, limits Limits, log *slog.Logger) *Queue {
	return &Queue{self: self, store: store, directory: d, limits: limits, log: log, freed: make(chan struct{}, 1)}
}

// Freed says that a job has given back what it held. It never blocks; many at once make one look.
func (q *Queue) Freed() {
	select {
	case q.freed <- struct{}{}:
	default:
	}
}

// Run looks after the queue until ctx ends.
func (q *Queue) Run(ctx context.Context) {
	defer q.calls.Wait()
	if err := q.store.NobodyWoken(ctx); err != nil && ctx.Err() == nil {
		q.log.Error("jobs that were to be told before this start may wait longer", "err", err)
	}
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-q.freed:
			select {
			case <-ctx.Done():
				return
			case <-time.After(settle):
			}
		}
		if err := q.look(ctx); err != nil && ctx.Err() == nil {
			q.log.Error("the queue of waiting jobs could not be read; it is tried again", "err", err)
		}
	}
}

// look calls whose turn it is, each job once, in the order of their turns as far as its scheduler is this node.
func (q *Queue) look(ctx context.Context) error {
	keys, err := q.store.NextToWake(ctx, q.limits.Capacity(), q.limits.Rules())
	if err != nil {
		return err
	}
	called := map[openflow.JobKey]bool{}
	for _, k := range keys {
		job := k
		job.Party = openflow.Party{} // a job that plays several roles here is called once
		switch {
		case called[job]:
		case k.Scheduler == q.self:
			q.call(ctx, k)
		default:
			q.calls.Go(func() { q.call(ctx, k) })
		}
		called[job] = true
	}
	return nil
}

// call tells a job's scheduler. When it cannot be reached its turn comes again.
func (q *Queue) call(ctx context.Context, k openflow.JobKey) {
	limited, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	s, err := q.directory.Scheduler(limited, k.Scheduler)
	if err == nil {
		err = s.WakeJob(limited, q.self, k.Job)
	}
	if err == nil || openflow.CodeOf(err) == openflow.CodeNotFound {
		return
	}
	q.log.Warn("scheduler not told that its job can have resources; it is tried again", "job", k.Job, "scheduler", k.Scheduler, "err", err)
	if err := q.store.NotWoken(context.WithoutCancel(ctx), k); err != nil { // also when the node stops meanwhile
		q.log.Error("a lost call is not repeated", "job", k.Job, "err", err)
	}
}
