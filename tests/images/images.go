// Package images makes archives of images for tests, of this machine's files: no registry is needed.
package images

import (
	"archive/tar"
	"bytes"
	"embed"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/require"

	"openflow/docker/image"
)

// contract says for which version of docs/spec/algorithm-image.md an image was made.
var contract = map[string]string{"openflow.contract": "1"}

// Of is the archive of an image that holds a static program and nothing else, as one makes it of a program of our kit.
func Of(t testing.TB, program string) string {
	t.Helper()
	text, err := os.ReadFile(program)
	require.NoError(t, err)
	img, err := image.Build(text, image.Options{Labels: contract})
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "image.tar")
	require.NoError(t, os.WriteFile(path, img.Tar, 0o600))
	return path
}

//go:embed python/component.py
var pythonComponent []byte

// interpreter is Debian's, which every machine that runs the tests has.
const interpreter = "/usr/bin/python3"

// Python is the archive of an image made without our kit: this machine's Python with its standard library, and a component
// that knows nothing but the contract.
func Python(t testing.TB) string {
	t.Helper()
	return pythonic(t, "pythonic/shout:3.1", map[string][]byte{"/component.py": pythonComponent},
		v1.Config{Entrypoint: []string{interpreter, "-I", "-B", "/component.py"}, Env: []string{"LANG=C.UTF-8"}, Labels: contract})
}

//go:embed all:fate
var fateCode embed.FS

// FATE is the archive of an image as FATE-Flow starts them: this machine's Python, the code of a small provider that keeps FATE's component
// contract, and a command that is a wrapper of FATE-Flow's kind. The wrapper is not there, since a node has its own.
func FATE(t testing.TB) string {
	t.Helper()
	files := map[string][]byte{}
	require.NoError(t, fs.WalkDir(fateCode, "fate/fate", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".py") {
			return err
		}
		files["/opt/"+strings.TrimPrefix(path, "fate/")], err = fateCode.ReadFile(path)
		return err
	}))
	return pythonic(t, "smallfate/scale:1.0", files, v1.Config{
		Cmd: []string{interpreter, "/opt/fate_flow_executor.py", "component", "entrypoint"}, Env: []string{"LANG=C.UTF-8", "PATH=/usr/bin", "PYTHONPATH=/opt"},
		Labels: map[string]string{"component.1.name": "scale"},
	})
}

// pythonic is the archive of an image of this machine's Python with its standard library, and these files besides.
func pythonic(t testing.TB, called string, files map[string][]byte, of v1.Config) string {
	t.Helper()
	real, err := filepath.EvalSymlinks(interpreter)
	require.NoError(t, err, "install python3 of Debian: apt-get install python3")
	var out bytes.Buffer
	w := layer{t: t, to: tar.NewWriter(&out), has: map[string]bool{}}
	for _, path := range slices.Sorted(maps.Keys(files)) {
		w.file(path, files[path], 0o644)
	}
	w.copy(real, interpreter)
	w.library(real)
	stdlib := strings.TrimSpace(said(t, interpreter, "-I", "-c", `import sysconfig; print(sysconfig.get_path("stdlib"))`))
	skip := regexp.MustCompile(`/(test|tests|idlelib|tkinter|ensurepip|lib2to3|pydoc_data|__pycache__|dist-packages|site-packages|config-[^/]+)(/|$)`)
	require.NoError(t, filepath.WalkDir(stdlib, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case skip.MatchString(path) && entry.IsDir():
			return fs.SkipDir
		case !entry.Type().IsRegular():
			return nil
		}
		w.copy(path, path)
		if strings.HasSuffix(path, ".so") {
			w.library(path)
		}
		return nil
	}))
	require.NoError(t, w.to.Close())
	img, err := mutate.Append(empty.Image, mutate.Addendum{Layer: static.NewLayer(out.Bytes(), types.DockerUncompressedLayer)})
	require.NoError(t, err)
	config, err := img.ConfigFile()
	require.NoError(t, err)
	config = config.DeepCopy()
	config.OS, config.Architecture = "linux", runtime.GOARCH
	config.Config = of
	config.Config.WorkingDir = "/"
	img, err = mutate.ConfigFile(img, config)
	require.NoError(t, err)
	tag, err := name.NewTag(called, name.WithDefaultRegistry(""))
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "python.tar")
	require.NoError(t, tarball.WriteToFile(path, tag, img))
	return path
}

// Configured is the archive of an image without files that has this configuration.
func Configured(t testing.TB, of v1.Config) string {
	t.Helper()
	config, err := empty.Image.ConfigFile()
	require.NoError(t, err)
	config = config.DeepCopy()
	config.OS, config.Architecture, config.Config = "linux", runtime.GOARCH, of
	var out bytes.Buffer
	require.NoError(t, tar.NewWriter(&out).Close())
	img, err := mutate.ConfigFile(empty.Image, config)
	require.NoError(t, err)
	img, err = mutate.Append(img, mutate.Addendum{Layer: static.NewLayer(out.Bytes(), types.DockerUncompressedLayer)})
	require.NoError(t, err)
	tag, err := name.NewTag("configured:1", name.WithDefaultRegistry(""))
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "image.tar")
	require.NoError(t, tarball.WriteToFile(path, tag, img))
	return path
}

func said(t testing.TB, program string, args ...string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), program, args...).Output()
	require.NoError(t, err, "%s %s", program, args)
	return string(out)
}

// layer is a layer of an image that is written.
type layer struct {
	t   testing.TB
	to  *tar.Writer
	has map[string]bool
}

// copy takes a file of this machine, unless it is there.
func (l layer) copy(from, to string) {
	if l.has[to] {
		return
	}
	text, err := os.ReadFile(from)
	require.NoError(l.t, err)
	info, err := os.Stat(from)
	require.NoError(l.t, err)
	l.file(to, text, int64(info.Mode().Perm()|0o444))
}

func (l layer) file(path string, text []byte, mode int64) {
	l.has[path] = true
	h := &tar.Header{Name: strings.TrimPrefix(path, "/"), Mode: mode, Size: int64(len(text)), ModTime: time.Unix(0, 0), Typeflag: tar.TypeReg, Format: tar.FormatPAX}
	require.NoError(l.t, l.to.WriteHeader(h))
	_, err := l.to.Write(text)
	require.NoError(l.t, err)
}

var shared = regexp.MustCompile(`(/\S+) \(0x`)

// library takes the shared libraries that a program or module needs, each where it is looked for.
func (l layer) library(of string) {
	out := said(l.t, "ldd", of)
	found := shared.FindAllStringSubmatch(out, -1)
	slices.SortFunc(found, func(a, b []string) int { return strings.Compare(a[1], b[1]) })
	for _, m := range found {
		l.copy(m[1], m[1])
	}
}
