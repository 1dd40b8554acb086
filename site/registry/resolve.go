package registry

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"openflow"
	"openflow/site/jobcheck"
)

// foreign is FATE's own provider, which unmodified pipelines name whoever is to serve them.
const foreign = "fate"

// component names one of a provider.
type component struct {
	of   openflow.ProviderRef
	name string
}

// offers are what a site can run: the providers of each component that take new jobs, and what its operator prefers.
type offers struct {
	device   string
	builtIn  openflow.ProviderRef
	known    map[string]bool                   // names of all providers, also of those that take no new jobs
	of       map[string][]openflow.ProviderRef // by component
	closed   map[string][]openflow.ProviderRef // by component: those of which it takes no new jobs
	standing map[component]openflow.ComponentStanding
	defaults map[string]openflow.ProviderRef // by component

	described map[openflow.ProviderRef]map[string]jobcheck.Component
	digests   map[openflow.ProviderRef]string // of their programs
}

func (o offers) names() []string { return slices.Sorted(maps.Keys(o.of)) }

// resolve says which provider serves a component for a job that wants this one; every part of wanted may be empty.
//
//  1. A name or version that the job gives must fit. FATE's own name, of which no provider is registered, is no wish.
//  2. Of several that fit, the one that the operator has set for the component is taken.
//  3. Otherwise the built-in one.
//  4. Otherwise the only one. Several are refused with their list.
//
// The device, where the job gives one, must be the site's. Errors: CodeInvalid.
func (o offers) resolve(name string, wanted openflow.ProviderRef) (openflow.ProviderRef, error) {
	if wanted.Name == foreign && !o.known[foreign] {
		wanted = openflow.ProviderRef{}
	}
	fits := func(p openflow.ProviderRef) bool {
		return (wanted.Name == "" || wanted.Name == p.Name) && (wanted.Version == "" || wanted.Version == p.Version)
	}
	all := o.of[name]
	if len(all)+len(o.closed[name]) == 0 {
		return openflow.ProviderRef{}, openflow.Errorf(openflow.CodeInvalid, "no component %q at this site", openflow.Cut(name, 80)).
			WithHint("it has: %s", strings.Join(o.names(), ", "))
	}
	if wanted.Device != "" && wanted.Device != o.device {
		return openflow.ProviderRef{}, openflow.Errorf(openflow.CodeInvalid, "no provider %q at this site, which runs on device %s", wanted, o.device).
			WithHint("leave the device out of provider, there or in dag.conf.task")
	}
	var fit []openflow.ProviderRef
	for _, p := range all {
		if fits(p) {
			fit = append(fit, p)
		}
	}
	preferred := func(p openflow.ProviderRef) bool { return p == o.defaults[name] }
	for _, prefer := range []func(openflow.ProviderRef) bool{
		preferred, func(p openflow.ProviderRef) bool { return p == o.builtIn }, func(openflow.ProviderRef) bool { return len(fit) == 1 },
	} {
		if i := slices.IndexFunc(fit, prefer); i >= 0 {
			return openflow.ProviderRef{Name: fit[i].Name, Version: fit[i].Version, Device: o.device}, nil
		}
	}
	if i := slices.IndexFunc(o.closed[name], fits); i >= 0 && len(fit) == 0 {
		return openflow.ProviderRef{}, o.refusal(name, o.closed[name][i])
	}
	if len(fit) == 0 {
		err := openflow.Errorf(openflow.CodeInvalid, "no provider %q of component %q at this site", wanted, name)
		if len(all) == 0 {
			return openflow.ProviderRef{}, err.WithHint("those that have it take no jobs of it: %s", listed(o.closed[name]))
		}
		return openflow.ProviderRef{}, err.WithHint("its providers: %s; or leave provider out there and in dag.conf.task", listed(all))
	}
	return openflow.ProviderRef{}, openflow.Errorf(openflow.CodeInvalid, "component %q has several providers at this site", name).
		WithHint("name one of them in the task's conf.provider: %s", listed(fit))
}

// refusal is why a component of a provider takes no new jobs. Other parties may know that it does not, and not why.
func (o offers) refusal(name string, of openflow.ProviderRef) error {
	at := o.standing[component{of, name}]
	told := openflow.Errorf(openflow.CodeInvalid, "component %q of provider %s is %s at this site, and takes no new jobs", name, of, at.State).
		WithPublic("component %q of provider %s takes no new jobs there", name, of)
	if at.Reason != "" {
		told.Message += ": " + at.Reason
	}
	hint := "the operator of that site runs: openflow component load " + name + " --provider " + of.String()
	if others := o.of[name]; len(others) > 0 {
		hint += "; or name another provider: " + listed(others)
	}
	return told.WithHint("%s", hint)
}

// only is the one provider that has a component and takes no jobs of it; the zero value: there is none, or several.
func (o offers) only(name string, wanted openflow.ProviderRef) (found openflow.ProviderRef) {
	for _, p := range o.closed[name] {
		if (wanted.Name == "" || wanted.Name == p.Name) && (wanted.Version == "" || wanted.Version == p.Version) {
			if found.Name != "" {
				return openflow.ProviderRef{}
			}
			found = p
		}
	}
	return found
}

func listed(refs []openflow.ProviderRef) string {
	texts := make([]string, len(refs))
	for i, r := range refs {
		texts[i] = r.String()
	}
	return strings.Join(texts, ", ")
}

// inOrder sorts references by name and version.
func inOrder(a, b openflow.ProviderRef) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Version, b.Version))
}
