// Package users serves the users of a site in our own dialect: what FATE-Flow has no route for.
//
// It tells of the node, its peers, its machines, its audit and its tables, streams events, and changes peers and limits.
// Handlers decode, call a service or read the catalogue, and return. Start reading at [Mount].
package users

import (
	"github.com/go-chi/chi/v5"

	"openflow/dialect"
	"openflow/dialect/native/envelope"
	"openflow/server/application"
	"openflow/server/reply"
)

// api serves one site.
type api struct {
	*application.Site
	write reply.Writer
}

// Prefix begins all paths.
const Prefix = "/openflow/v1/user"

// Mount is everything below the prefix.
func Mount(s *application.Site) dialect.Mount {
	a := &api{s, envelope.Writer(s.Log)}
	r := a.write.Router()
	r.Group(func(r chi.Router) {
		r.Use(s.Access.Known(a.write.Refuse))
		a.routes(r)
	})
	return dialect.Mount{Prefix: Prefix, Router: r}
}

func (a *api) routes(r chi.Router) {
	get := func(path string, h reply.Handler) { r.Get(path, a.write.JSON(h)) }
	post := func(path string, h reply.Handler) { r.Post(path, a.write.JSON(reply.Named(h))) }

	r.Get("/job/events", a.jobEvents)
	r.Get("/job/task/log", a.taskLog)
	post("/job/stop-here", a.stopHere)
	get("/table/list", a.listTables)
	get("/table/uses", a.tableUses)
	get("/audit/list", a.listAudit)
	get("/server/about", a.about)
	get("/server/doctor", a.examine)
	get("/site/list", a.listSites)
	get("/site/workers", a.listWorkers)
	get("/site/check", a.checkSite)
	get("/site/probe", a.probeSite)
	post("/site/add", a.addSite)
	post("/site/remove", a.removeSite)
	post("/site/rotate", a.rotateSite)
	post("/site/limit", a.limitSite)
	get("/site/policy", a.sitePolicy)
	get("/site/scores", a.listScores)
	post("/site/scores/raise", a.raiseScores)
	post("/site/scores/reset", a.resetScores)
	get("/app/list", a.listApps)
	post("/app/add", a.addApp)
	post("/app/remove", a.removeApp)
	get("/grant/list", a.listGrants)
	post("/grant/add", a.addGrants)
	post("/grant/remove", a.removeGrant)
	get("/provider/list", a.listProviders)
	get("/provider/show", a.showProvider)
	get("/provider/papers", a.showPapers)
	post("/provider/register", a.registerProvider)
	post("/provider/remove", a.removeProvider)
	get("/component/list", a.listComponents)
	get("/component/show", a.showComponent)
	post("/component/load", a.loadComponent)
	post("/component/unload", a.unloadComponent)
	post("/component/check", a.checkComponent)
	post("/component/default", a.preferProvider)
}
