package launcher

import (
	"context"
	"encoding/json"

	"openflow/dialect/fateflow/launcher/broker"
	"openflow/dialect/fateflow/launcher/osx"
	"openflow/dialect/fateflow/rabbitmq"
	"openflow/sdk/component"
)

// federation is the `conf.federation` of a task: the engine by which its parties talk, who they are, and what the engine needs.
//
// Spec: fate-flow-api §3.2.
type federation struct {
	Type     string             `json:"type"`
	Metadata federationMetadata `json:"metadata"`
}

// federationMetadata names session and parties. The rest is the engine's own, by its key, such as `osx_config`.
type federationMetadata struct {
	ID      string            `json:"federation_id"`
	Parties federationParties `json:"parties"`
	Engine  map[string]any    `json:"-"`

	// RouteTable and Mode are what a node tells where the policy of its site names a broker.
	RouteTable map[string]address `json:"route_table"`
	Mode       string             `json:"mode"`
}

// address is where a broker is, as that of the site reaches it.
type address struct {
	Host string `json:"host"`
	Port int    `json:"port"`
}

// The engines by which components of two parties talk, beside standalone.
const (
	engineOSX      = "osx"
	engineRabbitMQ = "rabbitmq"
)

type federationParties struct {
	Local   federationParty   `json:"local"`
	Parties []federationParty `json:"parties"`
}

// federationParty is a party; the key is really spelled `partyid`.
type federationParty struct {
	Role    string `json:"role"`
	PartyID string `json:"partyid"`
}

// MarshalJSON puts what the engine needs beside session and parties.
func (m federationMetadata) MarshalJSON() ([]byte, error) {
	all := map[string]any{}
	for key, value := range m.Engine {
		all[key] = value
	}
	all["federation_id"], all["parties"] = m.ID, m.Parties
	return json.Marshal(all)
}

// federationOf says how the components of a task's parties talk with each other, where there is one party: the standalone engine
// needs no service. It reaches nobody outside of the container.
func federationOf(t told) (federation, error) {
	m := t.Conf.Federation.Metadata
	if m.Parties.Local.Role == "" {
		m.Parties.Local = federationParty{string(t.Role), t.PartyID}
	}
	return federation{Type: standalone, Metadata: federationMetadata{ID: m.ID, Parties: m.Parties}}, nil
}

// federate gives the components of several parties an engine by which they talk: the broker of the site, where the node says so, or
// the messages of the task. Both are at addresses of loopback in this very container, and lead to the node only. stop ends that.
//
// Spec: fate-flow-api §3.2.
func (w *wrapper) federate(ctx context.Context, t *component.Task, f *federation) (stop func(), err error) {
	told := w.told.Conf.Federation
	switch {
	case len(told.Metadata.Parties.Parties) < 2:
		return func() {}, nil
	case told.Type == engineRabbitMQ:
		b, err := broker.Serve(ctx, t, w.log)
		if err != nil {
			return nil, err
		}
		f.Type = engineRabbitMQ
		f.Metadata.Engine = map[string]any{
			"route_table": told.Metadata.RouteTable, "rabbitmq_run": object{}, "connection": object{},
			"rabbitmq_config": object{
				"host": loopback, "port": b.Port, "mng_port": b.Management, "user": rabbitmq.Placeholder, "password": rabbitmq.Placeholder,
				"mode": told.Metadata.Mode,
			},
		}
		return b.Close, nil
	}
	s, err := osx.Serve(ctx, told.Metadata.ID, t)
	if err != nil {
		return nil, err
	}
	f.Type = engineOSX
	f.Metadata.Engine = map[string]any{"osx_config": object{"host": loopback, "port": s.Port}}
	return s.Close, nil
}

// object is one of JSON.
type object = map[string]any

const loopback = "127.0.0.1"
