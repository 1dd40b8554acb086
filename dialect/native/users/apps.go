package users

import (
	"net/http"

	"openflow"
	"openflow/sdk/wire"
	"openflow/server/reply"
)

// listApps lists the apps of this site, or those of a kind, without their tokens.
func (a *api) listApps(r *http.Request) (any, error) {
	kind := openflow.AppKind(r.URL.Query().Get("kind"))
	if kind != "" && !kind.Valid() {
		return nil, openflow.Errorf(openflow.CodeInvalid, "kind %q is none of apps", openflow.Cut(string(kind), 80)).WithHint("it is client, site or partner")
	}
	list, err := a.Catalogue.Apps(r.Context(), kind)
	rows := make([]wire.App, len(list))
	for i, app := range list {
		rows[i] = wire.EncodeApp(app)
	}
	return rows, err
}

// addApp makes an app, and shows its token once; or keeps the one that a peer has made.
func (a *api) addApp(r *http.Request) (any, error) {
	var b wire.App
	if err := reply.Decode(r, &b); err != nil {
		return nil, err
	}
	app := b.Decode()
	if app.Kind == openflow.AppPartner {
		made, err := a.IntroduceApp(r, app, b.Token)
		return wire.EncodeApp(made), err
	}
	if b.ID != "" || b.Token != "" {
		return nil, openflow.Errorf(openflow.CodeInvalid, "this site makes the id and the token of an app of a %s", openflow.Cut(b.Kind, 80)).
			WithHint("leave them out; an app that a peer has made is of the kind partner")
	}
	made, token, err := a.AddApp(r, app)
	row := wire.EncodeApp(made)
	row.Token = token
	return row, err
}

// removeApp takes an app back, which its kind and name tell.
func (a *api) removeApp(r *http.Request) (any, error) {
	var b wire.App
	if err := reply.Decode(r, &b); err != nil {
		return nil, err
	}
	app, err := a.Catalogue.AppNamed(r.Context(), openflow.AppKind(b.Kind), string(b.Name))
	if err == nil {
		err = a.RemoveApp(r, app.App)
	}
	return wire.EncodeApp(app.App), err
}
