package engine_test

import (
	"bytes"
	"io"
	"log/slog"
	"os/exec"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow/docker/engine"
	"openflow/docker/engine/enginetest"
	"openflow/runtime/driver"
)

func command(t *testing.T, name string, args ...string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), name, args...).CombinedOutput()
	require.NoError(t, err, string(out))
}

// begun returns when the program of a container has said that it is ready. Before that, a signal finds another program.
func begun(t *testing.T, rt *engine.Runtime, name string) {
	t.Helper()
	require.Eventually(t, func() bool {
		var out bytes.Buffer
		require.NoError(t, rt.Logs(t.Context(), name, &out, io.Discard))
		return out.String() == "ready\n"
	}, patience, 10*time.Millisecond)
}

// A daemon that is restarted without live-restore ends its containers with 143, with 137 when they do not listen, or with
// the code that a program chooses when it is told to end. That is told from a program that ends so by itself, whether or
// not somebody waited for the container meanwhile.
func TestRestartOfTheDaemonIsNoEndOfTheProgram(t *testing.T) {
	d := enginetest.New(t)
	rt := open(t, engine.Options{Host: d.Host(), Network: "openflow-restarted"})
	programs := map[string]int{"hang": 143, "stubborn": 137, "unprepared": 2} // and how the daemon's stop ends each
	names, ends := map[string]string{}, make(chan driver.Status, len(programs))
	for program := range programs {
		s := spec(t, rt, program)
		_, err := rt.Ensure(t.Context(), s)
		require.NoError(t, err)
		require.NoError(t, rt.Start(t.Context(), s.Name))
		names[s.Name] = program
		begun(t, rt, s.Name)
		go func() {
			st, err := rt.Wait(t.Context(), s.Name)
			if err != nil {
				slog.Error("wait", "err", err)
			}
			ends <- st
		}()
	}
	d.Stop()
	d.Start()
	other := open(t, engine.Options{Host: d.Host(), Network: "openflow-restarted"}) // a node that was away itself
	for range programs {
		st := <-ends
		require.Equal(t, programs[names[st.Name]], st.ExitCode)
		require.True(t, st.Interrupted, "%+v", st)
		st, err := other.Wait(t.Context(), st.Name)
		require.NoError(t, err)
		require.True(t, st.Interrupted, "%+v", st)
		require.NoError(t, rt.Remove(t.Context(), st.Name))
	}
	t.Run("a program's own choice", func(t *testing.T) {
		for _, code := range []string{"143", "137", "255", "1"} {
			s := spec(t, rt, "exit", code)
			_, err := rt.Ensure(t.Context(), s)
			require.NoError(t, err)
			require.NoError(t, rt.Start(t.Context(), s.Name))
			st, err := rt.Wait(t.Context(), s.Name)
			require.NoError(t, err)
			require.False(t, st.Interrupted, "%+v", st)
			require.NoError(t, rt.Remove(t.Context(), s.Name))
		}
	})
}
