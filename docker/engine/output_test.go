package engine_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow/docker/engine"
	"openflow/runtime/driver"
)

// What a program has written is known with its death when it is little, and is read from the daemon when it is much.
func TestOutputIsKnownWithTheDeath(t *testing.T) {
	requireDocker(t)
	rt := open(t, engine.Options{Network: ownNetwork(t)})
	for lines, heard := range map[string]bool{"0": true, "3": true, "20000": false} {
		t.Run(lines, func(t *testing.T) {
			s := spec(t, rt, "print", lines)
			_, err := rt.Ensure(t.Context(), s)
			require.NoError(t, err)
			require.NoError(t, rt.Start(t.Context(), s.Name))
			st, err := rt.Wait(t.Context(), s.Name)
			require.NoError(t, err)
			require.Zero(t, st.ExitCode)
			require.False(t, !heard && rt.Heard(t.Context(), s.Name), "it is too much to be kept")
			stdout, stderr := logs(t, rt, s.Name)
			again, err2 := logs(t, open(t, engine.Options{Network: "openflow-enginetest"}), s.Name)
			require.Equal(t, again, stdout, "the daemon's own log")
			require.Equal(t, err2, stderr)
			require.NoError(t, rt.Remove(t.Context(), s.Name))
			require.False(t, rt.Heard(t.Context(), s.Name), "nothing is kept of what is removed")
		})
	}
}

// A program that floods its output does not wash away how it began, also for a process that has not heard it.
func TestFloodKeepsTheBeginning(t *testing.T) {
	requireDocker(t)
	o := engine.Options{Network: ownNetwork(t), Outputs: filepath.Join(t.TempDir(), "outputs")}
	rt := open(t, o)
	s := spec(t, rt, "print", "400000") // the daemon keeps about 300,000 such lines of both outputs together
	_, err := rt.Ensure(t.Context(), s)
	require.NoError(t, err)
	require.NoError(t, rt.Start(t.Context(), s.Name))
	_, err = rt.Wait(t.Context(), s.Name)
	require.NoError(t, err)
	for _, reader := range []*engine.Runtime{rt, open(t, o)} {
		stdout, stderr := logs(t, reader, s.Name)
		for name, text := range map[string]string{"out": stdout, "err": stderr} {
			require.True(t, strings.HasPrefix(text, name+" 0\n"+name+" 1\n"), text[:min(100, len(text))])
			require.True(t, strings.HasSuffix(text, name+" 399999\n"))
			require.Contains(t, text, driver.Missing(-1))
		}
	}
	files, err := os.ReadDir(o.Outputs)
	require.NoError(t, err)
	require.Len(t, files, 1)
	require.NoError(t, rt.Remove(t.Context(), s.Name))
	files, err = os.ReadDir(o.Outputs)
	require.NoError(t, err)
	require.Empty(t, files, "it goes with the container")
}

func logs(t *testing.T, rt driver.Runtime, name string) (string, string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	require.NoError(t, rt.Logs(t.Context(), name, &stdout, &stderr))
	return stdout.String(), stderr.String()
}
