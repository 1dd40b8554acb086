package engine_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/client"
	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/docker/engine"
	"openflow/runtime/driver"
)

// What the daemon is told of a container, all of it: nothing of an image, and nothing of a policy that is not given, changes it.
func TestIsolationReachesTheDaemon(t *testing.T) {
	requireDocker(t)
	rt := open(t, engine.Options{Network: ownNetwork(t)})
	s := spec(t, rt, "exit", "0")
	s.Limits = driver.Limits{CPUs: 1, MemoryBytes: 64 << 20, PIDs: 32, DiskBytes: 1 << 20, LogBytes: 4 << 20}
	_, err := rt.Ensure(t.Context(), s)
	require.NoError(t, err)
	c := inspected(t, s.Name).Container
	hc := c.HostConfig
	require.Equal(t, "65534:65534", c.Config.User)
	require.Equal(t, "SIGTERM", c.Config.StopSignal)
	require.True(t, hc.ReadonlyRootfs)
	require.False(t, hc.Privileged)
	require.False(t, hc.PublishAllPorts)
	require.Equal(t, []string{"ALL"}, []string(hc.CapDrop))
	require.Empty(t, hc.CapAdd)
	require.Equal(t, []string{"no-new-privileges"}, hc.SecurityOpt, "so seccomp and AppArmor are the daemon's own")
	require.Empty(t, hc.Binds)
	require.Empty(t, hc.Mounts)
	require.Empty(t, c.Mounts)
	require.Empty(t, hc.Devices)
	require.Empty(t, hc.PortBindings)
	require.Empty(t, hc.GroupAdd)
	require.Empty(t, hc.VolumesFrom)
	require.EqualValues(t, "private", hc.IpcMode)
	require.EqualValues(t, "private", hc.CgroupnsMode)
	require.Empty(t, hc.PidMode)
	require.Empty(t, hc.UTSMode)
	require.NotEmpty(t, hc.MaskedPaths)
	require.NotEmpty(t, hc.ReadonlyPaths)
	require.Equal(t, map[string]string{"max-size": "2097152", "max-file": "2"}, hc.LogConfig.Config)
	require.Equal(t, map[string]string{"/tmp": "rw,nosuid,nodev,mode=1777,size=1048576"}, hc.Tmpfs)
	require.Len(t, hc.Ulimits, 1)
	require.Zero(t, hc.Ulimits[0].Hard, "no core is dumped")
	require.Len(t, hc.DNS, 1)
	require.Equal(t, "127.0.0.1", hc.DNS[0].String(), "the daemon asks no resolver of the machine for it")
	require.Len(t, c.NetworkSettings.Networks, 1)
}

// System calls are filtered, whatever the daemon was told for others.
func TestSystemCallsAreFiltered(t *testing.T) {
	requireDocker(t)
	rt := open(t, engine.Options{Network: ownNetwork(t)})
	code, output := run(t, rt, "status", "Seccomp")
	require.Zero(t, code)
	require.Equal(t, "Seccomp 2", output)
}

// What a policy gives reaches the container: a folder to read, a network of the site. The folder cannot be written.
func TestGrantsReachTheContainer(t *testing.T) {
	requireDocker(t)
	rt := open(t, engine.Options{Network: ownNetwork(t)})
	api, err := client.New(client.WithHostFromEnv())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, api.Close()) })
	further := "openflow-test-" + strings.ToLower(rand.Text()[:8])
	_, err = api.NetworkCreate(t.Context(), further, client.NetworkCreateOptions{Internal: true})
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := api.NetworkRemove(context.WithoutCancel(t.Context()), further, client.NetworkRemoveOptions{})
		require.NoError(t, err)
	})
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o777))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "model"), nil, 0o644))
	grants := driver.Grants{Capabilities: []string{"KILL"}, Mounts: []openflow.Mount{{Host: dir, Container: "/models"}}, Networks: []string{further}}
	exit := func(grants driver.Grants, command ...string) int {
		t.Helper()
		s := spec(t, rt, command...)
		s.Grants = grants
		_, err := rt.Ensure(t.Context(), s)
		require.NoError(t, err)
		require.NoError(t, rt.Start(t.Context(), s.Name))
		st, err := rt.Wait(t.Context(), s.Name)
		require.NoError(t, err)
		require.NoError(t, rt.Remove(t.Context(), s.Name))
		return st.ExitCode
	}
	require.Zero(t, exit(grants, "read", "/models/model"))
	require.NotZero(t, exit(grants, "write", "/models/model"))
	require.NotZero(t, exit(grants, "write", "/models/other"))
	require.NotZero(t, exit(driver.Grants{}, "read", "/models/model"))

	s := spec(t, rt, "hang")
	s.Grants = grants
	_, err = rt.Ensure(t.Context(), s)
	require.NoError(t, err)
	require.NoError(t, rt.Start(t.Context(), s.Name))
	c := inspected(t, s.Name).Container
	require.Contains(t, c.NetworkSettings.Networks, further)
	require.Len(t, c.NetworkSettings.Networks, 2)
	require.Equal(t, []string{"CAP_KILL"}, []string(c.HostConfig.CapAdd))
	require.Len(t, c.Mounts, 1)
	require.Equal(t, mount.TypeBind, c.Mounts[0].Type)
	require.False(t, c.Mounts[0].RW)
	require.NoError(t, rt.Stop(t.Context(), s.Name, 0))
	require.NoError(t, rt.Remove(t.Context(), s.Name))

	s = spec(t, rt, "exit", "0")
	s.Grants = driver.Grants{Networks: []string{"openflow-no-such-network"}}
	_, err = rt.Ensure(t.Context(), s)
	require.NoError(t, err)
	err = rt.Start(t.Context(), s.Name)
	require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), "%v", err)
	require.ErrorContains(t, err, "containers.networks of the policy")
}

// A container's output is kept to the bound that it has, its end above all.
func TestBoundOfTheLog(t *testing.T) {
	requireDocker(t)
	network := ownNetwork(t)
	rt := open(t, engine.Options{Network: network})
	s := spec(t, rt, "print", "60000")
	s.Limits.LogBytes = 256 << 10
	_, err := rt.Ensure(t.Context(), s)
	require.NoError(t, err)
	require.NoError(t, rt.Start(t.Context(), s.Name))
	_, err = rt.Wait(t.Context(), s.Name)
	require.NoError(t, err)
	other := open(t, engine.Options{Network: network}) // has heard nothing of it, and asks the daemon
	var out bytes.Buffer
	require.NoError(t, other.Logs(t.Context(), s.Name, &out, &out))
	require.Less(t, out.Len(), 300<<10)
	require.Regexp(t, `(out|err) 59999\n$`, out.String()[max(out.Len()-20, 0):], "the daemon hears two outputs in whatever order")
}
