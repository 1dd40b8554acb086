// Package application serves the users of this node: the CLI, the Go SDK and the FATE client.
//
// It submits, stops and observes jobs, shows outputs, takes data in, and manages peers and grants. Handlers decode, call
// a service or read the catalogue, and return. Start reading at [API.Routes]; who may call is decided in access.go.
package application

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-chi/chi/v5"

	"openflow"
	"openflow/dialect"
	"openflow/sdk/wire"
	"openflow/server/reply"
	"openflow/site/registry"
	"openflow/store/catalogue"
	"openflow/store/objects"
)

// Sites manages the peers of this node.
type Sites interface {
	AddSite(ctx context.Context, s openflow.SiteRecord) error
	RemoveSite(ctx context.Context, id openflow.PartyID) error
	RotateSite(ctx context.Context, id openflow.PartyID, key string, final bool) error
	// CheckSite calls a peer. CodeUnavailable: it does not answer; CodeUnauthorized: it does not take this node for who it
	// is.
	CheckSite(ctx context.Context, id openflow.PartyID) error
	// ProbeSite tries every dialect on a peer, and changes nothing.
	ProbeSite(ctx context.Context, id openflow.PartyID) ([]dialect.Heard, error)
}

// Logs reads what a task's container has written, also while it runs.
type Logs interface {
	TaskLog(ctx context.Context, t openflow.TaskRecord, w io.Writer) error
}

// About is what this node tells of itself.
type About struct {
	Party      openflow.PartyID
	Version    string
	Runtime    string
	TemporalUI string // address, empty without UI
	PublicKey  string
	Durability string // what a power failure may cost
	Started    time.Time
	Host       string
	Port       int
	Warnings   []string
}

// API serves the application layer.
type API struct {
	Jobs      openflow.JobService
	Catalogue *catalogue.Catalogue
	Objects   objects.Store
	Sites     Sites
	Logs      Logs
	Events    Events
	About     func() About
	Examine   func(ctx context.Context) []openflow.Finding // what openflow doctor shows
	Policy    func() SitePolicy                            // what is in force
	Providers *registry.Registry
	Space     func() error // nil while there is room for new data and jobs
	Uploads   string       // folder that server-side upload paths are taken from
	NewID     func() openflow.JobID
	Log       *slog.Logger
}

// Routes mounts the layer: fate-flow-api part 1 as far as it is offered, then our own routes.
func (a *API) Routes(r chi.Router) {
	get := func(path string, h reply.Handler) { r.Get(path, reply.JSON(a.Log, h)) }
	post := func(path string, h reply.Handler) { r.Post(path, reply.JSON(a.Log, named(h))) }

	post("/v2/job/submit", a.submit)
	get("/v2/job/query", a.queryJobs)
	get("/v2/job/list/query", a.listJobs)
	post("/v2/job/stop", a.stop)
	post("/v2/job/rerun", a.rerun)
	post("/v2/job/queue/clean", a.cleanQueue)
	post("/v2/job/clean", a.clean)
	post("/v2/job/notes/add", a.addNotes)
	get("/v2/job/data/view", a.dataView)
	get("/v2/job/dag/dependency", a.dependency)
	r.Post("/v2/job/log/download", a.downloadLogs)
	get("/v2/job/task/query", a.queryTasks)
	get("/v2/job/task/list/query", a.listTasks)

	get("/v2/output/metric/key/query", a.metricKeys)
	get("/v2/output/metric/query", a.metrics)
	post("/v2/output/metric/delete", a.deleteMetrics)
	get("/v2/output/model/query", a.models)
	r.Get("/v2/output/model/download", a.downloadModel)
	post("/v2/output/model/delete", a.deleteModels)
	r.Get("/v2/output/data/download", a.downloadOutput)
	get("/v2/output/data/table", a.outputTables)
	get("/v2/output/data/display", a.displayOutput)

	post("/v2/data/component/upload", a.uploadPath)
	post("/v2/data/component/upload/file", a.uploadFile)
	r.Get("/v2/data/download", a.downloadTable)
	get("/v2/table/query", a.queryTable)
	post("/v2/table/delete", a.deleteTable)

	get("/v2/site/info/query", a.siteInfo)
	get("/v2/server/fateflow", a.serverInfo)

	post("/v2/permission/resource/grant", a.grant)
	post("/v2/permission/resource/delete", a.revoke)
	get("/v2/permission/resource/query", a.grants)

	// Ours, beside the specification (docs/divergences.md, "Routes of our own").
	get("/v2/table/list", a.listTables)
	get("/v2/table/uses", a.tableUses)
	get("/v2/audit/list", a.listAudit)
	r.Get("/v2/job/task/log", a.taskLog)
	r.Get("/v2/job/events", a.jobEvents)
	get("/v2/server/about", a.about)
	get("/v2/server/doctor", a.examine)
	get("/v2/site/list", a.listSites)
	get("/v2/site/workers", a.listWorkers)
	get("/v2/site/check", a.checkSite)
	get("/v2/site/probe", a.probeSite)
	post("/v2/site/add", a.addSite)
	post("/v2/site/remove", a.removeSite)
	post("/v2/site/rotate", a.rotateSite)
	get("/v2/site/policy", a.sitePolicy)
	get("/v2/site/scores", a.listScores)
	post("/v2/site/scores/raise", a.raiseScores)
	post("/v2/site/scores/reset", a.resetScores)
	get("/v2/permission/resource/list", a.listGrants)
	get("/v2/provider/list", a.listProviders)
	get("/v2/provider/show", a.showProvider)
	post("/v2/provider/add", a.addProvider)
	post("/v2/provider/remove", a.removeProvider)
	post("/v2/provider/enable", a.enableProvider)
	post("/v2/provider/disable", a.disableProvider)
	get("/v2/component/list", a.listComponents)
	get("/v2/component/show", a.showComponent)
	post("/v2/component/default", a.preferProvider)
}

// named checks the name of the user, under which whatever is done is recorded.
func named(h reply.Handler) reply.Handler {
	return func(r *http.Request) (any, error) {
		if err := wire.CheckName("user name", r.Header.Get(wire.UserHeader)); err != nil {
			return nil, err
		}
		return h(r)
	}
}

// identifiers checks query values that name things, so that nothing else reaches the catalogue or a file name.
func identifiers(r *http.Request, keys ...string) error {
	for _, k := range keys {
		v := r.URL.Query().Get(k)
		if v == "" {
			continue
		}
		check := openflow.CheckIdentifier
		if k == "namespace" || k == "name" {
			check = openflow.CheckName
		}
		if err := check(k, v); err != nil {
			return err
		}
	}
	return nil
}

// required reads query values that must be there.
func required(r *http.Request, keys ...string) ([]string, error) {
	values := make([]string, len(keys))
	var missing []string
	for i, k := range keys {
		values[i] = r.URL.Query().Get(k)
		if values[i] == "" {
			missing = append(missing, k)
		}
	}
	if len(missing) > 0 {
		return nil, &openflow.Error{
			Code: openflow.CodeInvalid, Message: "invalid request: missing " + strings.Join(missing, ", "),
			Err: wire.MissingFields(missing),
		}
	}
	return values, identifiers(r, keys...)
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
