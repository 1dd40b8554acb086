package upkeep

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"openflow"
	"openflow/runtime/driver"
	"openflow/runtime/launch"
)

// Finder finds the run that a container belongs to.
type Finder func(context.Context, openflow.RunID) (openflow.TaskRecord, error)

// Settled is how long the removal of an ended run's container may take its own way.
const Settled = 10 * time.Second

// OrphanAge is how long the container of an ended run is left to whoever ended it. Where other machines run tasks of the
// site too, a run can end without its machine, while its container runs on there.
func OrphanAge(pooled bool) time.Duration {
	if pooled {
		return Settled
	}
	return SweepEvery
}

// Orphans are containers of a machine whose run has ended, or is not known.
type Orphans struct {
	Runtime driver.Runtime
	Node    string        // whose containers they are
	Age     time.Duration // how long ago the run must have ended
	Find    Finder        // CodeNotFound: nobody knows the run
	// Ended tells that a job has ended here; nil: no container is made before its run begins.
	Ended func(context.Context, openflow.JobKey) (bool, error)
	Log   *slog.Logger
}

// List lists them. What a run in progress owns is its workflow's. What cannot be looked at hides no other: the rest comes with
// the errors.
func (o Orphans) List(ctx context.Context) (names []string, err error) {
	containers, err := o.Runtime.List(ctx, map[string]string{launch.LabelNode: o.Node})
	for _, c := range containers {
		t, wrong := o.Find(ctx, openflow.RunID(c.Labels[launch.LabelRun]))
		needless := false
		if wrong == nil && o.Ended != nil && c.State == driver.StateCreated && t.PartyStatus == openflow.TaskWaiting {
			needless, wrong = o.Ended(ctx, t.Key.JobKey())
		}
		switch {
		case needless: // made before its time, which has not come
		case openflow.CodeOf(wrong) == openflow.CodeNotFound:
		case wrong != nil:
			err = errors.Join(err, wrong)
			continue
		case !t.PartyStatus.Terminal() || time.Since(t.EndTime) < o.Age:
			continue // running, or its own removal is on the way
		}
		names = append(names, c.Name)
	}
	return names, err
}

// stopGrace is what an orphan gets between TERM and KILL.
const stopGrace = 5 * time.Second

// Sweep removes them.
func (o Orphans) Sweep(ctx context.Context) error {
	names, err := o.List(ctx)
	for _, name := range names { // one that cannot be removed now keeps no other
		o.Log.InfoContext(ctx, "removing a container that nothing needs", "container", name)
		wrong := o.Runtime.Stop(ctx, name, stopGrace)
		if wrong == nil {
			wrong = o.Runtime.Remove(ctx, name)
		}
		err = errors.Join(err, wrong)
	}
	return err
}

// TrimEvery is how often what programs write is bounded where the runtime does not do that by itself. A disk takes some
// hundred megabytes in that time.
const TrimEvery = 2 * time.Second
