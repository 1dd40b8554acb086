package folders

import (
	"crypto/rand"
	"errors"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"openflow"
)

// Place is a folder that files are written into.
type Place struct {
	root *os.Root
	dir  string // below root
	name string // as it was asked for
	path string // absolute
}

// Place opens the folder of a name to write into, and makes what of it is missing. Errors: CodeInvalid (no path, or a file is in
// the way), CodeNotFound (outside of the folders).
func (f Folders) Place(name string) (*Place, error) {
	root, rest, err := f.root(name)
	if err != nil {
		return nil, err
	}
	rest = filepath.Clean(rest)
	p := &Place{root: root, dir: rest, name: name, path: filepath.Join(root.Name(), rest)}
	err = root.MkdirAll(rest, 0o750)
	if info, found := root.Stat(rest); found == nil && !info.IsDir() {
		err = errNoFolder
	}
	if err != nil {
		return nil, errors.Join(f.placed(name, err), root.Close())
	}
	return p, nil
}

// errNoFolder is what is there and is no folder.
var errNoFolder = errors.New("it is no folder")

// placed tells why there is no folder of that name.
func (f Folders) placed(name string, err error) error {
	if errors.Is(err, errNoFolder) || errors.Is(err, fs.ErrExist) || errors.Is(err, syscall.ENOTDIR) {
		return openflow.Errorf(openflow.CodeInvalid, "%q is no folder", openflow.Cut(name, maxShown))
	}
	return f.refused(name, err)
}

// Path is where the folder is on this machine.
func (p *Place) Path() string { return p.path }

// Write makes a file of what fill writes, with folders on the way to it. It replaces a file of that name, or a link, once the
// whole is on the disk; when fill fails, nothing changes. Errors: those of fill; CodeInternal.
func (p *Place) Write(name string, fill func(io.Writer) error) (err error) {
	at := filepath.Join(p.dir, name)
	if err := p.root.MkdirAll(filepath.Dir(at), 0o750); err != nil {
		return p.failed(name, err)
	}
	began := at + "." + strings.ToLower(rand.Text()) + ".part" // several may write one file at a time
	file, err := p.root.OpenFile(began, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
	if err != nil {
		return p.failed(name, err)
	}
	defer func() {
		if err != nil {
			_ = p.root.Remove(began) // what is left of it is no file of anybody
		}
	}()
	err = fill(file)
	if err == nil {
		if err = file.Sync(); err != nil {
			err = p.failed(name, err)
		}
	}
	if closed := file.Close(); err == nil && closed != nil {
		err = p.failed(name, closed)
	}
	if err == nil {
		if err = p.root.Rename(began, at); err != nil {
			err = p.failed(name, err)
		}
	}
	return err
}

func (p *Place) failed(name string, err error) error {
	return openflow.About(openflow.AboutFile, openflow.Errorf(openflow.CodeInternal, "%s cannot be written: %w", path.Join(p.name, name), err).
		WithHint("see whether the disk is full, and whether the node's user may write there"))
}

// Close lets go of the folder.
func (p *Place) Close() error { return p.root.Close() }
