package component

import (
	"encoding/json"
	"net"
	"strconv"
	"strings"

	"openflow"
)

// config is what a node puts into CONFIG, as far as the kit reads it.
//
// Spec: fate-flow-api §3.2.
type config struct {
	ModelID        string                     `json:"model_id"`
	ModelVersion   string                     `json:"model_version"`
	JobID          openflow.JobID             `json:"job_id"`
	TaskID         openflow.TaskID            `json:"task_id"`
	TaskVersion    string                     `json:"task_version"`
	TaskName       openflow.TaskName          `json:"task_name"`
	RunID          openflow.RunID             `json:"party_task_id"`
	Component      string                     `json:"component"`
	Role           openflow.Role              `json:"role"`
	PartyID        openflow.PartyID           `json:"party_id"`
	Stage          openflow.Stage             `json:"stage"`
	Parameters     map[string]json.RawMessage `json:"parameters"`
	InputArtifacts struct {
		Data  map[string]channels `json:"data"`
		Model map[string]channels `json:"model"`
	} `json:"input_artifacts"`
	Conf struct {
		Federation struct {
			Metadata struct {
				ID      openflow.SessionID `json:"federation_id"`
				Parties struct {
					Parties []struct {
						Role openflow.Role    `json:"role"`
						ID   openflow.PartyID `json:"partyid"`
					} `json:"parties"`
				} `json:"parties"`
			} `json:"metadata"`
		} `json:"federation"`
	} `json:"conf"`
	MLMD struct {
		Metadata struct {
			Host     string      `json:"host"`
			Port     json.Number `json:"port"`
			Protocol string      `json:"protocol"`
		} `json:"metadata"`
	} `json:"mlmd"`

	Policy   *openflow.Policy `json:"policy"`
	Protocol protocol         `json:"protocol"`

	version int
}

// channel says where one input comes from.
//
// Spec: fate-flow-api §4.2.2.
type channel struct {
	ProducerTask openflow.TaskName `json:"producer_task"`
	OutputKey    string            `json:"output_artifact_key"`
	Namespace    string            `json:"namespace"`
	Name         string            `json:"name"`
	JobID        openflow.JobID    `json:"job_id"`
	ModelID      string            `json:"model_id"`
	ModelVersion string            `json:"model_version"`
}

// channels is one channel or a list of them: the wire has both.
type channels []channel

// UnmarshalJSON accepts an object, a list of objects, or null.
func (c *channels) UnmarshalJSON(data []byte) error {
	if strings.HasPrefix(string(data), "[") {
		return json.Unmarshal(data, (*[]channel)(c))
	}
	var one *channel
	if err := json.Unmarshal(data, &one); err != nil {
		return err
	}
	*c = nil
	if one != nil {
		*c = channels{*one}
	}
	return nil
}

// parseConfig reads CONFIG and refuses one that cannot name its task and its node.
func parseConfig(text string) (*config, error) {
	if text == "" {
		return nil, openflow.Errorf(openflow.CodeInvalid, "environment variable CONFIG is empty").
			WithHint("a component is started by a node; to see what it offers, run it with the argument \"list\" or \"desc --name NAME\"")
	}
	c := &config{}
	if err := json.Unmarshal([]byte(text), c); err != nil {
		return nil, openflow.Errorf(openflow.CodeInvalid, "environment variable CONFIG is not readable: %w", err)
	}
	for name, value := range map[string]string{
		"job_id": string(c.JobID), "task_name": string(c.TaskName), "party_task_id": string(c.RunID),
		"component": c.Component, "role": string(c.Role), "party_id": string(c.PartyID), "mlmd.metadata.host": c.MLMD.Metadata.Host,
	} {
		if value == "" {
			return nil, openflow.Errorf(openflow.CodeInvalid, "environment variable CONFIG has no %s", name)
		}
	}
	version, err := strconv.Atoi(c.TaskVersion)
	if err != nil && c.TaskVersion != "" {
		return nil, openflow.Errorf(openflow.CodeInvalid, "task_version %q in CONFIG is not a number", c.TaskVersion)
	}
	c.version = version
	if c.Stage == "" {
		c.Stage = openflow.StageDefault
	}
	if c.MLMD.Metadata.Protocol == "" {
		c.MLMD.Metadata.Protocol = "http"
	}
	return c, nil
}

func (c *config) nodeURL() string {
	m := c.MLMD.Metadata
	if m.Port == "" || m.Port == "0" {
		return m.Protocol + "://" + m.Host
	}
	return m.Protocol + "://" + net.JoinHostPort(m.Host, m.Port.String())
}

func (c *config) key() openflow.TaskKey {
	return openflow.TaskKey{Job: c.JobID, Task: c.TaskName, Version: c.version, Party: openflow.Party{Role: c.Role, ID: c.PartyID}}
}

func (c *config) session() openflow.SessionID {
	if id := c.Conf.Federation.Metadata.ID; id != "" {
		return id
	}
	return c.key().SessionID()
}

func (c *config) parties() []openflow.Party {
	var parties []openflow.Party
	for _, p := range c.Conf.Federation.Metadata.Parties.Parties {
		parties = append(parties, openflow.Party{Role: p.Role, ID: p.ID})
	}
	return parties
}
