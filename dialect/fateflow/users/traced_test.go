package users_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/stretchr/testify/require"

	"openflow/dialect"
	"openflow/dialect/fateflow"
	"openflow/dialect/native"
	"openflow/server"
	"openflow/server/application"
)

// What changes a job begins a trace, and no other request of a user.
func TestWhatChangesAJobBeginsATrace(t *testing.T) {
	var begun []string
	site := &application.Site{Log: slog.New(slog.DiscardHandler), Access: application.Access{Owner: func(*http.Request) (int, bool) { return 0, true }}, Traced: func(http.Handler) http.Handler {
		return http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { begun = append(begun, r.URL.Path) })
	}}
	mounts := dialect.All{native.Dialect{}, fateflow.Dialect{}}.Application(site)
	h, routes := server.Handler(site.Log, mounts), chi.NewRouter()
	mounts.Routes(routes)
	asked := 0
	require.NoError(t, chi.Walk(routes, func(method, route string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		if asked++; method == http.MethodPost {
			r := httptest.NewRequest(method, route, strings.NewReader("no JSON"))
			r.RemoteAddr, r.Host = "127.0.0.1:40000", "127.0.0.1:9380"
			h.ServeHTTP(httptest.NewRecorder(), r)
		}
		return nil
	}))
	require.Greater(t, asked, 40)
	slices.Sort(begun)
	require.Equal(t, []string{"/v2/job/rerun", "/v2/job/stop", "/v2/job/submit"}, begun)
}
