// Package home is the folder of a node or worker: whose it is, its lock, the space that it has left, and a reserve of it for
// a full disk.
package home

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sys/unix"

	"openflow"
	"openflow/site/trust"
)

// Format is the layout of the home folder that this version reads and writes. A newer one is refused.
const Format = 1

// minFree is the space below which nothing new is taken, in bytes: a full disk in the middle of a write is worse.
const minFree = 128 << 20

// Home is the folder, locked for this process.
type Home struct {
	Identity
	Dir  string
	Free func(dir string) (uint64, error) // space left, in bytes

	// Freed tells that the disk was full at the start, so that the reserve was given up.
	Freed bool

	lock   *os.File
	giving sync.Mutex // of the reserve
}

// Identity is what the folder says of itself.
type Identity struct {
	Format   int              `json:"format"`
	Node     string           `json:"node"` // UUID: whose containers are whose
	Party    openflow.PartyID `json:"party"`
	BasePort int              `json:"base_port,omitempty"` // running containers know this port
}

// Open makes or opens the folder, takes its lock, and checks that it is this party's and not a newer version's.
func Open(dir string, party openflow.PartyID) (*Home, error) {
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
	lock, err := Lock(dir)
	if err != nil {
		return nil, err
	}
	h := &Home{Dir: dir, lock: lock, Free: freeSpace}
	h.Freed, err = h.makeRoom()
	if err == nil {
		err = h.load(party)
	}
	if err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return h, nil
}

// private refuses a folder that other users of the machine can look into, own, or have put something into.
func private(dir string) error {
	link, wrong := os.Lstat(dir)
	info, err := os.Stat(dir)
	if err := errors.Join(wrong, err); err != nil {
		return openflow.Errorf(openflow.CodeInvalid, "home %s: %w", dir, err)
	}
	if err := errors.Join(trust.CheckOwner(dir, link), trust.CheckOwner(dir, info)); err != nil {
		return err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return openflow.Errorf(openflow.CodePermission, "home %s: %w", dir, err).WithHint("run as its owner")
	}
	for _, e := range entries {
		its, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // another process has taken it away
		}
		if err != nil {
			return openflow.Errorf(openflow.CodeInternal, "home %s: %w", dir, err)
		}
		if err := trust.CheckOwner(filepath.Join(dir, e.Name()), its); err != nil {
			return err
		}
	}
	if info.Mode().Perm()&0o077 != 0 {
		return openflow.Errorf(openflow.CodeInvalid, "home %s is open to other users (mode %04o)", dir, info.Mode().Perm()).
			WithHint("chmod 700 %s", dir)
	}
	return nil
}

// Lock takes the lock that keeps a second server off the folder. It is held as long as the file is open, so a killed
// process leaves none behind.
func Lock(dir string) (*os.File, error) {
	path := filepath.Join(dir, "lock")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, notLocked(path, err)
	}
	for begin := time.Now(); unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) != nil; {
		if time.Since(begin) > forked {
			_ = f.Close() // nothing was written
			return nil, openflow.Errorf(openflow.CodeConflict, "another node runs on home %s", filepath.Dir(path)).
				WithHint("stop it first, or give this one another --home")
		}
		time.Sleep(20 * time.Millisecond)
	}
	return f, nil
}

// forked is how long the lock of a process that has ended or closed it may live on: in a child of it that is forked and
// does not run its own program yet.
const forked = 2 * time.Second

// notLocked tells what to do about a lock file that cannot be opened. Most often somebody else has started the node once.
func notLocked(path string, err error) error {
	e := openflow.Errorf(openflow.CodeInvalid, "lock of the home folder: %w", err)
	if !errors.Is(err, fs.ErrPermission) {
		return e
	}
	home := filepath.Dir(path)
	return e.WithHint("run as the user that owns %s, or give that user all of it: chown -R USER %s", home, home)
}

func (h *Home) load(party openflow.PartyID) error {
	b, err := os.ReadFile(h.Path("home.json"))
	if errors.Is(err, fs.ErrNotExist) {
		if err := h.CheckSpace(); err != nil { // nothing is here yet that would be needed
			return err
		}
		h.Identity = Identity{Format: Format, Node: uuid.NewString(), Party: party}
		return h.Save()
	}
	if err != nil {
		return openflow.Errorf(openflow.CodeInvalid, "home %s: %w", h.Dir, err)
	}
	if err := json.Unmarshal(b, &h.Identity); err != nil {
		return openflow.Errorf(openflow.CodeInvalid, "home %s: home.json is damaged: %w", h.Dir, err)
	}
	if h.Format > Format {
		return openflow.Errorf(openflow.CodeConflict, "home %s was made by a newer version (format %d, this one reads %d)", h.Dir, h.Format, Format).
			WithHint("run the newer version, or give this one another --home")
	}
	if h.Party != party {
		return openflow.Errorf(openflow.CodeConflict, "home %s belongs to party %s, not %s", h.Dir, h.Party, party).
			WithHint("give party %s a --home of its own", party)
	}
	return nil
}

// CheckSpace refuses to take anything new on a disk that is nearly full. What is here goes on, and can be ended and deleted.
func (h *Home) CheckSpace() error {
	free, err := h.free()
	if err != nil {
		return err
	}
	if free < fullBelow {
		return openflow.Errorf(openflow.CodeExhausted, "the disk of home %s is full: it has %d MiB left, so nothing new is taken", h.Dir, free>>20).
			WithHint("free %d MiB at least: stop jobs, delete tables and models, or make the disk larger; where a command fails for lack of space, %s",
				minFree>>20, restart).
			WithPublic("its disk is full, so that it takes nothing new")
	}
	if free < minFree {
		return openflow.Errorf(openflow.CodeExhausted, "the disk of home %s has %d MiB left, so nothing new is taken", h.Dir, free>>20).
			WithHint("free %d MiB at least: stop jobs, delete tables and models, or make the disk larger", minFree>>20).
			WithPublic("its disk is nearly full, so that it takes nothing new")
	}
	return nil
}

func freeSpace(dir string) (uint64, error) {
	var s unix.Statfs_t
	err := unix.Statfs(dir, &s)
	return s.Bavail * uint64(s.Bsize), err
}

// Save replaces home.json as a whole, so that a crash leaves the old or the new one.
func (h *Home) Save() error {
	b, err := json.MarshalIndent(h.Identity, "", "  ")
	if err != nil {
		return openflow.Errorf(openflow.CodeInternal, "home.json: %w", err)
	}
	temp := h.Path("home.json.new")
	if err := os.WriteFile(temp, append(b, '\n'), 0o600); err != nil {
		return openflow.Errorf(openflow.CodeExhausted, "home %s cannot be written: %w", h.Dir, err)
	}
	if err := os.Rename(temp, h.Path("home.json")); err != nil {
		return openflow.Errorf(openflow.CodeInternal, "home %s cannot be written: %w", h.Dir, err)
	}
	return nil
}

// Path is the path of something in the folder.
func (h *Home) Path(elem ...string) string { return filepath.Join(append([]string{h.Dir}, elem...)...) }

// Folder makes a folder of the home, for this user only.
func (h *Home) Folder(name string) (string, error) {
	p := h.Path(name)
	if err := os.MkdirAll(p, 0o700); err != nil {
		return "", openflow.Errorf(openflow.CodeInternal, "folder %s: %w", p, err)
	}
	return p, nil
}

// Close gives the lock back.
func (h *Home) Close() error {
	if err := h.lock.Close(); err != nil {
		return fmt.Errorf("lock of the home folder: %w", err)
	}
	return nil
}

// ReadIdentity is what a home folder says of itself. An error that fs.ErrNotExist recognises: no node has started in it.
func ReadIdentity(dir string) (id Identity, err error) {
	b, err := os.ReadFile(filepath.Join(dir, "home.json"))
	if err != nil {
		return id, err
	}
	if err := json.Unmarshal(b, &id); err != nil {
		return id, openflow.Errorf(openflow.CodeInvalid, "home %s: home.json is damaged: %w", dir, err)
	}
	return id, nil
}

// NodeOf is the UUID of the node in a home folder. Its errors are those of ReadIdentity.
func NodeOf(dir string) (string, error) {
	id, err := ReadIdentity(dir)
	return id.Node, err
}
