package env

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"syscall"

	"openflow/runtime/driver"
)

// Execute is a fake.Program that runs the image as what it is to a process runtime: a program of this machine. So a
// container of the fake does what a real one does.
func Execute(ctx context.Context, s driver.Spec, stdout, stderr io.Writer) int {
	cmd := exec.CommandContext(ctx, s.Image, s.Command...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH")}, s.Env...)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	err := cmd.Run()
	var ended *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &ended) && ended.Exited():
		return ended.ExitCode()
	case errors.As(err, &ended):
		return 128 + int(ended.Sys().(syscall.WaitStatus).Signal())
	}
	return 127
}
