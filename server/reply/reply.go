// Package reply is what every handler needs, whatever the dialect of its caller: bodies and queries are read within
// bounds, panics become answers, and every error is noted and logged.
//
// It knows no endpoint and no envelope. Handlers return; each dialect renders what they return in its own way.
package reply

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"runtime/debug"

	"github.com/go-chi/chi/v5/middleware"

	"openflow"
	"openflow/sdk/wire"
)

// Handler answers a request with data or an error. A dialect renders either in its own envelope; nil data is left out.
type Handler func(r *http.Request) (data any, err error)

// Failed records that r is answered with err, and logs what is this node's own fault.
func Failed(log *slog.Logger, r *http.Request, err error) {
	Note(r, err)
	if openflow.CodeOf(err) == openflow.CodeInternal {
		log.ErrorContext(r.Context(), "request failed", "method", r.Method, "path", r.URL.Path, "err", chain(err))
	} else {
		log.DebugContext(r.Context(), "request refused", "method", r.Method, "path", r.URL.Path, "err", chain(err))
	}
}

// chain is err with its causes, for logs.
func chain(err error) string {
	text := err.Error()
	if cause := errors.Unwrap(err); cause != nil {
		text += " ← " + cause.Error()
	}
	return text
}

// JSON writes a body. Who has gone needs no answer.
func JSON(log *slog.Logger, w http.ResponseWriter, r *http.Request, body any) {
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

// Body reads the whole request body. One that is larger than limit bytes is CodeInvalid, by *http.MaxBytesError. When its header
// says so, nothing is read of it, as of one for which the caller has no room: CodeUnavailable, see [Intake.Hold]. An error of ours on the way, as of a body that is not the one that was signed, comes through.
func Body(r *http.Request, limit int64) ([]byte, error) {
	if w, ok := r.Body.(whole); ok {
		if int64(len(w.all)) > limit {
			return nil, tooLarge(limit)
		}
		return w.all, nil
	}
	if r.ContentLength > limit {
		return nil, tooLarge(limit)
	}
	if err := take(r.Context(), Expected(r.ContentLength, limit)); err != nil {
		return nil, err
	}
	b, err := readAll(io.LimitReader(r.Body, limit+1), r.ContentLength)
	var own *openflow.Error
	switch {
	case errors.As(err, &own):
		return nil, err
	case errors.Is(err, os.ErrDeadlineExceeded):
		return nil, openflow.Errorf(openflow.CodeDeadline, "the request body came too slowly: %w", err)
	case err != nil:
		return nil, openflow.Errorf(openflow.CodeInvalid, "the request body ended early: %w", err)
	case int64(len(b)) > limit:
		return nil, tooLarge(limit)
	}
	return b, nil
}

// whole is a body that has been read to its end.
type whole struct {
	*bytes.Reader
	all []byte
}

// Close implements io.Closer.
func (whole) Close() error { return nil }

// Whole is a body for a request of which somebody has read it all. Body returns it without a copy.
func Whole(b []byte) io.ReadCloser { return whole{bytes.NewReader(b), b} }

func tooLarge(limit int64) error {
	text := fmt.Sprintf("the request body is larger than %d bytes", limit)
	return &openflow.Error{Code: openflow.CodeInvalid, Message: text, Public: text, Err: &http.MaxBytesError{Limit: limit}}
}

// trial is how much of a body must have come before memory for all that its header announces is taken.
const trial = 1 << 20

// readAll reads a body of which the header says a size, or -1. It takes no memory on the word of the header alone, and holds
// a large body once only.
func readAll(body io.Reader, size int64) ([]byte, error) {
	var b bytes.Buffer
	b.Grow(int(min(max(size, 0), trial)) + bytes.MinRead)
	_, err := io.CopyN(&b, body, trial)
	if errors.Is(err, io.EOF) {
		return b.Bytes(), nil
	}
	if err != nil {
		return nil, err
	}
	b.Grow(max(int(size)-b.Len(), 0) + bytes.MinRead)
	_, err = b.ReadFrom(body)
	return b.Bytes(), err
}

// Decode reads a JSON body into a request; see wire.Decode.
func Decode(r *http.Request, into any) error {
	b, err := Body(r, MaxBody)
	if err != nil {
		return err
	}
	return wire.Decode(b, into)
}

// Plain answers with err as text and as the HTTP status, outside every dialect: for probes, scrapes and pages.
func Plain(w http.ResponseWriter, r *http.Request, err error) {
	Note(r, err)
	status := Status(openflow.CodeOf(err))
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", "Bearer")
	}
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set(wire.CodeHeader, string(openflow.CodeOf(err)))
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
	case openflow.CodeSpent:
		return http.StatusRequestEntityTooLarge
	case openflow.CodeUnavailable, openflow.CodeExhausted, openflow.CodeCanceled:
		return http.StatusServiceUnavailable
	case openflow.CodeDeadline:
		return http.StatusGatewayTimeout
	case openflow.CodeInternal:
	}
	return http.StatusInternalServerError
}
