package node

import (
	"context"
	"slices"
	"time"

	"openflow"
	"openflow/runtime/driver"
	"openflow/site/jobcheck"
)

// tellComponent tells of a change of a component, to users and to this machine's resident containers.
func (n *Node) tellComponent(ctx context.Context, c openflow.ComponentChange) {
	n.changes().TellComponent(ctx, c)
	if !c.To.TakesJobs() && n.runtime != nil {
		n.runtime.Look() // those that it has are drained
	}
}

// noteServing notes that this machine has a resident container of a component that serves, or none any more.
func (n *Node) noteServing(ctx context.Context, component string, of openflow.ProviderRef, serving bool) {
	if err := n.registry.Serving(ctx, n.registry.Name, component, of, serving); err != nil && ctx.Err() == nil {
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
				n.noteServing(ctx, c.Name, of, false) // another machine that has one says so soon
			}
		}
	}
	return nil
}

// serving are the resident containers of this machine, for those who ask components whether they work. It implements
// registry.Residents.
type serving struct{ *Node }

// Serving implements registry.Residents.
func (s serving) Serving(of openflow.ProviderRef, component string) []string {
	var names []string
	for _, c := range s.runtime.Serving() {
		if c.Component == component && c.Provider == of {
			names = append(names, c.Container)
		}
	}
	return names
}

// Serve implements registry.Residents: as for a run that asks for nothing special.
func (s serving) Serve(ctx context.Context, of openflow.ProviderRef, component string, stays time.Duration) error {
	rows, err := s.rows.Components(ctx, of.Name, of.Version)
	if err != nil {
		return err
	}
	i := slices.IndexFunc(rows, func(c openflow.ComponentRecord) bool { return c.Name == component })
	if i < 0 {
		return openflow.Errorf(openflow.CodeNotFound, "provider %s has no component %q", of, component)
	}
	run := openflow.TaskRecord{
		Component: component, Provider: of.String(), Cores: max(s.config.Limits.TaskCores, rows[i].Wishes.Cores),
		MemoryBytes: max(s.config.Limits.TaskMemory, rows[i].Wishes.Memory),
		Spec:        openflow.TaskSpec{Resident: jobcheck.Component{Way: rows[i].Way, Runs: rows[i].Runs}.Resident(openflow.TaskConf{})},
	}
	may, err := s.vetter.Approve(ctx, run)
	if err != nil {
		return err
	}
	container, err := s.launcher.Resident(ctx, run, may)
	if err != nil {
		return err
	}
	if container == nil {
		return driver.NoResidents()
	}
	container.Idle = max(container.Idle, stays)
	return s.runtime.Warm(ctx, *container)
}

// Get implements registry.Residents.
func (s serving) Get(ctx context.Context, container, path string) (int, error) {
	return s.runtime.Get(ctx, container, path)
}

// Execute implements registry.Residents.
func (s serving) Execute(ctx context.Context, container string, args []string, most int) (driver.Answer, error) {
	return s.runtime.Execute(ctx, container, args, most)
}

// Replace implements registry.Residents.
func (s serving) Replace(ctx context.Context, container, why string) error {
	return s.runtime.Replace(ctx, container, why)
}
