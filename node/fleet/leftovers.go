package fleet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"openflow"
	"openflow/node/vacate"
	"openflow/runtime/driver"
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
		if _, err := vacate.Node(ctx, n.Home, driver.Openers{f.options.Runtime}); err != nil {
			return openflow.AtParty(n.Party, err)
		}
	}
	return nil
}
