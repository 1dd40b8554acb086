package residence_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow/residence"
)

// played is a run that ends when it is told to.
type played struct {
	ask, kill chan struct{}
	code      chan int
	stdout    io.Writer
}

func (p *played) Wait() int {
	select {
	case code := <-p.code:
		return code
	case <-p.kill:
		return 137
	}
}
func (p *played) Ask()  { close(p.ask) } // twice would panic
func (p *played) Kill() { close(p.kill) }

type bench struct {
	*residence.Server
	mu     sync.Mutex
	runs   map[string]*played
	env    map[string]map[string]string
	refuse error
}

func newBench(most int) *bench {
	b := &bench{runs: map[string]*played{}, env: map[string]map[string]string{}}
	b.Server = residence.New("secret", most, func(id string, env map[string]string, stdout, stderr io.Writer) (residence.Process, error) {
		b.mu.Lock()
		defer b.mu.Unlock()
		if b.refuse != nil {
			return nil, b.refuse
		}
		_, _ = fmt.Fprint(stderr, "hello from "+id)
		b.runs[id], b.env[id] = &played{ask: make(chan struct{}), kill: make(chan struct{}), code: make(chan int, 1), stdout: stdout}, env
		return b.runs[id], nil
	})
	return b
}

func (b *bench) run(id string) *played {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.runs[id]
}

// ask makes one call, and says what came of it.
func (b *bench) ask(method, path, body string) (int, string) {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer secret")
	w := httptest.NewRecorder()
	b.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func (b *bench) look(t *testing.T, path string) (one residence.Run) {
	code, body := b.ask("GET", path, "")
	require.Equal(t, http.StatusOK, code, body)
	require.NoError(t, json.Unmarshal([]byte(body), &one))
	return one
}

func TestALifeOfARun(t *testing.T) {
	b := newBench(2)
	code, _ := b.ask("GET", "/v1/ready", "")
	require.Equal(t, http.StatusOK, code)
	code, _ = b.ask("GET", "/v1/live", "")
	require.Equal(t, http.StatusOK, code)
	code, body := b.ask("GET", "/v1/runs", "")
	require.Equal(t, http.StatusOK, code)
	require.JSONEq(t, `{"runs":[]}`, body)

	begin := `{"environment":{"CONFIG":"{}"}}`
	code, body = b.ask("PUT", "/v1/runs/a", begin)
	require.Equal(t, http.StatusCreated, code, body)
	code, _ = b.ask("PUT", "/v1/runs/a", begin)
	require.Equal(t, http.StatusOK, code, "there is a run of that ID")
	require.Equal(t, map[string]string{"CONFIG": "{}"}, b.env["a"])
	one := b.look(t, "/v1/runs/a")
	require.Equal(t, residence.Running, one.State)
	require.NotZero(t, one.Started)
	require.Zero(t, one.Finished)
	code, _ = b.ask("DELETE", "/v1/runs/a", "")
	require.Equal(t, http.StatusConflict, code, "it runs")

	b.run("a").code <- 7
	one = b.look(t, "/v1/runs/a?wait=60")
	require.Equal(t, residence.Ended, one.State)
	require.Equal(t, 7, one.ExitCode)
	require.NotZero(t, one.Finished)
	code, body = b.ask("GET", "/v1/runs/a/log?stream=stderr", "")
	require.Equal(t, http.StatusOK, code)
	require.Equal(t, "hello from a", body)
	code, _ = b.ask("POST", "/v1/runs/a/stop", `{"grace":0}`)
	require.Equal(t, http.StatusAccepted, code, "it has ended")
	for range 2 {
		code, _ = b.ask("DELETE", "/v1/runs/a", "")
		require.Equal(t, http.StatusNoContent, code, "also one that there is not")
	}
	for path, method := range map[string]string{"/v1/runs/a": "GET", "/v1/runs/a/log?stream=stdout": "GET", "/v1/runs/a/stop": "POST"} {
		code, _ = b.ask(method, path, "")
		require.Equal(t, http.StatusNotFound, code, path)
	}
}

func TestWhatIsRefused(t *testing.T) {
	big := strings.Repeat("x", 128<<10)
	for name, tc := range map[string]struct {
		method, path, body string
		want               int
	}{
		"no JSON":               {"PUT", "/v1/runs/a", "{", 400},
		"too much":              {"PUT", "/v1/runs/a", `{"environment":{"A":"` + strings.Repeat("x", residence.MaxBody) + `"}}`, 400},
		"a variable of no name": {"PUT", "/v1/runs/a", `{"environment":{"":"x"}}`, 400},
		"a name with =":         {"PUT", "/v1/runs/a", `{"environment":{"A=B":"x"}}`, 400},
		"a NUL":                 {"PUT", "/v1/runs/a", `{"environment":{"A":"\u0000"}}`, 400},
		"a long variable":       {"PUT", "/v1/runs/a", `{"environment":{"A":"` + big + `"}}`, 400},
		"a long ID":             {"PUT", "/v1/runs/" + big[:129], `{}`, 400},
		"an ID of two words":    {"PUT", "/v1/runs/a%20b", `{}`, 400},
		"an ID with a slash":    {"PUT", "/v1/runs/a%2Fb", `{}`, 400},
		"no seconds":            {"GET", "/v1/runs/a?wait=x", "", 400},
		"negative seconds":      {"GET", "/v1/runs/a?wait=-1", "", 400},
		"a negative grace":      {"POST", "/v1/runs/a/stop", `{"grace":-1}`, 400},
		"no such run":           {"GET", "/v1/runs/a", "", 404},
		"no such path":          {"GET", "/v1/other", "", 404},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(1)
			code, _ := b.ask(tc.method, tc.path, tc.body)
			require.Equal(t, tc.want, code)
			require.Empty(t, b.runs)
		})
	}
	b := newBench(1)
	_, _ = b.ask("PUT", "/v1/runs/a", "{}")
	code, _ := b.ask("GET", "/v1/runs/a/log?stream=stdin", "")
	require.Equal(t, http.StatusBadRequest, code)
}

func TestNobodyElseIsAnswered(t *testing.T) {
	for _, header := range []string{"", "Bearer ", "Bearer secre", "Bearer secret2", "secret", "Basic secret"} {
		b := newBench(1)
		for path, method := range map[string]string{"/v1/ready": "GET", "/v1/live": "GET", "/v1/runs": "GET", "/v1/runs/a": "PUT", "/x": "GET"} {
			r := httptest.NewRequest(method, path, strings.NewReader("{}"))
			r.Header.Set("Authorization", header)
			w := httptest.NewRecorder()
			b.ServeHTTP(w, r)
			require.Equal(t, http.StatusUnauthorized, w.Code, "%q %s", header, path)
		}
		require.Empty(t, b.runs)
	}
	r := httptest.NewRequest("GET", "/v1/live", nil)
	r.Header.Set("Authorization", "Bearer ")
	w := httptest.NewRecorder()
	residence.New("", 1, nil).ServeHTTP(w, r)
	require.Equal(t, http.StatusUnauthorized, w.Code, "no secret is no secret")
}

func TestFull(t *testing.T) {
	b := newBench(1)
	ended := func(id string) {
		code, body := b.ask("PUT", "/v1/runs/"+id, "{}")
		require.Equal(t, http.StatusCreated, code, body)
		b.run(id).code <- 0
		require.Equal(t, residence.Ended, b.look(t, "/v1/runs/"+id+"?wait=60").State)
	}
	code, _ := b.ask("PUT", "/v1/runs/a", "{}")
	require.Equal(t, http.StatusCreated, code)
	code, _ = b.ask("PUT", "/v1/runs/b", "{}")
	require.Equal(t, http.StatusServiceUnavailable, code, "one at once")
	code, _ = b.ask("PUT", "/v1/runs/a", "{}")
	require.Equal(t, http.StatusOK, code, "it is there")
	b.run("a").code <- 0
	require.Equal(t, residence.Ended, b.look(t, "/v1/runs/a?wait=60").State)
	for _, id := range []string{"b", "c", "d"} {
		ended(id)
	}
	code, _ = b.ask("PUT", "/v1/runs/e", "{}")
	require.Equal(t, http.StatusServiceUnavailable, code, "nobody has deleted those that have ended")
	_, _ = b.ask("DELETE", "/v1/runs/a", "")
	ended("e")

	b.refuse = errors.New("no process is left")
	_, _ = b.ask("DELETE", "/v1/runs/b", "")
	code, body := b.ask("PUT", "/v1/runs/f", "{}")
	require.Equal(t, http.StatusServiceUnavailable, code)
	require.Contains(t, body, "no process is left")
	code, _ = b.ask("GET", "/v1/runs/f", "")
	require.Equal(t, http.StatusNotFound, code)
}

func TestStopAsksOnceAndThenEnds(t *testing.T) {
	b := newBench(2)
	for _, id := range []string{"polite", "stubborn"} {
		_, _ = b.ask("PUT", "/v1/runs/"+id, "{}")
	}
	for range 2 {
		code, _ := b.ask("POST", "/v1/runs/polite/stop", `{"grace":600000}`)
		require.Equal(t, http.StatusAccepted, code)
	}
	<-b.run("polite").ask
	b.run("polite").code <- 143
	require.Equal(t, 143, b.look(t, "/v1/runs/polite?wait=60").ExitCode)
	require.Equal(t, residence.Running, b.look(t, "/v1/runs/stubborn").State, "it is another one")

	_, _ = b.ask("POST", "/v1/runs/stubborn/stop", `{"grace":1}`)
	<-b.run("stubborn").ask
	require.Equal(t, 137, b.look(t, "/v1/runs/stubborn?wait=60").ExitCode)
}

func TestDrain(t *testing.T) {
	b := newBench(2)
	for _, id := range []string{"polite", "stubborn"} {
		_, _ = b.ask("PUT", "/v1/runs/"+id, "{}")
	}
	b.run("polite").code <- 0
	b.Drain(t.Context(), time.Millisecond)
	require.Equal(t, 137, b.look(t, "/v1/runs/stubborn").ExitCode)
	code, _ := b.ask("GET", "/v1/ready", "")
	require.Equal(t, http.StatusServiceUnavailable, code)
	code, _ = b.ask("PUT", "/v1/runs/c", "{}")
	require.Equal(t, http.StatusServiceUnavailable, code)
	code, _ = b.ask("GET", "/v1/live", "")
	require.Equal(t, http.StatusOK, code)

	b = newBench(1)
	_, _ = b.ask("PUT", "/v1/runs/a", "{}")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b.Drain(ctx, time.Hour)
	require.Equal(t, residence.Running, b.look(t, "/v1/runs/a").State, "nobody waits for it")
}

func TestTheNewestOfALogIsKept(t *testing.T) {
	b := newBench(1)
	_, _ = b.ask("PUT", "/v1/runs/a", "{}")
	out := b.run("a").stdout
	block := bytes.Repeat([]byte("0123456789abcde\n"), 1<<10)
	for range residence.LogBytes/len(block) + 40 {
		_, _ = out.Write(block)
	}
	_, _ = io.WriteString(out, "the end")
	code, body := b.ask("GET", "/v1/runs/a/log?stream=stdout", "")
	require.Equal(t, http.StatusOK, code)
	require.Len(t, body, residence.LogBytes)
	require.True(t, strings.HasSuffix(body, "0123456789abcde\nthe end"))
}
