package wire

import (
	"encoding/json"
	"time"

	"openflow"
)

// Component is a component of one provider, as the application layer shows it: in lists without the schemas of its parameters
// and its description.
type Component struct {
	Name        string           `json:"name"`
	Provider    string           `json:"provider"` // name:version
	Default     bool             `json:"default"`  // it serves jobs that name no provider
	Title       string           `json:"title,omitempty"`
	Summary     string           `json:"summary,omitempty"`
	Form        string           `json:"form"` // in which it is described
	Roles       []openflow.Role  `json:"roles"`
	Stages      []openflow.Stage `json:"stages"`
	Protocols   []Protocol       `json:"protocols"`         // that it speaks, the best first; none: it talks to no other party
	Declared    bool             `json:"declared"`          // it names them itself
	Runtime     string           `json:"runtime"`           // that its runs have here, such as docker
	State       string           `json:"state"`             // UNLOADED, LOADED, STARTED, STOPPED or FAILED
	Reason      string           `json:"reason,omitempty"`  // why it has failed
	Machine     string           `json:"machine,omitempty"` // ID of the one that has found so
	Since       *int64           `json:"since"`             // milliseconds since 1970
	Way         openflow.Way     `json:"way"`
	Probes      []Probe          `json:"probes,omitempty"` // by which it is asked whether it works
	Runs        int              `json:"runs,omitempty"`   // of a resident one: how many one container serves at once
	Wishes      openflow.Wishes  `json:"wishes,omitzero"`  // what its containers need beyond what all have; the site's policy gives it
	Parameters  []Parameter      `json:"parameters"`
	Inputs      []Artifact       `json:"inputs"`
	Outputs     []Artifact       `json:"outputs"`
	Needs       []Need           `json:"needs,omitempty"`
	Warnings    []string         `json:"warnings,omitempty"` // what of its description is ignored, or was made up for
	Description json.RawMessage  `json:"description,omitempty"`
}

// Protocol is what the programs of a task's parties speak with each other.
type Protocol struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// EncodeProtocols keeps the order.
func EncodeProtocols(list []openflow.Protocol) []Protocol {
	out := make([]Protocol, len(list))
	for i, p := range list {
		out[i] = Protocol(p)
	}
	return out
}

// Parameter is one of a component.
type Parameter struct {
	Name     string          `json:"name"`
	Title    string          `json:"title,omitempty"`
	Summary  string          `json:"summary,omitempty"`
	Optional bool            `json:"optional"`
	Default  any             `json:"default,omitempty"`
	Alike    bool            `json:"alike,omitempty"`  // at all parties of the task
	Schema   json.RawMessage `json:"schema,omitempty"` // JSON Schema of its values
}

// Artifact is an input or output of a component.
type Artifact struct {
	Kind     openflow.InputKind `json:"kind"` // data, model or metric
	Key      string             `json:"key"`
	Summary  string             `json:"summary,omitempty"`
	Types    []string           `json:"types"`
	Optional bool               `json:"optional"`
	Multi    bool               `json:"is_multi"`
	Stages   []openflow.Stage   `json:"stages"`
	Roles    []openflow.Role    `json:"roles"`
}

// Need is how many parties of a role a task must have, at least and at most; 0: any number.
type Need struct {
	Role      openflow.Role    `json:"role"`
	Min       int              `json:"min"`
	Max       int              `json:"max"`
	Stages    []openflow.Stage `json:"stages,omitempty"`
	Parameter string           `json:"parameter,omitempty"` // it holds where this parameter
	Values    []string         `json:"values,omitempty"`    // has one of these
}

// Probe is how a component is asked whether it works: by a command, or by a request in its resident container.
type Probe struct {
	Kind     openflow.ProbeKind `json:"kind"`
	Command  []string           `json:"command,omitempty"`
	HTTP     string             `json:"http,omitempty"` // path
	Every    int                `json:"every"`          // seconds
	Timeout  int                `json:"timeout"`        // seconds
	Failures int                `json:"failures"`       // in a row, with which it fails
}

// String is the probe for people.
func (p Probe) String() string {
	return openflow.ComponentProbe{
		Kind: p.Kind, Command: p.Command, HTTP: p.HTTP, Every: time.Duration(p.Every) * time.Second,
		Timeout: time.Duration(p.Timeout) * time.Second, Failures: p.Failures,
	}.String()
}

// EncodeComponent renders a component whose runs have this runtime here.
func EncodeComponent(c openflow.ComponentRecord, usual bool, runtime string) Component {
	out := Component{
		Name: c.Name, Provider: c.Provider.String(), Default: usual, Title: c.Title, Summary: c.Summary, Form: c.Form, Roles: c.Roles, Stages: c.Stages,
		Protocols: EncodeProtocols(c.Protocols), Declared: c.Declared, Runtime: runtime, Way: c.Way, Runs: c.Runs, Wishes: c.Wishes,
		State: string(c.Standing.State), Reason: c.Standing.Reason, Machine: c.Standing.Machine, Since: Millis(c.Standing.Since),
		Parameters: make([]Parameter, len(c.Parameters)),
		Inputs:     artifacts(c.Inputs), Outputs: artifacts(c.Outputs), Warnings: c.Warnings, Description: c.Description,
	}
	for i, p := range c.Parameters {
		out.Parameters[i] = Parameter{
			Name: p.Name, Title: p.Title, Summary: p.Summary, Optional: p.Optional, Default: p.Default, Alike: p.Alike, Schema: p.Schema,
		}
	}
	for _, p := range c.Probes {
		out.Probes = append(out.Probes, Probe{
			Kind: p.Kind, Command: p.Command, HTTP: p.HTTP, Every: int(p.Every / time.Second), Timeout: int(p.Timeout / time.Second), Failures: p.Failures,
		})
	}
	for _, n := range c.Needs {
		out.Needs = append(out.Needs, Need(n))
	}
	return out
}

// Listed is the component as lists have it.
func (c Component) Listed() Component {
	c.Description = nil
	for i := range c.Parameters {
		c.Parameters[i].Schema = nil
	}
	return c
}

func artifacts(list []openflow.ComponentArtifact) []Artifact {
	out := make([]Artifact, len(list))
	for i, a := range list {
		out[i] = Artifact{Kind: a.Kind, Key: a.Key, Summary: a.Summary, Types: a.Types, Optional: a.Optional, Multi: a.Multi, Stages: a.Stages, Roles: a.Roles}
	}
	return out
}
