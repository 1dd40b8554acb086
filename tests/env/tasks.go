package env

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow/runtime/driver"
	"openflow/runtime/process"
)

// Tasks lists the containers in a home folder of the process runtime.
func Tasks(t testing.TB, home string) []driver.Status {
	t.Helper()
	runtime, err := process.New(filepath.Join(home, "tasks"))
	require.NoError(t, err)
	list, err := runtime.List(context.WithoutCancel(t.Context()), nil)
	require.NoError(t, err)
	return list
}

// EndTasks stops and removes what runs for a node that has ended: tasks outlive their node.
func EndTasks(t testing.TB, home string) {
	ctx, cancel := context.WithTimeout(context.Background(), closing)
	defer cancel()
	runtime, err := process.New(filepath.Join(home, "tasks"))
	if err != nil {
		t.Errorf("end tasks: %v", err)
		return
	}
	list, err := runtime.List(ctx, nil)
	for _, c := range list {
		err = errors.Join(err, runtime.Stop(ctx, c.Name, time.Second), runtime.Remove(ctx, c.Name))
	}
	if err != nil {
		t.Errorf("end tasks: %v", err)
	}
}

// Supervisor is the process ID of a container's supervisor, which the runtime keeps.
func Supervisor(t testing.TB, home, container string) int {
	t.Helper()
	var pid int
	WaitUntil(t, Patience, "the container has been started", func() (bool, string) { // its row runs a moment before
		text, err := os.ReadFile(filepath.Join(home, "tasks", container, "pid"))
		if err == nil {
			pid, err = strconv.Atoi(strings.TrimSpace(string(text)))
		}
		return err == nil, fmt.Sprint(err)
	})
	return pid
}

// Program is the process ID of a container's program: the child of its supervisor.
func Program(t testing.TB, home, container string) int {
	t.Helper()
	supervisor := Supervisor(t, home, container)
	var program int
	WaitUntil(t, Patience, "the supervisor has its program", func() (bool, string) {
		children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", supervisor, supervisor))
		require.NoError(t, err)
		program, err = strconv.Atoi(strings.TrimSpace(string(children)))
		return err == nil, string(children)
	})
	return program
}

// KillProgram ends a container's program as the kernel would when memory runs out.
func KillProgram(t testing.TB, home, container string) {
	t.Helper()
	require.NoError(t, syscall.Kill(Program(t, home, container), syscall.SIGKILL))
}
