package server_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow/dialect"
	"openflow/dialect/fateflow"
	"openflow/dialect/native"
	"openflow/server"
)

// A machine of a pool passes on what its containers call to their node, as it is, and nothing else.
func TestForward(t *testing.T) {
	var seen []string
	node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		seen = append(seen, r.Method+" "+r.URL.String()+" "+r.Header.Get("Authorization")+" "+string(b))
		w.Header().Set("X-Openflow-Sequence", "7")
		_, _ = io.WriteString(w, "answer") // what the test then misses it says
	}))
	defer node.Close()
	to, err := url.Parse(node.URL)
	require.NoError(t, err)
	machine := httptest.NewServer(server.Handler(quiet(), server.Forward{To: to, Prefixes: dialect.All{native.Dialect{}, fateflow.Dialect{}}.ContainerPrefixes(), Transport: http.DefaultTransport}))
	defer machine.Close()

	send := func(method, path string) (*http.Response, error) {
		r, err := http.NewRequestWithContext(t.Context(), method, machine.URL+path, strings.NewReader("body"))
		require.NoError(t, err)
		r.Header.Set("Authorization", "Bearer credential")
		return http.DefaultClient.Do(r)
	}
	for _, path := range []string{"/openflow/v1/container/data/table?namespace=a%2Fb", "/v1/interconn/chan/push", "/v2//worker/task/status"} {
		resp, err := send(http.MethodPost, path)
		require.NoError(t, err)
		b, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, "answer", string(b))
		require.Equal(t, "7", resp.Header.Get("X-Openflow-Sequence"))
		require.Equal(t, "POST "+path+" Bearer credential body", seen[len(seen)-1])
	}
	for _, path := range []string{"/openflow/v1/pool/task", "/openflow/v1/pool/site", "/openflow/v1/user/site/add", "/healthz", "/", "/openflow/v1/container/../pool/site", "/v2/../openflow/v1/pool/site",
		"/temporal.api.workflowservice.v1.WorkflowService/PollActivityTaskQueue"} {
		before := len(seen)
		resp, err := send(http.MethodPost, path)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		if len(seen) > before {
			require.NotContains(t, seen[len(seen)-1], "/pool", path)
			t.Fatalf("%s was passed on: %s", path, seen[len(seen)-1])
		}
	}
	node.Close()
	_, err = send(http.MethodPost, "/v2/worker/task/status")
	require.Error(t, err, "a node that is away is silent here too, so that the container asks again")
}
