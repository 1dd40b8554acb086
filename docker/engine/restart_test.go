package engine_test

import (
	"log/slog"
	"os/exec"
	"testing"

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

// A daemon that is restarted without live-restore ends its containers with 143, or 137 when they do not listen. That is
// told from a program that ends so by itself, whether or not somebody waited for the container meanwhile.
func TestRestartOfTheDaemonIsNoEndOfTheProgram(t *testing.T) {
	d := enginetest.New(t)
	rt := open(t, engine.Options{Host: d.Host(), Network: "openflow-restarted"})
	codes, names, ends := map[string]int{"hang": 143, "stubborn": 137}, map[string]string{}, make(chan driver.Status, 2)
	for program := range codes {
		s := spec(t, rt, program)
		_, err := rt.Ensure(t.Context(), s)
		require.NoError(t, err)
		require.NoError(t, rt.Start(t.Context(), s.Name))
		names[s.Name] = program
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
	for range codes {
		st := <-ends
		require.Equal(t, codes[names[st.Name]], st.ExitCode)
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
