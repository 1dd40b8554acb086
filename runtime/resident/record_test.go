package resident_test

import (
	"context"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
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

// Where nothing can be written, a run's end waits for that. It is asked for again and again, the log says so seldom, and no
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
