package programs

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"openflow"
	"openflow/runtime/driver"
)

// restoreWithin is how long an archive may take to be given to the runtime, or an image to be pulled.
const restoreWithin = 10 * time.Minute

// Inspect looks at what is to be registered: the path of a program, the path of an image's archive, or the reference of an
// image. Nothing is pulled, loaded or run: an image that is not here yet has no digest. What else is missing in the record is said
// by the program itself. Errors: CodeInvalid (it is none of these, or the runtime runs no images), CodeUnavailable.
// The interpreter is what runs its code, where it is code that keeps FATE's contract.
func (p *Programs) Inspect(ctx context.Context, what, interpreter string) (openflow.ProviderRecord, error) {
	r := openflow.ProviderRecord{Kind: openflow.ProviderImage, Place: what, Interpreter: interpreter}
	if !filepath.IsAbs(what) {
		img, err := p.Images.Image(ctx, what)
		if openflow.CodeOf(err) == openflow.CodeNotFound {
			return r, nil
		}
		r.Digest = img.ID
		return r, err
	}
	if err := checkPath(what); err != nil {
		return r, err
	}
	if isFolder(what) {
		return p.inspectFolder(ctx, r)
	}
	archive, err := isTar(what)
	if err != nil {
		return r, unusable(what, anArchive, err)
	}
	if !archive {
		if by := packed(what); by != "" {
			return r, openflow.Errorf(openflow.CodeInvalid, "%s is compressed, and the archive of an image is not", what).
				WithHint("unpack it first, with %s", by)
		}
		r.Kind = openflow.ProviderProgram
		if interpreter != "" {
			return r, openflow.Errorf(openflow.CodeInvalid, "%s is a program, and no interpreter runs it", what).WithHint("name the folder of the code")
		}
		r.Place, r.Digest, err = Inspect(what)
		return r, err
	}
	if r.Place, r.Archive, err = inspect(what, anArchive); err != nil {
		return r, err
	}
	r.Digest, err = p.Images.ArchiveID(ctx, r.Place)
	return r, err
}

// Fetch brings the image that was inspected to the runtime: it is loaded from its archive, or pulled. The record that it returns has
// its digest. A program is brought by Ready. Errors: CodeInvalid (a damaged archive), CodeNotFound and CodeUnavailable (no such
// image), CodeConflict (the archive has changed meanwhile).
func (p *Programs) Fetch(ctx context.Context, r openflow.ProviderRecord) (openflow.ProviderRecord, driver.Image, error) {
	switch {
	case r.Kind != openflow.ProviderImage:
		return r, driver.Image{}, nil
	case r.Archive == "":
		img, err := p.named(ctx, r.Place)
		r.Digest = img.ID
		return r, img, err
	}
	img, err := p.Images.LoadArchive(ctx, r.Place)
	if err == nil && img.ID != r.Digest {
		err = openflow.Errorf(openflow.CodeConflict, "%s changes while it is looked at: its image was %s and is %s", r.Place, r.Digest, img.ID).
			WithHint("register it when nobody writes to it")
		r.Digest = img.ID
	}
	return r, img, err
}

// Discard removes what Fetch and Ready have brought to the runtime for a provider that is not registered after all. What was there
// before stays.
func (p *Programs) Discard(ctx context.Context, r openflow.ProviderRecord) error {
	if r.Kind == openflow.ProviderImage {
		var err error
		if r.Archive == "" {
			err = p.Images.Discard(ctx, r.Place)
		}
		if r.Digest != "" {
			err = errors.Join(err, p.Images.Discard(ctx, r.Digest))
		}
		return err
	}
	if r.Kind == openflow.ProviderFolder {
		return nil // what runs it is the built-in provider's
	}
	key := brought{r.Place, r.Digest}
	p.mu.Lock()
	started, made := p.images[key]
	delete(p.images, key)
	p.mu.Unlock()
	switch {
	case !made || p.uses(started):
		return nil
	case filepath.Dir(started) != p.Copies:
		return p.Images.Discard(ctx, started)
	}
	if err := os.Remove(started); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// named finds an image that the runtime has under that reference, or fetches it.
func (p *Programs) named(ctx context.Context, reference string) (driver.Image, error) {
	img, err := p.Images.Image(ctx, reference)
	if openflow.CodeOf(err) != openflow.CodeNotFound {
		return img, err
	}
	limited, cancel := context.WithTimeout(ctx, restoreWithin)
	defer cancel()
	img, pulled := p.Images.PullImage(limited, reference)
	if pulled == nil || ctx.Err() != nil {
		return img, pulled
	}
	return img, openflow.Errorf(openflow.CodeNotFound, "machine %s has no image %s, and it cannot be had: %w", p.Machine, openflow.Cut(reference, maxReference), pulled).
		WithHint("load or pull it there first; or register its archive, by the path of a file")
}

// maxReference is how many bytes of a reference a message repeats.
const maxReference = 200

// isTar reports whether a file is a tar, which no program is. It waits for nobody who would write to a pipe.
func isTar(path string) (yes bool, err error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return false, err
	}
	const at, magic = 257, "ustar"
	text := make([]byte, len(magic))
	if _, err := f.ReadAt(text, at); err != nil && !errors.Is(err, io.EOF) {
		return false, err
	}
	return string(text) == magic, nil
}

// packed names what unpacks a compressed file; empty: it is none.
func packed(path string) string {
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		return ""
	}
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer func() { _ = f.Close() }()
	begin := make([]byte, 6)
	n, _ := io.ReadFull(f, begin)
	for magic, by := range map[string]string{
		"\x1f\x8b": "gunzip", "BZh": "bunzip2", "\xfd7zXZ\x00": "unxz", "\x28\xb5\x2f\xfd": "unzstd", "PK\x03\x04": "unzip",
	} {
		if strings.HasPrefix(string(begin[:n]), magic) {
			return by
		}
	}
	return ""
}

// ready finds the image of a provider in the runtime. Its ID is the digest of its configuration, which names its layers by
// hash. So an image of that ID is what was registered, whatever names it has, and the ID is what runs are started with. One
// that the runtime has lost is brought back.
func (p *Programs) ready(ctx context.Context, r openflow.ProviderRecord) (driver.Image, error) {
	img, err := p.Images.Image(ctx, r.Digest)
	if openflow.CodeOf(err) == openflow.CodeNotFound {
		img, err = p.restore(ctx, r)
	}
	if err != nil {
		return img, err
	}
	if img.ID != r.Digest {
		return img, p.changed(r, img.ID)
	}
	return img, p.allow(r)
}

// restoration is an image on its way back into the runtime.
type restoration struct {
	done chan struct{} // closed once the fields below are said
	img  driver.Image
	err  error
}

// restore brings an image back that the runtime has lost. It goes on when the caller gives up: a large archive takes longer than
// a run waits, and the next attempt finds it done, or waits for the same.
func (p *Programs) restore(ctx context.Context, r openflow.ProviderRecord) (driver.Image, error) {
	p.mu.Lock()
	way, begun := p.restoring[r.Digest]
	if !begun {
		if p.restoring == nil {
			p.restoring = map[string]*restoration{}
		}
		way = &restoration{done: make(chan struct{})}
		p.restoring[r.Digest] = way
		go p.bringBack(context.WithoutCancel(ctx), r, way)
	}
	p.mu.Unlock()
	select {
	case <-way.done:
		return way.img, way.err
	case <-ctx.Done():
		return driver.Image{}, ctx.Err()
	}
}

func (p *Programs) bringBack(ctx context.Context, r openflow.ProviderRecord, way *restoration) {
	ctx, cancel := context.WithTimeout(ctx, restoreWithin)
	defer cancel()
	way.img, way.err = p.fetch(ctx, r)
	p.mu.Lock()
	delete(p.restoring, r.Digest)
	p.mu.Unlock()
	close(way.done)
}

// fetch loads an image from its archive, or pulls it.
func (p *Programs) fetch(ctx context.Context, r openflow.ProviderRecord) (driver.Image, error) {
	if r.Archive == "" {
		img, err := p.Images.PullImage(ctx, r.Place)
		if err != nil {
			return img, p.lacks(r, err)
		}
		return img, nil
	}
	if err := p.verifyArchive(r); err != nil {
		return driver.Image{}, err
	}
	return p.Images.LoadArchive(ctx, r.Place)
}

// verifyArchive compares the file that an image is loaded from with what was registered.
func (p *Programs) verifyArchive(r openflow.ProviderRecord) error {
	digest, err := p.files.digest(r.Place, anArchive)
	switch {
	case err != nil:
		return p.lacks(r, err)
	case digest != r.Archive:
		of := r
		of.Digest = r.Archive
		return p.changed(of, digest)
	}
	return closed(r.Place, anArchive)
}

func (p *Programs) verifyImage(ctx context.Context, r openflow.ProviderRecord) error {
	_, err := p.Images.Image(ctx, r.Digest)
	switch {
	case openflow.CodeOf(err) == openflow.CodeNotFound && r.Archive == "":
		return p.lacks(r, err)
	case err != nil && openflow.CodeOf(err) != openflow.CodeNotFound:
		return err
	case r.Archive != "":
		return p.verifyArchive(r) // which it is loaded from again where the runtime lacks it
	}
	return p.allow(r)
}

// thing is what a provider has, for people.
func thing(r openflow.ProviderRecord) string {
	switch {
	case r.Kind == openflow.ProviderFolder:
		return "the code"
	case r.Kind != openflow.ProviderImage:
		return "the program"
	case r.Archive != "":
		return "the archive of the image"
	}
	return "the image"
}

// hintOf says how a machine gets what it lacks.
func hintOf(r openflow.ProviderRecord) string {
	if r.Kind == openflow.ProviderImage && r.Archive == "" {
		return "load or pull it there; its ID is " + r.Digest
	}
	digest := r.Digest
	if r.Archive != "" {
		digest = r.Archive
	}
	return "put the registered file there; its digest is " + digest
}
