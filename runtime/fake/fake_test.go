package fake_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/runtime/driver"
	"openflow/runtime/fake"
	"openflow/runtime/runtimetest"
	"openflow/runtime/runtimetest/payload"
)

// payloads runs the suite's program as a function.
func payloads() *fake.Runtime {
	return fake.New(fake.Programs(func(ctx context.Context, s driver.Spec, stdout, stderr io.Writer) int {
		if s.Image != "payload" {
			return 127
		}
		return payload.Run(ctx, s.Command, s.Env, stdout, stderr)
	}))
}

func TestConformance(t *testing.T) {
	rt := payloads()
	runtimetest.Run(t, runtimetest.Harness{
		Open:  func(*testing.T) driver.Runtime { return rt.Reopen() },
		Image: "payload",
	})
}

// Every Runtime of the suite is another replica's, with a home of its own.
func TestConformanceOfACluster(t *testing.T) {
	o := fake.Opener{Containers: payloads(), Cluster: true}
	runtimetest.Run(t, runtimetest.Harness{
		Open: func(t *testing.T) driver.Runtime {
			h, err := o.Open(t.Context(), driver.Options{Home: t.TempDir(), Node: "the node of all replicas"})
			require.NoError(t, err)
			return h
		},
		Image: "payload",
	})
}

func TestConformanceOfHosts(t *testing.T) {
	for name, cluster := range map[string]bool{"machine": false, "cluster": true} {
		t.Run(name, func(t *testing.T) {
			runtimetest.RunHost(t, fake.Opener{Containers: payloads(), Cluster: cluster, Exposed: true}, "payload")
		})
	}
}

func spec(name string) driver.Spec {
	return driver.Spec{Name: name, Image: "x", Labels: map[string]string{"a": "b"}}
}

// always plans p for every container.
func planned(p fake.Plan) func(driver.Spec) fake.Plan {
	return func(driver.Spec) fake.Plan { return p }
}

func TestOutcomes(t *testing.T) {
	for name, tc := range map[string]struct {
		plan fake.Plan
		want driver.Status
	}{
		"success":        {fake.Plan{}, driver.Status{}},
		"exit code":      {fake.Plan{ExitCode: 7}, driver.Status{ExitCode: 7}},
		"slow":           {fake.Plan{ExitCode: 7, Delay: time.Millisecond}, driver.Status{ExitCode: 7}},
		"out of memory":  {fake.Plan{OOM: true}, driver.Status{ExitCode: 137, OOMKilled: true}},
		"lost":           {fake.Plan{ExitCode: 7, Lost: true}, driver.Status{ExitCode: -1, Lost: true}},
		"program":        {fake.Plan{Run: func(context.Context, driver.Spec, io.Writer, io.Writer) int { return 4 }}, driver.Status{ExitCode: 4}},
		"only one reply": {fake.Plan{ExitCode: 2, LoseReplies: true}, driver.Status{ExitCode: 2}},
	} {
		t.Run(name, func(t *testing.T) {
			rt := fake.New(planned(tc.plan))
			retry(t, func() error { _, err := rt.Ensure(t.Context(), spec("c")); return err })
			retry(t, func() error { return rt.Start(t.Context(), "c") })
			st, err := rt.Wait(t.Context(), "c")
			require.NoError(t, err)
			require.Equal(t, tc.want.ExitCode, st.ExitCode)
			require.Equal(t, tc.want.OOMKilled, st.OOMKilled)
			require.Equal(t, tc.want.Lost, st.Lost)
			require.Equal(t, 1, rt.Runs("c"))
			retry(t, func() error { return rt.Remove(t.Context(), "c") })
		})
	}
}

// retry repeats a call whose first reply may be lost.
func retry(t *testing.T, call func() error) {
	t.Helper()
	if err := call(); err != nil {
		require.Equal(t, openflow.CodeUnavailable, openflow.CodeOf(err))
		require.NoError(t, call())
	}
}

func TestFaultsHappenOnce(t *testing.T) {
	boom := errors.New("boom")
	rt := fake.New(planned(fake.Plan{EnsureErr: boom, StartErr: boom, WaitErr: boom, LogsErr: boom, RemoveErr: boom,
		Stdout: "out", Stderr: "err", ExitCode: 1}))
	var stdout, stderr bytes.Buffer
	for _, call := range []func() error{
		func() error { _, err := rt.Ensure(t.Context(), spec("c")); return err },
		func() error { return rt.Start(t.Context(), "c") },
		func() error { _, err := rt.Wait(t.Context(), "c"); return err },
		func() error { return rt.Logs(t.Context(), "c", &stdout, &stderr) },
		func() error { return rt.Remove(t.Context(), "c") },
	} {
		require.ErrorIs(t, call(), boom)
		require.NoError(t, call())
	}
	require.Equal(t, 1, rt.Runs("c"))
	require.Equal(t, "out", stdout.String())
	require.Equal(t, "err", stderr.String())
}

func TestHoldUntilTold(t *testing.T) {
	release := make(chan struct{})
	rt := fake.New(planned(fake.Plan{Hold: release, IgnoreTERM: true, ExitCode: 3}))
	for _, name := range []string{"told", "killed"} {
		_, err := rt.Ensure(t.Context(), spec(name))
		require.NoError(t, err)
		require.NoError(t, rt.Start(t.Context(), name))
	}
	require.NoError(t, rt.Stop(t.Context(), "killed", 0))
	st, err := rt.Wait(t.Context(), "killed")
	require.NoError(t, err)
	require.Equal(t, 137, st.ExitCode)

	st, err = rt.Inspect(t.Context(), "told")
	require.NoError(t, err)
	require.Equal(t, driver.StateRunning, st.State)
	close(release)
	st, err = rt.Wait(t.Context(), "told")
	require.NoError(t, err)
	require.Equal(t, 3, st.ExitCode)
}
