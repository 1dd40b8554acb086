package programs

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
)

// codeIn makes a folder of code with a virtual environment beside it.
func codeIn(t *testing.T) openflow.ProviderRecord {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	for name, text := range map[string]string{
		"code/acme/__init__.py": "", "code/acme/psi.py": "print()", "venv/pyvenv.cfg": "home = /usr/bin", "venv/lib/numbers.py": "1", "python": "#!/bin/sh\n",
	} {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o700))
	}
	require.NoError(t, os.Mkdir(filepath.Join(dir, "venv/bin"), 0o700))
	require.NoError(t, os.Symlink(filepath.Join(dir, "python"), filepath.Join(dir, "venv/bin/python")))
	return openflow.ProviderRecord{Name: "acme", Place: filepath.Join(dir, "code"), Interpreter: filepath.Join(dir, "venv/bin/python")}
}

// Whatever of the code, its environment or its interpreter changes, the digest is another one.
func TestDigestsOfCode(t *testing.T) {
	write := func(name, text string) func(string) error {
		return func(dir string) error { return os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600) }
	}
	for name, c := range map[string]struct {
		change func(dir string) error
		same   bool
	}{
		"nothing": {func(string) error { return nil }, true},
		"the time of a file": {func(dir string) error {
			return os.Chtimes(filepath.Join(dir, "code/acme/psi.py"), time.Now(), time.Unix(1, 0))
		}, true},
		"a file":               {write("code/acme/psi.py", "print(2)"), false},
		"a file more":          {write("code/acme/more.py", ""), false},
		"what Python compiles": {write("code/acme/psi.pyc", "x"), false},
		"the environment":      {write("venv/lib/numbers.py", "2"), false},
		"the interpreter":      {write("python", "#!/bin/false\n"), false},
		"a name": {func(dir string) error {
			return os.Rename(filepath.Join(dir, "code/acme/psi.py"), filepath.Join(dir, "code/acme/lr.py"))
		}, false},
		"who may execute": {func(dir string) error { return os.Chmod(filepath.Join(dir, "code/acme/psi.py"), 0o600) }, false},
		"a folder":        {func(dir string) error { return os.Mkdir(filepath.Join(dir, "code/more"), 0o700) }, false},
		"a link within":   {func(dir string) error { return os.Symlink("psi.py", filepath.Join(dir, "code/acme/lr.py")) }, false},
		"a link to a file": {func(dir string) error {
			return os.Symlink(filepath.Join(dir, "python"), filepath.Join(dir, "code/lr.py"))
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := codeIn(t)
			p := &Programs{Trusted: []string{"acme"}}
			said, err := p.inspectFolder(t.Context(), r)
			require.NoError(t, err)
			require.Equal(t, openflow.ProviderFolder, said.Kind)
			require.NoError(t, c.change(filepath.Dir(r.Place)))
			err = p.Verify(t.Context(), said)
			if c.same {
				require.NoError(t, err)
				return
			}
			require.Error(t, err)
			if name != "the interpreter" { // which cannot be executed any more either
				require.Equal(t, openflow.CodeConflict, openflow.CodeOf(err), "%v", err)
			}
		})
	}
}

// Code that others could change, or that is not where it seems to be, is refused.
func TestCodeThatIsRefused(t *testing.T) {
	for name, change := range map[string]func(dir string, r *openflow.ProviderRecord) error{
		"others write a file": func(dir string, _ *openflow.ProviderRecord) error {
			return os.Chmod(filepath.Join(dir, "code/acme/psi.py"), 0o666)
		},
		"others write a folder": func(dir string, _ *openflow.ProviderRecord) error {
			return os.Chmod(filepath.Join(dir, "code/acme"), 0o777)
		},
		"others write a library": func(dir string, _ *openflow.ProviderRecord) error {
			return os.Chmod(filepath.Join(dir, "venv/lib/numbers.py"), 0o666)
		},
		"a link to a folder": func(dir string, _ *openflow.ProviderRecord) error {
			return os.Symlink("/usr", filepath.Join(dir, "code/usr"))
		},
		"a link to nothing": func(dir string, _ *openflow.ProviderRecord) error {
			return os.Symlink("/nowhere", filepath.Join(dir, "code/x"))
		},
		"no interpreter":        func(_ string, r *openflow.ProviderRecord) error { r.Interpreter = ""; return nil },
		"an interpreter's name": func(_ string, r *openflow.ProviderRecord) error { r.Interpreter = "python3"; return nil },
		"one that does not run": func(_ string, r *openflow.ProviderRecord) error {
			r.Interpreter = filepath.Join(r.Place, "acme")
			return nil
		},
		"a link to all of it": func(dir string, r *openflow.ProviderRecord) error {
			r.Place = filepath.Join(dir, "link")
			return os.Symlink("code", r.Place)
		},
		"a pipe among its files": func(dir string, _ *openflow.ProviderRecord) error {
			return syscall.Mkfifo(filepath.Join(dir, "code/pipe"), 0o600)
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := codeIn(t)
			require.NoError(t, change(filepath.Dir(r.Place), &r))
			_, err := (&Programs{}).inspectFolder(t.Context(), r)
			require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), "%v", err)
		})
	}
	_, err := (&Programs{Isolated: true, Machine: "m"}).inspectFolder(t.Context(), codeIn(t))
	require.ErrorContains(t, err, "runs images")
}
