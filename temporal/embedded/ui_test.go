package embedded_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	sdkclient "go.temporal.io/sdk/client"

	"openflow/temporal/embedded"
)

// visit asks the UI handler as the node's router would.
func visit(t *testing.T, s *embedded.Server, method, path string, header http.Header) (*http.Response, string) {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, nil)
	for k, v := range header {
		r.Header[k] = v
	}
	w := httptest.NewRecorder()
	s.UIHandler().ServeHTTP(w, r)
	body, err := io.ReadAll(w.Result().Body)
	require.NoError(t, err)
	return w.Result(), string(body)
}

func waiting(t *testing.T, c sdkclient.Client) (id, runID string) {
	t.Helper()
	id = uuid.NewString()
	r, err := c.ExecuteWorkflow(t.Context(), sdkclient.StartWorkflowOptions{ID: id, TaskQueue: id}, sequence, 1)
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, c.TerminateWorkflow(context.Background(), id, "", "test is over")) })
	return id, r.GetRunID()
}

func TestUIListsWorkflows(t *testing.T) {
	s := server(t)
	id, runID := waiting(t, dial(t, s, "starter"))
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		resp, body := visit(t, s, http.MethodGet, "/temporal/api/v1/namespaces/openflow/workflows", nil)
		require.Equal(c, http.StatusOK, resp.StatusCode, body)
		require.Contains(c, body, id)
	}, within, 10*time.Millisecond)

	resp, body := visit(t, s, http.MethodGet, "/temporal/api/v1/namespaces/openflow/workflows/"+id+"/run/"+runID+"/history.json", nil)
	require.Equal(t, http.StatusOK, resp.StatusCode)
	var events []any
	require.NoError(t, json.Unmarshal([]byte(body), &events), body)
	require.NotEmpty(t, events, "the download of a history carries the token too")
}

// The node's credentials are none of the UI's business, and a foreign header must not replace the token.
func TestUIIgnoresForeignCredentials(t *testing.T) {
	for _, name := range []string{"Authorization", "Authorization-Extras", "Grpc-Metadata-Authorization", "Cookie"} {
		resp, body := visit(t, server(t), http.MethodGet, "/temporal/api/v1/namespaces/openflow",
			http.Header{name: {"Bearer of the node"}})
		require.Equal(t, http.StatusOK, resp.StatusCode, "%s: %s", name, body)
		require.Empty(t, resp.Cookies())
	}
}

func TestUIIsReadOnly(t *testing.T) {
	s := server(t)
	id, _ := waiting(t, dial(t, s, "starter"))
	base := "/temporal/api/v1/namespaces/openflow/workflows/" + id
	for name, c := range map[string]struct {
		method, path string
		header       http.Header
		want         int
	}{
		"terminate": {http.MethodPost, base + "/terminate", nil, http.StatusMethodNotAllowed},
		"start":     {http.MethodPost, base, nil, http.StatusMethodNotAllowed},
		"delete":    {http.MethodDelete, "/temporal/api/v1/namespaces/openflow", nil, http.StatusMethodNotAllowed},
		"from another site": {http.MethodPost, base + "/query/__stack_trace",
			http.Header{"Sec-Fetch-Site": {"cross-site"}}, http.StatusForbidden},
		"releases": {http.MethodGet, "/temporal/api/v1/releases", nil, http.StatusNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			resp, body := visit(t, s, c.method, c.path, c.header)
			require.Equal(t, c.want, resp.StatusCode, body)
		})
	}
	resp, body := visit(t, s, http.MethodGet, "/temporal/api/v1/settings", nil)
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.Contains(t, body, `"DisableWriteActions":true`)
	require.Contains(t, body, `"DefaultNamespace":"openflow"`)
	require.NotContains(t, body, s.Token())
}

// The token may open other namespaces of the server, which are none of the UI's business. temporal-system is one of all servers.
func TestUIShowsItsNamespaceOnly(t *testing.T) {
	s := server(t)
	const api, own, other = "/temporal/api/v1", "/temporal/api/v1/namespaces/openflow", "temporal-system"
	for path, want := range map[string]int{
		own:                   http.StatusOK,
		own + "/workflows":    http.StatusOK,
		api + "/cluster-info": http.StatusOK,
		api + "/system-info":  http.StatusOK,

		api + "/namespaces/" + other:                                     http.StatusForbidden,
		api + "/namespaces/" + other + "/workflows":                      http.StatusForbidden,
		api + "/namespaces/" + other + "/workflows/a/run/b/history.json": http.StatusForbidden,
		api + "//namespaces/" + other + "/workflows":                     http.StatusForbidden,
		api + "/namespaces//" + other + "/workflows":                     http.StatusForbidden,
		api + "/./namespaces/" + other + "/workflows":                    http.StatusForbidden,
		api + "/%6Eamespaces/" + other + "/workflows":                    http.StatusForbidden,
		api + "/namespaces/temporal%2Dsystem/workflows":                  http.StatusForbidden,
		api + "/namespaces/temporal%252Dsystem/workflows":                http.StatusForbidden,
		api + "/namespaces/openflow%2F..%2F" + other + "/workflows":      http.StatusForbidden,
		api + "/namespaces/openflow-2/workflows":                         http.StatusForbidden,
		api + "/namespaces/":                                             http.StatusForbidden,
		api + "/namespaces/" + other + "/workflows?namespace=openflow":   http.StatusForbidden,
		api + "/cluster":                                 http.StatusForbidden,
		api + "/nexus/endpoints":                         http.StatusForbidden,
		own + "/../" + other + "/workflows":              http.StatusNotFound,
		own + "//../" + other + "/workflows":             http.StatusNotFound,
		own + "?id=32049b68-7872-4094-8e63-d0dd59896a83": http.StatusBadRequest, // that of temporal-system
	} {
		t.Run(path, func(t *testing.T) {
			resp, body := visit(t, s, http.MethodGet, path, nil)
			require.Equal(t, want, resp.StatusCode, body)
			require.NotContains(t, body, `"`+other)
		})
	}
	resp, body := visit(t, s, http.MethodGet, own+"/workflows?namespace="+other, nil)
	require.True(t, resp.StatusCode != http.StatusOK || !strings.Contains(body, other), body)

	resp, body = visit(t, s, http.MethodGet, api+"/namespaces?pageSize=100", nil)
	require.Equal(t, http.StatusOK, resp.StatusCode, body)
	require.Contains(t, body, `"name":"openflow"`)
	require.NotContains(t, body, other)
}

func TestUIPage(t *testing.T) {
	s := server(t)
	resp, body := visit(t, s, http.MethodGet, "/temporal/namespaces/openflow/workflows", nil)
	require.Equal(t, http.StatusOK, resp.StatusCode)
	require.Contains(t, body, `base: "/temporal"`)
	policy := resp.Header.Get("Content-Security-Policy")
	require.Contains(t, policy, "frame-ancestors 'self'")
	scripts := regexp.MustCompile(`(?s)<script>(.*?)</script>`).FindAllStringSubmatch(body, -1)
	require.NotEmpty(t, scripts)
	for _, m := range scripts {
		sum := sha256.Sum256([]byte(m[1]))
		require.Contains(t, policy, base64.StdEncoding.EncodeToString(sum[:]), "inline script is blocked")
	}
	require.NotContains(t, body, "http-equiv")

	modules := regexp.MustCompile(`"(/temporal/_app/[^"]+\.js)"`).FindAllStringSubmatch(body, -1)
	require.NotEmpty(t, modules)
	for _, m := range modules {
		resp, _ := visit(t, s, http.MethodGet, m[1], nil)
		require.Equal(t, http.StatusOK, resp.StatusCode, m[1])
		require.Contains(t, resp.Header.Get("Content-Type"), "javascript")
		require.Contains(t, resp.Header.Get("Cache-Control"), "immutable")
	}
}

func TestUIPaths(t *testing.T) {
	s := server(t)
	for name, c := range map[string]struct {
		path, location string
		want           int
	}{
		"prefix alone":  {"/temporal", "/temporal/", http.StatusPermanentRedirect},
		"page":          {"/temporal/", "", http.StatusOK},
		"no traversal":  {"/temporal/../../etc/passwd", "", http.StatusOK}, // index.html: a route of the application
		"other prefix":  {"/api/v1/settings", "", http.StatusNotFound},
		"similar start": {"/temporality/api/v1/settings", "", http.StatusNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			resp, body := visit(t, s, http.MethodGet, c.path, nil)
			require.Equal(t, c.want, resp.StatusCode, body)
			require.Equal(t, c.location, resp.Header.Get("Location"))
			require.NotContains(t, body, "root:")
		})
	}
}

func TestUIIsOffUnlessAskedFor(t *testing.T) {
	s := start(t, embedded.Options{Dir: t.TempDir()})
	resp, _ := visit(t, s, http.MethodGet, "/temporal/", nil)
	require.Equal(t, http.StatusNotFound, resp.StatusCode)
}
