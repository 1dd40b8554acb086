package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/google/uuid"
	"golang.org/x/sys/unix"

	"openflow"
)

// homeFormat is the layout of the home folder that this version reads and writes. A newer one is refused.
const homeFormat = 1

// minFree is the space below which a node does not start, in bytes: a full disk in the middle of a write is worse.
const minFree = 128 << 20

// home is the node's folder, locked for this process.
type home struct {
	dir  string
	lock *os.File
	free func(dir string) (uint64, error) // space left, in bytes
	identity
}

// identity is what the folder says of itself.
type identity struct {
	Format   int              `json:"format"`
	Node     string           `json:"node"` // UUID: whose containers are whose
	Party    openflow.PartyID `json:"party"`
	BasePort int              `json:"base_port,omitempty"` // running containers know this port
}

// openHome makes or opens the folder, takes its lock, and checks that it is this party's and not a newer version's.
func openHome(dir string, party openflow.PartyID) (*home, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeInvalid, "home %q: %w", dir, err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, openflow.Errorf(openflow.CodeInvalid, "home %s cannot be made: %w", dir, err).WithHint("choose another with --home")
	}
	if err := private(dir); err != nil {
		return nil, err
	}
	lock, err := lockFile(filepath.Join(dir, "lock"))
	if err != nil {
		return nil, err
	}
	h := &home{dir: dir, lock: lock, free: freeSpace}
	if err := h.load(party); err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return h, nil
}

func private(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return openflow.Errorf(openflow.CodeInvalid, "home %s: %w", dir, err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return openflow.Errorf(openflow.CodeInvalid, "home %s is open to other users (mode %04o)", dir, info.Mode().Perm()).
			WithHint("chmod 700 %s", dir)
	}
	return nil
}

// lockFile takes the lock that keeps a second server off the folder. It is held as long as the file is open, so a killed
// process leaves none behind.
func lockFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, notLocked(path, err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close() // nothing was written
		return nil, openflow.Errorf(openflow.CodeConflict, "another node runs on home %s", filepath.Dir(path)).
			WithHint("stop it first, or give this one another --home")
	}
	return f, nil
}

// notLocked tells what to do about a lock file that cannot be opened. Most often somebody else has started the node once.
func notLocked(path string, err error) error {
	e := openflow.Errorf(openflow.CodeInvalid, "lock of the home folder: %w", err)
	if !errors.Is(err, fs.ErrPermission) {
		return e
	}
	home := filepath.Dir(path)
	return e.WithHint("run as the user that owns %s, or give that user all of it: chown -R USER %s", home, home)
}

func (h *home) load(party openflow.PartyID) error {
	if err := h.checkSpace(); err != nil {
		return err
	}
	b, err := os.ReadFile(h.path("home.json"))
	if errors.Is(err, fs.ErrNotExist) {
		h.identity = identity{Format: homeFormat, Node: uuid.NewString(), Party: party}
		return h.save()
	}
	if err != nil {
		return openflow.Errorf(openflow.CodeInvalid, "home %s: %w", h.dir, err)
	}
	if err := json.Unmarshal(b, &h.identity); err != nil {
		return openflow.Errorf(openflow.CodeInvalid, "home %s: home.json is damaged: %w", h.dir, err)
	}
	if h.Format > homeFormat {
		return openflow.Errorf(openflow.CodeConflict, "home %s was made by a newer version (format %d, this one reads %d)", h.dir, h.Format, homeFormat).
			WithHint("run the newer version, or give this one another --home")
	}
	if h.Party != party {
		return openflow.Errorf(openflow.CodeConflict, "home %s belongs to party %s, not %s", h.dir, h.Party, party).
			WithHint("give party %s a --home of its own", party)
	}
	return nil
}

// checkSpace refuses to start on a disk that is full already.
func (h *home) checkSpace() error {
	free, err := h.free(h.dir)
	if err != nil {
		return openflow.Errorf(openflow.CodeInternal, "free space of %s: %w", h.dir, err)
	}
	if free < minFree {
		return openflow.Errorf(openflow.CodeExhausted, "the disk of home %s has %d MiB left", h.dir, free>>20).
			WithHint("free at least %d MiB", minFree>>20)
	}
	return nil
}

func freeSpace(dir string) (uint64, error) {
	var s unix.Statfs_t
	err := unix.Statfs(dir, &s)
	return s.Bavail * uint64(s.Bsize), err
}

// save replaces home.json as a whole, so that a crash leaves the old or the new one.
func (h *home) save() error {
	b, err := json.MarshalIndent(h.identity, "", "  ")
	if err != nil {
		return openflow.Errorf(openflow.CodeInternal, "home.json: %w", err)
	}
	temp := h.path("home.json.new")
	if err := os.WriteFile(temp, append(b, '\n'), 0o600); err != nil {
		return openflow.Errorf(openflow.CodeExhausted, "home %s cannot be written: %w", h.dir, err)
	}
	if err := os.Rename(temp, h.path("home.json")); err != nil {
		return openflow.Errorf(openflow.CodeInternal, "home %s cannot be written: %w", h.dir, err)
	}
	return nil
}

func (h *home) path(elem ...string) string { return filepath.Join(append([]string{h.dir}, elem...)...) }

// folder makes a folder of the home, for this user only.
func (h *home) folder(name string) (string, error) {
	p := h.path(name)
	if err := os.MkdirAll(p, 0o700); err != nil {
		return "", openflow.Errorf(openflow.CodeInternal, "folder %s: %w", p, err)
	}
	return p, nil
}

// Close gives the lock back.
func (h *home) Close() error {
	if err := h.lock.Close(); err != nil {
		return fmt.Errorf("lock of the home folder: %w", err)
	}
	return nil
}
