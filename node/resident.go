package node

import (
	"context"

	"openflow"
	"openflow/runtime/driver"
)

// tellComponent tells of a change of a component, to users and to this machine's resident containers.
func (n *Node) tellComponent(ctx context.Context, c openflow.ComponentChange) {
	n.changes().TellComponent(ctx, c)
	if !c.To.TakesJobs() && n.runtime != nil {
		n.runtime.Look() // those that it has are drained
	}
}

// serving notes that this machine has a resident container of a component that serves, or none any more.
func (n *Node) serving(ctx context.Context, component string, of openflow.ProviderRef, serving bool) {
	if err := n.registry.Serving(ctx, component, of, serving); err != nil && ctx.Err() == nil {
		n.log.WarnContext(ctx, "how a resident component stands was not written down", "component", component, "provider", of.String(), "err", err)
	}
}

// stopped notes that components have no resident container any more, as after the loss of this machine's.
func (n *Node) stopped(ctx context.Context) error {
	all, err := n.registry.Standings(ctx)
	if err != nil {
		return err
	}
	for of, components := range all {
		for _, c := range components {
			if c.Standing.State == openflow.ComponentStarted && !n.runtime.Has(c.Name, of) {
				n.serving(ctx, c.Name, of, false) // another machine that has one says so soon
			}
		}
	}
	return nil
}

// warm starts the resident container of a component before its first run, as a run that asks for nothing special would.
func (n *Node) warm(ctx context.Context, c openflow.ComponentRecord, runs int) error {
	run := openflow.TaskRecord{
		Component: c.Name, Provider: c.Provider.String(), Cores: n.config.Limits.TaskCores, MemoryBytes: n.config.Limits.TaskMemory,
		Spec: openflow.TaskSpec{Resident: runs},
	}
	may, err := n.vetter.Approve(ctx, run)
	if err != nil {
		return err
	}
	of, err := n.launcher.Resident(ctx, run, may)
	if err != nil {
		return err
	}
	if of == nil {
		return driver.NoResidents()
	}
	return n.runtime.Warm(ctx, *of)
}
