package cli_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// A job that has failed is shown once its own tasks have ended too, which a scheduler tells them afterwards.
func TestWatchShowsTasksThatHaveEnded(t *testing.T) {
	f, _ := newFake(t, ended("failed", "psi_0 failed"))
	var asked atomic.Int32
	node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/v2/job/task/query" && asked.Add(1) <= 2 {
			_, _ = w.Write([]byte(`{"code":0,"data":[` + strings.Replace(taskRow, `"party_status":"failed"`, `"party_status":"running"`, 1) + `]}`))
			return
		}
		f.ServeHTTP(w, r)
	}))
	t.Cleanup(node.Close)
	r := run(t, "job", "watch", "j1", "--node", node.URL)
	require.Equal(t, 1, r.code)
	require.Contains(t, r.stdout, "psi_0")
	require.NotContains(t, r.stdout, "running")
	require.Greater(t, asked.Load(), int32(2))
}
