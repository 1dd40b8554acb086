package openflow

import (
	"encoding/json"
	"slices"
	"strings"
)

// ComponentRecord is a component of a provider in a site's registry: what its description says, whatever form that had.
type ComponentRecord struct {
	Name        string
	Provider    ProviderRef // without a device
	Title       string      // for people; may be empty
	Summary     string      // what it does, in its author's words
	Roles       []Role      // that it has a part for
	Stages      []Stage     // that it runs in
	Parameters  []ComponentParameter
	Inputs      []ComponentArtifact
	Outputs     []ComponentArtifact
	Needs       []ComponentNeed
	Protocols   []Protocol // best first; none: it talks to no other party
	Declared    bool       // its description names them; otherwise they are OwnProtocol
	Way         Way
	Probes      []ComponentProbe // at most one of each kind, in the order of their kinds
	Runs        int              // of a resident one: how many one container serves at once
	Wishes      Wishes           // what its containers need beyond what all have
	Form        string           // of the description, such as fate or interop
	Warnings    []string         // what of the description is ignored, or was made up for
	Description json.RawMessage  // as it was given, without blanks
	Standing    ComponentStanding
}

// ComponentParameter is one setting of a component.
type ComponentParameter struct {
	Name     string
	Title    string // for people; may be empty
	Summary  string
	Optional bool
	Default  any             // what the component takes for one that is left out; nil: none is known
	Schema   json.RawMessage // JSON Schema of its values; empty: anything
	Alike    bool            // at all parties of the task
}

// ComponentArtifact is an input or output of a component.
type ComponentArtifact struct {
	Kind     InputKind // InputData, InputModel or OutputMetric
	Key      string
	Summary  string
	Types    []string // that it may have, the usual one first
	Optional bool
	Multi    bool    // a list of artifacts
	Stages   []Stage // in which it is active
	Roles    []Role  // for whom it is active

	Labelled  []Role // whose table must have a label column
	LabelName string // the parameter that names that column
	Like      string // of an output: the data input whose columns it has
}

// OutputMetric is the kind of an output that is neither a table nor a model: metrics and reports.
const OutputMetric InputKind = "metric"

// ComponentNeed is how many parties of a role a task of a component must have.
type ComponentNeed struct {
	Role   Role
	Min    int
	Max    int     // 0: any number
	Stages []Stage // empty: all

	Parameter string   // it holds where this parameter
	Values    []string // has one of these; empty: always
}

// Way is how the runs of a component get their containers.
type Way string

// A component runs in a container for each task unless it says that one container may serve many.
const (
	WayTask     Way = "container per task"
	WayResident Way = "resident"
)

// How many runs one resident container serves at once where its component does not say, and at most.
const (
	UsualRuns = 8
	MostRuns  = 64
)

// Protocol is how the programs of a task's parties talk to each other. Programs of different authors and versions can run one
// task when they have one in common.
type Protocol struct{ Name, Version string }

// The most that a component may speak, and how long a name may be: that of a provider, of a component and what joins them.
const (
	MaxProtocols    = 8
	maxProtocolName = 200
)

// String is "name@version".
func (p Protocol) String() string {
	if p == (Protocol{}) {
		return ""
	}
	return p.Name + "@" + p.Version
}

// ParseProtocol is the inverse of String. Errors: CodeInvalid.
func ParseProtocol(text string) (Protocol, error) {
	if text == "" {
		return Protocol{}, nil
	}
	name, version, _ := strings.Cut(text, "@")
	p := Protocol{name, version}
	return p, p.Check()
}

// Check refuses a name or version that a protocol cannot have. Errors: CodeInvalid.
func (p Protocol) Check() error {
	parts := strings.Split(p.Name, "/")
	if len(p.Name) > maxProtocolName || slices.ContainsFunc(parts, func(s string) bool { return !identifiable(s) }) || !providerPart(p.Version) {
		return Errorf(CodeInvalid, "%q in version %q cannot be a protocol", Cut(p.Name, maxReference), Cut(p.Version, maxReference)).
			WithHint("a name has letters, digits, '_', '-', '.' and '/', such as acme/psi; a version has 1 to %d letters, digits, '_', '-', '+' and '.'", maxProviderPart)
	}
	return nil
}

// CheckProtocols refuses a list that no component can have: too long, with one twice, or with one that is none. Errors:
// CodeInvalid.
func CheckProtocols(list []Protocol) error {
	if len(list) > MaxProtocols {
		return Errorf(CodeInvalid, "%d protocols are named, and %d are allowed", len(list), MaxProtocols)
	}
	for i, p := range list {
		if err := p.Check(); err != nil {
			return err
		}
		if slices.Contains(list[:i], p) {
			return Errorf(CodeInvalid, "protocol %s is named twice", p)
		}
	}
	return nil
}

// OwnProtocol is what a component speaks whose description names no protocol: one of its own, in the version of its program
// as far as the second number. So two programs that differ in the third number only understand each other.
func OwnProtocol(p ProviderRef, component string) Protocol {
	version := p.Version
	if parts := strings.Split(version, "."); len(parts) > 2 && digits(parts[0]) && digits(parts[1]) {
		version = parts[0] + "." + parts[1]
	}
	return Protocol{Name: p.Name + "/" + component, Version: version}
}

func digits(s string) bool {
	return s != "" && strings.Trim(s, "0123456789") == ""
}

// InCommon is the protocol that several programs can all speak: the first of the first one's that all others have too. Where
// none of them talks to anybody it is the zero Protocol. ok is false where they cannot run one task.
func InCommon(lists ...[]Protocol) (common Protocol, ok bool) {
	if !slices.ContainsFunc(lists, func(l []Protocol) bool { return len(l) > 0 }) {
		return Protocol{}, true
	}
	for _, p := range lists[0] {
		if !slices.ContainsFunc(lists, func(l []Protocol) bool { return !slices.Contains(l, p) }) {
			return p, true
		}
	}
	return Protocol{}, false
}

// Spoken is who would run a party's part of a task, and what that one can speak: all that a party tells of its registry, when
// a job is created.
type Spoken struct {
	Task      TaskName
	Provider  ProviderRef // without a device
	Protocols []Protocol
}
