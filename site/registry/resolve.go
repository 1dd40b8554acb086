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

// wish is what a job says of whose component a task runs: in component_ref, and in the nearest conf.provider that says anything.
// Both hold. What of them is empty is open.
type wish struct{ ref, conf openflow.ProviderRef }

// wishOf is the wish of a task. Errors: CodeInvalid.
func wishOf(spec openflow.TaskSpec) (wish, error) {
	conf, err := openflow.ParseProvider(spec.Conf.Provider)
	return wish{spec.Of, conf}, err
}

// usual is no wish at all.
var usual wish

// parts are those of the two that say anything. FATE's own name, of which no provider is registered, is no wish.
func (w wish) parts(known map[string]bool) []openflow.ProviderRef {
	var parts []openflow.ProviderRef
	for _, p := range []openflow.ProviderRef{w.ref, w.conf} {
		if p != (openflow.ProviderRef{}) && (p.Name != foreign || known[foreign]) {
			parts = append(parts, p)
		}
	}
	return parts
}

// String is the wish as messages repeat it.
func (w wish) String() string {
	switch {
	case w.ref == openflow.ProviderRef{}:
		return w.conf.String()
	case w.conf == openflow.ProviderRef{}:
		return w.ref.String()
	}
	return w.ref.String() + " and " + w.conf.String()
}

// resolve says which provider serves a component for a job with that wish.
//
//  1. Those that fit: name, version and device that the job gives. A version means all that begin with it, up to a point;
//     where a provider has the very one, only that fits of it. FATE's own name, of which no provider is registered, is no wish.
//  2. Of several that fit, the one that the operator has set for the component is taken.
//  3. Otherwise the built-in one.
//  4. Otherwise the newest version, where all that fit are of one provider. Several providers are refused with their list.
//
// docs/providers.md has the rule as a table, and TestResolve its cases. Other parties read no list of what a site has. Errors:
// CodeInvalid.
func (o offers) resolve(name string, w wish) (openflow.ProviderRef, error) {
	all, wanted := o.of[name], w.parts(o.known)
	if len(all)+len(o.closed[name]) == 0 {
		short := openflow.Cut(name, 80)
		return openflow.ProviderRef{}, openflow.Errorf(openflow.CodeInvalid, "no component %q at this site, which has: %s", short, strings.Join(o.names(), ", ")).
			WithPublic("no component %q there", short).WithHint("name one that the site has")
	}
	for _, p := range wanted {
		if p.Device != "" && p.Device != o.device {
			return openflow.ProviderRef{}, openflow.Errorf(openflow.CodeInvalid, "no provider %q at this site, which runs on device %s", p, o.device).
				WithPublic("no provider %q there, which runs on another device", p).WithHint("leave the device out of provider, there or in dag.conf.task")
		}
	}
	fit := fitting(all, wanted)
	preferred := func(p openflow.ProviderRef) bool { return p == o.defaults[name] }
	for _, prefer := range []func(openflow.ProviderRef) bool{preferred, func(p openflow.ProviderRef) bool { return p == o.builtIn }} {
		if i := slices.IndexFunc(fit, prefer); i >= 0 {
			return o.onDevice(fit[i]), nil
		}
	}
	if newest := newestOfEach(fit); len(newest) == 1 {
		return o.onDevice(newest[0]), nil
	}
	return openflow.ProviderRef{}, o.unresolved(name, w, fit, wanted)
}

// onDevice is a provider on the site's device.
func (o offers) onDevice(p openflow.ProviderRef) openflow.ProviderRef {
	p.Device = o.device
	return p
}

// fitting are the providers that all wishes mean. Where a provider has the very version that is named, its others are not meant.
func fitting(all, wanted []openflow.ProviderRef) []openflow.ProviderRef {
	fit := slices.Clone(all)
	for _, w := range wanted {
		fit = slices.DeleteFunc(fit, func(p openflow.ProviderRef) bool { return !w.Fits(p) })
		very := map[string]bool{}
		for _, p := range fit {
			very[p.Name] = very[p.Name] || p.Version == w.Version
		}
		fit = slices.DeleteFunc(fit, func(p openflow.ProviderRef) bool { return very[p.Name] && p.Version != w.Version })
	}
	return fit
}

// newestOfEach keeps the newest version of each provider.
func newestOfEach(refs []openflow.ProviderRef) []openflow.ProviderRef {
	newest := map[string]openflow.ProviderRef{}
	for _, r := range refs {
		if have, has := newest[r.Name]; !has || openflow.CompareVersions(r.Version, have.Version) > 0 {
			newest[r.Name] = r
		}
	}
	return slices.SortedFunc(maps.Values(newest), inOrder)
}

// unresolved says why no provider serves a component: none fits, or several do.
func (o offers) unresolved(name string, w wish, fit, wanted []openflow.ProviderRef) error {
	all := o.of[name]
	off := fitting(o.closed[name], wanted)
	switch {
	case len(fit) > 0:
		return openflow.Errorf(openflow.CodeInvalid, "component %q has several providers at this site: %s", name, listed(fit)).
			WithPublic("component %q has several providers there", name).WithHint("name one of them in the task's conf.provider")
	case len(off) > 0:
		return o.refusal(name, off[len(off)-1])
	}
	what, whose := "its providers are", all
	if len(all) == 0 {
		what, whose = "those that have it take no jobs of it", o.closed[name]
	}
	return openflow.Errorf(openflow.CodeInvalid, "no provider %q of component %q at this site; %s: %s", w, name, what, listed(whose)).
		WithPublic("no provider %q of component %q there", w, name).WithHint("name another provider of it, or none at all")
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
	if at.State == openflow.ComponentFailed {
		hint = "it takes jobs again once the cause is mended: openflow component show " + name + " --provider " + of.String()
	}
	if others := o.of[name]; len(others) > 0 {
		told.Message += "; other providers of it are: " + listed(others)
	}
	return told.WithHint("%s", hint)
}

// only is the one provider that a job can mean which takes no jobs of a component; the zero value: there is none, or several.
func (o offers) only(name string, w wish) openflow.ProviderRef {
	if found := fitting(o.closed[name], w.parts(o.known)); len(found) == 1 {
		return found[0]
	}
	return openflow.ProviderRef{}
}

func listed(refs []openflow.ProviderRef) string {
	texts := make([]string, len(refs))
	for i, r := range refs {
		texts[i] = r.String()
	}
	return strings.Join(texts, ", ")
}

// inOrder sorts references by name, and old versions before new ones.
func inOrder(a, b openflow.ProviderRef) int {
	return cmp.Or(cmp.Compare(a.Name, b.Name), openflow.CompareVersions(a.Version, b.Version))
}
