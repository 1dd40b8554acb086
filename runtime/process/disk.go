//go:build linux

package process

import (
	"errors"
	"fmt"
	"math"
	"os"
	"strings"

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

// A program chooses what its folder has, and each look into it costs the node time. So a look ends at as many files and at as
// many levels. A task that has more of them is ended: what is below could not be counted.
const (
	mostFiles  = 100_000
	mostLevels = 100
)

// endTooLarge ends the programs whose folders hold more than they may, and, where the disk is nearly full, the one that
// holds most. What a program writes elsewhere is not seen: this runtime isolates nothing.
func (r *supervised) endTooLarge(running []folder) error {
	var disk unix.Statfs_t
	if err := unix.Statfs(r.dir, &disk); err != nil {
		return openflow.Errorf(openflow.CodeInternal, "process folder: %w", err)
	}
	return endLargest(running, disk.Bavail*uint64(disk.Bsize))
}

// endLargest does so on a disk with that much free. What fails for one program keeps no other.
func endLargest(running []folder, free uint64) error {
	var largest folder
	var wrong []error
	most := int64(blameless)
	for _, f := range running {
		rec, err := f.record()
		if openflow.CodeOf(err) == openflow.CodeNotFound || errors.Is(err, errDamaged) {
			continue // it has ended and was removed
		}
		if err != nil {
			wrong = append(wrong, err)
			continue
		}
		if alive, err := f.held(supervisorLock); err != nil || !alive {
			continue // it has ended meanwhile; what it left goes with it
		}
		limit := rec.Spec.Limits.DiskBytes
		if limit == 0 && free >= scarce {
			continue
		}
		c := f.count(limit)
		switch {
		case limit > 0 && c.bytes > limit:
			wrong = append(wrong, f.endFor(fmt.Sprintf("its files hold more than the %d bytes that the task may write", limit)))
		case limit > 0 && c.tooMany:
			wrong = append(wrong, f.endFor(fmt.Sprintf("it has more than %d files, or more than %d levels of folders", mostFiles, mostLevels)))
		case c.tooMany: // and nobody knows how much it holds
			largest, most = f, math.MaxInt64
		case c.bytes > most:
			largest, most = f, c.bytes
		}
	}
	if free < scarce && largest.path != "" {
		wrong = append(wrong, largest.endFor("the disk of its machine is nearly full, and of all programs its files hold most: "+amount(most)))
	}
	return errors.Join(wrong...)
}

func amount(bytes int64) string {
	if bytes == math.MaxInt64 {
		return "too many to count"
	}
	return fmt.Sprintf("%d bytes", bytes)
}

// counted is what a look into a folder has seen.
type counted struct {
	limit   int64 // 0: none
	bytes   int64
	files   int
	tooMany bool // files or levels, and the rest was not looked at
}

// count adds up what the files of a container take on the disk, until it is more than limit; 0: no limit. What cannot be
// looked at is passed over: a program that runs removes files, and may hide some on purpose.
func (f folder) count(limit int64) counted {
	c := counted{limit: limit}
	if fd, err := openFolder(unix.AT_FDCWD, f.path); err == nil {
		c.folder(fd, 1)
	}
	return c
}

// openFolder opens a folder in another one. No path is ever longer than one name, however deep the folders are, and no link is
// followed.
func openFolder(in int, name string) (int, error) {
	return unix.Openat(in, name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
}

func (c *counted) enough() bool { return c.tooMany || c.limit > 0 && c.bytes > c.limit }

// folder counts an open folder, closes it, and goes on with those in it.
func (c *counted) folder(fd, level int) {
	const batch = 1024 // names in memory at a time
	dir := os.NewFile(uintptr(fd), "folder")
	defer closeFile(dir)
	for {
		names, err := dir.Readdirnames(batch)
		for _, name := range names {
			if c.entry(fd, name, level); c.enough() {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

func (c *counted) entry(in int, name string, level int) {
	if c.files++; c.files > mostFiles {
		c.tooMany = true
		return
	}
	var stat unix.Stat_t
	if unix.Fstatat(in, name, &stat, unix.AT_SYMLINK_NOFOLLOW) != nil {
		return
	}
	c.bytes += max(leastFile, stat.Blocks*512)
	if stat.Mode&unix.S_IFMT != unix.S_IFDIR || c.enough() {
		return
	}
	if level == mostLevels {
		c.tooMany = true
		return
	}
	if fd, err := openFolder(in, name); err == nil {
		c.folder(fd, level+1)
	}
}

// endFor kills a program and all that it has started, and leaves word why.
func (f folder) endFor(why string) error {
	pid, ok, err := f.pid()
	if err != nil || !ok {
		return err
	}
	// On a full disk there may be no room for the words: what the program has printed goes first.
	note := f.keep(killedFile, strings.NewReader(why))
	if errors.Is(note, unix.ENOSPC) {
		_ = os.Truncate(f.file(stdoutFile), 0)
		note = f.keep(killedFile, strings.NewReader(why))
	}
	return errors.Join(f.signalGroup(pid, unix.SIGKILL), ignoreGone(f.name, note))
}
