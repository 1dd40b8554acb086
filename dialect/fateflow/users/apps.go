package users

import (
	"net/http"
	"strings"

	"github.com/go-chi/chi/v5"

	"openflow"
	"openflow/sdk/wire"
	"openflow/server/reply"
)

// appRoutes are the pages app and permission.
//
// Spec: fate-flow-api §1.11, §1.12.
func (a *api) appRoutes(r chi.Router) {
	get := func(path string, h reply.Handler) { r.Get(path, a.write.JSON(h)) }
	post := func(path string, h reply.Handler) { r.Post(path, a.write.JSON(reply.Named(h))) }

	post("/app/client/create", a.createClient)
	post("/app/client/delete", a.deleteClient)
	get("/app/client/query", a.queryClients)
	post("/app/site/create", a.createSite)
	post("/app/site/delete", func(r *http.Request) (any, error) { return a.deleteParty(r, openflow.AppSite) })
	get("/app/site/query", a.querySite)
	post("/app/partner/create", a.createPartner)
	post("/app/partner/delete", func(r *http.Request) (any, error) { return a.deleteParty(r, openflow.AppPartner) })
	get("/app/partner/query", a.queryPartners)

	post("/permission/grant", a.grantRole)
	post("/permission/delete", a.revokeRole)
	get("/permission/query", a.queryPermissions(r))
	get("/permission/role/query", a.queryRoles)
	post("/permission/resource/grant", a.grant)
	post("/permission/resource/delete", a.revoke)
	get("/permission/resource/query", a.grants)
}

// appRow is an app in answers. The token is there once: in the answer that makes it.
type appRow struct {
	Name    string `json:"app_name,omitempty"`
	PartyID string `json:"party_id,omitempty"` // of a partner's, in place of the name
	ID      string `json:"app_id"`
	Token   string `json:"app_token,omitempty"`
	Type    string `json:"app_type,omitempty"`
	Created int64  `json:"create_time,omitempty"`
	Updated int64  `json:"update_time,omitempty"`
}

// created is an app that was made now.
func created(a openflow.App, token string) appRow {
	return appRow{Name: a.Name, ID: string(a.ID), Token: token, Type: string(a.Kind)}
}

// queried is an app without its token.
func queried(a openflow.App) appRow {
	row := appRow{ID: string(a.ID), Created: a.Made.UnixMilli(), Updated: a.Changed.UnixMilli()}
	if a.Kind == openflow.AppPartner {
		row.PartyID = a.Name
		return row
	}
	row.Name, row.Type = a.Name, string(a.Kind)
	return row
}

// done is how the routes that delete and grant say whether something has changed.
type done struct {
	Status bool `json:"status"`
}

// createClient makes an app of a program. Until it is granted a role, it may call nothing.
//
// Spec: fate-flow-api §1.11 #52.
func (a *api) createClient(r *http.Request) (any, error) {
	var b struct {
		Name string `json:"app_name" check:"required"`
	}
	if err := reply.Decode(r, &b); err != nil {
		return nil, err
	}
	made, token, err := a.AddApp(r, openflow.App{Kind: openflow.AppClient, Name: b.Name})
	if err != nil {
		return nil, err
	}
	return created(made, token), nil
}

// deleteClient takes an app back.
//
// Spec: fate-flow-api §1.11 #53.
func (a *api) deleteClient(r *http.Request) (any, error) {
	var b struct {
		ID wire.Text `json:"app_id" check:"required"`
	}
	if err := reply.Decode(r, &b); err != nil {
		return nil, err
	}
	app, err := a.Catalogue.App(r.Context(), openflow.AppClient, openflow.AppID(b.ID))
	if err == nil {
		err = a.RemoveApp(r, app.App)
	}
	return statusOf(err)
}

// statusOf is the answer about an app that is gone now, or was not there.
func statusOf(err error) (any, error) {
	if absent(err) {
		return done{false}, nil
	}
	return done{err == nil}, err
}

// queryClients lists the apps of programs, or those that a query names.
//
// Spec: fate-flow-api §1.11 #54.
func (a *api) queryClients(r *http.Request) (any, error) {
	id, name := r.URL.Query().Get("app_id"), r.URL.Query().Get("app_name")
	return a.apps(r, openflow.AppClient, func(a openflow.App) bool { return (id == "" || id == string(a.ID)) && (name == "" || name == a.Name) })
}

// apps lists the apps of a kind that a query wants.
func (a *api) apps(r *http.Request, k openflow.AppKind, wanted func(openflow.App) bool) (any, error) {
	list, err := a.Catalogue.Apps(r.Context(), k)
	rows := []appRow{}
	for _, app := range list {
		if wanted(app) {
			rows = append(rows, queried(app))
		}
	}
	return rows, err
}

// partyBody names a party.
type partyBody struct {
	PartyID wire.Text `json:"party_id" check:"required"`
}

// createSite makes the app with which a peer signs its calls to this site. There is one for each peer.
//
// Spec: fate-flow-api §1.11 #55.
func (a *api) createSite(r *http.Request) (any, error) {
	var b partyBody
	if err := reply.Decode(r, &b); err != nil {
		return nil, err
	}
	made, token, err := a.AddApp(r, openflow.App{Kind: openflow.AppSite, Name: string(b.PartyID)})
	if err != nil {
		return nil, err
	}
	return created(made, token), nil
}

// deleteParty takes back the app of a peer, of either kind.
//
// Spec: fate-flow-api §1.11 #56, #59.
func (a *api) deleteParty(r *http.Request, k openflow.AppKind) (any, error) {
	var b partyBody
	if err := reply.Decode(r, &b); err != nil {
		return nil, err
	}
	if err := openflow.CheckIdentifier("party_id", string(b.PartyID)); err != nil {
		return nil, err
	}
	app, err := a.Catalogue.AppNamed(r.Context(), k, string(b.PartyID))
	if err == nil {
		err = a.RemoveApp(r, app.App)
	}
	return statusOf(err)
}

// querySite shows the app of a peer.
//
// Spec: fate-flow-api §1.11 #57.
func (a *api) querySite(r *http.Request) (any, error) {
	v, err := reply.Required(r, "party_id")
	if err != nil {
		return nil, err
	}
	return a.apps(r, openflow.AppSite, func(a openflow.App) bool { return a.Name == v[0] })
}

// createPartner keeps the app that a peer has made for this site. A repeat of the same is the same.
//
// Spec: fate-flow-api §1.11 #58.
func (a *api) createPartner(r *http.Request) (any, error) {
	var b struct {
		partyBody
		ID    wire.Text `json:"app_id" check:"required"`
		Token string    `json:"app_token" check:"required"`
	}
	if err := reply.Decode(r, &b); err != nil {
		return nil, err
	}
	app := openflow.App{Kind: openflow.AppPartner, ID: openflow.AppID(b.ID), Name: string(b.PartyID)}
	if have, token, err := a.Apps.AppOf(r.Context(), app.Kind, openflow.PartyID(b.PartyID)); err != nil || have.ID != app.ID || token != b.Token {
		if err != nil && !absent(err) {
			return nil, err
		}
		if _, err := a.IntroduceApp(r, app, b.Token); err != nil {
			return nil, err
		}
	}
	return appRow{PartyID: app.Name, ID: string(app.ID), Token: b.Token}, nil
}

// queryPartners lists the apps that peers have made for this site, or that of one peer.
//
// Spec: fate-flow-api §1.11 #60.
func (a *api) queryPartners(r *http.Request) (any, error) {
	if err := reply.Identifiers(r, "party_id"); err != nil {
		return nil, err
	}
	party := r.URL.Query().Get("party_id")
	return a.apps(r, openflow.AppPartner, func(a openflow.App) bool { return party == "" || a.Name == party })
}

// roleBody names an app of a program or a peer, and a role.
type roleBody struct {
	ID   wire.Text `json:"app_id" check:"required"`
	Role string    `json:"role" check:"required"`
}

// foreignRoles are those of FATE-Flow that no app can have here: containers prove themselves by their tasks, and the InterOp
// standard's adapters are not offered.
const foreignRoles = " worker super_worker bfia super_bfia "

// changedApp reads a body that names an app and a role.
func (a *api) changedApp(r *http.Request) (app openflow.App, role openflow.AppRole, err error) {
	var b roleBody
	if err = reply.Decode(r, &b); err != nil {
		return app, "", err
	}
	role = openflow.AppRole(b.Role)
	known := strings.Contains(foreignRoles, " "+b.Role+" ") // it then fits no app
	for _, ours := range openflow.AppRoles() {
		known = known || role == ours
	}
	if !known {
		return app, "", openflow.Errorf(openflow.CodeInvalid, "Invalid parameter: role[%s]", openflow.Cut(b.Role, 80)).
			WithHint("an app of a client has the role client or super_client, and one of a site the role site")
	}
	app, err = a.appByID(r, string(b.ID))
	return app, role, err
}

// appByID finds an app that this site has made, of a program or of a peer.
func (a *api) appByID(r *http.Request, id string) (openflow.App, error) {
	app, err := a.Catalogue.App(r.Context(), openflow.AppClient, openflow.AppID(id))
	if absent(err) {
		if site, other := a.Catalogue.App(r.Context(), openflow.AppSite, openflow.AppID(id)); !absent(other) {
			return site.App, other
		}
		err = openflow.About(openflow.AboutApp, openflow.Errorf(openflow.CodeNotFound, "No found appid: app_id[%s]", openflow.Cut(id, 80)))
	}
	return app.App, err
}

// grantRole gives an app a role in place of what it had.
//
// Spec: fate-flow-api §1.12 #61.
func (a *api) grantRole(r *http.Request) (any, error) {
	app, role, err := a.changedApp(r)
	if err == nil {
		_, err = a.GrantApp(r, app, role)
	}
	if err != nil {
		return nil, err
	}
	return done{true}, nil
}

// revokeRole takes a role from an app that has it.
//
// Spec: fate-flow-api §1.12 #62.
func (a *api) revokeRole(r *http.Request) (any, error) {
	app, role, err := a.changedApp(r)
	if err != nil {
		return nil, err
	}
	if app.Role != role {
		return done{false}, nil
	}
	if _, err := a.GrantApp(r, app, ""); err != nil {
		return nil, err
	}
	return done{true}, nil
}

// queryRoles lists the roles that apps can have here.
//
// Spec: fate-flow-api §1.12 #64.
func (a *api) queryRoles(*http.Request) (any, error) { return openflow.AppRoles(), nil }

// queryPermissions tells what an app may call: a role, a path and a method each.
//
// Spec: fate-flow-api §1.12 #63.
func (a *api) queryPermissions(routes chi.Routes) reply.Handler {
	return func(r *http.Request) (any, error) {
		v, err := reply.Required(r, "app_id")
		if err != nil {
			return nil, err
		}
		app, err := a.appByID(r, v[0])
		if err != nil || app.Role == "" {
			return map[string]any{}, err
		}
		list, err := permitted(routes, app.Role)
		return map[openflow.AppRole][][3]string{app.Role: list}, err
	}
}

// permitted are the routes that a role has. Those of sites are in another layer, which has them all.
func permitted(routes chi.Routes, role openflow.AppRole) (list [][3]string, err error) {
	if role == openflow.AppMayPeer {
		return [][3]string{{string(role), prefix + "/partner/*", http.MethodPost}, {string(role), prefix + "/scheduler/*", http.MethodPost}}, nil
	}
	err = chi.Walk(routes, func(method, route string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		if !isManaged(route) || role == openflow.AppMayManage {
			list = append(list, [3]string{string(role), prefix + route, method})
		}
		return nil
	})
	return list, err
}

func isManaged(route string) bool {
	return strings.HasPrefix(route, "/app/") || strings.HasPrefix(route, "/permission/")
}
