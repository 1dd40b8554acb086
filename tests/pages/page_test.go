// Package pages_test follows the pages for newcomers, step by step: add a component, a dialect, a runtime, a store. The code of a page
// is the code that runs here. Each toy is registered through the public seam, and a job of two parties runs with it.
package pages_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow/tests/env"
)

func TestMain(m *testing.M) { os.Exit(env.Main(m)) }

// page is what a page has in fences: the text of each file that it writes, and its commands.
type page struct {
	files    map[string]string // the parts of one file are joined by an empty line
	commands []string
}

// read takes a page apart. A fence that begins with a language and a name is a part of that file, and one of "sh" commands.
func read(t *testing.T, name string) page {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", name))
	require.NoError(t, err)
	p := page{files: map[string]string{}}
	for i, part := range strings.Split(string(text), "\n```") {
		if i%2 == 0 {
			continue
		}
		head, body, _ := strings.Cut(part, "\n")
		body += "\n"
		switch words := strings.Fields(head); {
		case len(words) == 2 && p.files[words[1]] != "":
			p.files[words[1]] += "\n" + body
		case len(words) == 2:
			p.files[words[1]] = body
		case len(words) == 1 && words[0] == "sh":
			p.commands = append(p.commands, strings.Split(strings.TrimSpace(body), "\n")...)
		}
	}
	return p
}

// is compares the files of a page with those of a package, which are compiled and checked with all the others.
func (p page) is(t *testing.T, pkg string) {
	t.Helper()
	got, err := filepath.Glob(filepath.Join(pkg, "*.go"))
	require.NoError(t, err)
	require.Len(t, got, len(p.files), "the page has the whole package")
	for name, text := range p.files {
		b, err := os.ReadFile(filepath.Join(pkg, name))
		require.NoError(t, err)
		require.Equal(t, string(b), text, "the page differs from %s/%s", pkg, name)
	}
	require.Equal(t, []string{"go test ./tests/pages/" + pkg}, p.commands, "the suite runs with every test run")
}

// write makes the files of a page and follows its commands in a folder, with the path of this repository for ../openflow. So
// what the build needs of it has been built before. It returns what the last command has said.
func (p page) write(t *testing.T, dir string) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	at, last := dir, ""
	for _, command := range p.commands {
		if into, ok := strings.CutPrefix(command, "mkdir greet && cd "); ok {
			at = filepath.Join(dir, into)
			require.NoError(t, os.Mkdir(at, 0o700))
			for name, text := range p.files {
				require.NoError(t, os.WriteFile(filepath.Join(at, name), []byte(text), 0o600))
			}
			continue
		}
		c := exec.CommandContext(t.Context(), "sh", "-ec", strings.ReplaceAll(command, "../openflow", root))
		c.Dir = at
		c.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off", "GOFLAGS=")
		out, err := c.CombinedOutput()
		require.NoErrorf(t, err, "%s: %s", command, out)
		last = strings.TrimSpace(string(out))
	}
	return last
}
