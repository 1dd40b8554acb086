package env

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"openflow"
	"openflow/node"
	"openflow/runtime/driver"
	"openflow/runtime/process"
	"openflow/sdk/wire"
	"openflow/site/partner"
	"openflow/site/peers"
	"openflow/site/trust"
	"openflow/store/catalogue"
)

// Timing is short, so that what is lost is asked for within a test's patience.
func Timing() openflow.Timing {
	return openflow.Timing{Create: 4 * time.Second, Partner: 60 * time.Second, Undo: 5 * time.Minute, Collect: 2 * time.Second}
}

type settings struct {
	parties []string
	timing  openflow.Timing
	cores   int
	limits  []func(*partner.Limits)
	proxied bool
	strict  bool
	token   bool
	pooled  bool
	spans   func(id string) sdktrace.SpanExporter
	ui      bool
	policy  map[string]string // policy file by party; "": of everybody else
	trusted []string          // providers
	change  []func(*node.Config)
}

// Option says how an environment differs from the usual one.
type Option func(*settings)

// Party adds a node for the party.
func Party(id string) Option { return func(s *settings) { s.parties = append(s.parties, id) } }

// Proxied puts a [Proxy] on the way from every node to every other; see [Env.Link].
func Proxied() Option { return func(s *settings) { s.proxied = true } }

// Strict makes nodes ask for grants instead of allowing everything.
func Strict() Option { return func(s *settings) { s.strict = true } }

// Token makes the application layers ask for a token.
func Token() Option { return func(s *settings) { s.token = true } }

// Pooled makes every node leave its tasks to a pool of workers; see [Env.StartWorker].
func Pooled() Option { return func(s *settings) { s.pooled = true } }

// Policy gives the node of a party a policy file, or, with an empty id, every node that has none of its own.
func Policy(id, text string) Option {
	return func(s *settings) {
		if s.policy == nil {
			s.policy = map[string]string{}
		}
		s.policy[id] = text
	}
}

// Pooling is long: on a busy machine a worker is silent for seconds, and none is to be taken for gone that is not.
func Pooling() openflow.Pooling { return openflow.Pooling{Wait: Patience, Gone: Patience} }

// Spans gives every node a place for its traces.
func Spans(of func(id string) sdktrace.SpanExporter) Option {
	return func(s *settings) { s.spans = of }
}

// UI gives every node its Temporal UI.
func UI() Option { return func(s *settings) { s.ui = true } }

// Cores is the capacity of every node.
func Cores(n int) Option { return func(s *settings) { s.cores = n } }

// Limits changes the site's own rules at every node.
func Limits(change func(*partner.Limits)) Option {
	return func(s *settings) { s.limits = append(s.limits, change) }
}

// Deadlines replaces Timing.
func Deadlines(timing openflow.Timing) Option { return func(s *settings) { s.timing = timing } }

// Trust has every node and worker run the programs of these providers, which the process runtime does not isolate.
func Trust(providers ...string) Option {
	return func(s *settings) { s.trusted = append(s.trusted, providers...) }
}

// Configure changes what a node is told, after everything else.
func Configure(change func(*node.Config)) Option {
	return func(s *settings) { s.change = append(s.change, change) }
}

// Env is a set of nodes in this process that know each other, with the process runtime.
type Env struct {
	Parties []string // in the order given

	set     settings
	dir     string
	log     *logBuffer
	logs    map[string]*logBuffer // of each node
	configs map[string]node.Config
	witness map[string]*Witness
	links   map[[2]string]*Proxy

	mu    sync.Mutex
	nodes map[string]*node.Node
}

// New starts the nodes and ends them with the test. When a port is lost to somebody else before it is used, it tries
// again with others.
func New(t testing.TB, opts ...Option) *Env {
	t.Helper()
	set := settings{timing: Timing()}
	for _, o := range opts {
		o(&set)
	}
	e := &Env{Parties: set.parties, set: set, dir: t.TempDir(), log: &logBuffer{}}
	t.Cleanup(func() { e.close(t) })
	const attempts = 3
	for i := 1; ; i++ {
		e.configure(t, filepath.Join(e.dir, fmt.Sprint(i)))
		err := e.startAll(t)
		if err == nil {
			return e
		}
		if openflow.CodeOf(err) != openflow.CodeConflict || i == attempts {
			require.NoError(t, err)
		}
		require.NoError(t, e.stopAll())
	}
}

// configure gives every node a home, a key and a port, and makes them know each other.
func (e *Env) configure(t testing.TB, dir string) {
	t.Helper()
	e.nodes, e.configs = map[string]*node.Node{}, map[string]node.Config{}
	e.witness, e.links, e.logs = map[string]*Witness{}, map[[2]string]*Proxy{}, map[string]*logBuffer{}
	ports := Ports(t, 4*len(e.Parties))
	addresses, partners, plain, keys := map[string]string{}, map[string]string{}, map[string]string{}, map[string]string{}
	for i, id := range e.Parties {
		home := filepath.Join(dir, id)
		require.NoError(t, os.MkdirAll(home, 0o700))
		policy, ok := e.set.policy[id]
		if !ok {
			policy, ok = e.set.policy[""]
		}
		if ok {
			require.NoError(t, os.WriteFile(filepath.Join(home, "policy.yaml"), []byte(policy), 0o600))
		}
		key, err := trust.LoadOrCreateKey(home)
		require.NoError(t, err)
		addresses[id], keys[id] = fmt.Sprintf("127.0.0.1:%d", ports[4*i]), key.Public().String()
		partners[id], plain[id] = fmt.Sprintf("127.0.0.1:%d", ports[4*i+1]), fmt.Sprintf("127.0.0.1:%d", ports[4*i+3])
	}
	for i, id := range e.Parties {
		e.logs[id] = &logBuffer{}
		at := filepath.Join(dir, "witness-"+id)
		require.NoError(t, os.MkdirAll(at, 0o700))
		e.witness[id] = NewWitness(t, at)
		limits := partner.DefaultLimits()
		limits.Cores = 32 // whatever this machine has: what jobs take is part of what is tested
		if e.set.cores > 0 {
			limits.Cores = e.set.cores
		}
		// Peers may use all that there is: how they are bounded, the tests of that say.
		limits.Quota = openflow.Quota{Cores: 1 << 20, Memory: 1 << 60, GPUs: 1 << 20, Priority: 1 << 30}
		for _, change := range e.set.limits {
			change(&limits)
		}
		c := node.Config{
			Party: openflow.PartyID(id), Home: filepath.Join(dir, id), Listen: addresses[id], Interconnection: partners[id], Plain: plain[id], Token: e.set.token,
			GrantAll: !e.set.strict, UI: e.set.ui, Runtime: process.Opener{}, Components: e.witness[id].Program, Trusted: e.set.trusted,
			Durability: node.DurableProcess, Limits: limits, Timing: e.set.timing, Version: "test",
			Log: slog.New(slog.NewTextHandler(io.MultiWriter(e.log, e.logs[id]), nil)).With("node", id),
		}
		if e.set.spans != nil {
			c.Spans = e.set.spans(id)
		}
		if e.set.pooled {
			c.Workers, c.NoTasks, c.Pooling = fmt.Sprintf("127.0.0.1:%d", ports[4*i+2]), true, Pooling()
		}
		for _, peer := range e.Parties {
			if peer == id {
				continue
			}
			url := "https://" + partners[peer]
			if e.set.proxied { // which reads what it carries
				p := NewProxy(t, "http://"+plain[peer])
				e.links[[2]string{id, peer}], url = p, p.URL()
			}
			c.Peers = append(c.Peers, peers.Peer{Party: openflow.PartyID(peer), URL: url, Key: keys[peer]})
		}
		for _, change := range e.set.change {
			change(&c)
		}
		e.configs[id] = c
	}
}

func (e *Env) startAll(t testing.TB) error {
	return parallel(e.Parties, func(id string) error { return e.start(t.Context(), id) })
}

// parallel does something for several nodes at once.
func parallel(ids []string, do func(id string) error) error {
	errs := make([]error, len(ids))
	var all sync.WaitGroup
	for i, id := range ids {
		all.Go(func() { errs[i] = do(id) })
	}
	all.Wait()
	return errors.Join(errs...)
}

func (e *Env) start(ctx context.Context, id string) error {
	e.mu.Lock()
	running := e.nodes[id] != nil
	e.mu.Unlock()
	if running {
		return nil
	}
	n, err := node.Start(ctx, e.configs[id])
	if err != nil {
		return err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.nodes[id] = n
	return nil
}

// Start starts stopped nodes on the homes that they had; those that run are left alone.
func (e *Env) Start(t testing.TB, ids ...string) {
	t.Helper()
	require.NoError(t, parallel(ids, func(id string) error { return e.start(t.Context(), id) }))
}

// TryStart starts a stopped node, which may refuse to.
func (e *Env) TryStart(ctx context.Context, id string) error { return e.start(ctx, id) }

// Reconfigure changes what a stopped node is started with.
func (e *Env) Reconfigure(id string, change func(*node.Config)) {
	c := e.configs[id]
	change(&c)
	e.configs[id] = c
}

// Stop closes nodes as SIGTERM would: their tasks go on.
func (e *Env) Stop(t testing.TB, ids ...string) {
	t.Helper()
	require.NoError(t, parallel(ids, e.stop))
}

// Restart stops nodes and starts them on the same homes.
func (e *Env) Restart(t testing.TB, ids ...string) {
	t.Helper()
	e.Stop(t, ids...)
	e.Start(t, ids...)
}

// closing is how long a node may take to end.
const closing = 2 * time.Minute

func (e *Env) stop(id string) error {
	e.mu.Lock()
	n := e.nodes[id]
	delete(e.nodes, id)
	e.mu.Unlock()
	if n == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), closing)
	defer cancel()
	return n.Close(ctx)
}

func (e *Env) stopAll() error { return parallel(e.Parties, e.stop) }

// close ends everything and shows the nodes' logs when the test has failed.
func (e *Env) close(t testing.TB) {
	if err := e.stopAll(); err != nil {
		t.Errorf("close: %v", err)
	}
	for _, c := range e.configs {
		EndTasks(t, c.Home)
	}
	if t.Failed() {
		t.Logf("the nodes' logs:\n%s", e.log.tail())
	}
}

// Node is a running node.
func (e *Env) Node(t testing.TB, id string) *node.Node {
	t.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	require.Contains(t, e.nodes, id, "the node runs")
	return e.nodes[id]
}

// Log is the end of what a node has logged.
func (e *Env) Log(id string) string { return e.logs[id].tail() }

// Home is a node's folder.
func (e *Env) Home(id string) string { return e.configs[id].Home }

// Key is the private key of a node, for requests that pretend to be it.
func (e *Env) Key(t testing.TB, id string) trust.Key {
	t.Helper()
	key, err := trust.LoadOrCreateKey(e.Home(id))
	require.NoError(t, err)
	return key
}

// PeersURL is the address of a node for peers that speak no TLS, also while it is stopped. Tests say there what they like.
func (e *Env) PeersURL(id string) string { return "http://" + e.configs[id].Plain }

// SecureURL is the address of a node that other nodes use, also while it is stopped.
func (e *Env) SecureURL(id string) string { return "https://" + e.configs[id].Interconnection }

// URL is the address of a node for its users, also while it is stopped.
func (e *Env) URL(id string) string { return "http://" + e.configs[id].Listen }

// Link is the proxy that carries what from sends to to.
func (e *Env) Link(t testing.TB, from, to string) *Proxy {
	t.Helper()
	p := e.links[[2]string{from, to}]
	require.NotNil(t, p, "the environment is Proxied")
	return p
}

// As is a user of the party's node, with the node's token when it asks for one.
func (e *Env) As(t testing.TB, id string) *Client {
	t.Helper()
	c := &Client{TB: t, URL: e.URL(id)}
	if e.set.token {
		token, err := trust.LoadOrCreateToken(e.Home(id))
		require.NoError(t, err)
		c.Token = token
	}
	return c
}

// Containers lists what a node's runtime holds, also while the node is stopped.
func (e *Env) Containers(t testing.TB, id string) []driver.Status {
	t.Helper()
	return Tasks(t, e.Home(id))
}

// NoContainers waits until no node holds a container any more: everything has been stopped, recorded and removed.
func (e *Env) NoContainers(t testing.TB) {
	t.Helper()
	WaitUntil(t, Patience, "no container is left at any party", func() (bool, string) {
		var left []string
		for _, id := range e.Parties {
			for _, c := range e.Containers(t, id) {
				left = append(left, fmt.Sprintf("%s: %s %s", id, c.Name, c.State))
			}
		}
		return len(left) == 0, fmt.Sprint(left)
	})
}

// NothingRuns fails the test when a program runs at any party at this moment.
func (e *Env) NothingRuns(t testing.TB) {
	t.Helper()
	for _, id := range e.Parties {
		for _, c := range e.Containers(t, id) {
			require.NotEqual(t, driver.StateRunning, c.State, "%s at party %s", c.Name, id)
		}
	}
}

// Starts counts the programs that a node has started for a job, by the ID of the run.
func (e *Env) Starts(t testing.TB, id string, job openflow.JobID) map[string]int {
	t.Helper()
	starts := e.witness[id].Starts(t)
	for run := range starts {
		if !bytes.HasPrefix([]byte(run), []byte(string(job)+"_")) {
			delete(starts, run)
		}
	}
	return starts
}

// Hold makes the programs of a task last at every party, until they are released or killed; see [Witness.Hold].
func (e *Env) Hold(t testing.TB, task openflow.TaskName) (release func()) {
	t.Helper()
	var all []func()
	for _, id := range e.Parties {
		all = append(all, e.witness[id].Hold(t, task))
	}
	return func() {
		for _, one := range all {
			one()
		}
	}
}

// HoldAt is Hold at one party.
func (e *Env) HoldAt(t testing.TB, id string, task openflow.TaskName) (release func()) {
	t.Helper()
	return e.witness[id].Hold(t, task)
}

// Started waits until the program of a task has been started at these parties. That the run's row says so comes a moment
// before.
func (e *Env) Started(t testing.TB, job openflow.JobID, task string, parties ...openflow.Party) {
	t.Helper()
	for _, p := range parties {
		k := Key(task, p)
		k.Job = job
		WaitUntil(t, Patience, fmt.Sprintf("task %q of job %s has been started at %s", task, job, p), func() (bool, string) {
			starts := e.Starts(t, string(p.ID), job)
			return starts[wire.PartyTaskID(k)] > 0, fmt.Sprint(starts)
		})
	}
}

// OneStartEach asserts that these runs of a job were started at the party, each once, and nothing else.
func (e *Env) OneStartEach(t testing.TB, id string, job openflow.JobID, runs ...openflow.TaskKey) {
	t.Helper()
	want := map[string]int{}
	for _, k := range runs {
		k.Job = job
		want[wire.PartyTaskID(k)] = 1
	}
	require.Equal(t, want, e.Starts(t, id, job), "starts of programs at party %s", id)
}

// CoresHeld is how many cores of the node's capacity jobs hold.
func (e *Env) CoresHeld(t testing.TB, id string) int { return e.CapacityHeld(t, id).Cores }

// CapacityHeld is how much of the node's capacity jobs hold, read from its catalogue.
func (e *Env) CapacityHeld(t testing.TB, id string) openflow.Resources {
	t.Helper()
	rows, err := catalogue.Open(t.Context(), catalogue.Options{File: filepath.Join(e.Home(id), "catalogue.db")})
	require.NoError(t, err)
	defer func() { require.NoError(t, rows.Close()) }()
	held, err := rows.CapacityUse(t.Context())
	require.NoError(t, err)
	return held
}

// NoCoresHeld waits until no node's capacity is used: every job has given back what it took, cores, memory and GPUs.
func (e *Env) NoCoresHeld(t testing.TB) {
	t.Helper()
	WaitUntil(t, Patience, "every capacity is free again", func() (bool, string) {
		held := map[string]openflow.Resources{}
		for _, id := range e.Parties {
			if n := e.CapacityHeld(t, id); n != (openflow.Resources{}) {
				held[id] = n
			}
		}
		return len(held) == 0, fmt.Sprint(held)
	})
}

// logBuffer keeps the end of what the nodes have logged.
type logBuffer struct {
	mu    sync.Mutex
	lines [][]byte
}

const keptLines = 200

// Write takes one line.
func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.lines) >= keptLines {
		b.lines = b.lines[1:]
	}
	b.lines = append(b.lines, slices.Clone(p))
	return len(p), nil
}

func (b *logBuffer) tail() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return string(bytes.Join(b.lines, nil))
}

// Speak has the nodes of two parties call each other in a dialect, whatever their records said before.
func (e *Env) Speak(t testing.TB, d openflow.Dialect, a, b string) {
	t.Helper()
	for _, pair := range [][2]string{{a, b}, {b, a}} {
		for _, p := range e.configs[pair[0]].Peers {
			if string(p.Party) == pair[1] {
				user := e.As(t, pair[0])
				user.OK(user.Post("/openflow/v1/user/site/add", map[string]string{"party_id": pair[1], "url": p.URL, "key": p.Key, "dialect": string(d)}), nil)
			}
		}
	}
}
