package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/sdk"
	"openflow/tests/env"
)

// demo is one run of `openflow demo` in a folder of its own.
type demo struct {
	home   string
	cmd    *exec.Cmd
	stdout *bytes.Buffer
	stderr *output
}

// demoPatience is how long a demo may take on a machine that has other things to do.
const demoPatience = 2 * env.Patience

func startDemo(t *testing.T, home string, args ...string) *demo {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), demoPatience)
	t.Cleanup(cancel)
	all := append([]string{"demo", "-o", "json", "--home", home, "--components", env.Components(t)}, args...)
	d := &demo{home: home, cmd: exec.CommandContext(ctx, env.Openflow(t), all...), stdout: &bytes.Buffer{}, stderr: &output{}}
	d.cmd.Stdout, d.cmd.Stderr = d.stdout, d.stderr
	require.NoError(t, d.cmd.Start())
	t.Cleanup(func() { d.endNodes(t) })
	return d
}

// result waits for the end and reads the one document on stdout.
func (d *demo) result(t *testing.T) (exit int, doc map[string]any) {
	t.Helper()
	_ = d.cmd.Wait() // the code is what counts
	require.NoErrorf(t, json.Unmarshal(d.stdout.Bytes(), &doc), "stdout holds one JSON document: %s\n%s", d.stdout, d.stderr)
	return d.cmd.ProcessState.ExitCode(), doc
}

// pids are the nodes of the demo that are alive.
func (d *demo) pids(t *testing.T) []int {
	t.Helper()
	var alive []int
	files, err := filepath.Glob(filepath.Join(d.home, "node-*", "pid"))
	require.NoError(t, err)
	for _, f := range files {
		b, err := os.ReadFile(f)
		require.NoError(t, err)
		pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
		require.NoError(t, err)
		if line, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline"); err == nil && strings.Contains(string(line), d.home) {
			alive = append(alive, pid)
		}
	}
	return alive
}

// endNodes ends what a killed demo has left, by the pids that its nodes have noted.
func (d *demo) endNodes(t *testing.T) {
	for _, pid := range d.pids(t) {
		_ = syscall.Kill(pid, syscall.SIGKILL) // it may have ended
	}
}

// seen waits until the demo has said something.
func (d *demo) seen(t *testing.T, pattern string) string {
	t.Helper()
	re := regexp.MustCompile(pattern)
	var found string
	env.WaitUntil(t, demoPatience, "the demo says "+pattern, func() (bool, string) {
		found = re.FindString(d.stderr.String())
		return found != "", d.stderr.String()
	})
	return found
}

func requireSuccess(t *testing.T, exit int, doc map[string]any, runtime string) {
	t.Helper()
	require.Zero(t, exit, "%v", doc)
	require.Equal(t, "success", doc["status"])
	require.Equal(t, runtime, doc["runtime"])
	require.EqualValues(t, 8000, doc["intersection"])
	require.Greater(t, doc["auc"], 0.85)
	require.Greater(t, doc["seconds"], 0.0)
	require.NotEmpty(t, doc["job_id"])
	for _, key := range []string{"name", "role", "party_id", "status", "seconds"} {
		require.Contains(t, doc["tasks"].([]any)[0], key)
	}
	require.Len(t, doc["tasks"], 8)
	require.Len(t, doc["nodes"], 3)
	for _, key := range []string{"party_id", "url", "temporal_ui"} {
		require.Contains(t, doc["nodes"].([]any)[0], key)
	}
}

func TestDemo(t *testing.T) {
	d := startDemo(t, t.TempDir(), "--runtime", "process")
	exit, doc := d.result(t)
	requireSuccess(t, exit, doc, "process")
	require.Contains(t, d.stderr.String(), "it isolates nothing")
	require.Contains(t, d.stderr.String(), "the process runtime runs no images: the job has the built-in components")
	require.Empty(t, doc["provider"])
	require.Empty(t, d.pids(t), "no node is left")
}

func TestDockerDemo(t *testing.T) {
	requireDocker(t)
	// Our own components are one more vendor's image here: made of a program, and registered at each node.
	archive := filepath.Join(t.TempDir(), "reference.tar")
	made, err := exec.CommandContext(t.Context(), env.Openflow(t), "image", env.Reference(t), archive).CombinedOutput()
	require.NoError(t, err, string(made))
	id := strings.Fields(string(made))[3]
	d := startDemo(t, t.TempDir(), "--runtime", "docker", "--reference", archive)
	exit, doc := d.result(t)
	requireSuccess(t, exit, doc, "docker")
	require.Equal(t, "reference:dev", doc["provider"])
	for _, party := range []string{"9999", "10000", "10001"} {
		require.Contains(t, d.stderr.String(), "registered image "+id+" at party "+party+": provider reference:dev with 9 components")
	}
	require.Empty(t, d.pids(t), "no node is left")
}

// The demo on the real data, where it is: what a user's own files would be.
func TestDemoOnOwnData(t *testing.T) {
	data := os.Getenv("OPENFLOW_TEST_DATA")
	if data == "" {
		data = "../../../shared/data"
	}
	guest, host := filepath.Join(data, "breast_hetero_guest.csv"), filepath.Join(data, "breast_hetero_host.csv")
	if _, err := os.Stat(guest); err != nil {
		t.Logf("no real data in %s: the demo runs on generated data only", data)
		return
	}
	d := startDemo(t, t.TempDir(), "--runtime", "process", "--guest-csv", guest, "--host-csv", host)
	exit, doc := d.result(t)
	require.Zero(t, exit, d.stderr.String())
	require.EqualValues(t, 569, doc["intersection"])
	require.Greater(t, doc["auc"], 0.97)
}

func TestDemoInterrupted(t *testing.T) {
	d := startDemo(t, t.TempDir(), "--runtime", "process")
	d.seen(t, `psi_0 .* running`)
	require.Len(t, d.pids(t), 3)
	require.NoError(t, d.cmd.Process.Signal(os.Interrupt))
	exit, doc := d.result(t)
	require.NotZero(t, exit)
	require.NotEqual(t, "success", doc["status"])
	require.Empty(t, d.pids(t), "no node is left")
	leftovers, err := filepath.Glob(filepath.Join(d.home, "node-*", "tasks", "of-*"))
	require.NoError(t, err)
	require.Empty(t, leftovers, "no task is left")
}

// kill −9 of the demo: its nodes go on and finish the job; the next demo in the same folder ends them first.
func TestDemoKilled(t *testing.T) {
	home := t.TempDir()
	d := startDemo(t, home, "--runtime", "process")
	d.seen(t, `psi_0 .* running`)
	url := strings.Fields(d.seen(t, `node 9999 +http://\S+`))[2]
	job := openflow.JobID(strings.TrimSuffix(strings.Fields(d.seen(t, `job \d+:`))[1], ":"))
	require.NoError(t, d.cmd.Process.Kill())
	_ = d.cmd.Wait() // it was killed
	require.Len(t, d.pids(t), 3, "its nodes go on")
	client := &sdk.Client{URL: url}
	env.WaitUntil(t, demoPatience, "the job ends as without the kill", func() (bool, string) {
		rows, err := client.Job(t.Context(), job)
		if err != nil {
			return false, err.Error()
		}
		return rows[0].Status == "success", rows[0].Status + " " + rows[0].Reason
	})

	next := startDemo(t, home, "--runtime", "process")
	exit, doc := next.result(t)
	requireSuccess(t, exit, doc, "process")
	require.Contains(t, next.stderr.String(), "ending node 9999, which an earlier run has left")
	require.Empty(t, next.pids(t))
}

func TestDemoRefuses(t *testing.T) {
	file := filepath.Join(t.TempDir(), "a.csv")
	require.NoError(t, os.WriteFile(file, []byte("key,y\n1,0\n"), 0o600))
	for name, tc := range map[string]struct {
		args []string
		exit int
		says string
	}{
		"one file only":          {[]string{"--guest-csv", file}, 2, "host-csv"},
		"a file that is missing": {[]string{"--guest-csv", file + "x", "--host-csv", file}, 2, "no such file"},
		"no id column":           {[]string{"--guest-csv", file, "--host-csv", file}, 2, `no column "id"`},
		"no label column":        {[]string{"--guest-csv", file, "--host-csv", file, "--id", "key", "--label", "z"}, 2, `no column "z"`},
		"an unknown runtime":     {[]string{"--runtime", "fast"}, 2, `unknown runtime "fast"`},
	} {
		t.Run(name, func(t *testing.T) {
			d := startDemo(t, t.TempDir(), tc.args...)
			_ = d.cmd.Wait() // the code is what counts
			require.Equal(t, tc.exit, d.cmd.ProcessState.ExitCode(), d.stderr.String())
			require.Contains(t, d.stderr.String(), tc.says)
			require.Empty(t, d.pids(t))
		})
	}
}

// Two demos in one folder would end each other's nodes.
func TestSecondDemoIsRefused(t *testing.T) {
	home := t.TempDir()
	first := startDemo(t, home, "--runtime", "process")
	first.seen(t, `starting three nodes`)
	second := startDemo(t, home, "--runtime", "process")
	_ = second.cmd.Wait() // the code is what counts
	require.NotZero(t, second.cmd.ProcessState.ExitCode())
	require.Contains(t, second.stderr.String(), "another demo runs in")
	exit, doc := first.result(t)
	requireSuccess(t, exit, doc, "process")
}
