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
	"mime"
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

// Numbered is an error with a number of FATE-Flow that no code of ours stands for.
//
// Spec: fate-flow-api §0.4.
type Numbered struct {
	Code int
	Err  error
}

// Error implements error.
func (n Numbered) Error() string { return n.Err.Error() }

// Unwrap implements errors.Unwrap.
func (n Numbered) Unwrap() error { return n.Err }

// Numbers of Numbered: no server or service of that name is registered, and no node of that instance ID is here.
const (
	NoServer   = 6003
	NoInstance = 6004
)

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
	var numbered Numbered
	if errors.As(err, &numbered) {
		e.Code = numbered.Code
	}
	e.Data = faults(r, err)
	reply.JSON(w.Log, rw, r, e)
}

// faults lists missing and wrong arguments as FATE-Flow does, below the place where they are looked for; nothing where
// something else is wrong.
//
// Spec: fate-flow-api §0.2.
func faults(r *http.Request, err error) json.RawMessage {
	told := map[string][]string{}
	var missing wire.MissingFields
	if errors.As(err, &missing) {
		for _, f := range missing {
			told[f] = []string{"Missing data for required field."}
		}
	}
	var wrong wire.WrongFields
	if errors.As(err, &wrong) {
		for f, must := range wrong {
			told[f] = []string{"Not a valid " + must + "."}
		}
	}
	if len(told) == 0 {
		return nil
	}
	b, err := json.Marshal(map[string]map[string][]string{place(r): told})
	if err != nil {
		return nil // strings always encode
	}
	return b
}

// place is where a route looks for the arguments of a request.
func place(r *http.Request) string {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type")) // none, or no type: it is no form
	switch {
	case r.Method == http.MethodGet:
		return "query"
	case kind == "multipart/form-data" || kind == "application/x-www-form-urlencoded":
		return "form"
	}
	return "json"
}
