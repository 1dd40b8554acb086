package componenttest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"testing"

	"openflow"
	"openflow/sdk/component"
	"openflow/sdk/wire"
)

// Node is an in-memory node that serves the kit's endpoints for all parties of its tasks.
type Node struct {
	t       testing.TB
	address string
	faults  *faults
	queues  *queues

	mu          sync.Mutex
	closed      bool // the test has ended
	server      *http.Server
	objects     map[string][]byte          // by uri
	tables      map[string]table           // by namespace/name
	files       map[openflow.RunID]string  // that an upload reads
	tracked     map[string][]trackedOutput // by run and key, or job/role/party/task/key for inputs
	models      map[string][]byte          // by role/party/task/key
	results     map[openflow.RunID]*PartyResult
	credentials map[string]openflow.RunID
	scores      map[openflow.RunID]ScoreLedger // before the run
}

// NewNode starts a node that lives until the test ends.
func NewNode(t testing.TB, list ...Fault) *Node {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("no loopback port for the node: %v", err)
	}
	n := &Node{
		t: t, address: listener.Addr().String(), queues: newQueues(),
		objects: map[string][]byte{}, tables: map[string]table{}, files: map[openflow.RunID]string{}, tracked: map[string][]trackedOutput{},
		models: map[string][]byte{}, results: map[openflow.RunID]*PartyResult{}, credentials: map[string]openflow.RunID{},
		scores: map[openflow.RunID]ScoreLedger{},
	}
	n.faults = &faults{node: n, list: list, served: map[string]int{}}
	n.serve(listener)
	t.Cleanup(func() {
		n.mu.Lock()
		n.closed = true
		n.mu.Unlock()
		n.stop()
	})
	return n
}

// Address is the host and port that the node listens on.
func (n *Node) Address() string { return n.address }

// Restart cuts all connections and refuses new ones until the returned function is called. What the node has
// acknowledged survives.
func (n *Node) Restart() (resume func()) {
	n.stop()
	return func() {
		listener, err := net.Listen("tcp", n.address)
		if err != nil {
			n.t.Errorf("the node cannot listen on %s again: %v", n.address, err)
			return
		}
		n.serve(listener)
	}
}

func (n *Node) serve(listener net.Listener) {
	server := &http.Server{Handler: n.faults.around(n.routes())} //nolint:gosec // loopback, in a test
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.closed {
		_ = listener.Close() // nobody has used it
		return
	}
	n.server = server
	go func() { _ = server.Serve(listener) }() // ends with stop
}

func (n *Node) stop() {
	n.mu.Lock()
	server := n.server
	n.mu.Unlock()
	_ = server.Close() // the connections die, which is the purpose
}

// Started is a task that has been started.
type Started struct {
	node   *Node
	c      Case
	cancel map[openflow.Party]context.CancelFunc
	logs   map[openflow.Party]*logBuffer
	ended  map[openflow.Party]chan int
}

// provider is whose component is tested.
const provider = "componenttest"

// Start runs the task at all its parties without waiting for them.
func (n *Node) Start(ctx context.Context, c Case) *Started {
	n.t.Helper()
	e := &Started{
		node: n, c: c, cancel: map[openflow.Party]context.CancelFunc{}, logs: map[openflow.Party]*logBuffer{},
		ended: map[openflow.Party]chan int{},
	}
	for _, s := range c.Strays {
		n.stray(s)
	}
	for _, p := range c.Parties {
		env := n.prepare(c, p)
		partyCtx, cancel := context.WithCancel(ctx)
		ended := make(chan int, 1)
		log := &logBuffer{}
		e.cancel[p], e.ended[p], e.logs[p] = cancel, ended, log
		go func() {
			defer cancel()
			told := func(name string) string { return env[name] }
			if c.Main != nil {
				ended <- c.Main(partyCtx, told, log)
				return
			}
			ended <- component.Program{
				Provider: provider, Version: "1.0.0", Components: []component.Component{c.Component},
			}.RunTo(partyCtx, log, told)
		}()
	}
	return e
}

// logBuffer is a task's log. It goes to standard error too, where a failed test shows it.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write takes what the task logs.
func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	_, _ = b.text.Write(p) // never fails
	return os.Stderr.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// Stop does to the task at party what SIGTERM does.
func (e *Started) Stop(party openflow.Party) { e.cancel[party]() }

// Ended waits until the task has ended at party.
func (e *Started) Ended(party openflow.Party) {
	code := <-e.ended[party]
	e.ended[party] <- code // for Wait
}

// Wait waits until the task has ended at all parties.
func (e *Started) Wait() *Result {
	r := &Result{t: e.node.t, node: e.node, Parties: map[openflow.Party]*PartyResult{}}
	for _, p := range e.c.Parties {
		code := <-e.ended[p]
		e.node.mu.Lock()
		result := *e.node.results[runOf(key(p))]
		e.node.mu.Unlock()
		result.ExitCode, result.Log = code, e.logs[p].String()
		r.Parties[p] = &result
	}
	return r
}

const (
	testJob  = "202401010000000000000"
	testTask = "task_0"
)

func key(p openflow.Party) openflow.TaskKey {
	return openflow.TaskKey{Job: testJob, Task: testTask, Party: p}
}

// runOf is what a container calls its run.
func runOf(k openflow.TaskKey) openflow.RunID { return openflow.RunID(wire.PartyTaskID(k)) }

// prepare stores the inputs of party and returns the environment of its container.
func (n *Node) prepare(c Case, party openflow.Party) map[string]string {
	n.t.Helper()
	k := key(party)
	credential := fmt.Sprintf("credential of %s", party)
	n.mu.Lock()
	n.results[runOf(k)] = &PartyResult{Scores: map[openflow.PartyID]int{}, Files: map[string]string{}}
	n.scores[runOf(k)] = c.Scores[party]
	n.files[runOf(k)] = c.Inputs[party].File
	n.credentials[credential] = runOf(k)
	n.mu.Unlock()
	config, err := json.Marshal(n.config(c, k))
	if err != nil {
		n.t.Fatalf("configuration of %s: %v", k, err)
	}
	env := map[string]string{
		"CONFIG": string(config), "OPENFLOW_CREDENTIAL": credential, "OPENFLOW_CORES": fmt.Sprint(orElse(c.Cores, 1)),
	}
	if c.Patience > 0 {
		env["OPENFLOW_PATIENCE"] = c.Patience.String()
	}
	return env
}

func (n *Node) config(c Case, k openflow.TaskKey) map[string]any {
	host, port, err := net.SplitHostPort(n.address)
	if err != nil {
		n.t.Fatalf("address of the node: %v", err)
	}
	parameters := map[string]any{}
	for name, v := range c.Parameters {
		parameters[name] = v
	}
	for name, v := range c.Override[k.Party] {
		parameters[name] = v
	}
	var parties []any
	for _, p := range c.Parties {
		parties = append(parties, map[string]any{"role": p.Role, "partyid": p.ID})
	}
	data, models := n.storeInputs(k, c.Inputs[k.Party])
	return map[string]any{
		"model_id": testJob, "model_version": "0", "job_id": testJob, "task_id": k.TaskID(), "task_version": "0",
		"task_name": k.Task, "provider_name": provider, "party_task_id": runOf(k), "component": c.Component.Name,
		"role": k.Party.Role, "party_id": k.Party.ID, "stage": orElse(c.Stage, openflow.StageDefault), "parameters": parameters,
		"input_artifacts": map[string]any{"data": data, "model": models},
		"conf": map[string]any{"federation": map[string]any{"type": "openflow", "metadata": map[string]any{
			"federation_id": wire.FederationID(k), "parties": map[string]any{"parties": parties},
		}}},
		"mlmd": map[string]any{"type": "flow", "metadata": map[string]any{
			"host": host, "port": json.Number(port), "protocol": "http", "api_version": "v2",
		}},
		"launcher_name": "default", "policy": policyOf(c, k.Party),
		"protocol": wire.Protocol(c.Protocol),
	}
}

func policyOf(c Case, p openflow.Party) openflow.Policy {
	if own, ok := c.Policies[p]; ok {
		return own
	}
	return openflow.DefaultPolicy()
}
