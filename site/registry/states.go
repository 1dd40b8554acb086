package registry

import (
	"context"
	"errors"

	"openflow"
)

// tell tells of a change of a component.
func (g *Registry) tell(ctx context.Context, c openflow.ComponentChange) {
	if g.Tell != nil {
		g.Tell(ctx, c)
	}
}

// change changes how components stand, and tells of it.
func (g *Registry) change(ctx context.Context, call openflow.ComponentCall) ([]openflow.ComponentChange, error) {
	made, err := g.Rows.ChangeComponents(ctx, call)
	for _, c := range made {
		g.tell(ctx, c)
	}
	return made, err
}

// Load lets jobs use a component of a provider, or all that it has: an empty name. What they run is there, or is brought, and is
// what was registered; otherwise the components have failed. Errors: CodeInvalid, CodeNotFound (no such component), those of Machine.
func (g *Registry) Load(ctx context.Context, component, provider, user string) ([]openflow.ComponentChange, error) {
	p, err := g.one(ctx, provider)
	if err != nil {
		return nil, err
	}
	call := openflow.ComponentCall{Provider: p.Ref(), Component: component, Event: openflow.ComponentLoad, By: user}
	if p.Kind != openflow.ProviderBuiltIn {
		if _, unready := g.Machine.Ready(ctx, p); unready != nil && ctx.Err() == nil {
			call.Event, call.Reason, call.Machine = openflow.ComponentFail, unready.Error(), g.Name
			made, err := g.change(ctx, call)
			return made, errors.Join(unready, err)
		}
	}
	return g.change(ctx, call)
}

// Unload keeps new jobs from a component of a provider, or from all that it has. Those that use it go on. Errors: CodeInvalid,
// CodeNotFound.
func (g *Registry) Unload(ctx context.Context, component, provider, user string) ([]openflow.ComponentChange, error) {
	p, err := g.one(ctx, provider)
	if err != nil {
		return nil, err
	}
	return g.change(ctx, openflow.ComponentCall{Provider: p.Ref(), Component: component, Event: openflow.ComponentUnload, By: user})
}

// Probe looks whether the images of the registered providers are there, on this machine, and brings back what is not.
// Components of which it is gone have failed; those that this machine has found so are loaded again once it is back.
func (g *Registry) Probe(ctx context.Context) error {
	list, err := g.Rows.Providers(ctx)
	if err != nil {
		return err
	}
	for _, p := range list {
		if p.Kind != openflow.ProviderImage {
			continue // a program is compared with its record before each run
		}
		call := openflow.ComponentCall{Provider: p.Ref(), Event: openflow.ComponentLoad, By: "machine " + g.Name, Machine: g.Name, Probe: true}
		_, unready := g.Machine.Ready(ctx, p)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if unready != nil && openflow.CodeOf(unready).Retryable() {
			continue // the runtime does not answer, which says nothing of a component
		}
		if unready != nil {
			call.Event, call.Reason = openflow.ComponentFail, unready.Error()
		}
		if _, e := g.change(ctx, call); e != nil && openflow.CodeOf(e) != openflow.CodeNotFound { // removed meanwhile
			err = errors.Join(err, e)
		}
	}
	return err
}
