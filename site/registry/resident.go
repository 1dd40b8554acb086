package registry

import (
	"context"

	"openflow"
	"openflow/runtime/driver"
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

// Serves tells whether a component may have resident containers: nobody has unloaded it, and the policy lets its provider run. One
// that has failed may, since it is asked in its container whether it works again. While that cannot be found out, it may.
func (g *Registry) Serves(ctx context.Context, name string, of openflow.ProviderRef) bool {
	at, err := g.standing(ctx, name, of)
	if openflow.CodeOf(err) == openflow.CodeNotFound {
		return false
	}
	if err == nil && at.State == openflow.ComponentUnloaded {
		return false
	}
	if g.Judge == nil {
		return true
	}
	p, err := g.Rows.Provider(ctx, of.Name, of.Version)
	if err == nil {
		err = g.Judge.Stands(ctx, p)
	}
	return openflow.CodeOf(err) != openflow.CodePermission
}

// Serving notes that a component has a resident container that serves on a machine, or none any more. Of several machines each
// says so again and again; while one of them has such a container, the component is STARTED. Errors: those of the catalogue.
func (g *Registry) Serving(ctx context.Context, machine, name string, of openflow.ProviderRef, serving bool) error {
	at, err := g.standing(ctx, name, of)
	call := openflow.ComponentCall{Provider: of, Component: name, By: "machine " + machine, Machine: machine, Probe: true}
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

// LoadAndStart is Load, and starts the resident containers before their first run. It waits until they serve. Errors: also
// CodeInvalid (nothing of it is resident), CodeUnavailable (a container did not get ready; it is loaded all the same), that of
// driver.NoResidents.
func (g *Registry) LoadAndStart(ctx context.Context, component, provider, user string) ([]openflow.ComponentChange, error) {
	made, err := g.Load(ctx, component, provider, user)
	if err != nil {
		return made, err
	}
	p, err := g.whose(ctx, component, provider)
	if err == nil {
		err = g.start(ctx, component, p.Ref())
	}
	return made, err
}

// start starts the resident containers of a component, or of all that a provider has.
func (g *Registry) start(ctx context.Context, name string, of openflow.ProviderRef) error {
	if g.Residents == nil {
		return driver.NoResidents()
	}
	rows, err := g.Rows.Components(ctx, of.Name, of.Version)
	if err != nil {
		return err
	}
	found := false
	for _, row := range rows {
		if (name == "" || row.Name == name) && row.Way == openflow.WayResident {
			found = true
			if err := g.Residents.Serve(ctx, of, row.Name, 0); err != nil {
				return err
			}
		}
	}
	if !found {
		return openflow.Errorf(openflow.CodeInvalid, "nothing of that is resident: each of its tasks gets a container of its own").WithHint("leave --start out")
	}
	return nil
}
