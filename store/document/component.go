package document

import (
	"encoding/json"
	"time"

	"openflow"
)

// Component is what an openflow.ComponentRecord says beside its key and how it stands.
type Component struct {
	Title       string               `json:"title,omitzero"`
	Summary     string               `json:"summary,omitzero"`
	Roles       []openflow.Role      `json:"roles,omitempty"`
	Stages      []openflow.Stage     `json:"stages,omitempty"`
	Parameters  []ComponentParameter `json:"parameters,omitempty"`
	Inputs      []ComponentArtifact  `json:"inputs,omitempty"`
	Outputs     []ComponentArtifact  `json:"outputs,omitempty"`
	Needs       []ComponentNeed      `json:"needs,omitempty"`
	Protocols   []Protocol           `json:"protocols,omitempty"`
	Declared    bool                 `json:"declared,omitzero"`
	Way         openflow.Way         `json:"way,omitzero"`
	Probes      []ComponentProbe     `json:"probes,omitempty"`
	Runs        int                  `json:"runs,omitzero"`
	Wishes      openflow.Wishes      `json:"wishes,omitzero"`
	Form        string               `json:"form,omitzero"`
	Warnings    []string             `json:"warnings,omitempty"`
	Description json.RawMessage      `json:"description,omitempty"`
}

// ComponentParameter is an openflow.ComponentParameter.
type ComponentParameter struct {
	Name     string          `json:"name,omitzero"`
	Title    string          `json:"title,omitzero"`
	Summary  string          `json:"summary,omitzero"`
	Optional bool            `json:"optional,omitzero"`
	Default  any             `json:"default,omitempty"`
	Schema   json.RawMessage `json:"schema,omitempty"`
	Alike    bool            `json:"alike,omitzero"`
}

// ComponentArtifact is an openflow.ComponentArtifact.
type ComponentArtifact struct {
	Kind      openflow.InputKind `json:"kind,omitzero"`
	Key       string             `json:"key,omitzero"`
	Summary   string             `json:"summary,omitzero"`
	Types     []string           `json:"types,omitempty"`
	Optional  bool               `json:"optional,omitzero"`
	Multi     bool               `json:"multi,omitzero"`
	Stages    []openflow.Stage   `json:"stages,omitempty"`
	Roles     []openflow.Role    `json:"roles,omitempty"`
	Labelled  []openflow.Role    `json:"labelled,omitempty"`
	LabelName string             `json:"label_name,omitzero"`
	Like      string             `json:"like,omitzero"`
}

// ComponentNeed is an openflow.ComponentNeed.
type ComponentNeed struct {
	Role      openflow.Role    `json:"role,omitzero"`
	Min       int              `json:"min,omitzero"`
	Max       int              `json:"max,omitzero"`
	Stages    []openflow.Stage `json:"stages,omitempty"`
	Parameter string           `json:"parameter,omitzero"`
	Values    []string         `json:"values,omitempty"`
}

// ComponentProbe is an openflow.ComponentProbe.
type ComponentProbe struct {
	Kind     openflow.ProbeKind `json:"kind,omitzero"`
	Command  []string           `json:"command,omitempty"`
	HTTP     string             `json:"http,omitzero"`
	Every    time.Duration      `json:"every_ns,omitzero"`
	Timeout  time.Duration      `json:"timeout_ns,omitzero"`
	Failures int                `json:"failures,omitzero"`
}

// Protocol is an openflow.Protocol.
type Protocol struct {
	Name    string `json:"name,omitzero"`
	Version string `json:"version,omitzero"`
}

// EncodeProtocols keeps the order.
func EncodeProtocols(list []openflow.Protocol) []Protocol {
	return each(list, func(p openflow.Protocol) Protocol { return Protocol(p) })
}

// DecodeProtocols is the inverse of EncodeProtocols.
func DecodeProtocols(list []Protocol) []openflow.Protocol {
	return each(list, func(p Protocol) openflow.Protocol { return openflow.Protocol(p) })
}

// EncodeComponent leaves out the key, and how the component stands.
func EncodeComponent(c openflow.ComponentRecord) Component {
	return Component{
		Title: c.Title, Summary: c.Summary, Roles: c.Roles, Stages: c.Stages,
		Parameters: each(c.Parameters, func(p openflow.ComponentParameter) ComponentParameter { return ComponentParameter(p) }),
		Inputs:     each(c.Inputs, func(a openflow.ComponentArtifact) ComponentArtifact { return ComponentArtifact(a) }),
		Outputs:    each(c.Outputs, func(a openflow.ComponentArtifact) ComponentArtifact { return ComponentArtifact(a) }),
		Needs:      each(c.Needs, func(n openflow.ComponentNeed) ComponentNeed { return ComponentNeed(n) }),
		Probes:     each(c.Probes, func(p openflow.ComponentProbe) ComponentProbe { return ComponentProbe(p) }),
		Protocols:  EncodeProtocols(c.Protocols), Declared: c.Declared, Way: c.Way, Runs: c.Runs, Wishes: c.Wishes,
		Form: c.Form, Warnings: c.Warnings, Description: c.Description,
	}
}

// Decode gives the record back, without those.
func (c Component) Decode() openflow.ComponentRecord {
	return openflow.ComponentRecord{
		Title: c.Title, Summary: c.Summary, Roles: c.Roles, Stages: c.Stages,
		Parameters: each(c.Parameters, func(p ComponentParameter) openflow.ComponentParameter { return openflow.ComponentParameter(p) }),
		Inputs:     each(c.Inputs, func(a ComponentArtifact) openflow.ComponentArtifact { return openflow.ComponentArtifact(a) }),
		Outputs:    each(c.Outputs, func(a ComponentArtifact) openflow.ComponentArtifact { return openflow.ComponentArtifact(a) }),
		Needs:      each(c.Needs, func(n ComponentNeed) openflow.ComponentNeed { return openflow.ComponentNeed(n) }),
		Probes:     each(c.Probes, func(p ComponentProbe) openflow.ComponentProbe { return openflow.ComponentProbe(p) }),
		Protocols:  DecodeProtocols(c.Protocols), Declared: c.Declared, Way: c.Way, Runs: c.Runs, Wishes: c.Wishes,
		Form: c.Form, Warnings: c.Warnings, Description: c.Description,
	}
}
