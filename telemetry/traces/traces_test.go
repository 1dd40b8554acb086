package traces_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"openflow"
	"openflow/dialect/fateflow/envelope"
	"openflow/server"
	"openflow/server/reply"
	"openflow/telemetry/traces"
)

const parent = "00-0123456789abcdef0123456789abcdef-0123456789abcdef-01"

// kept is a collector in memory whose content outlives its end.
type kept struct{ spans tracetest.SpanStubs }

func (k *kept) ExportSpans(_ context.Context, s []sdktrace.ReadOnlySpan) error {
	k.spans = append(k.spans, tracetest.SpanStubsFromReadOnlySpans(s)...)
	return nil
}

func (k *kept) Shutdown(context.Context) error { return nil }

func site(t *testing.T) (*traces.Traces, func() tracetest.SpanStubs) {
	k := &kept{}
	tr := traces.New(traces.Options{Party: "9999", Version: "1", Exporter: k})
	t.Cleanup(func() { require.NoError(t, tr.Close(context.WithoutCancel(t.Context()))) })
	return tr, func() tracetest.SpanStubs {
		require.NoError(t, tr.Flush(t.Context()))
		return k.spans
	}
}

// layer is one route whose handler does what it is told.
type layer struct {
	method, path string
	do           reply.Handler
}

func (l layer) Routes(r chi.Router) {
	r.Method(l.method, l.path, envelope.Writer{Log: slog.New(slog.DiscardHandler)}.JSON(l.do))
}

func serve(l layer, guard func(http.Handler) http.Handler, path, header string) {
	r := httptest.NewRequest(l.method, path, nil)
	if header != "" {
		r.Header.Set("traceparent", header)
	}
	server.Handler(slog.New(slog.DiscardHandler), server.Guarded{Layer: l, Guard: guard}).ServeHTTP(httptest.NewRecorder(), r)
}

func TestSubmissionBeginsATrace(t *testing.T) {
	tr, spans := site(t)
	var seen trace.SpanContext
	l := layer{http.MethodPost, "/v2/job/submit", func(r *http.Request) (any, error) {
		seen = trace.SpanContextFromContext(r.Context())
		return nil, nil
	}}
	serve(l, tr.Begin, "/v2/job/submit", parent)
	got := spans()
	require.Len(t, got, 1)
	require.Equal(t, "serve /v2/job/submit", got[0].Name)
	require.Equal(t, seen.SpanID(), got[0].SpanContext.SpanID())
	require.False(t, got[0].Parent.IsValid(), "what a user writes into the header is not taken over")
	require.NotEqual(t, "0123456789abcdef0123456789abcdef", seen.TraceID().String())
}

func TestVerifiedRequestsContinueATrace(t *testing.T) {
	for name, test := range map[string]struct {
		header string
		spans  int
	}{
		"of its caller": {parent, 1}, "there is none": {"", 0}, "the header is damaged": {"00-xyz", 0},
		"the header is all zeros": {"00-00000000000000000000000000000000-0000000000000000-01", 0},
	} {
		t.Run(name, func(t *testing.T) {
			tr, spans := site(t)
			l := layer{http.MethodPost, "/v2/x/{id}", func(*http.Request) (any, error) {
				return nil, openflow.Errorf(openflow.CodeNotFound, "the secret 4711 is not here")
			}}
			serve(l, tr.Continue, "/v2/x/4711", test.header)
			got := spans()
			require.Len(t, got, test.spans)
			if test.spans == 0 {
				return
			}
			require.Equal(t, "serve /v2/x/{id}", got[0].Name, "the route and not the identifiers in it")
			require.Equal(t, "0123456789abcdef", got[0].Parent.SpanID().String())
			require.Equal(t, sdktrace.Status{Code: codes.Error, Description: "not_found"}, got[0].Status)
			for _, a := range got[0].Attributes {
				require.NotContains(t, a.Value.String(), "4711")
			}
		})
	}
}

// A call hands its own span over, so that what the callee does lies below it.
func TestCallsCarryTheirContext(t *testing.T) {
	tr, spans := site(t)
	var header string
	peer := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { header = r.Header.Get("traceparent") }))
	defer peer.Close()
	client := &http.Client{Transport: tr.Transport(http.DefaultTransport)}
	call := func(ctx context.Context, url string) error {
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/v2/y", nil)
		require.NoError(t, err)
		resp, err := client.Do(r)
		if err == nil {
			require.NoError(t, resp.Body.Close())
		}
		return err
	}
	require.NoError(t, call(t.Context(), peer.URL))
	require.Empty(t, header, "work that belongs to no job is not traced")

	l := layer{http.MethodPost, "/v2/job/stop", func(r *http.Request) (any, error) {
		return nil, errors.Join(call(r.Context(), peer.URL), ignore(call(r.Context(), "http://127.0.0.1:1")))
	}}
	serve(l, tr.Begin, "/v2/job/stop", "")
	got := spans()
	require.Len(t, got, 3)
	require.Equal(t, "call /v2/y", got[0].Name)
	require.Contains(t, header, got[0].SpanContext.SpanID().String())
	require.Equal(t, got[2].SpanContext.SpanID(), got[0].Parent.SpanID())
	require.Equal(t, codes.Error, got[1].Status.Code, "a peer that does not answer")
}

func ignore(error) error { return nil }

func TestEnvironmentOfContainers(t *testing.T) {
	tr, _ := site(t)
	require.Nil(t, tr.Environment(t.Context(), "run"))
	sc := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled})
	require.Equal(t, []string{"TRACEPARENT=00-01000000000000000000000000000000-0200000000000000-01"},
		tr.Environment(trace.ContextWithSpanContext(t.Context(), sc), "run"))
}

// Switched off, tracing is not in the way at all.
func TestOff(t *testing.T) {
	tr := traces.New(traces.Options{Party: "9999"})
	require.Nil(t, tr)
	require.Equal(t, http.DefaultTransport, tr.Transport(http.DefaultTransport))
	i, err := tr.Interceptors()
	require.NoError(t, err)
	require.Empty(t, i)
	require.Nil(t, tr.Environment(t.Context(), "run"))
	require.NoError(t, tr.Flush(t.Context()))
	require.NoError(t, tr.Close(t.Context()))
}

func TestOTLP(t *testing.T) {
	nothing := func(string) string { return "" }
	e, err := traces.OTLP(t.Context(), "", nothing)
	require.NoError(t, err)
	require.Nil(t, e)
	for _, bad := range []string{"127.0.0.1:4318", "ftp://x", "http://", "http://[broken"} {
		_, err := traces.OTLP(t.Context(), bad, nothing)
		require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), bad)
	}

	got := make(chan string, 1)
	collector := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case got <- r.URL.Path:
		default:
		}
	}))
	defer collector.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.URL)
	for name, address := range map[string]string{"of the flag": collector.URL, "of the environment": ""} {
		t.Run(name, func(t *testing.T) {
			e, err := traces.OTLP(t.Context(), address, os.Getenv)
			require.NoError(t, err)
			tr := traces.New(traces.Options{Party: "9999", Exporter: e})
			serve(layer{http.MethodPost, "/v2/job/submit", func(*http.Request) (any, error) { return nil, nil }}, tr.Begin, "/v2/job/submit", "")
			require.NoError(t, tr.Close(t.Context()))
			require.Equal(t, "/v1/traces", <-got)
		})
	}
}
