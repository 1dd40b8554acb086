package node

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow/node/hardware"
	"openflow/site/partner"
)

func TestCapacityOfTheMachine(t *testing.T) {
	c := Config{Party: "9999", Home: t.TempDir(), Listen: "127.0.0.1:0", Runtime: RuntimeProcess}
	c, err := c.withDefaults()
	require.NoError(t, err)
	capacity := c.Limits.Capacity()
	require.Equal(t, runtime.NumCPU(), capacity.Cores, "what this machine has, and no promise beyond")
	require.Greater(t, capacity.Memory, int64(64<<20), "what this machine has")
	require.Less(t, capacity.Memory, int64(hardware.UnknownMemory))
	require.GreaterOrEqual(t, capacity.GPUs, 0)

	c.Limits = partner.DefaultLimits()
	c.Limits.Memory, c.Limits.GPUs = 1<<30, 3
	c, err = c.withDefaults()
	require.NoError(t, err)
	require.Equal(t, int64(1<<30), c.Limits.Capacity().Memory)
	require.Equal(t, 3, c.Limits.Capacity().GPUs)
}
