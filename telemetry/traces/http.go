package traces

import (
	"context"
	"net/http"

	"github.com/go-chi/chi/v5"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"openflow"
	"openflow/server/reply"
)

// Begin is the middleware of what users change of a job: it begins a trace. A trace that the caller names is not taken
// over, because anybody may write that header.
func (t *Traces) Begin(next http.Handler) http.Handler {
	if t == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { t.serve(r.Context(), w, r, next) })
}

// Continue is the middleware of callers that have proven who they are: it goes on with the trace that they name. A
// request without one is not traced, so probes and messages do not fill the collector.
func (t *Traces) Continue(next http.Handler) http.Handler {
	if t == nil {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx := propagator.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
		if !trace.SpanContextFromContext(ctx).IsValid() {
			next.ServeHTTP(w, r)
			return
		}
		t.serve(ctx, w, r, next)
	})
}

// Contain is the middleware of containers that have proven which run they are: it goes on with the trace that they name,
// or else with that of the launch of their run.
func (t *Traces) Contain(run func(*http.Request) openflow.RunID) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		if t == nil {
			return next
		}
		named := t.Continue(next)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			launch := t.runs.of(run(r))
			if r.Header.Get("traceparent") != "" || !launch.IsValid() {
				named.ServeHTTP(w, r)
				return
			}
			t.serve(trace.ContextWithRemoteSpanContext(r.Context(), launch), w, r, next)
		})
	}
}

func (t *Traces) serve(ctx context.Context, w http.ResponseWriter, r *http.Request, next http.Handler) {
	ctx, span := t.tracer.Start(ctx, "serve "+r.URL.Path, trace.WithSpanKind(trace.SpanKindServer))
	defer span.End()
	r, outcome := reply.Watch(r.WithContext(ctx))
	next.ServeHTTP(w, r)
	if route := chi.RouteContext(r.Context()); route != nil && route.RoutePattern() != "" {
		span.SetName("serve " + route.RoutePattern()) // identifiers in the path would make a name of each call
	}
	if outcome.Code != "" {
		failed(span, outcome.Code)
	}
}

// failed marks a span with an error's code. Its text stays in the log: it may quote what users have written.
func failed(span trace.Span, code openflow.Code) {
	span.SetAttributes(attribute.String("openflow.code", string(code)))
	span.SetStatus(codes.Error, string(code))
}

// Transport makes the calls of traced work to other nodes spans, and hands their context over in the header traceparent.
// The header is not part of what is signed: whoever could change it on the way can spoil a picture and nothing else.
func (t *Traces) Transport(next http.RoundTripper) http.RoundTripper {
	if t == nil {
		return next
	}
	return roundTripper{t, next}
}

type roundTripper struct {
	traces *Traces
	next   http.RoundTripper
}

// CloseIdleConnections is what http.Client looks for.
func (rt roundTripper) CloseIdleConnections() {
	if next, ok := rt.next.(interface{ CloseIdleConnections() }); ok {
		next.CloseIdleConnections()
	}
}

// RoundTrip implements http.RoundTripper.
func (rt roundTripper) RoundTrip(r *http.Request) (*http.Response, error) {
	if !trace.SpanContextFromContext(r.Context()).IsValid() {
		return rt.next.RoundTrip(r)
	}
	ctx, span := rt.traces.tracer.Start(r.Context(), "call "+r.URL.Path, trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(attribute.String("server.address", r.URL.Host)))
	defer span.End()
	r = r.Clone(ctx)
	propagator.Inject(ctx, propagation.HeaderCarrier(r.Header))
	resp, err := rt.next.RoundTrip(r)
	if err != nil {
		failed(span, openflow.CodeUnavailable)
		return nil, err
	}
	span.SetAttributes(attribute.Int("http.response.status_code", resp.StatusCode))
	return resp, nil
}
