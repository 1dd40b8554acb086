package launcher

import (
	"encoding/json"
	"strconv"

	"openflow"
	"openflow/sdk/component"
)

// told is what the launcher needs of what a node tells a container. The kit reads the rest.
//
// Spec: fate-flow-api §3.2.
type told struct {
	JobID       string             `json:"job_id"`
	TaskID      string             `json:"task_id"`
	PartyTaskID string             `json:"party_task_id"`
	TaskName    string             `json:"task_name"`
	Provider    string             `json:"provider_name"`
	Component   string             `json:"component"`
	Role        openflow.Role      `json:"role"`
	PartyID     string             `json:"party_id"`
	Stage       openflow.Stage     `json:"stage"`
	Parameters  map[string]any     `json:"parameters"`
	Partitions  int                `json:"computing_partitions"`
	Protocol    *openflow.Protocol `json:"protocol"`
	Conf        struct {
		Device     json.RawMessage `json:"device"`
		Federation federation      `json:"federation"`
	} `json:"conf"`
}

// taskConfig is what a component gets.
//
// Spec: fate-flow-api §3.4.
type taskConfig struct {
	JobID           string            `json:"job_id"`
	TaskID          string            `json:"task_id"`
	PartyTaskID     string            `json:"party_task_id"`
	TaskName        string            `json:"task_name"`
	Component       string            `json:"component"`
	Role            openflow.Role     `json:"role"`
	PartyID         string            `json:"party_id"`
	Stage           openflow.Stage    `json:"stage"`
	Parameters      map[string]any    `json:"parameters"`
	InputArtifacts  map[string]any    `json:"input_artifacts"` // an input, or a list of them
	OutputArtifacts map[string]output `json:"output_artifacts"`
	Conf            conf              `json:"conf"`
}

// input is an artifact that the component reads.
type input struct {
	URI      string        `json:"uri"`
	Metadata inputMetadata `json:"metadata"`
	TypeName string        `json:"type_name"`
}

// inputMetadata is what is known of it. Of a model it has what its archive says.
//
// Spec: fate-flow-api §3.4, §3.10.
type inputMetadata struct {
	Metadata      any     `json:"metadata"`
	Name          *string `json:"name"`
	Namespace     *string `json:"namespace"`
	Source        *source `json:"source"`
	ModelOverview any     `json:"model_overview"`
	DataOverview  any     `json:"data_overview"`
	ModelKey      *string `json:"model_key"`
	TypeName      *string `json:"type_name"`
	Index         *int    `json:"index"`
}

// source says which output of which task an artifact was.
type source struct {
	TaskID      string `json:"task_id" yaml:"task_id"`
	PartyTaskID string `json:"party_task_id" yaml:"party_task_id"`
	TaskName    string `json:"task_name" yaml:"task_name"`
	Component   string `json:"component" yaml:"component"`
	OutputKey   string `json:"output_artifact_key" yaml:"output_artifact_key"`
	OutputIndex *int   `json:"output_index" yaml:"output_index"`
}

// output is an artifact that the component may write.
type output struct {
	URI      string                 `json:"uri"`
	TypeName component.ArtifactType `json:"type_name"`
}

// conf is the `conf` of a task: engines, and the log.
type conf struct {
	Device     json.RawMessage `json:"device"`
	Storage    string          `json:"storage"`
	Computing  computing       `json:"computing"`
	Federation federation      `json:"federation"`
	Logger     logger          `json:"logger"`
}

type computing struct {
	Type     string            `json:"type"`
	Metadata computingMetadata `json:"metadata"`
}

type computingMetadata struct {
	ID      string           `json:"computing_id"`
	Options computingOptions `json:"options"`
}

type computingOptions struct {
	DataDir   string `json:"data_dir"`
	TaskCores int    `json:"task_cores,omitempty"`
}

type logger struct {
	Config map[string]any `json:"config"`
}

// standalone is the engine of FATE that needs no service: its tables are files of the run.
const standalone = "standalone"

// confOf is the conf of a run whose engine keeps its tables in that folder.
func confOf(t told, data, cores string) (conf, error) {
	f, err := federationOf(t)
	c := conf{
		Device: t.Conf.Device, Storage: standalone, Federation: f, Logger: logger{logging()},
		Computing: computing{standalone, computingMetadata{t.PartyTaskID, computingOptions{DataDir: data}}},
	}
	if len(c.Device) == 0 {
		c.Device = json.RawMessage(`{"type":"CPU","metadata":{}}`)
	}
	if n, wrong := strconv.Atoi(cores); wrong == nil && n > 0 {
		c.Computing.Metadata.Options.TaskCores = n
	}
	return c, err
}

// logging lets the component write its log where a node takes it: to its standard error. FATE-Flow names files of its own disk.
//
// Spec: fate-flow-api §3.2.
func logging() map[string]any {
	return map[string]any{
		"version": 1, "disable_existing_loggers": false,
		"formatters": map[string]any{"component": map[string]any{
			"format": "[%(levelname)s][%(asctime)-8s][%(process)s][%(module)s.%(funcName)s][line:%(lineno)d]: %(message)s",
		}},
		"handlers": map[string]any{"component": map[string]any{
			"class": "logging.StreamHandler", "level": "INFO", "formatter": "component", "filters": []string{}, "stream": "ext://sys.stderr",
		}},
		"filters": map[string]any{}, "loggers": map[string]any{"fate": map[string]any{"handlers": []string{"component"}, "level": "INFO", "propagate": false}},
		"root": map[string]any{"handlers": []string{"component"}, "level": "INFO"},
	}
}
