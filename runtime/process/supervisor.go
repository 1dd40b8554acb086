//go:build linux

package process

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"openflow"
	"openflow/runtime/driver"
)

// supervisor is what /bin/sh runs, with the container's folder and the program as arguments. Descriptor 3 holds the
// supervisor lock, 4 the program lock; 5 tells Start, by its end, that the pid is written. It is a shell and not this node's
// binary because it starts in half a millisecond and survives an upgrade of the binary.
//
// No crash starts a program twice. Start forks only with the supervisor lock in hand, which the child inherits; the pid
// file is written before the program runs. A node killed before the fork leaves nothing; killed after it, it leaves a
// supervisor that goes on by itself and whose lock tells the next Start that it is there. A supervisor killed before it
// wrote its pid never ran the program, and the next Start may; killed later, the pid file forbids it.
//
// The shell catches TERM so as to outlive the program, to which a caught signal is passed on with its default action.
// Its own messages ("Killed") go nowhere; that the program was not found does go to the program's stderr. At the end it
// kills its group, itself included: what the program left running ends with it, as in a container.
//
// A single file may have so many blocks of 512 bytes, since a program writes faster than Trim looks.
const supervisor = `trap : HUP INT QUIT TERM
exec 6>&2 2>/dev/null
folder=$1
[ $2 = 0 ] || ulimit -f $2
shift 2
echo $$ >"$folder/pid" || exit
exec 5>&-
"$@" 2>&6 3>&- 6>&-
echo $? >"$folder/exit"
kill -s KILL 0`

// Start implements driver.Runtime.
func (r *supervised) Start(ctx context.Context, name string) error {
	f, err := r.find(ctx, name)
	if err != nil {
		return err
	}
	unlock, err := f.lockChanges()
	if err != nil {
		return err
	}
	defer unlock()
	if started, err := f.modified(pidFile); err != nil || !started.IsZero() {
		return err
	}
	alive, err := f.lock(supervisorLock, false)
	if err != nil || alive == nil {
		return err // nil: a supervisor runs that has not written its pid yet
	}
	defer closeFile(alive)
	return f.launch(ctx, alive)
}

// launch starts the supervisor; alive is the descriptor that holds its lock.
func (f folder) launch(ctx context.Context, alive *os.File) error {
	rec, err := f.record()
	if err != nil {
		return err
	}
	group, err := f.lock(programLock, false)
	if err != nil {
		return err
	}
	if group == nil {
		return openflow.Errorf(openflow.CodeInternal, "container %q: its program runs without a supervisor", f.name)
	}
	defer closeFile(group)
	recorded, record, err := os.Pipe()
	if err != nil {
		return f.cannotStart(err)
	}
	defer closeFile(recorded)
	err = f.fork(rec.Spec.decode(), alive, group, record)
	closeFile(record)
	if err != nil {
		return err
	}
	return awaitEOF(ctx, recorded)
}

// fork starts the supervisor with its descriptors 3, 4 and 5.
func (f folder) fork(spec driver.Spec, descriptors ...*os.File) error {
	stdout, err := f.createLog(stdoutFile)
	if err != nil {
		return err
	}
	defer closeFile(stdout)
	stderr, err := f.createLog(stderrFile)
	if err != nil {
		return err
	}
	defer closeFile(stderr)

	blocks := strconv.FormatInt((spec.Limits.DiskBytes+511)/512, 10)
	args := append([]string{"-c", supervisor, "openflow-task", f.path, blocks, spec.Image}, spec.Command...)
	cmd := exec.Command("/bin/sh", args...)
	cmd.Dir = f.file(workDir)
	cmd.Env = environment(spec)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	cmd.ExtraFiles = descriptors
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return f.cannotStart(err)
	}
	go func() { _ = cmd.Wait() }() // reaps the child; the outcome is in the folder, for every node alike
	return nil
}

// cannotStart tells apart what the caller asked for and what the machine is short of.
func (f folder) cannotStart(err error) error {
	if errors.Is(err, unix.E2BIG) {
		return openflow.Errorf(openflow.CodeInvalid, "container %q: arguments and environment are too big for the system: %w", f.name, err)
	}
	return openflow.Errorf(openflow.CodeExhausted, "container %q: the process could not be started: %w", f.name, err)
}

func (f folder) createLog(file string) (*os.File, error) {
	out, err := os.OpenFile(f.file(file), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, failed(f.name, err)
	}
	return out, nil
}

// environment adds the node's PATH to that of spec, which may override it, and which GPUs the program may use: libraries
// on CUDA see no others. Nothing else keeps a process from them.
func environment(spec driver.Spec) []string {
	gpus := strings.Join(spec.Limits.GPUs, ",")
	env := append([]string{"CUDA_VISIBLE_DEVICES=" + gpus, "NVIDIA_VISIBLE_DEVICES=" + gpus}, spec.Env...)
	for _, entry := range spec.Env {
		if strings.HasPrefix(entry, "PATH=") {
			return env
		}
	}
	return append(env, "PATH="+os.Getenv("PATH"))
}

// Stop implements driver.Runtime.
func (r *supervised) Stop(ctx context.Context, name string, grace time.Duration) error {
	for {
		f, err := r.find(ctx, name)
		if openflow.CodeOf(err) == openflow.CodeNotFound {
			return nil
		}
		if err != nil {
			return err
		}
		st, err := f.status()
		if err != nil || st.State != driver.StateRunning {
			return err
		}
		if err := f.stop(ctx, grace); err != nil && openflow.CodeOf(err) != openflow.CodeNotFound {
			return err
		}
		grace = 0 // a second turn means that the end was only just not to be seen yet
	}
}

// stop makes one attempt to end a running container.
func (f folder) stop(ctx context.Context, grace time.Duration) error {
	polite, cancel := context.WithTimeout(ctx, grace)
	defer cancel()
	err := f.end(polite, unix.SIGTERM)
	if !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
		return err
	}
	// KILL reaches the supervisor too, which then cannot write 137: this note stands for it.
	if err := os.WriteFile(f.file(killedFile), nil, 0o600); err != nil {
		return failed(f.name, err)
	}
	return f.end(ctx, unix.SIGKILL)
}

// end sends sig and waits for the end of the supervisor.
func (f folder) end(ctx context.Context, sig unix.Signal) error {
	sup, err := f.attach(ctx)
	if err != nil || sup == nil {
		return err
	}
	defer sup.close()
	if err := f.signalGroup(sup.pid, sig); err != nil {
		return err
	}
	return sup.wait(ctx)
}

// signalGroup signals the supervisor, the program and what it has started. A group that is gone is what was wanted.
func (f folder) signalGroup(pid int, sig unix.Signal) error {
	if err := ignore(unix.Kill(-pid, sig), unix.ESRCH); err != nil {
		return failed(f.name, err)
	}
	return nil
}

// closeFile closes a descriptor of ours that the child has its own copy of, or that was not written.
func closeFile(f *os.File) { _ = f.Close() }
