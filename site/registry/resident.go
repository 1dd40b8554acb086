package registry

import (
	"context"

	"openflow"
	"openflow/runtime/driver"
	"openflow/site/jobcheck"
)

// standing finds how a component stands.
func (g *Registry) standing(ctx context.Context, name string, of openflow.ProviderRef) (openflow.ComponentStanding, error) {
	list, err := g.Rows.Standings(ctx)
	if err != nil {
		return openflow.ComponentStanding{}, err
	}
	for _, c := range list {
		if c.Name == name && c.Provider == of {
			return c.Standing, nil
		}
	}
	return openflow.ComponentStanding{}, openflow.Errorf(openflow.CodeNotFound, "provider %s has no component %q", of, name)
}

// Serves tells whether a component may have resident containers: it takes jobs. While that cannot be found out, it may.
func (g *Registry) Serves(ctx context.Context, name string, of openflow.ProviderRef) bool {
	at, err := g.standing(ctx, name, of)
	if openflow.CodeOf(err) == openflow.CodeNotFound {
		return false
	}
	return err != nil || at.State.TakesJobs()
}

// Serving notes that a component has a resident container that serves on this machine, or none any more. Of several machines each
// says so again and again; while one of them has such a container, the component is STARTED. Errors: those of the catalogue.
func (g *Registry) Serving(ctx context.Context, name string, of openflow.ProviderRef, serving bool) error {
	at, err := g.standing(ctx, name, of)
	call := openflow.ComponentCall{Provider: of, Component: name, By: "machine " + g.Name, Machine: g.Name, Probe: true}
	switch {
	case openflow.CodeOf(err) == openflow.CodeNotFound: // it was removed meanwhile
		return nil
	case err != nil:
		return err
	case serving && at.State != openflow.ComponentStarted:
		call.Event = openflow.ComponentStart
	case !serving && at.State == openflow.ComponentStarted:
		call.Event = openflow.ComponentStop
	}
	if call.Event == "" || !at.State.TakesJobs() {
		return nil
	}
	_, err = g.change(ctx, call)
	if code := openflow.CodeOf(err); code == openflow.CodeConflict || code == openflow.CodeNotFound {
		return nil // it was unloaded or removed at this moment
	}
	return err
}

// start starts the resident containers of a component, or of all that a provider has. Errors: CodeInvalid (none of them is
// resident); those of Warm.
func (g *Registry) start(ctx context.Context, name string, of openflow.ProviderRef) error {
	if g.Warm == nil {
		return driver.NoResidents()
	}
	rows, err := g.Rows.Components(ctx, of.Name, of.Version)
	if err != nil {
		return err
	}
	found := false
	for _, row := range rows {
		if name != "" && row.Name != name {
			continue
		}
		runs := jobcheck.Component{Way: row.Way, Runs: row.Runs}.Resident(openflow.TaskConf{})
		if runs == 0 {
			continue
		}
		found = true
		if err := g.Warm(ctx, row, runs); err != nil {
			return err
		}
	}
	if !found {
		return openflow.Errorf(openflow.CodeInvalid, "nothing of that is resident: each of its tasks gets a container of its own").WithHint("leave --start out")
	}
	return nil
}
