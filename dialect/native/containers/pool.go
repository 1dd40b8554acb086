package containers

import (
	"io"
	"net/http"
	"strings"

	"github.com/go-chi/chi/v5"

	"openflow"
	"openflow/dialect"
	"openflow/dialect/native/envelope"
	"openflow/sdk/wire"
	"openflow/server/base"
	"openflow/server/reply"
	"openflow/worker/form"
)

// pool serves the workers of a site's pool.
type pool struct {
	*base.Pool
	write reply.Writer
}

// MountPool is what the workers of a site's pool call.
func MountPool(s *base.Site) dialect.Mount {
	p := &pool{s.Pool, envelope.Writer(s.Log)}
	r := p.write.Router()
	r.Group(func(r chi.Router) {
		r.Use(p.authenticate)
		get := func(path string, h reply.Handler) { r.Get(path, p.write.JSON(h)) }
		post := func(path string, h reply.Handler) { r.Post(path, p.write.JSON(h)) }

		get("/site", p.site)
		post("/worker", p.worker)
		post("/resident", p.resident)
		get("/provider", p.provider)
		get("/task", p.task)
		get("/task/supply", p.supply)
		post("/task/start", p.start)
		post("/task/end", p.end)
		r.Put("/log", p.write.JSON(p.putLog))
	})
	return dialect.Mount{Prefix: "/openflow/v1/pool", Router: r}
}

func (p *pool) authenticate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if err := p.Check(token); err != nil {
			p.write.Refuse(w, r, err)
			return
		}
		reply.Known(w, r, "worker")
		next.ServeHTTP(w, r)
	})
}

func (p *pool) site(*http.Request) (any, error) {
	return form.Site{PartyID: p.Party, Namespace: p.Namespace}, nil
}

// worker records that a worker is alive, and what it says of itself.
func (p *pool) worker(r *http.Request) (any, error) {
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

// maxNamed is how many bytes a name of a machine, component or provider may have.
const maxNamed = 256

// resident notes whether a machine has a resident container of a component that serves, and tells whether it may have one.
func (p *pool) resident(r *http.Request) (any, error) {
	var b form.Resident
	if err := reply.Decode(r, &b); err != nil {
		return nil, err
	}
	for name, text := range map[string]string{"machine": b.Machine, "component": b.Component, "provider": b.Provider.Name, "version": b.Provider.Version} {
		if err := wire.CheckText(name, text, maxNamed); err != nil {
			return nil, err
		}
	}
	of := openflow.ProviderRef(b.Provider)
	if b.Serving != nil {
		if err := p.Residents.Serving(r.Context(), b.Machine, b.Component, of, *b.Serving); err != nil {
			return nil, err
		}
	}
	return form.Allowed{Allowed: p.Residents.Serves(r.Context(), b.Component, of)}, nil
}

func (p *pool) run(r *http.Request) (openflow.TaskRecord, error) {
	t, err := p.Store.TaskByRunID(r.Context(), openflow.RunID(r.URL.Query().Get("execution_id")))
	return t, openflow.About(openflow.AboutTask, err)
}

func (p *pool) task(r *http.Request) (any, error) {
	t, err := p.run(r)
	return form.EncodeTask(t), err
}

// supply hands out what the run's container needs. A run that has ended needs nothing any more.
func (p *pool) supply(r *http.Request) (any, error) {
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

func (p *pool) start(r *http.Request) (any, error) {
	var b form.Start
	if err := reply.Decode(r, &b); err != nil {
		return nil, err
	}
	changed, err := p.Store.StartTask(r.Context(), b.Run.Decode(), b.Launch())
	return form.Change{Changed: changed}, openflow.About(openflow.AboutTask, err)
}

func (p *pool) end(r *http.Request) (any, error) {
	var b form.End
	if err := reply.Decode(r, &b); err != nil {
		return nil, err
	}
	k, end := b.Decode()
	changed, err := p.Store.FinishTask(r.Context(), k, end)
	return form.Change{Changed: changed}, openflow.About(openflow.AboutTask, err)
}

// provider tells where the program of a provider is, and what it must be.
func (p *pool) provider(r *http.Request) (any, error) {
	q := r.URL.Query()
	record, err := p.Store.Provider(r.Context(), q.Get("name"), q.Get("version"))
	return form.EncodeProvider(record), err
}

// putLog keeps a log as it comes, whatever its size.
func (p *pool) putLog(r *http.Request) (any, error) {
	digest, err := p.Logs.PutLog(r.Context(), func(stdout, _ io.Writer) error {
		if _, err := io.Copy(stdout, r.Body); err != nil {
			return openflow.Errorf(openflow.CodeUnavailable, "the log broke off: %w", err)
		}
		return nil
	})
	return form.Log{Digest: digest}, err
}
