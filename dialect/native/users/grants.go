package users

import (
	"net/http"

	"openflow"
	"openflow/sdk/wire"
	"openflow/server/reply"
)

func encodeGrants(grants []openflow.Grant) wire.Grants {
	out := wire.Grants{Grants: make([]wire.Grant, len(grants))}
	for i, g := range grants {
		out.Grants[i] = wire.EncodeGrant(g)
	}
	return out
}

// listGrants lists what is granted to a party, or to all.
func (a *api) listGrants(r *http.Request) (any, error) {
	grants, err := a.Catalogue.Grants(r.Context(), openflow.PartyID(r.URL.Query().Get("party_id")))
	return encodeGrants(grants), err
}

func (a *api) addGrants(r *http.Request) (any, error) {
	var b wire.Grants
	if err := reply.Decode(r, &b); err != nil {
		return nil, err
	}
	grants := make([]openflow.Grant, len(b.Grants))
	for i, g := range b.Grants {
		grants[i] = g.Decode()
	}
	made, err := a.AddGrants(r, grants)
	return encodeGrants(made), err
}

// GrantID is the body of /openflow/v1/user/grant/remove.
type GrantID struct {
	ID string `json:"id" check:"required"`
}

func (a *api) removeGrant(r *http.Request) (any, error) {
	var b GrantID
	if err := reply.Decode(r, &b); err != nil {
		return nil, err
	}
	g, err := a.RemoveGrant(r, openflow.GrantID(b.ID))
	return encodeGrants([]openflow.Grant{g}), err
}
