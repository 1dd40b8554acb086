//go:build linux

package process_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/runtime/driver"
	"openflow/runtime/process"
	"openflow/tests/fuzzing"
)

func TestEnvironmentIsExact(t *testing.T) {
	t.Setenv("OPENFLOW_SECRET_OF_THE_NODE", "x")
	const noCUDA, noNVIDIA = "CUDA_VISIBLE_DEVICES=", "NVIDIA_VISIBLE_DEVICES="
	for name, tc := range map[string]struct{ env, gpus, want []string }{
		"PATH is the node's":     {[]string{"A=1"}, nil, []string{"A=1", "PATH=" + os.Getenv("PATH"), noCUDA, noNVIDIA}},
		"unless the spec has it": {[]string{"PATH=/x", "A=1"}, nil, []string{"A=1", "PATH=/x", noCUDA, noNVIDIA}},
		"only the GPUs that it was given": {
			[]string{"PATH=/x"}, []string{"1", "3"}, []string{"PATH=/x", noCUDA + "1,3", noNVIDIA + "1,3"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			rt := open(t, t.TempDir())
			launch(t, rt, driver.Spec{Name: "c", Image: "/usr/bin/env", Env: tc.env, Limits: driver.Limits{GPUs: tc.gpus}})
			require.Equal(t, 0, wait(t, rt, "c").ExitCode)
			var stdout bytes.Buffer
			require.NoError(t, rt.Logs(t.Context(), "c", &stdout, &stdout))
			got := []string{}
			for line := range strings.Lines(stdout.String()) {
				if !strings.HasPrefix(line, "PWD=") { // the shell's own
					got = append(got, strings.TrimSpace(line))
				}
			}
			require.ElementsMatch(t, tc.want, got)
		})
	}
}

func TestNobodyElseCanRead(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	rt := open(t, dir)
	launch(t, rt, driver.Spec{Name: "c", Image: "/bin/true", Env: []string{"OPENFLOW_CREDENTIAL=secret"}})
	wait(t, rt, "c")
	require.NoError(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		require.NoError(t, err)
		info, err := d.Info()
		require.NoError(t, err)
		if d.IsDir() {
			require.Zero(t, info.Mode().Perm()&0o077, path)
		}
		return nil
	}))
	info, err := os.Stat(filepath.Join(dir, "c", "spec.json"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())

	require.NoError(t, rt.Remove(t.Context(), "c"))
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Empty(t, left, "Remove leaves nothing")
}

func TestWorkingDirectoryIsEmptyAndWritable(t *testing.T) {
	rt := open(t, t.TempDir())
	launch(t, rt, shell(`[ -z "$(ls -A)" ] && echo x >pid && echo x >exit`))
	require.Equal(t, 0, wait(t, rt, "c").ExitCode, "files of the program's do not meet ours")
}

func TestImageMustBeAPath(t *testing.T) {
	_, err := open(t, t.TempDir()).Ensure(t.Context(), driver.Spec{Name: "c", Image: "true"})
	require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
}

// TestDamagedRecord is about what a power failure leaves, because nothing is synced.
func TestDamagedRecord(t *testing.T) {
	for name, damage := range map[string]func(t *testing.T, dir string){
		"empty":   func(t *testing.T, dir string) { require.NoError(t, os.WriteFile(dir+"/spec.json", nil, 0o600)) },
		"cut":     func(t *testing.T, dir string) { require.NoError(t, os.Truncate(dir+"/spec.json", 20)) },
		"missing": func(t *testing.T, dir string) { require.NoError(t, os.Remove(dir+"/spec.json")) },
		"foreign": func(t *testing.T, dir string) {
			require.NoError(t, os.WriteFile(dir+"/spec.json", []byte(`{"Spec":{"Name":"d"}}`), 0o600))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			rt := open(t, dir)
			_, err := rt.Ensure(t.Context(), shell("exit 4"))
			require.NoError(t, err)
			damage(t, filepath.Join(dir, "c"))

			_, err = rt.Inspect(t.Context(), "c")
			require.Equal(t, openflow.CodeInternal, openflow.CodeOf(err))
			list, err := rt.List(t.Context(), nil)
			require.NoError(t, err)
			require.Empty(t, list)
			launch(t, rt, shell("exit 4"))
			require.Equal(t, 4, wait(t, rt, "c").ExitCode)

			damage(t, filepath.Join(dir, "c"))
			require.NoError(t, rt.Remove(t.Context(), "c"))
			_, err = rt.Inspect(t.Context(), "c")
			require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(err))
		})
	}
}

func TestNewSweepsWhatCrashesLeft(t *testing.T) {
	dir := t.TempDir()
	for name, age := range map[string]time.Duration{".new-1": 2 * time.Hour, ".removed-1": 2 * time.Hour, ".new-2": 0} {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Join(path, "old"), 0o700))
		then := time.Now().Add(-age)
		require.NoError(t, os.Chtimes(path, then, then))
	}
	open(t, dir)
	left, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, left, 1)
	require.Equal(t, ".new-2", left[0].Name(), "somebody may be at work on it")
}

// A full disk takes the file for the exit code, and nothing into it.
func TestExitCodeThatTheDiskDidNotTake(t *testing.T) {
	dir := t.TempDir()
	rt := open(t, dir)
	launch(t, rt, shell("exit 0"))
	require.False(t, wait(t, rt, "c").Lost)
	for text, full := range map[string]bool{"": true, "nonsense": false} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "c", "exit"), []byte(text), 0o600))
		st, err := rt.Inspect(t.Context(), "c")
		require.NoError(t, err)
		require.True(t, st.Lost)
		require.Equal(t, full, st.Full)
	}
}

// FuzzExitFile puts anything at all where the supervisor writes the exit code: the outcome is a code or "lost".
func FuzzExitFile(f *testing.F) {
	for _, seed := range []string{"0\n", "143\n", "255\n", "256\n", "-1\n", "7", "", "\n", "+1\n", " 1\n", "1\n1\n"} {
		f.Add(seed)
	}
	dir := f.TempDir()
	rt, err := process.New(dir)
	require.NoError(f, err)
	_, err = rt.Ensure(f.Context(), shell("exit 0"))
	require.NoError(f, err)
	require.NoError(f, rt.Start(f.Context(), "c"))
	_, err = rt.Wait(f.Context(), "c")
	require.NoError(f, err)
	fuzzing.Within(f, func(t *testing.T, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "c", "exit"), []byte(text), 0o600))
		st, err := rt.Inspect(t.Context(), "c")
		require.NoError(t, err)
		require.Equal(t, driver.StateExited, st.State)
		if st.Lost {
			require.Equal(t, -1, st.ExitCode)
			return
		}
		require.LessOrEqual(t, st.ExitCode, 255)
		require.Equal(t, st.ExitCode, mustAtoi(t, text))
	})
}

func mustAtoi(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(strings.TrimSuffix(text, "\n"))
	require.NoError(t, err)
	return n
}
