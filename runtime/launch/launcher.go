// Package launch describes a run as a container: its name, labels, environment and limits. Runtimes make what it describes.
package launch

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"openflow"
	"openflow/runtime/driver"
)

// Labels of every container that a node makes.
const (
	LabelNode      = "openflow.node" // whose container it is: driver.Options.Node
	LabelRun       = "openflow.run"  // the run
	LabelScheduler = "openflow.scheduler"
	LabelJob       = "openflow.job"
)

// maxTold bounds what one variable tells a container, because no string of an environment may pass 128 KiB on Linux.
const maxTold = 120 << 10

// BaseLayer is where a container finds its node.
type BaseLayer struct {
	Host string
	Port int
}

// Launcher describes containers for one node.
type Launcher struct {
	Node string // whose containers they are
	// Program says what a run of that provider is started with.
	Program func(ctx context.Context, provider string) (openflow.Program, error)
	Base    func() BaseLayer
	Supply  func(ctx context.Context, r openflow.TaskRecord) (openflow.TaskSupply, error)
	// Told is the environment in which a container that speaks a dialect is told of its run.
	Told        func(speaks openflow.Dialect, r openflow.TaskRecord, g openflow.TaskSupply, at openflow.Place) ([]string, error)
	MachineCPUs float64 // of the runtime: a container is never promised more
	Residents   Residents
	DiskBytes   int64 // that a container may write; 0: no bound
	// Traced is what the environment says about the trace that the launch of a run belongs to; nil: nothing.
	Traced func(ctx context.Context, run openflow.RunID) []string
}

// Name is the container's name: a readable part, and a hash of what the run is, bounded for any runtime. Creating this
// name is the commit point of a launch.
func Name(k openflow.TaskKey) string {
	sum := sha256.Sum256([]byte(k.RunID()))
	readable := fmt.Sprintf("of-%s-%s-%s-%d", k.Party.Role, k.Party.ID, k.Task, k.Version)
	if len(readable) > 80 {
		readable = readable[:80]
	}
	return readable + "-" + hex.EncodeToString(sum[:6])
}

// Spec describes the container of a run, and says what is in it. But for the trace it depends on the run and the node only,
// so a retry describes the same one.
func (l *Launcher) Spec(ctx context.Context, r openflow.TaskRecord) (spec driver.Spec, of openflow.Launch, err error) {
	supply, err := l.Supply(ctx, r) // or why it may not run, before anything of its provider is pulled or loaded
	if err != nil {
		return spec, of, err
	}
	program, err := l.Program(ctx, r.Provider)
	if err == nil {
		spec, err = l.describe(ctx, r, supply, program)
	}
	return spec, openflow.Launch{Container: spec.Name, Provider: program.Provider, Digest: program.Digest}, err
}

func (l *Launcher) describe(ctx context.Context, r openflow.TaskRecord, supply openflow.TaskSupply, program openflow.Program) (driver.Spec, error) {
	base := l.Base()
	may := supply.May
	limits := Limits(r, may, l.MachineCPUs, l.DiskBytes)
	cpus := limits.CPUs
	env, err := l.Told(program.Dialect, r, supply, openflow.Place{Host: base.Host, Port: base.Port, Cores: int(max(cpus, 1))})
	if err != nil {
		return driver.Spec{}, err
	}
	for _, variable := range env {
		if len(variable) > maxTold {
			return driver.Spec{}, openflow.Errorf(openflow.CodeInvalid, "%s: its configuration has %d bytes, more than %d", r.Key, len(variable), maxTold).
				WithPublic("its configuration is larger than a container may get").
				WithHint("pass large values as a table instead of a parameter")
		}
	}
	env = append(slices.Clone(may.Environment), env...) // what the node says comes last, and so holds
	grants := grantsOf(may)
	resident, err := l.resident(r, program, limits, grants)
	if err != nil {
		return driver.Spec{}, err
	}
	made := digest(program.Image, program.Command, env, limits, grants)
	if resident != nil {
		made = resident.Group + " " + made
	}
	if l.Traced != nil {
		env = append(env, l.Traced(ctx, r.Key.RunID())...)
	}
	return driver.Spec{
		Name: Name(r.Key), Made: made,
		Labels: map[string]string{
			LabelNode: l.Node, LabelRun: string(r.Key.RunID()), LabelScheduler: string(r.Key.Scheduler),
			LabelJob: string(r.Key.Job),
		},
		Image: program.Image, Command: program.Command,
		Env:    env,
		Limits: limits, Grants: grants, Resident: resident,
	}, nil
}

func grantsOf(may openflow.Confinement) driver.Grants {
	return driver.Grants{Capabilities: may.Capabilities, Mounts: may.Mounts, Networks: may.Networks}
}

// usualProcesses is how many processes and threads a container may have where nothing else is said.
const usualProcesses = 512

// Limits are what a container may use: what its run holds, and no more than its site's policy lets it have, or than there is on
// the machine. What it may write is what the node lets a run write, or what its component needs. It is pure.
func Limits(r openflow.TaskRecord, may openflow.Confinement, machineCPUs float64, diskBytes int64) driver.Limits {
	if diskBytes > 0 {
		diskBytes = max(diskBytes, may.LeastDisk)
	}
	return driver.Limits{
		CPUs:        least(float64(max(r.Cores, 1)), machineCPUs, float64(may.Cores)),
		MemoryBytes: least(r.MemoryBytes, may.Memory),
		PIDs:        cmp.Or(may.Processes, usualProcesses),
		DiskBytes:   least(diskBytes, may.Disk),
		LogBytes:    may.Log,
		GPUs:        r.GPUIDs,
	}
}

// least is the smallest of those that bound something; 0 bounds nothing.
func least[N int64 | float64](bounds ...N) N {
	var smallest N
	for _, b := range bounds {
		if b > 0 && (smallest == 0 || b < smallest) {
			smallest = b
		}
	}
	return smallest
}

// digest tells apart what containers are made of. That a launch belongs to another trace is no difference.
func digest(image string, command, env []string, limits driver.Limits, grants driver.Grants) string {
	hash := sha256.New()
	_, _ = fmt.Fprintf(hash, "%q %q %q %+v %q", image, command, env, limits, grants) // a hash takes everything
	return hex.EncodeToString(hash.Sum(nil))
}
