package scenarios_test

import (
	"context"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"openflow"
	"openflow/tests/env"
)

// spans is a collector in memory. It outlives its node.
type spans struct {
	mu   sync.Mutex
	list []sdktrace.ReadOnlySpan
}

func (s *spans) ExportSpans(_ context.Context, list []sdktrace.ReadOnlySpan) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.list = append(s.list, list...)
	return nil
}

func (s *spans) Shutdown(context.Context) error { return nil }

func (s *spans) named(name string) (found []sdktrace.ReadOnlySpan) {
	for _, sp := range s.list {
		if sp.Name() == name {
			found = append(found, sp)
		}
	}
	return found
}

// A job of two sites is one trace: whatever either site did for it descends from its submission.
func TestOneTracePerJob(t *testing.T) {
	collectors := map[string]*spans{"9999": {}, "10000": {}}
	e := env.New(t, env.Party("9999"), env.Party("10000"),
		env.Spans(func(id string) sdktrace.SpanExporter { return collectors[id] }))
	user := e.As(t, "9999")
	secret := openflow.Parameters{"rows": 3, "sleep_ms": 1}
	id := user.Submit(env.DAG(env.Parties("guest 9999", "host 10000"), env.Noop("a", secret), env.Noop("b", nil, "a")))
	user.WaitFor(id, openflow.JobSuccess)
	user.Settled(id)
	e.As(t, "10000").WaitFor(id, openflow.JobSuccess)
	e.As(t, "10000").Settled(id)
	e.NoContainers(t)
	e.Stop(t, "9999", "10000") // every span has ended and is sent

	roots := collectors["9999"].named("serve /v2/job/submit")
	require.Len(t, roots, 1)
	root := roots[0].SpanContext()
	require.False(t, roots[0].Parent().IsValid())
	known := map[trace.SpanID]sdktrace.ReadOnlySpan{}
	for _, c := range collectors {
		for _, s := range c.list {
			known[s.SpanContext().SpanID()] = s
		}
	}
	for site, c := range collectors {
		require.NotEmpty(t, c.list)
		for _, s := range c.list {
			require.Equalf(t, root.TraceID(), s.SpanContext().TraceID(), "%s at %s belongs to the job's trace", s.Name(), site)
			for at := s; at.SpanContext().SpanID() != root.SpanID(); {
				parent, ok := known[at.Parent().SpanID()]
				require.Truef(t, ok, "%s at %s has a parent that is known", at.Name(), site)
				at = parent
			}
			for _, a := range s.Attributes() {
				require.NotContains(t, a.Value.String(), "sleep_ms", "spans hold no parameters: %s", a.Key)
			}
		}
	}
	for site, names := range map[string][]string{
		"9999":  {"RunWorkflow:Job", "RunActivity:OpenJob", "call /openflow/v1/node/task/start", "RunActivity:RunTask", "serve /v2/worker/task/status"},
		"10000": {"serve /openflow/v1/node/job/open", "serve /openflow/v1/node/task/start", "RunWorkflow:Task", "RunActivity:RunTask", "serve /v2/worker/task/status", "call /openflow/v1/node/scheduled/report"},
	} {
		for _, name := range names {
			require.NotEmptyf(t, collectors[site].named(name), "%s at %s; there are %v", name, site, namesOf(collectors[site].list))
		}
	}
}

// What the workers of a pool do for a job, and their containers, belongs to its trace, and is counted by their node.
func TestTelemetryOfAPool(t *testing.T) {
	c := &spans{}
	e := env.New(t, env.Party("9999"), env.Pooled(), env.Spans(func(string) sdktrace.SpanExporter { return c }))
	w := e.StartWorker(t, "9999", "m1")
	user := e.As(t, "9999")
	id := user.Submit(env.DAG(env.Parties("guest 9999"), env.Noop("a", nil)))
	user.WaitFor(id, openflow.JobSuccess)
	user.Settled(id)
	metrics := scrape(t, user)
	for _, route := range []string{"/openflow/v1/pool/", "/v2/worker/task/status"} {
		require.Contains(t, metrics, `openflow_http_requests_total{code="ok",layer="workers",route="`+route)
	}
	ctx, cancel := context.WithTimeout(t.Context(), env.Patience)
	defer cancel()
	require.NoError(t, w.Close(ctx))
	e.Stop(t, "9999") // every span has ended and is sent
	roots := c.named("serve /v2/job/submit")
	require.Len(t, roots, 1)
	for _, name := range []string{"RunActivity:ChooseMachine", "RunActivity:RunTask", "serve /v2/worker/task/status"} {
		found := c.named(name)
		require.NotEmptyf(t, found, "%s; there are %v", name, namesOf(c.list))
		require.Equal(t, roots[0].SpanContext().TraceID(), found[0].SpanContext().TraceID(), name)
	}
}

func namesOf(list []sdktrace.ReadOnlySpan) []string {
	var names []string
	for _, s := range list {
		names = append(names, s.Name())
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// What a job leaves in the metrics of the nodes that took part, as Prometheus scrapes it.
func TestMetricsOfAJob(t *testing.T) {
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Token(), env.Cores(4))
	user := e.As(t, "9999")
	parties := env.Parties("guest 9999", "host 10000")
	done := user.Submit(env.DAG(parties, env.Noop("a", nil), env.Noop("b", nil, "a")))
	user.WaitFor(done, openflow.JobSuccess)
	user.Settled(done)
	failing := env.DAG(parties, env.Noop("a", nil))
	failing.PartyTasks = []openflow.PartyTasks{env.At(parties[1], "a", openflow.Parameters{"fail": true})}
	user.WaitFor(user.Submit(failing), openflow.JobFailed)
	e.NoContainers(t)
	e.NoCoresHeld(t)
	four := 4
	long := env.DAG(parties, env.Noop("a", env.Sleep(300_000)))
	long.Conf.Cores = &four
	holder := user.Submit(long)
	user.WaitForTask(holder, "a", openflow.TaskRunning)
	waiter := user.Submit(long)
	waitsFor(user, waiter)
	user.WaitFor(waiter, openflow.JobWaiting)

	tells := func(party, line string) { // some are counted a moment after the rows
		t.Helper()
		pattern, at := regexp.MustCompile("(?m)^"+line+"$"), e.As(t, party)
		env.WaitUntil(t, env.Patience, "the metrics of "+party+" say "+line, func() (bool, string) {
			seen := scrape(t, at)
			return pattern.MatchString(seen), seen
		})
	}
	for _, line := range []string{
		`openflow_build_info{go_version="[^"]+",version="test"} 1`,
		`openflow_jobs{status="success"} 1`, `openflow_jobs{status="failed"} 1`, `openflow_jobs{status="running"} 1`,
		`openflow_jobs{status="waiting"} 1`, `openflow_tasks{status="success"} [23]`, `openflow_tasks{status="running"} 1`,
		`openflow_jobs_waiting{reason="resources"} 1`, `openflow_jobs_waiting{reason="partner"} 0`,
		`openflow_capacity_cores_used 4`, `openflow_capacity_cores 4`, `openflow_messages 0`,
		`openflow_job_duration_seconds_count{status="success"} 1`, `openflow_job_duration_seconds_count{status="failed"} 1`,
		`openflow_task_duration_seconds_count{status="success"} [23]`,
		`openflow_http_requests_total{code="ok",layer="application",route="/v2/job/submit"} \d+`,
		`openflow_http_requests_total{code="ok",layer="interconnection",route="/openflow/v1/node/scheduled/report"} \d+`,
		`openflow_http_requests_total{code="ok",layer="base",route="/v2/worker/task/status"} \d+`,
		`openflow_http_request_duration_seconds_count{layer="base"} \d+`,
		`openflow_peer_calls_total{code="ok",peer="10000"} \d+`, `openflow_peer_call_duration_seconds_count{peer="10000"} \d+`,
		`openflow_activity_attempts_total{activity="RunTask",attempt="first",outcome="ok"} [234]`,
		`openflow_home_free_bytes [\d.e+]+`, `go_goroutines \d+`,
	} {
		tells("9999", line)
	}
	tells("10000", `openflow_task_duration_seconds_count\{status="failed"\} 1`)
	at9999 := scrape(t, user)
	require.NotContains(t, at9999, string(done), "no job ID is a label")
	require.NotContains(t, at9999, "job_duration_seconds_count{status=\"running\"}")

	stranger := *user
	stranger.Token = ""
	for _, page := range []string{"/metrics", "/temporal"} {
		resp, body := stranger.Do(request(t, e.URL("9999")+page))
		require.Equal(t, http.StatusUnauthorized, resp.StatusCode, "%s is behind the same token as the rest", page)
		require.NotContains(t, string(body), "openflow_")
	}
	user.StopJob(waiter)
	user.StopJob(holder)
	user.WaitFor(holder, openflow.JobCanceled)
}

func scrape(t *testing.T, c *env.Client) string {
	t.Helper()
	resp, body := c.Do(request(t, c.URL+"/metrics"))
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.True(t, strings.HasPrefix(resp.Header.Get("Content-Type"), "text/plain"))
	return string(body)
}

func request(t *testing.T, url string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	return r
}
