// Package fate reads FATE's component specification, in which our own kit describes components too. Ours in it are needs,
// protocols, wishes, way, resident and probes, alike of a parameter, and labelled, label_name and like of an artifact.
//
// Spec: fate-components §1.1, §1.2, fate-flow-api §3.11.
package fate

import (
	"encoding/json"
	"slices"

	"openflow"
	"openflow/description"
)

// Form is FATE's.
type Form struct{}

// Name implements description.Form.
func (Form) Name() string { return "fate" }

// Is implements description.Form.
func (Form) Is(members map[string]any) bool { _, has := members["component"]; return has }

// types are what artifacts may be, by kind; the first is meant where a description says nothing.
//
// Spec: fate-components §1.2.
var types = map[openflow.InputKind][]string{
	openflow.InputData:    {"dataframe", "table", "data_directory", "data_unresolved"},
	openflow.InputModel:   {"json_model", "model_directory", "model_unresolved"},
	openflow.OutputMetric: {"json_metric"},
}

// roles are all that there are: a component that names none has a part for each.
var roles = []openflow.Role{openflow.RoleGuest, openflow.RoleHost, openflow.RoleArbiter, openflow.RoleLocal}

// Read implements description.Form.
func (Form) Read(r *description.Reading, document *description.Object) openflow.ComponentRecord {
	version := document.Text("schema_version")
	if version != "" && version != "v1" {
		r.Warn("schema_version is %q, and v1 is known here; it is read as v1", openflow.Cut(version, 80))
	}
	o := document.Object("component")
	c := openflow.ComponentRecord{
		Name: o.Text("name"), Provider: openflow.ProviderRef{Name: o.Text("provider"), Version: o.Text("version")},
		Summary: o.Text("description"), Roles: o.Roles("roles"), Way: openflow.Way(o.Text("way")), Runs: o.Residents("resident"),
	}
	if len(c.Roles) == 0 {
		c.Roles = roles
		r.Warn("component.roles names none; it is taken for a component of every role")
	}
	o.Texts("labels")
	parameters := o.Object("parameters")
	for _, name := range parameters.Names() {
		c.Parameters = append(c.Parameters, parameter(name, parameters.Object(name)))
	}
	c.Inputs = artifacts(r, o.Object("input_artifacts"), openflow.InputData, openflow.InputModel)
	c.Outputs = artifacts(r, o.Object("output_artifacts"), openflow.InputData, openflow.InputModel, openflow.OutputMetric)
	c.Stages = active(c)
	for _, list := range [][]openflow.ComponentArtifact{c.Inputs, c.Outputs} {
		for i := range list {
			if len(list[i].Stages) == 0 {
				list[i].Stages = c.Stages
			}
			if len(list[i].Roles) == 0 {
				list[i].Roles = c.Roles
			}
		}
	}
	for _, n := range o.Objects("needs") {
		c.Needs = append(c.Needs, need(n))
	}
	c.Protocols, c.Declared = o.Protocols("protocols")
	c.Wishes = o.Wishes("wishes")
	c.Probes = o.Probes("probes")
	o.Without()
	document.Without()
	return c
}

func parameter(name string, o *description.Object) openflow.ComponentParameter {
	p := openflow.ComponentParameter{
		Name: name, Summary: o.Text("description"), Optional: o.Truth("optional", false), Default: o.Any("default"), Alike: o.Truth("alike", false),
	}
	meta := o.Object("type_meta")
	if title := meta.Any("title"); title != name {
		p.Title, _ = title.(string)
	}
	if o.Any("type_meta") != nil {
		p.Schema, _ = json.Marshal(o.Any("type_meta")) // it was JSON
	}
	o.Without("type") // a name for people, which differs with the version of Python
	return p
}

func artifacts(r *description.Reading, side *description.Object, kinds ...openflow.InputKind) []openflow.ComponentArtifact {
	var list []openflow.ComponentArtifact
	for _, kind := range kinds {
		named := side.Object(string(kind))
		for _, key := range named.Names() {
			list = append(list, artifact(r, kind, key, named.Object(key)))
		}
	}
	side.Without()
	return list
}

func artifact(r *description.Reading, kind openflow.InputKind, key string, o *description.Object) openflow.ComponentArtifact {
	a := openflow.ComponentArtifact{
		Kind: kind, Key: key, Summary: o.Text("description"), Types: o.Texts("types"), Optional: o.Truth("optional", false),
		Multi: o.Truth("is_multi", false), Stages: o.Stages("stages"), Roles: o.Roles("roles"),
		Labelled: o.Roles("labelled"), LabelName: o.Text("label_name"), Like: o.Text("like"),
	}
	if len(a.Types) == 0 {
		a.Types = types[kind][:1]
	}
	for _, t := range a.Types {
		if !slices.Contains(types[kind], t) {
			r.Fail("names a type of %s that there is not at %q: %q; want one of %v", kind, openflow.Cut(key, 80), openflow.Cut(t, 80), types[kind])
		}
	}
	o.Without()
	return a
}

// active is where a component runs: in the stages of its metric, which is active wherever it is. FATE leaves them out of
// components with stages. Then it runs wherever anything else of it is active, and in the default stage when nothing says more.
func active(c openflow.ComponentRecord) []openflow.Stage {
	var all []openflow.Stage
	for _, a := range slices.Concat(c.Outputs, c.Inputs) {
		if a.Kind == openflow.OutputMetric && a.Key == "metric" && len(a.Stages) > 0 {
			return a.Stages
		}
		all = append(all, a.Stages...)
	}
	if len(all) == 0 {
		return []openflow.Stage{openflow.StageDefault}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

func need(o *description.Object) openflow.ComponentNeed {
	n := openflow.ComponentNeed{
		Min: o.Count("min", openflow.MaxParties), Max: o.Count("max", openflow.MaxParties), Stages: o.Stages("stages"),
		Parameter: o.Text("parameter"), Values: o.Texts("values"),
	}
	if role := openflow.Role(o.Text("role")); role.Valid() {
		n.Role = role
	} else {
		o.Fail("has a need for a role that there is not: %q", openflow.Cut(string(role), 80))
	}
	o.Without()
	return n
}
