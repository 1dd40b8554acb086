package home

import (
	"bytes"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
)

func mustOpen(t *testing.T, dir string) *Home {
	t.Helper()
	h, err := Open(dir, "9999")
	require.NoError(t, err)
	t.Cleanup(func() { _ = h.Close() }) // some tests close it before
	return h
}

func TestHomeKeepsItsIdentity(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "home")
	h := mustOpen(t, dir)
	h.BasePort = 4711
	require.NoError(t, h.Save())
	require.NoError(t, h.Close())
	again := mustOpen(t, dir)
	require.Equal(t, h.Identity, again.Identity)
	info, err := os.Stat(dir)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm())
	info, err = os.Stat(filepath.Join(dir, "home.json"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
}

func TestHomeRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		prepare func(t *testing.T, dir string)
		party   openflow.PartyID
		code    openflow.Code
		says    string
	}{
		"a second node": {
			prepare: func(t *testing.T, dir string) { mustOpen(t, dir) },
			party:   "9999", code: openflow.CodeConflict, says: "another node runs on home",
		},
		"another party's home": {
			prepare: func(t *testing.T, dir string) { require.NoError(t, mustOpen(t, dir).Close()) },
			party:   "10000", code: openflow.CodeConflict, says: "belongs to party 9999",
		},
		"a home of a newer version": {
			prepare: func(t *testing.T, dir string) { write(t, dir, `{"format": 2, "node": "n", "party": "9999"}`) },
			party:   "9999", code: openflow.CodeConflict, says: "newer version",
		},
		"a damaged home": {
			prepare: func(t *testing.T, dir string) { write(t, dir, `{`) },
			party:   "9999", code: openflow.CodeInvalid, says: "damaged",
		},
		"a home that others can read": {
			prepare: func(t *testing.T, dir string) { require.NoError(t, os.Chmod(dir, 0o750)) },
			party:   "9999", code: openflow.CodeInvalid, says: "chmod 700",
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			require.NoError(t, os.Chmod(dir, 0o700))
			tc.prepare(t, dir)
			before := files(t, dir)
			_, err := Open(dir, tc.party)
			require.Equal(t, tc.code, openflow.CodeOf(err), "%v", err)
			require.ErrorContains(t, err, tc.says)
			for file, content := range before {
				require.Equal(t, content, files(t, dir)[file], "%s was touched", file)
			}
		})
	}
}

func write(t *testing.T, dir, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "home.json"), []byte(text), 0o600))
}

func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	content := map[string]string{}
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	for _, e := range entries {
		b, err := os.ReadFile(filepath.Join(dir, e.Name()))
		require.NoError(t, err)
		content[e.Name()] = string(b)
	}
	return content
}

func TestNearlyFullDiskIsRefused(t *testing.T) {
	h := mustOpen(t, filepath.Join(t.TempDir(), "home"))
	h.Free = func(string) (uint64, error) { return minFree - 1, nil }
	err := h.CheckSpace()
	require.Equal(t, openflow.CodeExhausted, openflow.CodeOf(err))
	require.ErrorContains(t, err, "127 MiB left")
	h.Free = func(string) (uint64, error) { return minFree, nil }
	require.NoError(t, h.CheckSpace())
}

// onDisk opens a home on a disk with that much free, as far as the home can see.
func onDisk(t *testing.T, dir string, free *uint64) *Home {
	t.Helper()
	h := mustOpen(t, dir)
	h.Free = func(string) (uint64, error) { return *free, nil }
	return h
}

func reserved(t *testing.T, h *Home) (parts int) {
	t.Helper()
	for _, name := range reserve {
		info, err := os.Stat(h.Path(name))
		if err == nil {
			require.EqualValues(t, reserveBytes, info.Size())
			require.GreaterOrEqual(t, info.Sys().(*syscall.Stat_t).Blocks*512, int64(reserveBytes), "it has its room on the disk")
			parts++
		}
	}
	return parts
}

func TestReserve(t *testing.T) {
	free := uint64(minFree + 2*reserveBytes)
	h := onDisk(t, filepath.Join(t.TempDir(), "home"), &free)
	for _, step := range []struct {
		what string
		free uint64
		want int
	}{
		{"room for one beside what stays free", minFree + 2*reserveBytes - 1, 1},
		{"room for the other", minFree + reserveBytes, 2},
		{"little room", fullBelow, 2},
		{"a full disk takes one", fullBelow - 1, 1},
		{"and leaves one for the next start", 0, 1},
		{"little room again", minFree + reserveBytes - 1, 1},
		{"room again", minFree + reserveBytes, 2},
	} {
		free = step.free
		require.NoError(t, h.KeepReserve(), step.what)
		require.Equal(t, step.want, reserved(t, h), step.what)
	}
	freed, err := h.makeRoom()
	require.NoError(t, err)
	require.False(t, freed)
	free = 0
	freed, err = h.makeRoom()
	require.NoError(t, err)
	require.True(t, freed)
	require.Zero(t, reserved(t, h))
	_, err = h.makeRoom()
	require.NoError(t, err, "a repeat")
}

// A lock that belongs to somebody else, as after a start as root, has a remedy.
func TestLockOfSomebodyElse(t *testing.T) {
	require.ErrorContains(t, notLocked("/h/lock", fs.ErrPermission), "chown -R USER /h")
	require.NotContains(t, notLocked("/h/lock", fs.ErrInvalid).Error(), "chown")
}

// On a full disk a command gets a little room at a time: the first part of the reserve, then some of the second, until the rest is
// for the next start. Afterwards the reserve becomes whole again.
func TestSpare(t *testing.T) {
	free := uint64(minFree + 2*reserveBytes)
	h := onDisk(t, filepath.Join(t.TempDir(), "home"), &free)
	require.NoError(t, h.KeepReserve())
	require.Equal(t, 2, reserved(t, h))
	require.NoError(t, h.Spare())
	require.Equal(t, 2, reserved(t, h), "there is room")
	free = 0
	require.NoError(t, h.Spare())
	require.NoFileExists(t, h.Path(reserve[0]), "before its round has come")
	left := func() int64 {
		info, err := os.Stat(h.Path(reserve[1]))
		require.NoError(t, err)
		return info.Size()
	}
	require.EqualValues(t, reserveBytes, left())
	for want := int64(reserveBytes - spareBytes); want >= startBytes; want -= spareBytes {
		require.NoError(t, h.Spare())
		require.Equal(t, want, left())
	}
	err := h.Spare()
	require.Equal(t, openflow.CodeExhausted, openflow.CodeOf(err))
	require.ErrorContains(t, err, "restart the node, which then gives up the rest of its reserve, and repeat the command")
	require.EqualValues(t, startBytes, left())
	require.ErrorContains(t, h.CheckSpace(), "restart the node")

	free = minFree + 2*reserveBytes
	require.NoError(t, h.KeepReserve())
	require.Equal(t, 2, reserved(t, h))
	free = 0
	for _, name := range reserve {
		require.NoError(t, os.Remove(h.Path(name)))
	}
	require.Equal(t, openflow.CodeExhausted, openflow.CodeOf(h.Spare()), "there is no reserve")
}

// The log says once that the disk is nearly full, again after a while, and when there is room.
func TestVigil(t *testing.T) {
	free, now := uint64(minFree), time.Unix(1, 0)
	var log bytes.Buffer
	v := Vigil{
		Home: onDisk(t, filepath.Join(t.TempDir(), "home"), &free), Log: slog.New(slog.NewTextHandler(&log, nil)), Now: func() time.Time { return now },
	}
	said := func(after time.Duration) string {
		log.Reset()
		now = now.Add(after)
		require.NoError(t, v.Look())
		return log.String()
	}
	require.Empty(t, said(0))
	free = minFree - 1
	require.Contains(t, said(time.Second), "the disk is nearly full")
	require.Empty(t, said(tellEvery-time.Second))
	require.Contains(t, said(time.Second), "the disk is still nearly full")
	require.Empty(t, said(time.Second))
	free = minFree
	require.Contains(t, said(time.Second), "the disk has room again")
	require.Empty(t, said(tellEvery))
}
