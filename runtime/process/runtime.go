//go:build linux

package process

import (
	"cmp"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"openflow"
	"openflow/runtime/driver"
)

// Names that no container can have, because container names begin with a letter or digit.
const (
	newPrefix     = ".new-"     // a folder on its way to becoming a container
	removedPrefix = ".removed-" // a folder on its way out
)

// staleAfter is the age from which on an unfinished folder counts as left by a crash.
const staleAfter = time.Hour

// supervised runs containers as processes, each in a folder below dir. It has no state of its own.
type supervised struct{ dir string }

// open returns a runtime whose containers live below dir, which is created if missing.
func open(dir string) (*supervised, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeInvalid, "process folder: %w", err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, openflow.Errorf(openflow.CodeInternal, "process folder: %w", err)
	}
	r := &supervised{dir}
	return r, r.sweep()
}

// sweep deletes what crashes have left half made or half removed.
func (r *supervised) sweep() error {
	entries, err := os.ReadDir(r.dir)
	if err != nil {
		return openflow.Errorf(openflow.CodeInternal, "process folder: %w", err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), newPrefix) && !strings.HasPrefix(e.Name(), removedPrefix) {
			continue
		}
		info, err := e.Info()
		if err != nil || time.Since(info.ModTime()) < staleAfter {
			continue // gone, or perhaps being worked on by another process
		}
		if err := os.RemoveAll(filepath.Join(r.dir, e.Name())); err != nil {
			return openflow.Errorf(openflow.CodeInternal, "process folder: %w", err)
		}
	}
	return nil
}

// Kind implements driver.Runtime.
func (r *supervised) Kind() string { return Name }

func (r *supervised) folder(name string) folder {
	return folder{name: name, path: filepath.Join(r.dir, name)}
}

// find returns the folder of an existing container.
func (r *supervised) find(ctx context.Context, name string) (folder, error) {
	f := r.folder(name)
	if err := ctx.Err(); err != nil {
		return f, err
	}
	if driver.ValidateName(name) != nil {
		return f, driver.NotFound(name) // never a path outside of dir
	}
	_, err := f.record()
	return f, err
}

// Ensure implements driver.Runtime. It prepares the folder aside and renames it into place: the rename fails when the name
// is taken, so it is the commit point.
func (r *supervised) Ensure(ctx context.Context, spec driver.Spec) (driver.Status, error) {
	if err := errors.Join(spec.Validate(), ctx.Err()); err != nil {
		return driver.Status{}, err
	}
	if !filepath.IsAbs(spec.Image) {
		return driver.Status{}, openflow.Errorf(openflow.CodeInvalid, "container %q: %q is not the absolute path of a program",
			spec.Name, spec.Image)
	}
	f := r.folder(spec.Name)
	for {
		st, err := f.adopt(spec)
		switch {
		case openflow.CodeOf(err) == openflow.CodeNotFound:
			err = r.create(spec)
		case errors.Is(err, errDamaged):
			// Creation is not synced to disk: this is what a power failure leaves of it, and nothing runs any more.
			err = r.discard(f)
		default:
			return st, err
		}
		if err != nil {
			return driver.Status{}, err
		}
	}
}

// create makes the container or finds that somebody else has; both are nil.
func (r *supervised) create(spec driver.Spec) error {
	tmp, err := os.MkdirTemp(r.dir, newPrefix)
	if err != nil {
		return failed(spec.Name, err)
	}
	err = folder{name: spec.Name, path: tmp}.prepare(spec)
	if err == nil {
		err = os.Rename(tmp, r.folder(spec.Name).path)
	}
	if err == nil {
		return nil
	}
	if rmErr := os.RemoveAll(tmp); rmErr != nil && !errors.Is(err, fs.ErrExist) {
		err = errors.Join(err, rmErr)
	}
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return failed(spec.Name, err)
}

// discard takes the name away from f at once and its content after that.
func (r *supervised) discard(f folder) error {
	away, err := os.MkdirTemp(r.dir, removedPrefix)
	if err != nil {
		return failed(f.name, err)
	}
	// Into the empty folder, not in its place: the watchers of f see the move, and a repeat finds nothing to move.
	if err := os.Rename(f.path, filepath.Join(away, "old")); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return failed(f.name, errors.Join(err, os.Remove(away)))
	}
	if err := os.RemoveAll(away); err != nil {
		return failed(f.name, err)
	}
	return nil
}

// Inspect implements driver.Runtime.
func (r *supervised) Inspect(ctx context.Context, name string) (driver.Status, error) {
	f, err := r.find(ctx, name)
	if err != nil {
		return driver.Status{}, err
	}
	return f.status()
}

// Remove implements driver.Runtime. It holds the change lock, so that no Start can begin in between.
func (r *supervised) Remove(ctx context.Context, name string) error {
	f, err := r.find(ctx, name)
	if err == nil {
		var unlock func()
		if unlock, err = f.lockChanges(); err == nil {
			defer unlock()
			return r.removeLocked(f)
		}
	}
	if openflow.CodeOf(err) == openflow.CodeNotFound {
		return nil
	}
	if errors.Is(err, errDamaged) {
		return r.discard(f)
	}
	return err
}

func (r *supervised) removeLocked(f folder) error {
	st, err := f.status()
	if err != nil {
		return err
	}
	if st.State == driver.StateRunning {
		return driver.Running(f.name)
	}
	return r.discard(f)
}

// Logs implements driver.Runtime.
func (r *supervised) Logs(ctx context.Context, name string, stdout, stderr io.Writer) error {
	f, err := r.find(ctx, name)
	if err != nil {
		return err
	}
	return errors.Join(f.copyLog(stdoutFile, stdout), f.copyLog(stderrFile, stderr))
}

// List implements driver.Runtime.
func (r *supervised) List(ctx context.Context, labels map[string]string) ([]driver.Status, error) {
	entries, err := os.ReadDir(r.dir)
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeInternal, "process folder: %w", err)
	}
	var out []driver.Status
	var wrong []error
	for _, e := range entries {
		if driver.ValidateName(e.Name()) != nil {
			continue
		}
		st, err := r.Inspect(ctx, e.Name())
		switch {
		case openflow.CodeOf(err) == openflow.CodeNotFound, errors.Is(err, errDamaged):
			// Removed since, or never completely created.
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil:
			wrong = append(wrong, err)
		case driver.Carries(st.Labels, labels):
			out = append(out, st)
		}
	}
	slices.SortFunc(out, func(a, b driver.Status) int { return cmp.Compare(a.Name, b.Name) })
	return out, errors.Join(wrong...)
}

// failed wraps an error of the file system, whose text names the path.
func failed(name string, err error) *openflow.Error {
	return openflow.Errorf(openflow.CodeInternal, "container %q: %w", name, err)
}
