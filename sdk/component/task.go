package component

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"

	"openflow"
	"openflow/sdk/tables"
)

// Task is one run of a component at one party, as the component sees it. All methods may be called concurrently,
// except where they say otherwise.
type Task struct {
	program   Program
	component Component
	config    *config
	node      *client
	cores     int
	log       *slog.Logger
	outputs   outputs
	topics    topics
}

// Key names this run.
func (t *Task) Key() openflow.TaskKey { return t.config.key() }

// Role is the part that this party plays.
func (t *Task) Role() openflow.Role { return t.config.Role }

// Party is this party in its role.
func (t *Task) Party() openflow.Party { return t.config.key().Party }

// Parties lists everybody who takes part in the task, this party included, in the same order at every party.
func (t *Task) Parties() []openflow.Party { return t.config.parties() }

// PartiesOf lists the parties of the task that have role, in the order of Parties.
func (t *Task) PartiesOf(role openflow.Role) []openflow.Party {
	var of []openflow.Party
	for _, p := range t.Parties() {
		if p.Role == role {
			of = append(of, p)
		}
	}
	return of
}

// Policy is what this party's site allows, whoever submits; the default where the node says nothing.
func (t *Task) Policy() openflow.Policy {
	if t.config.Policy == nil {
		return openflow.DefaultPolicy()
	}
	return *t.config.Policy
}

// Protocol is what all parties of the task speak with each other: the one that their nodes have agreed on. Where they have not, as
// beside a node of another make, it is the component's first; zero: it talks to nobody.
func (t *Task) Protocol() openflow.Protocol {
	if agreed := openflow.Protocol(t.config.Protocol); agreed != (openflow.Protocol{}) {
		return agreed
	}
	if own := t.component.protocols(t.program); len(own) > 0 {
		return own[0]
	}
	return openflow.Protocol{}
}

// Stage says which body of the component runs.
func (t *Task) Stage() openflow.Stage { return t.config.Stage }

// Log writes to standard error, which the node keeps as the task's log.
func (t *Task) Log() *slog.Logger { return t.log }

// Cores is the number of cores that the task may use, at least 1.
func (t *Task) Cores() int { return t.cores }

// Parallel calls f for 0…n−1 on as many goroutines as the task has cores. It returns the first error, after which, as
// after the end of ctx, no further call begins; calls under way are waited for.
func (t *Task) Parallel(ctx context.Context, n int, f func(i int) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(t.cores, n) {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := t.guard(func() error { return f(i) }); err != nil {
					cancel(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if int(next.Load()) < n || ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// site is the party's name in anonymous column names.
func (t *Task) site() string { return tables.SiteName(t.Party()) }
