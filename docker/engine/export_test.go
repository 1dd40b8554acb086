package engine

import "context"

// Device is the host's name for a network.
func Device(network string) string { return deviceName(network) }

// Heard reports whether a Runtime has all that a container has written, and need not ask the daemon.
func (r *Runtime) Heard(ctx context.Context, name string) bool {
	l, ok := r.launched(name)
	return ok && l.ear.all(ctx)
}
