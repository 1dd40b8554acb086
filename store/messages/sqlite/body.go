package sqlite

import (
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"openflow"
)

// inlineBytes is the largest payload that is kept in its row. Above it a file is several times faster: SQLite writes
// every page twice.
const inlineBytes = 64 << 10

const unfinished = ".part"

// bodies is the folder of the large payloads. A name is never used twice.
type bodies struct {
	dir     string
	durable bool
}

func newBodyName() string { return rand.Text() }

// write makes the file name appear with all of payload or not at all.
func (b bodies) write(name string, payload []byte) error {
	part := filepath.Join(b.dir, name+unfinished)
	if err := b.fill(part, payload); err != nil {
		return errors.Join(err, b.remove(name+unfinished))
	}
	if err := os.Rename(part, filepath.Join(b.dir, name)); err != nil {
		return err
	}
	if !b.durable {
		return nil
	}
	return syncFolder(b.dir)
}

func (b bodies) fill(path string, payload []byte) (err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if _, err := f.Write(payload); err != nil {
		return err
	}
	if !b.durable {
		return nil
	}
	return f.Sync()
}

func syncFolder(dir string) (err error) {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return f.Sync()
}

// read returns the payload of a file that was written with size bytes. A power loss can shorten one that was not
// written durably.
func (b bodies) read(name string, size int64) ([]byte, error) {
	payload, err := os.ReadFile(filepath.Join(b.dir, name))
	if err != nil {
		return nil, err
	}
	if int64(len(payload)) != size {
		return nil, openflow.Errorf(openflow.CodeInternal, "message body %s has %d of %d bytes", name, len(payload), size)
	}
	return payload, nil
}

// remove deletes a file; one that is gone already is fine.
func (b bodies) remove(name string) error {
	if err := os.Remove(filepath.Join(b.dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// list names all files, finished or not.
func (b bodies) list() ([]string, error) {
	entries, err := os.ReadDir(b.dir)
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names, nil
}

// body is the name of the message body that a file in the folder belongs to.
func body(file string) string { return strings.TrimSuffix(file, unfinished) }
