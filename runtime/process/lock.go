//go:build linux

package process

import (
	"errors"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"openflow/runtime/driver"
)

// The locks of a container are bytes of its record's file, taken as open file description locks. Such a lock belongs to
// whoever has inherited the descriptor. The kernel releases it when the last of them is gone. So "held" is "alive",
// with no process ID in between that could have been given to somebody else.
const (
	supervisorLock = iota // held by the supervisor
	programLock           // held by the supervisor, the program and what it has started
	changeLock            // held by a Start or Remove under way
)

// lock takes byte n for a new descriptor of the file; wait says whether to block. Without, a lock held by another
// is a nil file. Locks of Start and Remove are held for a fork at most, so nobody blocks for long.
func (f folder) lock(n int64, wait bool) (*os.File, error) {
	file, err := f.openLock()
	if err != nil {
		return nil, err
	}
	op := unix.F_OFD_SETLK
	if wait {
		op = unix.F_OFD_SETLKW
	}
	region := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart, Start: n, Len: 1}
	for {
		err = unix.FcntlFlock(file.Fd(), op, &region)
		if !errors.Is(err, unix.EINTR) {
			break
		}
	}
	if err == nil {
		return file, nil
	}
	err = errors.Join(ignore(err, unix.EAGAIN), file.Close())
	if err != nil {
		return nil, failed(f.name, err)
	}
	return nil, nil
}

// held reports whether anybody has byte n. It takes nothing, so it disturbs nobody.
func (f folder) held(n int64) (bool, error) {
	file, err := f.openLock()
	if err != nil {
		return false, err
	}
	region := unix.Flock_t{Type: unix.F_WRLCK, Whence: io.SeekStart, Start: n, Len: 1}
	err = unix.FcntlFlock(file.Fd(), unix.F_OFD_GETLK, &region)
	if err = errors.Join(err, file.Close()); err != nil {
		return false, failed(f.name, err)
	}
	return region.Type != unix.F_UNLCK, nil
}

// lockChanges keeps every other Start and Remove of the container out until unlock is called.
func (f folder) lockChanges() (unlock func(), err error) {
	for {
		file, err := f.lock(changeLock, true)
		if err != nil {
			return nil, err
		}
		unlock := func() {
			// Closing alone would leave the lock to a child of another goroutine between its fork and its exec.
			_ = unix.FcntlFlock(file.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_UNLCK, Start: changeLock, Len: 1})
			_ = file.Close() // nothing was written
		}
		same, err := f.isCurrent(file)
		if err == nil && same {
			return unlock, nil
		}
		unlock() // the container was removed while this call waited, and perhaps created anew
		if err != nil {
			return nil, err
		}
	}
}

// isCurrent reports whether file is still that of the container that has this name.
func (f folder) isCurrent(file *os.File) (bool, error) {
	mine, err := file.Stat()
	if err != nil {
		return false, failed(f.name, err)
	}
	now, err := os.Stat(f.file(specFile))
	if errors.Is(err, fs.ErrNotExist) {
		return false, driver.NotFound(f.name)
	}
	if err != nil {
		return false, failed(f.name, err)
	}
	return os.SameFile(mine, now), nil
}

func (f folder) openLock() (*os.File, error) {
	file, err := os.OpenFile(f.file(specFile), os.O_RDWR, 0)
	if errors.Is(err, fs.ErrNotExist) {
		if _, statErr := os.Stat(f.path); statErr == nil {
			return nil, f.damaged(err)
		}
		return nil, driver.NotFound(f.name)
	}
	if err != nil {
		return nil, failed(f.name, err)
	}
	return file, nil
}

// ignore returns err unless it is expected.
func ignore(err, expected error) error {
	if errors.Is(err, expected) {
		return nil
	}
	return err
}
