//go:build linux

package process_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"openflow/runtime/driver"
	"openflow/runtime/process"
)

const patience = 3 * time.Minute

// nodeVar makes this test binary act as a node: its value is "<folder> <microseconds>".
const nodeVar = "OPENFLOW_TEST_NODE"

func TestMain(m *testing.M) {
	if how := os.Getenv(nodeVar); how != "" {
		fmt.Fprintln(os.Stderr, node(how, os.Args[1:]))
		os.Exit(1) // a node of these tests ends by SIGKILL only
	}
	os.Exit(m.Run())
}

// node launches a shell script as container "c" and kills itself, as kill -9 would: after the given time, counted from
// the beginning of the launch, or (0) once the container runs.
func node(how string, script []string) error {
	dir, after, _ := strings.Cut(how, " ")
	microseconds, err := strconv.Atoi(after)
	if err != nil {
		return err
	}
	rt, err := process.New(dir)
	if err != nil {
		return err
	}
	die := func() { _ = unix.Kill(os.Getpid(), unix.SIGKILL) }
	if microseconds > 0 {
		time.AfterFunc(time.Duration(microseconds)*time.Microsecond, die)
	}
	if _, err := rt.Ensure(context.Background(), shell(script[0])); err != nil {
		return err
	}
	if err := rt.Start(context.Background(), "c"); err != nil {
		return err
	}
	if microseconds == 0 {
		die()
	}
	select {}
}

// shell is container "c" that runs script.
func shell(script string) driver.Spec {
	return driver.Spec{Name: "c", Image: "/bin/sh", Command: []string{"-c", script}}
}

// runNode has a node launch script and returns after its death.
func runNode(t *testing.T, dir, script string, killAfter int) {
	t.Helper()
	cmd := exec.Command(os.Args[0], script)
	cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d", nodeVar, dir, killAfter))
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	require.True(t, errors.As(err, &exit), "%v %s", err, out)
	require.Equal(t, unix.SIGKILL, exit.Sys().(interface{ Signal() unix.Signal }).Signal(), "%s", out)
}

func launch(t *testing.T, rt driver.Runtime, s driver.Spec) {
	t.Helper()
	_, err := rt.Ensure(t.Context(), s)
	require.NoError(t, err)
	require.NoError(t, rt.Start(t.Context(), s.Name))
}

func wait(t *testing.T, rt driver.Runtime, name string) driver.Status {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	st, err := rt.Wait(ctx, name)
	require.NoError(t, err)
	return st
}

func TestNodeKilledWhileTheProgramRuns(t *testing.T) {
	for name, tc := range map[string]struct {
		whileDown bool // the program ends before the next node comes
	}{
		"program outlives the gap":    {false},
		"program ends during the gap": {true},
	} {
		t.Run(name, func(t *testing.T) {
			dir, gate := t.TempDir(), filepath.Join(t.TempDir(), "gate")
			require.NoError(t, unix.Mkfifo(gate, 0o600))
			runNode(t, dir, "echo before; read go <"+gate+"; echo after; exit 7", 0)

			release := func() { require.NoError(t, os.WriteFile(gate, []byte("\n"), 0)) }
			if tc.whileDown {
				release()
			}
			rt := open(t, dir)
			st, err := rt.Ensure(t.Context(), shell("exit 1"))
			require.NoError(t, err)
			if !tc.whileDown {
				require.Equal(t, driver.StateRunning, st.State)
			}
			require.NoError(t, rt.Start(t.Context(), "c"))
			done := make(chan driver.Status, 1)
			go func() { done <- wait(t, rt, "c") }()
			if !tc.whileDown {
				release()
			}
			st = <-done
			require.Equal(t, 7, st.ExitCode)
			require.False(t, st.Lost)
			var stdout bytes.Buffer
			require.NoError(t, rt.Logs(t.Context(), "c", &stdout, &stdout))
			require.Equal(t, "before\nafter\n", stdout.String())
		})
	}
}

// TestNodeKilledDuringLaunch kills a node at forty points of a launch. Whatever it left, the next node's launch ends
// with one program having run, once.
func TestNodeKilledDuringLaunch(t *testing.T) {
	for i := range 40 {
		killAfter := 1 + 100*i
		dir, runs := t.TempDir(), filepath.Join(t.TempDir(), "runs")
		script := "echo run >>" + runs + "; exit 5"
		runNode(t, dir, script, killAfter)

		rt := open(t, dir)
		launch(t, rt, shell(script))
		st := wait(t, rt, "c")
		require.Equal(t, 5, st.ExitCode, "killed after %d µs", killAfter)
		require.False(t, st.Lost)
		got, err := os.ReadFile(runs)
		require.NoError(t, err)
		require.Equal(t, "run\n", string(got), "killed after %d µs", killAfter)
	}
}

func TestStopOfAdopted(t *testing.T) {
	dir := t.TempDir()
	runNode(t, dir, "sleep 1000 & echo $!; sleep 1000", 0)
	rt := open(t, dir)
	child := firstPID(t, rt)
	require.NoError(t, rt.Stop(t.Context(), "c", patience))
	st := wait(t, rt, "c")
	require.Equal(t, 143, st.ExitCode)
	require.Equal(t, "ended by SIGTERM", st.Reason)
	requireGone(t, child)
}

func TestSupervisorKilled(t *testing.T) {
	dir := t.TempDir()
	rt := open(t, dir)
	launch(t, rt, shell("trap '' TERM; echo $$; while :; do sleep 1000; done"))
	program := firstPID(t, rt)
	done := make(chan driver.Status, 1)
	go func() { done <- wait(t, rt, "c") }()

	require.NoError(t, unix.Kill(supervisorOf(t, dir, "c"), unix.SIGKILL))
	st := <-done
	require.Equal(t, driver.StateExited, st.State)
	require.True(t, st.Lost)
	require.Equal(t, -1, st.ExitCode)
	requireGone(t, program)

	require.NoError(t, rt.Start(t.Context(), "c"), "a lost program is not run again")
	st, err := open(t, dir).Inspect(t.Context(), "c")
	require.NoError(t, err)
	require.True(t, st.Lost)
}

func TestProgramLeavesNothingBehind(t *testing.T) {
	rt := open(t, t.TempDir())
	launch(t, rt, shell("sleep 1000 & echo $!; exit 3"))
	require.Equal(t, 3, wait(t, rt, "c").ExitCode)
	requireGone(t, firstPID(t, rt))
}

func TestSupervisorIsReaped(t *testing.T) {
	dir := t.TempDir()
	rt := open(t, dir)
	launch(t, rt, shell("exit 0"))
	wait(t, rt, "c")
	requireGone(t, supervisorOf(t, dir, "c"))
}

// firstPID reads the process ID that the container prints first.
func firstPID(t *testing.T, rt driver.Runtime) int {
	t.Helper()
	var pid int
	require.Eventually(t, func() bool {
		var stdout bytes.Buffer
		require.NoError(t, rt.Logs(t.Context(), "c", &stdout, &bytes.Buffer{}))
		line, _, ok := strings.Cut(stdout.String(), "\n")
		if !ok {
			return false
		}
		var err error
		pid, err = strconv.Atoi(line)
		require.NoError(t, err)
		return true
	}, patience, time.Millisecond)
	return pid
}

func supervisorOf(t *testing.T, dir, name string) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, name, "pid"))
	require.NoError(t, err)
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	require.NoError(t, err)
	return pid
}

// requireGone accepts no zombie when the process was a child of ours. Others wait for init to reap them, which is not
// ours to test.
func requireGone(t *testing.T, pid int) {
	t.Helper()
	require.Eventually(t, func() bool {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return true
		}
		fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
		return fields[0] == "Z" && fields[1] != strconv.Itoa(os.Getpid())
	}, patience, time.Millisecond)
}
