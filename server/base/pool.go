package base

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"strings"

	"github.com/go-chi/chi/v5"

	"openflow"
	"openflow/sdk/wire"
	"openflow/server/reply"
	"openflow/worker/form"
)

// PoolStore is the part of the catalogue that the workers of the site's pool read and write.
type PoolStore interface {
	SaveWorker(ctx context.Context, w openflow.WorkerRecord) error
	TaskByRunID(ctx context.Context, id openflow.RunID) (openflow.TaskRecord, error)
	StartTask(ctx context.Context, k openflow.TaskKey, runtime, container string) (bool, error)
	FinishTask(ctx context.Context, k openflow.TaskKey, end openflow.TaskEnd) (bool, error)
}

// PoolLogs keeps what containers have written. The digest is empty when that is nothing.
type PoolLogs interface {
	PutLog(ctx context.Context, write func(stdout, stderr io.Writer) error) (digest string, err error)
}

// Pool serves the workers of the site's pool: machines of this institution that run containers for the node. A worker
// proves itself with the worker token and may then do for any run of the site what the node's own worker does; it gets
// no data but through the credential of a run.
type Pool struct {
	Site   form.Site
	Check  func(token string) error // nil for a worker of this site
	Store  PoolStore
	Logs   PoolLogs
	Supply func(ctx context.Context, r openflow.TaskRecord) (openflow.TaskSupply, error)
	Log    *slog.Logger
}

// Routes mounts the routes of workers: our own, beside FATE-Flow's pages.
func (p *Pool) Routes(r chi.Router) {
	r.Group(func(r chi.Router) {
		r.Use(p.authenticate)
		r.Get("/v2/pool/site", reply.JSON(p.Log, func(*http.Request) (any, error) { return p.Site, nil }))
		r.Post("/v2/pool/worker", reply.JSON(p.Log, p.worker))
		r.Get("/v2/pool/task", reply.JSON(p.Log, p.task))
		r.Get("/v2/pool/task/supply", reply.JSON(p.Log, p.supply))
		r.Post("/v2/pool/task/start", reply.JSON(p.Log, p.start))
		r.Post("/v2/pool/task/end", reply.JSON(p.Log, p.end))
		r.Put("/v2/pool/log", reply.JSON(p.Log, p.putLog))
	})
}

func (p *Pool) authenticate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if err := p.Check(token); err != nil {
			reply.Error(p.Log, w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// worker records that a worker is alive, and what it says of itself.
func (p *Pool) worker(r *http.Request) (any, error) {
	var b wire.Worker
	if err := reply.Decode(r, &b); err != nil {
		return nil, err
	}
	w, err := b.Decode()
	if err != nil {
		return nil, err
	}
	return nil, p.Store.SaveWorker(r.Context(), w)
}

func (p *Pool) run(r *http.Request) (openflow.TaskRecord, error) {
	t, err := p.Store.TaskByRunID(r.Context(), openflow.RunID(r.URL.Query().Get("execution_id")))
	return t, openflow.About(openflow.AboutTask, err)
}

func (p *Pool) task(r *http.Request) (any, error) {
	t, err := p.run(r)
	return form.EncodeTask(t), err
}

// supply hands out what the run's container needs. A run that has ended needs nothing any more.
func (p *Pool) supply(r *http.Request) (any, error) {
	t, err := p.run(r)
	if err != nil {
		return nil, err
	}
	if t.PartyStatus.Terminal() {
		return nil, openflow.About(openflow.AboutTask, openflow.Errorf(openflow.CodeConflict, "%s has ended", t.Key))
	}
	g, err := p.Supply(r.Context(), t)
	return form.Supply(g), err
}

func (p *Pool) start(r *http.Request) (any, error) {
	var b form.Start
	if err := reply.Decode(r, &b); err != nil {
		return nil, err
	}
	changed, err := p.Store.StartTask(r.Context(), b.Run.Decode(), b.Runtime, b.Container)
	return form.Change{Changed: changed}, openflow.About(openflow.AboutTask, err)
}

func (p *Pool) end(r *http.Request) (any, error) {
	var b form.End
	if err := reply.Decode(r, &b); err != nil {
		return nil, err
	}
	k, end := b.Decode()
	changed, err := p.Store.FinishTask(r.Context(), k, end)
	return form.Change{Changed: changed}, openflow.About(openflow.AboutTask, err)
}

// putLog keeps a log as it comes, whatever its size.
func (p *Pool) putLog(r *http.Request) (any, error) {
	digest, err := p.Logs.PutLog(r.Context(), func(stdout, _ io.Writer) error {
		if _, err := io.Copy(stdout, r.Body); err != nil {
			return openflow.Errorf(openflow.CodeUnavailable, "the log broke off: %w", err)
		}
		return nil
	})
	return form.Log{Digest: digest}, err
}
