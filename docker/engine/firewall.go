package engine

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"openflow"
)

// FirewallBase closes what Docker leaves open: containers of this node's network reach TCP port on the gateway and
// nothing else of the host, whatever listens there. The rules are a chain of their own, entered from INPUT for packets
// of this network's interface only; they stay until RemoveFirewall or a reboot, and writing them again, also with
// another port, replaces them. The network is created if missing.
//
// Errors: CodePermission (not root), CodeUnimplemented (no iptables), with the rules to write by hand as the hint;
// Reachable tells what they would close.
func (r *Runtime) FirewallBase(ctx context.Context, port int) error {
	b, err := r.ensureNetwork(ctx)
	if err != nil {
		return err
	}
	f := firewall{chain: "OPENFLOW-" + shortHash(r.name), device: b.device}
	rule := fmt.Sprintf("-d %s/32 -p tcp -m tcp --dport %d -j ACCEPT", b.gateway, port)
	if err := f.usable(); err != nil {
		return err.WithHint("as root: iptables -I INPUT -i %s -j DROP && iptables -I INPUT -i %s %s", b.device, b.device, rule)
	}
	// In one transaction: at no moment is the chain there and open.
	script := fmt.Sprintf("*filter\n:%s - [0:0]\n-A %s %s\n-A %s -j DROP\nCOMMIT\n", f.chain, f.chain, rule, f.chain)
	if err := f.run(ctx, script, "iptables-restore", "-w", "--noflush"); err != nil {
		return err
	}
	if err := f.enter(ctx, "iptables", f.chain); err != nil {
		return err
	}
	return f.closeIPv6(ctx)
}

// Firewalled is nil while the rules of FirewallBase are in force; somebody may have flushed them since. Its errors are those
// of FirewallBase.
func (r *Runtime) Firewalled(ctx context.Context) error {
	f := firewall{chain: "OPENFLOW-" + shortHash(r.name), device: deviceName(r.name)}
	if err := f.usable(); err != nil {
		return err
	}
	return f.run(ctx, "", "iptables", "-w", "-C", "INPUT", "-i", f.device, "-j", f.chain)
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
	if os.Geteuid() != 0 {
		return openflow.Errorf(openflow.CodePermission, "firewall of %s: only root may write its rules", f.device)
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

// enter makes the jump to target the first rule of INPUT for the device, once.
func (f firewall) enter(ctx context.Context, tool, target string) error {
	rule := []string{"INPUT", "-i", f.device, "-j", target}
	if f.run(ctx, "", tool, append([]string{"-w", "-C"}, rule...)...) == nil {
		return nil
	}
	return f.run(ctx, "", tool, append([]string{"-w", "-I"}, rule...)...)
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
	cmd := exec.CommandContext(ctx, tool, args...)
	cmd.Stdin = strings.NewReader(stdin)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	if err := cmd.Run(); err != nil {
		return openflow.Errorf(openflow.CodeInternal, "firewall of %s: %s: %w: %s", f.device, tool, err, bytes.TrimSpace(stderr.Bytes()))
	}
	return nil
}

func available(tool string) bool {
	_, err := exec.LookPath(tool)
	return err == nil
}
