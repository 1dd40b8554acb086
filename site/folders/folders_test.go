package folders_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/site/folders"
)

// machine is a home with a folder of the operator beside it, and a secret outside of both.
func machine(t testing.TB) (f folders.Folders, outside string) {
	t.Helper()
	top := t.TempDir()
	f = folders.Folders{Home: filepath.Join(top, "home"), Named: []string{filepath.Join(top, "data")}, Flag: "--upload-folder"}
	outside = filepath.Join(top, "outside")
	for _, dir := range []string{f.Home, f.Named[0], outside} {
		require.NoError(t, os.Mkdir(dir, 0o700))
	}
	for name, content := range map[string]string{"home/a.csv": "a", "data/b.csv": "b", "outside/secret": "secret", "data2": "beside"} {
		require.NoError(t, os.WriteFile(filepath.Join(top, name), []byte(content), 0o600))
	}
	require.NoError(t, os.Symlink(outside, filepath.Join(f.Home, "out")))
	require.NoError(t, os.Symlink("a.csv", filepath.Join(f.Home, "inside.csv")))
	return f, outside
}

func TestWhichFilesMayBeNamed(t *testing.T) {
	f, outside := machine(t)
	for name, want := range map[string]string{
		"a.csv": "a", "./a.csv": "a", "inside.csv": "a", filepath.Join(f.Home, "a.csv"): "a", filepath.Join(f.Named[0], "b.csv"): "b",
		filepath.Join(f.Named[0], "../data/b.csv"): "b",
	} {
		file, err := f.Open(name)
		require.NoError(t, err, name)
		content, err := io.ReadAll(file)
		require.NoError(t, err)
		require.NoError(t, file.Close())
		require.Equal(t, want, string(content))
	}
	for _, name := range []string{
		"b.csv", "../data/b.csv", "out/secret", filepath.Join(outside, "secret"), f.Named[0] + "2", filepath.Join(f.Named[0], "../outside/secret"),
		"/proc/self/environ", "none",
	} {
		_, err := f.Open(name)
		require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(err), "%s: %v", name, err)
		require.Contains(t, err.Error(), "in the folders that may be named here", name)
	}
	for _, name := range []string{"", "a\x00", ".", f.Home, "a.csv/"} {
		_, err := f.Open(name)
		require.Error(t, err, "%q", name)
	}
	_, err := (folders.Folders{Flag: "--upload-folder"}).Open("a.csv")
	require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(err))
}

func TestWhatIsWrittenReplacesOnlyItself(t *testing.T) {
	f, outside := machine(t)
	require.NoError(t, os.Mkdir(filepath.Join(f.Home, "x"), 0o700))
	require.NoError(t, os.Symlink(filepath.Join(outside, "secret"), filepath.Join(f.Home, "x", "0.csv")))
	require.NoError(t, os.Symlink(filepath.Join(outside, "secret"), filepath.Join(f.Home, "x", "0.csv.part")))
	p, err := f.Place("x")
	require.NoError(t, err)
	write := func(text string) error {
		return p.Write("0.csv", func(w io.Writer) error { _, err := io.WriteString(w, text); return err })
	}
	require.NoError(t, write("first"))
	broken := errors.New("broken")
	require.ErrorIs(t, p.Write("0.csv", func(w io.Writer) error { _, _ = io.WriteString(w, "half"); return broken }), broken)
	content, err := os.ReadFile(filepath.Join(f.Home, "x", "0.csv"))
	require.NoError(t, err)
	require.Equal(t, "first", string(content), "what fails changes nothing")
	entries, err := os.ReadDir(filepath.Join(f.Home, "x"))
	require.NoError(t, err)
	require.Len(t, entries, 2, "nothing is left of what failed; a link of somebody else is not touched")
	require.Error(t, p.Write("../../y", func(io.Writer) error { return nil }))
	require.NoError(t, p.Close())
	secret, err := os.ReadFile(filepath.Join(outside, "secret"))
	require.NoError(t, err)
	require.Equal(t, "secret", string(secret), "a link is replaced, not followed")

	for _, name := range []string{"out", "out/new", "../new", outside, "a.csv", "a.csv/b", ""} {
		_, err := f.Place(name)
		require.Error(t, err, name)
	}
	list, err := os.ReadDir(outside)
	require.NoError(t, err)
	require.Len(t, list, 1)
}

func pack(t *testing.T, f folders.Folders, name string) (string, folders.Contents, error) {
	t.Helper()
	var b bytes.Buffer
	has, err := f.Pack(t.Context(), name, &b)
	return b.String(), has, err
}

func TestAFolderIsPackedByItsContent(t *testing.T) {
	f, _ := machine(t)
	for _, dir := range []string{"one", "two"} {
		require.NoError(t, os.MkdirAll(filepath.Join(f.Home, dir, "sub", "empty"), 0o700))
		for _, name := range []string{"z", "sub/a"} {
			require.NoError(t, os.WriteFile(filepath.Join(f.Home, dir, name), []byte(name), 0o600))
		}
	}
	first, has, err := pack(t, f, "one")
	require.NoError(t, err)
	require.Equal(t, folders.Contents{Files: 2, Bytes: 6, First: []string{"sub/a", "z"}}, has)
	second, _, err := pack(t, f, filepath.Join(f.Home, "two"))
	require.NoError(t, err)
	require.Equal(t, first, second)
	var names []string
	for in := tar.NewReader(strings.NewReader(first)); ; {
		h, err := in.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		names = append(names, h.Name)
	}
	require.Equal(t, []string{"sub/", "sub/a", "sub/empty/", "z"}, names)

	require.NoError(t, os.Symlink("z", filepath.Join(f.Home, "two", "link")))
	deep := filepath.Join(f.Home, "deep", strings.Repeat("d/", 70))
	require.NoError(t, os.MkdirAll(deep, 0o700))
	require.NoError(t, os.Mkdir(filepath.Join(f.Home, "empty"), 0o700))
	for name, says := range map[string]string{
		"two": `"link": it is a link`, "deep": "more than 64 deep", "empty": "has no files", "a.csv": "is no folder", "none": "in the folders that may be named here",
		"out": "in the folders that may be named here",
	} {
		_, _, err := pack(t, f, name)
		require.ErrorContains(t, err, says, name)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = f.Pack(ended, "one", io.Discard)
	require.ErrorContains(t, err, "was given up")
}

func TestFoldersOfAnOperator(t *testing.T) {
	f, _ := machine(t)
	require.NoError(t, f.Check())
	for _, dir := range []string{"relative", filepath.Join(f.Home, "none"), filepath.Join(f.Home, "a.csv")} {
		err := folders.Folders{Named: []string{dir}, Flag: "--upload-folder"}.Check()
		require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
		require.ErrorContains(t, err, "--upload-folder")
	}
}

// Whatever a user calls a file, what is outside stays there.
func FuzzNames(f *testing.F) {
	at, outside := machine(f)
	for _, name := range []string{"a.csv", "../outside/secret", "out/secret", outside + "/secret", "a\x00", strings.Repeat("../", 40) + "etc/passwd"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		file, err := at.Open(name)
		if err != nil {
			return
		}
		content, err := io.ReadAll(file)
		require.NoError(t, errors.Join(err, file.Close()))
		require.Contains(t, []string{"a", "b"}, string(content))
	})
}
