package component

import (
	"cmp"
	"encoding/json"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"openflow"
)

type document struct {
	Component     description `json:"component"`
	SchemaVersion string      `json:"schema_version"`
}

type description struct {
	Name        string                                    `json:"name"`
	Description string                                    `json:"description"`
	Provider    string                                    `json:"provider"`
	Version     string                                    `json:"version"`
	Labels      []string                                  `json:"labels"`
	Roles       []openflow.Role                           `json:"roles"`
	Parameters  map[string]parameterDescription           `json:"parameters"`
	Inputs      map[string]map[string]artifactDescription `json:"input_artifacts"`
	Outputs     map[string]map[string]artifactDescription `json:"output_artifacts"`
	Needs       []Need                                    `json:"needs,omitempty"`    // ours, like what follows
	Protocols   []protocol                                `json:"protocols,omitzero"` // an empty list says more than none
	Wishes      openflow.Wishes                           `json:"wishes,omitzero"`
	Way         openflow.Way                              `json:"way,omitempty"`
	Resident    resident                                  `json:"resident,omitzero"`
	Probes      map[openflow.ProbeKind]probe              `json:"probes,omitempty"`
}

type probe struct {
	Command  []string `json:"command"`
	Failures int      `json:"failures,omitempty"`
}

type resident struct {
	Runs int `json:"runs"`
}

type protocol struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

type parameterDescription struct {
	Type        string         `json:"type"`
	Default     any            `json:"default"`
	Optional    bool           `json:"optional"`
	Description string         `json:"description"`
	TypeMeta    map[string]any `json:"type_meta"`
	Alike       bool           `json:"alike,omitempty"` // ours: at all parties of the task
}

type artifactDescription struct {
	Types       []ArtifactType   `json:"types"`
	Optional    bool             `json:"optional"`
	Stages      []openflow.Stage `json:"stages"`
	Roles       []openflow.Role  `json:"roles"`
	Description string           `json:"description"`
	Multi       bool             `json:"is_multi"`

	Labelled  []openflow.Role `json:"labelled,omitempty"`   // ours, like what follows
	LabelName string          `json:"label_name,omitempty"` // a parameter
	Like      string          `json:"like,omitempty"`       // an input
}

// Describe renders the document of a component of the program, as JSON, which is YAML. Errors: CodeNotFound (it has none of
// that name), CodeInvalid (the provider's name or version cannot be one, or
// what the component says that it speaks, or its number of runs).
//
// Spec: fate-components §1.1, fate-flow-api §3.11.
func (p Program) Describe(name string) ([]byte, error) {
	if err := openflow.CheckProvider(p.Provider, p.Version); err != nil {
		return nil, err
	}
	i := slices.IndexFunc(p.Components, func(c Component) bool { return c.Name == name })
	if i < 0 {
		return nil, openflow.Errorf(openflow.CodeNotFound, "component %q is not in this image", name).
			WithHint("it has %s", strings.Join(names(p.Components), ", "))
	}
	c := p.Components[i]
	d := description{
		Name: c.Name, Description: c.Description, Provider: p.Provider, Version: p.Version, Labels: []string{}, Roles: c.Roles,
		Parameters: c.describeParameters(), Inputs: c.describeArtifacts(c.Inputs), Outputs: c.describeArtifacts(c.Outputs),
		Needs: c.Needs, Wishes: c.Wishes,
	}
	if c.Resident < 0 || c.Resident > openflow.MostRuns {
		return nil, openflow.Errorf(openflow.CodeInvalid, "component %q has %d runs in a resident container, want 0 to %d", name, c.Resident, openflow.MostRuns)
	}
	if c.Resident > 0 {
		d.Way, d.Resident = openflow.WayResident, resident{c.Resident}
	}
	if c.Works != nil {
		ask := []string{worksArgument, "--name", name}
		d.Probes = map[openflow.ProbeKind]probe{openflow.ProbeStartup: {ask, 1}, openflow.ProbeLiveness: {Command: ask}}
	}
	if c.Protocols != nil {
		if err := openflow.CheckProtocols(c.Protocols); err != nil {
			return nil, err
		}
		d.Protocols = make([]protocol, len(c.Protocols))
		for i, p := range c.Protocols {
			d.Protocols[i] = protocol(p)
		}
	}
	metric := artifactDescription{Types: []ArtifactType{"json_metric"}, Stages: c.stages(), Roles: c.Roles, Description: "metric, invisible for user"}
	d.Outputs["metric"] = map[string]artifactDescription{"metric": metric}
	return json.MarshalIndent(document{Component: d, SchemaVersion: "v1"}, "", "  ")
}

func (c Component) describeArtifacts(list []Artifact) map[string]map[string]artifactDescription {
	kinds := map[string]map[string]artifactDescription{"data": {}, "model": {}}
	for _, a := range list {
		kind := "data"
		if a.artifactType() == JSONModel {
			kind = "model"
		}
		kinds[kind][a.Key] = artifactDescription{
			Types: []ArtifactType{a.artifactType()}, Optional: a.Optional, Stages: c.stagesOf(a), Roles: c.rolesOf(a),
			Description: a.Description, Multi: a.Multi, Labelled: a.Labelled, LabelName: a.LabelName, Like: a.Like,
		}
	}
	return kinds
}

func (c Component) describeParameters() map[string]parameterDescription {
	out := map[string]parameterDescription{}
	if c.Parameters == nil {
		return out
	}
	defaults := reflect.Indirect(reflect.ValueOf(c.Parameters))
	for i := range defaults.NumField() {
		field := defaults.Type().Field(i)
		name := fieldName(field)
		if name == "" {
			continue
		}
		doc, required := field.Tag.Get("doc"), field.Tag.Get("required") == "true"
		var value any
		if !required {
			value = finite(defaults.Field(i).Interface())
		}
		meta := jsonSchema(field.Type, field.Tag)
		meta["title"], meta["default"], meta["description"] = name, value, doc
		out[name] = parameterDescription{Type: typeName(field.Type), Default: value, Optional: !required, Description: doc, TypeMeta: meta, Alike: field.Tag.Get("alike") == "true"}
	}
	return out
}

func typeName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Pointer:
		return typeName(t.Elem())
	case reflect.Int, reflect.Int64:
		return "int"
	case reflect.Float64:
		return "float"
	case reflect.Bool:
		return "bool"
	case reflect.String:
		return "str"
	case reflect.Slice:
		return "List[" + typeName(t.Elem()) + "]"
	default:
		return "dict"
	}
}

// jsonSchema describes what a parameter of type t may be. A type that decodes itself is what the tag schema says, in JSON;
// without one it may be anything. The tag enum lists the values of a component that refuses others in words of its own.
func jsonSchema(t reflect.Type, tag reflect.StructTag) map[string]any {
	if reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]()) {
		said := map[string]any{}
		_ = json.Unmarshal([]byte(tag.Get("schema")), &said) // what is no JSON says nothing
		return said
	}
	switch t.Kind() {
	case reflect.Pointer:
		return jsonSchema(t.Elem(), tag)
	case reflect.Int, reflect.Int64:
		return bounds(map[string]any{"type": "integer"}, tag)
	case reflect.Float64:
		return bounds(map[string]any{"type": "number"}, tag)
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.String:
		s := map[string]any{"type": "string"}
		if list := cmp.Or(tag.Get("enum"), tag.Get("choices")); list != "" {
			s["enum"] = strings.Split(list, ",")
		}
		return s
	case reflect.Slice:
		return map[string]any{"type": "array", "items": jsonSchema(t.Elem(), tag)}
	case reflect.Struct:
		members, required := map[string]any{}, []string{}
		for i := range t.NumField() {
			if name := fieldName(t.Field(i)); name != "" {
				member := jsonSchema(t.Field(i).Type, t.Field(i).Tag)
				var fallback any
				if json.Unmarshal([]byte(t.Field(i).Tag.Get("default")), &fallback) == nil {
					member["default"] = fallback
				}
				members[name] = member
				if t.Field(i).Tag.Get("required") == "true" {
					required = append(required, name)
				}
			}
		}
		schema := map[string]any{"type": "object", "properties": members, "required": required}
		if r, ok := reflect.Zero(t).Interface().(Ruled); ok {
			schema["allOf"] = rules(r.Rules())
		}
		return schema
	default:
		return map[string]any{}
	}
}

// rules are JSON Schema's form of what members of an object depend on.
func rules(list []Rule) []map[string]any {
	var all []map[string]any
	for _, r := range list {
		all = append(all, map[string]any{
			"if":   map[string]any{"properties": map[string]any{r.If: map[string]any{"const": r.Is}}},
			"then": map[string]any{"properties": r.Then, "required": append([]string{}, r.Required...)},
		})
	}
	return all
}

func bounds(schema map[string]any, tag reflect.StructTag) map[string]any {
	for key, keyword := range map[string]string{"min": "minimum", "max": "maximum", "gt": "exclusiveMinimum"} {
		if n, err := strconv.ParseFloat(tag.Get(key), 64); err == nil {
			schema[keyword] = n
		}
	}
	return schema
}

func (p Program) list(w io.Writer) error {
	return json.NewEncoder(w).Encode(map[string][]string{"buildin": names(p.Components), "thirdparty": {}})
}
