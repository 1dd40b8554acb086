package component

import (
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// folderOf is a tar of these members.
func folderOf(t testing.TB, members ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range members {
		h.Size = 0
		require.NoError(t, w.WriteHeader(&h))
	}
	require.NoError(t, w.Close())
	return b.Bytes()
}

func TestAnUnpackedFolderStaysInItsPlace(t *testing.T) {
	for name, h := range map[string]tar.Header{
		"upwards":  {Typeflag: tar.TypeReg, Name: "../out"},
		"absolute": {Typeflag: tar.TypeReg, Name: "/out"},
		"a folder": {Typeflag: tar.TypeDir, Name: "a/../../out"},
		"a link":   {Typeflag: tar.TypeSymlink, Name: "link", Linkname: "/etc"},
		"a device": {Typeflag: tar.TypeChar, Name: "null"},
	} {
		top := t.TempDir()
		dir := filepath.Join(top, "in")
		require.NoError(t, os.Mkdir(dir, 0o700))
		require.Error(t, unpack(bytes.NewReader(folderOf(t, h)), dir), name)
		left, err := os.ReadDir(top)
		require.NoError(t, err)
		require.Len(t, left, 1, name)
	}
}

// Whatever the archive of a folder holds, nothing is written outside of it.
func FuzzUnpack(f *testing.F) {
	f.Add(folderOf(f, tar.Header{Typeflag: tar.TypeDir, Name: "a/"}, tar.Header{Typeflag: tar.TypeReg, Name: "a/b"}))
	f.Add(folderOf(f, tar.Header{Typeflag: tar.TypeReg, Name: "../out"}))
	f.Add([]byte("no archive"))
	f.Fuzz(func(t *testing.T, archive []byte) {
		if len(archive) > 64<<10 {
			return
		}
		top := t.TempDir()
		dir := filepath.Join(top, "in")
		require.NoError(t, os.Mkdir(dir, 0o700))
		_ = unpack(bytes.NewReader(archive), dir) // it may refuse
		left, err := os.ReadDir(top)
		require.NoError(t, err)
		require.Len(t, left, 1)
	})
}
