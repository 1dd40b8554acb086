// Package jobcheck finds out what is wrong with a job before it runs, from what components say of themselves.
//
// Everything here is pure. A [Site] knows the descriptions of its components; [Site.Check] compares a job with them.
package jobcheck

import (
	"maps"
	"slices"

	"openflow"
)

// Component is the part of a component's document that jobs are checked against. It decodes from that document.
//
// Spec: fate-components §1.1, §1.2; Needs and the last members of Artifact are ours.
type Component struct {
	Roles      []openflow.Role                            `json:"roles"`
	Parameters map[string]Parameter                       `json:"parameters"`
	Inputs     map[openflow.InputKind]map[string]Artifact `json:"input_artifacts"`
	Outputs    map[openflow.InputKind]map[string]Artifact `json:"output_artifacts"`
	Needs      []Need                                     `json:"needs"`
}

// Defaults are what the component takes for parameters that a job leaves out.
func (c Component) Defaults() openflow.Parameters {
	defaults := openflow.Parameters{}
	for name, p := range c.Parameters {
		if p.Default != nil {
			defaults[name] = p.Default
		}
	}
	return defaults
}

// Parameter is one setting of a component.
type Parameter struct {
	Optional bool   `json:"optional"`
	Schema   Schema `json:"type_meta"`
	Alike    bool   `json:"alike"`   // at all parties of the task
	Default  any    `json:"default"` // what the component takes for one that is left out
}

// Artifact is an input or output of a component.
type Artifact struct {
	Optional bool             `json:"optional"`
	Multi    bool             `json:"is_multi"`
	Stages   []openflow.Stage `json:"stages"`
	Roles    []openflow.Role  `json:"roles"`

	Labelled  []openflow.Role `json:"labelled"`   // whose table must have a label column
	LabelName string          `json:"label_name"` // the parameter that names that column
	Like      string          `json:"like"`       // of an output: the data input whose columns it has
}

func (a Artifact) active(s openflow.TaskSpec, role openflow.Role) bool {
	return slices.Contains(a.Stages, s.Stage) && slices.Contains(a.Roles, role)
}

// Need is how many parties of a role a task must have.
type Need struct {
	Role   openflow.Role    `json:"role"`
	Min    int              `json:"min"`
	Max    int              `json:"max"`    // 0: any number
	Stages []openflow.Stage `json:"stages"` // empty: all

	Parameter string   `json:"parameter"` // it holds where this parameter
	Values    []string `json:"values"`    // has one of these; empty: always
}

// metricKind is the output that every component has wherever it runs.
const metricKind openflow.InputKind = "metric"

// stages is where a component runs at all: its metrics are active wherever it is. One that describes no metrics runs where
// anything of it does, and in the default stage when it says nothing of stages.
func (c Component) stages() []openflow.Stage {
	if m, ok := c.Outputs[metricKind]["metric"]; ok {
		return m.Stages
	}
	stages := map[openflow.Stage]bool{}
	for _, side := range []map[openflow.InputKind]map[string]Artifact{c.Inputs, c.Outputs} {
		for _, artifacts := range side {
			for _, a := range artifacts {
				for _, s := range a.Stages {
					stages[s] = true
				}
			}
		}
	}
	if len(stages) == 0 {
		stages[openflow.StageDefault] = true
	}
	return slices.Sorted(maps.Keys(stages))
}
