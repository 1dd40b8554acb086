package env

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
)

// built are the programs of this test process, each built once, on first use, from the tree under test.
var built struct {
	sync.Mutex
	dir   string
	paths map[string]string
}

// Components is the path of the algorithms' binary: OPENFLOW_COMPONENTS when that is set, otherwise built now.
func Components(t testing.TB) string {
	t.Helper()
	if path := os.Getenv("OPENFLOW_COMPONENTS"); path != "" {
		return path
	}
	return program(t, "openflow-components", "openflow/cmd/openflow-components", "dev")
}

// Openflow is the path of the node's binary: OPENFLOW_BINARY when that is set, otherwise built now.
func Openflow(t testing.TB) string {
	t.Helper()
	if path := os.Getenv("OPENFLOW_BINARY"); path != "" {
		return path
	}
	return program(t, "openflow", "openflow/cmd/openflow", "dev")
}

// Acme is a copy of a static program of another provider, acme, in that version, which the test may change.
func Acme(t testing.TB, version string) string {
	t.Helper()
	text, err := os.ReadFile(program(t, "acme-"+version, "openflow/tests/env/acme", version))
	require.NoError(t, err)
	path := filepath.Join(t.TempDir(), "acme")
	require.NoError(t, os.WriteFile(path, text, 0o700))
	return path
}

// Reference is a program of our own components as another provider has them, reference.
func Reference(t testing.TB) string {
	t.Helper()
	return program(t, "reference", "openflow/cmd/openflow-components", "dev", "-X main.provider=reference")
}

// program is the path of a command, built once with further flags for the linker.
func program(t testing.TB, name, pkg, version string, link ...string) string {
	t.Helper()
	built.Lock()
	defer built.Unlock()
	if path, ok := built.paths[name]; ok {
		return path
	}
	if built.dir == "" {
		dir, err := os.MkdirTemp("", "openflow-test-programs-") // outlives the test that needs it first; RemovePrograms
		require.NoError(t, err)
		built.dir, built.paths = dir, map[string]string{}
	}
	path := filepath.Join(built.dir, name)
	cmd := exec.CommandContext(t.Context(), "go", "build", "-ldflags", strings.Join(append(link, "-X main.version="+version), " "), "-o", path, pkg)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	require.NoErrorf(t, err, "go build %s: %s", pkg, out)
	built.paths[name] = path
	return path
}

// RemovePrograms deletes what was built. A TestMain calls it in the end.
func RemovePrograms() {
	built.Lock()
	defer built.Unlock()
	if built.dir != "" {
		_ = os.RemoveAll(built.dir) // a leftover in the temporary folder harms nobody
	}
	built.dir, built.paths = "", nil
}

// Main runs the tests of a package and cleans up behind all of them. A TestMain is os.Exit(env.Main(m)).
func Main(m *testing.M) int {
	defer RemovePrograms()
	return m.Run()
}

// Witness notes every start of a task's program by standing between the node and the components binary. It works
// with the process runtime, which runs scripts too.
type Witness struct {
	Program string // to be given to the node as its components binary
	log     string
	held    string // folder with a file for each task whose first run is held
}

// witnessScript notes the configuration, one line per start, before it becomes the program. Appending a line is one
// write, so concurrent starts do not mix. Between the two it waits while the run is held.
const witnessScript = `#!/bin/sh
if [ "$1" = run ]; then
	printf '%%s\n' "$CONFIG" >> '%s'
	for held in '%s'/*; do
		case "$CONFIG" in *'"party_task_id":"'*_"${held##*/}"_0_*) while [ -e "$held" ]; do sleep 0.1; done ;; esac
	done
fi
exec '%s' "$@"
`

// NewWitness makes a witness in dir, which must outlive the node.
func NewWitness(t testing.TB, dir string) *Witness {
	t.Helper()
	w := &Witness{Program: filepath.Join(dir, "components.sh"), log: filepath.Join(dir, "starts"), held: filepath.Join(dir, "held")}
	require.NoError(t, os.Mkdir(w.held, 0o700))
	script := fmt.Sprintf(witnessScript, w.log, w.held, Components(t))
	require.NoError(t, os.WriteFile(w.Program, []byte(script), 0o700))
	return w
}

// Hold makes programs of a task last until they are released, however slow the machine is: they have been started and do
// not go on. Later versions of the task are not held.
func (w *Witness) Hold(t testing.TB, task openflow.TaskName) (release func()) {
	t.Helper()
	name := filepath.Join(w.held, string(task))
	require.NoError(t, os.WriteFile(name, nil, 0o600))
	release = sync.OnceFunc(func() { _ = os.Remove(name) }) // the folder may be gone with the test
	t.Cleanup(release)
	return release
}

// Starts counts the programs that were started, by the ID of the run.
func (w *Witness) Starts(t testing.TB) map[string]int {
	t.Helper()
	data, err := os.ReadFile(w.log)
	if !os.IsNotExist(err) {
		require.NoError(t, err)
	}
	starts := map[string]int{}
	for line := range strings.Lines(string(data)) {
		_, rest, ok := strings.Cut(line, `"party_task_id":"`)
		id, _, ok2 := strings.Cut(rest, `"`)
		require.Truef(t, ok && ok2, "a start without the ID of a run: %s", line)
		starts[id]++
	}
	return starts
}
