package node

import (
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/embed/temporal"
)

func TestPooling(t *testing.T) {
	wait := openflow.Pooling{Wait: time.Minute, Gone: time.Second}
	self := openflow.WorkerRecord{Machine: "self", Labels: []string{"gpu"}}
	other := openflow.WorkerRecord{Machine: "other"}
	silent := openflow.WorkerRecord{Machine: "silent", Seen: time.Now().Add(-2 * aliveFor)}
	for name, tc := range map[string]struct {
		workers []openflow.WorkerRecord
		tasks   bool
		label   string
		only    bool // no listener for workers
		pooled  bool
	}{
		"alone":                          {nil, true, "", false, false},
		"alone in its pool":              {[]openflow.WorkerRecord{self}, true, "", false, false},
		"the other one is silent":        {[]openflow.WorkerRecord{self, silent}, true, "", false, false},
		"another machine":                {[]openflow.WorkerRecord{self, other}, true, "", false, true},
		"a label":                        {[]openflow.WorkerRecord{self}, true, "gpu", false, true},
		"a label that nobody has":        {nil, true, "tpu", false, true},
		"no tasks here, and nobody else": {nil, false, "", false, true},
		"a worker was seen, before a restart without the listener for workers": {[]openflow.WorkerRecord{self, other}, true, "", true, false},
		"a label, without the listener for workers":                            {[]openflow.WorkerRecord{self}, true, "gpu", true, true},
	} {
		t.Run(name, func(t *testing.T) {
			n, _ := kept(t)
			for _, w := range tc.workers {
				require.NoError(t, n.rows.SaveWorker(t.Context(), w))
			}
			got, err := sitePool{n.rows, "self", tc.tasks, tc.only, wait}.Pooling(t.Context(), tc.label)
			require.NoError(t, err)
			if !tc.pooled {
				require.Nil(t, got)
				return
			}
			require.Equal(t, &wait, got)
		})
	}
}

// A node without a pool serves the queues of the one that it had: runs may wait there for a machine.
func TestPoolIsRemembered(t *testing.T) {
	n, _ := kept(t)
	n.config.Pooling = DefaultPooling()
	n.temporal = &temporal.Server{}
	pooled := func() bool {
		yes, err := n.pooled(t.Context())
		require.NoError(t, err)
		return yes
	}
	require.False(t, pooled(), "never had one")
	require.NoError(t, n.rows.SaveWorker(t.Context(), openflow.WorkerRecord{Machine: n.home.Node}))
	require.False(t, pooled(), "was the only machine of it")
	require.NoError(t, n.rows.SaveWorker(t.Context(), openflow.WorkerRecord{Machine: "other", Seen: time.Now().Add(-time.Hour)}))
	require.True(t, pooled())
}

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
	base := Config{Party: "9999", Home: t.TempDir(), Listen: "127.0.0.1:0", Runtime: RuntimeProcess}
	for text, change := range map[string]func(*Config){
		"needs a pool of workers": func(c *Config) { c.NoTasks = true },
		"label":                   func(c *Config) { c.Labels = []string{"g pu"} },
	} {
		c := base
		change(&c)
		_, err := c.withDefaults()
		require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err))
		require.ErrorContains(t, err, text)
	}
	c, err := base.withDefaults()
	require.NoError(t, err)
	require.Equal(t, DefaultPooling(), c.Pooling)
	good := WorkerConfig{Site: "http://x:1", Token: "t", Home: "h", Runtime: RuntimeProcess}
	for text, change := range map[string]func(*WorkerConfig){
		"address of a site": func(c *WorkerConfig) { c.Site = "x" },
		"no worker token":   func(c *WorkerConfig) { c.Token = "" },
		"no home":           func(c *WorkerConfig) { c.Home = "" },
		"unknown runtime":   func(c *WorkerConfig) { c.Runtime = "fake" },
		"at least one":      func(c *WorkerConfig) { c.Cores = -1 },
		"label":             func(c *WorkerConfig) { c.Labels = []string{""} },
	} {
		c := good
		change(&c)
		_, _, err := c.withDefaults()
		require.Equal(t, openflow.CodeInvalid, openflow.CodeOf(err), text)
		require.ErrorContains(t, err, text)
	}
	w, _, err := good.withDefaults()
	require.NoError(t, err)
	require.Positive(t, w.Cores)
}
