package programs

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"openflow"
)

// copiesKept is how long a copy stays at least that no node on this machine has made anew. A program that runs needs none.
const copiesKept = 24 * time.Hour

// copy makes this machine's own copy of a provider's program and returns its path. Its digest is that of the bytes that
// were copied, so what is started is what was registered, whatever becomes of the file at its place.
func (p *Programs) copy(r openflow.ProviderRecord) (path string, err error) {
	failed := func(err error) error {
		return openflow.Errorf(openflow.CodeInternal, "copy of the program of provider %s: %w", r.Ref(), err)
	}
	if err := os.MkdirAll(p.Copies, 0o700); err != nil {
		return "", failed(err)
	}
	if err := p.sweep(); err != nil {
		return "", failed(err)
	}
	// A process that starts meanwhile would inherit the file open for writing, and until its exec nobody could start it.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	to, err := os.CreateTemp(p.Copies, ".new-")
	if err != nil {
		return "", failed(err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(to.Name()))
		}
	}()
	_, digest, err := read(r.Place, aProgram, to)
	if err := errors.Join(to.Chmod(0o500), to.Close()); err != nil {
		return "", failed(err)
	}
	switch {
	case err != nil:
		return "", p.lacks(r, err)
	case digest != r.Digest:
		return "", p.changed(r, digest)
	case r.Kind != openflow.ProviderBuiltIn:
		if err = closed(r.Place, aProgram); err != nil {
			return "", err
		}
	}
	path = filepath.Join(p.Copies, strings.ReplaceAll(digest, ":", "-"))
	if err := os.Rename(to.Name(), path); err != nil {
		return "", failed(err)
	}
	return path, nil
}

// sweep removes copies that earlier starts of a node have left.
func (p *Programs) sweep() error {
	list, err := os.ReadDir(p.Copies)
	if err != nil {
		return err
	}
	for _, entry := range list {
		info, err := entry.Info()
		if err != nil || time.Since(info.ModTime()) < copiesKept || p.uses(filepath.Join(p.Copies, entry.Name())) {
			continue // gone meanwhile, or in use
		}
		if err := os.Remove(filepath.Join(p.Copies, entry.Name())); err != nil {
			return err
		}
	}
	return nil
}

// uses tells whether runs are started with a copy.
func (p *Programs) uses(path string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, image := range p.images {
		if image == path {
			return true
		}
	}
	return false
}
