// Package interop reads the ComponentInfo of the InterOp standard, with the tolerance that descriptors in circulation need.
//
// Spec: interop-component §2.
package interop

import (
	"encoding/json"
	"reflect"
	"slices"
	"strings"

	"openflow"
	"openflow/description"
)

// Form is the standard's.
type Form struct{}

// Name implements description.Form.
func (Form) Name() string { return "interop" }

// Is implements description.Form.
func (Form) Is(members map[string]any) bool { _, has := members["componentName"]; return has }

// stage is the only one: the standard knows no stages, and a component of its does one thing.
var stage = []openflow.Stage{openflow.StageDefault}

// Read implements description.Form. What it only says to pages and storage is passed over without a word.
func (Form) Read(r *description.Reading, o *description.Object) openflow.ComponentRecord {
	c := openflow.ComponentRecord{
		Name: o.Text("componentName"), Title: o.Text("title"), Summary: o.Text("description"), Roles: o.Roles("roleList"), Stages: stage,
		Provider: openflow.ProviderRef{Name: o.Text("provider"), Version: o.Text("version")}, Way: openflow.Way(o.Text("way")),
		Runs: o.Residents("resident"),
	}
	if len(c.Roles) == 0 {
		r.Fail("names no role in roleList")
	}
	for _, key := range []string{"title", "inputParam", "inputData", "outputData"} {
		if !o.Has(key) {
			r.Warn("%s is missing; it is taken as empty", key)
		}
	}
	for _, p := range o.Objects("inputParam") {
		c.Parameters = append(c.Parameters, parameter(p))
	}
	for _, a := range o.Objects("inputData") {
		c.Inputs = append(c.Inputs, artifact(a, inputs, c.Roles))
	}
	for i := range c.Inputs {
		c.Inputs[i].Optional = true // nobody says which roles need it
	}
	for _, a := range o.Objects("outputData") {
		c.Outputs = append(c.Outputs, artifact(a, outputs, c.Roles))
	}
	c.Protocols, c.Declared = o.Protocols("protocols")
	c.Wishes = o.Wishes("wishes")
	c.Probes = o.Probes("probes")
	o.Without("desVersion", "storageEngine", "computeEngine", "result")
	return c
}

// The categories of artifacts, and what they are here.
var (
	inputs = map[string]openflow.InputKind{
		"model": openflow.InputModel, "dataset": openflow.InputData, "training_set": openflow.InputData, "test_set": openflow.InputData,
		"datasets": openflow.InputData,
	}
	outputs = map[string]openflow.InputKind{
		"model": openflow.InputModel, "dataset": openflow.InputData, "training_set": openflow.InputData, "test_set": openflow.InputData,
		"report": openflow.OutputMetric, "metric": openflow.OutputMetric,
	}
)

func artifact(o *description.Object, categories map[string]openflow.InputKind, roles []openflow.Role) openflow.ComponentArtifact {
	a := openflow.ComponentArtifact{
		Key: o.Text("name"), Summary: o.Text("description"), Types: o.Texts("dataFormat"), Stages: stage, Roles: roles,
	}
	category := strings.TrimSpace(o.Text("category"))
	kind, known := categories[category]
	if !known {
		o.Fail("has a category that there is not at %q: %q", openflow.Cut(a.Key, 80), openflow.Cut(category, 80))
	}
	a.Kind, a.Multi = kind, category == "datasets"
	if len(a.Types) == 0 {
		a.Types = []string{"json"}
		if kind == openflow.InputData {
			a.Types = []string{"csv"}
		}
		o.Warn("the dataFormat of %q is missing; it is taken for %s", openflow.Cut(a.Key, 80), a.Types[0])
	}
	o.Without()
	return a
}

// parameter reads one of inputParam.
//
// Spec: interop-component §2.2.
func parameter(o *description.Object) openflow.ComponentParameter {
	p := openflow.ComponentParameter{
		Name: o.Text("name"), Title: o.Text("title"), Summary: o.Text("description"), Optional: o.Truth("optional", true),
	}
	typ := typeOf(o, p.Name)
	given := o.Any("defaultValue")
	fallback, ok := typ.convert(given)
	switch {
	case ok:
		p.Default = fallback
	case given != nil && given != "":
		o.Warn("the defaultValue of parameter %q is none of its type, %s; nothing is passed for it", openflow.Cut(p.Name, 80), typ.name)
	}
	schema := typ.schema()
	if p.Default != nil {
		schema["default"] = p.Default
	}
	if values := choices(o, p.Name, typ); len(values) > 0 && (p.Default == nil || slices.ContainsFunc(values, func(v any) bool { return reflect.DeepEqual(v, p.Default) })) {
		schema["enum"] = values
	}
	if text, written := o.Any("validator").(string); written && strings.TrimSpace(text) != "" {
		if !typ.validate(text, schema) {
			o.Warn("the validator of parameter %q is not understood; it is ignored: %s", openflow.Cut(p.Name, 80), openflow.Cut(text, 80))
		}
	}
	if len(schema) > 0 {
		p.Schema, _ = json.Marshal(schema) // it is made of what JSON has
	}
	o.Without("dependsOn", "UIPattern", "groupTag", "UIType") // for pages only
	return p
}

// choices are the values that a page offers, of the parameter's type. Where a page finds them by a call, or one is of another
// type, nobody knows all of them.
func choices(o *description.Object, name string, typ kind) []any {
	offered := o.Any("bindingData")
	if text, written := offered.(string); written {
		if text = strings.TrimSpace(text); text == "" || strings.HasPrefix(text, "call_function") {
			return nil
		}
		var ok bool
		if offered, ok = description.Value(text); !ok {
			o.Warn("the bindingData of parameter %q is no list; it is ignored", openflow.Cut(name, 80))
			return nil
		}
	}
	list, _ := offered.([]any)
	var values []any
	for _, item := range list {
		pair, _ := item.(map[string]any)
		value, ok := typ.convert(pair["value"])
		if !ok {
			o.Warn("the bindingData of parameter %q has a value that is none of its type, %s; it is ignored", openflow.Cut(name, 80), typ.name)
			return nil
		}
		values = append(values, value)
	}
	if list == nil && offered != nil {
		o.Warn("the bindingData of parameter %q is no list; it is ignored", openflow.Cut(name, 80))
	}
	return values
}
