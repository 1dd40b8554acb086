package metrics_test

import (
	"context"
	"flag"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	sdkworker "go.temporal.io/sdk/worker"

	"openflow"
	"openflow/dialect/fateflow/envelope"
	"openflow/server"
	"openflow/telemetry/metrics"
)

var update = flag.Bool("update", false, "rewrite the golden file")

func scrape(t *testing.T, m *metrics.Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler(slog.New(slog.DiscardHandler)).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	return w.Body.String()
}

func held(context.Context) (metrics.State, error) {
	return metrics.State{
		Jobs: map[openflow.JobStatus]int{openflow.JobRunning: 2}, Tasks: map[openflow.TaskStatus]int{openflow.TaskFailed: 1},
		Waits: map[string]int{"waiting for party 10000 (host): job 1 needs 4 cores, 2 of 8 are free": 3, "waiting for party 10000 (host): away": 1, "": 1},
		Used:  openflow.Resources{Cores: 3, Memory: 1 << 30}, Capacity: openflow.Resources{Cores: 32, Memory: 4 << 30, GPUs: 2}, Messages: 5, MessageBytes: 500, ObjectBytes: 7000, DiskFree: 1 << 30,
	}, nil
}

// busy is metrics after one of everything.
func busy(t *testing.T) *metrics.Metrics {
	m := metrics.New("1.2")
	m.Observe(held)
	m.JobEnded(openflow.JobSuccess, 3*time.Second)
	m.TaskEnded(openflow.TaskFailed, time.Second)
	m.PeerCalled("10000", time.Millisecond, nil)
	m.PeerCalled("10000", time.Second, openflow.Errorf(openflow.CodeUnavailable, "away"))
	h := server.Handler(slog.New(slog.DiscardHandler), server.Guarded{Layer: things{}, Guard: m.Requests("application")})
	for _, path := range []string{"/v2/thing/1", "/v2/thing/2", "/v2/thing/none"} {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
	}
	attempt(t, m)
	return m
}

type things struct{}

func (things) Routes(r chi.Router) {
	r.Get("/v2/thing/{id}", envelope.Writer{Log: slog.New(slog.DiscardHandler)}.JSON(func(r *http.Request) (any, error) {
		if strings.HasSuffix(r.URL.Path, "none") {
			return nil, openflow.Errorf(openflow.CodeNotFound, "none")
		}
		return nil, nil
	}))
}

// attempt runs an activity that succeeds and one that fails.
func attempt(t *testing.T, m *metrics.Metrics) {
	var s testsuite.WorkflowTestSuite
	env := s.NewTestActivityEnvironment()
	env.SetWorkerOptions(sdkworker.Options{Interceptors: []interceptor.WorkerInterceptor{m.Activities()}})
	env.RegisterActivity(Work)
	_, err := env.ExecuteActivity(Work, false)
	require.NoError(t, err)
	_, err = env.ExecuteActivity(Work, true)
	require.Error(t, err)
}

// Work is an activity.
func Work(_ context.Context, fail bool) error {
	if fail {
		return temporal.NewApplicationError("no", "rejected")
	}
	return nil
}

// The names are what dashboards and alerts are made of: docs/operations.md explains each, and a change is deliberate.
func TestNames(t *testing.T) {
	var names []string
	for _, m := range regexp.MustCompile(`(?m)^# TYPE (openflow_\w+ \w+)$`).FindAllStringSubmatch(scrape(t, busy(t)), -1) {
		names = append(names, m[1])
	}
	slices.Sort(names)
	got := strings.Join(names, "\n") + "\n"
	const file = "testdata/names.txt"
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(string(want), got))

	page, err := os.ReadFile("../../docs/operations.md")
	require.NoError(t, err)
	for _, n := range names {
		name, _, _ := strings.Cut(n, " ")
		require.Contains(t, string(page), "`"+name+"`", "docs/operations.md explains every metric")
	}
}

func TestValues(t *testing.T) {
	text := scrape(t, busy(t))
	for _, line := range []string{
		`openflow_jobs{status="running"} 2`, `openflow_tasks{status="failed"} 1`, `openflow_capacity_cores_used 3`, `openflow_capacity_cores 32`,
		`openflow_capacity_memory_bytes_used 1.073741824e+09`, `openflow_capacity_memory_bytes 4.294967296e+09`, `openflow_capacity_gpus_used 0`, `openflow_capacity_gpus 2`,
		`openflow_jobs_waiting{reason="resources"} 3`, `openflow_jobs_waiting{reason="partner"} 1`, `openflow_jobs_waiting{reason="other"} 1`,
		`openflow_messages 5`, `openflow_message_bytes 500`, `openflow_object_bytes 7000`,
		`openflow_job_duration_seconds_sum{status="success"} 3`, `openflow_task_duration_seconds_sum{status="failed"} 1`,
		`openflow_peer_calls_total{code="ok",peer="10000"} 1`, `openflow_peer_calls_total{code="unavailable",peer="10000"} 1`,
		`openflow_http_requests_total{code="ok",layer="application",route="/v2/thing/{id}"} 2`,
		`openflow_http_requests_total{code="not_found",layer="application",route="/v2/thing/{id}"} 1`,
		`openflow_http_request_duration_seconds_count{layer="application"} 3`,
		`openflow_activity_attempts_total{activity="Work",attempt="first",outcome="ok"} 1`,
		`openflow_activity_attempts_total{activity="Work",attempt="first",outcome="failed"} 1`,
	} {
		require.Contains(t, "\n"+text, "\n"+line+"\n")
	}
}

// What is not known, and what cannot be read, is left out; the rest is told.
func TestUnknownStateIsLeftOut(t *testing.T) {
	for name, source := range map[string]metrics.Source{
		"not known": func(context.Context) (metrics.State, error) {
			return metrics.State{Messages: -1, MessageBytes: -1, ObjectBytes: -1}, nil
		},
		"failed": func(context.Context) (metrics.State, error) {
			return metrics.State{}, openflow.Errorf(openflow.CodeUnavailable, "the catalogue is closed")
		},
	} {
		t.Run(name, func(t *testing.T) {
			m := metrics.New("1")
			m.Observe(source)
			text := scrape(t, m)
			require.NotContains(t, text, "openflow_messages")
			require.NotContains(t, text, "openflow_object_bytes")
			require.Contains(t, text, "openflow_build_info")
		})
	}
}

func TestCodesThatAreNoErrorsOfOurs(t *testing.T) {
	m := metrics.New("1")
	m.PeerCalled("10000", 0, context.Canceled)
	require.Contains(t, scrape(t, m), `openflow_peer_calls_total{code="canceled",peer="10000"} 1`)
}
