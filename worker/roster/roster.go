// Package roster knows the machines of a site's pool: who is there, when a run is offered to them, and who is silent.
package roster

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"openflow"
	"openflow/store/catalogue"
)

// A machine tells of itself every few seconds, and counts as alive for some of them.
const (
	HelloEvery = 5 * time.Second
	AliveFor   = 4 * HelloEvery
)

// A machine that has missed its turn to tell of itself is named as silent on its runs, and within 15 s on their jobs. It
// is looked at so often, and the watch of jobs follows. New runs are offered to it for as long as it counts as alive.
const (
	silentAfter = 2 * HelloEvery
	SilentEvery = time.Second
)

// DefaultPooling gives people time to start a worker, and a machine time to boot.
func DefaultPooling() openflow.Pooling {
	return openflow.Pooling{Wait: 10 * time.Minute, Gone: time.Minute}
}

// Pool is a site's pool as its node sees it.
type Pool struct {
	Rows    *catalogue.Catalogue
	Self    string   // the node's own machine
	Labels  []string // of that machine
	NoTasks bool     // it runs none
	Open    bool     // workers can reach the node
	Shared  bool     // further servers of the site are machines of the pool: they share a Temporal server
	// Anywhere: containers of the node belong to no machine, and every replica follows them. So the node is no machine of
	// its pool, and runs without a label are its own.
	Anywhere bool
	Times    openflow.Pooling
	Up       time.Time // since when this node listens: before, no machine could tell of itself
}

// Workers implements activities.Workers. A worker that has left offers no cores, and this node none when it runs no tasks
// since its last start.
func (p Pool) Workers(ctx context.Context, label string) ([]openflow.WorkerRecord, error) {
	list, err := p.Rows.WorkersWith(ctx, label, time.Now().Add(-AliveFor))
	return slices.DeleteFunc(list, func(w openflow.WorkerRecord) bool {
		return w.Cores == 0 || p.NoTasks && w.Machine == p.Self
	}), err
}

// Pooling implements partner.Pool. Without a label, and while nobody else is there, the node runs its tasks itself, which
// saves the choice.
func (p Pool) Pooling(ctx context.Context, label string) (*openflow.Pooling, error) {
	if label == "" && !p.NoTasks && (p.Anywhere || !p.Shared) {
		if !p.Open || p.Anywhere {
			return nil, nil
		}
		others, err := p.Workers(ctx, "")
		others = slices.DeleteFunc(others, func(w openflow.WorkerRecord) bool { return w.Machine == p.Self })
		if err != nil || len(others) == 0 {
			return nil, err
		}
	}
	return &p.Times, nil
}

// remembered is how long a pool is remembered: a run that was offered to it has found a machine by then, or has failed.
const remembered = 24 * time.Hour

// Offered reports whether runs may be offered to the pool: it can be reached, or there was one, and runs that were offered
// to it wait in its queues for whoever takes them. A node whose containers belong to no machine takes none.
func (p Pool) Offered(ctx context.Context) (bool, error) {
	if p.Anywhere {
		return false, nil
	}
	if p.Open || p.Shared || len(p.Labels) > 0 {
		return true, nil
	}
	seen, err := p.Rows.Workers(ctx, time.Now().Add(-max(remembered, 2*p.Times.Wait)))
	seen = slices.DeleteFunc(seen, func(w openflow.WorkerRecord) bool { return w.Machine == p.Self })
	return len(seen) > 0, err
}

// Cores is what the node's machine takes at a time of the cores that jobs share: of a site that has other machines, no
// more than it has itself.
func (p Pool) Cores(shared, own int) int {
	if !p.Open && !p.Shared {
		return shared
	}
	return min(shared, own)
}

// Reasons writes what a run waits for.
type Reasons interface {
	SetTaskReason(ctx context.Context, k openflow.TaskKey, reason string) error
}

// shut reports whether no machine can come back to this node: it has no listener for workers, and no other server has one.
func (p Pool) shut() bool { return !p.Open && !p.Shared }

// silent reports whether a machine has missed its turn to tell of itself, and has not left.
func (p Pool) silent(w openflow.WorkerRecord, now time.Time) bool {
	late := now.Add(-silentAfter)
	return w.Machine != p.Self && w.Seen.Before(late) && p.Up.Before(late) && (w.Cores > 0 || len(w.Running) > 0)
}

// Silent lists the machines that have not told of themselves for longer than they should, with the runs that they have. A machine
// that has left in order and has none is not among them.
func (p Pool) Silent(ctx context.Context) ([]openflow.WorkerRecord, error) {
	now := time.Now()
	list, err := p.Rows.Workers(ctx, now.Add(-remembered))
	return slices.DeleteFunc(list, func(w openflow.WorkerRecord) bool { return !p.silent(w, now) }), err
}

// ShutOut lists the machines that have runs and cannot come back, because this node was started without a listener for workers.
func (p Pool) ShutOut(ctx context.Context) ([]openflow.WorkerRecord, error) {
	if !p.shut() {
		return nil, nil
	}
	list, err := p.Rows.Workers(ctx, time.Now().Add(-remembered))
	return slices.DeleteFunc(list, func(w openflow.WorkerRecord) bool { return w.Machine == p.Self || len(w.Running) == 0 }), err
}

// Silences remembers which machines are silent, to tell the log once of each.
type Silences struct {
	Log *slog.Logger

	of map[string]time.Time // since when, by machine
}

// note tells the log of a machine that has become silent, or is heard of again.
func (s *Silences) note(w openflow.WorkerRecord, silent bool) {
	since, was := s.of[w.Machine]
	switch {
	case silent && !was:
		if s.of == nil {
			s.of = map[string]time.Time{}
		}
		s.of[w.Machine] = w.Seen
		s.Log.Warn("a machine of the pool is silent", "machine", w.Machine, "name", w.Name, "since", w.Seen, "runs", len(w.Running))
	case !silent && was:
		delete(s.of, w.Machine)
		s.Log.Info("a machine of the pool is silent no longer", "machine", w.Machine, "name", w.Name, "after", time.Since(since).Round(time.Second))
	}
}

// TellSilent says on the rows of runs that their machine is silent, since when, and takes that back when it is heard of
// again. The machine may be dead or out of reach: nobody follows its runs meanwhile. Where this node itself has no listener for
// workers, that is said instead, since starting the worker again would not help.
func (p Pool) TellSilent(ctx context.Context, tasks Reasons, known *Silences) (wrong error) {
	now := time.Now()
	list, err := p.Rows.Workers(ctx, now.Add(-remembered))
	if err != nil {
		return err
	}
	for _, w := range list {
		reason, silent := "", p.silent(w, now)
		known.note(w, silent)
		switch {
		case w.Machine == p.Self:
		case p.shut():
			reason = fmt.Sprintf("%s%s (%s) cannot reach this node, which was started without --listen-workers; the run fails when the node is not restarted with it within %s",
				silentMachine, w.Machine, w.Name, p.Times.Gone)
		case silent:
			reason = fmt.Sprintf("%s%s (%s) has been silent since %s; the run fails when it does not come back within %s of that",
				silentMachine, w.Machine, w.Name, w.Seen.UTC().Format(time.RFC3339), p.Times.Gone)
		}
		for _, id := range w.Running {
			t, err := p.Rows.TaskByRunID(ctx, id)
			if openflow.CodeOf(err) == openflow.CodeNotFound {
				continue
			}
			if err != nil {
				wrong = errors.Join(wrong, err) // one that cannot be read keeps no other
				continue
			}
			said := strings.HasPrefix(t.Reason, silentMachine)
			if t.PartyStatus.Terminal() || t.Killed || t.Reason == reason || reason == "" && !said {
				continue
			}
			wrong = errors.Join(wrong, tasks.SetTaskReason(ctx, t.Key, reason))
		}
	}
	return wrong
}

// silentMachine is how the reason of a run begins whose machine is silent.
const silentMachine = "machine "
