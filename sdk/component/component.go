package component

import (
	"context"
	"slices"

	"openflow"
)

// Component is one algorithm as a node registers and runs it.
//
// Spec: fate-components §1.1, §1.2.
type Component struct {
	Name        string // the DAG's component_ref
	Description string
	Roles       []openflow.Role
	Stages      []openflow.Stage // empty: StageDefault only
	Parameters  any              // a struct with a field per parameter, holding the defaults; nil: no parameters. Tags: see Task.Parameters
	Inputs      []Artifact
	Outputs     []Artifact // besides the metric output, which every component has
	Needs       []Need     // who must take part in a task; nodes refuse a job that has others

	// Protocols is what its parties can speak with each other, the best first; see Task.Protocol. The programs of a task's
	// parties need one in common, so give a new one another name or version. Nil: one of its own, in the version of the program
	// as far as the second number. Alone: it talks to no other party.
	Protocols []openflow.Protocol

	// Wishes are what its containers need beyond what all have. A site whose policy does not give that refuses the provider.
	Wishes openflow.Wishes

	// Resident is how many runs one container serves at once, 1 to 64, where one may serve many: it then stays for the next run,
	// and each run is a process in it. 0: each run has a container of its own.
	Resident int

	// Works tells whether it can work, where nodes are to ask. They run the program for that, alone and without a task: when it is
	// loaded, and every minute; of a resident component, in the container that serves. An error at the start, or three in a row, keep
	// jobs from it until it works. Its first line is shown to the site's users.
	Works func(context.Context) error

	Run func(context.Context, *Task) error
}

// Artifact declares an input or an output.
type Artifact struct {
	Key         string
	Type        ArtifactType // empty: Dataframe
	Description string
	Optional    bool
	Multi       bool             // a list of artifacts
	Stages      []openflow.Stage // where it is active; empty: in all stages of the component
	Roles       []openflow.Role  // where it is active; empty: for all roles of the component

	// What a node can check before a job runs. Labelled are the roles whose table must have a label column; LabelName is the
	// parameter that names that column, where there is one. Like is, of an output, the data input whose columns it has.
	Labelled  []openflow.Role
	LabelName string
	Like      string
}

// Need is how many parties of a role a task must have.
type Need struct {
	Role   openflow.Role    `json:"role"`
	Min    int              `json:"min"`
	Max    int              `json:"max,omitempty"`    // 0: any number
	Stages []openflow.Stage `json:"stages,omitempty"` // empty: in all stages of the component

	Parameter string   `json:"parameter,omitempty"` // it holds where this parameter
	Values    []string `json:"values,omitempty"`    // has one of these texts; empty: always
}

// Ruled is an object parameter of which some members depend on others. Nodes check a job by its rules; the component
// still has to check for itself.
type Ruled interface{ Rules() []Rule }

// Rule describes members of an object where the member If has the text Is: a JSON schema for each. What is required of
// them has to be there.
type Rule struct {
	If, Is   string
	Then     map[string]any
	Required []string
}

// ArtifactType names what an artifact is.
//
// Spec: fate-components §1.2.
type ArtifactType string

// The types that the kit reads and writes. Unresolved is an existing table that an output only points to. RawTable is a file as it
// was uploaded, and Directory a folder of files.
const (
	Dataframe  ArtifactType = "dataframe"
	Unresolved ArtifactType = "data_unresolved"
	RawTable   ArtifactType = "table"
	Directory  ArtifactType = "data_directory"
	JSONModel  ArtifactType = "json_model"
)

// Alone is what a component speaks that talks to no other party.
var Alone = []openflow.Protocol{}

// protocols is what the component of a program speaks.
func (c Component) protocols(p Program) []openflow.Protocol {
	if c.Protocols == nil {
		return []openflow.Protocol{openflow.OwnProtocol(openflow.ProviderRef{Name: p.Provider, Version: p.Version}, c.Name)}
	}
	return c.Protocols
}

func (c Component) stages() []openflow.Stage {
	if len(c.Stages) == 0 {
		return []openflow.Stage{openflow.StageDefault}
	}
	return c.Stages
}

func (a Artifact) artifactType() ArtifactType {
	if a.Type == "" {
		return Dataframe
	}
	return a.Type
}

func (c Component) stagesOf(a Artifact) []openflow.Stage {
	if len(a.Stages) == 0 {
		return c.stages()
	}
	return a.Stages
}

func (c Component) rolesOf(a Artifact) []openflow.Role {
	if len(a.Roles) == 0 {
		return c.Roles
	}
	return a.Roles
}

// artifact finds the artifact of that key that is active at role in stage.
func (c Component) artifact(list []Artifact, key string, role openflow.Role, stage openflow.Stage) (Artifact, bool) {
	for _, a := range list {
		if a.Key == key && slices.Contains(c.rolesOf(a), role) && slices.Contains(c.stagesOf(a), stage) {
			return a, true
		}
	}
	return Artifact{}, false
}
