package image_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/docker/image"
	"openflow/tests/fuzzing"
)

// saved is an archive as docker save writes it, with a tag in it.
func saved(t *testing.T, program string) (archive []byte, id string) {
	t.Helper()
	img, err := image.Build([]byte(program), image.Options{Tag: "acme/psi:1"})
	require.NoError(t, err)
	return img.Tar, img.ID
}

// parsed is the image of an archive.
func parsed(t *testing.T, archive []byte) v1.Image {
	t.Helper()
	img, err := tarball.Image(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(archive)), nil }, nil)
	require.NoError(t, err)
	return img
}

// laidOut is an OCI layout of images in a tar, with gzipped layers, as other tools write it.
func laidOut(t *testing.T, images ...v1.Image) []byte {
	t.Helper()
	dir := t.TempDir()
	var adds []mutate.IndexAddendum
	for _, img := range images {
		adds = append(adds, mutate.IndexAddendum{Add: img})
	}
	_, err := layout.Write(dir, mutate.AppendManifests(empty.Index, adds...))
	require.NoError(t, err)
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	require.NoError(t, w.AddFS(os.DirFS(dir)))
	require.NoError(t, w.Close())
	return out.Bytes()
}

// open reads an archive to its end and gives the image's ID, and what the daemon would be given.
func open(t *testing.T, archive []byte) (id string, given []byte, err error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "image.tar")
	require.NoError(t, os.WriteFile(path, archive, 0o600))
	a, err := image.OpenArchive(path)
	if err != nil {
		return "", nil, err
	}
	defer func() { require.NoError(t, a.Close()) }()
	if err := a.Verify(t.Context()); err != nil {
		return "", nil, err
	}
	var out bytes.Buffer
	require.NoError(t, a.Rewrite(&out))
	return a.ID, out.Bytes(), nil
}

func TestArchives(t *testing.T) {
	archive, want := saved(t, "program")
	id, given, err := open(t, archive)
	require.NoError(t, err)
	require.Equal(t, want, id)
	require.NotContains(t, string(given), "acme/psi", "no tag is taken over")
	again, same, err := open(t, given)
	require.NoError(t, err)
	require.Equal(t, want, again)
	require.True(t, bytes.Equal(given, same))

	id, fromLayout, err := open(t, laidOut(t, parsed(t, archive)))
	require.NoError(t, err)
	require.Equal(t, want, id, "the same image in another form")
	id, _, err = open(t, fromLayout)
	require.NoError(t, err)
	require.Equal(t, want, id)

	linked := rewritten(t, archive, func(name string, text []byte) (string, []byte) { return "./" + name, text })
	id, _, err = open(t, linked)
	require.NoError(t, err)
	require.Equal(t, want, id)
}

// rewritten is an archive in which every file passed through change; an empty name leaves it out.
func rewritten(t *testing.T, archive []byte, change func(name string, text []byte) (string, []byte)) []byte {
	t.Helper()
	var out bytes.Buffer
	w, r := tar.NewWriter(&out), tar.NewReader(bytes.NewReader(archive))
	for {
		h, err := r.Next()
		if err != nil {
			break
		}
		text, err := io.ReadAll(r)
		require.NoError(t, err)
		if h.Name, text = change(h.Name, text); h.Name == "" {
			continue
		}
		h.Size = int64(len(text))
		require.NoError(t, w.WriteHeader(h))
		_, err = w.Write(text)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	return out.Bytes()
}

// Whatever byte of an archive is changed: it is refused, or it holds the very same image. The byte was none of it then, such as
// one between two files. The registry keeps a digest of the whole file besides.
func TestEveryByteOfAnArchive(t *testing.T) {
	archive, want := saved(t, "program")
	path := filepath.Join(t.TempDir(), "image.tar")
	found := 0
	for _, form := range [][]byte{archive, laidOut(t, parsed(t, archive))} {
		for i := range form {
			form[i] ^= 1
			require.NoError(t, os.WriteFile(path, form, 0o600))
			form[i] ^= 1
			a, err := image.OpenArchive(path)
			if err == nil {
				err = a.Verify(t.Context())
				require.NoError(t, a.Close())
			}
			if err != nil {
				require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
				found++
				continue
			}
			require.Equal(t, want, a.ID, "byte %d", i)
		}
	}
	require.Greater(t, found, 2000)
}

func TestArchivesThatAreRefused(t *testing.T) {
	archive, _ := saved(t, "program")
	img := parsed(t, archive)
	other, _ := saved(t, "another")
	foreign, err := mutate.ConfigFile(img, &v1.ConfigFile{OS: "linux", Architecture: "s390x", RootFS: v1.RootFS{Type: "layers"}})
	require.NoError(t, err)
	var squeezed, both, odd bytes.Buffer
	zip := gzip.NewWriter(&squeezed)
	_, err = zip.Write(archive)
	require.NoError(t, err)
	require.NoError(t, zip.Close())
	tags := map[name.Tag]v1.Image{}
	for _, text := range []string{"a:1", "b:1"} {
		tag, err := name.NewTag(text)
		require.NoError(t, err)
		tags[tag] = img
		img = parsed(t, other)
	}
	require.NoError(t, tarball.MultiWrite(tags, &both))
	tag, err := name.NewTag("a:1")
	require.NoError(t, err)
	require.NoError(t, tarball.Write(tag, foreign, &odd))
	layered := func(change func([]byte) []byte) []byte {
		return rewritten(t, archive, func(name string, text []byte) (string, []byte) {
			if strings.HasSuffix(name, ".tar.gz") || strings.HasSuffix(name, ".tar") {
				text = change(text)
			}
			return name, text
		})
	}
	for what, tc := range map[string]struct {
		archive []byte
		says    string
	}{
		"no tar":            {[]byte(strings.Repeat("x", 2000)), "header"},
		"nothing":           {nil, "neither a manifest.json"},
		"any tar":           {rewritten(t, archive, func(string, []byte) (string, []byte) { return "x", nil }), "twice"},
		"compressed":        {squeezed.Bytes(), "it is compressed"},
		"cut off":           {archive[:len(archive)/2], "unexpected EOF"},
		"two images":        {both.Bytes(), "it holds 2 images"},
		"two in a layout":   {laidOut(t, parsed(t, archive), parsed(t, other)), "it holds 2 images"},
		"another processor": {odd.Bytes(), "s390x"},
		"another layer":     {layered(func(text []byte) []byte { return append(text, make([]byte, 512)...) }), "layer 1 of 1 is damaged"},
		"a layer that is a bomb": {layered(func([]byte) []byte {
			return squeeze(t, make([]byte, 1<<20))
		}), "layer 1 of 1 is damaged"},
		"a huge document": {rewritten(t, archive, func(name string, text []byte) (string, []byte) {
			if name == "manifest.json" {
				text = bytes.Repeat([]byte(" "), 5<<20)
			}
			return name, text
		}), "more than 4194304"},
		"no layer": {rewritten(t, archive, func(name string, text []byte) (string, []byte) {
			if strings.Contains(name, ".tar") {
				return "", nil
			}
			return name, text
		}), "it lacks the file"},
	} {
		t.Run(what, func(t *testing.T) {
			_, _, err := open(t, tc.archive)
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), "%v", err)
			require.ErrorContains(t, err, tc.says)
			require.Less(t, len(err.Error()), 2<<10)
		})
	}
	_, err = image.OpenArchive(t.TempDir())
	require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
	_, err = image.OpenArchive("/nowhere")
	require.ErrorIs(t, err, err)
	require.NotErrorIs(t, err, fs.ErrExist)
}

func squeeze(t *testing.T, text []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	zip := gzip.NewWriter(&out)
	_, err := zip.Write(text)
	require.NoError(t, err)
	require.NoError(t, zip.Close())
	return out.Bytes()
}

// Links in circles, and links out of the archive, lead to nothing.
func TestLinksInArchives(t *testing.T) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for at, to := range map[string]string{"manifest.json": "b", "b": "manifest.json"} {
		require.NoError(t, w.WriteHeader(&tar.Header{Name: at, Linkname: to, Typeflag: tar.TypeSymlink}))
	}
	require.NoError(t, w.Close())
	_, _, err := open(t, out.Bytes())
	require.ErrorContains(t, err, "it lacks the file")

	out.Reset()
	w = tar.NewWriter(&out)
	require.NoError(t, w.WriteHeader(&tar.Header{Name: "manifest.json", Linkname: "../../../../etc/passwd", Typeflag: tar.TypeSymlink}))
	require.NoError(t, w.Close())
	_, _, err = open(t, out.Bytes())
	require.ErrorContains(t, err, "it lacks the file")
}

// All names of an archive are kept while it is read. So none is longer than any that a system takes, and they end somewhere.
func TestLongNamesInArchives(t *testing.T) {
	long := strings.Repeat("n", 4097)
	for what, tc := range map[string]struct {
		header func(i int) tar.Header
		many   int
		says   string
	}{
		"a name":     {func(int) tar.Header { return tar.Header{Name: long, Typeflag: tar.TypeReg} }, 1, "more than 4096 bytes"},
		"a link":     {func(int) tar.Header { return tar.Header{Name: "a", Linkname: long, Typeflag: tar.TypeSymlink} }, 1, "more than 4096 bytes"},
		"many names": {func(i int) tar.Header { return tar.Header{Name: fmt.Sprint(i) + long[:4000], Typeflag: tar.TypeReg} }, 4200, "more than 16777216 bytes"},
	} {
		t.Run(what, func(t *testing.T) {
			var out bytes.Buffer
			w := tar.NewWriter(&out)
			for i := range tc.many {
				h := tc.header(i)
				require.NoError(t, w.WriteHeader(&h))
			}
			require.NoError(t, w.Close())
			_, _, err := open(t, out.Bytes())
			require.ErrorContains(t, err, tc.says)
			require.Less(t, len(err.Error()), 2<<10)
		})
	}
	pipe := filepath.Join(t.TempDir(), "pipe")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	_, err := image.OpenArchive(pipe)
	require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), "nobody waits for a writer: %v", err)
}

func FuzzArchive(f *testing.F) {
	img, err := image.Build([]byte("program"), image.Options{})
	require.NoError(f, err)
	f.Add(img.Tar)
	fuzzing.Within(f, func(t *testing.T, archive []byte) {
		id, _, err := open(t, archive)
		if err != nil {
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
			return
		}
		require.Len(t, id, 71)
	})
}
