package trial

import (
	"cmp"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/residence"
)

// quick is a run that fails at once. Slow ones are ended.
type quick struct {
	code  int
	ended chan struct{}
}

func (q quick) Wait() int {
	<-q.ended
	return q.code
}
func (q quick) Ask()  {}
func (q quick) Kill() { close(q.ended) }

// serve is a container that keeps the contract, but for what is changed.
func serve(t *testing.T, process func() residence.Process, change func(http.Handler) http.Handler) Container {
	var handler http.Handler = residence.New("secret", 2, func(_ string, _ map[string]string, stdout, _ io.Writer) (residence.Process, error) {
		_, _ = io.WriteString(stdout, "no configuration\n")
		return process(), nil
	})
	if change != nil {
		handler = change(handler)
	}
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	return Container{Address: strings.TrimPrefix(s.URL, "http://"), Key: "secret", Places: 2}
}

func fails() residence.Process {
	q := quick{2, make(chan struct{})}
	close(q.ended)
	return q
}

// within lets containers take this long for what they have to do, for a test.
func within(t *testing.T, d time.Duration) {
	r, a, e := readyWithin, answerWithin, endsWithin
	t.Cleanup(func() { readyWithin, answerWithin, endsWithin = r, a, e })
	readyWithin, answerWithin, endsWithin = d, 2*time.Second, d
}

func TestAContainerThatKeepsTheContract(t *testing.T) {
	found := Hold(t.Context(), serve(t, fails, nil))
	require.Len(t, found, 11)
	for _, f := range found {
		require.Equal(t, openflow.VerdictOK, f.Verdict, "%+v", f)
		require.Empty(t, f.Remedy)
	}
}

// answers replaces the answer to one call, by method and path.
func answers(call string, code int, body string) func(http.Handler) http.Handler {
	return func(usual http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method+" "+r.URL.Path != call || r.Header.Get("Authorization") != "Bearer secret" {
				usual.ServeHTTP(w, r)
				return
			}
			w.WriteHeader(code)
			_, _ = io.WriteString(w, body)
		})
	}
}

// answersAll is answers for a call that shows no secret.
func answersAll(call string, code int, body string) func(http.Handler) http.Handler {
	return func(usual http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.Header.Set("Authorization", cmp.Or(r.Header.Get("Authorization"), "Bearer secret"))
			answers(call, code, body)(usual).ServeHTTP(w, r)
		})
	}
}

// unready takes no more runs than two, as it may, and says of that that it is not ready.
func unready(usual http.Handler) http.Handler {
	places := 0
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case strings.HasPrefix(r.URL.Path, "/v1/runs/openflow.check-full-") && r.Method == http.MethodPut:
			places++
		case r.URL.Path == "/v1/ready" && places == 2:
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		usual.ServeHTTP(w, r)
	})
}

// tells changes what is told of a run that has ended.
func tells(change func(*residence.Run)) func(http.Handler) http.Handler {
	return func(usual http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			seen := httptest.NewRecorder()
			usual.ServeHTTP(seen, r)
			var one residence.Run
			if r.Method == http.MethodGet && json.Unmarshal(seen.Body.Bytes(), &one) == nil && one.State == residence.Ended {
				change(&one)
				seen.Body.Reset()
				_ = json.NewEncoder(seen.Body).Encode(one)
			}
			w.WriteHeader(seen.Code)
			_, _ = w.Write(seen.Body.Bytes())
		})
	}
}

func TestEachPointIsHeld(t *testing.T) {
	within(t, 300*time.Millisecond)
	run := "/v1/runs/" + first
	for name, tc := range map[string]struct {
		process func() residence.Process
		change  func(http.Handler) http.Handler
		point   string
		says    string
	}{
		"not ready when full":       {fails, unready, "is full", "while it has as many runs as it takes: GET /v1/ready is answered with 503"},
		"fewer places than it says": {fails, answers("PUT /v1/runs/openflow.check-full-1", 503, ""), "is full", "given 2 runs at once"},
		"never ready":               {fails, answers("GET /v1/ready", 503, ""), "serves", "answered with 503"},
		"no secret": {fails, func(usual http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				r.Header.Set("Authorization", "Bearer secret")
				usual.ServeHTTP(w, r)
			})
		}, "secret", "without its secret: GET /v1/ready is answered with 200, want 401"},
		"no proof":  {fails, answersAll("GET /v1/proof", 404, ""), "proof", "does not prove that it is the container that was started: GET /v1/proof is answered with 404"},
		"any proof": {fails, answersAll("GET /v1/proof", 200, `{"proof":"00"}`), "proof", "its proof is wrong"},
		"a proof with an end": {fails, func(usual http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Connection", "close")
				usual.ServeHTTP(w, r)
			})
		}, "proof", "closes the connection"},
		"runs of others":      {fails, answers("GET /v1/runs", 200, `{"runs":[{"id":"x"}]}`), "secret", "it has 1 runs, and nobody has given it any"},
		"no list":             {fails, answers("GET /v1/runs", 200, `[]`), "secret", "something else than its form"},
		"a list for ever":     {fails, answers("GET /v1/runs", 200, strings.Repeat(" ", mostAnswer+1)), "secret", "more than 262144 bytes"},
		"a list of nests":     {fails, answers("GET /v1/runs", 200, strings.Repeat("[", 1000)), "secret", "something else than its form"},
		"not live":            {fails, answers("GET /v1/live", 500, ""), "live", "answered with 500"},
		"elsewhere":           {fails, answers("GET /v1/live", 307, ""), "live", "answered with 307"},
		"begins anew":         {fails, answers("PUT "+run, 201, ""), "begins a run", "asked for it again: PUT " + run + " is answered with 201, want 200"},
		"begins nothing":      {fails, answers("PUT "+run, 503, ""), "begins a run", "answered with 503, want 201"},
		"all is well":         {func() residence.Process { q := quick{0, make(chan struct{})}; close(q.ended); return q }, nil, "ends a run", "exit code 0"},
		"does not end":        {func() residence.Process { return quick{2, make(chan struct{})} }, nil, "ends a run", "has not ended after 300ms"},
		"does not wait":       {func() residence.Process { return quick{2, make(chan struct{})} }, waitsNot, "ends a run", "it answers at once"},
		"of another run":      {fails, tells(func(r *residence.Run) { r.ID = "x" }), "ends a run", "it tells of another run"},
		"a state of its own":  {fails, tells(func(r *residence.Run) { r.State = "\x1b[2Jgone" }), "ends a run", "can be running or ended"},
		"seconds":             {fails, tells(func(r *residence.Run) { r.Started, r.Finished = r.Started/1000, r.Finished/1000 }), "ends a run", "that cannot be"},
		"backwards":           {fails, tells(func(r *residence.Run) { r.Finished = r.Started - 1 }), "ends a run", "that cannot be"},
		"a signal's code":     {fails, tells(func(r *residence.Run) { r.ExitCode = -9 }), "ends a run", "exit code -9"},
		"two stories":         {fails, tells(func(r *residence.Run) { r.ExitCode = 3 }), "ends a run", "does not say the same"},
		"no log":              {fails, answers("GET "+run+"/log", 404, ""), "log of a run", "answered with 404"},
		"a log for ever":      {fails, answers("GET "+run+"/log", 200, strings.Repeat("x", residence.LogBytes+1)), "log of a run", "more than 16777216 bytes"},
		"stops nothing":       {fails, answers("POST /v1/runs/"+second+"/stop", 501, ""), "stops a run", "answered with 501"},
		"forgets not":         {fails, answers("DELETE "+run, 409, ""), "forgets a run", "answered with 409, want 204"},
		"remembers":           {fails, answers("DELETE "+run, 204, ""), "forgets a run", "answered with 200, want 404"},
		"one and no more":     {fails, afterwards(first, "/v1/ready"), "is full", "GET /v1/ready is answered with 503"},
		"as many and no more": {fails, afterwards("openflow.check-full-1", "/v1/live"), "goes on", "GET /v1/live is answered with 503"},
	} {
		t.Run(name, func(t *testing.T) {
			found := Hold(t.Context(), serve(t, tc.process, tc.change))
			last := found[len(found)-1]
			require.Equal(t, tc.point, last.Check, "%+v", last)
			require.Equal(t, openflow.VerdictFail, last.Verdict)
			require.Contains(t, last.Detail, tc.says)
			require.NotEmpty(t, last.Remedy)
			require.NotContains(t, last.Detail, "\x1b")
			for _, f := range found[:len(found)-1] {
				require.Equal(t, openflow.VerdictOK, f.Verdict)
			}
		})
	}
	usual := allWithin
	t.Cleanup(func() { allWithin = usual })
	allWithin = 10 * time.Millisecond
	found := Hold(t.Context(), serve(t, fails, func(usual http.Handler) http.Handler {
		return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	}))
	require.Len(t, found, 1)
	require.Contains(t, found[0].Detail, "it is too slow: 10ms are allowed for all answers")
	allWithin = usual
	require.Equal(t, "serves", Hold(t.Context(), Container{Address: "127.0.0.1:1", Key: "x"})[0].Check)
}

func waitsNot(usual http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.URL.RawQuery = strings.ReplaceAll(r.URL.RawQuery, "wait=", "waits=")
		usual.ServeHTTP(w, r)
	})
}

// afterwards is not ready any more once it has forgotten a run.
func afterwards(run, path string) func(http.Handler) http.Handler {
	forgotten := false
	return func(usual http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			forgotten = forgotten || r.Method == http.MethodDelete && strings.HasSuffix(r.URL.Path, run) && r.Header.Get("Authorization") == "Bearer secret"
			if forgotten && r.URL.Path == path {
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			usual.ServeHTTP(w, r)
		})
	}
}
