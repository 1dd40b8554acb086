package registry

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/runtime/driver"
	"openflow/runtime/fake"
)

// An image with a resident component is held against the interface of resident containers too.
func TestHoldingResidentImages(t *testing.T) {
	usual := lodgingGrace
	t.Cleanup(func() { lodgingGrace = usual })
	lodgingGrace = 500 * time.Millisecond
	script := strings.ReplaceAll(keeps+of("acme", "1"), `"description":"for tests"`, `"description":"for tests","way":"resident"`)
	for name, tc := range map[string]struct {
		script  string
		plan    func(*fake.Runtime) fake.Plan // of the container; the runs of all of them fail
		without bool                          // the runtime has no resident containers
		broken  map[string]string
		asks    bool // a container is started
	}{
		"all holds":             {script: script, asks: true},
		"no runtime":            {script: script, without: true, broken: map[string]string{"resident": "has no resident containers"}},
		"no resident component": {script: keeps + of("acme", "1")},
		"dies": {
			script: script, asks: true,
			plan: func(r *fake.Runtime) fake.Plan {
				return fake.Plan{Handler: func(http.Handler) http.Handler {
					return http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
						list, _ := r.List(q.Context(), nil)
						for _, c := range list {
							r.Kill(c.Name)
						}
						<-q.Context().Done()
					})
				}}
			},
			broken: map[string]string{"resident: serves": "it has ended", "resident: stays": "exit code 137"},
		},
		"proves nothing": {
			script: script, asks: true,
			plan: func(*fake.Runtime) fake.Plan {
				return fake.Plan{Handler: func(http.Handler) http.Handler {
					return http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
				}}
			},
			broken: map[string]string{"resident: proof": "does not prove that it is the container that was started"},
		},
		"lets everybody in": {
			script: script, asks: true,
			plan: func(*fake.Runtime) fake.Plan {
				return fake.Plan{Handler: func(usual http.Handler) http.Handler {
					return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
						if r.URL.Path == "/v1/proof" {
							usual.ServeHTTP(w, r)
						}
					})
				}}
			},
			broken: map[string]string{"resident: secret": "answered with 200, want 401"},
		},
		"stays too long": {
			script: script, asks: true,
			plan:   func(*fake.Runtime) fake.Plan { return fake.Plan{IgnoreTERM: true} },
			broken: map[string]string{"resident: ends": "was killed"},
		},
		"cannot be started": {
			script: script, asks: true,
			plan: func(*fake.Runtime) fake.Plan {
				return fake.Plan{StartErr: openflow.Errorf(openflow.CodeInvalid, "no such program")}
			},
			broken: map[string]string{"resident": "no such program"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			g, s := stocked(t)
			var runtime *fake.Runtime
			asked := 0
			runtime = fake.New(func(spec driver.Spec) fake.Plan {
				if slices.Equal(spec.Command, []string{"run"}) {
					return fake.Plan{ExitCode: 2}
				}
				asked++
				require.NotContains(t, []int64{spec.Limits.MemoryBytes, spec.Limits.PIDs, spec.Limits.DiskBytes, spec.Limits.LogBytes}, int64(0))
				require.Len(t, spec.Env, 2)
				if tc.plan == nil {
					return fake.Plan{}
				}
				return tc.plan(runtime)
			})
			if !tc.without {
				s.Residents = runtime
			}
			s.has(t, "acme:1", "sha256:1", tc.script, func(i *driver.Image) { i.Labels = map[string]string{contractLabel: "1"} })
			found, err := g.Hold(t.Context(), Registration{What: "acme:1"})
			require.NoError(t, err)
			broken := map[string]string{}
			for _, f := range found {
				require.Equal(t, f.Verdict == openflow.VerdictOK, f.Remedy == "", "%+v", f)
				if f.Verdict != openflow.VerdictOK {
					broken[f.Check] = f.Detail
				}
			}
			require.Len(t, broken, len(tc.broken), "%v", broken)
			for point, says := range tc.broken {
				require.Contains(t, broken[point], says)
			}
			require.Equal(t, tc.asks, asked > 0)
			left, err := runtime.List(t.Context(), nil)
			require.NoError(t, err)
			require.Empty(t, left, "the container is removed")
		})
	}
}

// A resident component is asked whether it works where it would serve: by requests, and by commands in its container.
func TestResidentComponentsAreAskedWhereTheyServe(t *testing.T) {
	script := strings.ReplaceAll(keeps+of("acme", "1"), `"description":"for tests"`, `"description":"for tests","way":"resident","resident":{"runs":2},
"probes":{"startup":{"command":["works"]},"readiness":{"http":"/well"},"liveness":{"http":"/ill"}}`)
	runtime := fake.New(func(spec driver.Spec) fake.Plan {
		if slices.Equal(spec.Command, []string{"run"}) {
			return fake.Plan{ExitCode: 2}
		}
		return fake.Plan{
			Handler: func(usual http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					switch {
					case r.URL.Path != "/well":
						usual.ServeHTTP(w, r)
					case !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer "):
						w.WriteHeader(http.StatusUnauthorized)
					}
				})
			},
			Execute: func(_ context.Context, s driver.Spec, _, complaint io.Writer) int {
				_, _ = io.WriteString(complaint, strings.Join(s.Command, " "))
				return 4
			},
		}
	})
	g, s := stocked(t)
	said := func() map[string]string {
		s.has(t, "acme:1", "sha256:1", script, func(i *driver.Image) { i.Labels = map[string]string{contractLabel: "1"} })
		found, err := g.Hold(t.Context(), Registration{What: "acme:1"})
		require.NoError(t, err)
		said := map[string]string{}
		for _, f := range found {
			said[f.Check] = string(f.Verdict) + " " + f.Detail
		}
		return said
	}
	for _, kind := range []string{"startup", "readiness", "liveness"} {
		require.Equal(t, string(openflow.VerdictWarn)+" it is not asked here: no container of it serves", said()[kind+" probe of psi"])
	}
	s.Residents = runtime
	tried := said()
	require.Equal(t, string(openflow.VerdictOK)+" GET /well is answered well", tried["readiness probe of psi"])
	require.Equal(t, string(openflow.VerdictFail)+" GET /ill: status 404", tried["liveness probe of psi"])
	require.Equal(t, string(openflow.VerdictFail)+` asked ["works"]: exit status 4: /run works`, tried["startup probe of psi"])
}

// An image without an entry point is described by others, who may say what it cannot do.
func TestWhatHasNoEntryPointIsNotResident(t *testing.T) {
	g, s := stocked(t)
	s.has(t, "acme:1", "sha256:1", "exit 3", func(i *driver.Image) { i.Entrypoint, i.Command = nil, []string{"/components", "run.py"} })
	text := []byte(`{"component":{"name":"psi","provider":"acme","version":"1","roles":["guest"],"way":"resident"}}`)
	_, _, err := g.Register(t.Context(), Registration{What: "acme:1", Name: "acme", Version: "1", Descriptions: []json.RawMessage{text}})
	require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
	require.ErrorContains(t, err, `component "psi" is resident, and an image without an entry point that answers serves no runs`)
}
