package traces

import (
	"context"
	"net/url"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"openflow"
)

// EnvTraceParent tells a container which span it belongs to, in the form of the header of the same name.
const EnvTraceParent = "TRACEPARENT"

// propagator carries contexts in the W3C form. There is no baggage: it would let a peer put texts into our requests.
var propagator = propagation.TraceContext{}

// Options of a site's traces.
type Options struct {
	Party    openflow.PartyID
	Version  string
	Exporter sdktrace.SpanExporter // where spans go; nil: tracing is off
}

// Traces makes the spans of one site. All methods work on nil, which is tracing switched off.
type Traces struct {
	self     openflow.PartyID
	provider *sdktrace.TracerProvider
	tracer   trace.Tracer
	runs     runs
}

// New begins to trace, or returns nil when there is no exporter. The sampler is that of OTEL_TRACES_SAMPLER, by default
// every trace, and a trace that a peer has begun is sampled as there.
func New(o Options) *Traces {
	if o.Exporter == nil {
		return nil
	}
	about := resource.NewSchemaless(
		attribute.String("service.name", "openflow"), attribute.String("service.version", o.Version),
		attribute.String("service.instance.id", string(o.Party)), attribute.String("openflow.party", string(o.Party)),
	)
	p := sdktrace.NewTracerProvider(sdktrace.WithBatcher(o.Exporter), sdktrace.WithResource(about))
	return &Traces{self: o.Party, provider: p, tracer: p.Tracer("openflow")}
}

// OTLP sends spans to a collector over HTTP: the one at address, such as http://127.0.0.1:4318, or the one that the standard
// variables of the environment name. Without either it returns nil. Whether the collector answers is not checked: a node
// works without it. Errors: CodeInvalid.
func OTLP(ctx context.Context, address string, env func(string) string) (sdktrace.SpanExporter, error) {
	var options []otlptracehttp.Option // the exporter reads the environment itself
	switch {
	case address != "":
		u, err := url.Parse(address)
		if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
			return nil, openflow.Errorf(openflow.CodeInvalid, "the trace collector %q is not an http or https address", address).
				WithHint("write it like http://127.0.0.1:4318")
		}
		if strings.Trim(u.Path, "/") == "" {
			u.Path = "/v1/traces"
		}
		options = append(options, otlptracehttp.WithEndpointURL(u.String()))
	case env("OTEL_EXPORTER_OTLP_ENDPOINT") == "" && env("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT") == "":
		return nil, nil
	}
	e, err := otlptracehttp.New(ctx, options...)
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeInvalid, "the trace collector cannot be used: %w", err)
	}
	return e, nil
}

// Close sends what is left and ends.
func (t *Traces) Close(ctx context.Context) error {
	if t == nil {
		return nil
	}
	return t.provider.Shutdown(ctx)
}

// Flush sends what has ended so far.
func (t *Traces) Flush(ctx context.Context) error {
	if t == nil {
		return nil
	}
	return t.provider.ForceFlush(ctx)
}

// Environment is what the container of a run needs to go on with the trace of ctx; nothing when ctx is not traced. It is
// remembered for containers that were made before, and were not told: see [Traces.Contain].
func (t *Traces) Environment(ctx context.Context, run openflow.RunID) []string {
	if t == nil || !trace.SpanContextFromContext(ctx).IsValid() {
		return nil
	}
	t.runs.remember(run, trace.SpanContextFromContext(ctx))
	carrier := propagation.MapCarrier{}
	propagator.Inject(ctx, carrier)
	return []string{EnvTraceParent + "=" + carrier["traceparent"]}
}
