package cli_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow/cli"
	"openflow/docker"
	"openflow/runtime/driver"
)

// fake is a node that answers from a table: method and path, or with a query, to the JSON of the answer's data. An answer
// that begins with "!" is a whole body. What it is sent is kept.
type fake struct {
	answers map[string]string
	header  http.Header // of every answer

	mu   sync.Mutex
	sent map[string]string // last body by method and path
	head map[string]http.Header
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	key := r.Method + " " + r.URL.Path
	f.mu.Lock()
	f.sent[key], f.head[key] = string(body), r.Header
	f.mu.Unlock()
	for k, v := range f.header {
		w.Header()[k] = v
	}
	answer, ok := f.answers[key+"?"+r.URL.RawQuery]
	if !ok {
		answer, ok = f.answers[key]
	}
	switch {
	case !ok:
		answer = `{"code":6001,"message":"no route ` + key + `"}`
	case strings.HasPrefix(answer, "!"):
		answer = answer[1:]
	default:
		answer = `{"code":0,"message":"success","job_id":"j1","data":` + answer + `}`
	}
	if strings.HasPrefix(answer, "{") || strings.HasPrefix(answer, "[") {
		w.Header().Set("Content-Type", "application/json")
	}
	_, _ = io.WriteString(w, answer)
}

func (f *fake) got(key string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.sent[key]
}

func (f *fake) headOf(key string) http.Header {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.head[key]
}

func newFake(tb testing.TB, answers map[string]string) (*fake, string) {
	tb.Helper()
	f := &fake{answers: answers, sent: map[string]string{}, head: map[string]http.Header{}}
	srv := httptest.NewServer(f)
	tb.Cleanup(srv.Close)
	return f, srv.URL
}

// result is what a command line has done.
type result struct {
	code           int
	stdout, stderr string
}

// run runs a command line in an environment without settings.
func run(tb testing.TB, args ...string) result {
	tb.Helper()
	return runWith(tb, "", args...)
}

func runWith(tb testing.TB, stdin string, args ...string) result {
	tb.Helper()
	var stdout, stderr bytes.Buffer
	root := cli.NewRoot("v1", driver.Openers{docker.Opener{}})
	root.SetIn(strings.NewReader(stdin))
	code := cli.Execute(tb.Context(), root, args, &stdout, &stderr)
	return result{code, stdout.String(), stderr.String()}
}

// document requires that standard output is one JSON document and nothing else.
func (r result) document(tb testing.TB) any {
	tb.Helper()
	d := json.NewDecoder(strings.NewReader(r.stdout))
	var v any
	require.NoError(tb, d.Decode(&v), r.stdout)
	require.ErrorIs(tb, d.Decode(new(any)), io.EOF, "something follows the document")
	return v
}

func writeFile(tb testing.TB, name, text string) string {
	tb.Helper()
	path := filepath.Join(tb.TempDir(), name)
	require.NoError(tb, os.WriteFile(path, []byte(text), 0o600))
	return path
}

const dag = `schema_version: "2.2.0"
dag:
  parties: [{role: guest, party_id: ["9999"]}]
  tasks:
    reader_0: {component_ref: reader, parameters: {namespace: demo, name: t}}
`

const (
	submitRoute = "POST /v2/job/submit"
	jobRoute    = "GET /v2/job/query"
	tasksRoute  = "GET /v2/job/task/query"

	jobRow = `{"job_id":"j1","role":"guest","party_id":"9999","status":"STATUS","progress":50,"reason":"REASON","model_id":"m",
		"model_version":"0","signed":true,"purpose":"scores of customers","initiator_party_id":"9999","scheduler_party_id":"9999","create_time":1767322800000,
		"start_time":1767322800000,"end_time":1767322803000,"partners":["10000"],
		"parties":[{"role":"guest","party_id":["9999"]},{"role":"host","party_id":["10000"]}]}`
	taskRow = `{"job_id":"j1","task_name":"psi_0","role":"guest","party_id":"9999","status":"failed","party_status":"failed",
		"component":"psi","reason":"exit code 3","error_report":"bad parameter\nat line 2"}`
)

// ended is a node with a job that has ended.
func ended(status, reason string) map[string]string {
	row := strings.NewReplacer("STATUS", status, "REASON", reason).Replace(jobRow)
	return map[string]string{
		submitRoute: `{"model_id":"m","model_version":"0","warnings":["mind the arbiter"]}`,
		jobRoute:    "[" + row + "]", tasksRoute: "[" + taskRow + "]",
		"GET /v2/job/list/query": `{"count":3,"data":[` + row + `]}`,
		"POST /v2/job/stop":      `{"status":"canceled","reason":"stopped by party 9999"}`,
	}
}
