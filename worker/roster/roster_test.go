package roster

import (
	"bytes"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/store/catalogue"
)

func opened(t *testing.T) *catalogue.Catalogue {
	t.Helper()
	rows, err := catalogue.Open(t.Context(), catalogue.Options{File: filepath.Join(t.TempDir(), "c.db")})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, rows.Close()) })
	return rows
}

func TestPooling(t *testing.T) {
	wait := openflow.Pooling{Wait: time.Minute, Gone: time.Second}
	self := openflow.WorkerRecord{Machine: "self", Labels: []string{"gpu"}, Cores: 4}
	other := openflow.WorkerRecord{Machine: "other", Cores: 4}
	left := openflow.WorkerRecord{Machine: "left"}
	silent := openflow.WorkerRecord{Machine: "silent", Cores: 4, Seen: time.Now().Add(-2 * AliveFor)}
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
			rows := opened(t)
			for _, w := range tc.workers {
				require.NoError(t, rows.SaveWorker(t.Context(), w))
			}
			got, err := Pool{Rows: rows, Self: "self", NoTasks: !tc.tasks, Open: !tc.only, Times: wait}.Pooling(t.Context(), tc.label)
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
	rows := opened(t)
	for _, w := range []openflow.WorkerRecord{{Machine: "self", Cores: 4}, {Machine: "left"}, {Machine: "other", Cores: 1}} {
		require.NoError(t, rows.SaveWorker(t.Context(), w))
	}
	for idle, want := range map[bool][]string{true: {"other"}, false: {"other", "self"}} {
		list, err := Pool{Rows: rows, Self: "self", NoTasks: idle}.Workers(t.Context(), "")
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
	rows := opened(t)
	var log bytes.Buffer
	silences := &Silences{Log: slog.New(slog.NewTextHandler(&log, nil))}
	pool := Pool{Rows: rows, Self: "self", Open: true, Times: DefaultPooling()}
	k := openflow.TaskKey{Scheduler: "9999", Job: "j", Task: "a", Party: openflow.Party{Role: openflow.RoleGuest, ID: "9999"}}
	require.NoError(t, rows.CreateJob(t.Context(), openflow.JobRecord{
		ID: "j", Party: k.Party, Scheduler: "9999", Initiator: "9999", Status: openflow.JobReady, DAG: &openflow.DAG{},
	}, []openflow.TaskRecord{{Key: k, Status: openflow.TaskWaiting, PartyStatus: openflow.TaskWaiting}}))
	machine := "m"
	hello := func(seen time.Time) string {
		w := openflow.WorkerRecord{Machine: machine, Name: "big", Cores: 1, Running: []openflow.RunID{k.RunID(), "unknown"}, Seen: seen}
		require.NoError(t, rows.SaveWorker(t.Context(), w))
		require.NoError(t, pool.TellSilent(t.Context(), rows, silences))
		got, err := rows.Task(t.Context(), k)
		require.NoError(t, err)
		return got.Reason
	}
	require.Empty(t, hello(time.Now()))
	require.Contains(t, hello(time.Now().Add(-silentAfter-time.Millisecond)), "machine m (big) has been silent since 20")
	require.NotEmpty(t, hello(time.Now().Add(-silentAfter-time.Second)))
	require.Equal(t, 1, strings.Count(log.String(), `msg="a machine of the pool is silent" machine=m name=big`), "once: %s", &log)
	silent, err := pool.Silent(t.Context())
	require.NoError(t, err)
	require.Len(t, silent, 1)
	require.Equal(t, "m", silent[0].Machine)
	require.Contains(t, silent[0].Running, k.RunID())
	require.LessOrEqual(t, silentAfter+SilentEvery+3*time.Second, 15*time.Second, "the watch looks every 3 s")
	require.Empty(t, hello(time.Now()))
	require.Contains(t, log.String(), "a machine of the pool is silent no longer")
	silent, err = pool.Silent(t.Context())
	require.NoError(t, err)
	require.Empty(t, silent)

	pool.Up = time.Now()
	require.Empty(t, hello(time.Now().Add(-time.Minute)), "this node was away itself")
	pool.Up = time.Now().Add(-time.Hour)

	none, err := pool.ShutOut(t.Context())
	require.NoError(t, err)
	require.Empty(t, none, "it can come back")
	pool.Open = false
	const shut = "machine m (big) cannot reach this node, which was started without --listen-workers"
	require.Contains(t, hello(time.Now()), shut, "from the start")
	require.Contains(t, hello(time.Now().Add(-time.Hour)), shut, "the machine is not to blame")
	away, err := pool.ShutOut(t.Context())
	require.NoError(t, err)
	require.Len(t, away, 1)
	pool.Shared = true
	require.Empty(t, hello(time.Now()), "another server may have the listener")
	pool.Open, pool.Shared = true, false
	require.Empty(t, hello(time.Now()))
	machine = pool.Self
	require.Empty(t, hello(time.Now().Add(-time.Hour)), "this node has taken it up by itself since its start")
	machine = "m"
	_, err = rows.FinishTask(t.Context(), k, openflow.TaskEnd{Status: openflow.TaskFailed, Reason: "gone"})
	require.NoError(t, err)
	require.Equal(t, "gone", hello(time.Now().Add(-2*AliveFor)))
	list, err := rows.Workers(t.Context(), time.Now().Add(-time.Hour))
	require.NoError(t, err)
	require.Equal(t, []openflow.RunID{"unknown"}, list[0].Running, "an ended run is no task of its machine any more")
}

// A node without a pool serves the queues of the one that it had: runs may wait there for a machine.
func TestPoolIsRemembered(t *testing.T) {
	rows := opened(t)
	pool := Pool{Rows: rows, Self: "self", Times: DefaultPooling()}
	pooled := func() bool {
		yes, err := pool.Offered(t.Context())
		require.NoError(t, err)
		return yes
	}
	require.False(t, pooled(), "never had one")
	require.NoError(t, rows.SaveWorker(t.Context(), openflow.WorkerRecord{Machine: "self"}))
	require.False(t, pooled(), "was the only machine of it")
	require.NoError(t, rows.SaveWorker(t.Context(), openflow.WorkerRecord{Machine: "other", Seen: time.Now().Add(-time.Hour)}))
	require.True(t, pooled())
	pool.Anywhere = true
	require.False(t, pooled(), "containers that belong to no machine are not offered to this one")
}

// A node whose containers any replica follows runs what asks for no machine, also beside others of its pool.
func TestPoolOfANodeWithoutMachine(t *testing.T) {
	rows := opened(t)
	require.NoError(t, rows.SaveWorker(t.Context(), openflow.WorkerRecord{Machine: "other", Labels: []string{"gpu"}, Cores: 4}))
	for _, tc := range []struct {
		label           string
		noTasks, shared bool
		pooled          bool
	}{{"", false, false, false}, {"", false, true, false}, {"gpu", false, true, true}, {"", true, false, true}} {
		p := Pool{Rows: rows, Self: "self", NoTasks: tc.noTasks, Open: true, Shared: tc.shared, Anywhere: true, Times: DefaultPooling()}
		got, err := p.Pooling(t.Context(), tc.label)
		require.NoError(t, err)
		require.Equal(t, tc.pooled, got != nil, "%+v", tc)
	}
}

// Whoever shares the site's cores with other machines takes no more than it has.
func TestCoresOfTheNodeItself(t *testing.T) {
	for _, c := range []struct {
		pool        Pool
		shared, own int
		want        int
	}{
		{Pool{}, 8, 4, 8}, {Pool{Open: true}, 8, 4, 4}, {Pool{Shared: true}, 8, 4, 4}, {Pool{Open: true}, 2, 4, 2},
	} {
		require.Equal(t, c.want, c.pool.Cores(c.shared, c.own), "%+v", c)
	}
}
