package resident_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/runtime/driver"
	"openflow/runtime/fake"
	"openflow/runtime/resident"
)

// patience bounds every wait of these tests.
const patience = time.Minute

// isContainer tells a resident container from runs.
func isContainer(s driver.Spec) bool { return slices.Equal(s.Command, []string{"serve"}) }

// isAlone tells that a run has a container of its own.
func isAlone(s driver.Spec) bool { return s.Labels["run"] != "" }

// site is a host whose runs do what their variable DO says: an exit code, or they hold until the test ends or somebody asks.
type site struct {
	*resident.Host
	t          *testing.T
	containers *fake.Runtime
	folder     string
	with       resident.Options

	mu     sync.Mutex
	states []string // that were told
	closed bool     // the component takes no jobs

	unmakeable func() error  // of containers of a run's own
	later      chan struct{} // closed: what does something later has done it
}

// newSite makes one; plan is asked first for resident containers, and may be nil.
func newSite(t *testing.T, times resident.Times, container func(driver.Spec) fake.Plan) *site {
	s := &site{t: t, folder: t.TempDir(), later: make(chan struct{})}
	s.containers = fake.New(func(spec driver.Spec) fake.Plan {
		if isContainer(spec) {
			if container != nil {
				return container(spec)
			}
			return fake.Plan{}
		}
		var unmakeable func() error
		if isAlone(spec) {
			s.mu.Lock()
			unmakeable = s.unmakeable
			s.mu.Unlock()
		}
		return fake.Plan{Unmakeable: unmakeable, Run: func(ctx context.Context, spec driver.Spec, stdout, _ io.Writer) int {
			_, _ = fmt.Fprintln(stdout, "alone:", isAlone(spec), strings.Join(spec.Env, " "))
			var code int
			if slices.Contains(spec.Env, "DO=later") {
				select {
				case <-s.later:
					return 5
				case <-ctx.Done():
					return 143
				}
			}
			if slices.Contains(spec.Env, "DO=hold") {
				<-ctx.Done()
				return 143
			}
			for _, entry := range spec.Env {
				_, _ = fmt.Sscanf(entry, "DO=%d", &code)
			}
			return code
		}}
	})
	s.with = resident.Options{
		Folder: s.folder, Times: times,
		Serves: func(context.Context, string, openflow.ProviderRef) bool {
			s.mu.Lock()
			defer s.mu.Unlock()
			return !s.closed
		},
		Changed: func(_ context.Context, component string, of openflow.ProviderRef, serving bool) {
			s.mu.Lock()
			defer s.mu.Unlock()
			if say := fmt.Sprint(component, " ", of, " ", serving); len(s.states) == 0 || s.states[len(s.states)-1] != say {
				s.states = append(s.states, say)
			}
		},
	}
	s.Host = open(t, fake.Opener{Containers: s.containers}, s.with)
	return s
}

func (s *site) told() []string { s.mu.Lock(); defer s.mu.Unlock(); return slices.Clone(s.states) }

// begin starts a run.
func (s *site) begin(name, do string, of driver.Residency) {
	s.t.Helper()
	_, err := s.Ensure(s.t.Context(), driver.Spec{
		Name: name, Labels: map[string]string{"run": name}, Image: "alone", Command: []string{"run"}, Env: []string{"DO=" + do, "SECRET=of-" + name}, Resident: &of,
	})
	require.NoError(s.t, err)
	require.NoError(s.t, s.Start(s.t.Context(), name))
}

func (s *site) wait(name string) driver.Status {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	st, err := s.Wait(ctx, name)
	require.NoError(s.t, err)
	return st
}

// log is what a run has written, once it has.
func (s *site) log(name string) string {
	s.t.Helper()
	var stdout, stderr bytes.Buffer
	require.Eventually(s.t, func() bool {
		stdout.Reset()
		require.NoError(s.t, s.Logs(s.t.Context(), name, &stdout, &stderr))
		return stdout.Len() > 0 || stderr.Len() > 0
	}, patience, time.Millisecond)
	return stdout.String() + stderr.String()
}

// serving are the resident containers that there are.
func (s *site) serving() []string {
	s.t.Helper()
	opened, err := fake.Opener{Containers: s.containers}.Open(s.t.Context(), driver.Options{Node: "node"})
	require.NoError(s.t, err)
	list, err := opened.List(s.t.Context(), map[string]string{driver.LabelResident: "node"})
	require.NoError(s.t, err)
	var names []string
	for _, st := range list {
		names = append(names, st.Name)
	}
	return names
}

func TestRunsShareAContainer(t *testing.T) {
	s := newSite(t, quick(), nil)
	of := residency("psi")
	s.begin("one", "hold", of)
	s.begin("two", "7", of)
	st := s.wait("two")
	require.Equal(t, 7, st.ExitCode, "one that fails ends no other")
	require.True(t, st.Resident)
	require.False(t, st.Interrupted)
	require.Contains(t, s.log("one"), "alone: false")
	require.Contains(t, s.log("one"), "SECRET=of-one")
	require.NotContains(t, s.log("one"), "of-two", "each run knows its own credential alone")
	require.Len(t, s.serving(), 1)
	st, err := s.Inspect(t.Context(), "one")
	require.NoError(t, err)
	require.Equal(t, driver.StateRunning, st.State)
	require.Equal(t, 1, s.containers.Runs(s.serving()[0]), "a container is started once")

	list, err := s.List(t.Context(), map[string]string{"run": "one"})
	require.NoError(t, err)
	require.Len(t, list, 1, "resident containers are nobody else's affair")
	require.Equal(t, "one", list[0].Name)
	serving := s.Serving()
	require.Len(t, serving, 1)
	require.Equal(t, "psi", serving[0].Component)
	require.Equal(t, []string{"psi acme:1.0 true"}, s.told())
}

// One that is killed takes its runs along. They say so, whoever waits for them, and the next run has another container.
func TestContainerThatEndsIsReplaced(t *testing.T) {
	s := newSite(t, quick(), nil)
	of := residency("psi")
	s.begin("one", "hold", of)
	s.begin("two", "hold", of)
	s.log("one")
	s.log("two")
	before := s.serving()[0]
	s.containers.Kill(before)
	for _, name := range []string{"one", "two"} {
		st := s.wait(name)
		require.True(t, st.Interrupted, "%+v", st)
		require.Contains(t, st.Reason, "the resident container has ended: exit code 137")
		require.Contains(t, s.log(name), "has gone with the resident container")
		require.NoError(t, s.Remove(t.Context(), name))
	}
	s.begin("three", "0", of)
	require.Zero(t, s.wait("three").ExitCode)
	require.NotEqual(t, []string{before}, s.serving())
}

// A run that no container takes, and that gets none of its own now, can be ended all the same. What can never be made says why.
func TestRunsThatCannotBeAlone(t *testing.T) {
	var tried atomic.Bool
	unready := func(code openflow.Code) *site {
		tried.Store(false)
		times := quick()
		times.Ready = 50 * time.Millisecond
		s := newSite(t, times, answering("GET /v1/ready", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) }))
		s.unmakeable = func() error {
			tried.Store(true)
			return openflow.Errorf(code, "there is no room")
		}
		s.begin("one", "0", residency("psi"))
		return s
	}
	for _, code := range []openflow.Code{openflow.CodeUnavailable, openflow.CodeExhausted, openflow.CodeDeadline, openflow.CodeInternal} {
		t.Run(string(code), func(t *testing.T) {
			s := unready(code)
			require.Eventually(t, tried.Load, patience, time.Millisecond)
			st, err := s.Inspect(t.Context(), "one")
			require.NoError(t, err)
			require.Equal(t, driver.StateRunning, st.State, "there may be room later")
			limited, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			require.NoError(t, s.Stop(limited, "one", 0))
			st = s.wait("one")
			require.Equal(t, 143, st.ExitCode)
			require.False(t, st.Interrupted, "its end was asked for")
			require.NoError(t, s.Remove(t.Context(), "one"))
			list, err := s.List(t.Context(), nil)
			require.NoError(t, err)
			require.Empty(t, list)
		})
	}
	for _, code := range []openflow.Code{
		openflow.CodeInvalid, openflow.CodeNotFound, openflow.CodePermission, openflow.CodeRejected, openflow.CodeConflict, openflow.CodeUnimplemented,
	} {
		t.Run(string(code), func(t *testing.T) {
			st := unready(code).wait("one")
			require.Equal(t, 127, st.ExitCode)
			require.False(t, st.Interrupted)
			require.Contains(t, st.Reason, "there is no room")
		})
	}
}

// What ends with its container may run again under its name, in a container of its own, which the next attempt finds.
func TestRunsAgainAlone(t *testing.T) {
	s := newSite(t, quick(), nil)
	s.begin("one", "hold", residency("psi"))
	s.log("one")
	s.containers.Kill(s.serving()[0])
	require.True(t, s.wait("one").Interrupted)
	_, err := s.Ensure(t.Context(), driver.Spec{Name: "one", Image: "alone", Labels: map[string]string{"run": "one"}, Env: []string{"broken"}})
	require.Error(t, err)
	require.True(t, s.wait("one").Interrupted, "as long as it has not begun anew")
	alone := driver.Spec{Name: "one", Labels: map[string]string{"run": "one"}, Image: "alone", Command: []string{"run"}, Env: []string{"DO=3"}}
	_, err = s.Ensure(t.Context(), alone)
	require.NoError(t, err)
	require.NoError(t, s.Start(t.Context(), "one"))
	of := residency("psi")
	alone.Resident = &of
	st, err := s.Ensure(t.Context(), alone)
	require.NoError(t, err, "whoever takes it up does not know that")
	require.False(t, st.Resident)
	st = s.wait("one")
	require.Equal(t, 3, st.ExitCode)
	require.False(t, st.Resident)
	require.Contains(t, s.log("one"), "alone: true")
}

// A run never waits for others: where no container has room it gets its own. A second container comes only when the first is full.
func TestScaling(t *testing.T) {
	s := newSite(t, quick(), nil)
	of := residency("psi")
	of.Runs, of.Most = 2, 2
	for i := range 5 {
		s.begin(fmt.Sprint("run", i), "hold", of)
		s.log(fmt.Sprint("run", i))
		require.Len(t, s.serving(), []int{1, 1, 2, 2, 2}[i], "after %d", i)
	}
	require.Contains(t, s.log("run4"), "alone: true")
	require.NoError(t, s.Stop(t.Context(), "run0", patience))
	s.begin("run5", "0", of)
	require.Zero(t, s.wait("run5").ExitCode)
	require.Contains(t, s.log("run5"), "alone: false", "an ended run makes room")

	other := of
	other.Group = "psi with more memory"
	s.begin("run6", "0", other)
	require.Zero(t, s.wait("run6").ExitCode)
	require.Contains(t, s.log("run6"), "alone: true", "the containers of a component are counted over all groups")
}

// An idle container of other limits makes room for what is wanted.
func TestGroupsOfAComponent(t *testing.T) {
	s := newSite(t, quick(), nil)
	s.begin("one", "0", residency("psi"))
	s.wait("one")
	require.NoError(t, s.Remove(t.Context(), "one"))
	before := s.serving()
	other := residency("psi")
	other.Group = "psi with more memory"
	s.begin("two", "0", other)
	s.wait("two")
	require.Contains(t, s.log("two"), "alone: false")
	require.Eventually(t, func() bool { now := s.serving(); return len(now) == 1 && now[0] != before[0] }, patience, time.Millisecond)
}

func TestIdleContainersAreStopped(t *testing.T) {
	s := newSite(t, quick(), nil)
	of := residency("psi")
	of.Idle = 50 * time.Millisecond
	s.begin("one", "hold", of)
	s.log("one")
	s.Look()
	require.Len(t, s.serving(), 1, "one with a run is not idle")
	require.NoError(t, s.Stop(t.Context(), "one", patience))
	require.Equal(t, 143, s.wait("one").ExitCode)
	require.Contains(t, s.log("one"), "alone: false", "one whose run is still asked about is not idle either")
	require.NoError(t, s.Remove(t.Context(), "one"))
	require.Eventually(t, func() bool { return len(s.serving()) == 0 }, patience, time.Millisecond)
	require.Eventually(t, func() bool { return len(s.told()) == 2 }, patience, time.Millisecond)
	require.Equal(t, "psi acme:1.0 false", s.told()[1])
	s.begin("two", "0", of)
	require.Zero(t, s.wait("two").ExitCode)
}

// What is unloaded keeps the runs that it has, gets no more, and is stopped then.
func TestUnloadDrains(t *testing.T) {
	s := newSite(t, quick(), nil)
	of := residency("psi")
	s.begin("one", "hold", of)
	s.log("one")
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.Look()
	s.begin("two", "0", of)
	s.wait("two")
	require.Contains(t, s.log("two"), "alone: true")
	require.Len(t, s.serving(), 1)
	require.NoError(t, s.Stop(t.Context(), "one", patience))
	require.Equal(t, 143, s.wait("one").ExitCode)
	require.NoError(t, s.Remove(t.Context(), "one"))
	require.Eventually(t, func() bool { return len(s.serving()) == 0 }, patience, time.Millisecond)
}

// The next process finds the container and its runs; what was not told yet is told by it.
func TestRestart(t *testing.T) {
	s := newSite(t, quick(), nil)
	of := residency("psi")
	s.begin("one", "hold", of)
	s.log("one")
	require.NoError(t, s.Close())
	before := s.serving()
	s.Host = open(t, fake.Opener{Containers: s.containers}, s.with)
	s.begin("one", "hold", of) // as the next attempt does
	s.begin("two", "0", of)
	require.Zero(t, s.wait("two").ExitCode)
	require.Equal(t, before, s.serving())
	require.NoError(t, s.Stop(t.Context(), "one", patience))
	require.Equal(t, 143, s.wait("one").ExitCode)

	require.NoError(t, s.Close())
	s.containers.Kill(before[0]) // while nobody looks
	s.Host = open(t, fake.Opener{Containers: s.containers}, s.with)
	require.Eventually(t, func() bool { return len(s.serving()) == 0 }, patience, time.Millisecond)
	st, err := s.Inspect(t.Context(), "two")
	require.NoError(t, err)
	require.False(t, st.Interrupted, "it had ended before")
}

// A container that says it is not ready while it has runs keeps them when the node is started again.
func TestRestartBesideAContainerThatIsFull(t *testing.T) {
	var full atomic.Bool
	s := newSite(t, quick(), func(driver.Spec) fake.Plan {
		return fake.Plan{Handler: func(usual http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/v1/ready" && full.Load() {
					w.WriteHeader(http.StatusServiceUnavailable)
					return
				}
				usual.ServeHTTP(w, r)
			})
		}}
	})
	s.begin("one", "hold", residency("psi"))
	s.log("one")
	full.Store(true)
	require.NoError(t, s.Close())
	before := s.serving()
	s.Host = open(t, fake.Opener{Containers: s.containers}, s.with)
	s.begin("one", "hold", residency("psi"))
	require.Eventually(t, func() bool { return len(s.Serving()) == 1 }, patience, time.Millisecond)
	require.Equal(t, before, s.serving())
	require.NoError(t, s.Stop(t.Context(), "one", patience))
	require.Equal(t, 143, s.wait("one").ExitCode, "it was not interrupted")
}

// Before it is limited what containers reach, none is made or started: neither one that an earlier process has left, nor a new one.
func TestNothingBeginsUnconfined(t *testing.T) {
	s := newSite(t, quick(), nil)
	of := residency("psi")
	s.begin("one", "hold", of)
	s.log("one")
	name := s.serving()[0]
	require.NoError(t, s.Close())
	s.containers.Kill(name)
	machine, err := fake.Opener{Containers: s.containers}.Open(t.Context(), driver.Options{Node: "node"})
	require.NoError(t, err)
	_, err = machine.Wait(t.Context(), name)
	require.NoError(t, err)
	require.NoError(t, machine.Remove(t.Context(), name))

	s.Host = unconfined(t, fake.Opener{Containers: s.containers}, s.with)
	s.Look()
	s.begin("two", "0", of)
	err = s.Warm(t.Context(), of)
	require.Equal(t, openflow.CodeUnavailable, openflow.CodeOf(err), "%v", err)
	limited, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err = s.Wait(limited, "two")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.Empty(t, s.serving())
	require.Equal(t, 1, s.containers.Runs(name))

	_, err = s.Confine(t.Context(), 1)
	require.NoError(t, err)
	require.Zero(t, s.wait("two").ExitCode)
	_, err = s.Confine(t.Context(), 1)
	require.NoError(t, err)
}

// A container that nothing knows is removed, as after the loss of a home.
func TestStrays(t *testing.T) {
	s := newSite(t, quick(), nil)
	s.begin("one", "0", residency("psi"))
	s.wait("one")
	before := s.serving()
	require.NoError(t, s.Close())
	s.with.Folder = t.TempDir()
	s.Host = open(t, fake.Opener{Containers: s.containers}, s.with)
	require.Eventually(t, func() bool { return len(s.serving()) == 0 }, patience, time.Millisecond, before)
}

func TestWarm(t *testing.T) {
	s := newSite(t, quick(), nil)
	require.NoError(t, s.Warm(t.Context(), residency("psi")))
	before := s.serving()
	require.Len(t, before, 1)
	require.NoError(t, s.Warm(t.Context(), residency("psi")))
	s.begin("one", "0", residency("psi"))
	s.wait("one")
	require.Equal(t, before, s.serving())

	single := open(t, fake.Opener{Single: true}, resident.Options{})
	require.Equal(t, openflow.CodeUnimplemented, openflow.CodeOf(single.Warm(t.Context(), residency("psi"))))
	none := residency("lr")
	none.Most = 0
	require.Equal(t, openflow.CodeUnimplemented, openflow.CodeOf(s.Warm(t.Context(), none)))
}

// answering replaces answers of a container to requests of one kind.
func answering(what string, answer http.HandlerFunc) func(driver.Spec) fake.Plan {
	return func(driver.Spec) fake.Plan {
		return fake.Plan{Handler: func(usual http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if strings.HasPrefix(r.Method+" "+r.URL.Path, what) {
					answer(w, r)
					return
				}
				usual.ServeHTTP(w, r)
			})
		}}
	}
}

func code(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
}

func text(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		id, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v1/runs/"), "/")
		_, _ = io.WriteString(w, strings.ReplaceAll(body, "ID", id))
	}
}

// Whatever a container answers, its runs end, and say that it was the container. One that takes none has them run elsewhere.
func TestHostileContainers(t *testing.T) {
	endless := func(w http.ResponseWriter, r *http.Request) {
		line := []byte(strings.Repeat("x", 64<<10))
		for r.Context().Err() == nil {
			if _, err := w.Write(line); err != nil {
				return
			}
		}
	}
	silent := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	ended := `{"id":"ID","state":"ended","exit_code":%s,"started":1,"finished":%s}`
	for name, tc := range map[string]struct {
		what   string
		answer http.HandlerFunc
		alone  bool // it runs in a container of its own, and succeeds
	}{
		"is never ready":              {"GET /v1/ready", code(503), true},
		"is ready with another code":  {"GET /v1/ready", code(302), true},
		"takes no run":                {"PUT /v1/runs/", code(503), true},
		"refuses a run":               {"PUT /v1/runs/", code(400), true},
		"answers a run with anything": {"PUT /v1/runs/", code(418), false},
		"forgets its runs":            {"GET /v1/runs/", code(404), false},
		"says nothing of a run":       {"GET /v1/runs/", code(204), false},
		"says no JSON":                {"GET /v1/runs/", text(`{`), false},
		"speaks of another run":       {"GET /v1/runs/", text(`{"id":"x","state":"ended","exit_code":0}`), false},
		"knows another state":         {"GET /v1/runs/", text(`{"id":"ID","state":"done","exit_code":0}`), false},
		"gives no exit code":          {"GET /v1/runs/", text(`{"id":"ID","state":"ended"}`), false},
		"gives a strange exit code":   {"GET /v1/runs/", text(fmt.Sprintf(ended, "256", "2")), false},
		"nests deep":                  {"GET /v1/runs/", text(strings.Repeat("[", 100_000)), false},
		"answers without end":         {"GET /v1/runs/", endless, false},
		"is not live":                 {"GET /v1/live", code(500), false},
		"does not answer":             {"GET /v1/live", silent, false},
		"lists without end":           {"GET /v1/runs", endless, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			times := quick()
			times.Ready = time.Second
			s := newSite(t, times, answering(tc.what, tc.answer))
			of := residency("psi")
			s.begin("one", map[bool]string{true: "0", false: "hold"}[tc.alone], of)
			st := s.wait("one")
			if tc.alone {
				require.Zero(t, st.ExitCode)
				require.Contains(t, s.log("one"), "alone: true")
			} else {
				require.True(t, st.Interrupted, "%+v", st)
				require.NotEmpty(t, st.Reason)
			}
			require.NoError(t, s.Remove(t.Context(), "one"))
		})
	}
}

// Times that cannot be are not believed, and a log that never ends is read as far as a log may be long.
func TestWhatIsNotBelieved(t *testing.T) {
	s := newSite(t, quick(), answering("GET /v1/runs/", func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/log") {
			_, _ = w.Write(bytes.Repeat([]byte("x"), 20<<20))
			return
		}
		text(`{"id":"ID","state":"ended","exit_code":0,"started":1,"finished":99999999999999}`)(w, r)
	}))
	s.begin("one", "0", residency("psi"))
	st := s.wait("one")
	require.False(t, st.Finished.After(time.Now()))
	require.False(t, st.Finished.Before(st.Started))
	var stdout, stderr bytes.Buffer
	require.NoError(t, s.Logs(t.Context(), "one", &stdout, &stderr))
	require.Equal(t, 16<<20, stdout.Len())
}

// A component whose container does not get ready costs the next run nothing.
func TestRestAfterFailure(t *testing.T) {
	times := quick()
	times.Ready = 100 * time.Millisecond
	started := map[string]bool{}
	var mu sync.Mutex
	s := newSite(t, times, func(s driver.Spec) fake.Plan {
		mu.Lock()
		defer mu.Unlock()
		started[s.Name] = true
		return answering("GET /v1/ready", code(503))(s)
	})
	for i := range 3 {
		name := fmt.Sprint("run", i)
		s.begin(name, "0", residency("psi"))
		require.Zero(t, s.wait(name).ExitCode)
		require.Contains(t, s.log(name), "alone: true")
	}
	mu.Lock()
	require.Len(t, started, 1)
	mu.Unlock()
	err := s.Warm(t.Context(), residency("lr"))
	require.Equal(t, openflow.CodeUnavailable, openflow.CodeOf(err))
}

// One that is not on this machine's runtime, and one whose image is gone.
func TestImageThatIsGone(t *testing.T) {
	s := newSite(t, quick(), func(driver.Spec) fake.Plan {
		return fake.Plan{EnsureErr: openflow.Errorf(openflow.CodeNotFound, "no such image")}
	})
	s.begin("one", "0", residency("psi"))
	require.Zero(t, s.wait("one").ExitCode)
	require.Contains(t, s.log("one"), "alone: true")
}

// What the container does not end is ended with it.
func TestStopThatIsNotObeyed(t *testing.T) {
	times := quick()
	times.Obey = 300 * time.Millisecond
	s := newSite(t, times, answering("POST /v1/runs/", code(202)))
	s.begin("one", "hold", residency("psi"))
	s.begin("two", "hold", residency("psi"))
	s.log("one")
	s.log("two")
	require.NoError(t, s.Stop(t.Context(), "one", 0))
	st := s.wait("one")
	require.Equal(t, 137, st.ExitCode)
	require.False(t, st.Interrupted, "its end was asked for")
	require.True(t, s.wait("two").Interrupted)
}

// stranger answers every call as a container would that takes every run, and has no secret.
type stranger struct {
	mu    sync.Mutex
	heard []string
}

func (o *stranger) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	text, _ := io.ReadAll(r.Body)
	o.mu.Lock()
	o.heard = append(o.heard, r.Method+" "+r.URL.Path+" "+r.Header.Get("Authorization")+string(text))
	o.mu.Unlock()
	if r.Method == http.MethodPut {
		w.WriteHeader(http.StatusCreated)
		return
	}
	answer := `{"id":"ID","state":"ended","exit_code":0,"started":1,"finished":2,"proof":"00"}`
	answer = strings.ReplaceAll(answer, "ID", strings.TrimPrefix(r.URL.Path, "/v1/runs/"))
	_, _ = io.WriteString(w, answer)
}

// learned are the calls that have told it something: all but the question whether it can prove who it is.
func (o *stranger) learned() []string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(o.heard), func(call string) bool { return call == "GET /v1/proof " })
}

// at has it listen at an address.
func (o *stranger) at(t *testing.T, address string) string {
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", address)
	require.NoError(t, err)
	server := &http.Server{Handler: o, ReadHeaderTimeout: patience}
	go func() { _ = server.Serve(listener) }() // it ends with Close
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	return listener.Addr().String()
}

// reach is where a resident container is called.
func (s *site) reach(name string) string {
	s.t.Helper()
	opened, err := fake.Opener{Containers: s.containers}.Open(s.t.Context(), driver.Options{Node: "node"})
	require.NoError(s.t, err)
	at, err := opened.(driver.Residence).Reach(s.t.Context(), name, resident.Port)
	require.NoError(s.t, err)
	return at
}

// unwatched are times in which no look finds out what has become of a container.
func unwatched() resident.Times {
	times := quick()
	times.Live, times.Look = time.Hour, time.Hour
	return times
}

// The address of a container that has ended is another's at once, and its end is told late. Nothing is told at that address.
func TestAddressOfAnEndedContainer(t *testing.T) {
	s := newSite(t, unwatched(), func(driver.Spec) fake.Plan { return fake.Plan{Late: t.Context().Done()} })
	of := residency("psi")
	s.begin("zero", "0", of)
	s.wait("zero")
	name := s.serving()[0]
	at := s.reach(name)
	s.containers.Kill(name)
	require.Eventually(t, func() bool {
		st, err := s.containers.Reopen().Inspect(t.Context(), name)
		require.NoError(t, err)
		return st.State == driver.StateExited
	}, patience, time.Millisecond)
	var next stranger
	next.at(t, at)
	s.begin("one", "0", of)
	require.Zero(t, s.wait("one").ExitCode)
	require.Contains(t, s.log("one"), "alone: true", "it was offered to nobody")
	require.Empty(t, next.learned())
	s.begin("two", "0", of)
	require.Zero(t, s.wait("two").ExitCode)
	require.Contains(t, s.log("two"), "alone: false", "by the next container")
}

// What answers at the address that the runtime tells, and does not have the container's secret, is told neither that nor a run.
func TestWhoProvesNothingIsToldNothing(t *testing.T) {
	s := newSite(t, unwatched(), nil)
	of := residency("psi")
	s.begin("one", "hold", of)
	s.log("one")
	var next stranger
	s.containers.Lead(s.serving()[0], next.at(t, "127.0.0.1:0"))
	s.begin("two", "0", of)
	require.Zero(t, s.wait("two").ExitCode)
	require.Contains(t, s.log("two"), "alone: true", "it was offered to nobody")
	require.True(t, s.wait("one").Interrupted)
	require.Empty(t, next.learned())
}

// A container that has got another address, as after a restart of its daemon, is called there.
func TestContainersThatMove(t *testing.T) {
	s := newSite(t, quick(), nil)
	of := residency("psi")
	s.begin("one", "hold", of)
	s.log("one")
	before := s.serving()
	require.NoError(t, s.containers.Move(before[0]))
	s.begin("two", "3", of)
	require.Equal(t, 3, s.wait("two").ExitCode)
	require.Contains(t, s.log("two"), "alone: false")
	require.NoError(t, s.Stop(t.Context(), "one", patience))
	st := s.wait("one")
	require.Equal(t, 143, st.ExitCode)
	require.False(t, st.Interrupted)
	require.Equal(t, before, s.serving())
}

// A run that is said to have ended begins anew elsewhere, so its container has ended before: whatever has condemned that, and also
// where the runtime does not end it at once.
func TestNoRunIsTwice(t *testing.T) {
	for name, tc := range map[string]struct {
		what   string
		answer http.HandlerFunc
		ends   func(*site) error // what condemns the container; nil: it does so itself
	}{
		"not live":      {"GET /v1/live", code(500), nil},
		"forgets a run": {"GET /v1/runs/", code(404), nil},
		"lies of a run": {"GET /v1/runs/", code(204), nil},
		"is replaced": {"GET /none", nil, func(s *site) error {
			require.ErrorContains(s.t, s.Replace(s.t.Context(), s.serving()[0], "it ails"), "restarted")
			return nil
		}},
		"does not obey": {"POST /v1/runs/", code(202), func(s *site) error {
			return s.Stop(s.t.Context(), "two", 0)
		}},
		"its record is lost": {"GET /none", nil, func(s *site) error {
			return os.Remove(filepath.Join(s.folder, "containers", s.serving()[0]+".json"))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			times := quick()
			times.Obey = 10 * time.Millisecond
			asked := make(chan struct{}, 100)
			var down atomic.Bool
			down.Store(true)
			s := newSite(t, times, func(spec driver.Spec) fake.Plan {
				plan := answering(tc.what, tc.answer)(spec)
				plan.Unstoppable = func() error {
					if !down.Load() {
						return nil
					}
					select {
					case asked <- struct{}{}:
					default:
					}
					return openflow.Errorf(openflow.CodeUnavailable, "the runtime is restarted")
				}
				return plan
			})
			s.begin("one", "hold", residency("psi"))
			require.Eventually(t, func() bool { return len(s.serving()) == 1 }, patience, time.Millisecond)
			ended := make(chan error, 1)
			if tc.ends != nil {
				s.begin("two", "hold", residency("psi"))
				s.log("one")
				s.log("two")
				go func() { ended <- tc.ends(s) }()
			} else {
				ended <- nil
			}
			for range 2 { // it was tried, and what follows was done
				select {
				case <-asked:
				case <-time.After(patience):
					t.Fatal("nobody ends the container")
				}
			}
			st, err := s.Inspect(t.Context(), "one")
			require.NoError(t, err)
			require.Equal(t, driver.StateRunning, st.State, "its container runs, and it may")
			down.Store(false)
			require.True(t, s.wait("one").Interrupted)
			require.NoError(t, <-ended)
		})
	}
}

// unwritable has every change of a record fail until it is ended, as where the disk is full.
func (s *site) unwritable() (end func()) {
	lock := filepath.Join(s.folder, "lock")
	require.NoError(s.t, os.Remove(lock))
	require.NoError(s.t, os.Mkdir(lock, 0o700))
	return func() { require.NoError(s.t, os.Remove(lock)) }
}

// lines counts what is logged.
type lines struct {
	slog.Handler
	n atomic.Int64
}

func (l *lines) Enabled(context.Context, slog.Level) bool { return true }
func (l *lines) Handle(_ context.Context, r slog.Record) error {
	if r.Level >= slog.LevelWarn {
		l.n.Add(1)
	}
	return nil
}

// Where nothing can be written, a run's end waits for that. It is asked for now and then, the log says so once in a while, and no
// container is replaced for it.
func TestEndThatCannotBeWritten(t *testing.T) {
	asked := make(chan time.Time, 10_000)
	s := newSite(t, resident.Times{Look: time.Hour, Live: time.Hour, Trust: 300 * time.Millisecond}, func(driver.Spec) fake.Plan {
		return fake.Plan{Handler: func(usual http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				usual.ServeHTTP(w, r)
				if r.Method == http.MethodGet && strings.HasPrefix(r.URL.Path, "/v1/runs/one-") && !strings.HasSuffix(r.URL.Path, "/log") {
					asked <- time.Now()
				}
			})
		}}
	})
	require.NoError(t, s.Close())
	var log lines
	s.with.Log = slog.New(&log)
	s.Host = open(t, fake.Opener{Containers: s.containers}, s.with)
	s.begin("one", "later", residency("psi"))
	s.log("one")
	before := s.serving()
	end := s.unwritable()
	close(s.later)
	first, last := <-asked, time.Time{}
	for range 5 {
		last = <-asked
	}
	require.GreaterOrEqual(t, last.Sub(first), 500*time.Millisecond, "it is no loop without a pause")
	require.LessOrEqual(t, log.n.Load(), int64(last.Sub(first)/(300*time.Millisecond))+2)
	require.NotZero(t, log.n.Load())
	end()
	st := s.wait("one")
	require.Equal(t, 5, st.ExitCode)
	require.False(t, st.Interrupted)
	require.Equal(t, before, s.serving())
}

// A container that could not be condemned serves as before.
func TestContainerThatCannotBeCondemned(t *testing.T) {
	s := newSite(t, unwatched(), nil)
	s.begin("one", "0", residency("psi"))
	s.wait("one")
	before := s.Serving()
	require.Len(t, before, 1)
	end := s.unwritable()
	require.Error(t, s.Replace(t.Context(), before[0].Container, "it ails"))
	require.Equal(t, before, s.Serving())
	end()
	require.NoError(t, s.Replace(t.Context(), before[0].Container, "it ails"))
	require.Eventually(t, func() bool { return len(s.Serving()) == 0 }, patience, time.Millisecond)
}

// What a process has left that ended while it wrote holds credentials, and goes.
func TestLeftovers(t *testing.T) {
	folder := t.TempDir()
	require.NoError(t, open(t, fake.Opener{}, resident.Options{Folder: folder}).Close())
	for _, kind := range []string{"runs", "containers"} {
		require.NoError(t, os.WriteFile(filepath.Join(folder, kind, "one.json.ABCDEFGHIJ"), []byte("OPENFLOW_CREDENTIAL"), 0o600))
		require.NoError(t, os.WriteFile(filepath.Join(folder, kind, "one.json.two.json"), []byte("{}"), 0o600))
	}
	unconfined(t, fake.Opener{}, resident.Options{Folder: folder})
	for _, kind := range []string{"runs", "containers"} {
		left, err := os.ReadDir(filepath.Join(folder, kind))
		require.NoError(t, err)
		require.Len(t, left, 1)
		require.Equal(t, "one.json.two.json", left[0].Name(), "a name may have that in it")
	}
}

// A run that was removed here, and is still there, is ended and forgotten.
func TestForgottenRuns(t *testing.T) {
	var mu sync.Mutex
	refuse := true
	forgotten := make(chan string, 8)
	s := newSite(t, quick(), func(driver.Spec) fake.Plan {
		return fake.Plan{Handler: func(usual http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				mu.Lock()
				no := refuse && r.Method == http.MethodDelete
				if no {
					refuse = false
				}
				mu.Unlock()
				if no {
					w.WriteHeader(http.StatusInternalServerError)
					return
				}
				usual.ServeHTTP(w, r)
				if r.Method == http.MethodDelete {
					forgotten <- strings.TrimPrefix(r.URL.Path, "/v1/runs/")
				}
			})
		}}
	})
	s.begin("one", "0", residency("psi"))
	s.wait("one")
	require.NoError(t, s.Remove(t.Context(), "one"))
	select {
	case id := <-forgotten:
		require.True(t, strings.HasPrefix(id, "one-"), id)
	case <-time.After(patience):
		t.Fatal("the container keeps a run that nobody knows")
	}
}

// A container that tells of thousands of runs, and ends none of them, keeps nobody from looking after the others, and is itself
// watched.
func TestHousekeepingBesideAHostileContainer(t *testing.T) {
	var list strings.Builder
	for i := range 2500 {
		_, _ = fmt.Fprintf(&list, `{"id":"%d"},`, i)
	}
	asked := make(chan struct{}, 1)
	s := newSite(t, quick(), func(spec driver.Spec) fake.Plan {
		if !strings.Contains(spec.Name, "evil") {
			return fake.Plan{}
		}
		return fake.Plan{Handler: func(usual http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				switch r.Method + " " + r.URL.Path {
				case "GET /v1/runs":
					_, _ = io.WriteString(w, `{"runs":[`+strings.TrimSuffix(list.String(), ",")+`]}`)
				case "POST /v1/runs/0/stop":
					select {
					case asked <- struct{}{}:
					default:
					}
					<-r.Context().Done()
				default:
					usual.ServeHTTP(w, r)
				}
			})
		}}
	})
	s.begin("one", "hold", residency("evil"))
	select {
	case <-asked: // it hangs from now on
	case <-time.After(patience):
		t.Fatal("nobody has it forget its runs")
	}
	of := residency("psi")
	of.Idle = time.Millisecond
	s.begin("two", "0", of)
	require.Zero(t, s.wait("two").ExitCode)
	require.NoError(t, s.Remove(t.Context(), "two"))
	require.Eventually(t, func() bool { return len(s.serving()) == 1 }, patience, time.Millisecond, "it waits for the other one")
	s.containers.Kill(s.serving()[0])
	require.True(t, s.wait("one").Interrupted)
}

// A host that cannot reach its containers, or whose containers others follow too, gives each run its own.
func TestWithoutResidence(t *testing.T) {
	for name, h := range map[string]func(*fake.Runtime) *resident.Host{
		"no reach": func(f *fake.Runtime) *resident.Host {
			return open(t, fake.Opener{Containers: f, Single: true}, resident.Options{})
		},
		"others follow": func(f *fake.Runtime) *resident.Host {
			return open(t, fake.Opener{Containers: f, Cluster: true}, resident.Options{Own: true})
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := fake.New(nil)
			s := &site{Host: h(f), t: t, containers: f}
			s.begin("one", "0", residency("psi"))
			st := s.wait("one")
			require.False(t, st.Resident)
			require.Empty(t, s.serving())
		})
	}
}

func TestWhatCannotBeResident(t *testing.T) {
	s := newSite(t, quick(), nil)
	of := residency("psi")
	of.Image = ""
	_, err := s.Ensure(t.Context(), driver.Spec{Name: "one", Image: "alone", Resident: &of})
	require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
	_, err = s.Inspect(t.Context(), "one")
	require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(err))
}
