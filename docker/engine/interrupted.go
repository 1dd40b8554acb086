package engine

import (
	"context"
	"slices"
	"time"

	"github.com/moby/moby/api/types/network"

	"openflow/runtime/driver"
)

// Exit codes of programs that something else has ended. unknown is what a daemon notes of a container that it finds
// dead after its machine had gone down.
const (
	exitTerminated = 143
	exitKilled     = 137
	exitUnknown    = 255
)

// unasked reports whether st is a failure that nobody asked this Runtime for.
func (r *Runtime) unasked(st driver.Status) bool {
	_, asked := r.stopped.Load(st.Name)
	return st.State == driver.StateExited && st.ExitCode != 0 && !st.OOMKilled && !asked
}

// unexplained reports whether st is an end that the program alone may not have chosen. A program may use these codes
// itself, so they prove nothing.
func (r *Runtime) unexplained(st driver.Status) bool { return r.unasked(st) && signalled(st) }

func signalled(st driver.Status) bool {
	return slices.Contains([]int{exitTerminated, exitKilled, exitUnknown}, st.ExitCode)
}

// absence is when the daemon was away while a container was waited for. Without one, since is zero.
type absence struct{ since, until time.Time }

// slack is what a daemon takes to stop its containers before it ends (15 s), or those that it finds running when it
// starts, and what clocks may differ by.
const slack = 20 * time.Second

// broken is how long before the daemon's start a program may have failed on its own account because of it. The pipes of
// its output break when the daemon goes. So the next line that it writes ends it, with whatever code.
const broken = time.Minute

// interrupted reports whether a restart of the daemon ended the container. There are two witnesses: the absence that its
// waiter met, and the daemon's start, which is known also to a node that was away itself. Errors: CodeUnavailable (the
// daemon is away now, so it may have been the cause).
func (r *Runtime) interrupted(ctx context.Context, st driver.Status, away absence) (bool, error) {
	began, err := r.daemonStart(ctx)
	if err != nil {
		return false, err
	}
	if !away.since.IsZero() && st.Finished.After(away.since.Add(-slack)) && st.Finished.Before(away.until.Add(slack)) {
		return true, nil
	}
	return st.Started.Before(began) && st.Finished.Before(began.Add(slack)) &&
		(signalled(st) || st.Finished.After(began.Add(-broken))), nil
}

// daemonStart is when the daemon started, as far as it tells: it makes its default network anew at every start that finds
// no container alive. Zero: it has no such network.
func (r *Runtime) daemonStart(ctx context.Context) (time.Time, error) {
	all, err := r.networks(ctx)
	if err != nil {
		return time.Time{}, err
	}
	i := slices.IndexFunc(all, func(n network.Summary) bool { return n.Name == "bridge" })
	if i < 0 {
		return time.Time{}, nil
	}
	return all[i].Created, nil
}
