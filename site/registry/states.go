package registry

import (
	"context"
	"errors"
	"maps"
	"slices"

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
	p, err := g.whose(ctx, component, provider)
	if err != nil {
		return nil, err
	}
	call := openflow.ComponentCall{Provider: p.Ref(), Component: component, Event: openflow.ComponentLoad, By: user}
	g.forget(p.Ref(), component)
	if p.Kind == openflow.ProviderBuiltIn {
		return g.change(ctx, call)
	}
	if _, unready := g.ready(ctx, p); unready != nil && ctx.Err() == nil {
		call.Event, call.Reason, call.Machine = openflow.ComponentFail, unready.Error(), g.ID
		made, err := g.change(ctx, call)
		return made, errors.Join(unready, err)
	}
	list, err := g.Rows.Components(ctx, p.Name, p.Version)
	if err != nil {
		return nil, err
	}
	if component != "" {
		list = slices.DeleteFunc(list, func(c openflow.ComponentRecord) bool { return c.Name != component })
	}
	failed := g.startUp(ctx, p, list)
	if len(failed) == 0 {
		return g.change(ctx, call)
	}
	made, err := g.fail(ctx, p, failed)
	for _, c := range list {
		if _, cannot := failed[c.Name]; cannot || err != nil {
			continue
		}
		var loaded []openflow.ComponentChange
		call.Component = c.Name
		loaded, err = g.change(ctx, call)
		made = append(made, loaded...)
	}
	if err != nil {
		return made, err
	}
	name := slices.Sorted(maps.Keys(failed))[0]
	return made, openflow.Errorf(openflow.CodeConflict, "component %q of provider %s is not loaded: %s", name, p.Ref(), failed[name]).
		WithHint("it is loaded once it works; openflow component show says how it stands")
}

// fail notes that components do not work here, each with its reason.
func (g *Registry) fail(ctx context.Context, p openflow.ProviderRecord, why map[string]string) ([]openflow.ComponentChange, error) {
	var all []openflow.ComponentChange
	for _, name := range slices.Sorted(maps.Keys(why)) {
		made, err := g.change(ctx, openflow.ComponentCall{
			Provider: p.Ref(), Component: name, Event: openflow.ComponentFail, Reason: why[name], By: "machine " + g.Name, Machine: g.ID,
		})
		all = append(all, made...)
		if err != nil {
			return all, err
		}
	}
	return all, nil
}

// Unload keeps new jobs from a component of a provider, or from all that it has. Those that use it go on. Errors: CodeInvalid,
// CodeNotFound.
func (g *Registry) Unload(ctx context.Context, component, provider, user string) ([]openflow.ComponentChange, error) {
	p, err := g.whose(ctx, component, provider)
	if err != nil {
		return nil, err
	}
	return g.change(ctx, openflow.ComponentCall{Provider: p.Ref(), Component: component, Event: openflow.ComponentUnload, By: user})
}

// Probe looks whether what the registered providers run is there, on this machine, and brings back images that are not.
// Components of which it is gone have failed. Those that this machine has found so are loaded again once it is back, and those that
// say how they are asked when they have answered; see AskProbes. A program that nothing has failed of is compared with its record
// before each run.
func (g *Registry) Probe(ctx context.Context) error {
	list, err := g.Rows.Providers(ctx)
	if err != nil {
		return err
	}
	standings, err := g.Standings(ctx)
	if err != nil {
		return err
	}
	for _, p := range list {
		if p.Kind == openflow.ProviderBuiltIn {
			continue // every machine brings its own
		}
		err = errors.Join(err, g.look(ctx, p, standings[p.Ref()]))
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	return err
}

// TakeOver has this machine look again at what others have found that are not there any more: it loads what they would have. Those
// that are alive look themselves. It is for the start of a node.
func (g *Registry) TakeOver(ctx context.Context, alive []string) error {
	return g.Rows.AdoptFailures(ctx, g.ID, alive)
}

// look looks for what one provider runs.
func (g *Registry) look(ctx context.Context, p openflow.ProviderRecord, components []openflow.ComponentRecord) error {
	serves, mine := false, map[string]bool{}
	for _, c := range components {
		serves = serves || c.Standing.State.TakesJobs()
		if c.Standing.State == openflow.ComponentFailed && c.Standing.Machine == g.ID {
			mine[c.Name] = true
		}
	}
	if len(mine) == 0 && (!serves || p.Kind == openflow.ProviderProgram || p.Kind == openflow.ProviderFolder) {
		return nil
	}
	_, unready := g.ready(ctx, p)
	if ctx.Err() != nil || unready != nil && openflow.CodeOf(unready).Retryable() {
		return nil // the runtime does not answer, which says nothing of a component
	}
	call := openflow.ComponentCall{Provider: p.Ref(), Event: openflow.ComponentLoad, By: "machine " + g.Name, Machine: g.ID, Probe: true}
	if unready != nil {
		call.Event, call.Reason = openflow.ComponentFail, unready.Error()
		_, err := g.change(ctx, call)
		return ifThere(err)
	}
	asked, err := g.probed(ctx, p)
	for _, c := range asked {
		delete(mine, c.Name)
	}
	for _, name := range slices.Sorted(maps.Keys(mine)) {
		if err == nil {
			call.Component = name
			_, err = g.change(ctx, call)
		}
	}
	return ifThere(err)
}

// ifThere passes over that a provider was removed meanwhile.
func ifThere(err error) error {
	if openflow.CodeOf(err) == openflow.CodeNotFound {
		return nil
	}
	return err
}

// Failed implements partner.Components.
func (g *Registry) Failed(ctx context.Context) ([]openflow.ComponentRecord, error) {
	return g.Rows.FailedComponents(ctx)
}
