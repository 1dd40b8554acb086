package env_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow/tests/env"
)

func TestMain(m *testing.M) { os.Exit(env.Main(m)) }

// The tests of nodes are worth what their faults and witnesses are worth, so these have tests of their own.

func TestProxyFaults(t *testing.T) {
	var heard atomic.Int32
	node := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		heard.Add(1)
		w.Header().Set("x-seen", r.Header.Get("x-sent"))
		w.WriteHeader(http.StatusTeapot)
	}))
	defer node.Close()
	for name, c := range map[string]struct {
		fault    env.Fault
		heard    int32
		answered bool
		status   int
	}{
		"none":       {env.None, 1, true, http.StatusTeapot},
		"lost":       {env.Lost, 0, false, 0},
		"unanswered": {env.Unanswered, 1, false, 0},
		"twice":      {env.Twice, 2, true, http.StatusTeapot},
		"slow":       {env.Slow, 1, true, http.StatusTeapot},
		"garbled":    {env.Garbled, 0, true, http.StatusBadGateway},
	} {
		t.Run(name, func(t *testing.T) {
			p := env.NewProxy(t, node.URL)
			p.Delay = 50 * time.Millisecond
			p.Inject(env.First(1, "/x", c.fault))
			send := func() (int, http.Header, error) {
				status, header, _, err := env.Send(t.Context(), p.URL()+"/a/x?q=1", http.MethodPost, http.Header{"X-Sent": {"hello"}}, []byte("body"))
				return status, header, err
			}
			heard.Store(0)
			began := time.Now()
			status, header, err := send()
			require.Equal(t, c.heard, heard.Load())
			require.Equal(t, c.answered, err == nil, "%v", err)
			require.Equal(t, c.status, status)
			if status == http.StatusTeapot {
				require.Equal(t, "hello", header.Get("x-seen"))
			}
			if c.fault == env.Slow {
				require.GreaterOrEqual(t, time.Since(began), p.Delay)
			}
			require.Equal(t, 1, p.Faults(c.fault))
			seen := p.Seen("/x")
			require.Len(t, seen, 1)
			require.Equal(t, "body", string(seen[0].Body))

			heard.Store(0)
			_, _, err = send()
			require.NoError(t, err, "the second request is let through")
			require.EqualValues(t, 1, heard.Load())
		})
	}
}

func TestWitnessCountsEveryStart(t *testing.T) {
	w := env.NewWitness(t, t.TempDir())
	require.Empty(t, w.Starts(t))
	for _, id := range []string{"j_a_0_guest_9999", "j_a_0_guest_9999", "j_b_0_guest_9999"} {
		cmd := exec.Command(w.Program, "run")
		cmd.Env = []string{`CONFIG={"job_id":"j","party_task_id":"` + id + `"}`, "PATH=/bin:/usr/bin"}
		require.Error(t, cmd.Run(), "the program does not like so short a configuration")
	}
	require.NoError(t, exec.Command(w.Program, "list").Run(), "other commands are passed on")
	require.Equal(t, map[string]int{"j_a_0_guest_9999": 2, "j_b_0_guest_9999": 1}, w.Starts(t))
}

// A held program has been started and does not go on before it is released; other tasks, and later versions, do.
func TestWitnessHolds(t *testing.T) {
	w := env.NewWitness(t, t.TempDir())
	release := w.Hold(t, "psi_0")
	start := func(id string) *exec.Cmd {
		cmd := exec.CommandContext(t.Context(), w.Program, "run")
		cmd.Env = []string{`CONFIG={"job_id":"j","party_task_id":"` + id + `"}`, "PATH=/bin:/usr/bin"}
		require.NoError(t, cmd.Start())
		return cmd
	}
	held := start("j_psi_0_0_guest_9999")
	for _, id := range []string{"j_psi_0_1_guest_9999", "j_psi_1_0_guest_9999", "j_a_0_guest_9999"} {
		require.Error(t, start(id).Wait(), "it has gone on, and the program does not like so short a configuration")
	}
	env.WaitUntil(t, env.Patience, "it has been started", func() (bool, string) {
		return w.Starts(t)["j_psi_0_0_guest_9999"] == 1, "not yet"
	})
	require.NoError(t, held.Process.Signal(syscall.Signal(0)), "it waits")
	release()
	require.Error(t, held.Wait(), "it has gone on")
}

func TestPortsAreDistinct(t *testing.T) {
	seen := map[int]bool{}
	for _, p := range env.Ports(t, 50) {
		require.False(t, seen[p])
		seen[p] = true
	}
}
