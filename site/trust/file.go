package trust

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"openflow"
)

// secretBytes is the size of a random secret.
const secretBytes = 32

// privateMask are the permission bits that a secret must not have.
const privateMask = 0o077

// loadOrCreate returns the text in the file of that name in dir, without surrounding space. When there is none it stores
// fresh's. Of several processes that do so at once, one wins and all return the same. Folder and file must be closed to
// everybody else: CodePermission says how to close them.
func loadOrCreate(dir, name string, fresh func() string) (string, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fileError("create folder", dir, err)
	}
	if err := checkPrivate(dir, "700"); err != nil {
		return "", err
	}
	path := filepath.Join(dir, name)
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		if err := writeOnce(dir, path, fresh()); err != nil {
			return "", fileError("write", path, err)
		}
	}
	if err := checkPrivate(path, "600"); err != nil {
		return "", err
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return "", fileError("read", path, err)
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

func checkPrivate(path, mode string) error {
	info, err := os.Stat(path)
	if err != nil {
		return fileError("look at", path, err)
	}
	if perm := info.Mode().Perm(); perm&privateMask != 0 {
		return openflow.Errorf(openflow.CodePermission, "%s is open to other users of this machine (mode %04o)", path, perm).
			WithHint("close it: chmod %s %s", mode, path)
	}
	return nil
}

func fileError(doing, path string, err error) error {
	code := openflow.CodeInternal
	if errors.Is(err, fs.ErrPermission) {
		code = openflow.CodePermission
	}
	return openflow.Errorf(code, "%s %s: %w", doing, path, err)
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
