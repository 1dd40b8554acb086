//go:build linux

package process

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

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
	f, err := r.find(t.Context(), name) // before it starts: it may spoil its own record
	require.NoError(t, err)
	require.NoError(t, r.Start(t.Context(), name))
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

// What one program does to its own folder keeps no other from its bound: what cannot be looked at is passed over.
func TestAProgramSwitchesOffNoBound(t *testing.T) {
	const limit = 4 << 20
	for name, script := range map[string]string{
		"no-record":     `rm ../spec.json; mkdir ../spec.json`,
		"waiting":       `rm ../spec.json; mkfifo ../spec.json`,
		"endless":       `rm ../spec.json; ln -s /dev/zero ../spec.json`,
		"a-circle":      `ln -s ../spec.json ../x; rm ../spec.json; ln -s x ../spec.json`,
		"no-pid":        `rm ../pid; mkdir ../pid`,
		"no-log":        `rm ../stdout; mkdir ../stdout`,
		"waiting-log":   `rm ../stdout; mkfifo ../stdout`,
		"nothing-there": `cd ..; rm -r work stdout stderr; mkdir work; cd work`,
		"forbidden":     `mkdir a; head -c 1000 /dev/zero >a/file; chmod 0 a ..; chmod 700 .. || :`,
	} {
		t.Run(name, func(t *testing.T) {
			rt, err := New(filepath.Join(t.TempDir(), "tasks"))
			require.NoError(t, err)
			r, ok := rt.(*supervised)
			require.True(t, ok)
			pid := filepath.Join(t.TempDir(), "pid")
			t.Cleanup(func() {
				text, err := os.ReadFile(pid)
				require.NoError(t, err)
				group, err := strconv.Atoi(strings.TrimSpace(string(text)))
				require.NoError(t, err)
				if err := unix.Kill(-group, unix.SIGKILL); !errors.Is(err, unix.ESRCH) { // it may have ended by itself
					require.NoError(t, err)
				}
			})
			written(t, writer(t, r, "a-hostile", "cp ../pid "+pid+"; "+script, limit)) // the first that is looked at
			large := writer(t, r, "large", `for i in 1 2 3 4 5; do head -c 1000000 /dev/zero >$i; done`, limit)
			written(t, large)
			_ = r.Trim(t.Context()) // it may say what is wrong with the other one
			st, err := r.Wait(t.Context(), "large")
			require.NoError(t, err)
			require.True(t, st.OverDisk)
		})
	}
}

// However deep a program hides its files, and however many it makes, they are found or it is ended, and a look costs little.
func TestFilesThatAreHardToCount(t *testing.T) {
	const limit = 64 << 20
	rt, err := New(filepath.Join(t.TempDir(), "tasks"))
	require.NoError(t, err)
	r, ok := rt.(*supervised)
	require.True(t, ok)
	down := func(levels, letters int) string {
		name := strings.Repeat("d", letters)
		return fmt.Sprintf(`d=%s; i=0; while [ $i -lt %d ]; do mkdir $d; cd -P $d; i=$((i+1)); done; `, name, levels)
	}
	for program, tc := range map[string]struct{ script, reason string }{
		"long-path": {down(40, 200) + `head -c 40000000 /dev/zero >a; head -c 40000000 /dev/zero >b; `, "67108864 bytes"}, // a path of 8,000 bytes
		"deep":      {down(mostLevels+2, 1), "levels of folders"},
	} {
		t.Run(program, func(t *testing.T) {
			f := writer(t, r, program, `top=$PWD; `+tc.script+`: >$top/written`, limit)
			written(t, f)
			require.NoError(t, r.Trim(t.Context()))
			st, err := r.Wait(t.Context(), program)
			require.NoError(t, err)
			require.Contains(t, st.Reason, tc.reason)
		})
	}
	many := counted{files: mostFiles - 10}
	dir := t.TempDir()
	for i := range 100 {
		require.NoError(t, os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), nil, 0o600))
	}
	fd, err := openFolder(unix.AT_FDCWD, dir)
	require.NoError(t, err)
	many.folder(fd, 1)
	require.True(t, many.tooMany)
	require.Equal(t, mostFiles+1, many.files, "and no more is looked at")
	require.Equal(t, counted{limit: 1}, folder{path: filepath.Join(dir, "gone")}.count(1))
}

// On a disk without any room the outputs cannot be set aside. Nothing is left half written, and who fills it is ended.
func TestLogsOnAFullDisk(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, unix.Mount("tmpfs", dir, "tmpfs", 0, "size=24m,mode=0700"), "a small disk is mounted as root")
	t.Cleanup(func() { require.NoError(t, unix.Unmount(dir, unix.MNT_DETACH)) })
	rt, err := New(filepath.Join(dir, "tasks"))
	require.NoError(t, err)
	r, ok := rt.(*supervised)
	require.True(t, ok)
	small := writer(t, r, "a-small", `:`, 0)
	written(t, small)
	flood := writer(t, r, "flood", `: >written; head -c 30000000 /dev/zero`, 0)
	require.Eventually(t, func() bool {
		var disk unix.Statfs_t
		require.NoError(t, unix.Statfs(dir, &disk))
		return disk.Bavail == 0
	}, 3*time.Minute, time.Millisecond)
	require.ErrorIs(t, r.Trim(t.Context()), unix.ENOSPC, "the log cannot be kept, and that is said")
	st, err := r.Wait(t.Context(), "flood")
	require.NoError(t, err)
	require.True(t, st.OverDisk, "%+v", st)
	require.Contains(t, st.Reason, "nearly full")
	left, err := filepath.Glob(filepath.Join(flood.path, "*.new"))
	require.NoError(t, err)
	require.Empty(t, left)
	require.NoError(t, r.Trim(t.Context()), "once it has ended")
	st, err = r.Inspect(t.Context(), "a-small")
	require.NoError(t, err)
	require.Equal(t, driver.StateRunning, st.State)
}
