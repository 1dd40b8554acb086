//go:build linux

package process_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow/runtime/driver"
	"openflow/runtime/process"
	"openflow/runtime/runtimetest"
)

func TestConformance(t *testing.T) {
	dir := t.TempDir()
	runtimetest.Run(t, runtimetest.Harness{
		Open:  func(t *testing.T) driver.Runtime { return open(t, dir) },
		Image: runtimetest.Build(t),
	})
}

func TestConformanceOfTheHost(t *testing.T) {
	runtimetest.RunHost(t, process.Opener{}, runtimetest.Build(t))
}

func open(t testing.TB, dir string) driver.Runtime {
	t.Helper()
	rt, err := process.New(dir)
	require.NoError(t, err)
	return rt
}

// BenchmarkRun is create → start → exit known, of a program that does nothing; the extra metrics are the steps' shares.
func BenchmarkRun(b *testing.B) {
	rt := open(b, b.TempDir())
	s := driver.Spec{Name: "c", Image: "/bin/true"}
	var created, started, ended time.Duration
	for b.Loop() {
		begin := time.Now()
		_, err := rt.Ensure(b.Context(), s)
		require.NoError(b, err)
		created += time.Since(begin)
		require.NoError(b, rt.Start(b.Context(), s.Name))
		started += time.Since(begin)
		st, err := rt.Wait(b.Context(), s.Name)
		require.NoError(b, err)
		require.Equal(b, 0, st.ExitCode)
		ended += time.Since(begin)
		require.NoError(b, rt.Remove(b.Context(), s.Name))
	}
	for unit, d := range map[string]time.Duration{"created-ms": created, "started-ms": started, "exit-known-ms": ended} {
		b.ReportMetric(float64(d.Microseconds())/1000/float64(b.N), unit)
	}
}
