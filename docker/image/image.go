// Package image makes a container image out of one static executable, without a registry, a builder or a base image.
//
// The result is an archive as "docker save" writes it, for engine.Runtime.LoadImage. It is a pure function of its
// inputs, byte for byte, so the image's ID is a content hash. A site's policy can name it, and two machines that build
// it from the same executable agree. The image holds the executable and nothing else, no shell, no certificates, no
// passwd. Start reading at [Build].
package image

import (
	"archive/tar"
	"bytes"
	"path"
	"runtime"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"openflow"
)

// Defaults of Options.
const (
	DefaultPath = "/openflow-components"
	DefaultUser = "65534:65534" // nobody
)

// Options describes the image around the executable. Zero fields take the defaults.
type Options struct {
	Path   string            // where the executable is and what the entry point runs; absolute
	User   string            // "uid:gid" in numbers, because the image has no passwd
	Labels map[string]string // for people and registries
	Tag    string            // "name:tag" that the daemon shows; none leaves the ID alone to name the image
	Arch   string            // GOARCH of the executable; default this machine's
}

// Image is a finished image.
type Image struct {
	ID  string // "sha256:" and the hash of the configuration, which names the layer by hash
	Tar []byte // the docker save archive
}

// Build wraps binary, the content of a static Linux executable. Errors: CodeInvalid.
func Build(binary []byte, o Options) (Image, error) {
	o = o.withDefaults()
	if len(binary) == 0 {
		return Image{}, openflow.Errorf(openflow.CodeInvalid, "an image needs an executable, this one is empty")
	}
	if !path.IsAbs(o.Path) || path.Clean(o.Path) != o.Path || o.Path == "/" {
		return Image{}, openflow.Errorf(openflow.CodeInvalid, "image: %q is not an absolute path of a file", o.Path)
	}
	ref, err := o.reference()
	if err != nil {
		return Image{}, openflow.Errorf(openflow.CodeInvalid, "image: %q is no name of an image: %w", o.Tag, err)
	}
	layer, err := layer(o.Path, binary)
	if err != nil {
		return Image{}, openflow.Errorf(openflow.CodeInternal, "image layer: %w", err)
	}
	img, err := o.image(layer)
	if err != nil {
		return Image{}, openflow.Errorf(openflow.CodeInternal, "image: %w", err)
	}
	id, err := img.ConfigName()
	if err != nil {
		return Image{}, openflow.Errorf(openflow.CodeInternal, "image configuration: %w", err)
	}
	var all bytes.Buffer
	if err := tarball.Write(ref, img, &all); err != nil {
		return Image{}, openflow.Errorf(openflow.CodeInternal, "image archive: %w", err)
	}
	return Image{ID: id.String(), Tar: all.Bytes()}, nil
}

func (o Options) withDefaults() Options {
	if o.Path == "" {
		o.Path = DefaultPath
	}
	if o.User == "" {
		o.User = DefaultUser
	}
	if o.Arch == "" {
		o.Arch = runtime.GOARCH
	}
	return o
}

// reference is the tag as the archive names it. A digest, whatever it is of, leaves the image without a name.
func (o Options) reference() (name.Reference, error) {
	if o.Tag == "" {
		return name.NewDigest("openflow@sha256:" + strings.Repeat("0", 64))
	}
	return name.NewTag(o.Tag, name.WithDefaultRegistry(""))
}

// epoch is every time stamp in the image: the real ones would make its ID depend on when it was built.
var epoch = time.Unix(0, 0).UTC()

// image is the layer with its configuration (OCI Image Specification, config.md).
func (o Options) image(layer []byte) (v1.Image, error) {
	img, err := mutate.Append(empty.Image, mutate.Addendum{
		// Not compressed: the archive never leaves the machine.
		Layer:   static.NewLayer(layer, types.DockerUncompressedLayer),
		History: v1.History{Created: v1.Time{Time: epoch}, CreatedBy: "openflow"},
	})
	if err != nil {
		return nil, err
	}
	c, err := img.ConfigFile()
	if err != nil {
		return nil, err
	}
	c = c.DeepCopy()
	c.Architecture, c.OS, c.Created = o.Arch, "linux", v1.Time{Time: epoch}
	c.Config = v1.Config{
		User:       o.User,
		Env:        []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
		Entrypoint: []string{o.Path},
		WorkingDir: "/",
		Labels:     o.Labels,
	}
	return mutate.ConfigFile(img, c)
}

// layer is a tar of the executable with the folders above it, and of nothing that could differ between two runs.
func layer(at string, binary []byte) ([]byte, error) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	parts := strings.Split(strings.TrimPrefix(at, "/"), "/")
	for i := range len(parts) - 1 {
		h := &tar.Header{Name: strings.Join(parts[:i+1], "/") + "/", Mode: 0o755, ModTime: epoch, Typeflag: tar.TypeDir, Format: tar.FormatPAX}
		if err := w.WriteHeader(h); err != nil {
			return nil, err
		}
	}
	h := &tar.Header{Name: strings.Join(parts, "/"), Mode: 0o755, Size: int64(len(binary)), ModTime: epoch, Typeflag: tar.TypeReg, Format: tar.FormatPAX}
	if err := w.WriteHeader(h); err != nil {
		return nil, err
	}
	if _, err := w.Write(binary); err != nil {
		return nil, err
	}
	err := w.Close()
	return buf.Bytes(), err
}
