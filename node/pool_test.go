package node

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/runtime/fake"
	"openflow/runtime/process"
	"openflow/worker/roster"
)

type at struct {
	net.Listener
	addr net.TCPAddr
}

func (l at) Addr() net.Addr { return &l.addr }

func TestWhatIsNotEncryptedIsSaid(t *testing.T) {
	for address, warned := range map[string]bool{"127.0.0.1": false, "::1": false, "10.0.0.1": true, "0.0.0.0": true, "::": true} {
		require.Equal(t, warned, len(notEncrypted(at{addr: net.TCPAddr{IP: net.ParseIP(address), Port: 1}})) > 0, address)
	}
}

// A configuration that cannot work is refused before anything is touched.
func TestPoolConfiguration(t *testing.T) {
	base := Config{Party: "9999", Home: t.TempDir(), Listen: "127.0.0.1:0", Runtime: process.Opener{}}
	for text, change := range map[string]func(*Config){
		"needs a pool of workers": func(c *Config) { c.NoTasks = true },
		"by label": func(c *Config) {
			c.Labels, c.Runtime = []string{"gpu"}, fake.Opener{Cluster: true}
		},
		"label": func(c *Config) { c.Labels = []string{"g pu"} },
	} {
		c := base
		change(&c)
		_, err := c.withDefaults()
		require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
		require.ErrorContains(t, err, text)
	}
	c, err := base.withDefaults()
	require.NoError(t, err)
	require.Equal(t, roster.DefaultPooling(), c.Pooling)
	good := WorkerConfig{Site: "https://x:1", Token: "t", Home: "h", Runtime: process.Opener{}}
	for text, change := range map[string]func(*WorkerConfig){
		"address of a site": func(c *WorkerConfig) { c.Site = "x" },
		"no worker token":   func(c *WorkerConfig) { c.Token = "" },
		"no home":           func(c *WorkerConfig) { c.Home = "" },
		"no runtime":        func(c *WorkerConfig) { c.Runtime = nil },
		"at least one":      func(c *WorkerConfig) { c.Cores = -1 },
		"label":             func(c *WorkerConfig) { c.Labels = []string{""} },
	} {
		c := good
		change(&c)
		_, _, err := c.withDefaults()
		require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), text)
		require.ErrorContains(t, err, text)
	}
	_, _, err = good.withDefaults()
	require.NoError(t, err)
}
