package resident_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
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
