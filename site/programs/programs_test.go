package programs_test

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/runtime/driver"
	"openflow/site/programs"
)

func file(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "program")
	require.NoError(t, os.WriteFile(path, []byte(content), 0o700))
	return path
}

func acme(t *testing.T, path string) openflow.ProviderRecord {
	t.Helper()
	clean, digest, err := programs.Inspect(path)
	require.NoError(t, err)
	return openflow.ProviderRecord{Name: "acme", Version: "1", Kind: openflow.ProviderProgram, Place: clean, Digest: digest, Dialect: "toy"}
}

// machine brings programs as they are, and counts.
func machine(t *testing.T, known ...openflow.ProviderRecord) (p *programs.Programs, brought *[]string) {
	t.Helper()
	own, err := programs.Own(file(t, "own"), "fate-flow")
	require.NoError(t, err)
	own.Name, own.Version = "openflow", "2"
	brought = new([]string)
	return &programs.Programs{
		Machine: "m1", Device: "local", Isolated: true, BuiltIn: own, Copies: filepath.Join(t.TempDir(), "programs"),
		Find: func(_ context.Context, name, version string) (openflow.ProviderRecord, error) {
			for _, p := range known {
				if p.Name == name && p.Version == version {
					return p, nil
				}
			}
			return openflow.ProviderRecord{}, openflow.Errorf(openflow.CodeNotFound, "none")
		},
		Bring: func(_ context.Context, path string) (string, error) {
			*brought = append(*brought, path)
			return path, nil
		},
	}, brought
}

func TestInspectRefuses(t *testing.T) {
	folder := t.TempDir()
	path := func(name string) string { return filepath.Join(folder, name) }
	require.NoError(t, os.WriteFile(path("empty"), nil, 0o700))
	require.NoError(t, os.WriteFile(path("open"), []byte("x"), 0o700))
	require.NoError(t, os.Chmod(path("open"), 0o777))
	require.NoError(t, os.WriteFile(path("plain"), []byte("x"), 0o600))
	require.NoError(t, os.Mkdir(path("shared"), 0o700))
	require.NoError(t, os.Chmod(path("shared"), 0o777))
	require.NoError(t, os.WriteFile(path("shared/x"), []byte("x"), 0o700))
	require.NoError(t, syscall.Mkfifo(path("pipe"), 0o700))
	require.NoError(t, os.Symlink("/bin/sh", path("link")))
	require.NoError(t, os.Symlink(path("nowhere"), path("dangling")))
	for at, says := range map[string]string{
		path("empty"):                    "it is empty",
		path("open"):                     "other users can change " + path("open"),
		path("shared/x"):                 "other users can change " + path("shared"),
		path("plain"):                    "permission denied",
		path("pipe"):                     "not a regular file",
		path("link"):                     "is a link",
		path("dangling"):                 "is a link",
		folder:                           "not a regular file",
		"/dev/null":                      "cannot be used as a program",
		path("none"):                     "no such file",
		"program":                        "not a whole path",
		folder + "/../x":                 "not a whole path",
		"/a\nb":                          "is not the path",
		"/" + string(make([]byte, 5000)): "is not the path",
	} {
		_, _, err := programs.Inspect(at)
		require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), at)
		require.ErrorContains(t, err, says, at)
	}
}

// What is compressed is no archive, and is not taken for a program either.
func TestInspectOfACompressedArchive(t *testing.T) {
	for begin, by := range map[string]string{"\x1f\x8b\x08": "gunzip", "BZh9": "bunzip2", "\xfd7zXZ\x00": "unxz", "\x28\xb5\x2f\xfd": "unzstd", "PK\x03\x04": "unzip"} {
		path := filepath.Join(t.TempDir(), "acme.tar.gz")
		require.NoError(t, os.WriteFile(path, []byte(begin+"anything"), 0o600))
		_, err := (&programs.Programs{}).Inspect(t.Context(), path, "")
		require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
		require.ErrorContains(t, err, "is compressed, and the archive of an image is not (unpack it first, with "+by+")")
	}
}

// A folder on the way that is a link is followed once, and the path without links is what is registered.
func TestInspectFollowsFoldersOnce(t *testing.T) {
	real := file(t, "x")
	link := filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(filepath.Dir(real), link))
	clean, _, err := programs.Inspect(filepath.Join(link, "program"))
	require.NoError(t, err)
	require.Equal(t, real, clean)
}

func TestWhatARunIsStartedWith(t *testing.T) {
	ctx := t.Context()
	r := acme(t, file(t, "#!/bin/sh\n"))
	p, brought := machine(t, r)
	for range 2 {
		got, err := p.Of(ctx, "acme:1@local")
		require.NoError(t, err)
		require.Equal(t, openflow.Program{Image: copyOf(p, r), Command: []string{"run"}, Dialect: "toy", Provider: "acme:1@local", Digest: r.Digest}, got)
	}
	require.Equal(t, []string{copyOf(p, r)}, *brought, "once")

	got, err := p.Of(ctx, "openflow:1@local")
	require.NoError(t, err)
	own := openflow.Program{Image: copyOf(p, p.BuiltIn), Command: []string{"run"}, Dialect: "fate-flow", Provider: "openflow:2@local", Digest: p.BuiltIn.Digest}
	require.Equal(t, own, got, "whatever version the machine has by now")

	p.BuiltIn.Name = "acme"
	got, err = p.Of(ctx, "acme:1@local")
	require.NoError(t, err)
	require.Equal(t, copyOf(p, r), got.Image, "a local program that has the name of the built-in one is what it was registered as")
	p.BuiltIn.Name = "openflow"

	_, err = p.Of(ctx, "acme:2@local")
	require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(err))
	require.ErrorContains(t, err, "acme:2 was removed")
}

// However a program changes, it is not run any more, and is again once it is what it was.
func TestChangedProgramIsRefused(t *testing.T) {
	ctx := t.Context()
	for name, change := range map[string]func(path string) error{
		"a byte more": func(path string) error { return os.WriteFile(path, []byte("#!/bin/sh\n\n"), 0o700) },
		"as long, and as old": func(path string) error {
			before, err := os.Stat(path)
			if err == nil {
				err = os.WriteFile(path, []byte("#!/bin/sx\n"), 0o700)
			}
			if err == nil {
				err = os.Chtimes(path, before.ModTime(), before.ModTime())
			}
			return err
		},
		"another file in its place": func(path string) error {
			if err := os.WriteFile(path+"2", []byte("#!/bin/sx\n"), 0o700); err != nil {
				return err
			}
			return os.Rename(path+"2", path)
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := acme(t, file(t, "#!/bin/sh\n"))
			p, _ := machine(t, r)
			_, err := p.Of(ctx, "acme:1")
			require.NoError(t, err)
			require.NoError(t, change(r.Place))
			_, err = p.Of(ctx, "acme:1")
			require.Equal(t, openflow.CodeConflict, openflow.CodeOf(err))
			for _, says := range []string{"provider acme:1 at machine m1", r.Place, r.Digest, "put the registered file back"} {
				require.ErrorContains(t, err, says)
			}
			require.Empty(t, openflow.PublicText(err), "paths are this site's own")
			require.Error(t, p.Verify(t.Context(), r))
			require.NoError(t, os.WriteFile(r.Place, []byte("#!/bin/sh\n"), 0o700))
			_, err = p.Of(ctx, "acme:1")
			require.NoError(t, err)
		})
	}
}

func TestProgramThatIsNotHere(t *testing.T) {
	r := acme(t, file(t, "x"))
	p, _ := machine(t, r)
	for name, change := range map[string]func(path string) error{
		"removed":        os.Remove,
		"a folder":       func(path string) error { return os.Mkdir(path, 0o700) },
		"a link to it":   func(path string) error { return os.Symlink("/bin/sh", path) },
		"not executable": func(path string) error { return os.WriteFile(path, []byte("x"), 0o600) },
	} {
		require.NoError(t, os.RemoveAll(r.Place))
		if name != "removed" {
			require.NoError(t, change(r.Place))
		}
		_, err := p.Of(t.Context(), "acme:1")
		require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(err), name)
		require.ErrorContains(t, err, "machine m1 lacks the program of provider acme:1, "+r.Place, name)
	}
	require.NoError(t, os.RemoveAll(r.Place))
	require.NoError(t, os.WriteFile(r.Place, []byte("x"), 0o700))
	require.NoError(t, os.Chmod(filepath.Dir(r.Place), 0o777))
	_, err := p.Of(t.Context(), "acme:1")
	require.ErrorContains(t, err, "other users can change")
}

// While an update of the node is under way, runs of the built-in provider are started with what it was. Where the copy of
// that is gone, they wait for the restart.
func TestBuiltInProgramThatIsUpdated(t *testing.T) {
	p, _ := machine(t)
	before, err := p.Ready(t.Context(), p.BuiltIn)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(p.BuiltIn.Place, []byte("new"), 0o700))
	after, err := p.Ready(t.Context(), p.BuiltIn)
	require.NoError(t, err)
	require.Equal(t, before, after)
	requireContent(t, "own", after)
	require.Error(t, p.Verify(t.Context(), p.BuiltIn), "doctor tells of it")

	require.NoError(t, os.Remove(before))
	_, err = p.Ready(t.Context(), p.BuiltIn)
	require.True(t, openflow.CodeOf(err).Retryable())
	require.ErrorContains(t, err, "restart the node")
}

// What is started is what was registered, also where the file changes between the check and the start.
func TestProgramThatChangesBeforeItsStart(t *testing.T) {
	for name, change := range map[string]func(path string) error{
		"in place": func(path string) error { return os.WriteFile(path, []byte("#!/bin/sx\n"), 0o700) },
		"another file": func(path string) error {
			return errors.Join(os.WriteFile(path+"2", []byte("#!/bin/sx\n"), 0o700), os.Rename(path+"2", path))
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := acme(t, file(t, "#!/bin/sh\n"))
			p, _ := machine(t, r)
			bring := p.Bring
			p.Bring = func(ctx context.Context, path string) (string, error) {
				require.NoError(t, change(r.Place))
				return bring(ctx, path)
			}
			image, err := p.Ready(t.Context(), r)
			require.NoError(t, err)
			requireContent(t, "#!/bin/sh\n", image)
			info, err := os.Stat(image)
			require.NoError(t, err)
			require.Equal(t, fs.FileMode(0o500), info.Mode().Perm())

			_, err = p.Ready(t.Context(), r)
			require.Equal(t, openflow.CodeConflict, openflow.CodeOf(err), "the next run sees it")
			list, err := os.ReadDir(p.Copies)
			require.NoError(t, err)
			require.Len(t, list, 1, "nothing is left half made")
		})
	}
}

// Copies that no node has made anew go with the next start; those in use stay.
func TestOldCopiesGo(t *testing.T) {
	a, b := acme(t, file(t, "a")), acme(t, file(t, "b"))
	b.Version = "2"
	p, _ := machine(t, a, b)
	kept, err := p.Ready(t.Context(), a)
	require.NoError(t, err)
	left := filepath.Join(p.Copies, "sha256-left")
	require.NoError(t, os.WriteFile(left, []byte("x"), 0o500))
	old := time.Now().Add(-48 * time.Hour)
	require.NoError(t, errors.Join(os.Chtimes(left, old, old), os.Chtimes(kept, old, old)))
	_, err = p.Ready(t.Context(), b)
	require.NoError(t, err)
	require.NoFileExists(t, left)
	require.FileExists(t, kept)
}

func copyOf(p *programs.Programs, r openflow.ProviderRecord) string {
	return filepath.Join(p.Copies, strings.ReplaceAll(r.Digest, ":", "-"))
}

func requireContent(t *testing.T, want, path string) {
	t.Helper()
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, want, string(got))
}

// An image is made of what was verified, and the copy that it was made of goes. Of the built-in one it stays.
func TestImages(t *testing.T) {
	ctx := t.Context()
	p, brought := machine(t)
	p.Bring = func(_ context.Context, path string) (string, error) {
		*brought = append(*brought, path)
		return "sha256:image" + strconv.Itoa(len(*brought)), nil
	}
	made, err := p.Of(ctx, "openflow:2")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(p.BuiltIn.Place, []byte("new"), 0o700))
	again, err := p.Of(ctx, "openflow:2")
	require.NoError(t, err)
	require.Equal(t, made, again)
	require.NoFileExists(t, copyOf(p, p.BuiltIn))
	require.Equal(t, []string{copyOf(p, p.BuiltIn)}, *brought)
}

// Looking at a program costs a look, not its reading: 30 MB would take longer than a task may.
func TestVerifyingIsCheap(t *testing.T) {
	path := filepath.Join(t.TempDir(), "program")
	require.NoError(t, os.WriteFile(path, make([]byte, 64<<20), 0o700))
	r := acme(t, path)
	p, _ := machine(t, r)
	require.Eventually(t, func() bool { // a file that has just been written is read each time
		begun := time.Now()
		for range 100 {
			require.NoError(t, p.Verify(t.Context(), r))
		}
		return time.Since(begun) < time.Second
	}, 3*time.Minute, 100*time.Millisecond)
}

// Where nothing isolates it, a program of another provider neither runs nor tells what it has, unless the operator trusts its
// provider by name. The built-in one does.
func TestProgramsThatNothingIsolates(t *testing.T) {
	ctx := t.Context()
	r := acme(t, file(t, "#!/bin/sh\n"))
	p, brought := machine(t, r)
	asked := 0
	p.Question = func(context.Context, driver.Question) (driver.Answer, error) { asked++; return driver.Answer{}, nil }
	_, err := p.Of(ctx, "acme:1")
	require.NoError(t, err)
	p.Isolated = false
	*brought = nil
	for name, try := range map[string]func() error{
		"run":      func() error { _, err := p.Of(ctx, "acme:1"); return err },
		"question": func() error { _, err := p.Ask(ctx, r, 1, "list"); return err },
		"look":     func() error { return p.Verify(t.Context(), r) },
	} {
		err := try()
		require.Equal(t, openflow.CodePermission, openflow.CodeOf(err), name)
		require.ErrorContains(t, err, "--trust-provider acme", name)
	}
	require.Empty(t, *brought)
	require.Zero(t, asked)
	_, err = p.Ask(ctx, p.BuiltIn, 1, "list")
	require.NoError(t, err)
	require.False(t, p.Exposed(p.BuiltIn))

	p.Trusted = []string{"acme"}
	_, err = p.Ask(ctx, r, 1, "list")
	require.NoError(t, err)
	require.NoError(t, p.Verify(t.Context(), r))
	require.True(t, p.Exposed(r))
	require.Equal(t, 2, asked)
	p.Trusted = []string{"acm", "acme2"}
	require.False(t, p.Exposed(r))
}
