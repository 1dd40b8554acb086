//go:build linux

package process

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"openflow"
)

// On a disk with less than scarce left, whoever has written most is ended, if that is more than blameless: a node on a
// full disk cannot go on. Both are bytes.
const (
	scarce    = 96 << 20
	blameless = 16 << 20
)

// leastFile is what a file costs at least, in bytes: many empty ones fill a disk too.
const leastFile = 4 << 10

// errEnough ends a walk that has seen enough.
var errEnough = errors.New("enough")

// endTooLarge ends the programs whose folders hold more than they may, and, where the disk is nearly full, the one that
// holds most. What a program writes elsewhere is not seen: this runtime isolates nothing.
func (r *supervised) endTooLarge(running []folder) error {
	var disk unix.Statfs_t
	if err := unix.Statfs(r.dir, &disk); err != nil {
		return openflow.Errorf(openflow.CodeInternal, "process folder: %w", err)
	}
	return endLargest(running, disk.Bavail*uint64(disk.Bsize))
}

// endLargest does so on a disk with that much free.
func endLargest(running []folder, free uint64) error {
	var largest folder
	most := int64(blameless)
	for _, f := range running {
		rec, err := f.record()
		if openflow.CodeOf(err) == openflow.CodeNotFound || errors.Is(err, errDamaged) {
			continue // it has ended and was removed
		}
		if err != nil {
			return err
		}
		if alive, err := f.held(supervisorLock); err != nil || !alive {
			continue // it has ended meanwhile; what it left goes with it
		}
		limit := rec.Spec.Limits.DiskBytes
		held, err := f.holds(limit)
		if err != nil {
			return err
		}
		if limit > 0 && held > limit {
			if err := f.endFor(fmt.Sprintf("its files hold more than the %d bytes that the task may write", limit)); err != nil {
				return err
			}
			continue
		}
		if held > most {
			largest, most = f, held
		}
	}
	if free >= scarce || largest.path == "" {
		return nil
	}
	return largest.endFor(fmt.Sprintf("the disk of its machine is nearly full, and of all programs its files hold most: %d bytes", most))
}

// holds adds up what the files of a container take on the disk, until it is more than limit; 0: no limit.
func (f folder) holds(limit int64) (sum int64, err error) {
	err = filepath.WalkDir(f.path, func(_ string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // a program that runs removes files
		}
		if errors.Is(err, fs.ErrPermission) {
			return fs.SkipDir // and hides them; as root, nobody does
		}
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		taken := int64(leastFile)
		if stat, ok := info.Sys().(*syscall.Stat_t); ok {
			taken = max(taken, stat.Blocks*512)
		}
		if sum += taken; limit > 0 && sum > limit {
			return errEnough
		}
		return nil
	})
	if err != nil && !errors.Is(err, errEnough) {
		return sum, failed(f.name, err)
	}
	return sum, nil
}

// endFor kills a program and all that it has started, and leaves word why.
func (f folder) endFor(why string) error {
	pid, ok, err := f.pid()
	if err != nil || !ok {
		return err
	}
	// On a full disk there may be no room for the words: what the program has printed goes first.
	note := os.WriteFile(f.file(killedFile), []byte(why), 0o600)
	if errors.Is(note, unix.ENOSPC) {
		_ = os.Truncate(f.file(stdoutFile), 0)
		note = os.WriteFile(f.file(killedFile), []byte(why), 0o600)
	}
	return errors.Join(f.signalGroup(pid, unix.SIGKILL), ignoreGone(f.name, note))
}
