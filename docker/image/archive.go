package image

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"runtime"
	"strings"
	"syscall"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"openflow"
)

// What an archive may hold. Whoever wrote it is believed to be hostile.
const (
	maxEntries  = 20_000
	maxDocument = 4 << 20   // bytes of one JSON document in it
	maxValues   = 100_000   // that such a document has
	maxLayers   = 127       // what the daemon's file systems take
	maxUnpacked = 128 << 30 // bytes of all layers
	maxIndices  = 4         // indices within each other
	maxLinks    = 8         // links that lead to links
	maxName     = 4 << 10   // bytes of a file's name, or of what a link leads to
	maxNames    = 16 << 20  // of all of them, which are kept
)

// Archive is an image in a file, as "docker save" writes it or as an OCI layout in a tar. The file stays open until Close.
type Archive struct {
	ID     string // of the image: "sha256:…" of its configuration
	file   *os.File
	files  map[string]part
	config []byte
	layers []part
	diffs  []v1.Hash // what each layer is once it is unpacked
}

// part is a file in the archive, or a link to one.
type part struct {
	at, size int64
	link     string
}

// OpenArchive reads what an archive says of its image. Verify reads the rest. Errors: CodeInvalid.
func OpenArchive(name string) (*Archive, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a pipe is waited for by nobody
	if err != nil {
		return nil, damaged(err)
	}
	a, err := ReadArchive(f)
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return a, nil
}

// ReadArchive reads what an archive says of its image, of a file that is open. The Archive closes it. Errors: CodeInvalid.
func ReadArchive(f *os.File) (*Archive, error) {
	a := &Archive{file: f}
	_, err := f.Seek(0, io.SeekStart)
	if err == nil {
		err = a.read()
	}
	if err != nil {
		return nil, damaged(err)
	}
	return a, nil
}

// damaged is what is wrong with an archive.
func damaged(err error) error {
	var known *openflow.Error
	if errors.As(err, &known) {
		return err
	}
	return openflow.Errorf(openflow.CodeInvalid, "the archive holds no image that can be used: %s", openflow.Heard(err.Error())).
		WithHint("write it with docker save, or as an OCI layout of one image in a tar that is not compressed")
}

// Close closes the file.
func (a *Archive) Close() error { return a.file.Close() }

func (a *Archive) read() error {
	if err := a.index(); err != nil {
		return err
	}
	var err error
	if _, saved := a.files["manifest.json"]; saved {
		err = a.readSaved()
	} else if _, layout := a.files["index.json"]; layout {
		err = a.readLayout()
	} else {
		return errors.New("it has neither a manifest.json nor an index.json")
	}
	if err != nil {
		return err
	}
	return a.readConfig()
}

// index notes where each file of the tar lies.
func (a *Archive) index() error {
	var magic [2]byte
	if _, err := a.file.ReadAt(magic[:], 0); err == nil && magic == [2]byte{0x1f, 0x8b} {
		return errors.New("it is compressed")
	}
	a.files = map[string]part{}
	names := 0
	for r := tar.NewReader(a.file); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if len(h.Name) > maxName || len(h.Linkname) > maxName {
			return fmt.Errorf("it has a file whose name, or that of what it links to, has more than %d bytes: %q", maxName, openflow.Cut(h.Name, 80))
		}
		if names += len(h.Name) + len(h.Linkname); names > maxNames {
			return fmt.Errorf("the names of its files have more than %d bytes", maxNames)
		}
		name := path.Clean("/" + h.Name)[1:]
		var p part
		switch h.Typeflag {
		case tar.TypeReg:
			if p.at, err = a.file.Seek(0, io.SeekCurrent); err != nil {
				return err
			}
			p.size = h.Size
		case tar.TypeSymlink: // docker save writes a layer once
			p.link = path.Join("/", path.Dir(name), h.Linkname)[1:]
		case tar.TypeLink:
			p.link = path.Clean("/" + h.Linkname)[1:]
		default:
			continue
		}
		if _, twice := a.files[name]; twice {
			return fmt.Errorf("it has the file %q twice", openflow.Cut(name, 200))
		}
		if a.files[name] = p; len(a.files) > maxEntries {
			return fmt.Errorf("it has more than %d files", maxEntries)
		}
	}
}

// find is the file of that name.
func (a *Archive) find(name string) (part, error) {
	at := path.Clean("/" + name)[1:]
	for range maxLinks {
		p, ok := a.files[at]
		if !ok {
			break
		}
		if p.link == "" {
			return p, nil
		}
		at = p.link
	}
	return part{}, fmt.Errorf("it lacks the file %q", openflow.Cut(name, 200))
}

func (a *Archive) open(p part) *io.SectionReader { return io.NewSectionReader(a.file, p.at, p.size) }

// document reads a JSON document.
func (a *Archive) document(name string) ([]byte, error) {
	p, err := a.find(name)
	if err != nil {
		return nil, err
	}
	if p.size > maxDocument {
		return nil, fmt.Errorf("its %q has %d bytes, more than %d", openflow.Cut(name, 200), p.size, maxDocument)
	}
	text, err := io.ReadAll(a.open(p))
	if err == nil {
		err = openflow.BoundedJSON(text, maxValues)
	}
	if err != nil {
		return nil, fmt.Errorf("its %q: %w", openflow.Cut(name, 200), err)
	}
	return text, nil
}

// readSaved follows manifest.json of docker save.
func (a *Archive) readSaved() error {
	text, err := a.document("manifest.json")
	if err != nil {
		return err
	}
	var list []struct {
		Config string
		Layers []string
	}
	if err := json.Unmarshal(text, &list); err != nil {
		return fmt.Errorf("its manifest.json is not readable: %w", err)
	}
	if len(list) != 1 {
		return fmt.Errorf("it holds %d images, not one", len(list))
	}
	if a.config, err = a.document(list[0].Config); err != nil {
		return err
	}
	// The file is called by its hash, in one of three ways.
	said := strings.TrimPrefix(strings.TrimSuffix(path.Base(list[0].Config), ".json"), "sha256:")
	if is := hashOf(a.config); len(said) == len(is) && said != is {
		return fmt.Errorf("its configuration %q is not what its name says", said)
	}
	return a.take(len(list[0].Layers), func(i int) (part, error) { return a.find(list[0].Layers[i]) })
}

// take notes where the layers are.
func (a *Archive) take(n int, find func(i int) (part, error)) error {
	if n == 0 || n > maxLayers {
		return fmt.Errorf("its image has %d layers, and 1 to %d are allowed", n, maxLayers)
	}
	for i := range n {
		layer, err := find(i)
		if err != nil {
			return err
		}
		a.layers = append(a.layers, layer)
	}
	return nil
}

// readLayout follows index.json of an OCI layout to the image for this machine.
func (a *Archive) readLayout() error {
	text, err := a.document("index.json")
	if err != nil {
		return err
	}
	of, err := a.choose(text, maxIndices)
	if err != nil {
		return err
	}
	if text, err = a.blob(of); err != nil {
		return err
	}
	manifest, err := v1.ParseManifest(bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("its manifest is not readable: %w", err)
	}
	if a.config, err = a.blob(manifest.Config); err != nil {
		return err
	}
	return a.take(len(manifest.Layers), func(i int) (part, error) { return a.find(blobName(manifest.Layers[i])) })
}

// choose finds the one image that runs here.
func (a *Archive) choose(index []byte, deeper int) (v1.Descriptor, error) {
	list, err := v1.ParseIndexManifest(bytes.NewReader(index))
	if err != nil {
		return v1.Descriptor{}, fmt.Errorf("its index is not readable: %w", err)
	}
	var fit []v1.Descriptor
	for _, d := range list.Manifests {
		if d.Platform == nil || d.Platform.OS == "linux" && d.Platform.Architecture == runtime.GOARCH {
			fit = append(fit, d)
		}
	}
	if len(fit) != 1 {
		return v1.Descriptor{}, fmt.Errorf("it holds %d images for linux/%s, not one", len(fit), runtime.GOARCH)
	}
	if !fit[0].MediaType.IsIndex() {
		return fit[0], nil
	}
	if deeper == 0 {
		return fit[0], fmt.Errorf("its indices are nested deeper than %d", maxIndices)
	}
	text, err := a.blob(fit[0])
	if err != nil {
		return fit[0], err
	}
	return a.choose(text, deeper-1)
}

func blobName(d v1.Descriptor) string { return "blobs/" + d.Digest.Algorithm + "/" + d.Digest.Hex }

// blob reads a document that is called by its hash.
func (a *Archive) blob(d v1.Descriptor) ([]byte, error) {
	text, err := a.document(blobName(d))
	if err == nil && (d.Digest.Algorithm != "sha256" || hashOf(text) != d.Digest.Hex) {
		err = fmt.Errorf("its document %s is not what its name says", d.Digest)
	}
	return text, err
}

func hashOf(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// readConfig takes from the configuration what the layers must be, and which machine the image is for.
func (a *Archive) readConfig() error {
	a.ID = "sha256:" + hashOf(a.config)
	c, err := v1.ParseConfigFile(bytes.NewReader(a.config))
	if err != nil {
		return fmt.Errorf("its configuration is not readable: %w", err)
	}
	if c.OS != "linux" || c.Architecture != runtime.GOARCH {
		return fmt.Errorf("its image is for %s/%s, and this machine is linux/%s", openflow.Cut(c.OS, 40), openflow.Cut(c.Architecture, 40), runtime.GOARCH)
	}
	if len(c.RootFS.DiffIDs) != len(a.layers) {
		return fmt.Errorf("its configuration names %d layers, and it has %d", len(c.RootFS.DiffIDs), len(a.layers))
	}
	a.diffs = c.RootFS.DiffIDs
	return nil
}

// Verify compares every layer with the hash that the configuration has of it. Errors: CodeInvalid; the context's.
func (a *Archive) Verify(ctx context.Context) error {
	left := int64(maxUnpacked)
	for i, layer := range a.layers {
		sum, n, err := unpacked(ctx, a.open(layer), left)
		left -= n
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case err != nil:
			return damaged(fmt.Errorf("layer %d of %d: %w", i+1, len(a.layers), err))
		case left <= 0:
			return damaged(fmt.Errorf("its layers have more than %d bytes", int64(maxUnpacked)))
		case a.diffs[i].Algorithm != "sha256" || sum != a.diffs[i].Hex:
			return damaged(fmt.Errorf("layer %d of %d is damaged: it is not what the configuration says", i+1, len(a.layers)))
		}
	}
	return nil
}

// Layers visits the layers of the image, the lowest first, unpacked. Errors: CodeInvalid, those of each, the context's.
func (a *Archive) Layers(ctx context.Context, each func(layer io.Reader) error) error {
	for i, layer := range a.layers {
		text, err := unpack(a.open(layer))
		if err != nil {
			return damaged(fmt.Errorf("layer %d of %d: %w", i+1, len(a.layers), err))
		}
		if err := each(during{ctx, text}); err != nil {
			return err
		}
	}
	return nil
}

// unpack reads a layer, which may be compressed.
func unpack(layer *io.SectionReader) (io.Reader, error) {
	var magic [2]byte
	if _, err := layer.ReadAt(magic[:], 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if magic == [2]byte{0x1f, 0x8b} {
		return gzip.NewReader(layer)
	}
	return layer, nil
}

// unpacked hashes a layer, which may be compressed.
func unpacked(ctx context.Context, layer *io.SectionReader, most int64) (sum string, n int64, err error) {
	text, err := unpack(layer)
	if err != nil {
		return "", 0, err
	}
	hash := sha256.New()
	n, err = io.Copy(hash, io.LimitReader(during{ctx, text}, most))
	return hex.EncodeToString(hash.Sum(nil)), n, err
}

// during reads until the context ends.
type during struct {
	ctx  context.Context //nolint:containedctx // lives as long as one reading
	text io.Reader
}

func (d during) Read(p []byte) (int, error) {
	if err := d.ctx.Err(); err != nil {
		return 0, err
	}
	return d.text.Read(p)
}

// Rewrite writes the image as "docker load" takes it, without the tags that the archive has. So no archive takes the name of
// another image in the daemon.
func (a *Archive) Rewrite(to io.Writer) error {
	names := make([]string, len(a.layers))
	for i := range names {
		names[i] = fmt.Sprintf("layer-%d.tar", i)
	}
	config := strings.TrimPrefix(a.ID, "sha256:") + ".json"
	manifest, err := json.Marshal([]map[string]any{{"Config": config, "Layers": names, "RepoTags": nil}})
	if err != nil {
		return err
	}
	out := tar.NewWriter(to)
	add := func(name string, text *io.SectionReader) {
		if err == nil {
			err = out.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: text.Size(), ModTime: epoch, Typeflag: tar.TypeReg, Format: tar.FormatPAX})
		}
		if err == nil {
			_, err = io.Copy(out, text)
		}
	}
	add("manifest.json", memory(manifest))
	add(config, memory(a.config))
	for i, layer := range a.layers {
		add(names[i], a.open(layer))
	}
	return errors.Join(err, out.Close())
}

func memory(text []byte) *io.SectionReader {
	return io.NewSectionReader(bytes.NewReader(text), 0, int64(len(text)))
}
