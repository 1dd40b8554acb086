// Package containers serves the containers of a site, and the machines of its pool, in our own dialect: what FATE-Flow has
// no route for.
package containers

import (
	"io"
	"net/http"

	"github.com/go-chi/chi/v5"

	"openflow"
	"openflow/dialect"
	"openflow/dialect/native/envelope"
	"openflow/sdk/wire"
	"openflow/server/base"
	"openflow/server/reply"
)

// api serves the containers of one site.
type api struct {
	*base.Site
	write reply.Writer
}

// Prefix begins the paths of containers.
const Prefix = "/openflow/v1/container"

// Mount is everything below the prefix.
func Mount(s *base.Site) dialect.Mount {
	a := &api{s, envelope.Writer(s.Log)}
	r := a.write.Router()
	r.Group(func(r chi.Router) {
		r.Use(s.Known(a.write.Refuse))
		r.Post("/task/warning", a.write.JSON(a.warning))
		r.Post("/scores/spend", a.write.JSON(a.spendScores))
		r.Get("/data/table", a.table)
		r.Put("/data/object", a.write.JSON(a.putObject))
		r.Get("/data/file", a.file)
		r.Put("/data/file", a.write.JSON(a.putFile))
	})
	return dialect.Mount{Prefix: Prefix, Router: r}
}

// warning keeps what a container warns its own party's users of.
func (a *api) warning(r *http.Request) (any, error) {
	var b wire.ContainerWarning
	if err := reply.Read(r, &b); err != nil {
		return nil, err
	}
	return nil, a.Warn(r.Context(), base.Run(r), b.Warning)
}

// spendScores counts what a container is about to tell a partner about this site's columns, or refuses it.
func (a *api) spendScores(r *http.Request) (any, error) {
	var b scoreSpend
	if err := reply.Read(r, &b); err != nil {
		return nil, err
	}
	to := openflow.Party{Role: openflow.Role(b.Role), ID: openflow.PartyID(b.PartyID)}
	return nil, a.SpendScores(r.Context(), base.Run(r), to, b.Columns, b.Vectors)
}

// table streams the rows of a table.
func (a *api) table(w http.ResponseWriter, r *http.Request) {
	digest, err := a.Rows(r.Context(), base.Run(r), r.URL.Query())
	if err == nil {
		err = a.Stream(w, r, digest, wire.ArrowStream)
	}
	if err != nil {
		a.write.Refuse(w, r, err)
	}
}

// putObject stores what a container streams.
func (a *api) putObject(r *http.Request) (any, error) {
	uri, bytes, err := a.Upload(r.Context(), base.Run(r), r.Body)
	if err != nil {
		return nil, err
	}
	return objectStored{URI: uri, Bytes: bytes}, nil
}

// file streams the file that the parameters of an upload name.
func (a *api) file(w http.ResponseWriter, r *http.Request) {
	f, err := a.ReadFile(r.Context(), base.Run(r))
	if err != nil {
		a.write.Refuse(w, r, err)
		return
	}
	defer func() { _ = f.Close() }() // reading only
	w.Header().Set("Content-Type", "application/octet-stream")
	if _, err := io.Copy(w, f); err != nil {
		a.Log.DebugContext(r.Context(), "file not sent whole", "err", err)
		panic(http.ErrAbortHandler) // so that the reader sees a broken body and not a short one
	}
}

// putFile writes a file into the folder that the parameters of a download name.
func (a *api) putFile(r *http.Request) (any, error) {
	return nil, a.WriteFile(r.Context(), base.Run(r), r.URL.Query().Get("name"), r.Body)
}

// scoreSpend is what a container is about to tell a partner; ours.
type scoreSpend struct {
	Role    wire.Text `json:"role" check:"required"` // of the receiver, a party of the task
	PartyID wire.Text `json:"party_id" check:"required"`
	Columns int       `json:"columns"`
	Vectors int       `json:"vectors"`
}

// objectStored is the data of PUT /openflow/v1/container/data/object.
type objectStored struct {
	URI   string `json:"uri"` // object:///sha256/<hex>
	Bytes int64  `json:"bytes"`
}
