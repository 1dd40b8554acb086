package folders

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"openflow"
)

// What a folder that is packed may have: files and folders, and how deep they may be.
const (
	MaxEntries = 1_000_000
	maxDepth   = 64
)

// Contents is what a packed folder has.
type Contents struct {
	Files int
	Bytes int64
	First []string // names of the first files, in their order
}

// shownFiles is how many names Contents has.
const shownFiles = 100

// Pack writes a folder to w as a tar: its folders and plain files by their names in it, in the order of the names. Equal folders
// make equal archives: times, owners and rights are left out. Errors: CodeInvalid (no folder, an empty one, a link or device in
// it, too much of it, or a file that changes meanwhile), CodeNotFound.
func (f Folders) Pack(ctx context.Context, name string, w io.Writer) (Contents, error) {
	outer, rest, err := f.root(name)
	if err != nil {
		return Contents{}, err
	}
	defer func() { _ = outer.Close() }() // reading only
	if info, found := outer.Stat(rest); found == nil && !info.IsDir() {
		return Contents{}, f.placed(name, errNoFolder)
	}
	root, err := outer.OpenRoot(rest)
	if err != nil {
		return Contents{}, f.placed(name, err)
	}
	defer func() { _ = root.Close() }() // reading only
	p := packing{ctx: ctx, root: root, out: tar.NewWriter(w)}
	if err := fs.WalkDir(root.FS(), ".", p.entry); err != nil {
		return p.has, p.mistake(err)
	}
	if p.has.Files == 0 {
		return p.has, openflow.Errorf(openflow.CodeInvalid, "the folder %q has no files", openflow.Cut(name, maxShown))
	}
	return p.has, p.out.Close()
}

type packing struct {
	ctx     context.Context //nolint:containedctx // of one walk, which passes none on
	root    *os.Root
	out     *tar.Writer
	has     Contents
	entries int
	at      string // where the walk is
}

func (p *packing) entry(name string, e fs.DirEntry, err error) error {
	p.at = name
	switch {
	case err != nil:
		return err
	case p.ctx.Err() != nil:
		return openflow.Errorf(openflow.CodeOf(p.ctx.Err()), "reading the folder was given up: %w", p.ctx.Err())
	case name == ".":
		return nil
	}
	if p.entries++; p.entries > MaxEntries {
		return openflow.Errorf(openflow.CodeInvalid, "the folder has more than %d files and folders", MaxEntries)
	}
	if depth(name) > maxDepth {
		return openflow.Errorf(openflow.CodeInvalid, "folders are inside each other more than %d deep", maxDepth)
	}
	switch {
	case e.IsDir():
		return p.out.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: 0o755})
	case e.Type().IsRegular():
		return p.file(name)
	}
	return openflow.Errorf(openflow.CodeInvalid, "it is a link, a pipe or a device").WithHint("put a plain file in its place, or leave it out")
}

func (p *packing) file(name string) error {
	file, err := open(p.root, name)
	if err != nil {
		return err
	}
	defer func() { _ = file.Close() }() // reading only
	info, err := file.Stat()
	if err != nil {
		return err
	}
	if err := p.out.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: info.Size()}); err != nil {
		return err
	}
	n, err := io.Copy(p.out, file)
	switch {
	case errors.Is(err, tar.ErrWriteTooLong) || err == nil && n != info.Size():
		return openflow.Errorf(openflow.CodeInvalid, "it changes while it is read")
	case err != nil:
		return err
	}
	if p.has.Files++; len(p.has.First) < shownFiles {
		p.has.First = append(p.has.First, name)
	}
	p.has.Bytes += n
	return nil
}

func depth(name string) int {
	n := 1
	for _, c := range name {
		if c == filepath.Separator {
			n++
		}
	}
	return n
}

// mistake names what of the folder is at fault.
func (p *packing) mistake(err error) error {
	var known *openflow.Error
	if errors.As(err, &known) {
		if known.Code != openflow.CodeInvalid {
			return err
		}
		return openflow.Errorf(openflow.CodeInvalid, "%q: %s", openflow.Cut(p.at, maxShown), known.Message).WithHint("%s", known.Hint)
	}
	if errors.Is(err, errNoFile) || errors.Is(err, fs.ErrPermission) || errors.Is(err, fs.ErrNotExist) {
		return openflow.Errorf(openflow.CodeInvalid, "%q cannot be read: %w", openflow.Cut(p.at, maxShown), err)
	}
	return err
}
