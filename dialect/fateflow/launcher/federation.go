package launcher

import "encoding/json"

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
}

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

// federationOf says how the components of a task's parties talk with each other. The standalone engine needs no service. It
// reaches nobody outside of the container.
func federationOf(t told) (federation, error) {
	m := t.Conf.Federation.Metadata
	if m.Parties.Local.Role == "" {
		m.Parties.Local = federationParty{string(t.Role), t.PartyID}
	}
	return federation{Type: standalone, Metadata: federationMetadata{ID: m.ID, Parties: m.Parties}}, nil
}
