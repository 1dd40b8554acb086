package launch

import (
	"context"
	"time"

	"openflow"
	"openflow/runtime/driver"
)

// Residents bounds the resident containers of a machine; see docs/runtimes.md.
type Residents struct {
	Most int           // of one component; 0: each run has a container of its own
	Idle time.Duration // how long one stays without a run
}

// DefaultResidents are one container of a component, and ten minutes.
func DefaultResidents() Residents { return Residents{Most: 1, Idle: 10 * time.Minute} }

// mostResidents is how many containers one component may have: each holds memory also while it is idle.
const mostResidents = 64

// Check refuses what cannot be kept. Errors: CodeInvalid.
func (r Residents) Check() error {
	if r.Most < 0 || r.Most > mostResidents || r.Idle <= 0 {
		return openflow.Errorf(openflow.CodeInvalid, "%d resident containers of a component, for %s without a run", r.Most, r.Idle).
			WithHint("use 0 to %d, and a time above 0", mostResidents)
	}
	return nil
}

// Resident describes the container that would serve such a run: of that component and provider, cores and memory. nil: the run
// gets a container of its own. Errors: those of Program.
func (l *Launcher) Resident(ctx context.Context, r openflow.TaskRecord, may openflow.Confinement) (*driver.Residency, error) {
	program, err := l.Program(ctx, r.Provider)
	if err != nil {
		return nil, err
	}
	return l.resident(r, program, Limits(r, may, l.MachineCPUs, l.DiskBytes), grantsOf(may))
}

// resident describes the container that may serve a run with others; nil: none may. Runs share one that are of the same program
// and component, and may use the same. What it may use is what each of its runs may, so many times over.
//
// Spec: algorithm-image §12.
func (l *Launcher) resident(r openflow.TaskRecord, program openflow.Program, limits driver.Limits, grants driver.Grants) (*driver.Residency, error) {
	runs := r.Spec.Resident
	if runs < 1 || l.Residents.Most < 1 || len(limits.GPUs) > 0 {
		return nil, nil
	}
	of, err := openflow.ParseProvider(program.Provider)
	if err != nil {
		return nil, err
	}
	of.Device = ""
	limits = times(limits, min(runs, openflow.MostRuns))
	limits.CPUs = least(limits.CPUs, l.MachineCPUs)
	return &driver.Residency{
		Group:     digest(program.Image, []string{r.Component, program.Digest, of.String()}, []string{l.Node}, limits, grants),
		Component: r.Component, Provider: of, Labels: map[string]string{LabelNode: l.Node}, Image: program.Image, Limits: limits, Grants: grants,
		Runs: min(runs, openflow.MostRuns), Most: l.Residents.Most, Idle: l.Residents.Idle,
	}, nil
}

// times is what so many runs may use together.
func times(l driver.Limits, runs int) driver.Limits {
	n := int64(runs)
	l.CPUs *= float64(runs)
	l.MemoryBytes, l.PIDs, l.DiskBytes, l.LogBytes = l.MemoryBytes*n, l.PIDs*n, l.DiskBytes*n, l.LogBytes*n
	return l
}
