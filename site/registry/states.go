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

// whose is the provider that a user means. Without its name, it is the only one that has the component. Errors: CodeInvalid,
// CodeNotFound.
func (g *Registry) whose(ctx context.Context, component, provider string) (openflow.ProviderRecord, error) {
	if provider != "" || component == "" {
		return g.one(ctx, provider)
	}
	list, err := g.Rows.Standings(ctx)
	if err != nil {
		return openflow.ProviderRecord{}, err
	}
	var have []openflow.ProviderRef
	for _, c := range list {
		if c.Name == component {
			have = append(have, c.Provider)
		}
	}
	switch len(have) {
	case 0:
		return openflow.ProviderRecord{}, openflow.Errorf(openflow.CodeNotFound, "no component %q at this site", openflow.Cut(component, 80)).
			WithHint("openflow component list shows which there are")
	case 1:
		return g.Rows.Provider(ctx, have[0].Name, have[0].Version)
	}
	return openflow.ProviderRecord{}, openflow.Errorf(openflow.CodeInvalid, "component %q has several providers at this site", component).
		WithHint("name one of them with --provider: %s", listed(have))
}

// Standings tells how the components of each provider stand, without their descriptions.
func (g *Registry) Standings(ctx context.Context) (map[openflow.ProviderRef][]openflow.ComponentRecord, error) {
	list, err := g.Rows.Standings(ctx)
	of := map[openflow.ProviderRef][]openflow.ComponentRecord{}
	for _, c := range list {
		of[c.Provider] = append(of[c.Provider], c)
	}
	return of, err
}

// Load lets jobs use a component of a provider, or all that it has: an empty name. What they run is there, or is brought, and is
// what was registered; otherwise the components have failed. Errors: CodeInvalid, CodeNotFound (no such component), those of Machine.
func (g *Registry) Load(ctx context.Context, component, provider, user string) ([]openflow.ComponentChange, error) {
	return g.load(ctx, component, provider, user, false)
}

// LoadAndStart is Load, and starts the resident containers before their first run. It waits until they serve. Errors: also
// CodeInvalid (nothing of it is resident), CodeUnavailable (a container did not get ready; it is loaded all the same).
func (g *Registry) LoadAndStart(ctx context.Context, component, provider, user string) ([]openflow.ComponentChange, error) {
	return g.load(ctx, component, provider, user, true)
}

func (g *Registry) load(ctx context.Context, component, provider, user string, start bool) ([]openflow.ComponentChange, error) {
	p, err := g.whose(ctx, component, provider)
	if err != nil {
		return nil, err
	}
	call := openflow.ComponentCall{Provider: p.Ref(), Component: component, Event: openflow.ComponentLoad, By: "user " + user}
	if p.Kind != openflow.ProviderBuiltIn {
		if _, unready := g.ready(ctx, p); unready != nil && ctx.Err() == nil {
			call.Event, call.Reason, call.Machine = openflow.ComponentFail, unready.Error(), g.Name
			made, err := g.change(ctx, call)
			return made, errors.Join(unready, err)
		}
	}
	made, err := g.change(ctx, call)
	if err == nil && start {
		err = g.start(ctx, component, p.Ref())
	}
	return made, err
}

// Unload keeps new jobs from a component of a provider, or from all that it has. Those that use it go on. Errors: CodeInvalid,
// CodeNotFound.
func (g *Registry) Unload(ctx context.Context, component, provider, user string) ([]openflow.ComponentChange, error) {
	p, err := g.whose(ctx, component, provider)
	if err != nil {
		return nil, err
	}
	return g.change(ctx, openflow.ComponentCall{Provider: p.Ref(), Component: component, Event: openflow.ComponentUnload, By: "user " + user})
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
		_, unready := g.ready(ctx, p)
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
