package fateflow

import (
	"encoding/json"

	"openflow"
	"openflow/sdk/wire"
)

// taskConfig is what a node hands to a task's container, as JSON in the environment variable CONFIG.
//
// Spec: fate-flow-api §3.2.
type taskConfig struct {
	ModelID             string          `json:"model_id"`
	ModelVersion        string          `json:"model_version"`
	JobID               string          `json:"job_id"`
	TaskID              string          `json:"task_id"`
	TaskVersion         string          `json:"task_version"`
	TaskName            string          `json:"task_name"`
	ProviderName        string          `json:"provider_name"`
	PartyTaskID         string          `json:"party_task_id"`
	Component           string          `json:"component"`
	Role                string          `json:"role"`
	PartyID             string          `json:"party_id"`
	Stage               string          `json:"stage"`
	Parameters          map[string]any  `json:"parameters"`
	InputArtifacts      inputArtifacts  `json:"input_artifacts"`
	Conf                runtimeConf     `json:"conf"`
	MLMD                mlmd            `json:"mlmd"`
	EngineRun           map[string]any  `json:"engine_run"`
	ComputingPartitions int             `json:"computing_partitions"`
	LauncherName        string          `json:"launcher_name"`
	LauncherConf        map[string]any  `json:"launcher_conf"`
	Policy              openflow.Policy `json:"policy"`            // of the site; ours, like what follows
	Protocol            wire.Protocol   `json:"protocol,omitzero"` // that the task's parties speak with each other
}

// inputArtifacts holds the channels by input key: a channel object or a list of them.
type inputArtifacts struct {
	Data  map[string]json.RawMessage `json:"data"`
	Model map[string]json.RawMessage `json:"model"`
}

// runtimeConf is the `conf` of a task.
type runtimeConf struct {
	Device     typed      `json:"device"`
	Storage    string     `json:"storage"`
	Computing  typed      `json:"computing"`
	Federation federation `json:"federation"`
	Logger     logger     `json:"logger"`
}

// logger configures Python's logging, in the form of its logging.config.
type logger struct {
	Config json.RawMessage `json:"config"`
}

// ownOutput is the logging of a program whose log is what it writes.
const ownOutput = `{"version":1,"disable_existing_loggers":false,` +
	`"formatters":{"root":{"format":"[%(levelname)s][%(asctime)s][%(process)s]: %(message)s"}},` +
	`"handlers":{"root":{"class":"logging.StreamHandler","level":"INFO","formatter":"root","stream":"ext://sys.stderr"}},` +
	`"root":{"level":"INFO","handlers":["root"]}}`

// typed is a conf member that is discriminated by its type.
type typed struct {
	Type     string         `json:"type,omitempty"`
	Metadata map[string]any `json:"metadata,omitempty"`
}

// federation says which session the parties of the task share.
type federation struct {
	Type     string             `json:"type"`
	Metadata federationMetadata `json:"metadata"`
}

// federationMetadata names session and parties.
type federationMetadata struct {
	FederationID string            `json:"federation_id"`
	Parties      federationParties `json:"parties"`

	// OSX is where the transport is spoken: at the node's base layer.
	OSX *brokerAddress `json:"osx_config,omitempty"`

	// Of a broker: where those of the other parties are, as the site's own reaches them, and whether it copies from them.
	RouteTable map[string]brokerAddress `json:"route_table,omitempty"`
	Mode       string                   `json:"mode,omitempty"`
	RabbitMQ   *brokerConfig            `json:"rabbitmq_config,omitempty"`
}

// brokerConfig is what FATE-Flow tells of a site's own broker. A container reaches it through its node alone, so it is told neither
// address nor account.
type brokerConfig struct {
	brokerAddress
	Management int    `json:"mng_port"`
	User       string `json:"user"`
	Password   string `json:"password"`
	Mode       string `json:"mode"`
}

// brokerAddress is where a broker is.
type brokerAddress struct {
	Host string `json:"host"`
	Port int    `json:"port"`
}

// federationParties lists all parties of the task, in the order of the DAG.
type federationParties struct {
	Local   federationParty   `json:"local"`
	Parties []federationParty `json:"parties"`
}

// federationParty is a party; the key is really spelled `partyid`.
type federationParty struct {
	Role    string `json:"role"`
	PartyID string `json:"partyid"`
}

// mlmd is where the node is, as seen from the container.
type mlmd struct {
	Type     string       `json:"type"`
	Metadata mlmdMetadata `json:"metadata"`
}

// mlmdMetadata is the address of the node's base layer.
type mlmdMetadata struct {
	Host       string `json:"host"`
	Port       int    `json:"port"`
	Protocol   string `json:"protocol"`
	APIVersion string `json:"api_version"`
}
