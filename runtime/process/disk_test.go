//go:build linux

package process

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow/runtime/driver"
)

// writer runs a script that may write so many bytes, until it has said "written" in its folder.
func writer(t *testing.T, r *supervised, name, script string, limit int64) folder {
	t.Helper()
	s := driver.Spec{
		Name: name, Image: "/bin/sh", Command: []string{"-c", script + "\necho >written; exec sleep 600"}, Limits: driver.Limits{DiskBytes: limit},
	}
	_, err := r.Ensure(t.Context(), s)
	require.NoError(t, err)
	require.NoError(t, r.Start(t.Context(), name))
	f, err := r.find(t.Context(), name)
	require.NoError(t, err)
	t.Cleanup(func() {
		if pid, ok, err := f.pid(); err == nil && ok {
			_ = f.signalGroup(pid, 9)
		}
	})
	return f
}

func written(t *testing.T, f folder) {
	t.Helper()
	require.Eventually(t, func() bool {
		_, err := os.Stat(filepath.Join(f.file(workDir), "written"))
		return err == nil
	}, 3*time.Minute, time.Millisecond)
}

// A program that writes more than it may is ended with a reason, in whatever files; its neighbour goes on.
func TestWhatAProgramWritesIsBounded(t *testing.T) {
	const limit = 4 << 20
	rt, err := New(filepath.Join(t.TempDir(), "tasks"))
	require.NoError(t, err)
	r, ok := rt.(*supervised)
	require.True(t, ok)
	modest := writer(t, r, "modest", `head -c 1000000 /dev/zero >file`, limit)
	written(t, modest)
	for name, script := range map[string]string{
		"many-files":  `for i in 1 2 3 4 5; do head -c 1000000 /dev/zero >$i; done`,
		"empty-files": `mkdir d; i=0; while [ $i -lt 1200 ]; do : >d/$i; i=$((i+1)); done`,
		"output":      `for i in 1 2 3; do head -c 1000000 /dev/zero; head -c 1000000 /dev/zero >&2; done`,
	} {
		f := writer(t, r, name, script, limit)
		written(t, f)
		require.NoError(t, r.Trim(t.Context()))
		st, err := r.Wait(t.Context(), name)
		require.NoError(t, err)
		require.True(t, st.OverDisk, name)
		require.Contains(t, st.Reason, "4194304 bytes", name)
		require.NoError(t, r.Trim(t.Context()), "it has ended")
	}
	one := writer(t, r, "one-file", `head -c 5000000 /dev/zero >file || kill -s XFSZ $$`, limit)
	st, err := r.Wait(t.Context(), one.name)
	require.NoError(t, err)
	require.True(t, st.OverDisk, "before anybody looks: %+v", st)
	require.Contains(t, st.Reason, "4194304 bytes")
	info, err := os.Stat(filepath.Join(one.file(workDir), "file"))
	require.NoError(t, err)
	require.LessOrEqual(t, info.Size(), int64(limit))
	st, err = r.Inspect(t.Context(), "modest")
	require.NoError(t, err)
	require.Equal(t, driver.StateRunning, st.State)
}

// On a disk that is nearly full the program that holds most of it is ended, and no other.
func TestWhoFillsTheDiskIsEnded(t *testing.T) {
	rt, err := New(filepath.Join(t.TempDir(), "tasks"))
	require.NoError(t, err)
	r, ok := rt.(*supervised)
	require.True(t, ok)
	var all []folder
	for name, bytes := range map[string]string{"most": "40000000", "less": "20000000", "little": "1000"} {
		f := writer(t, r, name, "head -c "+bytes+" /dev/zero >file", 0)
		written(t, f)
		all = append(all, f)
	}
	require.NoError(t, endLargest(all, 1<<40), "there is room")
	for name, want := range map[string]driver.State{"most": driver.StateRunning, "less": driver.StateRunning, "little": driver.StateRunning} {
		st, err := r.Inspect(t.Context(), name)
		require.NoError(t, err)
		require.Equal(t, want, st.State, name)
	}
	require.NoError(t, endLargest(all, scarce-1))
	st, err := r.Wait(t.Context(), "most")
	require.NoError(t, err)
	require.True(t, st.OverDisk)
	require.True(t, strings.Contains(st.Reason, "nearly full"), st.Reason)
	require.NoError(t, endLargest(all, 0))
	st, err = r.Wait(t.Context(), "less")
	require.NoError(t, err)
	require.True(t, st.OverDisk)
	require.NoError(t, endLargest(all, 0))
	st, err = r.Inspect(t.Context(), "little")
	require.NoError(t, err)
	require.Equal(t, driver.StateRunning, st.State, "it is not what fills the disk")
}
