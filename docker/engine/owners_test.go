package engine_test

import (
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/docker/engine"
	"openflow/runtime/driver"
)

// What a node that is gone has left is found by its network, and goes with it.
func TestDiscardedNode(t *testing.T) {
	requireDocker(t)
	name := ownNetwork(t)
	owner := engine.Owner{Home: "/nowhere/node", Host: "this"}
	gone := open(t, engine.Options{Network: name, Owner: owner})
	gateway, err := gone.Gateway(t.Context())
	require.NoError(t, err)
	ended, lasting := spec(t, gone, "exit", "0"), spec(t, gone, "hang")
	for _, s := range []string{ended.Name, lasting.Name} {
		one := ended
		if s == lasting.Name {
			one = lasting
		}
		_, err = gone.Ensure(t.Context(), one)
		require.NoError(t, err)
		require.NoError(t, gone.Start(t.Context(), s))
	}
	_, err = gone.Wait(t.Context(), ended.Name)
	require.NoError(t, err)
	root := os.Geteuid() == 0
	if root {
		require.NoError(t, gone.FirewallBase(t.Context(), 1))
	}

	other := open(t, engine.Options{Network: ownNetwork(t)})
	find := func() (engine.Network, bool) {
		list, err := other.Networks(t.Context())
		require.NoError(t, err)
		i := slices.IndexFunc(list, func(n engine.Network) bool { return n.Name == name })
		if i < 0 {
			return engine.Network{}, false
		}
		return list[i], true
	}
	n, found := find()
	require.True(t, found)
	require.Equal(t, owner, n.Owner)
	require.Equal(t, gateway, n.Gateway)
	require.Equal(t, 2, n.Containers)
	require.Equal(t, 1, n.Running)
	require.False(t, n.Ended.IsZero())

	require.Equal(t, openflow.CodeConflict, openflow.CodeOf(other.Discard(t.Context(), name, false)), "one runs")
	_, found = find()
	require.True(t, found)
	require.NoError(t, gone.Stop(t.Context(), lasting.Name, patience))
	resident := spec(t, gone, "hang")
	resident.Labels = map[string]string{driver.LabelResident: "its node"}
	_, err = gone.Ensure(t.Context(), resident)
	require.NoError(t, err)
	require.NoError(t, gone.Start(t.Context(), resident.Name))
	n, _ = find()
	require.Equal(t, 3, n.Containers)
	require.Zero(t, n.Running, "a resident one runs for ever, and keeps nothing")
	for range 2 {
		require.NoError(t, other.Discard(t.Context(), name, false), "again is the same")
	}
	_, found = find()
	require.False(t, found)
	left, err := gone.List(t.Context(), nil)
	require.NoError(t, err)
	require.Empty(t, left)
	if root {
		rules, err := exec.CommandContext(t.Context(), "iptables", "-w", "-S", "INPUT").Output()
		require.NoError(t, err)
		require.NotContains(t, string(rules), engine.Device(name))
	}
}

// Who listens at a network's gateway is its node. Where nobody can tell, it is taken to be there.
func TestServed(t *testing.T) {
	requireDocker(t)
	rt := open(t, engine.Options{Network: ownNetwork(t)})
	gateway, err := rt.Gateway(t.Context())
	require.NoError(t, err)
	require.False(t, engine.Served(gateway))
	listen(t, gateway)
	require.True(t, engine.Served(gateway))
	require.True(t, engine.Served(netip.MustParseAddr("192.0.2.1")), "not an address of this machine")
	require.True(t, engine.Served(netip.Addr{}))
}

func TestOwner(t *testing.T) {
	host, err := os.Hostname()
	require.NoError(t, err)
	o := engine.OwnerOf("/h")
	require.Equal(t, "/h", o.Home)
	require.Contains(t, o.Host, host)
	require.Equal(t, o.Host, engine.OwnerOf("/other").Host)
}

// What a container may write is no larger than its memory, or than what it may write at all.
func TestWhatAContainerMayWrite(t *testing.T) {
	const always = "rw,nosuid,nodev,mode=1777"
	for want, limits := range map[string]driver.Limits{
		always:                {},
		always + ",size=2":    {MemoryBytes: 2, DiskBytes: 3},
		always + ",size=3":    {MemoryBytes: 4, DiskBytes: 3},
		always + ",size=1000": {MemoryBytes: 1000},
		always + ",size=2000": {DiskBytes: 2000},
	} {
		require.Equal(t, want, engine.Tmpfs(limits))
	}
}
