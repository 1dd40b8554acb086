// Package folder stores objects as files: sha256/ab/cdef… under a folder, written in tmp/ and renamed into place.
//
// It is the embedded store of one node. Several processes may share a folder; only [Store.DeleteBefore] wants to run in
// the process that also puts. Start reading at [Store.Put].
package folder

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"openflow"
	"openflow/store/objects"
)

const (
	objectsDir = "sha256"
	tmpDir     = "tmp"
	fanOut     = 2 // leading hex digits that make the folder: 256 of them
	// abandoned is the age at which a file in tmp/ is of a process that was killed, not of a slow upload.
	abandoned = 24 * time.Hour
)

// temporary is a file being written.
type temporary interface {
	io.WriteCloser
	Sync() error
	Name() string
}

// Store is a folder of objects.
type Store struct {
	dir    string
	create func(dir string) (temporary, error) // replaced in tests, to break the disk

	// placing excludes DeleteBefore while an object gets its name, so that it never removes one that was just put.
	placing sync.RWMutex
}

var _ objects.Store = (*Store)(nil)

// Open opens the store in dir, creating the folder (mode 0700) and removing what killed processes left in tmp/ a day ago.
func Open(dir string) (*Store, error) {
	for _, d := range []string{objectsDir, tmpDir} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o700); err != nil {
			return nil, classify("open object folder "+dir, err)
		}
	}
	s := &Store{dir: dir, create: func(dir string) (temporary, error) { return os.CreateTemp(dir, "put-*") }}
	return s, s.removeAbandoned(time.Now().Add(-abandoned))
}

func (s *Store) removeAbandoned(before time.Time) error {
	entries, err := os.ReadDir(filepath.Join(s.dir, tmpDir))
	if err != nil {
		return classify("open object folder "+s.dir, err)
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil || !info.ModTime().Before(before) {
			continue // gone meanwhile, or still being written
		}
		if err := os.Remove(filepath.Join(s.dir, tmpDir, e.Name())); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return classify("remove an abandoned upload", err)
		}
	}
	return nil
}

func (s *Store) path(digest string) string {
	return filepath.Join(s.dir, objectsDir, digest[:fanOut], digest[fanOut:])
}

// Put implements objects.Store.
func (s *Store) Put(ctx context.Context, r io.Reader) (objects.Ref, error) {
	f, err := s.create(filepath.Join(s.dir, tmpDir))
	if err != nil {
		return objects.Ref{}, classify("store object", err)
	}
	ref, err := write(ctx, f, r)
	if err == nil {
		err = s.place(f.Name(), ref.Digest)
	}
	if err != nil {
		_ = os.Remove(f.Name()) // what stays is removed a day later
		return objects.Ref{}, classify("store object", err)
	}
	return ref, nil
}

// write copies r into f and closes f with its content on the disk.
func write(ctx context.Context, f temporary, r io.Reader) (objects.Ref, error) {
	ref, err := objects.Copy(ctx, f, r)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return objects.Ref{}, err
	}
	return ref, nil
}

// place gives the file its final name, durably. Renaming over an equal object refreshes its time, which is what keeps a
// sweep from removing it.
func (s *Store) place(tmp, digest string) error {
	s.placing.RLock()
	defer s.placing.RUnlock()
	to := s.path(digest)
	parent := filepath.Dir(to)
	switch err := os.Mkdir(parent, 0o700); {
	case err == nil:
		if err := syncFolder(filepath.Dir(parent)); err != nil {
			return err
		}
	case !errors.Is(err, fs.ErrExist):
		return err
	}
	now := time.Now() // what was written last may have taken long to reach the disk
	if err := errors.Join(os.Chtimes(tmp, now, now), os.Rename(tmp, to)); err != nil {
		return err
	}
	return syncFolder(parent)
}

// syncFolder makes new names survive a power failure.
func syncFolder(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// Get implements objects.Store.
func (s *Store) Get(ctx context.Context, digest string, offset int64) (io.ReadCloser, int64, error) {
	if err := errors.Join(objects.CheckDigest(digest), ctx.Err()); err != nil {
		return nil, 0, err
	}
	f, err := os.Open(s.path(digest))
	if err != nil {
		return nil, 0, classify("read object "+digest, err)
	}
	size, err := seek(f, digest, offset)
	if err != nil {
		return nil, 0, errors.Join(classify("read object "+digest, err), f.Close())
	}
	return f, size, nil
}

func seek(f *os.File, digest string, offset int64) (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	if offset < 0 || offset > info.Size() {
		return 0, openflow.Errorf(openflow.CodeInvalid, "object %s has %d bytes, offset %d is not among them", digest, info.Size(), offset)
	}
	_, err = f.Seek(offset, io.SeekStart)
	return info.Size(), err
}

// Stat implements objects.Store.
func (s *Store) Stat(ctx context.Context, digest string) (objects.Info, error) {
	if err := errors.Join(objects.CheckDigest(digest), ctx.Err()); err != nil {
		return objects.Info{}, err
	}
	info, err := os.Stat(s.path(digest))
	if err != nil {
		return objects.Info{}, classify("look at object "+digest, err)
	}
	return objects.Info{Digest: digest, Bytes: info.Size(), Modified: info.ModTime()}, nil
}

// Delete implements objects.Store.
func (s *Store) Delete(ctx context.Context, digest string) error {
	if err := errors.Join(objects.CheckDigest(digest), ctx.Err()); err != nil {
		return err
	}
	if err := os.Remove(s.path(digest)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return classify("delete object "+digest, err)
	}
	return nil
}

// DeleteBefore removes an object if its last Put was before that time, and reports whether it did.
func (s *Store) DeleteBefore(ctx context.Context, digest string, before time.Time) (bool, error) {
	s.placing.Lock()
	defer s.placing.Unlock()
	info, err := s.Stat(ctx, digest)
	switch {
	case openflow.CodeOf(err) == openflow.CodeNotFound:
		return false, nil
	case err != nil || !info.Modified.Before(before):
		return false, err
	}
	return true, s.Delete(ctx, digest)
}

// List implements objects.Store. Files with other names are not objects and are left alone.
func (s *Store) List(ctx context.Context, each func(objects.Info) error) error {
	root := filepath.Join(s.dir, objectsDir)
	return filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return classify("list objects", err)
		}
		digest := filepath.Base(filepath.Dir(path)) + d.Name()
		if d.IsDir() || objects.CheckDigest(digest) != nil {
			return nil
		}
		info, err := s.Stat(ctx, digest)
		switch {
		case openflow.CodeOf(err) == openflow.CodeNotFound:
			return nil
		case err != nil:
			return err
		}
		return each(info)
	})
}

// classify turns an error of the file system into one of ours. One that is ours already, or the reader's own, stays.
func classify(doing string, err error) error {
	var path *fs.PathError
	var link *os.LinkError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return openflow.Errorf(openflow.CodeExhausted, "%s: no space left: %w", doing, err).WithHint("free space where the objects are")
	case errors.Is(err, fs.ErrNotExist):
		return openflow.Errorf(openflow.CodeNotFound, "%s: it does not exist here: %w", doing, err)
	case errors.As(err, &path), errors.As(err, &link):
		return openflow.Errorf(openflow.CodeInternal, "%s: %w", doing, err)
	}
	return err
}
