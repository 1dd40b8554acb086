// Package envelope is every answer of our own dialect: data or an error, and the dialect's version.
package envelope

import (
	"encoding/json"
	"log/slog"
	"net/http"

	"github.com/go-chi/chi/v5"

	"openflow"
	"openflow/dialect/forms"
	"openflow/sdk/wire"
	"openflow/server/reply"
)

// Version is that of the paths and the envelope.
const Version = 1

// Envelope is every answer. Version tells it from what something else at the address answers.
type Envelope struct {
	Version int             `json:"openflow"`
	Data    json.RawMessage `json:"data,omitempty"`
	Error   *wire.Problem   `json:"error,omitempty"`
}

// Err is the refusal in a received envelope, with what is taken of a peer's words; nil for none.
func (e Envelope) Err() error { return forms.Refusal(e.Error) }

// Writer writes envelopes.
type Writer struct {
	Log *slog.Logger
	// Told is an error as its caller may read it; nil: all of it.
	Told func(r *http.Request, err error) error
}

// Router answers unknown routes and panics in the envelope.
func (w Writer) Router() chi.Router {
	r := chi.NewRouter()
	r.Use(reply.Recovered(w.Log, w.Refuse))
	r.NotFound(w.unknown)
	r.MethodNotAllowed(w.unknown)
	return r
}

func (w Writer) unknown(rw http.ResponseWriter, r *http.Request) {
	w.write(rw, r, nil, reply.NoRoute(r))
}

// JSON renders what h returns.
func (w Writer) JSON(h reply.Handler) http.HandlerFunc {
	return func(rw http.ResponseWriter, r *http.Request) {
		data, err := h(r)
		if err != nil && w.Told != nil {
			err = w.Told(r, err)
		}
		w.write(rw, r, data, err)
	}
}

// Refuse renders err, and logs what is this node's own fault.
func (w Writer) Refuse(rw http.ResponseWriter, r *http.Request, err error) {
	w.JSON(func(*http.Request) (any, error) { return nil, err })(rw, r)
}

func (w Writer) write(rw http.ResponseWriter, r *http.Request, data any, err error) {
	e := Envelope{Version: Version}
	if err == nil && data != nil {
		if e.Data, err = json.Marshal(data); err != nil {
			err = openflow.Errorf(openflow.CodeInternal, "the answer cannot be encoded: %w", err)
		}
	}
	if err != nil {
		reply.Failed(w.Log, r, err)
		e.Error = wire.Failure(err).Error
	}
	reply.JSON(w.Log, rw, r, e)
}
