package runtimetest

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"openflow"
	"openflow/runtime/driver"
)

// output is all that a container has written, as one Runtime has it.
func (b *bench) output(t *testing.T, rt driver.Runtime, name string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	require.NoError(t, rt.Logs(b.ctx, name, &stdout, &stderr))
	return stdout.String() + stderr.String()
}

// testTwoFollowers: whoever follows a container sees the same, and what one does the other finds done.
func testTwoFollowers(t *testing.T, b *bench) {
	one, two := b.rt, b.Open(t)
	s := b.spec(t, "c", "hang")
	for _, rt := range []driver.Runtime{one, two} {
		st, err := rt.Ensure(b.ctx, s)
		require.NoError(t, err)
		require.Equal(t, driver.StateCreated, st.State)
	}
	waiting := []<-chan result{b.waitAsync(one, s.Name), b.waitAsync(two, s.Name)}
	var g errgroup.Group
	for _, rt := range []driver.Runtime{two, one, two} {
		g.Go(func() error { return rt.Start(b.ctx, s.Name) })
	}
	require.NoError(t, g.Wait())
	b.ready(t, s.Name)
	require.Equal(t, openflow.CodeConflict, openflow.CodeOf(two.Remove(b.ctx, s.Name)), "the other one's program runs")
	require.NoError(t, two.Stop(b.ctx, s.Name, patience), "started by one, stopped by the other")
	first := <-waiting[0]
	require.NoError(t, first.err)
	require.Equal(t, 143, first.st.ExitCode)
	second := <-waiting[1]
	require.NoError(t, second.err)
	require.Equal(t, ended(first.st), ended(second.st), "both get one outcome")
	said := b.output(t, one, s.Name)
	require.Equal(t, said, b.output(t, two, s.Name), "the log is whole from either")
	require.Equal(t, 1, strings.Count(said, "ready"), "one program has run, once")

	require.NoError(t, one.Remove(b.ctx, s.Name))
	_, err := two.Inspect(b.ctx, s.Name)
	require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(err))
	require.NoError(t, two.Remove(b.ctx, s.Name))
}

// testFollowerGone: a container goes on when its follower dies, another takes it up, and one that comes back finds it.
func testFollowerGone(t *testing.T, b *bench) {
	dying, cancel := context.WithCancel(b.ctx)
	s := b.spec(t, "c", "hang")
	_, err := b.rt.Ensure(dying, s)
	require.NoError(t, err)
	require.NoError(t, b.rt.Start(dying, s.Name))
	b.ready(t, s.Name)
	left := make(chan error, 1)
	go func() { _, err := b.rt.Wait(dying, s.Name); left <- err }()
	beside := b.Open(t) // another that has followed from the beginning
	waiting := b.waitAsync(beside, s.Name)
	cancel()
	require.Error(t, <-left)
	require.Equal(t, driver.StateRunning, b.state(t, s.Name), "nobody's program ends with a follower")

	after := b.Open(t)
	st, err := after.Ensure(b.ctx, s)
	require.NoError(t, err)
	require.Equal(t, driver.StateRunning, st.State)
	require.NoError(t, after.Start(b.ctx, s.Name))
	require.NoError(t, after.Stop(b.ctx, s.Name, patience))
	want := ended(b.wait(t, after, s.Name))
	r := <-waiting
	require.NoError(t, r.err)
	require.Equal(t, want, ended(r.st))
	back := b.Open(t)
	require.Equal(t, want, ended(b.wait(t, back, s.Name)))
	require.Equal(t, b.output(t, after, s.Name), b.output(t, back, s.Name))
	require.Equal(t, 1, strings.Count(b.output(t, back, s.Name), "ready"), "one program has run, once")
}

// outcome is what of a status decides about a run.
type outcome struct {
	state             driver.State
	code              int
	lost, interrupted bool
	oom               bool
}

func ended(st driver.Status) outcome {
	return outcome{st.State, st.ExitCode, st.Lost, st.Interrupted, st.OOMKilled}
}
