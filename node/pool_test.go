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
	self := openflow.WorkerRecord{Machine: "self", Labels: []string{"gpu"}, Cores: 4}
	other := openflow.WorkerRecord{Machine: "other", Cores: 4}
	left := openflow.WorkerRecord{Machine: "left"}
	silent := openflow.WorkerRecord{Machine: "silent", Cores: 4, Seen: time.Now().Add(-2 * aliveFor)}
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
		"the other one has left":         {[]openflow.WorkerRecord{self, left}, true, "", false, false},
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
			got, err := sitePool{n.rows, "self", !tc.tasks, tc.tasks, tc.only, wait}.Pooling(t.Context(), tc.label)
			require.NoError(t, err)
			if !tc.pooled {
				require.Nil(t, got)
				return
			}
			require.Equal(t, &wait, got)
		})
	}
}

// Only who is there is busy: not a worker that has left, nor the node itself once it runs no tasks.
func TestWorkersThatAreAlive(t *testing.T) {
	n, _ := kept(t)
	for _, w := range []openflow.WorkerRecord{{Machine: "self", Cores: 4}, {Machine: "left"}, {Machine: "other", Cores: 1}} {
		require.NoError(t, n.rows.SaveWorker(t.Context(), w))
	}
	for idle, want := range map[bool][]string{true: {"other"}, false: {"other", "self"}} {
		list, err := sitePool{rows: n.rows, self: "self", idle: idle}.Workers(t.Context(), "")
		require.NoError(t, err)
		var got []string
		for _, w := range list {
			got = append(got, w.Machine)
		}
		require.ElementsMatch(t, want, got)
	}
}

// A run whose machine is silent says so, until the machine is heard of again.
func TestSilentMachineIsSaidOnItsRuns(t *testing.T) {
	n, _ := kept(t)
	n.config.Pooling = DefaultPooling()
	k := openflow.TaskKey{Scheduler: "9999", Job: "j", Task: "a", Party: openflow.Party{Role: openflow.RoleGuest, ID: "9999"}}
	require.NoError(t, n.rows.CreateJob(t.Context(), openflow.JobRecord{
		ID: "j", Party: k.Party, Scheduler: "9999", Initiator: "9999", Status: openflow.JobReady, DAG: &openflow.DAG{},
	}, []openflow.TaskRecord{{Key: k, Status: openflow.TaskWaiting, PartyStatus: openflow.TaskWaiting}}))
	hello := func(seen time.Time) string {
		w := openflow.WorkerRecord{Machine: "m", Name: "big", Cores: 1, Running: []openflow.ExecutionID{k.ExecutionID(), "unknown"}, Seen: seen}
		require.NoError(t, n.rows.SaveWorker(t.Context(), w))
		require.NoError(t, n.tellSilent(t.Context()))
		got, err := n.rows.Task(t.Context(), k)
		require.NoError(t, err)
		return got.Reason
	}
	require.Empty(t, hello(time.Now()))
	require.Contains(t, hello(time.Now().Add(-2*aliveFor)), "machine m (big) is silent since 20")
	require.Empty(t, hello(time.Now()))
	_, err := n.rows.FinishTask(t.Context(), k, openflow.TaskEnd{Status: openflow.TaskFailed, Reason: "gone"})
	require.NoError(t, err)
	require.Equal(t, "gone", hello(time.Now().Add(-2*aliveFor)))
	list, err := n.rows.Workers(t.Context(), time.Now().Add(-time.Hour))
	require.NoError(t, err)
	require.Equal(t, []openflow.ExecutionID{"unknown"}, list[0].Running, "an ended run is no task of its machine any more")
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
