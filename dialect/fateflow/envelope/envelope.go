// Package envelope renders what a handler returns, its data or its error, as FATE-Flow does. The HTTP status is 200 also for
// errors, because FATE's clients look at the code in the body only.
//
// Handlers return and never write an envelope themselves. So the table from codes to answers exists once, in sdk/wire, and
// every error is handled here. It knows no endpoint.
package envelope

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"

	"github.com/go-chi/chi/v5"

	"openflow"
	"openflow/sdk/wire"
	"openflow/server/reply"
)

// Answer is data with a job ID beside it, for answers that created a job.
//
// Spec: fate-flow-api §0.3.
type Answer struct {
	Data  any
	JobID openflow.JobID
}

// Done is an answer without data that says what was done in its message.
type Done struct{ Message string }

// Bare is data without an envelope, for the two routes that answer so.
//
// Spec: fate-flow-api §0.3 (last paragraph).
type Bare struct{ Data any }

// Writer writes envelopes.
type Writer struct{ Log *slog.Logger }

// Router is one of FATE-Flow's: unknown routes and panics are answered in the envelope, and slashes too many are passed over.
func (w Writer) Router() chi.Router {
	r := chi.NewRouter()
	r.Use(tolerant, reply.Recovered(w.Log, w.Refuse))
	r.NotFound(w.unknown)
	r.MethodNotAllowed(w.unknown)
	return r
}

func (w Writer) unknown(rw http.ResponseWriter, r *http.Request) { w.Refuse(rw, r, reply.NoRoute(r)) }

// tolerant takes double and trailing slashes off, before routing and without a redirect: the genuine worker posts to
// /v2//worker/…, and a redirect would turn its POST into a GET (fate-flow-api §3.1, §0.1).
func tolerant(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if c := chi.RouteContext(r.Context()); c != nil {
			c.RoutePath = single(c.RoutePath)
		}
		if p := single(r.URL.Path); p != r.URL.Path {
			u := *r.URL
			u.Path, u.RawPath = p, ""
			r2 := *r
			r2.URL = &u
			r = &r2
		}
		next.ServeHTTP(w, r)
	})
}

func single(path string) string {
	for strings.Contains(path, "//") {
		path = strings.ReplaceAll(path, "//", "/")
	}
	if path != "/" {
		path = strings.TrimSuffix(path, "/")
	}
	return path
}

// JSON renders what h returns.
func (w Writer) JSON(h reply.Handler) http.HandlerFunc {
	return func(rw http.ResponseWriter, r *http.Request) {
		data, err := h(r)
		if err != nil {
			w.Refuse(rw, r, err)
			return
		}
		e := wire.Envelope{Code: wire.Success, Message: "success"}
		switch d := data.(type) {
		case nil:
		case Done:
			e.Message = d.Message
		case Bare:
			var b json.RawMessage
			if b, err = encode(d.Data); err == nil {
				reply.JSON(w.Log, rw, r, b)
				return
			}
		case Answer:
			e.JobID = string(d.JobID)
			e.Data, err = encode(d.Data)
		default:
			e.Data, err = encode(d)
		}
		if err != nil {
			w.Refuse(rw, r, err)
			return
		}
		reply.JSON(w.Log, rw, r, e)
	}
}

func encode(data any) (json.RawMessage, error) {
	if data == nil {
		return nil, nil
	}
	b, err := json.Marshal(data)
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeInternal, "the answer cannot be encoded: %w", err)
	}
	return b, nil
}

// Refuse renders err, and logs what is this node's own fault.
func (w Writer) Refuse(rw http.ResponseWriter, r *http.Request, err error) {
	reply.Failed(w.Log, r, err)
	e := wire.Failure(err)
	var missing wire.MissingFields
	if errors.As(err, &missing) {
		e.Data = missingData(missing)
	}
	reply.JSON(w.Log, rw, r, e)
}

// missingData lists missing fields as FATE-Flow does (fate-flow-api §0.2).
func missingData(fields wire.MissingFields) json.RawMessage {
	m := map[string][]string{}
	for _, f := range fields {
		m[f] = []string{"Missing data for required field."}
	}
	b, err := json.Marshal(map[string]any{"json": m})
	if err != nil {
		return nil // strings always encode
	}
	return b
}
