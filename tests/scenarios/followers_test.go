package scenarios_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/node"
	"openflow/runtime/driver"
	"openflow/runtime/fake"
	"openflow/runtime/launch"
	"openflow/site/partner"
	"openflow/site/trust"
	"openflow/store/catalogue/postgrestest"
	"openflow/store/redisdb/redistest"
	"openflow/temporal/embedded"
	"openflow/tests/env"
	"openflow/workflows"
)

// watched is a runtime that notes which containers are followed through it.
type watched struct {
	driver.Opener
	mu       sync.Mutex
	followed map[string]bool // by the ID of the run
}

func (w *watched) Open(ctx context.Context, o driver.Options) (driver.Host, error) {
	h, err := w.Opener.Open(ctx, o)
	return watchedHost{h, w}, err
}

func (w *watched) follows(k openflow.TaskKey) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.followed[launch.Name(k)]
}

type watchedHost struct {
	driver.Host
	by *watched
}

func (h watchedHost) Wait(ctx context.Context, name string) (driver.Status, error) {
	h.by.mu.Lock()
	h.by.followed[name] = true
	h.by.mu.Unlock()
	return h.Host.Wait(ctx, name)
}

// replica is one of two servers of party 9999.
type replica struct {
	config  node.Config
	runtime *watched
	line    *env.Line // to Temporal
	node    *node.Node
}

func (r *replica) start(t *testing.T) {
	t.Helper()
	n, err := node.Start(t.Context(), r.config)
	require.NoError(t, err)
	r.node = n
}

func (r *replica) stop(t *testing.T) {
	t.Helper()
	if r.node == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), env.Patience)
	defer cancel()
	require.NoError(t, r.node.Close(ctx))
	r.node = nil
}

// cluster is the replicas, and the containers that belong to none of them.
type cluster struct {
	containers *fake.Runtime
	replicas   []*replica
	witness    *env.Witness
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	t.Cleanup(postgrestest.Stop)
	ports := env.Ports(t, 5)
	at := func(i int) string { return fmt.Sprintf("127.0.0.1:%d", ports[i]) }
	log := slog.New(slog.DiscardHandler)
	server, err := embedded.Start(t.Context(), embedded.Options{Postgres: postgrestest.Database(t), Listen: at(0), Open: true, Logger: log})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Close()) })
	backend := s3mem.New()
	require.NoError(t, backend.CreateBucket("openflow-test"))
	store := httptest.NewServer(gofakes3.New(backend).Server())
	t.Cleanup(store.Close)

	dir := t.TempDir()
	c := &cluster{containers: fake.New(fake.Programs(env.Execute)), witness: env.NewWitness(t, t.TempDir())}
	secrets := filepath.Join(dir, "secrets")
	require.NoError(t, os.Mkdir(secrets, 0o700))
	limits := partner.DefaultLimits()
	limits.Cores = 4
	cfg := node.Config{
		Party: "9999", GrantAll: true, Components: c.witness.Program, Durability: node.DurableProcess, Limits: limits,
		Timing: env.Timing(), Pooling: env.Pooling(), Version: "test", Log: log,
		// Containers outlive a replica, so they know none: they call whichever base layer answers.
		Advertise: strings.TrimPrefix(env.Balance(t, "http://"+at(3), "http://"+at(4)), "http://"),
		Shared: node.Shared{
			Postgres: postgrestest.Database(t), Redis: redistest.Start(t).URL(), Secrets: secrets,
			S3: "s3://key:secret@" + strings.TrimPrefix(store.URL, "http://") + "/openflow-test/cluster?tls=false&region=us-east-1",
		},
	}
	for i := range 2 {
		r := &replica{config: cfg, line: env.NewLine(t, at(0))}
		r.runtime = &watched{Opener: fake.Opener{Containers: c.containers, Cluster: true}, followed: map[string]bool{}}
		r.config.Home, r.config.Listen, r.config.Base = filepath.Join(dir, fmt.Sprint("home", i)), at(1+i), at(3+i)
		r.config.Interconnection = "127.0.0.1:0"
		r.config.Runtime, r.config.Shared.Temporal = r.runtime, node.Temporal{Address: r.line.Address()}
		r.start(t)
		t.Cleanup(func() { r.stop(t) })
		c.replicas = append(c.replicas, r)
	}
	return c
}

func (r *replica) as(t *testing.T) *env.Client {
	return &env.Client{TB: t, URL: "http://" + r.config.Listen}
}

// running submits a job of one task and tells which replica follows its container, and which does not. The program lasts
// until it is released.
func (c *cluster) running(t *testing.T) (k openflow.TaskKey, holder, other *replica, release func()) {
	t.Helper()
	user := c.replicas[0].as(t)
	release = c.witness.Hold(t, "a")
	id := user.Submit(env.DAG(env.Parties("guest 9999"), env.Noop("a", nil)))
	user.WaitForTask(id, "a", openflow.TaskRunning)
	k = openflow.TaskKey{Scheduler: "9999", Job: id, Task: "a", Party: openflow.Party{Role: openflow.RoleGuest, ID: "9999"}}
	env.WaitUntil(t, env.Patience, "a replica follows the container", func() (bool, string) {
		return c.replicas[0].runtime.follows(k) || c.replicas[1].runtime.follows(k), "nobody does"
	})
	if c.replicas[0].runtime.follows(k) {
		return k, c.replicas[0], c.replicas[1], release
	}
	return k, c.replicas[1], c.replicas[0], release
}

// finished requires that a job succeeds as a replica sees it, that its program has run once, and that its log is there.
func (c *cluster) finished(t *testing.T, k openflow.TaskKey, at *replica) {
	t.Helper()
	user := at.as(t)
	user.WaitFor(k.Job, openflow.JobSuccess)
	require.Equal(t, 1, c.containers.Runs(launch.Name(k)), "the program has run once")
	starts := 0
	for run, n := range c.witness.Starts(t) {
		if strings.HasPrefix(run, string(k.Job)+"_") {
			starts += n
		}
	}
	require.Equal(t, 1, starts)
}

// Two replicas of a node have containers that belong to no machine, as in a cluster without a gateway. When one ends or
// is cut off in the middle of a task, the other follows on to the end, and nothing runs a second time.
func TestReplicasFollowOneAnothersContainers(t *testing.T) {
	c := newCluster(t)
	t.Run("the one that follows is ended", func(t *testing.T) {
		k, holder, other, release := c.running(t)
		holder.stop(t)
		env.WaitUntil(t, env.Patience, "the other replica follows", func() (bool, string) { return other.runtime.follows(k), "not yet" })
		release()
		c.finished(t, k, other)
		holder.start(t)
	})
	t.Run("another starts meanwhile", func(t *testing.T) {
		k, holder, other, release := c.running(t)
		other.stop(t)
		other.start(t)
		release()
		c.finished(t, k, other)
		history, err := holder.node.History(t.Context(), workflows.TaskWorkflowID(k))
		require.NoError(t, err)
		if !strings.Contains(string(history), "TIMEOUT_TYPE_HEARTBEAT") { // the machine has not stood still for seconds
			require.False(t, other.runtime.follows(k), "a start takes nothing from who follows it")
		}
	})
	t.Run("the one that follows is cut off", func(t *testing.T) {
		k, holder, other, release := c.running(t)
		holder.line.Cut()
		env.WaitUntil(t, env.Patience, "the other replica follows too", func() (bool, string) { return other.runtime.follows(k), "not yet" })
		st, err := c.containers.Inspect(t.Context(), launch.Name(k))
		require.NoError(t, err)
		require.Equal(t, driver.StateRunning, st.State, "both follow it now")
		release()
		c.finished(t, k, other)
		holder.line.Mend()
	})
	t.Run("the line of the one that follows falls silent", func(t *testing.T) {
		k, holder, other, _ := c.running(t)
		holder.line.Silence()
		env.WaitUntil(t, env.Patience, "the other replica follows too", func() (bool, string) { return other.runtime.follows(k), "not yet" })
		env.WaitUntil(t, env.Patience, "Temporal gives up a connection that says nothing", func() (bool, string) {
			return holder.line.Dropped() > 0, "it holds all"
		})
		other.as(t).StopJob(k.Job)
		other.as(t).WaitFor(k.Job, openflow.JobCanceled)
		holder.line.Mend()
	})
	t.Run("what one has started the other stops", func(t *testing.T) {
		k, holder, other, _ := c.running(t)
		other.as(t).StopJob(k.Job)
		holder.as(t).WaitFor(k.Job, openflow.JobCanceled)
	})
	secrets, err := trust.LoadOrCreateCredentials(c.replicas[0].config.Shared.Secrets)
	require.NoError(t, err)
	all, err := c.replicas[0].runtime.Open(t.Context(), driver.Options{Node: secrets.Name()})
	require.NoError(t, err)
	env.WaitUntil(t, env.Patience, "no container is left", func() (bool, string) {
		list, err := all.List(t.Context(), nil)
		require.NoError(t, err)
		return len(list) == 0, fmt.Sprint(list)
	})
}
