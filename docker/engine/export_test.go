package engine

import (
	"context"

	"openflow/runtime/driver"
)

// Device is the host's name for a network.
func Device(network string) string { return deviceName(network) }

// ComesBefore is the rule of INPUT that lets a network's packets in before the jump to the chain of its rules.
func ComesBefore(input []string, device, chain string) string {
	_, before := firewall{chain: chain, device: device}.place(input, chain)
	return before
}

// Heard reports whether a Runtime has all that a container has written, and need not ask the daemon.
func (r *Runtime) Heard(ctx context.Context, name string) bool {
	l, ok := r.launched(name)
	return ok && l.ear.all(ctx)
}

// Tmpfs are the options of the one place that a container may write.
func Tmpfs(limits driver.Limits) string { return tmpfs(limits) }
