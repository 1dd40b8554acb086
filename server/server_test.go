package server_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/dialect"
	"openflow/dialect/fateflow"
	"openflow/dialect/native"
	"openflow/server"
	"openflow/server/application"
	"openflow/server/base"
	"openflow/server/interconnection"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// routes mounts handlers by "METHOD path".
type routes map[string]http.HandlerFunc

func (rs routes) Routes(r chi.Router) {
	for route, h := range rs {
		method, path, _ := strings.Cut(route, " ")
		r.MethodFunc(method, path, h)
	}
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func do(h http.Handler, method, path, body string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
	return w
}

// A scraper or a browser that has lost its way looks at the HTTP status.
func TestUnknownRoutesAnswerAsTheirCallersExpect(t *testing.T) {
	h := server.Handler(quiet(), routes{"GET /x": func(http.ResponseWriter, *http.Request) {}})
	for _, r := range []string{"GET /", "GET /metric", "GET /y", "POST /x", "GET /v1/interconn/y"} {
		method, path, _ := strings.Cut(r, " ")
		w := do(h, method, path, "")
		require.Equal(t, http.StatusNotFound, w.Code, r)
		require.Contains(t, w.Body.String(), "no route "+r)
	}
}

func TestPanicBecomesAnAnswer(t *testing.T) {
	var log strings.Builder
	h := server.Handler(slog.New(slog.NewTextHandler(&log, nil)), routes{
		"GET /v2/panic": func(http.ResponseWriter, *http.Request) { panic("secret of the stack") },
		"GET /v2/err":   func(http.ResponseWriter, *http.Request) { panic(errors.New("boom")) },
		"GET /v2/abort": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"GET /v2/late": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "half of the data")
			panic("boom")
		},
	})
	for _, path := range []string{"/v2/panic", "/v2/err"} {
		w := do(h, http.MethodGet, path, "")
		require.Equal(t, http.StatusInternalServerError, w.Code)
		require.NotContains(t, w.Body.String(), "goroutine", "the stack is for the log")
		require.NotContains(t, w.Body.String(), "secret")
	}
	require.Contains(t, log.String(), "secret of the stack")
	require.Contains(t, log.String(), "server_test.go")
	require.PanicsWithValue(t, http.ErrAbortHandler, func() { do(h, http.MethodGet, "/v2/abort", "") })
	require.PanicsWithValue(t, http.ErrAbortHandler, func() { do(h, http.MethodGet, "/v2/late", "") },
		"a body that has begun must break off, not end like a whole one")
}

func TestHealth(t *testing.T) {
	var ready error
	h := server.Handler(quiet(), server.Health{Ready: func() error { return ready }})
	require.Equal(t, "ok\n", do(h, http.MethodGet, "/healthz", "").Body.String())
	require.Equal(t, http.StatusOK, do(h, http.MethodGet, "/readyz", "").Code)
	ready = errors.New("migrating")
	require.Equal(t, http.StatusOK, do(h, http.MethodGet, "/healthz", "").Code)
	w := do(h, http.MethodGet, "/readyz", "")
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.Equal(t, "migrating\n", w.Body.String())
}

// A guard protects its own layer and no other.
func TestGuard(t *testing.T) {
	closed := func(http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) })
	}
	ok := func(http.ResponseWriter, *http.Request) {}
	h := server.Handler(quiet(), server.Guarded{Layer: routes{"GET /v2/a": ok}, Guard: closed}, routes{"GET /v2/b": ok},
		server.Guarded{Layer: server.Mount{Prefix: "/ui", Handler: http.HandlerFunc(ok)}, Guard: closed})
	for path, want := range map[string]int{"/v2/a": 418, "/v2/b": 200, "/ui": 418, "/ui/deep/er": 418} {
		require.Equal(t, want, do(h, http.MethodGet, path, "").Code, path)
	}
}

func TestListenOnATakenPort(t *testing.T) {
	l, err := server.Listen(t.Context(), "the application layer", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, l.Close()) }()
	_, err = server.Listen(t.Context(), "the application layer", l.Addr().String())
	require.Equal(t, openflow.CodeConflict, openflow.CodeOf(err))
	require.ErrorContains(t, err, "the application layer cannot listen on "+l.Addr().String())
}

// A port that containers remember is none that the system gives to connections.
func TestListenAnywhere(t *testing.T) {
	l, err := server.ListenAnywhere(t.Context(), "the base layer", "127.0.0.1")
	require.NoError(t, err)
	port := l.Addr().(*net.TCPAddr).Port
	require.NoError(t, l.Close())
	require.GreaterOrEqual(t, port, 20000)
	require.Less(t, port, 32000)
	_, err = server.ListenAnywhere(t.Context(), "the base layer", "192.0.2.1")
	require.ErrorContains(t, err, "the base layer cannot listen on 192.0.2.1")
}

// Close lets requests that run end, and no longer than its context.
func TestClose(t *testing.T) {
	l, err := server.Listen(t.Context(), "x", "127.0.0.1:0")
	require.NoError(t, err)
	entered, release := make(chan struct{}), make(chan struct{})
	s := server.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(entered)
		<-release
		_, _ = io.WriteString(w, "whole")
	}), quiet(), server.Bounds{})
	body := make(chan string, 1)
	go func() {
		resp, err := http.Get("http://" + l.Addr().String())
		if err != nil {
			body <- err.Error()
			return
		}
		b, _ := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		body <- string(b)
	}()
	<-entered
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	closed := make(chan error, 1)
	go func() { closed <- s.Close(ctx, time.Minute) }()
	close(release)
	require.Equal(t, "whole", <-body)
	require.NoError(t, <-closed)
}

// A call that waits for minutes does not hold a server that stops: it is broken off, and that is no error of the stop.
func TestCloseBreaksOffWhatWaits(t *testing.T) {
	l, err := server.Listen(t.Context(), "x", "127.0.0.1:0")
	require.NoError(t, err)
	entered, left := make(chan struct{}), make(chan struct{})
	s := server.Serve(l, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
		close(left)
	}), quiet(), server.Bounds{})
	answered := make(chan error, 1)
	go func() {
		resp, err := http.Get("http://" + l.Addr().String())
		if err == nil {
			_ = resp.Body.Close()
		}
		answered <- err
	}()
	<-entered
	require.NoError(t, s.Close(t.Context(), time.Millisecond))
	require.Error(t, <-answered)
	<-left
}

// The routes of the three layers, each with its owner. A new one is a visible difference here, and belongs into
// docs/divergences.md when the specification does not have it.
func TestRoutes(t *testing.T) {
	users, node := &application.Site{Log: quiet()}, dialect.Node{Log: quiet()}
	site := &base.Site{Log: quiet(), Pool: &base.Pool{}}
	type owned struct {
		owner string
		layer server.Layer
	}
	var list strings.Builder
	together := chi.NewRouter() // no two routes are the same, wherever they are mounted
	for _, l := range []struct {
		name   string
		of     func(dialect.Dialect) []dialect.Mount
		others []owned
	}{
		{"application", func(d dialect.Dialect) []dialect.Mount { return d.Application(users) }, nil},
		{"base, with the machines of the site", func(d dialect.Dialect) []dialect.Mount { return d.Base(site) }, []owned{{"interop", &base.Transport{Site: site}}}},
		{"interconnection", func(d dialect.Dialect) []dialect.Mount { return d.Interconnection(node) }, []owned{
			{"interop", &interconnection.API{Node: node, Transport: &interconnection.Transport{}}},
		}},
		{"packets", func(d dialect.Dialect) []dialect.Mount { return d.Packets(node) }, nil},
		{"probes", func(dialect.Dialect) []dialect.Mount { return nil }, []owned{{"server", server.Health{}}}},
	} {
		layers := l.others
		for _, d := range (dialect.All{fateflow.Dialect{}, native.Dialect{}}) {
			layers = append(layers, owned{string(d.Name()), dialect.Mounts(l.of(d))})
		}
		var lines []string
		for _, o := range layers {
			r := chi.NewRouter()
			o.layer.Routes(r)
			require.NoError(t, chi.Walk(r, func(method, route string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
				lines = append(lines, fmt.Sprintf("%-10s %s %s", o.owner, method, route))
				return nil
			}))
			if l.name != "base, with the machines of the site" {
				o.layer.Routes(together)
			}
		}
		slices.Sort(lines)
		fmt.Fprintf(&list, "# %s\n%s\n\n", l.name, strings.Join(lines, "\n"))
	}
	const file = "testdata/routes.txt"
	if *update {
		require.NoError(t, os.WriteFile(file, []byte(list.String()), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Empty(t, cmp.Diff(string(want), list.String()))
}

// Each dialect answers what it does not know, and whoever is not known to it, in its own envelope, also where users and
// nodes share a listener. Nobody answers for another.
func TestEveryDialectAnswersForItself(t *testing.T) {
	all := dialect.All{native.Dialect{}, fateflow.Dialect{}}
	node := dialect.Node{Log: quiet(), Verifier: strangers{}}
	broken := &application.Site{Log: quiet(), Access: application.Access{Token: "t", Same: func(a, b string) bool {
		if b == "broken" {
			panic("broken")
		}
		return false
	}}}
	h := server.Handler(quiet(), all.Application(broken), all.Interconnection(node))
	for route, want := range map[string]string{
		"GET /v2/nothing":                              `{"code":6001,`,
		"PUT /v2/job/submit":                           `{"code":6001,`,
		"POST /v2//job/submit/":                        `{"code":5003,`,
		"POST /v2/partner/nothing":                     `{"code":6001,`,
		"POST /v2/partner/job/stop":                    `{"code":5003,`,
		"POST /v2/job/submit with a token":             `{"code":6000,`,
		"GET /openflow/v1/user/nothing":                `{"openflow":1,"error":{"code":"unimplemented"`,
		"GET /openflow/v1/user/site/list":              `{"openflow":1,"error":{"code":"unauthorized"`,
		"GET /openflow/v1/user/site/list with a token": `{"openflow":1,"error":{"code":"internal"`,
		"POST /openflow/v1/node/nothing":               `{"openflow":1,"error":{"code":"unimplemented"`,
		"POST /openflow/v1/node/job/stop":              `{"openflow":1,"error":{"code":"unauthorized"`,
		"GET /openflow/v1/nobody":                      `no route GET /openflow/v1/nobody`,
	} {
		method, path, _ := strings.Cut(route, " ")
		path, broken := strings.CutSuffix(path, " with a token")
		r, w := httptest.NewRequest(method, path, strings.NewReader("{}")), httptest.NewRecorder()
		if broken {
			r.Header.Set("Authorization", "Bearer broken")
		}
		h.ServeHTTP(w, r)
		require.Contains(t, w.Body.String(), want, route)
	}
}

// strangers knows nobody.
type strangers struct{}

func (strangers) Verify(context.Context, *http.Request) (openflow.PartyID, error) {
	return "", openflow.Errorf(openflow.CodeUnauthorized, "not known")
}
