// Package folders are the folders of a machine in which users of its node may name files: some to be read, some to be
// written.
//
// No name leads out of them, neither by dots nor by links. What is no plain file is refused before anything of it is read.
// Start at [Folders].
package folders

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"openflow"
)

// Folders are where names lead to. All paths are absolute.
type Folders struct {
	Home  string   // relative names begin here; empty: there are none
	Named []string // by the operator of the node; an absolute name must lead into one of them, or into Home
	Flag  string   // with which an operator names one, for hints: --upload-folder
}

// Check refuses folders of an operator that cannot be meant: a relative path, or none at all. Errors: CodeInvalid.
func (f Folders) Check() error {
	for _, dir := range f.Named {
		if !filepath.IsAbs(dir) {
			return openflow.Errorf(openflow.CodeInvalid, "%s %q is no absolute path", f.Flag, dir)
		}
		info, err := os.Stat(dir)
		if err == nil && !info.IsDir() {
			err = openflow.Errorf(openflow.CodeInvalid, "it is no folder")
		}
		if err != nil {
			return openflow.Errorf(openflow.CodeInvalid, "%s %s cannot be used: %w", f.Flag, dir, err)
		}
	}
	return nil
}

// Open opens a plain file to be read. Errors: CodeInvalid (no path, or no plain file), CodeNotFound (no such file, or outside
// of the folders).
func (f Folders) Open(name string) (*os.File, error) {
	root, rest, err := f.root(name)
	if err != nil {
		return nil, err
	}
	defer func() { _ = root.Close() }() // the file stays open without it
	file, err := open(root, rest)
	if err != nil {
		return nil, f.refused(name, err)
	}
	return file, nil
}

// errNoFile is what is there and is no plain file.
var errNoFile = errors.New("it is no plain file")

// open opens a plain file, and waits for nobody: a pipe would wait for a writer.
func open(root *os.Root, name string) (*os.File, error) {
	file, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = errNoFile
	}
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return file, nil
}

// root opens the folder that a name leads into, and returns the rest of the name.
func (f Folders) root(name string) (*os.Root, string, error) {
	if name == "" || strings.ContainsRune(name, 0) {
		return nil, "", openflow.Errorf(openflow.CodeInvalid, "%.200q is no path of a file", name)
	}
	dir, rest := f.Home, name
	if filepath.IsAbs(name) {
		dir, rest = f.holding(name)
	}
	if dir == "" {
		return nil, "", f.refused(name, fs.ErrNotExist)
	}
	root, err := os.OpenRoot(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "", f.refused(name, err)
	}
	if err != nil {
		return nil, "", openflow.Errorf(openflow.CodeInternal, "the folder %s cannot be opened: %w", dir, err)
	}
	return root, rest, nil
}

// holding is the folder that an absolute path is in, and the rest of it.
func (f Folders) holding(name string) (dir, rest string) {
	for _, dir := range append([]string{f.Home}, f.Named...) {
		if dir == "" {
			continue
		}
		if rest, err := filepath.Rel(dir, name); err == nil && filepath.IsLocal(rest) {
			return dir, rest
		}
	}
	return "", ""
}

// refused tells where names may lead to. That a file outside is there or not is told to nobody.
func (f Folders) refused(name string, err error) error {
	shown := openflow.Cut(name, maxShown)
	if errors.Is(err, errNoFile) {
		return openflow.Errorf(openflow.CodeInvalid, "%q is no plain file", shown)
	}
	if errors.Is(err, fs.ErrPermission) {
		return openflow.About(openflow.AboutFile, openflow.Errorf(openflow.CodeNotFound, "%q cannot be opened by the node", shown).
			WithHint("the user that the node runs as needs the right to read it"))
	}
	list := append([]string{}, f.Named...)
	if f.Home != "" {
		list = append([]string{f.Home}, list...)
	}
	return openflow.About(openflow.AboutFile, openflow.Errorf(openflow.CodeNotFound, "there is no %q in the folders that may be named here", shown).
		WithHint("these are %s; the operator of the node names more with %s", strings.Join(list, ", "), f.Flag))
}

// maxShown is how many bytes of a path are told.
const maxShown = 1 << 10
