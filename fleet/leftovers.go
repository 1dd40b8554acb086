package fleet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"openflow"
	"openflow/docker/driver"
	"openflow/docker/engine"
	"openflow/docker/process"
	"openflow/node"
)

// pidFile notes a node's process, so that the next fleet can end what a killed one has left.
func pidFile(home string) string { return filepath.Join(home, "pid") }

// EndLeftovers ends nodes of these parties that a killed caller has left running below dir, and says so to out. A pid
// that has become another program's is left alone: its command line must name the home.
func EndLeftovers(dir string, out io.Writer, parties ...openflow.PartyID) error {
	for _, p := range parties {
		h := home(dir, p)
		b, err := os.ReadFile(pidFile(h))
		if err != nil {
			continue // none was left
		}
		pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
		if err != nil || !runs(pid, h) {
			continue
		}
		fmt.Fprintf(out, "ending node %s, which an earlier run has left (pid %d)\n", p, pid)
		if err := end(pid, h); err != nil {
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

// RemoveContainers makes sure that no task of the fleet runs any more, however its nodes ended. Nodes must be stopped.
func (f *Fleet) RemoveContainers(ctx context.Context) error {
	for _, n := range f.Nodes {
		if err := removeContainers(ctx, n.Home); err != nil {
			return openflow.AtParty(n.Party, err)
		}
	}
	return nil
}

// removeContainers ends and removes what the node of that home has made, whichever runtime made it.
func removeContainers(ctx context.Context, home string) error {
	programs, err := process.New(filepath.Join(home, "tasks"))
	if err != nil {
		return err
	}
	if err := removeAll(ctx, programs); err != nil {
		return err
	}
	network, err := node.NetworkOf(home)
	if errors.Is(err, os.ErrNotExist) {
		return nil // it never came so far
	}
	if err != nil {
		return err
	}
	rt, err := engine.New(ctx, engine.Options{Network: network, Logger: slog.New(slog.DiscardHandler)})
	if openflow.CodeOf(err) == openflow.CodeUnavailable || openflow.CodeOf(err) == openflow.CodePermission {
		return nil // no daemon, so no containers
	}
	if err != nil {
		return err
	}
	return errors.Join(removeAll(ctx, rt), optional(rt.RemoveFirewall(ctx)), rt.RemoveNetwork(ctx), rt.Close())
}

// optional drops the error of a step that this machine does not offer.
func optional(err error) error {
	if code := openflow.CodeOf(err); code == openflow.CodePermission || code == openflow.CodeUnimplemented {
		return nil
	}
	return err
}

func removeAll(ctx context.Context, rt driver.Runtime) error {
	list, err := rt.List(ctx, nil)
	if err != nil {
		return err
	}
	for _, c := range list {
		if err := rt.Stop(ctx, c.Name, 0); err != nil {
			return err
		}
		if err := rt.Remove(ctx, c.Name); err != nil {
			return err
		}
	}
	return nil
}
