package wire

import "openflow"

// App is an openflow.App. The token is in the answer that makes it, and in the body that brings a peer's.
type App struct {
	ID      string `json:"id,omitempty"`
	Kind    string `json:"kind"` // client, site, partner
	Name    Text   `json:"name"` // of a client; otherwise the party
	Role    string `json:"role,omitempty"`
	Plain   bool   `json:"plain,omitempty"` // its requests are taken from other machines without TLS too
	Token   string `json:"token,omitempty"`
	By      string `json:"by,omitempty"`
	Made    *int64 `json:"made,omitempty"` // milliseconds since 1970
	Changed *int64 `json:"changed,omitempty"`
}

// EncodeApp renders an app without its token.
func EncodeApp(a openflow.App) App {
	return App{
		ID: string(a.ID), Kind: string(a.Kind), Name: Text(a.Name), Role: string(a.Role), Plain: a.Plain, By: a.By, Made: Millis(a.Made), Changed: Millis(a.Changed),
	}
}

// Decode is the way back, of what a user may say.
func (a App) Decode() openflow.App {
	return openflow.App{ID: openflow.AppID(a.ID), Kind: openflow.AppKind(a.Kind), Name: string(a.Name), Role: openflow.AppRole(a.Role), Plain: a.Plain}
}
