// Package redistest runs real Redis servers for tests: each on a Unix socket in a folder of its own, with an append-only
// file, so that it can be killed and started again.
//
// The file is synced always: with everysec, Redis acknowledges while it still holds a write back behind a sync that takes
// long, for up to two seconds, and a kill -9 then loses that.
//
// A machine without redis-server fails the tests; tests/services/redis.sh installs it.
package redistest

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// patience is how long a server may take to start on a busy machine.
const patience = 3 * time.Minute

// memory is where Linux keeps files in memory. A kill of a process does not touch them.
const memory = "/dev/shm"

// Server is one redis-server process. It ends with the test.
type Server struct {
	dir    string
	args   []string
	cmd    *exec.Cmd
	exited chan error
}

// Start starts a server and waits until it answers. args are further options, such as "--maxmemory", "3mb".
func Start(tb testing.TB, args ...string) *Server {
	tb.Helper()
	// A socket's path has to be short, which a test's own folder need not be. Where files are in memory, syncs are free.
	root := ""
	if info, err := os.Stat(memory); err == nil && info.IsDir() {
		root = memory
	}
	dir, err := os.MkdirTemp(root, "redis")
	require.NoError(tb, err)
	s := &Server{dir: dir, args: args}
	tb.Cleanup(func() {
		s.Kill(tb)
		require.NoError(tb, os.RemoveAll(dir))
	})
	s.Restart(tb)
	return s
}

// URL is where the server answers, also after a Restart.
func (s *Server) URL() string { return "unix://" + s.socket() + "?db=0" }

func (s *Server) socket() string { return filepath.Join(s.dir, "s") }

// Kill ends the server with SIGKILL.
func (s *Server) Kill(tb testing.TB) {
	tb.Helper()
	if s.cmd == nil {
		return
	}
	require.NoError(tb, s.cmd.Process.Kill())
	<-s.exited
	s.cmd = nil
}

// Restart starts the server again on its folder, after a Kill, and waits until it answers.
func (s *Server) Restart(tb testing.TB) {
	tb.Helper()
	cmd := exec.Command("redis-server", append([]string{"--port", "0", "--unixsocket", s.socket(), "--dir", s.dir,
		"--appendonly", "yes", "--appendfsync", "always", "--save", "", "--logfile", "log"}, s.args...)...)
	require.NoError(tb, cmd.Start(), "redis-server is missing: run `make services`")
	s.cmd, s.exited = cmd, make(chan error, 1)
	go func(exited chan<- error) { exited <- cmd.Wait() }(s.exited)
	client := redis.NewClient(&redis.Options{Network: "unix", Addr: s.socket(), MaxRetries: -1})
	defer func() { _ = client.Close() }() // it was only read from
	require.Eventually(tb, func() bool {
		err := client.Ping(context.Background()).Err()
		return err == nil || redis.IsAuthError(err)
	}, patience, 5*time.Millisecond, "redis-server does not answer")
}
