package engine_test

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow/docker/driver"
	"openflow/docker/engine"
)

// ownDaemon is a Docker daemon of one test, so that no test restarts the machine's.
type ownDaemon struct {
	t      *testing.T
	dir    string
	bridge string // host interface of its default network
	args   []string
	cmd    *exec.Cmd
}

func newDaemon(t *testing.T, args ...string) *ownDaemon {
	t.Helper()
	dir, err := os.MkdirTemp("", "openflow-dockerd-") // the path of a socket is short
	require.NoError(t, err)
	d := &ownDaemon{t: t, dir: dir, bridge: "ofd-" + strings.ToLower(rand.Text()[:8])}
	command(t, "ip", "link", "add", "name", d.bridge, "type", "bridge")
	command(t, "ip", "addr", "add", "10.78.250.1/24", "dev", d.bridge)
	d.args = append([]string{
		"--host=" + d.host(), "--data-root=" + filepath.Join(dir, "data"), "--exec-root=" + filepath.Join(dir, "exec"),
		"--pidfile=" + filepath.Join(dir, "pid"), "--config-file=" + filepath.Join(dir, "none.json"), "--bridge=" + d.bridge,
		"--storage-driver=vfs", "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--log-level=warn",
	}, args...)
	t.Cleanup(func() {
		d.stop()
		command(t, "ip", "link", "del", d.bridge)
		// What containers had mounted may take the daemon a moment to let go.
		require.Eventually(t, func() bool { return os.RemoveAll(dir) == nil }, patience, 50*time.Millisecond)
	})
	d.start()
	return d
}

func command(t *testing.T, name string, args ...string) {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	require.NoError(t, err, string(out))
}

func (d *ownDaemon) host() string { return "unix://" + filepath.Join(d.dir, "docker.sock") }

func (d *ownDaemon) start() {
	log, err := os.OpenFile(filepath.Join(d.dir, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	require.NoError(d.t, err)
	defer func() { _ = log.Close() }() // the child has its own
	if err := os.WriteFile(filepath.Join(d.dir, "none.json"), []byte("{}"), 0o600); err != nil {
		require.NoError(d.t, err)
	}
	d.cmd = exec.Command("dockerd", d.args...)
	d.cmd.Stdout, d.cmd.Stderr = log, log
	require.NoError(d.t, d.cmd.Start())
	require.Eventually(d.t, func() bool {
		rt, err := engine.New(context.Background(), engine.Options{Host: d.host()})
		return err == nil && rt.Close() == nil
	}, patience, 50*time.Millisecond, "see the log in %s", d.dir)
}

// stop ends the daemon as a service manager does: without live-restore its containers end too.
func (d *ownDaemon) stop() {
	if d.cmd == nil {
		return
	}
	require.NoError(d.t, d.cmd.Process.Signal(syscall.SIGTERM))
	var exit *exec.ExitError
	if err := d.cmd.Wait(); !errors.As(err, &exit) {
		require.NoError(d.t, err)
	}
	d.cmd = nil
}

// A daemon that is restarted without live-restore ends its containers with 143, or 137 when they do not listen. That is
// told from a program that ends so by itself, whether or not somebody waited for the container meanwhile.
func TestRestartOfTheDaemonIsNoEndOfTheProgram(t *testing.T) {
	d := newDaemon(t)
	rt := open(t, engine.Options{Host: d.host(), Network: "openflow-restarted"})
	codes, names, ends := map[string]int{"hang": 143, "stubborn": 137}, map[string]string{}, make(chan driver.Status, 2)
	for program := range codes {
		s := spec(t, rt, program)
		_, err := rt.Ensure(t.Context(), s)
		require.NoError(t, err)
		require.NoError(t, rt.Start(t.Context(), s.Name))
		names[s.Name] = program
		go func() {
			st, err := rt.Wait(t.Context(), s.Name)
			if err != nil {
				slog.Error("wait", "err", err)
			}
			ends <- st
		}()
	}
	d.stop()
	d.start()
	other := open(t, engine.Options{Host: d.host(), Network: "openflow-restarted"}) // a node that was away itself
	for range codes {
		st := <-ends
		require.Equal(t, codes[names[st.Name]], st.ExitCode)
		require.True(t, st.Interrupted, "%+v", st)
		st, err := other.Wait(t.Context(), st.Name)
		require.NoError(t, err)
		require.True(t, st.Interrupted, "%+v", st)
		require.NoError(t, rt.Remove(t.Context(), st.Name))
	}
	t.Run("a program's own choice", func(t *testing.T) {
		for _, code := range []string{"143", "137", "255", "1"} {
			s := spec(t, rt, "exit", code)
			_, err := rt.Ensure(t.Context(), s)
			require.NoError(t, err)
			require.NoError(t, rt.Start(t.Context(), s.Name))
			st, err := rt.Wait(t.Context(), s.Name)
			require.NoError(t, err)
			require.False(t, st.Interrupted, "%+v", st)
			require.NoError(t, rt.Remove(t.Context(), s.Name))
		}
	})
}
