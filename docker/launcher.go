package docker

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"strings"

	"openflow"
	"openflow/runtime/driver"
	"openflow/sdk/wire"
)

// Labels of every container that a node makes.
const (
	LabelNode      = "openflow.node"      // the node's UUID: whose container it is
	LabelExecution = "openflow.execution" // the run
	LabelScheduler = "openflow.scheduler"
	LabelJob       = "openflow.job"
)

// Environment of a container, beside CONFIG.
//
// Spec: fate-flow-api §3.3.2.
const (
	EnvConfig = "CONFIG"
	EnvToken  = "OPENFLOW_TOKEN"
	EnvCores  = "OPENFLOW_CORES"
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
	Node        string // UUID
	Image       string // of the algorithms: an image ID, or the path of an executable for processes
	Command     []string
	Base        func() BaseLayer
	Grant       func(ctx context.Context, r openflow.TaskRecord) (openflow.TaskGrant, error)
	MachineCPUs float64 // a container is never promised more
	// Traced is what the environment says about the trace that the launch belongs to; nil: nothing.
	Traced func(ctx context.Context) []string
}

// NetworkName is the network of the containers of a node; its UUID is in it, so nodes on one daemon do not meet.
func NetworkName(node string) string { return "openflow-" + strings.SplitN(node, "-", 2)[0] }

// Name is the container's name: a readable part, and a hash of what the run is, bounded for any runtime. Creating this
// name is the commit point of a launch.
func Name(k openflow.TaskKey) string {
	sum := sha256.Sum256([]byte(k.ExecutionID()))
	readable := fmt.Sprintf("of-%s-%s-%s-%d", k.Party.Role, k.Party.ID, k.Task, k.Version)
	if len(readable) > 80 {
		readable = readable[:80]
	}
	return readable + "-" + hex.EncodeToString(sum[:6])
}

// Spec describes the container of a run. It is a function of the run and the node, but for the trace that it is part
// of, so a retry describes the same one.
func (l *Launcher) Spec(ctx context.Context, r openflow.TaskRecord) (driver.Spec, error) {
	grant, err := l.Grant(ctx, r)
	if err != nil {
		return driver.Spec{}, err
	}
	config, err := l.config(r, grant)
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
		EnvConfig + "=" + string(config), EnvToken + "=" + grant.Credential,
		EnvCores + "=" + strconv.Itoa(int(max(cpus, 1))),
	}
	if l.Traced != nil {
		env = append(env, l.Traced(ctx)...)
	}
	return driver.Spec{
		Name: Name(r.Key),
		Labels: map[string]string{
			LabelNode: l.Node, LabelExecution: string(r.Key.ExecutionID()), LabelScheduler: string(r.Key.Scheduler),
			LabelJob: string(r.Key.Job),
		},
		Image: l.Image, Command: l.Command,
		Env:    env,
		Limits: driver.Limits{CPUs: cpus, MemoryBytes: r.MemoryBytes, PIDs: 512, GPUs: r.GPUIDs},
	}, nil
}

// config is the PreTaskConfig of fate-flow-api §3.2.
func (l *Launcher) config(r openflow.TaskRecord, g openflow.TaskGrant) ([]byte, error) {
	inputs, err := inputArtifacts(r.Spec.Inputs)
	if err != nil {
		return nil, err
	}
	provider, _, _ := strings.Cut(r.Provider, ":")
	base := l.Base()
	federation := wire.FederationMetadata{FederationID: wire.FederationID(r.Key)}
	federation.Parties.Local = wire.FederationParty{Role: string(r.Key.Party.Role), PartyID: string(r.Key.Party.ID)}
	for _, p := range r.Spec.Parties {
		federation.Parties.Parties = append(federation.Parties.Parties, wire.FederationParty{Role: string(p.Role), PartyID: string(p.ID)})
	}
	engineRun := maps.Clone(r.Spec.Conf.EngineRun)
	if engineRun == nil {
		engineRun = map[string]any{}
	}
	device := "CPU"
	if len(r.GPUIDs) > 0 {
		device = "GPU"
	}
	b, err := json.Marshal(wire.PreTaskConfig{
		ModelID: g.ModelID, ModelVersion: g.ModelVersion, JobID: string(r.Key.Job), TaskID: string(r.Key.TaskID()),
		TaskVersion: strconv.Itoa(r.Key.Version), TaskName: string(r.Key.Task), ProviderName: provider,
		PartyTaskID: wire.PartyTaskID(r.Key), Component: r.Component, Role: string(r.Key.Party.Role),
		PartyID: string(r.Key.Party.ID), Stage: string(r.Spec.Stage), Parameters: r.Spec.Parameters, InputArtifacts: inputs,
		Conf: wire.TaskRuntimeConf{
			Device:     wire.Typed{Type: device, Metadata: map[string]any{}},
			Storage:    "openflow",
			Computing:  wire.Typed{Type: "standalone", Metadata: map[string]any{"computing_id": wire.PartyTaskID(r.Key)}},
			Federation: wire.Federation{Type: "openflow", Metadata: federation},
		},
		MLMD:      wire.MLMD{Type: "flow", Metadata: wire.MLMDMetadata{Host: base.Host, Port: base.Port, Protocol: "http", APIVersion: "v2"}},
		EngineRun: engineRun, ComputingPartitions: g.Partitions, LauncherName: "default", LauncherConf: map[string]any{}, Policy: g.Policy,
	})
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeInvalid, "%s: its parameters cannot be encoded: %w", r.Key, err)
	}
	return b, nil
}

func inputArtifacts(inputs []openflow.Input) (wire.InputArtifacts, error) {
	a := wire.InputArtifacts{Data: map[string]json.RawMessage{}, Model: map[string]json.RawMessage{}}
	for _, in := range inputs {
		b, err := json.Marshal(wire.EncodeChannel(in))
		if err != nil {
			return a, openflow.Errorf(openflow.CodeInvalid, "input %s: %w", in.Key, err)
		}
		if in.Kind == openflow.InputModel {
			a.Model[in.Key] = b
			continue
		}
		a.Data[in.Key] = b
	}
	return a, nil
}
