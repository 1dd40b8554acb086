package home

import (
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"openflow"
)

// The reserve is room on the disk that nobody else can take: two files without content. On a full disk it is given up, so
// that the databases can write what ends jobs and deletes data. A node that runs gives up one of them; the other is for
// its next start, which needs room to open the databases.
var reserve = []string{"reserve-1", "reserve-2"}

const (
	// reserveBytes is the size of each of them. A start and a few hundred deletions write a tenth of it.
	reserveBytes = 32 << 20
	// spareBytes is what Spare takes at a time of the second: a command writes less. It leaves startBytes for the next start.
	spareBytes = 4 << 20
	startBytes = 16 << 20
)

// ReserveEvery is how often KeepReserve is to be called.
const ReserveEvery = 2 * time.Second

// fullBelow is the space below which a database may not be able to write any more, in bytes.
const fullBelow = 16 << 20

// makeRoom gives up the whole reserve when the disk is full, and tells whether it was.
func (h *Home) makeRoom() (bool, error) {
	free, err := h.free()
	if err != nil || free >= fullBelow {
		return false, err
	}
	for _, name := range reserve {
		if err := h.giveUp(name); err != nil {
			return true, err
		}
	}
	return true, nil
}

// KeepReserve gives up the first part of the reserve when the disk is full, and makes what is missing once there is room for
// it beside what is left free.
func (h *Home) KeepReserve() error {
	h.giving.Lock()
	defer h.giving.Unlock()
	free, err := h.free()
	if err != nil {
		return err
	}
	if free < fullBelow {
		return h.giveUp(reserve[0])
	}
	for i := len(reserve) - 1; i >= 0; i-- { // that of the next start first
		held, err := os.Stat(h.Path(reserve[i]))
		if err == nil && held.Size() >= reserveBytes || err != nil && !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if free < minFree+reserveBytes {
			return nil
		}
		if err := h.hold(reserve[i]); err != nil {
			return err
		}
		free -= reserveBytes
	}
	return nil
}

// Spare makes a little room on a full disk for a command that ends or deletes something. It gives up the first part of the
// reserve, then some of the second, as long as the next start has enough. CodeExhausted: there is no more to give.
func (h *Home) Spare() error {
	h.giving.Lock()
	defer h.giving.Unlock()
	free, err := h.free()
	if err != nil || free >= spareBytes {
		return err
	}
	if _, err := os.Stat(h.Path(reserve[0])); err == nil {
		return h.giveUp(reserve[0])
	}
	path := h.Path(reserve[1])
	held, err := os.Stat(path)
	if err == nil && held.Size() >= startBytes+spareBytes {
		if err = os.Truncate(path, held.Size()-spareBytes); err == nil {
			return nil
		}
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return openflow.Errorf(openflow.CodeInternal, "the reserve of home %s cannot be given up: %w", h.Dir, err)
	}
	return openflow.Errorf(openflow.CodeExhausted, "the disk of home %s is full, and the rest of its reserve is for the next start", h.Dir).
		WithHint(restart).WithPublic("its disk is full")
}

// restart is what helps where a node can write nothing any more.
const restart = "restart the node, which then gives up the rest of its reserve, and repeat the command; or free space on the disk"

// Vigil looks after the space of a home, and tells the log what becomes of it.
type Vigil struct {
	Home *Home
	Log  *slog.Logger
	Now  func() time.Time

	since, told time.Time // the disk has been nearly full; zero: it is not
}

// tellEvery is how often a disk that stays nearly full is told again.
const tellEvery = 10 * time.Minute

// Look keeps the reserve, and says when the disk becomes nearly full, now and then while it is, and when there is room again.
func (v *Vigil) Look() error {
	err := v.Home.KeepReserve()
	short, now := v.Home.CheckSpace(), v.Now()
	switch {
	case short == nil && !v.since.IsZero():
		v.Log.Info("the disk has room again", "home", v.Home.Dir, "after", now.Sub(v.since).Round(time.Second))
		v.since = time.Time{}
	case short != nil && v.since.IsZero():
		v.since, v.told = now, now
		v.Log.Error("the disk is nearly full", "home", v.Home.Dir, "err", short)
	case short != nil && now.Sub(v.told) >= tellEvery:
		v.told = now
		v.Log.Error("the disk is still nearly full", "home", v.Home.Dir, "since", v.since, "err", short)
	}
	return err
}

func (h *Home) free() (uint64, error) {
	free, err := h.Free(h.Dir)
	if err != nil {
		return 0, openflow.Errorf(openflow.CodeInternal, "free space of %s: %w", h.Dir, err)
	}
	return free, nil
}

func (h *Home) giveUp(name string) error {
	if err := os.Remove(h.Path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return openflow.Errorf(openflow.CodeInternal, "the reserve of home %s cannot be given up: %w", h.Dir, err)
	}
	return nil
}

// hold makes a part of the reserve, all of it or nothing.
func (h *Home) hold(name string) error {
	made := h.Path(name + ".new")
	err := allocate(made)
	if err == nil {
		err = os.Rename(made, h.Path(name))
	}
	if err == nil {
		return nil
	}
	_ = os.Remove(made) // it is made anew the next time
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		return nil // somebody was faster; it is tried again
	}
	return openflow.Errorf(openflow.CodeInternal, "the reserve of home %s cannot be made: %w", h.Dir, err)
}

// allocate makes a file that has its room on the disk. Where the file system cannot promise that, zeros take it.
func allocate(path string) (err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	err = unix.Fallocate(int(f.Fd()), 0, 0, reserveBytes)
	if !errors.Is(err, unix.EOPNOTSUPP) {
		return err
	}
	zeros := make([]byte, 1<<20)
	for range reserveBytes / len(zeros) {
		if _, err := f.Write(zeros); err != nil {
			return err
		}
	}
	return nil
}
