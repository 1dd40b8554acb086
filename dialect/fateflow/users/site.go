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
