package launcher

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"openflow"
)

// python is the interpreter that runs a provider's code, and where that is.
type python struct {
	program string   // the interpreter
	path    string   // folder of the code; empty: where the interpreter finds it by itself
	work    string   // folder for whatever it writes
	extra   []string // variables of the environment besides
	log     io.Writer
}

// interpreters are looked for where nobody has named one.
var interpreters = []string{"python3", "python"}

// found is the interpreter of a search path, or a name that nothing has.
func found(search string) string {
	for _, name := range interpreters {
		for _, folder := range filepath.SplitList(search) {
			if info, err := os.Stat(filepath.Join(folder, name)); err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0 {
				return filepath.Join(folder, name)
			}
		}
	}
	return interpreters[0]
}

// components runs the program of FATE's components, which FATE-Flow runs as fate_executor.py.
//
// Spec: fate-flow-api §3.3.1.
func (p python) components(ctx context.Context, args ...string) error {
	_, err := p.run(ctx, nil, append([]string{"-m", "fate.components", "component"}, args...)...)
	return err
}

// ownVariables tell a container of its run. Nothing that a component starts gets them.
var ownVariables = []string{"CONFIG", "OPENFLOW_", "TRACEPARENT"}

// environment is what the interpreter gets: the container's own variables, as those of an image, and none that tell of the node.
func (p python) environment() []string {
	var env []string
	for _, v := range os.Environ() {
		own := false
		for _, prefix := range ownVariables {
			own = own || strings.HasPrefix(v, prefix)
		}
		if !own && !strings.HasPrefix(v, "PYTHONPATH=") {
			env = append(env, v)
		}
	}
	search := os.Getenv("PYTHONPATH")
	if p.path != "" {
		search = p.path
	}
	env = append(env, "HOME="+p.work, "TMPDIR="+p.work, "PYTHONDONTWRITEBYTECODE=1", "PYTHONUNBUFFERED=1")
	if search != "" {
		env = append(env, "PYTHONPATH="+search)
	}
	return append(env, p.extra...)
}

// lastWords is how long what a process has left behind may hold its output.
const lastWords = 2 * time.Second

// grace is how long a process may take to end when it is asked to. A node gives a container 5 s.
const grace = 3 * time.Second

// run runs the interpreter to its end. What it writes goes to the log of the run. It tells the exit code; another than 0 is an
// error. All that the process has started ends with it, but for what has left its group.
func (p python) run(ctx context.Context, in io.Reader, args ...string) (code int, err error) {
	cmd := exec.CommandContext(ctx, p.program, args...)
	cmd.Dir, cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = p.work, p.environment(), in, p.log, p.log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	ended := make(chan struct{})
	cmd.Cancel = func() error {
		group := -cmd.Process.Pid
		timer := time.AfterFunc(grace, func() { _ = syscall.Kill(group, syscall.SIGKILL) }) // it may have ended
		go func() { <-ended; timer.Stop() }()
		return syscall.Kill(group, syscall.SIGTERM)
	}
	cmd.WaitDelay = grace + lastWords
	err = cmd.Run()
	close(ended)
	if cmd.Process == nil {
		return 0, openflow.Errorf(openflow.CodeInvalid, "%s cannot be run: %w", p.program, err).
			WithHint("name the interpreter of the provider's virtual environment when it is registered")
	}
	_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // what it has left behind; mostly there is nothing
	code = cmd.ProcessState.ExitCode()
	if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		code = 128 + int(status.Signal())
	}
	switch {
	case ctx.Err() != nil:
		return code, ctx.Err()
	case errors.Is(err, exec.ErrWaitDelay):
		err = nil // something holds its output, and it has ended
	}
	if err != nil || code != 0 {
		return code, openflow.Errorf(openflow.CodeRejected, "%s ended with exit code %d", strings.Join(args[:min(4, len(args))], " "), code)
	}
	return 0, nil
}

// readFile reads a file that the component has written below a folder of its run: a regular file of at most so many bytes, and
// no link that leads out of the folder.
func readFile(in *os.Root, name string, most int64) ([]byte, error) {
	f, err := openFile(in, name, most)
	if err != nil {
		return nil, err
	}
	raw, err := io.ReadAll(io.LimitReader(f, most+1))
	if err = errors.Join(err, f.Close()); err == nil && int64(len(raw)) > most {
		err = tooLong(name, most)
	}
	return raw, err
}

func tooLong(name string, most int64) error {
	return openflow.Errorf(openflow.CodeInvalid, "%s has more than %d bytes", name, most)
}

// openFile opens such a file, whatever stands at its path by now: it waits for no pipe.
func openFile(in *os.Root, name string, most int64) (*os.File, error) {
	f, err := in.OpenFile(name, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	switch {
	case err != nil:
	case !info.Mode().IsRegular():
		err = openflow.Errorf(openflow.CodeInvalid, "%s is not a regular file", name)
	case info.Size() > most:
		err = tooLong(name, most)
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}
