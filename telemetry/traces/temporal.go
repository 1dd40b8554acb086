package traces

import (
	"context"
	"errors"

	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"go.temporal.io/sdk/contrib/opentelemetry"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"

	"openflow"
)

// Interceptors are for the Temporal client; its workers inherit them. They add headers to workflows and activities and no
// commands, so histories of nodes with and without tracing replay on each other. Signals and queries make no spans: they
// wake and ask, and the work that follows has its own.
func (t *Traces) Interceptors() ([]interceptor.ClientInterceptor, error) {
	if t == nil {
		return nil, nil
	}
	i, err := opentelemetry.NewTracingInterceptor(opentelemetry.TracerOptions{
		Tracer: t.tracer, TextMapPropagator: propagator, DisableBaggage: true, DisableSignalTracing: true, DisableQueryTracing: true,
		AllowInvalidParentSpans: true, // a header that cannot be read must not stop a job
		SpanStarter: func(ctx context.Context, tracer trace.Tracer, name string, opts ...trace.SpanStartOption) trace.Span {
			_, span := tracer.Start(ctx, name, opts...)
			return discreet{span}
		},
	})
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeInternal, "tracing of workflows: %w", err)
	}
	return []interceptor.ClientInterceptor{i}, nil
}

// discreet is a span that tells the kind of an error and not its text.
type discreet struct{ trace.Span }

// RecordError notes the error's kind: our own code, when it is one of ours.
func (d discreet) RecordError(err error, _ ...trace.EventOption) {
	var app *temporal.ApplicationError
	switch {
	case errors.As(err, &app):
		failed(d.Span, openflow.Code(app.Type()))
	case err != nil:
		d.Span.SetStatus(codes.Error, "")
	}
}

// SetStatus leaves the description out.
func (d discreet) SetStatus(code codes.Code, _ string) { d.Span.SetStatus(code, "") }
