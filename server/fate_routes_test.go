package server_test

import (
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5"
	"github.com/stretchr/testify/require"

	"openflow/dialect"
	"openflow/dialect/fateflow"
	"openflow/server/application"
)

// routeRow is a row of docs/fate-routes.md: number, method and path, state, and what it says of the state.
var routeRow = regexp.MustCompile(`^\| (\d+) \| ((?:GET|POST) /v2/\S+) \| ([^|]+) \| ?([^|]*?) ?\|$`)

// fateRoutes is how many routes fate-flow-api part 1 has.
const fateRoutes = 67

// The page has a row for each of FATE's routes, in their order. What it calls missing is not served, and everything else is.
// Nothing is served to FATE's users that has no row.
func TestThePageHasEveryRoute(t *testing.T) {
	served := map[string]bool{}
	r := chi.NewRouter()
	dialect.Mounts(fateflow.Dialect{}.Application(&application.Site{Log: quiet()})).Routes(r)
	require.NoError(t, chi.Walk(r, func(method, route string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		served[method+" "+route] = true
		return nil
	}))
	page, err := os.ReadFile("../docs/fate-routes.md")
	require.NoError(t, err)
	n, told := 0, map[string]bool{}
	for line := range strings.Lines(string(page)) {
		row := routeRow.FindStringSubmatch(strings.TrimRight(line, "\n"))
		if row == nil {
			require.NotContains(t, line, "/v2/job/submit", "the rows have this form")
			continue
		}
		n++
		require.Equal(t, strconv.Itoa(n), row[1], "the rows are those of fate-flow-api §1.0, in order")
		route, state, why := row[2], row[3], row[4]
		require.False(t, told[route], "%s has one row", route)
		told[route] = true
		require.Contains(t, []string{"as FATE's", "differs", "refused", "missing"}, state, route)
		require.Equal(t, state != "missing", served[route], "%s is served, or called missing", route)
		if state == "differs" || state == "refused" {
			require.NotEmpty(t, why, "%s: what differs", route)
		}
	}
	require.Equal(t, fateRoutes, n)
	for route := range served {
		require.True(t, told[route], "%s has a row", route)
	}
}
