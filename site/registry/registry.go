// Package registry knows who provides which components at a site, as their programs describe themselves, and which provider
// a task means.
//
// What is registered is rows of the catalogue, which replicas share. [Registry.Register] asks a program or image what it has;
// [Registry.Providers] and [Registry.Check] resolve and check tasks by what is registered when they are called.
package registry

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"openflow"
	"openflow/sdk/tables"
	"openflow/site/jobcheck"
)

// Store is the part of the catalogue that is the registry.
type Store interface {
	AddProvider(ctx context.Context, p openflow.ProviderRecord, components []openflow.ComponentRecord, papers openflow.Papers) error
	SetBuiltIn(ctx context.Context, p openflow.ProviderRecord, components []openflow.ComponentRecord) error
	Provider(ctx context.Context, name, version string) (openflow.ProviderRecord, error)
	Providers(ctx context.Context) ([]openflow.ProviderRecord, error)
	Components(ctx context.Context, name, version string) ([]openflow.ComponentRecord, error)
	Standings(ctx context.Context) ([]openflow.ComponentRecord, error)
	FailedComponents(ctx context.Context) ([]openflow.ComponentRecord, error)
	AdoptFailures(ctx context.Context, machine string, others []string) error
	ChangeComponents(ctx context.Context, call openflow.ComponentCall) ([]openflow.ComponentChange, error)
	RemoveProviders(ctx context.Context, refs ...openflow.ProviderRef) error
	SetDefault(ctx context.Context, component string, p openflow.ProviderRef) error
	Defaults(ctx context.Context) (map[string]openflow.ProviderRef, error)
}

// Registry is the registry of a site.
type Registry struct {
	Self   openflow.PartyID
	Rows   Store
	Device string // local or docker
	// Speaks completes the dialect that an operator says the containers of a program speak, and refuses one that none can.
	Speaks func(openflow.Dialect) (openflow.Dialect, error)
	// Judge holds what is to be registered against the policy of the site; nil: whatever is registered may run.
	Judge Judge
	// Machine is where programs are asked what they are; nil: none is registered here.
	Machine Machine
	ID      string // of that machine, whatever its name becomes
	Name    string // of that machine, for people
	// Tell is told of every change of a component; nil: nobody is.
	Tell func(ctx context.Context, c openflow.ComponentChange)

	// Residents are the containers here that stay between runs; nil: there are none, and no component is asked by requests.
	Residents Residents

	now func() time.Time // nil: time.Now

	mu      sync.Mutex
	read    map[openflow.ProviderRef]described
	watched map[component]*watched
}

// described is what a provider's components say, of the program with that digest as it was registered then.
type described struct {
	digest     string
	at         time.Time
	components map[string]jobcheck.Component
	probed     []openflow.ComponentRecord // those that are asked whether they work: name, way and probes
}

// BuiltIn asks the program of the built-in provider what it has, and records that. A program that the site has a record of is
// not asked again. What the site has of an earlier version of it is forgotten. Errors: CodeInvalid; those of Machine.
func BuiltIn(ctx context.Context, on Machine, rows Store, own openflow.ProviderRecord) (openflow.ProviderRecord, error) {
	list, err := rows.Providers(ctx)
	if err != nil {
		return own, err
	}
	for _, p := range list {
		if p.Kind == own.Kind && p.Digest == own.Digest && p.Dialect == own.Dialect {
			own.Name, own.Version = p.Name, p.Version
			return own, nil
		}
	}
	said, err := Describe(ctx, on, own)
	if openflow.CodeOf(err) == openflow.CodeInvalid {
		err = openflow.Errorf(openflow.CodeInvalid, "the program of the built-in provider: %w", err).WithHint("build it with make build")
	}
	if err != nil {
		return own, err
	}
	own.Name, own.Version = said.Provider.Name, said.Provider.Version
	return own, rows.SetBuiltIn(ctx, own, said.Components)
}

// one finds the registered provider that a user's reference names. A name alone is enough when it has one version, and so is the
// beginning of a version, as in jobs. Errors: CodeInvalid, CodeNotFound.
func (g *Registry) one(ctx context.Context, text string) (openflow.ProviderRecord, error) {
	ref, err := openflow.ParseProvider(text)
	if err != nil {
		return openflow.ProviderRecord{}, err
	}
	if ref.Name == "" || ref.Device != "" {
		return openflow.ProviderRecord{}, openflow.Errorf(openflow.CodeInvalid, "%q does not name one provider", text).WithHint("write name or name:version")
	}
	list, err := g.Rows.Providers(ctx)
	if err != nil {
		return openflow.ProviderRecord{}, err
	}
	refs := make([]openflow.ProviderRef, len(list))
	for i, p := range list {
		refs[i] = p.Ref()
	}
	switch found := fitting(refs, []openflow.ProviderRef{ref}); len(found) {
	case 0:
		return g.Rows.Provider(ctx, ref.Name, ref.Version) // says that there is none
	case 1:
		return list[slices.Index(refs, found[0])], nil
	default:
		return openflow.ProviderRecord{}, openflow.Errorf(openflow.CodeInvalid, "provider %s has several versions", ref).WithHint("name one of: %s", listed(found))
	}
}

// Show finds a provider, and what it has. Errors: CodeInvalid, CodeNotFound.
func (g *Registry) Show(ctx context.Context, provider string) (openflow.ProviderRecord, []openflow.ComponentRecord, error) {
	p, err := g.one(ctx, provider)
	if err != nil {
		return p, nil, err
	}
	components, err := g.Rows.Components(ctx, p.Name, p.Version)
	return p, components, err
}

// List lists the providers, the built-in one first.
func (g *Registry) List(ctx context.Context) ([]openflow.ProviderRecord, error) {
	return g.Rows.Providers(ctx)
}

// Remove forgets a provider. Errors: CodeConflict (runs need it, or it is the built-in one), CodeNotFound.
func (g *Registry) Remove(ctx context.Context, provider, user string) (openflow.ProviderRecord, error) {
	p, err := g.one(ctx, provider)
	if err != nil {
		return p, err
	}
	return p, g.RemoveAll(ctx, []openflow.ProviderRecord{p}, user)
}

// RemoveAll forgets providers: all of them, or none. Errors: those of Remove.
func (g *Registry) RemoveAll(ctx context.Context, list []openflow.ProviderRecord, user string) error {
	var gone []openflow.ComponentRecord
	refs := make([]openflow.ProviderRef, len(list))
	for i, p := range list {
		if p.Kind == openflow.ProviderBuiltIn {
			return openflow.Errorf(openflow.CodeConflict, "provider %s is the built-in one, which every node brings along", p.Ref()).
				WithHint("openflow component unload --provider %s keeps jobs from it", p.Ref())
		}
		components, err := g.Rows.Components(ctx, p.Name, p.Version)
		if err != nil {
			return err
		}
		refs[i], gone = p.Ref(), append(gone, components...)
	}
	if err := g.Rows.RemoveProviders(ctx, refs...); err != nil {
		return err
	}
	for _, ref := range refs {
		g.forget(ref, "")
	}
	for _, c := range gone {
		g.tell(ctx, openflow.ComponentChange{Component: c.Name, Provider: c.Provider, From: c.Standing.State, By: user, At: time.Now()})
	}
	return nil
}

// Prefer makes a provider the one that serves a component where the job names none; an empty one takes that back. Errors:
// CodeInvalid (it has no such component), CodeNotFound.
func (g *Registry) Prefer(ctx context.Context, component, provider string) error {
	if err := openflow.CheckIdentifier("component", component); err != nil {
		return err
	}
	if provider == "" {
		return g.Rows.SetDefault(ctx, component, openflow.ProviderRef{})
	}
	p, components, err := g.Show(ctx, provider)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(components, func(c openflow.ComponentRecord) bool { return c.Name == component }) {
		return openflow.Errorf(openflow.CodeInvalid, "provider %s has no component %q", p.Ref(), component).
			WithHint("openflow provider show %s lists what it has", p.Ref())
	}
	return g.Rows.SetDefault(ctx, component, p.Ref())
}

// offered reads what is offered now, with the descriptions.
func (g *Registry) offered(ctx context.Context) (offers, error) {
	o := offers{
		device: g.Device, known: map[string]bool{}, of: map[string][]openflow.ProviderRef{}, closed: map[string][]openflow.ProviderRef{},
		standing: map[component]openflow.ComponentStanding{},
		digests:  map[openflow.ProviderRef]string{}, described: map[openflow.ProviderRef]map[string]jobcheck.Component{},
	}
	list, err := g.Rows.Providers(ctx)
	if err != nil {
		return o, err
	}
	standings, err := g.Rows.Standings(ctx)
	if err != nil {
		return o, err
	}
	for _, c := range standings {
		o.standing[component{c.Provider, c.Name}] = c.Standing
	}
	for _, p := range list {
		o.known[p.Name] = true
		if p.Kind == openflow.ProviderBuiltIn {
			o.builtIn = p.Ref()
		}
		components, err := g.components(ctx, p)
		if err != nil {
			return o, err
		}
		o.described[p.Ref()], o.digests[p.Ref()] = components, p.Digest
		for name := range components {
			by := o.closed
			if o.standing[component{p.Ref(), name}].State.TakesJobs() {
				by = o.of
			}
			by[name] = append(by[name], p.Ref())
		}
	}
	for _, by := range []map[string][]openflow.ProviderRef{o.of, o.closed} {
		for _, refs := range by {
			slices.SortFunc(refs, inOrder)
		}
	}
	o.defaults, err = g.Rows.Defaults(ctx)
	return o, err
}

// components are what a provider has, read once for each registration: the same image may be described otherwise in the next.
func (g *Registry) components(ctx context.Context, p openflow.ProviderRecord) (map[string]jobcheck.Component, error) {
	g.mu.Lock()
	have, ok := g.read[p.Ref()]
	g.mu.Unlock()
	if ok && have.digest == p.Digest && have.at.Equal(p.AddedAt) {
		return have.components, nil
	}
	rows, err := g.Rows.Components(ctx, p.Name, p.Version)
	if err != nil {
		return nil, err
	}
	have = described{digest: p.Digest, at: p.AddedAt, components: map[string]jobcheck.Component{}}
	for _, row := range rows {
		if have.components[row.Name], err = jobcheck.Of(row); err != nil {
			return nil, openflow.Errorf(openflow.CodeInternal, "the catalogue's description of component %q of provider %s is not readable: %w", row.Name, p.Ref(), err)
		}
		one := have.components[row.Name]
		one.Exact = p.Kind != openflow.ProviderBuiltIn // our own programs read values as FATE does
		have.components[row.Name] = one
		if len(row.Probes) > 0 {
			have.probed = append(have.probed, openflow.ComponentRecord{Name: row.Name, Way: row.Way, Probes: row.Probes})
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.read == nil {
		g.read = map[openflow.ProviderRef]described{}
	}
	g.read[p.Ref()] = have
	return have.components, nil
}

// Names lists the components that jobs may use, each once.
func (g *Registry) Names(ctx context.Context) ([]string, error) {
	o, err := g.offered(ctx)
	return o.names(), err
}

// Offer is a component of a provider.
type Offer struct {
	openflow.ComponentRecord
	Default bool // it serves jobs that name no provider
}

// Offers lists the components of every provider, by name. How each stands says whether jobs may use it.
func (g *Registry) Offers(ctx context.Context) ([]Offer, error) {
	o, err := g.offered(ctx)
	if err != nil {
		return nil, err
	}
	var list []Offer
	for p := range o.described {
		rows, err := g.Rows.Components(ctx, p.Name, p.Version)
		if err != nil {
			return nil, err
		}
		for _, row := range rows {
			chosen, err := o.resolve(row.Name, usual)
			list = append(list, Offer{row, err == nil && chosen.Name == p.Name && chosen.Version == p.Version})
		}
	}
	slices.SortFunc(list, func(a, b Offer) int {
		if n := strings.Compare(a.Name, b.Name); n != 0 {
			return n
		}
		return inOrder(a.Provider, b.Provider)
	})
	return list, nil
}

// Offer finds what serves a component for a job that names it so, such as psi or acme:psi@1.2, and wants this provider; empty: any.
// Where none takes jobs, it is the only one that has the component. Errors: CodeInvalid.
func (g *Registry) Offer(ctx context.Context, reference, provider string) (Offer, error) {
	o, err := g.offered(ctx)
	if err != nil {
		return Offer{}, err
	}
	component, of, err := openflow.ParseComponent(reference)
	if err != nil {
		return Offer{}, err
	}
	w, err := wishOf(openflow.TaskSpec{Of: of, Conf: openflow.TaskConf{Provider: provider}})
	if err != nil {
		return Offer{}, err
	}
	ref, err := o.resolve(component, w)
	if err != nil {
		ref = o.only(component, w)
	}
	if ref.Name == "" {
		return Offer{}, err
	}
	first, err := o.resolve(component, usual)
	isDefault := err == nil && first == ref
	rows, err := g.Rows.Components(ctx, ref.Name, ref.Version)
	for _, row := range rows {
		if row.Name == component {
			return Offer{row, isDefault}, nil
		}
	}
	return Offer{}, cmp.Or(err, error(openflow.Errorf(openflow.CodeUnavailable, "provider %s is being removed", ref)))
}

// Providers implements partner.Components: it says which provider serves each of these tasks, in full.
func (g *Registry) Providers(ctx context.Context, specs []openflow.TaskSpec) ([]openflow.Served, error) {
	o, err := g.offered(ctx)
	if err != nil {
		return nil, err
	}
	served := make([]openflow.Served, len(specs))
	defaults := map[openflow.ProviderRef]map[string]openflow.Parameters{}
	for i, spec := range specs {
		w, err := wishOf(spec)
		if err != nil {
			return nil, err
		}
		ref, err := o.resolve(spec.Component, w)
		if err != nil {
			return nil, err
		}
		served[i].Provider = ref.String()
		ref.Device = ""
		if defaults[ref] == nil {
			defaults[ref] = map[string]openflow.Parameters{}
		}
		if defaults[ref][spec.Component] == nil {
			defaults[ref][spec.Component] = o.described[ref][spec.Component].Defaults()
		}
		served[i].Digest, served[i].Defaults = o.digests[ref], defaults[ref][spec.Component]
		served[i].Protocols = o.described[ref][spec.Component].Protocols
		served[i].Least = o.described[ref][spec.Component].Least
		served[i].Resident = o.described[ref][spec.Component].Resident(spec.Conf)
	}
	return served, nil
}

// Given are the parameters that a component of a provider is given where a job leaves them out: those of its description, by which
// limits of grants and the check have judged the job. The built-in provider's program describes itself, and takes its own. Errors:
// CodeInvalid, CodeNotFound (there is no such provider any more).
func (g *Registry) Given(ctx context.Context, provider, component string) (openflow.Parameters, error) {
	ref, err := openflow.ParseProvider(provider)
	if err != nil {
		return nil, err
	}
	p, err := g.Rows.Provider(ctx, ref.Name, ref.Version)
	if err != nil || p.Kind == openflow.ProviderBuiltIn {
		return nil, err
	}
	has, err := g.components(ctx, p)
	return has[component].Defaults(), err
}

// Spoken implements partner.Components.
func (g *Registry) Spoken(ctx context.Context, tasks []openflow.TaskRecord) ([]openflow.Spoken, error) {
	if len(tasks) == 0 {
		return nil, nil
	}
	o, err := g.offered(ctx)
	if err != nil {
		return nil, err
	}
	var list []openflow.Spoken
	for _, t := range tasks {
		ref, err := openflow.ParseProvider(t.Provider)
		if err != nil {
			return nil, err
		}
		ref.Device = ""
		if c, has := o.described[ref][t.Component]; has {
			list = append(list, openflow.Spoken{Task: t.Key.Task, Provider: ref, Protocols: c.Protocols})
		}
	}
	return list, nil
}

// Check implements partner.Components and initiator.Components.
func (g *Registry) Check(
	ctx context.Context, d *openflow.DAG, parties []openflow.Party, known map[openflow.TableName]openflow.TableRecord,
) ([]openflow.Mistake, []string, error) {
	o, err := g.offered(ctx)
	if err != nil {
		return nil, nil, err
	}
	site := jobcheck.Site{Self: g.Self, Find: o.find, Labels: func(n openflow.TableName) (string, func(string) bool, bool) {
		rec, ok := known[n]
		if !ok {
			return "", nil, false
		}
		schema, err := tables.ParseDataMeta(rec.Meta)
		if err != nil {
			return "", nil, false // its rows are none of a dataframe; whoever reads them will say so
		}
		label := ""
		if schema.Label != nil {
			label = schema.Label.Name
		}
		return label, func(column string) bool { return slices.Contains(schema.Names(), column) }, true
	}, Type: func(n openflow.TableName) (string, bool) {
		rec, ok := known[n]
		return rec.DataType, ok && rec.DataType != ""
	}}
	mistakes, warnings := site.Check(d, parties)
	return mistakes, warnings, nil
}

// find describes the component of a task as its provider does.
func (o offers) find(spec openflow.TaskSpec) (jobcheck.Component, *jobcheck.Unresolved) {
	w, err := wishOf(spec)
	var ref openflow.ProviderRef
	if err == nil {
		ref, err = o.resolve(spec.Component, w)
	}
	if err != nil {
		why := &jobcheck.Unresolved{Member: "conf.provider", Message: err.Error()}
		if w.conf == (openflow.ProviderRef{}) && w.ref != (openflow.ProviderRef{}) {
			why.Member = "component_ref"
		}
		var said *openflow.Error
		if errors.As(err, &said) {
			why.Message, why.Remedy = said.Message, said.Hint
		}
		if public := openflow.PublicText(err); public != "" {
			why.Message, why.Private = public, why.Message
		}
		if len(o.of[spec.Component])+len(o.closed[spec.Component]) == 0 {
			why.Member = "component_ref"
		}
		return jobcheck.Component{}, why
	}
	ref.Device = ""
	return o.described[ref][spec.Component], nil
}
