// Package enginetest starts Docker daemons for tests: the machine's own serves others too, and is never restarted.
package enginetest

import (
	"context"
	"crypto/rand"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"
)

// Daemon is a Docker daemon of one test, so that no test restarts the machine's. It has no live-restore.
type Daemon struct {
	t      testing.TB
	dir    string
	bridge string // host interface of its default network
	args   []string
	cmd    *exec.Cmd
}

// New starts a daemon with further arguments; it ends with the test. It needs root, dockerd and ip.
func New(t testing.TB, args ...string) *Daemon {
	t.Helper()
	dir, err := os.MkdirTemp("", "openflow-dockerd-") // the path of a socket is short
	require.NoError(t, err)
	d := &Daemon{t: t, dir: dir, bridge: "ofd-" + strings.ToLower(rand.Text()[:8])}
	command(t, "ip", "link", "add", "name", d.bridge, "type", "bridge")
	command(t, "ip", "addr", "add", "10.78.250.1/24", "dev", d.bridge)
	d.args = append([]string{
		"--host=" + d.Host(), "--data-root=" + filepath.Join(dir, "data"), "--exec-root=" + filepath.Join(dir, "exec"),
		"--pidfile=" + filepath.Join(dir, "pid"), "--config-file=" + filepath.Join(dir, "none.json"), "--bridge=" + d.bridge,
		"--storage-driver=vfs", "--iptables=false", "--ip6tables=false", "--ip-forward=false", "--log-level=warn",
	}, args...)
	t.Cleanup(func() {
		d.Stop()
		command(t, "ip", "link", "del", d.bridge)
		// What containers had mounted may take the daemon a moment to let go.
		require.Eventually(t, func() bool { return os.RemoveAll(dir) == nil }, 3*time.Minute, 50*time.Millisecond)
	})
	d.Start()
	return d
}

func command(t testing.TB, name string, args ...string) {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	require.NoError(t, err, string(out))
}

// Host is its address, as in DOCKER_HOST.
func (d *Daemon) Host() string { return "unix://" + filepath.Join(d.dir, "docker.sock") }

// Start starts the daemon, and returns when it answers.
func (d *Daemon) Start() {
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
		api, err := client.New(client.WithHost(d.Host()))
		if err != nil {
			return false
		}
		_, err = api.Ping(context.Background(), client.PingOptions{})
		return errors.Join(err, api.Close()) == nil
	}, 3*time.Minute, 50*time.Millisecond, "see the log in %s", d.dir)
}

// Stop ends the daemon as a service manager does: without live-restore its containers end too.
func (d *Daemon) Stop() {
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
