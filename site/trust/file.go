package trust

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"openflow"
)

// secretBytes is the size of a random secret.
const secretBytes = 32

// privateMask are the permission bits that a secret must not have.
const privateMask = 0o077

// loadOrCreate returns the text in the file of that name in dir, without surrounding space. When there is none it stores
// fresh's. Of several processes that do so at once, one wins and all return the same. Folder and file must be closed to
// everybody else, and belong to this user or root: CodePermission says what to do.
func loadOrCreate(dir, name string, fresh func() string) (string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fileError("create folder", dir, err)
	}
	if err := CheckFolder(dir, privateMask); err != nil {
		return "", err
	}
	path := filepath.Join(dir, name)
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		if err := writeOnce(dir, path, fresh()); err != nil {
			return "", fileError("write", path, err)
		}
	}
	text, err := ReadPrivate(path)
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(text)), nil
}

// writeOnce makes path with text, whole or not at all; a file that appeared meanwhile stays. A link, unlike a rename,
// does not replace it.
func writeOnce(dir, path, text string) (err error) {
	f, err := os.CreateTemp(dir, ".new-*") // 0600
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.Remove(f.Name())) }()
	_, werr := f.WriteString(text + "\n")
	if err := errors.Join(werr, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncFolder(dir)
}

// syncFolder makes a new name survive a power failure.
func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// CheckFolder refuses a folder that others have any of these permissions for, or that belongs to neither this user nor root, or a
// link to it that does not. CodePermission, with the remedy.
func CheckFolder(dir string, others fs.FileMode) error {
	info, err := os.Lstat(dir)
	if err == nil && info.Mode()&fs.ModeSymlink != 0 {
		if err := CheckOwner(dir, info); err != nil {
			return err
		}
		info, err = os.Stat(dir)
	}
	if err != nil {
		return fileError("look at", dir, err)
	}
	return errors.Join(CheckOwner(dir, info), closed(dir, info, others, "700"))
}

func closed(path string, info fs.FileInfo, others fs.FileMode, mode string) error {
	if perm := info.Mode().Perm(); perm&others != 0 {
		return openflow.Errorf(openflow.CodePermission, "%s is open to other users of this machine (mode %04o)", path, perm).
			WithHint("close it: chmod %s %s", mode, path)
	}
	return nil
}

// CheckOwner refuses a file or folder that belongs to neither the user of this process nor root: its owner may change it at
// any time. info is what the system says of it, of a link or of what that leads to. CodePermission.
func CheckOwner(path string, info fs.FileInfo) error {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok || s.Uid == 0 || int(s.Uid) == os.Geteuid() {
		return nil
	}
	return openflow.Errorf(openflow.CodePermission, "%s belongs to user %d of this machine, and this is user %d", path, s.Uid, os.Geteuid()).
		WithHint("%s", leave(path, s.Uid, os.Geteuid()))
}

// leave says what to do about a file of another user. Root is never told to take it: most often it is a service's, which could
// not use it any more.
func leave(path string, owner uint32, me int) string {
	name := strconv.FormatUint(uint64(owner), 10)
	as := "#" + name // of a user who has no name here
	if known, err := user.LookupId(name); err == nil {
		name, as = known.Username, known.Username
	}
	if me == 0 {
		return fmt.Sprintf("run it as that user: put sudo -u '%s' before the command; if user %s should own nothing here, see who has put it there", as, name)
	}
	return fmt.Sprintf("run it as that user: put sudo -u '%s' before the command; or, if it is yours, have it given to you: sudo chown -R %d %s", as, me, path)
}

// LoadOrCreateSecret returns the text of a secret in the file of that name in dir, and makes it with fresh where there is none.
// Folder and file must be closed to others, as for LoadOrCreateKey.
func LoadOrCreateSecret(dir, name string, fresh func() string) (string, error) {
	return loadOrCreate(dir, name, fresh)
}

// maxPrivate bounds a file of a secret, and of certificates.
const maxPrivate = 64 << 10

// ReadPrivate reads a file of a secret, which must belong to this user or root and be closed to everybody else, as must the link
// that leads to it. What has been looked at is what is read. Errors: CodePermission, with the remedy; CodeInternal.
func ReadPrivate(path string) ([]byte, error) { return ReadOwned(path, privateMask) }

// ReadOwned is ReadPrivate for a file for which others must not have these permissions, and may have the rest.
func ReadOwned(path string, others fs.FileMode) ([]byte, error) {
	if link, err := os.Lstat(path); err != nil {
		return nil, fileError("look at", path, err)
	} else if err := CheckOwner(path, link); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // no waiting for who writes into a pipe of that name
	if err != nil {
		return nil, fileError("open", path, err)
	}
	defer func() { _ = f.Close() }() // it was only read
	info, err := f.Stat()
	if err != nil {
		return nil, fileError("look at", path, err)
	}
	if err := errors.Join(CheckOwner(path, info), closed(path, info, others, "600")); err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, openflow.Errorf(openflow.CodePermission, "%s is not a file", path)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxPrivate))
	if err != nil {
		return nil, fileError("read", path, err)
	}
	return text, nil
}

func fileError(doing, path string, err error) error {
	code := openflow.CodeInternal
	if errors.Is(err, fs.ErrPermission) {
		code = openflow.CodePermission
	}
	e := openflow.Errorf(code, "%s %s: %w", doing, path, err)
	if code == openflow.CodePermission {
		return e.WithHint("run it as the user that owns the folder (ls -ld %s), and see that this user owns what is in it", filepath.Dir(path))
	}
	return e
}

// randomText is a fresh secret as text without punctuation that shells or URLs mind.
func randomText(n int) string {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails: it stops the program instead
	return base64.RawURLEncoding.EncodeToString(b)
}

// strictBase64 has one text only for every value.
var strictBase64 = base64.RawURLEncoding.Strict()

var errEncoding = errors.New("wrong length or line breaks")

// decodeExact reads n bytes of base64url. The decoder alone would skip line breaks.
func decodeExact(s string, n int) ([]byte, error) {
	b, err := strictBase64.DecodeString(s)
	if err == nil && (len(b) != n || strings.ContainsAny(s, "\r\n")) {
		err = errEncoding
	}
	return b, err
}
