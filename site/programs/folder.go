package programs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"openflow"
)

// What a folder of code may have, with the environment of its interpreter.
const (
	maxFiles = 200_000
	maxCode  = 32 << 30 // bytes
)

var (
	aFile         = sort{what: "code", access: unix.R_OK, most: 8 << 30, empty: true}
	anInterpreter = sort{what: "an interpreter", access: unix.X_OK, most: 1 << 30}
)

// isFolder reports whether a path is that of a folder.
func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// inspectFolder looks at a folder of code that an interpreter is to run, and gives its digest.
func (p *Programs) inspectFolder(ctx context.Context, r openflow.ProviderRecord) (openflow.ProviderRecord, error) {
	r.Kind = openflow.ProviderFolder
	if p.Isolated {
		return r, openflow.Errorf(openflow.CodeInvalid, "%s is a folder of code, and machine %s runs images", r.Place, p.Machine).
			WithHint("register an image that has the code and its interpreter; or use a node with --runtime process")
	}
	if r.Interpreter == "" {
		return r, openflow.Errorf(openflow.CodeInvalid, "%s is a folder of code, and nothing says which interpreter runs it", r.Place).
			WithHint("name the interpreter of its virtual environment, like /opt/acme/venv/bin/python: with --python, or as venv in FATE's metadata")
	}
	if clean, err := filepath.EvalSymlinks(r.Place); err != nil || clean != r.Place {
		return r, openflow.Errorf(openflow.CodeInvalid, "a link leads to %s, and what it leads to may change", r.Place).WithHint("name the folder itself: %s", clean)
	}
	if err := checkPath(r.Interpreter); err != nil {
		return r, err
	}
	var err error
	r.Digest, err = p.folderDigest(ctx, r)
	return r, err
}

// folderDigest is the digest of all files below a folder of code, and of its interpreter. Of a virtual environment these are all files
// of that too. Nobody but root and this user can change any of them.
func (p *Programs) folderDigest(ctx context.Context, r openflow.ProviderRecord) (string, error) {
	t := tree{ctx: ctx, sum: sha256.New(), files: &p.files, left: maxCode}
	if err := t.add("code", r.Place); err != nil {
		return "", err
	}
	environment := filepath.Dir(filepath.Dir(r.Interpreter))
	if _, err := os.Lstat(filepath.Join(environment, "pyvenv.cfg")); err == nil {
		if clean, err := filepath.EvalSymlinks(environment); err == nil {
			environment = clean
		}
		if err := t.add("environment", environment); err != nil {
			return "", err
		}
	}
	real, err := filepath.EvalSymlinks(r.Interpreter)
	if err != nil {
		return "", unusable(r.Interpreter, anInterpreter, err)
	}
	if err := t.file("interpreter", real, anInterpreter); err != nil {
		return "", err
	}
	return "sha256:" + hex.EncodeToString(t.sum.Sum(nil)), closed(real, anInterpreter)
}

// tree is a list of files that is taken the digest of.
type tree struct {
	ctx   context.Context //nolint:containedctx // of one call
	sum   hash.Hash
	files *known
	n     int
	left  int64
}

// add takes all that is below a folder.
func (t *tree) add(as, folder string) error {
	if err := closed(folder, aFile); err != nil {
		return err
	}
	return filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return unusable(path, aFile, err)
		case t.ctx.Err() != nil:
			return t.ctx.Err()
		}
		if t.n++; t.n > maxFiles {
			return openflow.Errorf(openflow.CodeInvalid, "%s has more than %d files", folder, maxFiles).WithHint("name the folder of the code alone")
		}
		name, err := filepath.Rel(folder, path)
		if err != nil {
			return err
		}
		name = as + "/" + name
		if entry.Type() == fs.ModeSymlink {
			return t.link(name, folder, path)
		}
		if err := own(path, aFile); err != nil {
			return err
		}
		if entry.IsDir() {
			t.line("folder", name, "")
			return nil
		}
		return t.file(name, path, aFile)
	})
}

// link takes a link. One that leads out of its folder counts as the file that it leads to.
func (t *tree) link(name, folder, path string) error {
	to, err := os.Readlink(path)
	if err != nil {
		return unusable(path, aFile, err)
	}
	real, err := filepath.EvalSymlinks(path)
	if err != nil {
		return unusable(path, aFile, err)
	}
	t.line("link", name, to)
	if strings.HasPrefix(real, folder+string(filepath.Separator)) {
		return nil
	}
	if isFolder(real) {
		return openflow.Errorf(openflow.CodeInvalid, "%s is a link to a folder outside of %s, and what is there may change", path, folder).
			WithHint("put a copy in its place")
	}
	if err := closed(real, aFile); err != nil {
		return err
	}
	return t.file(name, real, aFile)
}

func (t *tree) file(name, path string, as sort) error {
	info, err := os.Stat(path)
	if err != nil {
		return unusable(path, as, err)
	}
	if t.left -= info.Size(); t.left < 0 {
		return openflow.Errorf(openflow.CodeInvalid, "the code and its environment have more than %d bytes", int64(maxCode))
	}
	digest, err := t.files.digest(path, as)
	if err != nil {
		return unusable(path, as, err)
	}
	kind := "file"
	if info.Mode()&0o100 != 0 {
		kind = "program"
	}
	t.line(kind, name, digest)
	return nil
}

func (t *tree) line(kind, name, content string) {
	_, _ = fmt.Fprintf(t.sum, "%s %q %q\n", kind, name, content)
} // a hash takes everything

// verifyFolder compares a folder of code with its record.
func (p *Programs) verifyFolder(ctx context.Context, r openflow.ProviderRecord) error {
	if err := p.allow(r); err != nil {
		return err
	}
	digest, err := p.folderDigest(ctx, r)
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err != nil:
		return p.lacks(r, err)
	case digest != r.Digest:
		return p.changed(r, digest)
	}
	return nil
}

// launched brings what runs a provider's code: the program of the built-in provider, which has the launcher.
func (p *Programs) launched(ctx context.Context, r openflow.ProviderRecord) (string, error) {
	if err := p.verifyFolder(ctx, r); err != nil {
		return "", err
	}
	return p.Ready(ctx, p.BuiltIn)
}

// equip makes an image of a provider's that has the launcher besides: the program of the built-in provider, as it was when this node
// started.
func (p *Programs) equip(ctx context.Context, r openflow.ProviderRecord, id string) (string, error) {
	key := brought{id, p.BuiltIn.Digest}
	p.bringing.Lock()
	defer p.bringing.Unlock()
	if image, made := p.image(key); made {
		if _, err := p.Images.Image(ctx, image); openflow.CodeOf(err) != openflow.CodeNotFound {
			return image, err
		}
	}
	own, err := p.copy(p.BuiltIn)
	if err != nil {
		return "", err
	}
	image, err := p.Images.Equip(ctx, id, own)
	if wrong := os.Remove(own); err == nil {
		err = wrong
	}
	if err != nil {
		return "", openflow.Errorf(openflow.CodeOf(err), "the launcher for the image of provider %s: %w", r.Ref(), err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.images == nil {
		p.images = map[brought]string{}
	}
	p.images[key] = image
	return image, nil
}

// arguments are those with which a provider answers, or runs. Code of FATE's contract is launched by the program of the built-in
// provider: see package launcher of its dialect.
func arguments(r openflow.ProviderRecord, args ...string) []string {
	if r.Interpreter == "" {
		return args
	}
	launched := []string{"fate", "--python", r.Interpreter}
	if r.Kind == openflow.ProviderFolder {
		launched = append(launched, "--path", r.Place)
	}
	return append(launched, args...)
}
