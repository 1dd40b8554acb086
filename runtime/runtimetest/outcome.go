package runtimetest

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/runtime/driver"
)

// result carries what a Wait in a goroutine returned.
type result struct {
	st  driver.Status
	err error
}

func (b *bench) waitAsync(rt driver.Runtime, name string) <-chan result {
	ch := make(chan result, 1)
	go func() {
		st, err := rt.Wait(b.ctx, name)
		ch <- result{st, err}
	}()
	return ch
}

func testWaitOnCreated(t *testing.T, b *bench) {
	s := b.spec(t, "c", "exit", "3")
	_, err := b.rt.Ensure(b.ctx, s)
	require.NoError(t, err)

	early := b.waitAsync(b.rt, s.Name)
	foreign := b.waitAsync(b.Open(t), s.Name)
	select { // Docker's own wait answers "exit code 0" here, at once
	case r := <-early:
		t.Fatalf("wait on a created container returned %+v", r)
	case <-time.After(200 * time.Millisecond):
	}
	require.NoError(t, b.rt.Start(b.ctx, s.Name))
	for _, ch := range []<-chan result{early, foreign} {
		r := <-ch
		require.NoError(t, r.err)
		require.Equal(t, driver.StateExited, r.st.State)
		require.Equal(t, 3, r.st.ExitCode)
	}
}

func testWaitOnRemoved(t *testing.T, b *bench) {
	s := b.spec(t, "c", "exit", "0")
	_, err := b.rt.Ensure(b.ctx, s)
	require.NoError(t, err)
	waiting := b.waitAsync(b.rt, s.Name)
	require.NoError(t, b.rt.Remove(b.ctx, s.Name))
	require.Equal(t, openflow.CodeNotFound, openflow.CodeOf((<-waiting).err))
}

func testWaitAfterExit(t *testing.T, b *bench) {
	s := b.spec(t, "c", "exit", "7")
	b.run(t, s)
	for range 3 {
		st := b.wait(t, b.rt, s.Name)
		require.Equal(t, 7, st.ExitCode)
		require.Equal(t, s.Name, st.Name)
		require.True(t, driver.Carries(st.Labels, s.Labels))
		require.False(t, st.Created.IsZero())
		require.False(t, st.Finished.IsZero())
	}
}

func testWaitCanceled(t *testing.T, b *bench) {
	s := b.spec(t, "c", "hang")
	_, err := b.rt.Ensure(b.ctx, s)
	require.NoError(t, err)
	for _, state := range []driver.State{driver.StateCreated, driver.StateRunning} {
		if state == driver.StateRunning {
			require.NoError(t, b.rt.Start(b.ctx, s.Name))
		}
		ctx, cancel := context.WithTimeout(b.ctx, 50*time.Millisecond)
		_, err = b.rt.Wait(ctx, s.Name)
		cancel()
		require.Equal(t, openflow.CodeDeadline, openflow.CodeOf(err), state)
		require.Equal(t, state, b.state(t, s.Name), "a canceled wait changes nothing")
	}
}

func testTwoWaiters(t *testing.T, b *bench) {
	s := b.spec(t, "c", "hang")
	b.run(t, s)
	b.ready(t, s.Name)
	one, two := b.waitAsync(b.rt, s.Name), b.waitAsync(b.Open(t), s.Name)
	require.NoError(t, b.rt.Stop(b.ctx, s.Name, patience))
	for _, ch := range []<-chan result{one, two} {
		r := <-ch
		require.NoError(t, r.err)
		require.Equal(t, 143, r.st.ExitCode)
	}
}

func testExitCodes(t *testing.T, b *bench) {
	for _, code := range []int{0, 1, 7, 255} {
		s := b.spec(t, fmt.Sprint("exit", code), "exit", fmt.Sprint(code))
		b.run(t, s)
		st := b.wait(t, b.rt, s.Name)
		require.Equal(t, code, st.ExitCode)
		require.False(t, st.Lost)
		require.False(t, st.OOMKilled)

		looked, err := b.rt.Inspect(b.ctx, s.Name)
		require.NoError(t, err)
		require.Equal(t, code, looked.ExitCode, "Wait and Inspect agree")
	}
}

func testCannotRun(t *testing.T, b *bench) {
	s := b.spec(t, "c", "exit", "0")
	s.Image = "/no/such/program"
	_, err := b.rt.Ensure(b.ctx, s)
	if err != nil { // an image is looked up when the container is created
		require.Contains(t, []openflow.Code{openflow.CodeNotFound, openflow.CodeInvalid}, openflow.CodeOf(err))
		return
	}
	if err := b.rt.Start(b.ctx, s.Name); err != nil {
		require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
		return
	}
	require.Contains(t, []int{126, 127}, b.wait(t, b.rt, s.Name).ExitCode)
}

// testLogs repeats itself: a runtime that reports the exit before the last line is kept loses lines only sometimes.
func testLogs(t *testing.T, b *bench) {
	const lines = 2000
	for i := range 3 {
		s := b.spec(t, fmt.Sprint("print", i), "print", fmt.Sprint(lines))
		_, err := b.rt.Ensure(b.ctx, s)
		require.NoError(t, err)
		require.Empty(t, b.logs(t, s.Name), "a created container has said nothing")
		require.NoError(t, b.rt.Start(b.ctx, s.Name))
		b.wait(t, b.rt, s.Name)

		var stdout, stderr, wantOut, wantErr bytes.Buffer
		require.NoError(t, b.rt.Logs(b.ctx, s.Name, &stdout, &stderr))
		for n := range lines {
			fmt.Fprintf(&wantOut, "out %d\n", n)
			fmt.Fprintf(&wantErr, "err %d\n", n)
		}
		require.Equal(t, wantOut.String(), stdout.String())
		require.Equal(t, wantErr.String(), stderr.String())
	}
}

func testArguments(t *testing.T, b *bench) {
	args := []string{"", "two words", "$HOME `id` \"'\\", "*", "-n", "a\nb", "日本"}
	s := b.spec(t, "args", append([]string{"args"}, args...)...)
	b.run(t, s)
	require.Equal(t, 0, b.wait(t, b.rt, s.Name).ExitCode)
	require.Equal(t, strings.Join(args, "\n")+"\n", b.logs(t, s.Name))

	s = b.spec(t, "env", "env")
	s.Env = []string{"CONFIG={\"a\": \"$b 'c'\"}", "EMPTY=", "BIG=" + strings.Repeat("x", 100<<10)}
	b.run(t, s)
	require.Equal(t, 0, b.wait(t, b.rt, s.Name).ExitCode)
	got := strings.Split(b.logs(t, s.Name), "\n")
	for _, entry := range s.Env {
		require.Contains(t, got, entry)
	}
}

// A daemon under load may miss the kernel's word that memory ran out, so one of three has to be told.
func testOOM(t *testing.T, b *bench) {
	for i := range 3 {
		s := b.spec(t, fmt.Sprint("c", i), "oom")
		s.Limits = driver.Limits{CPUs: 0.5, MemoryBytes: 32 << 20, PIDs: 64}
		b.run(t, s)
		st := b.wait(t, b.rt, s.Name)
		require.Equal(t, 137, st.ExitCode)
		require.False(t, st.Lost)
		if st.OOMKilled {
			return
		}
	}
	t.Fatal("that memory ran out is not told")
}
