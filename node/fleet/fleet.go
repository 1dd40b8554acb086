// Package fleet runs several nodes as processes of their own on this machine: for the demo, and to measure.
//
// Ports are chosen and keys exchanged before the first node starts, so every node knows the others from its beginning.
// The package treats nodes as anybody would: by their binary, their HTTP API and their home folders. Start at [New].
package fleet

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"openflow"
	"openflow/node"
	"openflow/runtime/driver"
	"openflow/sdk"
	"openflow/site/trust"
	"openflow/temporal/loopback"
)

// Options of a fleet.
type Options struct {
	Binary     string // of openflow
	Components string // of openflow-components
	Runtime    driver.Opener
	LogLevel   string
	Flags      []string // further flags of openflow server
	Plain      bool     // the nodes reach each other without TLS: to measure what TLS costs
}

// Fleet is some nodes that know each other.
type Fleet struct {
	Nodes   []*Node
	options Options
}

// Node is one of them.
type Node struct {
	Party openflow.PartyID
	Home  string
	URL   string // for users
	Peers string // for the other nodes
	Log   string // file

	listens string // for peers, in TLS
	flags   []string
	cmd     *exec.Cmd
	done    chan struct{} // closed when the process has ended
}

// New chooses ports and exchanges keys. Homes are the folders dir/node-<party>; nothing is started.
func New(dir string, o Options, parties ...openflow.PartyID) (*Fleet, error) {
	f := &Fleet{options: o}
	ports, err := loopback.FreePorts(3*len(parties), nil)
	if err != nil {
		return nil, err
	}
	keys := make([]string, len(parties))
	for i, p := range parties {
		n := &Node{Party: p, Home: home(dir, p), URL: "http://" + local(ports[3*i]), listens: local(ports[3*i+1])}
		n.Peers = "https://" + n.listens
		if o.Plain {
			n.Peers = "http://" + local(ports[3*i+2])
		}
		n.Log = n.Home + ".log"
		if err := os.MkdirAll(n.Home, 0o700); err != nil {
			return nil, openflow.Errorf(openflow.CodeInvalid, "home of node %s: %w", p, err).WithHint("choose another folder")
		}
		key, err := trust.LoadOrCreateKey(n.Home)
		if err != nil {
			return nil, err
		}
		keys[i] = key.Public().String()
		f.Nodes = append(f.Nodes, n)
	}
	for _, n := range f.Nodes {
		n.flags = f.flags(n, keys)
	}
	return f, nil
}

func local(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }

func home(dir string, p openflow.PartyID) string { return filepath.Join(dir, "node-"+string(p)) }

func (f *Fleet) flags(n *Node, keys []string) []string {
	flags := []string{
		"server", "--party", string(n.Party), "--listen", strings.TrimPrefix(n.URL, "http://"), "--home", n.Home,
		"--listen-interconnection", n.listens,
		"--runtime", f.options.Runtime.Kind(), "--components", f.options.Components, "--durability", node.DurableProcess,
		"--log-level", f.options.LogLevel,
	}
	if plain, ok := strings.CutPrefix(n.Peers, "http://"); ok {
		flags = append(flags, "--listen-plain", plain)
	}
	for i, peer := range f.Nodes {
		if peer != n {
			flags = append(flags, "--peer", fmt.Sprintf("%s=%s,%s", peer.Party, peer.Peers, keys[i]))
		}
	}
	return append(flags, f.options.Flags...)
}

// Start starts every node that does not run.
func (f *Fleet) Start() error {
	for _, n := range f.Nodes {
		if err := f.StartNode(n); err != nil {
			return err
		}
	}
	return nil
}

// StartNode starts one node in a process group of its own. A Ctrl-C in the terminal reaches the caller alone, which can
// then stop nodes in order. A caller that is killed leaves them to finish their jobs.
func (f *Fleet) StartNode(n *Node) error {
	log, err := os.OpenFile(n.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return openflow.Errorf(openflow.CodeInvalid, "log of node %s: %w", n.Party, err)
	}
	defer func() { _ = log.Close() }() // the child has its own copy
	cmd := exec.Command(f.options.Binary, n.flags...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return openflow.Errorf(openflow.CodeInternal, "node %s does not start: %w", n.Party, err)
	}
	done := make(chan struct{})
	n.cmd, n.done = cmd, done
	go func() {
		_ = cmd.Wait() // how it ended is in its log, and in what then fails
		close(done)
	}()
	if err := os.WriteFile(pidFile(n.Home), []byte(strconv.Itoa(cmd.Process.Pid)), 0o600); err != nil {
		return openflow.Errorf(openflow.CodeInternal, "node %s: %w", n.Party, err)
	}
	return nil
}

// Client is a client of the node's application layer.
func (n *Node) Client() *sdk.Client { return &sdk.Client{URL: n.URL} }

// PID is the node's process.
func (n *Node) PID() int { return n.cmd.Process.Pid }

// Kill ends the node's process at once, as kill −9 does, and waits for it.
func (n *Node) Kill() error {
	err := n.cmd.Process.Kill()
	<-n.done
	return err
}

// startTimeout is how long a node may take to become ready.
const startTimeout = time.Minute

// Ready waits until all nodes can take a job. A node that ends instead tells why.
func (f *Fleet) Ready(ctx context.Context) error {
	for _, n := range f.Nodes {
		if err := n.Ready(ctx); err != nil {
			return err
		}
	}
	return nil
}

// Ready waits until the node can take a job.
func (n *Node) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for n.Client().Ready(ctx) != nil {
		select {
		case <-tick.C:
		case <-n.done:
			return openflow.Errorf(openflow.CodeInternal, "node %s has ended: %s", n.Party, lastLines(n.Log))
		case <-ctx.Done():
			return openflow.Errorf(openflow.CodeDeadline, "node %s is not ready: %w; its log is %s", n.Party, ctx.Err(), n.Log)
		}
	}
	return nil
}

func lastLines(file string) string {
	b, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.Join(lines[max(0, len(lines)-5):], "\n")
}

// stopTimeout is how long nodes may take to end in order, on a busy machine.
const stopTimeout = time.Minute

// Stop ends all nodes: in order first, by force then. Nodes that do not run are no matter.
func (f *Fleet) Stop() error {
	for _, n := range f.Nodes {
		if n.cmd != nil {
			_ = n.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		}
	}
	deadline := time.After(stopTimeout)
	var errs []error
	for _, n := range f.Nodes {
		if n.cmd == nil {
			continue
		}
		select {
		case <-n.done:
		case <-deadline:
			errs = append(errs, fmt.Errorf("node %s did not stop in order", n.Party), n.cmd.Process.Kill())
			<-n.done
		}
		_ = os.Remove(pidFile(n.Home)) // a stale one does no harm
	}
	return errors.Join(errs...)
}
