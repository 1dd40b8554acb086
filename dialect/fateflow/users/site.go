package users

import (
	"net/http"

	"openflow"
)

// siteInfo names the party of this node.
//
// Spec: fate-flow-api §1.10.
func (a *api) siteInfo(*http.Request) (any, error) {
	return map[string]openflow.PartyID{"party_id": a.About().Party}, nil
}

// serverInfo is what the FATE client asks for to see that the server is there.
//
// Spec: fate-flow-api §1.9 #43.
func (a *api) serverInfo(*http.Request) (any, error) {
	about := a.About()
	id := "flow-" + string(about.Party)
	return map[string]any{id: map[string]any{
		"instance_id": id, "timestamp": about.Started.UnixMilli(), "version": about.Version, "host": about.Host,
		"grpc_port": 0, "http_port": about.Port,
	}}, nil
}
