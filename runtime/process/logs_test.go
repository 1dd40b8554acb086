//go:build linux

package process

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow/runtime/driver"
)

// A program that writes without end leaves the beginning and the newest of its output, and goes on writing behind what was taken away.
func TestLogsAreBounded(t *testing.T) {
	rt, err := New(filepath.Join(t.TempDir(), "tasks"))
	require.NoError(t, err)
	r, ok := rt.(*supervised)
	require.True(t, ok)
	fifo := filepath.Join(t.TempDir(), "more")
	// Writes what it is told, a line at a time, until it is told no more.
	s := driver.Spec{Name: "chatty", Image: "/bin/sh", Command: []string{"-c", `mkfifo "$0"; while read -r n; do yes "$n" | head -c 9000000; done <"$0"`, fifo}}
	_, err = r.Ensure(t.Context(), s)
	require.NoError(t, err)
	require.NoError(t, r.Start(t.Context(), s.Name))
	t.Cleanup(func() { require.NoError(t, r.Stop(context.WithoutCancel(t.Context()), s.Name, 0)) })
	var told *os.File
	require.Eventually(t, func() bool { told, err = os.OpenFile(fifo, os.O_WRONLY, 0); return err == nil }, 3*time.Minute, time.Millisecond)
	f, err := r.find(t.Context(), s.Name)
	require.NoError(t, err)
	for i := range 8 {
		before, err := os.Stat(f.file(stdoutFile))
		require.NoError(t, err)
		_, err = fmt.Fprintf(told, "round %d\n", i)
		require.NoError(t, err)
		require.Eventually(t, func() bool {
			now, err := os.Stat(f.file(stdoutFile))
			return err == nil && now.Size() == before.Size()+9_000_000
		}, 3*time.Minute, time.Millisecond, "it goes on at the end")
		require.NoError(t, r.Trim(t.Context()))
	}
	var kept int64
	for _, file := range []string{stdoutFile, older(stdoutFile)} {
		info, err := os.Stat(f.file(file))
		require.NoError(t, err)
		kept += info.Size()
	}
	require.LessOrEqual(t, kept, int64(2*logBytes))
	var log bytes.Buffer
	require.NoError(t, r.Logs(t.Context(), s.Name, &log, &log))
	require.GreaterOrEqual(t, log.Len(), logBytes)
	require.LessOrEqual(t, log.Len(), 2*logBytes+driver.HeadBytes+200)
	require.True(t, strings.HasPrefix(log.String(), strings.Repeat("round 0\n", driver.HeadBytes/8)), "it keeps its beginning")
	require.NotContains(t, log.String(), "round 1", "and not all of it")
	before, after, found := strings.Cut(log.String(), "\n[openflow: ")
	require.True(t, found)
	number, after, found := strings.Cut(after, " bytes of this output are not kept]\n")
	require.True(t, found)
	missing, err := strconv.Atoi(number)
	require.NoError(t, err)
	require.Equal(t, 8*9_000_000, len(before)+missing+len(after), "and tells how much is missing")
	require.Contains(t, log.String()[log.Len()-100:], "round 7")
	require.NoError(t, told.Close())
}
