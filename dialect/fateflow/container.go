package fateflow

import (
	"encoding/json"
	"strconv"
	"strings"

	"openflow"
	"openflow/sdk/wire"
)

// ContainerConfig is the PreTaskConfig of a run, whose base layer is at that host and port. Errors: CodeInvalid.
//
// Spec: fate-flow-api §3.2.
func ContainerConfig(r openflow.TaskRecord, g openflow.TaskSupply, host string, port int) ([]byte, error) {
	inputs, err := inputArtifacts(r.Spec.Inputs)
	if err != nil {
		return nil, err
	}
	provider, _, _ := strings.Cut(r.Provider, ":")
	federation := wire.FederationMetadata{FederationID: wire.FederationID(r.Key)}
	federation.Parties.Local = wire.FederationParty{Role: string(r.Key.Party.Role), PartyID: string(r.Key.Party.ID)}
	for _, p := range r.Spec.Parties {
		federation.Parties.Parties = append(federation.Parties.Parties, wire.FederationParty{Role: string(p.Role), PartyID: string(p.ID)})
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
		MLMD:      wire.MLMD{Type: "flow", Metadata: wire.MLMDMetadata{Host: host, Port: port, Protocol: "http", APIVersion: "v2"}},
		EngineRun: wire.EngineRun(r.Spec.Conf), ComputingPartitions: g.Partitions, LauncherName: "default", LauncherConf: map[string]any{}, Policy: g.Policy,
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
