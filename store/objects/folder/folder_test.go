package folder_test

import (
	"bytes"
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/store/objects"
	"openflow/store/objects/folder"
	"openflow/store/objects/storetest"
)

func mustOpen(tb testing.TB, dir string) *folder.Store {
	tb.Helper()
	s, err := folder.Open(dir)
	require.NoError(tb, err)
	return s
}

func TestConformance(t *testing.T) {
	storetest.Run(t, func(t *testing.T) objects.Store { return mustOpen(t, t.TempDir()) })
}

// files lists everything in dir that is not a folder, so that leftovers show.
func files(t *testing.T, dir string) []string {
	t.Helper()
	var found []string
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			found = append(found, path)
		}
		return err
	}))
	return found
}

func TestFullDiskLeavesNothing(t *testing.T) {
	for name, fault := range map[string]struct {
		err  error
		code openflow.Code
		hint string
	}{
		"no space":  {syscall.ENOSPC, openflow.CodeExhausted, "free space"},
		"quota":     {syscall.EDQUOT, openflow.CodeExhausted, "free space"},
		"bad block": {syscall.EIO, openflow.CodeInternal, "store object"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := mustOpen(t, dir)
			s.BreakWrites(1000, fault.err)
			_, err := s.Put(t.Context(), bytes.NewReader(make([]byte, 5000)))
			require.Equal(t, fault.code, openflow.CodeOf(err))
			require.ErrorContains(t, err, fault.hint)
			require.Empty(t, files(t, dir))
		})
	}
}

func TestReopenKeepsObjectsAndRemovesAbandonedUploads(t *testing.T) {
	dir := t.TempDir()
	ref, err := mustOpen(t, dir).Put(t.Context(), bytes.NewReader([]byte("kept")))
	require.NoError(t, err)
	old, fresh := filepath.Join(dir, "tmp", "put-1"), filepath.Join(dir, "tmp", "put-2")
	require.NoError(t, os.WriteFile(old, []byte("half"), 0o600))
	require.NoError(t, os.WriteFile(fresh, []byte("half"), 0o600))
	long := time.Now().Add(-25 * time.Hour)
	require.NoError(t, os.Chtimes(old, long, long))

	s := mustOpen(t, dir)
	require.NoFileExists(t, old)
	require.FileExists(t, fresh)
	info, err := s.Stat(t.Context(), ref.Digest)
	require.NoError(t, err)
	require.EqualValues(t, 4, info.Bytes)
}

func TestFilesAreClosedToOthers(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "objects")
	_, err := mustOpen(t, dir).Put(t.Context(), bytes.NewReader([]byte("private")))
	require.NoError(t, err)
	require.NoError(t, filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := os.Stat(path)
		require.NoError(t, err)
		require.Zerof(t, info.Mode().Perm()&0o077, "%s has mode %s", path, info.Mode())
		return nil
	}))
}

// An object without references that is put again is about to get one: the sweep must see that even when it looked
// before.
func TestSweepKeepsWhatIsPutAgain(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	put := func() objects.Ref {
		ref, err := s.Put(t.Context(), bytes.NewReader([]byte("again")))
		require.NoError(t, err)
		return ref
	}
	digest := put().Digest
	long := time.Now().Add(-48 * time.Hour)
	require.NoError(t, os.Chtimes(files(t, dir)[0], long, long))
	swept, err := objects.Sweep(t.Context(), s, func(context.Context, string) (bool, error) {
		put() // between the look and the removal
		return false, nil
	}, time.Now(), objects.DefaultGrace)
	require.NoError(t, err)
	require.Equal(t, objects.Swept{Kept: 1}, swept)
	_, err = s.Stat(t.Context(), digest)
	require.NoError(t, err)
}

func TestListLeavesForeignFilesAlone(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "sha256", "README"), nil, 0o600))
	require.NoError(t, s.List(t.Context(), func(i objects.Info) error {
		t.Errorf("listed %s", i.Digest)
		return nil
	}))
}

func BenchmarkPut(b *testing.B) {
	for name, size := range map[string]int{"1KiB": 1 << 10, "1MiB": 1 << 20, "64MiB": 64 << 20} {
		b.Run(name, func(b *testing.B) {
			s := mustOpen(b, b.TempDir())
			content := make([]byte, size)
			b.SetBytes(int64(size))
			for i := 0; b.Loop(); i++ {
				content[0], content[1], content[2] = byte(i), byte(i>>8), byte(i>>16)
				_, err := s.Put(b.Context(), bytes.NewReader(content))
				require.NoError(b, err)
			}
		})
	}
}
