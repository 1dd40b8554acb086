package resident_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/runtime/driver"
	"openflow/runtime/fake"
	"openflow/runtime/resident"
)

// A container that serves is asked by a request with its secret, and by the entry point of its image. One that is replaced ends, its
// runs are interrupted, and the next run gets another one.
func TestContainersAreAsked(t *testing.T) {
	secrets := make(chan string, 1)
	s := newSite(t, resident.Times{}, func(driver.Spec) fake.Plan {
		return fake.Plan{
			Handler: func(usual http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					switch r.URL.Path {
					case "/well":
						secrets <- r.Header.Get("Authorization")
						w.WriteHeader(http.StatusNoContent)
					case "/elsewhere":
						http.Redirect(w, r, "/well", http.StatusFound)
					default:
						usual.ServeHTTP(w, r)
					}
				})
			},
			Execute: func(_ context.Context, s driver.Spec, stdout, _ io.Writer) int {
				_, _ = io.WriteString(stdout, strings.Join(s.Command, " "))
				return 4
			},
		}
	})
	require.True(t, s.Able())
	s.containers.Tag("", driver.Image{ID: "image-of-psi", Entrypoint: []string{"/program", "-x"}})
	_, err := s.Get(t.Context(), "nothing", "/well")
	require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(err), "%v", err)
	_, err = s.Execute(t.Context(), "nothing", nil, 10)
	require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(err), "%v", err)
	require.NoError(t, s.Replace(t.Context(), "nothing", "it ails"), "it is gone already")

	s.begin("one", "hold", residency("psi"))
	s.log("one") // it runs there
	require.Eventually(t, func() bool { return len(s.Serving()) == 1 }, patience, time.Millisecond)
	name := s.Serving()[0].Container
	status, err := s.Get(t.Context(), name, "/well")
	require.NoError(t, err)
	require.Equal(t, http.StatusNoContent, status)
	require.Regexp(t, "^Bearer .{20,}$", <-secrets)
	status, err = s.Get(t.Context(), name, "/elsewhere")
	require.NoError(t, err)
	require.Equal(t, http.StatusFound, status, "nobody follows a container elsewhere")
	answer, err := s.Execute(t.Context(), name, []string{"works"}, 100)
	require.NoError(t, err)
	require.Equal(t, driver.Answer{Text: []byte("/program -x works"), ExitCode: 4}, answer)

	require.NoError(t, s.Replace(t.Context(), name, "its liveness probe has failed"))
	st := s.wait("one")
	require.True(t, st.Interrupted)
	require.Contains(t, st.Reason, "its liveness probe has failed")
	_, err = s.Get(t.Context(), name, "/well")
	require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(err), "it is gone: %v", err)
	s.begin("two", "hold", residency("psi"))
	require.Eventually(t, func() bool { return len(s.Serving()) == 1 && s.Serving()[0].Container != name }, patience, time.Millisecond)
}
