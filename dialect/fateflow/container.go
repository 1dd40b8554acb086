package fateflow

import (
	"encoding/json"
	"maps"
	"net"
	"strconv"
	"strings"

	"openflow"
	"openflow/sdk/wire"
)

// The environment of a container: FATE-Flow's variable, and two of ours.
//
// Spec: fate-flow-api §3.3.2.
const (
	envConfig     = "CONFIG"
	envCredential = "OPENFLOW_CREDENTIAL"
	envCores      = "OPENFLOW_CORES"
)

// environment is what FATE-Flow tells a container.
func environment(r openflow.TaskRecord, g openflow.TaskSupply, at openflow.Place) ([]string, error) {
	config, err := preTaskConfig(r, g, at)
	if err != nil {
		return nil, err
	}
	return []string{envConfig + "=" + string(config), envCredential + "=" + g.Credential, envCores + "=" + strconv.Itoa(at.Cores)}, nil
}

// preTaskConfig is what CONFIG holds.
//
// Spec: fate-flow-api §3.2.
func preTaskConfig(r openflow.TaskRecord, g openflow.TaskSupply, at openflow.Place) ([]byte, error) {
	inputs, err := inputsOf(r.Spec.Inputs)
	if err != nil {
		return nil, err
	}
	provider, _, _ := strings.Cut(r.Provider, ":")
	session := federationMetadata{FederationID: wire.FederationID(r.Key)}
	session.Parties.Local = federationParty{Role: string(r.Key.Party.Role), PartyID: string(r.Key.Party.ID)}
	for _, p := range r.Spec.Parties {
		session.Parties.Parties = append(session.Parties.Parties, federationParty{Role: string(p.Role), PartyID: string(p.ID)})
	}
	engine := "osx"
	if b := g.May.Broker; b != nil {
		engine, session.Mode, session.RouteTable = "rabbitmq", "replication", routes(*b)
		if b.Shared {
			session.Mode = "client"
		}
		session.RabbitMQ = &brokerConfig{Mode: session.Mode}
	} else {
		session.OSX = &brokerAddress{at.Host, at.Port}
	}
	device := "CPU"
	if len(r.GPUIDs) > 0 {
		device = "GPU"
	}
	parameters := openflow.Parameters{}
	maps.Copy(parameters, r.Spec.Parameters)
	for name, value := range g.Defaults {
		if parameters[name] == nil { // null is how pipelines leave one out
			parameters[name] = value
		}
	}
	b, err := json.Marshal(taskConfig{
		ModelID: g.ModelID, ModelVersion: g.ModelVersion, JobID: string(r.Key.Job), TaskID: string(r.Key.TaskID()),
		TaskVersion: strconv.Itoa(r.Key.Version), TaskName: string(r.Key.Task), ProviderName: provider,
		PartyTaskID: wire.PartyTaskID(r.Key), Component: r.Component, Role: string(r.Key.Party.Role),
		PartyID: string(r.Key.Party.ID), Stage: string(r.Spec.Stage), Parameters: parameters, InputArtifacts: inputs,
		Conf: runtimeConf{
			Device:     typed{Type: device, Metadata: map[string]any{}},
			Storage:    "openflow",
			Computing:  typed{Type: "standalone", Metadata: map[string]any{"computing_id": wire.PartyTaskID(r.Key)}},
			Federation: federation{Type: engine, Metadata: session},
			Logger:     logger{json.RawMessage(ownOutput)},
		},
		MLMD:      mlmd{Type: "flow", Metadata: mlmdMetadata{Host: at.Host, Port: at.Port, Protocol: "http", APIVersion: "v2"}},
		EngineRun: wire.EngineRun(r.Spec.Conf), ComputingPartitions: g.Partitions, LauncherName: "default", LauncherConf: map[string]any{}, Policy: g.Policy,
		Protocol: wire.Protocol(r.Protocol),
	})
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeInvalid, "%s: its parameters cannot be encoded: %w", r.Key, err)
	}
	return b, nil
}

// routes are the brokers of the other parties, by party.
func routes(use openflow.BrokerUse) map[string]brokerAddress {
	table := map[string]brokerAddress{}
	for party, at := range use.Partners {
		host, port, _ := net.SplitHostPort(at)
		n, _ := strconv.Atoi(port) // the policy was checked
		table[string(party)] = brokerAddress{host, n}
	}
	return table
}

func inputsOf(inputs []openflow.Input) (inputArtifacts, error) {
	a := inputArtifacts{Data: map[string]json.RawMessage{}, Model: map[string]json.RawMessage{}}
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
