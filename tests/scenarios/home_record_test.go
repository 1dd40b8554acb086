//go:build record

package scenarios_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/tests/env"
)

// TestRecordHome packs the home of party 9999 as this version leaves it, for TestHomesOfEveryRelease: `make home-fixture`.
// In it are a job that has succeeded, one that runs and one that waits for it, and a key that is used nowhere else.
func TestRecordHome(t *testing.T) {
	version := os.Getenv("VERSION")
	require.NotEmpty(t, version, "make home-fixture sets it")
	e := env.New(t, env.Party("9999"), env.Party("10000"), env.Cores(4))
	user := e.As(t, "9999")
	named := func(name string, parties []openflow.Party, tasks ...openflow.Task) openflow.JobID {
		d := env.DAG(parties, tasks...)
		d.Conf.Task.Timeout = 10 * 365 * 24 * time.Hour // the longest there is: the run under way must not be over when the fixture is used
		four := 4
		d.Conf.Cores = &four
		id := user.Submit(d)
		user.OK(user.Post("/v2/job/notes/add", map[string]string{"job_id": string(id), "role": "guest", "party_id": "9999", "notes": name}), nil)
		return id
	}
	alone := env.Parties("guest 9999")
	done := named("done", env.Parties("guest 9999", "host 10000"), env.Noop("a", nil), env.Noop("b", nil, "a"))
	user.WaitFor(done, openflow.JobSuccess)
	e.NoContainers(t)
	e.NoCoresHeld(t)
	running := named("running", alone, env.Noop("a", env.Sleep(8000)), env.Noop("b", nil, "a"))
	user.WaitForTask(running, "a", openflow.TaskRunning)
	user.WaitFor(named("waiting", alone, env.Noop("a", nil)), openflow.JobWaiting)
	e.Stop(t, "9999")

	out := filepath.Join("..", "testdata", "homes", version+".tar.gz")
	require.NoError(t, os.MkdirAll(filepath.Dir(out), 0o755))
	packed := pack(t, e.Home("9999"))
	require.NoError(t, os.WriteFile(out, packed, 0o644))
	t.Logf("%s: %d bytes", out, len(packed))
}

// leftOut are the parts of a home that belong to the machine: processes and their programs, files on their way, the lock.
var leftOut = []string{"tasks", "programs", "uploads", "downloads", "lock"}

func pack(t *testing.T, home string) []byte {
	t.Helper()
	here, err := os.Getwd()
	require.NoError(t, err)
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	require.NoError(t, err)
	w := tar.NewWriter(z)
	require.NoError(t, filepath.WalkDir(home, func(path string, d fs.DirEntry, err error) error {
		require.NoError(t, err)
		name, err := filepath.Rel(home, path)
		require.NoError(t, err)
		for _, out := range leftOut {
			if name == out && d.IsDir() {
				return filepath.SkipDir
			}
			if name == out {
				return nil
			}
		}
		if d.IsDir() {
			return w.WriteHeader(&tar.Header{Name: name + "/", Typeflag: tar.TypeDir, Mode: 0o700})
		}
		content, err := os.ReadFile(path)
		require.NoError(t, err)
		above := filepath.Dir(home) // Temporal names its index by the file's path, and the components' program is beside the home
		content = bytes.ReplaceAll(content, []byte(above), []byte(neutral(above)))
		for _, private := range []string{home, here, os.TempDir() + "/"} {
			at := strings.Index(string(content), private)
			require.Negativef(t, at, "%s holds %q, which belongs to this machine: %q", name, private, content[max(at-200, 0):min(at+100, len(content))])
		}
		require.NoError(t, w.WriteHeader(&tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o600, Size: int64(len(content))}))
		_, err = w.Write(content)
		return err
	}))
	require.NoError(t, w.Close())
	require.NoError(t, z.Close())
	return b.Bytes()
}

// neutral is a path as long as dir that no machine has, so that what a database says of lengths stays true.
func neutral(dir string) string {
	const usual = "/var/lib/openflow/"
	return usual + strings.Repeat("0", max(len(dir)-len(usual), 0))
}
