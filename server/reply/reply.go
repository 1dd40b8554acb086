// Package reply renders what a handler returns: its data, or its error, in the envelope of the v2 dialect; and reads
// request bodies within bounds.
//
// Handlers return and never write an envelope themselves, so that the table from codes to answers exists once (in
// sdk/wire) and every error is handled, and logged, exactly here. It knows no endpoint.
package reply

import (
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strings"

	"github.com/go-chi/chi/v5/middleware"

	"openflow"
	"openflow/sdk/wire"
)

// Handler answers a request with data or an error. Data of type [Answer] carries more than data; nil data is left out.
type Handler func(r *http.Request) (data any, err error)

// Answer is data with a job ID beside it, for answers that created a job.
//
// Spec: fate-flow-api §0.3.
type Answer struct {
	Data  any
	JobID openflow.JobID
}

// Bare is data without an envelope, for the two routes that answer so.
//
// Spec: fate-flow-api §0.3 (last paragraph).
type Bare struct{ Data any }

// JSON renders what h returns. The HTTP status is 200 also for errors, because the clients of this dialect look at the
// code in the body only.
func JSON(log *slog.Logger, h Handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		data, err := h(r)
		if err != nil {
			Error(log, w, r, err)
			return
		}
		e := wire.Envelope{Code: wire.Success, Message: "success"}
		switch d := data.(type) {
		case nil:
		case Bare:
			var b json.RawMessage
			if b, err = encode(d.Data); err == nil {
				write(log, w, r, b)
				return
			}
		case Answer:
			e.JobID = string(d.JobID)
			e.Data, err = encode(d.Data)
		default:
			e.Data, err = encode(d)
		}
		if err != nil {
			Error(log, w, r, err)
			return
		}
		write(log, w, r, e)
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

// Failed records that r is answered with err, and logs what is this node's own fault.
func Failed(log *slog.Logger, r *http.Request, err error) {
	Note(r, err)
	if openflow.CodeOf(err) == openflow.CodeInternal {
		log.ErrorContext(r.Context(), "request failed", "method", r.Method, "path", r.URL.Path, "err", chain(err))
	} else {
		log.DebugContext(r.Context(), "request refused", "method", r.Method, "path", r.URL.Path, "err", chain(err))
	}
}

// Error renders err; see Failed.
func Error(log *slog.Logger, w http.ResponseWriter, r *http.Request, err error) {
	Failed(log, r, err)
	e := wire.Failure(err)
	var missing wire.MissingFields
	if errors.As(err, &missing) {
		e.Data = missingData(missing)
	}
	write(log, w, r, e)
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

// chain is err with its causes, for logs.
func chain(err error) string {
	text := err.Error()
	if cause := errors.Unwrap(err); cause != nil {
		text += " ← " + cause.Error()
	}
	return text
}

func write(log *slog.Logger, w http.ResponseWriter, r *http.Request, body any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(body); err != nil {
		log.DebugContext(r.Context(), "answer not written", "path", r.URL.Path, "err", err)
	}
}

// Recovered turns a panic into an answer, or breaks off one that has begun. A handler that aborts on purpose is let through.
func Recovered(log *slog.Logger, answer func(http.ResponseWriter, *http.Request, error)) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(plain http.ResponseWriter, r *http.Request) {
			w := middleware.NewWrapResponseWriter(plain, r.ProtoMajor)
			defer func() {
				v := recover()
				switch err, _ := v.(error); {
				case v == nil:
				case errors.Is(err, http.ErrAbortHandler):
					panic(v)
				default:
					log.ErrorContext(r.Context(), "handler panicked", "path", r.URL.Path, "panic", v, "stack", string(debug.Stack()))
					if w.Status() != 0 {
						panic(http.ErrAbortHandler)
					}
					answer(w, r, openflow.Errorf(openflow.CodeInternal, "internal error").WithHint("the node's log tells more"))
				}
			}()
			next.ServeHTTP(w, r)
		})
	}
}

// NoRoute is that a listener has no such route.
func NoRoute(r *http.Request) error {
	return openflow.Errorf(openflow.CodeUnimplemented, "no route %s %s on this listener", r.Method, r.URL.Path)
}

// MaxBody bounds request bodies that are read whole, in bytes: a DAG and what surrounds it.
const MaxBody = 2 * wire.MaxDocument

// Body reads the whole request body. One that is larger than limit bytes is CodeInvalid.
func Body(r *http.Request, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r.Body, limit+1))
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeInvalid, "the request body ended early: %w", err)
	}
	if int64(len(b)) > limit {
		return nil, openflow.Errorf(openflow.CodeInvalid, "the request body is larger than %d bytes", limit)
	}
	return b, nil
}

// Decode reads a JSON body into a request; see wire.Decode.
func Decode(r *http.Request, into any) error {
	b, err := Body(r, MaxBody)
	if err != nil {
		return err
	}
	return wire.Decode(b, into)
}

// NotFound answers an unknown route, with a code and a text that say so; outside the dialect with HTTP's own 404.
func NotFound(log *slog.Logger) http.HandlerFunc {
	dialect := JSON(log, func(r *http.Request) (any, error) { return nil, NoRoute(r) })
	return func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/v1/") || strings.HasPrefix(r.URL.Path, "/v2/") {
			dialect(w, r)
			return
		}
		Plain(w, r, NoRoute(r))
	}
}

// Plain answers with err as text and as the HTTP status, outside the dialect: for probes, scrapes and pages.
func Plain(w http.ResponseWriter, r *http.Request, err error) {
	Note(r, err)
	status := Status(openflow.CodeOf(err))
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(err.Error() + "\n")) // who has gone needs no answer
}

// Status is the HTTP status of a code, where HTTP's own are used.
func Status(c openflow.Code) int {
	switch c {
	case openflow.CodeInvalid:
		return http.StatusBadRequest
	case openflow.CodeUnauthorized:
		return http.StatusUnauthorized
	case openflow.CodePermission:
		return http.StatusForbidden
	case openflow.CodeNotFound, openflow.CodeUnimplemented:
		return http.StatusNotFound
	case openflow.CodeConflict, openflow.CodeRejected:
		return http.StatusConflict
	case openflow.CodeUnavailable, openflow.CodeExhausted, openflow.CodeCanceled:
		return http.StatusServiceUnavailable
	case openflow.CodeDeadline:
		return http.StatusGatewayTimeout
	case openflow.CodeInternal:
	}
	return http.StatusInternalServerError
}
