package driver

import (
	"context"
	"time"

	"openflow"
)

// Residency says that a run may share a container with others; see algorithm-image §12.
type Residency struct {
	Group     string               // of runs that may share one: those of one component, image, limits and grants
	Component string               // that they run
	Provider  openflow.ProviderRef // whose it is, without a device
	Labels    map[string]string
	Image     string // of the container that serves them
	Limits    Limits // of that container
	Grants    Grants
	Runs      int           // that one container serves at once
	Most      int           // containers of one component; 0: each run has its own
	Idle      time.Duration // how long a container stays without a run
}

// LabelResident is a label of every container that serves runs: whose it is, as Options.Node has it. Such a container does not
// end by itself.
const LabelResident = "openflow.resident"

// Residence is what a runtime can do whose containers may serve many runs. A [Host] without it gives each run its own.
type Residence interface {
	// Reach is the address, host:port, at which this machine reaches a port of a running container. Errors: CodeNotFound,
	// CodeConflict (it does not run), CodeUnavailable.
	Reach(ctx context.Context, name string, port int) (address string, err error)

	// Execute runs a command in a running container to its end, with what the container has, but for the secret by which its node
	// calls it. Runs there can read the environment of every process of their user. How the command ends is no error. Errors:
	// CodeNotFound, CodeConflict (it does not run), CodeUnavailable; the context's.
	Execute(ctx context.Context, name string, command []string, most int) (Answer, error)
}

// NoResidents is the CodeUnimplemented error of a machine that gives each run a container of its own.
func NoResidents() error {
	return openflow.Errorf(openflow.CodeUnimplemented, "this node has no resident containers: each run has a container of its own").
		WithHint("use the docker runtime, and --resident-most 1 or more")
}
