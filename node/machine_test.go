package node

import (
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/node/hardware"
	"openflow/runtime/driver"
	"openflow/runtime/fake"
	"openflow/runtime/launch"
	"openflow/runtime/process"
	"openflow/site/partner"
)

func TestCapacityOfTheMachine(t *testing.T) {
	c := Config{Party: "9999", Home: t.TempDir(), Listen: "127.0.0.1:0", Runtime: process.Opener{}}
	c, err := c.withDefaults()
	require.NoError(t, err)
	capacity := limited(c.Limits, orOfTheMachine(openflow.Resources{})).Capacity()
	require.Equal(t, runtime.NumCPU(), capacity.Cores, "what this machine has, and no promise beyond")
	require.Greater(t, capacity.Memory, int64(64<<20), "what this machine has")
	require.Less(t, capacity.Memory, int64(hardware.UnknownMemory))
	require.GreaterOrEqual(t, capacity.GPUs, 0)

	cluster := openflow.Resources{Cores: 500, Memory: 1 << 40}
	require.Equal(t, cluster, limited(c.Limits, orOfTheMachine(cluster)).Capacity(), "what the runtime has, and nothing of this machine")

	c.Limits = partner.DefaultLimits()
	c.Limits.Memory, c.Limits.GPUs = 1<<30, 3
	c, err = c.withDefaults()
	require.NoError(t, err)
	capacity = limited(c.Limits, cluster).Capacity()
	require.Equal(t, openflow.Resources{Cores: 500, Memory: 1 << 30, GPUs: 3}, capacity, "what the operator says comes first")
}

// Containers find the base layer through their runtime's gateway, or where the operator says: one of the two.
func TestWayToTheBaseLayer(t *testing.T) {
	gateway := driver.Gateway{Listen: "10.77.0.1", Host: "openflow.internal"}
	for name, tc := range map[string]struct {
		gateway           driver.Gateway
		listen, advertise string
		found             launch.BaseLayer
		at                string
		refused           string
	}{
		"a gateway":                {gateway, "", "", launch.BaseLayer{Host: "openflow.internal"}, "", ""},
		"a gateway, a listener":    {gateway, "10.77.0.1:9382", "", launch.BaseLayer{Host: "openflow.internal"}, "10.77.0.1:9382", ""},
		"a gateway, and an advice": {gateway, "", "base:1", launch.BaseLayer{}, "", "by themselves"},
		"none":                     {driver.Gateway{}, "", "base.site:9382", launch.BaseLayer{Host: "base.site", Port: 9382}, ":9382", ""},
		"none, a listener":         {driver.Gateway{}, "10.0.0.5:7", "[fd00::1]:9382", launch.BaseLayer{Host: "fd00::1", Port: 9382}, "10.0.0.5:7", ""},
		"none, and no advice":      {driver.Gateway{}, "10.0.0.5:7", "", launch.BaseLayer{}, "", "--advertise-base"},
		"no port":                  {driver.Gateway{}, "", "base", launch.BaseLayer{}, "", "HOST:PORT"},
		"port 0":                   {driver.Gateway{}, "", "base:0", launch.BaseLayer{}, "", "HOST:PORT"},
		"no such port":             {driver.Gateway{}, "", "base:65536", launch.BaseLayer{}, "", "HOST:PORT"},
		"no host":                  {driver.Gateway{}, "", ":9382", launch.BaseLayer{}, "", "HOST:PORT"},
	} {
		t.Run(name, func(t *testing.T) {
			found, at, err := wayOf(tc.gateway, means{runtime: fake.Opener{}, listen: tc.listen, advertise: tc.advertise})
			if tc.refused != "" {
				require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
				require.ErrorContains(t, err, tc.refused)
				return
			}
			require.NoError(t, err)
			require.Equal(t, tc.found, found)
			require.Equal(t, tc.at, at)
		})
	}
}
