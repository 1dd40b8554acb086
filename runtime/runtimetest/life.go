package runtimetest

import (
	"context"
	"io"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"openflow"
	"openflow/runtime/driver"
)

func testEnsureTwice(t *testing.T, b *bench) {
	s := b.spec(t, "c", "exit", "0")
	first, err := b.rt.Ensure(b.ctx, s)
	require.NoError(t, err)
	require.Equal(t, driver.StateCreated, first.State)
	require.Equal(t, s.Name, first.Name)
	require.True(t, driver.Carries(first.Labels, s.Labels))
	require.False(t, first.Created.IsZero())

	s.Command = []string{"exit", "9"} // only name and labels decide
	second, err := b.rt.Ensure(b.ctx, s)
	require.NoError(t, err)
	require.Equal(t, first, second)
	require.NoError(t, b.rt.Start(b.ctx, s.Name))
	require.Equal(t, 0, b.wait(t, b.rt, s.Name).ExitCode, "the first spec is the one that runs")
}

func testEnsureConflict(t *testing.T, b *bench) {
	s := b.spec(t, "c", "exit", "0")
	_, err := b.rt.Ensure(b.ctx, s)
	require.NoError(t, err)

	fewer := s
	fewer.Labels = map[string]string{"drivertest": b.id}
	_, err = b.rt.Ensure(b.ctx, fewer)
	require.NoError(t, err, "a container may carry more labels than asked for")

	for name, labels := range map[string]map[string]string{
		"other value": {"drivertest": "somebody else"},
		"more labels": {"drivertest": b.id, "name": "c", "extra": "1"},
	} {
		s.Labels = labels
		_, err = b.rt.Ensure(b.ctx, s)
		require.Equal(t, openflow.CodeConflict, openflow.CodeOf(err), name)
	}
}

func testEnsureInvalid(t *testing.T, b *bench) {
	s := b.spec(t, "c", "exit", "0")
	for name, change := range map[string]func(*driver.Spec){
		"name":  func(s *driver.Spec) { s.Name = "../" + s.Name },
		"image": func(s *driver.Spec) { s.Image = "" },
		"env":   func(s *driver.Spec) { s.Env = []string{"novalue"} },
	} {
		bad := s
		change(&bad)
		_, err := b.rt.Ensure(b.ctx, bad)
		require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), name)
	}
	_, err := b.rt.Inspect(b.ctx, s.Name)
	require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(err), "a refused spec creates nothing")
}

func testConcurrentEnsure(t *testing.T, b *bench) {
	s := b.spec(t, "c", "exit", "0")
	other := b.Open(t)
	var mu sync.Mutex
	var created []driver.Status
	var g errgroup.Group
	for i := range 8 {
		rt := []driver.Runtime{b.rt, other}[i%2]
		g.Go(func() error {
			st, err := rt.Ensure(b.ctx, s)
			mu.Lock()
			defer mu.Unlock()
			created = append(created, st)
			return err
		})
	}
	require.NoError(t, g.Wait())
	for _, st := range created {
		require.Equal(t, created[0].Created, st.Created, "all callers see one container")
	}
}

func testAdoptCreated(t *testing.T, b *bench) {
	s := b.spec(t, "c", "exit", "5")
	_, err := b.rt.Ensure(b.ctx, s)
	require.NoError(t, err)

	after := b.Open(t)
	st, err := after.Ensure(b.ctx, s)
	require.NoError(t, err)
	require.Equal(t, driver.StateCreated, st.State)
	require.NoError(t, after.Start(b.ctx, s.Name))
	require.Equal(t, 5, b.wait(t, after, s.Name).ExitCode)
}

// A container that was made before its time is recognised when its time has come, by whoever starts it.
func testMade(t *testing.T, b *bench) {
	s := b.spec(t, "c", "exit", "3")
	s.Made = "one"
	st, err := b.rt.Ensure(b.ctx, s)
	require.NoError(t, err)
	require.Equal(t, "one", st.Made)

	other := s
	other.Made, other.Command = "another", []string{"exit", "4"}
	after := b.Open(t)
	st, err = after.Ensure(b.ctx, other)
	require.NoError(t, err)
	require.Equal(t, "one", st.Made, "it is what it was made of, whoever adopts it")
	require.NoError(t, after.Remove(b.ctx, s.Name))
	st, err = after.Ensure(b.ctx, other)
	require.NoError(t, err)
	require.Equal(t, "another", st.Made)
	require.NoError(t, after.Start(b.ctx, s.Name))
	st = b.wait(t, after, s.Name)
	require.Equal(t, "another", st.Made)
	require.Equal(t, 4, st.ExitCode)
}

// A container that is never started runs nothing, and leaves nothing once it is removed, also by a node that did not make it.
func testNeverStarted(t *testing.T, b *bench) {
	s := b.spec(t, "c", "print", "1")
	_, err := b.rt.Ensure(b.ctx, s)
	require.NoError(t, err)
	require.Empty(t, b.logs(t, s.Name))
	require.NoError(t, b.Open(t).Remove(b.ctx, s.Name))
	left, err := b.rt.List(b.ctx, s.Labels)
	require.NoError(t, err)
	require.Empty(t, left)
	require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(b.rt.Start(b.ctx, s.Name)), "what is gone does not start")
}

func testAdoptRunning(t *testing.T, b *bench) {
	s := b.spec(t, "c", "hang")
	b.run(t, s)
	b.ready(t, s.Name)

	after := b.Open(t)
	st, err := after.Ensure(b.ctx, s)
	require.NoError(t, err)
	require.Equal(t, driver.StateRunning, st.State)
	require.False(t, st.Started.IsZero())
	require.NoError(t, after.Start(b.ctx, s.Name))
	require.NoError(t, after.Stop(b.ctx, s.Name, patience))
	require.Equal(t, 143, b.wait(t, after, s.Name).ExitCode)
}

func testAdoptExited(t *testing.T, b *bench) {
	s := b.spec(t, "c", "exit", "7")
	b.run(t, s)
	b.wait(t, b.rt, s.Name)

	after := b.Open(t)
	st, err := after.Ensure(b.ctx, s)
	require.NoError(t, err)
	require.Equal(t, driver.StateExited, st.State)
	require.Equal(t, 7, st.ExitCode)
	require.False(t, st.Lost)
	require.False(t, st.Finished.IsZero())
	require.False(t, st.Finished.Before(st.Started))
}

func testStartOnce(t *testing.T, b *bench) {
	s := b.spec(t, "c", "print", "1")
	_, err := b.rt.Ensure(b.ctx, s)
	require.NoError(t, err)
	other := b.Open(t)
	var g errgroup.Group
	for i := range 8 {
		rt := []driver.Runtime{b.rt, other}[i%2]
		g.Go(func() error { return rt.Start(b.ctx, s.Name) })
	}
	require.NoError(t, g.Wait())
	require.Equal(t, 0, b.wait(t, b.rt, s.Name).ExitCode)
	require.Equal(t, "out 0\n", b.logs(t, s.Name), "one program has run, once")
}

func testStartAfterExit(t *testing.T, b *bench) {
	s := b.spec(t, "c", "print", "1")
	b.run(t, s)
	first := b.wait(t, b.rt, s.Name)
	require.NoError(t, b.rt.Start(b.ctx, s.Name))
	require.Equal(t, driver.StateExited, b.state(t, s.Name))
	require.Equal(t, "out 0\n", b.logs(t, s.Name))
	again := b.wait(t, b.rt, s.Name)
	require.Equal(t, first.ExitCode, again.ExitCode)
}

func testStopRunning(t *testing.T, b *bench) {
	s := b.spec(t, "c", "hang")
	b.run(t, s)
	b.ready(t, s.Name)
	require.NoError(t, b.rt.Stop(b.ctx, s.Name, patience))
	require.Equal(t, driver.StateExited, b.state(t, s.Name), "Stop returns after the end")
	st := b.wait(t, b.rt, s.Name)
	require.Equal(t, 143, st.ExitCode)
	require.False(t, st.Lost)
	require.NoError(t, b.rt.Stop(b.ctx, s.Name, 0), "exited: nothing to do")
}

func testStopStubborn(t *testing.T, b *bench) {
	s := b.spec(t, "c", "stubborn")
	b.run(t, s)
	b.ready(t, s.Name)
	require.NoError(t, b.rt.Stop(b.ctx, s.Name, 0))
	st := b.wait(t, b.rt, s.Name)
	require.Equal(t, 137, st.ExitCode)
	require.False(t, st.Lost, "a kill that was asked for is an outcome")
	require.False(t, st.OOMKilled)
}

func testStopOthers(t *testing.T, b *bench) {
	require.NoError(t, b.rt.Stop(b.ctx, "drivertest-"+b.id+"-absent", 0))
	s := b.spec(t, "c", "exit", "0")
	_, err := b.rt.Ensure(b.ctx, s)
	require.NoError(t, err)
	require.NoError(t, b.rt.Stop(b.ctx, s.Name, 0))
	require.Equal(t, driver.StateCreated, b.state(t, s.Name))
}

func testRemoveTwice(t *testing.T, b *bench) {
	s := b.spec(t, "c", "exit", "0")
	b.run(t, s)
	b.wait(t, b.rt, s.Name)
	var g errgroup.Group
	for range 4 {
		g.Go(func() error { return b.rt.Remove(b.ctx, s.Name) })
	}
	require.NoError(t, g.Wait())
	require.NoError(t, b.rt.Remove(b.ctx, s.Name))
	_, err := b.rt.Inspect(b.ctx, s.Name)
	require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(err))
}

func testRemoveRunning(t *testing.T, b *bench) {
	s := b.spec(t, "c", "hang")
	b.run(t, s)
	require.Equal(t, openflow.CodeConflict, openflow.CodeOf(b.rt.Remove(b.ctx, s.Name)))
	require.Equal(t, driver.StateRunning, b.state(t, s.Name))
}

func testRemoveFreesName(t *testing.T, b *bench) {
	s := b.spec(t, "c", "exit", "1")
	b.run(t, s)
	require.Equal(t, 1, b.wait(t, b.rt, s.Name).ExitCode)
	require.NoError(t, b.rt.Remove(b.ctx, s.Name))

	s.Command = []string{"print", "1"}
	s.Labels = map[string]string{"drivertest": b.id, "life": "second"}
	b.run(t, s)
	require.Equal(t, 0, b.wait(t, b.rt, s.Name).ExitCode)
	require.Equal(t, "out 0\n", b.logs(t, s.Name))
}

func testList(t *testing.T, b *bench) {
	for _, name := range []string{"b", "a", "c"} {
		_, err := b.rt.Ensure(b.ctx, b.spec(t, name, "exit", "0"))
		require.NoError(t, err)
	}
	names := func(labels map[string]string) []string {
		list, err := b.rt.List(b.ctx, labels)
		require.NoError(t, err)
		out := []string{}
		for _, st := range list {
			if st.Labels["drivertest"] == b.id {
				require.Equal(t, driver.StateCreated, st.State)
				out = append(out, st.Labels["name"])
			}
		}
		return out
	}
	require.Equal(t, []string{"a", "b", "c"}, names(map[string]string{"drivertest": b.id}))
	require.Equal(t, []string{"b"}, names(map[string]string{"drivertest": b.id, "name": "b"}))
	require.Empty(t, names(map[string]string{"drivertest": b.id, "name": "d"}))
	require.True(t, slices.Equal([]string{"a", "b", "c"}, names(nil)), "nil labels are no filter")
}

func testUnknown(t *testing.T, b *bench) {
	name := "drivertest-" + b.id + "-absent"
	for what, call := range map[string]func(context.Context) error{
		"Start":   func(ctx context.Context) error { return b.rt.Start(ctx, name) },
		"Inspect": func(ctx context.Context) error { _, err := b.rt.Inspect(ctx, name); return err },
		"Wait":    func(ctx context.Context) error { _, err := b.rt.Wait(ctx, name); return err },
		"Logs":    func(ctx context.Context) error { return b.rt.Logs(ctx, name, io.Discard, io.Discard) },
	} {
		require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(call(b.ctx)), what)
	}
	require.NoError(t, b.rt.Remove(b.ctx, name))
}
