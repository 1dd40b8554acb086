package programs

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"openflow"
)

// maxPath is how many bytes the path of a program may have.
const maxPath = 4 << 10

// sort is what a file is to be used as.
type sort struct {
	what   string
	access uint32 // that this user must have
	most   int64  // bytes
	empty  bool   // it may be empty
}

var (
	aProgram  = sort{what: "a program", access: unix.X_OK, most: 1 << 30}
	anArchive = sort{what: "an archive", access: unix.R_OK, most: 32 << 30}
)

// Inspect looks at the file that is to be registered as a program and gives its path, free of links, and its digest. It
// must be a regular file that may be executed. Nobody but root and this user may be able to change it, or a folder above
// it. Otherwise any user of the machine would choose what this node executes. Errors: CodeInvalid.
func Inspect(path string) (clean, digest string, err error) { return inspect(path, aProgram) }

func inspect(path string, as sort) (clean, digest string, err error) {
	if err := checkPath(path); err != nil {
		return "", "", err
	}
	info, err := os.Lstat(path)
	if err != nil {
		return "", "", unusable(path, as, err)
	}
	if info.Mode().Type() == fs.ModeSymlink {
		target, _ := filepath.EvalSymlinks(path)
		return "", "", openflow.Errorf(openflow.CodeInvalid, "%s is a link, and what it leads to may change", path).
			WithHint("name the file itself: %s", target)
	}
	if clean, err = filepath.EvalSymlinks(path); err != nil {
		return "", "", unusable(path, as, err)
	}
	if err := closed(clean, as); err != nil {
		return "", "", err
	}
	if _, digest, err = read(clean, as, io.Discard); err != nil {
		return "", "", unusable(path, as, err)
	}
	return clean, digest, nil
}

func checkPath(path string) error {
	switch {
	case len(path) > maxPath || strings.ContainsFunc(path, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return openflow.Errorf(openflow.CodeInvalid, "%q is not the path of a program", openflow.Cut(path, 80))
	case !filepath.IsAbs(path) || filepath.Clean(path) != path:
		return openflow.Errorf(openflow.CodeInvalid, "%q is not a whole path", path).WithHint("write it from the root, like /opt/acme/components")
	}
	return nil
}

func unusable(path string, as sort, err error) error {
	var whole *fs.PathError
	if errors.As(err, &whole) {
		err = whole.Err
	}
	hint := "name a file that this node's user may read"
	if as.access == unix.X_OK {
		hint += "; what is no archive of an image is taken for a program, which must be executable"
	}
	return openflow.Errorf(openflow.CodeInvalid, "%s cannot be used as %s: %w", path, as.what, err).WithHint("%s", hint)
}

// closed refuses a file that somebody else can change, or replace in one of the folders above it.
func closed(path string, as sort) error {
	for at := path; ; at = filepath.Dir(at) {
		if err := own(at, as); err != nil {
			return err
		}
		if at == filepath.Dir(at) {
			return nil
		}
	}
}

// own refuses a file or folder that somebody else can change; see changeable.
func own(path string, as sort) error {
	info, err := os.Lstat(path)
	if err != nil {
		return unusable(path, as, err)
	}
	uid, gid := 0, 0
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		uid, gid = int(stat.Uid), int(stat.Gid)
	}
	if changeable(info.Mode(), uid, gid) {
		return openflow.Errorf(openflow.CodeInvalid, "it cannot be used as %s: other users can change %s", as.what, path).
			WithHint("put it where only root and this node's user may write")
	}
	return nil
}

// changeable reports whether others than root and this user, and the groups of both, can change what has that mode and these
// owners. In a folder like /tmp nobody replaces what is another's.
func changeable(mode fs.FileMode, uid, gid int) bool {
	switch {
	case uid != 0 && uid != os.Geteuid():
		return true
	case mode.IsDir() && mode&fs.ModeSticky != 0:
		return false
	}
	return mode.Perm()&0o002 != 0 || mode.Perm()&0o020 != 0 && gid != 0 && gid != os.Getegid()
}

// identity tells whether a file is still the one that was read: content that changes changes one of these.
type identity struct {
	device, inode uint64
	size          int64
	written       unix.Timespec
	changed       unix.Timespec
}

// settled is how old a change must be for the next one to have another time: file systems count in ticks.
const settled = time.Second

func (i identity) young() bool { return time.Since(time.Unix(i.changed.Unix())) < settled }

// open opens a file, whatever stands at its path by now: it neither follows a link nor waits for a pipe.
func open(path string, as sort) (*os.File, identity, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, identity{}, err
	}
	f := os.NewFile(uintptr(fd), path)
	id, err := stat(fd, as)
	if err == nil {
		err = unix.Faccessat(unix.AT_FDCWD, path, as.access, unix.AT_EACCESS)
	}
	if err != nil {
		return nil, id, errors.Join(err, f.Close())
	}
	return f, id, nil
}

func stat(fd int, as sort) (identity, error) {
	var s unix.Stat_t
	if err := unix.Fstat(fd, &s); err != nil {
		return identity{}, err
	}
	switch {
	case s.Mode&unix.S_IFMT != unix.S_IFREG:
		return identity{}, errors.New("it is not a regular file")
	case s.Size == 0 && !as.empty:
		return identity{}, errors.New("it is empty")
	case s.Size > as.most:
		return identity{}, fmt.Errorf("it has %d bytes, more than %d", s.Size, as.most)
	}
	return identity{uint64(s.Dev), s.Ino, s.Size, s.Mtim, s.Ctim}, nil
}

// read copies a file and gives its digest.
func read(path string, as sort, to io.Writer) (id identity, digest string, err error) {
	f, id, err := open(path, as)
	if err != nil {
		return id, "", err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	sum := sha256.New()
	if _, err = io.Copy(io.MultiWriter(sum, to), io.LimitReader(f, as.most)); err != nil {
		return id, "", err
	}
	after, err := stat(int(f.Fd()), as)
	if err == nil && after != id {
		err = errors.New("it changed while it was read")
	}
	return id, "sha256:" + hex.EncodeToString(sum.Sum(nil)), err
}

// known are the digests of files that were read, so that a start costs a look at the file and not its reading.
type known struct {
	mu    sync.Mutex
	files map[string]digested
}

type digested struct {
	id     identity
	digest string
}

func (k *known) digest(path string, as sort) (string, error) {
	f, id, err := open(path, as)
	if err != nil {
		return "", err
	}
	if err := f.Close(); err != nil {
		return "", err
	}
	k.mu.Lock()
	have, ok := k.files[path]
	k.mu.Unlock()
	if ok && have.id == id {
		return have.digest, nil
	}
	id, digest, err := read(path, as, io.Discard)
	if err != nil {
		return "", err
	}
	if id.young() {
		return digest, nil
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.files == nil {
		k.files = map[string]digested{}
	}
	k.files[path] = digested{id, digest}
	return digest, nil
}
