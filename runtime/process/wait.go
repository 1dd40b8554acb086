//go:build linux

package process

import (
	"cmp"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"openflow/runtime/driver"
)

// Wait implements driver.Runtime. It follows files until the program has started, and the supervisor after that.
func (r *supervised) Wait(ctx context.Context, name string) (driver.Status, error) {
	for {
		f, err := r.find(ctx, name)
		if err != nil {
			return driver.Status{}, err
		}
		st, err := f.status()
		if err != nil || st.State == driver.StateExited {
			return st, err
		}
		sup, err := f.attach(ctx)
		if err != nil {
			return driver.Status{}, err
		}
		if sup == nil {
			continue
		}
		err = sup.wait(ctx)
		sup.close()
		if err != nil {
			return driver.Status{}, err
		}
	}
}

// attached is a supervisor that was alive when this was made.
type attached struct {
	pid   int
	pidfd *os.File
}

// attach waits until the container has a supervisor and takes hold of it; nil when there was something to see that
// makes another look at the status worth while, such as its end.
//
// The lock, looked at after the pidfd was opened, proves that the process behind the pidfd is the supervisor: had it
// ended before, and its number gone to another process, the lock would be free.
func (f folder) attach(ctx context.Context) (*attached, error) {
	if err := f.awaitPID(ctx); err != nil {
		return nil, err
	}
	pid, ok, err := f.pid()
	if err != nil || !ok {
		return nil, errors.Join(err, pause(ctx))
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if errors.Is(err, unix.ESRCH) {
		return nil, pause(ctx)
	}
	if err == nil {
		err = unix.SetNonblock(fd, true) // lets the Go poller wait for it, instead of a thread
	}
	if err != nil {
		return nil, failed(f.name, err)
	}
	sup := &attached{pid, os.NewFile(uintptr(fd), "pidfd")}
	if running, err := f.held(supervisorLock); err != nil || !running {
		sup.close()
		return nil, err
	}
	return sup, nil
}

// pause lets a moment pass: between a supervisor's creation of its pid file and the line in it. It also does so when
// another fork of this process still has a copy of the lock of a supervisor that has ended.
func pause(ctx context.Context) error {
	timer := time.NewTimer(time.Millisecond)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// wait returns when the supervisor has ended. It is called once: ctx, when it ends, leaves the pidfd unusable.
func (a *attached) wait(ctx context.Context) error {
	release := context.AfterFunc(ctx, func() { _ = a.pidfd.SetReadDeadline(time.Unix(1, 0)) }) // fails only when closed
	defer release()
	conn, err := a.pidfd.SyscallConn()
	if err != nil {
		return err
	}
	var pollErr error
	err = conn.Read(func(fd uintptr) bool {
		ready, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		pollErr = ignore(err, unix.EINTR)
		return ready > 0 || pollErr != nil
	})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return errors.Join(err, pollErr)
}

func (a *attached) close() { closeFile(a.pidfd) }

// awaitEOF returns when the other end of the pipe is closed.
func awaitEOF(ctx context.Context, pipe *os.File) error {
	release := context.AfterFunc(ctx, func() { _ = pipe.SetReadDeadline(time.Unix(1, 0)) }) // fails only when closed
	defer release()
	_, err := io.Copy(io.Discard, pipe)
	return cmp.Or(ctx.Err(), err)
}

// awaitPID returns once the folder has a pid file. Errors: CodeNotFound (the container was removed meanwhile).
func (f folder) awaitPID(ctx context.Context) error {
	if started, err := f.modified(pidFile); err != nil || !started.IsZero() {
		return err
	}
	fd, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	if err != nil {
		return failed(f.name, err)
	}
	events := os.NewFile(uintptr(fd), "inotify")
	// Closing waits 5 to 20 ms for a grace period of the kernel's, and nobody has to wait for that.
	defer func() { go closeFile(events) }()
	_, err = unix.InotifyAddWatch(fd, f.path, unix.IN_CLOSE_WRITE|unix.IN_MOVE_SELF|unix.IN_DELETE_SELF)
	if err != nil && !errors.Is(err, fs.ErrNotExist) { // a folder that is gone is noticed below
		return failed(f.name, err)
	}
	release := context.AfterFunc(ctx, func() { _ = events.SetReadDeadline(time.Unix(1, 0)) }) // fails only when closed
	defer release()
	buf := make([]byte, 4096)
	for {
		// Looked at after the watch is set and after every event: what the events say does not matter.
		if _, err := f.record(); err != nil {
			return err
		}
		if started, err := f.modified(pidFile); err != nil || !started.IsZero() {
			return err
		}
		if _, err := events.Read(buf); err != nil {
			return cmp.Or(ctx.Err(), error(failed(f.name, err)))
		}
	}
}
