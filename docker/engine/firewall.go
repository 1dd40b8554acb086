package engine

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"openflow"
)

// FirewallBase closes what Docker leaves open: containers of this node's network reach TCP port on the gateway and
// nothing else of the host, whatever listens there. What this machine begins, they may answer. The rules are a chain of their own, entered from INPUT for packets
// of this network's interface only; they stay until RemoveFirewall or a reboot, and writing them again, also with
// another port, replaces them. The network is created if missing.
//
// Errors: CodePermission (neither root nor CAP_NET_ADMIN), CodeUnimplemented (no iptables), with the rules to write by
// hand as the hint; Reachable tells what they would close.
func (r *Runtime) FirewallBase(ctx context.Context, port int) error {
	b, err := r.ensureNetwork(ctx)
	if err != nil {
		return err
	}
	f := firewall{chain: "OPENFLOW-" + shortHash(r.name), device: b.device}
	rule := accepts(b, port)
	if err := f.usable(); err != nil {
		return err.WithHint("as root: iptables -I INPUT -i %s -j DROP && iptables -I INPUT -i %s %s && iptables -I INPUT -i %s %s",
			b.device, b.device, rule, b.device, acceptsAnswers)
	}
	if err := f.visible(); err != nil {
		return err
	}
	// In one transaction: at no moment is the chain there and open.
	script := fmt.Sprintf("*filter\n:%s - [0:0]\n%s\nCOMMIT\n", f.chain, strings.Join(f.rules(b, port), "\n"))
	if err := f.run(ctx, script, "iptables-restore", "-w", "--noflush"); err != nil {
		return err
	}
	if err := f.enter(ctx, "iptables", f.chain); err != nil {
		return err
	}
	return f.closeIPv6(ctx)
}

// rules are those of the chain: what a node's containers may begin, what they may answer, and nothing else.
func (f firewall) rules(b bridge, port int) []string {
	return []string{"-A " + f.chain + " " + accepts(b, port), "-A " + f.chain + " " + acceptsAnswers, "-A " + f.chain + " -j DROP"}
}

// acceptsAnswers lets in what belongs to a connection that this machine has begun. The direction is said too: a connection that
// a container has begun is established as well, where it was before the rules.
const acceptsAnswers = "-p tcp -m conntrack --ctstate ESTABLISHED --ctdir REPLY -j ACCEPT"

// accepts lets in what a node's containers may begin.
func accepts(b bridge, port int) string {
	return fmt.Sprintf("-d %s/32 -p tcp -m tcp --dport %d -j ACCEPT", b.gateway, port)
}

// Firewalled is nil while the rules of FirewallBase for that port are in force: somebody may have flushed or changed them
// since, or have put one before them that lets everything in. Its errors are those of FirewallBase, and CodeConflict,
// which says what is there instead.
func (r *Runtime) Firewalled(ctx context.Context, port int) error {
	b, err := r.ensureNetwork(ctx)
	if err != nil {
		return err
	}
	f := firewall{chain: "OPENFLOW-" + shortHash(r.name), device: b.device}
	if err := f.usable(); err != nil {
		return err
	}
	if err := f.visible(); err != nil {
		return err
	}
	input, err := f.list(ctx, "iptables", "INPUT")
	if err != nil {
		return err
	}
	at, before := f.place(input, f.chain)
	switch {
	case at < 0:
		return openflow.Errorf(openflow.CodeConflict, "firewall of %s: its rules are gone from INPUT", f.device).WithHint(rewrite)
	case before != "":
		return openflow.Errorf(openflow.CodeConflict, "firewall of %s: a rule comes first that lets others in: %s", f.device, before).WithHint(rewrite)
	}
	chain, err := f.list(ctx, "iptables", f.chain)
	if err != nil {
		return err
	}
	if !slices.Equal(chain, f.rules(b, port)) {
		return openflow.Errorf(openflow.CodeConflict, "firewall of %s: somebody has changed its rules: %s", f.device, strings.Join(chain, "; ")).
			WithHint(rewrite)
	}
	return nil
}

const rewrite = "restart the node, which writes its rules again before all others"

// place is where the jump to target stands among the rules of INPUT, -1 for nowhere. before is a rule above it that lets
// packets in from everywhere, if there is one.
func (f firewall) place(input []string, target string) (at int, before string) {
	at = slices.Index(input, fmt.Sprintf("-A INPUT -i %s -j %s", f.device, target))
	for _, rule := range input[:max(at, 0)] {
		if strings.HasSuffix(rule, " -j ACCEPT") && !strings.Contains(rule, " -i ") && !answers.MatchString(rule) {
			return at, rule
		}
	}
	return at, ""
}

// answers are what lets in the answers to what this machine has asked, and nothing that a container begins.
var answers = regexp.MustCompile(` --(ct)?state (RELATED|ESTABLISHED)(,(RELATED|ESTABLISHED))* `)

// list is the rules of a chain, as the tool writes them.
func (f firewall) list(ctx context.Context, tool, chain string) ([]string, error) {
	text, err := f.output(ctx, "", tool, "-w", "-S", chain)
	if err != nil {
		return nil, err
	}
	var rules []string
	for rule := range strings.Lines(text) {
		if rule = strings.TrimSpace(rule); strings.HasPrefix(rule, "-A ") {
			rules = append(rules, rule)
		}
	}
	return rules, nil
}

// RemoveFirewall takes away what FirewallBase has written; without any it does nothing.
func (r *Runtime) RemoveFirewall(ctx context.Context) error {
	f := firewall{chain: "OPENFLOW-" + shortHash(r.name), device: deviceName(r.name)}
	if err := f.usable(); err != nil {
		return err
	}
	if err := f.leave(ctx, "iptables", f.chain); err != nil {
		return err
	}
	if f.run(ctx, "", "iptables", "-w", "-n", "-L", f.chain) == nil {
		script := fmt.Sprintf("*filter\n-F %s\n-X %s\nCOMMIT\n", f.chain, f.chain)
		if err := f.run(ctx, script, "iptables-restore", "-w", "--noflush"); err != nil {
			return err
		}
	}
	if !available("ip6tables") {
		return nil
	}
	return f.leave(ctx, "ip6tables", "DROP")
}

// firewall is the rules for one network.
type firewall struct{ chain, device string }

func (f firewall) usable() *openflow.Error {
	if !available("iptables") || !available("iptables-restore") {
		return openflow.Errorf(openflow.CodeUnimplemented, "firewall of %s: this machine has no iptables", f.device)
	}
	status, err := os.ReadFile("/proc/self/status")
	if os.Geteuid() != 0 && (err != nil || !MayWriteRules(string(status))) {
		return openflow.Errorf(openflow.CodePermission, "firewall of %s: its rules need root, or the ambient capability CAP_NET_ADMIN", f.device)
	}
	return nil
}

// capNetAdmin is the number of CAP_NET_ADMIN (linux/capability.h).
const capNetAdmin = 12

// MayWriteRules tells from the text of /proc/self/status whether programs that this process starts may write firewall
// rules although it is not root: they inherit ambient capabilities, such as a service manager gives, and no others.
func MayWriteRules(status string) bool {
	for line := range strings.Lines(status) {
		if set, found := strings.CutPrefix(line, "CapAmb:"); found {
			bits, err := strconv.ParseUint(strings.TrimSpace(set), 16, 64)
			return err == nil && bits&(1<<capNetAdmin) != 0
		}
	}
	return false
}

// visible reports, as CodeUnimplemented, that the network is not one of this process's: rules that it wrote would keep
// nobody out. It may run in a container of its own.
func (f firewall) visible() error {
	if _, err := net.InterfaceByName(f.device); err != nil {
		return openflow.Errorf(openflow.CodeUnimplemented, "firewall of %s: this process does not see the interface, so its rules would close nothing", f.device).
			WithHint("run it on the host, or in a container with network_mode: host")
	}
	return nil
}

// closeIPv6 closes the link-local addresses too: containers get none, but a rule is cheaper than that assumption.
func (f firewall) closeIPv6(ctx context.Context) error {
	if !available("ip6tables") {
		return nil
	}
	return f.enter(ctx, "ip6tables", "DROP")
}

// enter makes the jump to target a rule of INPUT for the device, once, before all that would let its packets in.
func (f firewall) enter(ctx context.Context, tool, target string) error {
	input, err := f.list(ctx, tool, "INPUT")
	if err != nil {
		return err
	}
	at, before := f.place(input, target)
	if at >= 0 && before == "" {
		return nil
	}
	if err := f.run(ctx, "", tool, "-w", "-I", "INPUT", "-i", f.device, "-j", target); err != nil || at < 0 {
		return err
	}
	return f.run(ctx, "", tool, "-w", "-D", "INPUT", strconv.Itoa(at+2)) // the one that came too late; rules count from 1
}

// leave removes every such jump.
func (f firewall) leave(ctx context.Context, tool, target string) error {
	rule := []string{"INPUT", "-i", f.device, "-j", target}
	for f.run(ctx, "", tool, append([]string{"-w", "-C"}, rule...)...) == nil {
		if err := f.run(ctx, "", tool, append([]string{"-w", "-D"}, rule...)...); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (f firewall) run(ctx context.Context, stdin, tool string, args ...string) error {
	_, err := f.output(ctx, stdin, tool, args...)
	return err
}

func (f firewall) output(ctx context.Context, stdin, tool string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, tool, args...)
	cmd.Stdin = strings.NewReader(stdin)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", openflow.Errorf(openflow.CodeInternal, "firewall of %s: %s: %w: %s", f.device, tool, err, bytes.TrimSpace(stderr.Bytes()))
	}
	return stdout.String(), nil
}

func available(tool string) bool {
	_, err := exec.LookPath(tool)
	return err == nil
}
