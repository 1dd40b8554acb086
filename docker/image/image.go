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
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"path"
	"runtime"
	"strings"
	"time"

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
	layer, err := archive(layerFiles(o.Path, binary)...)
	if err != nil {
		return Image{}, openflow.Errorf(openflow.CodeInternal, "image layer: %w", err)
	}
	config, err := json.Marshal(o.config(digest(layer)))
	if err != nil {
		return Image{}, openflow.Errorf(openflow.CodeInternal, "image configuration: %w", err)
	}
	id := digest(config)
	configName, layerName := hexOf(id)+".json", hexOf(digest(layer))+"/layer.tar"
	manifest, err := json.Marshal([]manifestEntry{{Config: configName, RepoTags: o.tags(), Layers: []string{layerName}}})
	if err != nil {
		return Image{}, openflow.Errorf(openflow.CodeInternal, "image manifest: %w", err)
	}
	all, err := archive(file{"manifest.json", manifest, 0o644}, file{configName, config, 0o644}, file{layerName, layer, 0o644})
	if err != nil {
		return Image{}, openflow.Errorf(openflow.CodeInternal, "image archive: %w", err)
	}
	return Image{ID: id, Tar: all}, nil
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

func (o Options) tags() []string {
	if o.Tag == "" {
		return nil
	}
	return []string{o.Tag}
}

// manifestEntry is one image in manifest.json (Docker Image Specification v1.2, "Combined Image JSON + Filesystem
// Changeset Format").
type manifestEntry struct {
	Config   string
	RepoTags []string
	Layers   []string
}

// imageConfig is the part of the image configuration (OCI Image Specification, config.md) that is not empty here.
type imageConfig struct {
	Architecture string          `json:"architecture"`
	OS           string          `json:"os"`
	Created      time.Time       `json:"created"`
	Config       containerConfig `json:"config"`
	RootFS       rootFS          `json:"rootfs"`
	History      []history       `json:"history"`
}

type containerConfig struct {
	User       string
	Env        []string
	Entrypoint []string
	WorkingDir string
	Labels     map[string]string `json:",omitempty"`
}

type rootFS struct {
	Type    string   `json:"type"`
	DiffIDs []string `json:"diff_ids"`
}

type history struct {
	Created   time.Time `json:"created"`
	CreatedBy string    `json:"created_by"`
}

// epoch is every time stamp in the image: the real ones would make its ID depend on when it was built.
var epoch = time.Unix(0, 0).UTC()

func (o Options) config(layerID string) imageConfig {
	return imageConfig{
		Architecture: o.Arch,
		OS:           "linux",
		Created:      epoch,
		Config: containerConfig{
			User:       o.User,
			Env:        []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
			Entrypoint: []string{o.Path},
			WorkingDir: "/",
			Labels:     o.Labels,
		},
		RootFS:  rootFS{Type: "layers", DiffIDs: []string{layerID}},
		History: []history{{Created: epoch, CreatedBy: "openflow"}},
	}
}

// file is a member of an archive; a nil content makes it a folder.
type file struct {
	name    string
	content []byte
	mode    int64
}

// layerFiles is the executable with the folders above it.
func layerFiles(at string, binary []byte) []file {
	parts := strings.Split(strings.TrimPrefix(at, "/"), "/")
	var out []file
	for i := range len(parts) - 1 {
		out = append(out, file{strings.Join(parts[:i+1], "/") + "/", nil, 0o755})
	}
	return append(out, file{strings.Join(parts, "/"), binary, 0o755})
}

// archive writes files as a tar with nothing in it that could differ between two runs.
func archive(files ...file) ([]byte, error) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, f := range files {
		h := &tar.Header{Name: f.name, Mode: f.mode, Size: int64(len(f.content)), ModTime: epoch, Typeflag: tar.TypeReg, Format: tar.FormatPAX}
		if f.content == nil {
			h.Typeflag = tar.TypeDir
		}
		if err := w.WriteHeader(h); err != nil {
			return nil, err
		}
		if _, err := w.Write(f.content); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return buf.Bytes(), nil
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(sum[:])
}

func hexOf(digest string) string { return strings.TrimPrefix(digest, "sha256:") }
