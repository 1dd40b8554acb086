package resident_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/runtime/driver"
	"openflow/runtime/fake"
	"openflow/runtime/resident"
)

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
