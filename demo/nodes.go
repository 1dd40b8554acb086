package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"openflow"
	"openflow/node"
	"openflow/trust"
)

// site is one of the demo's nodes.
type site struct {
	party openflow.PartyID
	home  string
	addr  string
	cmd   *exec.Cmd
	done  chan struct{} // closed when the process has ended
	log   string
}

func (s *site) url() string { return "http://" + s.addr }

// nodes are the three sites of the demo.
type nodes struct {
	sites   []*site
	runtime string
}

// parties of the demo, in the order guest, host, arbiter.
var parties = []openflow.PartyID{"9999", "10000", "10001"}

// newNodes picks free ports and exchanges keys: every node knows the others before the first one starts.
func newNodes(home string) (*nodes, error) {
	n := &nodes{}
	ports, err := freePorts(len(parties))
	if err != nil {
		return nil, err
	}
	for i, p := range parties {
		s := &site{party: p, home: filepath.Join(home, "node-"+string(p)), addr: fmt.Sprintf("127.0.0.1:%d", ports[i]), done: make(chan struct{})}
		s.log = filepath.Join(home, "node-"+string(p)+".log")
		if err := os.MkdirAll(s.home, 0o700); err != nil {
			return nil, openflow.Errorf(openflow.CodeInvalid, "home of node %s: %w", p, err)
		}
		n.sites = append(n.sites, s)
	}
	return n, nil
}

// freePorts returns n distinct free loopback ports: all are open before any is closed.
func freePorts(n int) ([]int, error) {
	var ports []int
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return nil, openflow.Errorf(openflow.CodeInternal, "no free port: %w", err)
		}
		defer func() { _ = l.Close() }() // it only held the port
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

func (n *nodes) peers(of *site) ([]string, error) {
	var flags []string
	for _, s := range n.sites {
		if s == of {
			continue
		}
		key, err := trust.LoadOrCreateKey(s.home)
		if err != nil {
			return nil, err
		}
		flags = append(flags, "--peer", fmt.Sprintf("%s=%s,%s", s.party, s.url(), key.Public()))
	}
	return flags, nil
}

// pidFile notes a node's process, so that the next demo can end what a killed one has left.
func pidFile(home string) string { return filepath.Join(home, "pid") }

// start starts every node in a process group of its own: a Ctrl-C in the terminal reaches the demo alone, which then
// stops them in order; and a demo that is killed leaves them to finish their job.
func (n *nodes) start(o Options) error {
	for _, s := range n.sites {
		peers, err := n.peers(s)
		if err != nil {
			return err
		}
		log, err := os.Create(s.log)
		if err != nil {
			return openflow.Errorf(openflow.CodeInvalid, "log of node %s: %w", s.party, err)
		}
		args := append([]string{
			"server", "--party", string(s.party), "--listen", s.addr, "--home", s.home, "--runtime", n.runtime,
			"--components", o.Components, "--durability", node.DurableProcess, "--log-level", "warn",
		}, peers...)
		s.cmd = exec.Command(o.Binary, args...)
		s.cmd.Stdout, s.cmd.Stderr = log, log
		s.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		err = s.cmd.Start()
		_ = log.Close() // the child has its own copy
		if err != nil {
			return openflow.Errorf(openflow.CodeInternal, "node %s does not start: %w", s.party, err)
		}
		go func() {
			_ = s.cmd.Wait() // how it ended is in its log, and in what then fails
			close(s.done)
		}()
		if err := os.WriteFile(pidFile(s.home), []byte(strconv.Itoa(s.cmd.Process.Pid)), 0o600); err != nil {
			return openflow.Errorf(openflow.CodeInternal, "node %s: %w", s.party, err)
		}
	}
	return nil
}

// startTimeout is how long a node may take to become ready.
const startTimeout = 60 * time.Second

// ready waits until all nodes can take a job. A node that ends instead tells why.
func (n *nodes) ready(ctx context.Context, ask func(ctx context.Context, url string) error) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for _, s := range n.sites {
		for ask(ctx, s.url()) != nil {
			select {
			case <-tick.C:
			case <-s.done:
				return openflow.Errorf(openflow.CodeInternal, "node %s has ended: %s", s.party, lastLines(s.log))
			case <-ctx.Done():
				return openflow.Errorf(openflow.CodeDeadline, "node %s is not ready: %w; its log is %s", s.party, ctx.Err(), s.log)
			}
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

// stopTimeout is how long nodes may take to end in order.
const stopTimeout = 10 * time.Second

// stop ends all nodes: in order first, by force then.
func (n *nodes) stop() error {
	for _, s := range n.sites {
		if s.cmd != nil && s.cmd.Process != nil {
			_ = s.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		}
	}
	deadline := time.After(stopTimeout)
	var errs []error
	for _, s := range n.sites {
		if s.cmd == nil || s.cmd.Process == nil {
			continue
		}
		select {
		case <-s.done:
		case <-deadline:
			errs = append(errs, fmt.Errorf("node %s did not stop in order", s.party), s.cmd.Process.Kill())
			<-s.done
		}
		_ = os.Remove(pidFile(s.home)) // a stale one does no harm
	}
	return errors.Join(errs...)
}

// endLeftovers ends nodes that a killed demo has left running on this home. A pid that has become another program's is
// left alone: the command line must name the home.
func endLeftovers(home string, out io.Writer) error {
	for _, p := range parties {
		dir := filepath.Join(home, "node-"+string(p))
		b, err := os.ReadFile(pidFile(dir))
		if err != nil {
			continue // none was left
		}
		pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
		if err != nil || !runs(pid, dir) {
			continue
		}
		fmt.Fprintf(out, "ending node %s, which an earlier demo has left (pid %d)\n", p, pid)
		if err := end(pid, dir); err != nil {
			return err
		}
	}
	return nil
}

func runs(pid int, home string) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return err == nil && strings.Contains(string(b), "\x00"+home+"\x00")
}

func end(pid int, home string) error {
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
		return openflow.Errorf(openflow.CodePermission, "process %d cannot be ended: %w", pid, err)
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(stopTimeout)
	for runs(pid, home) {
		select {
		case <-tick.C:
		case <-deadline:
			return syscall.Kill(pid, syscall.SIGKILL)
		}
	}
	return nil
}
