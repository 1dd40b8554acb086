package connect_test

import (
	"bufio"
	"context"
	"encoding/json"
	"encoding/pem"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/cli/connect"
	"openflow/sdk"
	"openflow/sdk/wire"
	"openflow/site/trust/certificates"
	"openflow/tests/fuzzing"
)

const token = "the token of the node"

// way leads to a node, and answers as the listener would for a program of this user.
func way(t *testing.T, node string, client *http.Client) http.Handler {
	t.Helper()
	at, err := connect.NodeAddress(node)
	require.NoError(t, err)
	w := &connect.Way{
		Node: at, Token: func() (string, error) { return token, nil }, HTTP: client, Log: slog.New(slog.DiscardHandler),
		Owner: func(*http.Request) (int, bool) { return os.Geteuid(), true },
	}
	return w.Handler()
}

// ask sends a request of a program of this machine.
func ask(h http.Handler, method, path string, change func(*http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://127.0.0.1:9380"+path, nil)
	r.RemoteAddr = "127.0.0.1:4711"
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// code is that of the envelope, which FATE's client looks at and at nothing else.
func code(t *testing.T, w *httptest.ResponseRecorder) (int, string) {
	t.Helper()
	require.Equal(t, http.StatusOK, w.Code)
	require.Equal(t, "application/json", w.Header().Get("Content-Type"))
	var e wire.Envelope
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &e), w.Body.String())
	return e.Code, e.Message
}

func TestWhatIsPassedOn(t *testing.T) {
	var got *http.Request
	node := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r
		w.Header().Set("Set-Cookie", "a=b")
		w.Header().Set("Content-Type", "application/gzip")
		_, _ = io.WriteString(w, "packed") // who has gone needs no answer
	}))
	defer node.Close()
	known, err := sdk.Trusting(node.URL, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: node.Certificate().Raw}))
	require.NoError(t, err)
	h := way(t, node.URL, known)
	for _, path := range []string{"/v2/job/query?job_id=7", "/v2//site/info/query/", "/v2/app/client/create", "/openflow/v1/user/server/about"} {
		w := ask(h, http.MethodPost, path, func(r *http.Request) {
			for name, value := range map[string]string{
				"Authorization": "Bearer of somebody", "Cookie": "openflow_session=x", "appId": "40172236", "Nonce": "4711", "User-Name": "ann",
			} {
				r.Header.Set(name, value)
			}
		})
		require.Equal(t, "packed", w.Body.String())
		require.Equal(t, "application/gzip", w.Header().Get("Content-Type"), "by which FATE's client decides")
		require.Empty(t, w.Header().Get("Set-Cookie"))
		require.Equal(t, path, got.URL.RequestURI())
		require.Equal(t, []string{"Bearer " + token}, got.Header.Values("Authorization"))
		require.Empty(t, got.Header.Get("Cookie"))
		require.Equal(t, "40172236", got.Header.Get("appId"), "what the program signs itself")
		require.Equal(t, "ann", got.Header.Get("User-Name"))
		require.Equal(t, strings.TrimPrefix(node.URL, "https://"), got.Host)
		for name := range got.Header {
			require.False(t, strings.HasPrefix(name, "X-Forwarded"), name)
		}
	}
}

// What no program of this user sends does not reach the node.
func TestWhatIsNotPassedOn(t *testing.T) {
	asked := 0
	node := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked++ }))
	defer node.Close()
	h := way(t, node.URL, nil)
	header := func(name, value string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set(name, value) }
	}
	const path = "/v2/site/info/query"
	for name, tc := range map[string]struct {
		method, path string
		change       func(*http.Request)
		code         int
	}{
		"a page that rebinds its name": {"GET", path, func(r *http.Request) { r.Host = "evil.example:9380" }, wire.VerifyFailed},
		"a name that begins so":        {"GET", path, func(r *http.Request) { r.Host = "localhost.evil.example" }, wire.VerifyFailed},
		"a page of another origin":     {"POST", path, header("Origin", "https://evil.example"), wire.NoPermission},
		"a page of another port":       {"POST", path, header("Origin", "http://127.0.0.1:8000"), wire.NoPermission},
		"a picture in a page":          {"GET", path, header("Sec-Fetch-Site", "cross-site"), wire.NoPermission},
		"a link on a page": {"GET", path, func(r *http.Request) {
			r.Header.Set("Sec-Fetch-Site", "cross-site")
			r.Header.Set("Sec-Fetch-Mode", "navigate")
		}, wire.NoPermission},
		"what a page asks first":            {"OPTIONS", path, header("Origin", "https://evil.example"), wire.NoPermission},
		"another machine":                   {"GET", path, func(r *http.Request) { r.RemoteAddr = "203.0.113.7:1" }, wire.VerifyFailed},
		"a proxy":                           {"GET", path, header("X-Forwarded-For", "203.0.113.7"), wire.VerifyFailed},
		"another method":                    {"DELETE", path, nil, wire.FunctionRestricted},
		"the calls of sites":                {"POST", "/v2/partner/job/create", nil, wire.FunctionRestricted},
		"the calls of schedulers":           {"POST", "/v2/scheduler/job/create", nil, wire.FunctionRestricted},
		"the calls of containers":           {"POST", "/v2//worker/task/status", nil, wire.FunctionRestricted},
		"our containers":                    {"PUT", "/openflow/v1/container/data/object", nil, wire.FunctionRestricted},
		"other containers":                  {"GET", "/openflow/v1/container/data/object", nil, wire.FunctionRestricted},
		"messages":                          {"POST", "/v1/interconn/chan/push", nil, wire.FunctionRestricted},
		"profiles":                          {"POST", "/debug/pprof/heap", nil, wire.FunctionRestricted},
		"metrics":                           {"GET", "/metrics", nil, wire.FunctionRestricted},
		"the page that takes the token":     {"GET", "/sign-in", nil, wire.FunctionRestricted},
		"a detour":                          {"GET", "/v2/job/../partner/job/create", nil, wire.FunctionRestricted},
		"a detour that is hidden":           {"GET", "/v2/job/%2e%2e/partner/job/create", nil, wire.FunctionRestricted},
		"a detour with hidden slashes":      {"GET", "/v2/job%2f..%2fpartner/job", nil, wire.FunctionRestricted},
		"a path that servers read two ways": {"GET", "/v2/job;/../partner/create", nil, wire.FunctionRestricted},
		"nothing":                           {"GET", "/", nil, wire.FunctionRestricted},
	} {
		got, says := code(t, ask(h, tc.method, tc.path, tc.change))
		require.Equal(t, tc.code, got, "%s: %s", name, says)
		require.NotContains(t, says, token)
	}
	at, err := connect.NodeAddress(node.URL)
	require.NoError(t, err)
	for name, owner := range map[string]func(*http.Request) (int, bool){
		"another user of the machine": func(*http.Request) (int, bool) { return os.Geteuid() + 4711, true },
		"nobody knows who":            func(*http.Request) (int, bool) { return 0, false },
	} {
		h := (&connect.Way{Node: at, Owner: owner, Log: slog.New(slog.DiscardHandler)}).Handler()
		got, _ := code(t, ask(h, http.MethodGet, path, nil))
		require.Equal(t, wire.VerifyFailed, got, name)
	}
	require.Zero(t, asked)
}

// A client of FATE reads the body of every answer as JSON. So it hears why in an envelope, whatever is wrong on the way.
func TestNodeThatIsAway(t *testing.T) {
	gone := httptest.NewServer(nil)
	gone.Close()
	got, says := code(t, ask(way(t, gone.URL, nil), http.MethodGet, "/v2/site/info/query", nil))
	require.Equal(t, wire.FederatedError, got)
	require.Contains(t, says, "does not answer")

	gateway := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusBadGateway)
		_, _ = io.WriteString(w, "<h1>no node</h1>") // who has gone needs no answer
	}))
	defer gateway.Close()
	got, says = code(t, ask(way(t, gateway.URL, nil), http.MethodGet, "/v2/site/info/query", nil))
	require.Equal(t, wire.FederatedError, got)
	require.Contains(t, says, "502")

	elsewhere := httptest.NewServer(http.RedirectHandler("http://evil.example/", http.StatusTemporaryRedirect))
	defer elsewhere.Close()
	w := ask(way(t, elsewhere.URL, nil), http.MethodGet, "/v2/site/info/query", nil)
	got, _ = code(t, w)
	require.Equal(t, wire.FederatedError, got)
	require.Empty(t, w.Header().Get("Location"))

	// Another server at its address, with a certificate of its own.
	var heard atomic.Int32
	impostor := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { heard.Add(1) }))
	defer impostor.Close()
	home := t.TempDir()
	require.NoError(t, os.Chmod(home, 0o700)) //nolint:gosec // a folder
	file := filepath.Join(home, "users.pem")
	_, err := certificates.OpenOwn(home, file, []string{"127.0.0.1"}, time.Now)
	require.NoError(t, err)
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	known, err := sdk.Trusting(impostor.URL, text)
	require.NoError(t, err)
	got, says = code(t, ask(way(t, impostor.URL, known), http.MethodGet, "/v2/site/info/query", nil))
	require.Equal(t, wire.VerifyFailed, got, says)
	require.Zero(t, heard.Load(), "nothing is said to it")

	at, err := connect.NodeAddress(gateway.URL)
	require.NoError(t, err)
	unread := &connect.Way{
		Node: at, Log: slog.New(slog.DiscardHandler), Owner: func(*http.Request) (int, bool) { return os.Geteuid(), true },
		Token: func() (string, error) {
			return "", openflow.Errorf(openflow.CodePermission, "node.token is open to other users")
		},
	}
	got, says = code(t, ask(unread.Handler(), http.MethodGet, "/v2/site/info/query", nil))
	require.Equal(t, wire.NoPermission, got)
	require.Contains(t, says, "node.token")
}

// Bodies go through as they come: neither an upload nor an answer is kept until its end.
func TestBodiesAreNotKept(t *testing.T) {
	first, further := make(chan string, 1), make(chan struct{})
	node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			body := bufio.NewReader(r.Body)
			line, _ := body.ReadString('\n') // what it is, the test sees
			first <- line
			_, _ = io.Copy(w, body) // who has gone needs no answer
			return
		}
		_, _ = io.WriteString(w, "head\n") // who has gone needs no answer
		_ = http.NewResponseController(w).Flush()
		<-further
		_, _ = io.WriteString(w, "tail\n")
	}))
	defer node.Close()
	ctx, stop := context.WithCancel(t.Context())
	l, err := connect.Listen(ctx, "127.0.0.1:0")
	require.NoError(t, err)
	at, err := connect.NodeAddress(node.URL)
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() { done <- (&connect.Way{Node: at, Log: slog.New(slog.DiscardHandler)}).Serve(ctx, l) }()
	begin := func(request string) (net.Conn, *bufio.Reader) {
		conn, err := net.Dial("tcp", l.Addr().String())
		require.NoError(t, err)
		t.Cleanup(func() { _ = conn.Close() }) // the test is over
		_, err = io.WriteString(conn, request)
		require.NoError(t, err)
		return conn, bufio.NewReader(conn)
	}

	conn, in := begin("POST /v2/data/component/upload/file HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nhead\n")
	require.Equal(t, "head\n", <-first, "it has come although the rest is not there yet")
	_, err = io.WriteString(conn, "tail\n")
	require.NoError(t, err)
	answer, err := http.ReadResponse(in, nil)
	require.NoError(t, err)
	defer answer.Body.Close()
	rest, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	require.Equal(t, "tail\n", string(rest))

	_, in = begin("GET /v2/data/download HTTP/1.1\r\nHost: localhost\r\n\r\n")
	answer, err = http.ReadResponse(in, nil)
	require.NoError(t, err)
	defer answer.Body.Close()
	body := bufio.NewReader(answer.Body)
	line, err := body.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "head\n", line, "it has come although the rest is not there yet")
	close(further)
	line, err = body.ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "tail\n", line)
	stop()
	require.NoError(t, <-done)
}

func TestAddressesOfNodes(t *testing.T) {
	for text, good := range map[string]bool{
		"https://node.example:9380": true, "https://node.example/flow/": true, "http://127.0.0.1:9380": true, "http://[::1]:9380": true, "http://localhost:9380": true,
		"http://node.example:9380": false, "node.example:9380": false, "https://": false, "ftp://node.example": false, "": false, "https://ann:pw@node.example": false,
		"https://node.example/?token=x": false, "://": false,
	} {
		_, err := connect.NodeAddress(text)
		if good {
			require.NoError(t, err, text)
			continue
		}
		require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), text)
	}
	for _, address := range []string{"0.0.0.0:0", ":0", "203.0.113.7:9380", "evil.example:0", "127.0.0.1", ""} {
		_, err := connect.Listen(t.Context(), address)
		require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), address)
	}
}

// Whatever path is passed on, it is one of users, also once somebody behind has resolved its dots and slashes.
func FuzzLeads(f *testing.F) {
	for _, p := range []string{"/v2/job/query", "/v2//job///query/", "/v2/job/../partner/x", "/openflow/v1/user/a", "/v2/job", "v2/job/x", "/v2/job/x;a=b", "\\v2\\job"} {
		f.Add(p)
	}
	fuzzing.Within(f, func(t *testing.T, p string) {
		if !connect.Leads(p) {
			return
		}
		parts := strings.Split(path.Clean("/" + p)[1:], "/")
		require.True(t, len(parts) > 2 && parts[0] == "v2" && parts[1] != "partner" && parts[1] != "scheduler" && parts[1] != "worker" ||
			len(parts) > 3 && parts[0] == "openflow" && parts[1] == "v1" && parts[2] == "user", p)
	})
}
