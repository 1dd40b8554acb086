package docker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"

	"openflow"
	"openflow/runtime/driver"
)

// Labels of every container that a node makes.
const (
	LabelNode      = "openflow.node" // the node's UUID: whose container it is
	LabelRun       = "openflow.run"  // the run
	LabelScheduler = "openflow.scheduler"
	LabelJob       = "openflow.job"
)

// Environment of a container, beside CONFIG.
//
// Spec: fate-flow-api §3.3.2.
const (
	EnvConfig     = "CONFIG"
	EnvCredential = "OPENFLOW_CREDENTIAL"
	EnvCores      = "OPENFLOW_CORES"
)

// maxConfig bounds CONFIG, because no string of an environment may pass 128 KiB on Linux.
const maxConfig = 120 << 10

// BaseLayer is where a container finds its node.
type BaseLayer struct {
	Host string
	Port int
}

// Launcher describes containers for one node.
type Launcher struct {
	Node    string // UUID
	Image   string // of the algorithms: an image ID, or the path of an executable for processes
	Command []string
	Base    func() BaseLayer
	Supply  func(ctx context.Context, r openflow.TaskRecord) (openflow.TaskSupply, error)
	// Config writes what the container is told of its run, in the words of the dialect that its program speaks. The base layer
	// is at that host and port.
	Config      func(r openflow.TaskRecord, g openflow.TaskSupply, host string, port int) ([]byte, error)
	MachineCPUs float64 // a container is never promised more
	// Traced is what the environment says about the trace that the launch belongs to; nil: nothing.
	Traced func(ctx context.Context) []string
}

// NetworkName is the network of the containers of a node; its UUID is in it, so nodes on one daemon do not meet.
func NetworkName(node string) string { return "openflow-" + strings.SplitN(node, "-", 2)[0] }

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

// Spec describes the container of a run. It is a function of the run and the node, but for the trace that it is part
// of, so a retry describes the same one.
func (l *Launcher) Spec(ctx context.Context, r openflow.TaskRecord) (driver.Spec, error) {
	supply, err := l.Supply(ctx, r)
	if err != nil {
		return driver.Spec{}, err
	}
	base := l.Base()
	config, err := l.Config(r, supply, base.Host, base.Port)
	if err != nil {
		return driver.Spec{}, err
	}
	if len(config) > maxConfig {
		return driver.Spec{}, openflow.Errorf(openflow.CodeInvalid, "%s: its configuration has %d bytes, more than %d", r.Key, len(config), maxConfig).
			WithPublic("its configuration is larger than a container may get").
			WithHint("pass large values as a table instead of a parameter")
	}
	cpus := float64(max(r.Cores, 1))
	if l.MachineCPUs > 0 {
		cpus = min(cpus, l.MachineCPUs)
	}
	env := []string{
		EnvConfig + "=" + string(config), EnvCredential + "=" + supply.Credential,
		EnvCores + "=" + strconv.Itoa(int(max(cpus, 1))),
	}
	if l.Traced != nil {
		env = append(env, l.Traced(ctx)...)
	}
	return driver.Spec{
		Name: Name(r.Key),
		Labels: map[string]string{
			LabelNode: l.Node, LabelRun: string(r.Key.RunID()), LabelScheduler: string(r.Key.Scheduler),
			LabelJob: string(r.Key.Job),
		},
		Image: l.Image, Command: l.Command,
		Env:    env,
		Limits: driver.Limits{CPUs: cpus, MemoryBytes: r.MemoryBytes, PIDs: 512, GPUs: r.GPUIDs},
	}, nil
}
