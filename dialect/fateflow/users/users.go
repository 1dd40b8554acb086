// Package users serves the users of a site as FATE-Flow does: FATE's own clients, and the CLI and SDK where FATE-Flow has
// the route.
//
// It submits, stops and observes jobs, shows outputs, takes data in, and keeps grants. Handlers decode, call a service or
// read the catalogue, and return. Start reading at [Mount].
package users

import (
	"slices"

	"github.com/go-chi/chi/v5"

	"openflow"
	"openflow/dialect"
	"openflow/dialect/fateflow/envelope"
	"openflow/sdk/wire"
	"openflow/server/application"
	"openflow/server/reply"
)

// api serves one site.
type api struct {
	*application.Site
	read  func(document []byte) (openflow.Submission, error)
	write envelope.Writer
}

// Mount is fate-flow-api part 1, as far as it is offered. read reads the jobs that users send.
func Mount(s *application.Site, read func(document []byte) (openflow.Submission, error)) dialect.Mount {
	a := &api{s, read, envelope.Writer{Log: s.Log}}
	r := a.write.Router()
	r.Group(func(r chi.Router) {
		r.Use(s.Access.Signed(a.write.Refuse, a.prove))
		a.routes(r)
		a.managed(r, a.appRoutes)
	})
	return dialect.Mount{Prefix: prefix, Router: r}
}

// prefix begins all paths.
const prefix = "/v2"

func (a *api) routes(r chi.Router) {
	get := func(path string, h reply.Handler) { r.Get(path, a.write.JSON(h)) }
	post := func(path string, h reply.Handler) { r.Post(path, a.write.JSON(reply.Named(h))) }
	change := func(path string, h reply.Handler) { r.With(a.Begins).Post(path, a.write.JSON(reply.Named(h))) }

	change("/job/submit", a.submit)
	get("/job/query", a.queryJobs)
	get("/job/list/query", a.listJobs)
	change("/job/stop", a.stop)
	change("/job/rerun", a.rerun)
	post("/job/queue/clean", a.cleanQueue)
	post("/job/clean", a.clean)
	post("/job/notes/add", a.addNotes)
	get("/job/data/view", a.dataView)
	get("/job/dag/dependency", a.dependency)
	r.Post("/job/log/download", a.downloadLogs)
	get("/job/task/query", a.queryTasks)
	get("/job/task/list/query", a.listTasks)

	get("/output/metric/key/query", a.metricKeys)
	get("/output/metric/query", a.metrics)
	post("/output/metric/delete", a.deleteMetrics)
	get("/output/model/query", a.models)
	r.Get("/output/model/download", a.downloadModel)
	post("/output/model/delete", a.deleteModels)
	r.Get("/output/data/download", a.downloadOutput)
	get("/output/data/table", a.outputTables)
	get("/output/data/display", a.displayOutput)

	post("/data/component/upload", a.uploadPath)
	post("/data/component/upload/file", a.uploadFile)
	post("/data/component/dataframe/transformer", a.transformTable)
	post("/data/component/download", a.downloadInto)
	r.Get("/data/download", a.downloadTable)
	get("/table/query", a.queryTable)
	post("/table/delete", a.deleteTable)
	post("/table/bind/path", a.bindPath)

	post("/provider/register", a.registerProvider)
	get("/provider/query", a.queryProviders)
	post("/provider/delete", a.deleteProviders)

	get("/site/info/query", a.siteInfo)

	get("/server/fateflow", a.serverInfo)
	get("/server/query/all", a.queryServers)
	get("/server/query", a.queryServer)
	post("/server/registry", a.registerServer)
	post("/server/delete", a.deleteServer)
	get("/server/service/query", a.queryService)
	post("/server/service/registry", a.registerService)
	post("/server/service/delete", a.deleteService)

	get("/log/count", a.countLog)
	get("/log/query", a.queryLog)

	post("/model/export", a.exportModels)
	post("/model/import", a.importModels)
	post("/model/delete", a.removeModels)
	post("/model/load", noServing("load", "this node serves no models online: take one with /v2/output/model/download or /v2/model/export"))
	post("/model/migrate", noServing("migrate", "export it here, and import it at the other site under its new name"))
	post("/model/store", noServing("store", "models are in this node's store already; /v2/model/export writes an archive"))
	post("/model/restore", noServing("restore", "import an archive with /v2/model/import"))
}

// jobStatuses are those that clients see as one of the values: a job that has timed out is shown as failed, one that is
// ready as waiting.
func jobStatuses(values []string) []openflow.JobStatus {
	asked := statuses[openflow.JobStatus](values)
	for _, s := range []openflow.JobStatus{openflow.JobTimeout, openflow.JobReady} {
		if slices.Contains(asked, openflow.JobStatus(wire.ClientStatus(s))) && !slices.Contains(asked, s) {
			asked = append(asked, s)
		}
	}
	return asked
}

func statuses[S ~string](values []string) []S {
	var out []S
	for _, v := range values {
		if v != "" {
			out = append(out, S(v))
		}
	}
	return out
}
