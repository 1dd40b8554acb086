// Package jobcheck finds out what is wrong with a job before it runs, from what components say of themselves.
//
// Everything here is pure. A [Site] knows the descriptions of its components; [Site.Check] compares a job with them.
package jobcheck

import (
	"cmp"
	"encoding/json"
	"slices"

	"openflow"
)

// Component is what jobs are checked against of a component.
type Component struct {
	Roles      []openflow.Role
	Stages     []openflow.Stage
	Parameters map[string]Parameter
	Inputs     map[openflow.InputKind]map[string]openflow.ComponentArtifact
	Outputs    map[openflow.InputKind]map[string]openflow.ComponentArtifact
	Needs      []openflow.ComponentNeed
	Protocols  []openflow.Protocol
	Exact      bool // values of parameters reach it as they are, and are not read as FATE does
	Way        openflow.Way
	Runs       int                // that one container serves at once, of a resident one
	Least      openflow.Resources // that it needs
}

// Parameter is one setting of a component.
type Parameter struct {
	Optional bool
	Schema   Schema
	Alike    bool // at all parties of the task
	Default  any  // what the component takes for one that is left out
}

// Of makes what jobs are checked against. Errors: CodeInvalid, of a parameter whose schema is none, or takes too much; as the end of a sentence
// about its description.
func Of(r openflow.ComponentRecord) (Component, error) {
	c := Component{
		Roles: r.Roles, Stages: r.Stages, Parameters: map[string]Parameter{}, Inputs: byKind(r.Inputs), Outputs: byKind(r.Outputs),
		Needs: r.Needs, Protocols: r.Protocols, Way: r.Way, Runs: r.Runs, Least: r.Wishes.Least(),
	}
	for _, p := range r.Parameters {
		one := Parameter{Optional: p.Optional, Alike: p.Alike, Default: p.Default}
		if len(p.Schema) > 0 {
			if err := json.Unmarshal(p.Schema, &one.Schema); err != nil {
				return c, openflow.Errorf(openflow.CodeInvalid, "has parameter %q, whose %s", p.Name, openflow.Heard(err.Error()))
			}
		}
		c.Parameters[p.Name] = one
	}
	return c, nil
}

// Resident is how many runs one container serves at once that may serve a task; 0: the task gets a container of its own. What the
// job says counts before what the component says of itself. Devices belong to one run, so a task with GPUs gets its own.
func (c Component) Resident(conf openflow.TaskConf) int {
	if c.Way != openflow.WayResident || conf.Way == openflow.WayTask || conf.GPUs != nil && *conf.GPUs > 0 {
		return 0
	}
	return max(1, min(cmp.Or(c.Runs, openflow.UsualRuns), openflow.MostRuns))
}

func byKind(list []openflow.ComponentArtifact) map[openflow.InputKind]map[string]openflow.ComponentArtifact {
	kinds := map[openflow.InputKind]map[string]openflow.ComponentArtifact{}
	for _, a := range list {
		if kinds[a.Kind] == nil {
			kinds[a.Kind] = map[string]openflow.ComponentArtifact{}
		}
		kinds[a.Kind][a.Key] = a
	}
	return kinds
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

// active reports whether an input or output is there for a role in a task.
func active(a openflow.ComponentArtifact, s openflow.TaskSpec, role openflow.Role) bool {
	return slices.Contains(a.Stages, s.Stage) && slices.Contains(a.Roles, role)
}
