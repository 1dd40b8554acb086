package reply

import (
	"encoding/json"
	"log/slog"
	"net/http"

	"github.com/go-chi/chi/v5"

	"openflow"
	"openflow/sdk/wire"
)

// Writer answers in JSON, in the envelope of a dialect. A dialect whose answers tell more has a writer of its own.
type Writer struct {
	Log *slog.Logger
	// Envelope puts data, or a refusal, into what is sent.
	Envelope func(data json.RawMessage, refusal *wire.Problem) any
	// Told is an error as its caller may read it; nil: all of it.
	Told func(r *http.Request, err error) error
}

// Router answers unknown routes and panics in the envelope.
func (w Writer) Router() chi.Router {
	r := chi.NewRouter()
	r.Use(Recovered(w.Log, w.Refuse))
	r.NotFound(w.unknown)
	r.MethodNotAllowed(w.unknown)
	return r
}

func (w Writer) unknown(rw http.ResponseWriter, r *http.Request) { w.write(rw, r, nil, NoRoute(r)) }

// JSON renders what h returns.
func (w Writer) JSON(h Handler) http.HandlerFunc {
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
	var said json.RawMessage
	var refusal *wire.Problem
	if err == nil && data != nil {
		if said, err = json.Marshal(data); err != nil {
			err = openflow.Errorf(openflow.CodeInternal, "the answer cannot be encoded: %w", err)
		}
	}
	if err != nil {
		Failed(w.Log, r, err)
		said, refusal = nil, wire.Failure(err).Error
	}
	JSON(w.Log, rw, r, w.Envelope(said, refusal))
}
