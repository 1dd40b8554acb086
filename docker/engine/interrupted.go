package engine

import (
	"context"
	"slices"
	"time"

	"github.com/moby/moby/api/types/network"

	"openflow/docker/driver"
)

// Exit codes of programs that something else has ended. unknown is what a daemon notes of a container that it finds
// dead after its machine had gone down.
const (
	exitTerminated = 143
	exitKilled     = 137
	exitUnknown    = 255
)

// unexplained reports whether st is an end that the program alone may not have chosen, and that nobody asked this Runtime
// for. A program may use these codes itself, so they prove nothing.
func (r *Runtime) unexplained(st driver.Status) bool {
	if st.State != driver.StateExited || st.OOMKilled || !slices.Contains([]int{exitTerminated, exitKilled, exitUnknown}, st.ExitCode) {
		return false
	}
	_, asked := r.stopped.Load(st.Name)
	return !asked
}

// absence is when the daemon was away while a container was waited for. Without one, since is zero.
type absence struct{ since, until time.Time }

// slack is what a daemon takes to stop its containers before it ends (15 s), or those that it finds running when it
// starts, and what clocks may differ by.
const slack = 20 * time.Second

// interrupted reports whether a restart of the daemon ended the container. There are two witnesses: the absence that its
// waiter met, and the daemon's start, which is known also to a node that was away itself.
func (r *Runtime) interrupted(ctx context.Context, st driver.Status, away absence) (bool, error) {
	if !away.since.IsZero() && st.Finished.After(away.since.Add(-slack)) && st.Finished.Before(away.until.Add(slack)) {
		return true, nil
	}
	began, err := r.daemonStart(ctx)
	return st.Started.Before(began) && st.Finished.Before(began.Add(slack)), err
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
