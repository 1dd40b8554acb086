// Package vacate removes what a node or worker has on a machine outside of its home folder, also of those that are gone.
package vacate

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"openflow"
	"openflow/docker"
	"openflow/docker/engine"
	"openflow/node/home"
	"openflow/runtime/driver"
	"openflow/runtime/process"
)

// Found is what Node has found and removed.
type Found struct {
	Programs   int    // of the process runtime
	Containers int    // of Docker
	Network    string // of Docker, with its firewall rules; empty: no node has ever started there
	Networked  bool   // the network was there
	Docker     error  // why the daemon could not be asked; nil: it was
}

// Node removes what the node, or worker, with that home has on this machine outside of it: programs, containers, its
// network and firewall rules. What ran is stopped, and its jobs fail. The home itself stays. A folder in which no node
// has ever started has nothing. Errors: CodeConflict (a node runs on it).
func Node(ctx context.Context, dir string) (Found, error) {
	id, err := home.ReadIdentity(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return Found{}, nil
	}
	if err != nil {
		return Found{}, err
	}
	lock, err := home.Lock(dir)
	if err != nil {
		return Found{}, err
	}
	defer func() { _ = lock.Close() }() // nothing was written
	v := Found{Network: docker.NetworkName(id.Node)}
	if v.Programs, err = endPrograms(ctx, filepath.Join(dir, "tasks")); err != nil {
		return v, err
	}
	rt, err := engine.New(ctx, engine.Options{Network: v.Network})
	if code := openflow.CodeOf(err); err != nil && (code == openflow.CodeUnavailable || code == openflow.CodePermission) {
		v.Docker = err
		return v, nil
	}
	if err != nil {
		return v, err
	}
	containers, err := rt.List(ctx, nil)
	v.Containers = len(containers)
	if err == nil {
		v.Networked, err = rt.HasNetwork(ctx, v.Network)
	}
	if err == nil {
		err = rt.Discard(ctx, v.Network, true)
	}
	return v, errors.Join(err, rt.Close())
}

// endPrograms ends and removes what the process runtime has in a folder.
func endPrograms(ctx context.Context, tasks string) (int, error) {
	if _, err := os.Stat(tasks); errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	rt, err := process.New(tasks)
	if err != nil {
		return 0, err
	}
	list, err := rt.List(ctx, nil)
	for _, c := range list {
		if err := endProgram(ctx, rt, c.Name); err != nil {
			return len(list), err
		}
	}
	return len(list), err
}

func endProgram(ctx context.Context, rt driver.Runtime, name string) error {
	if err := rt.Stop(ctx, name, 0); err != nil {
		return err
	}
	return rt.Remove(ctx, name)
}

// Purge removes a home folder that Node has been called for, with its keys, tables, models and records, for good.
// Errors: CodeConflict (a node runs on it), CodeInvalid (it is no home).
func Purge(dir string) error {
	for _, file := range []string{"home.json", "node.key"} { // one of the two is in every home
		if _, err := os.Stat(filepath.Join(dir, file)); err == nil {
			lock, err := home.Lock(dir)
			if err != nil {
				return err
			}
			defer func() { _ = lock.Close() }() // the file goes with the folder
			if err := os.RemoveAll(dir); err != nil {
				return openflow.Errorf(openflow.CodeInternal, "home %s is not removed as a whole: %w", dir, err)
			}
			return nil
		}
	}
	return openflow.Errorf(openflow.CodeInvalid, "%s is not the home of a node", dir).WithHint("name it with --home")
}

// settledFor is how long a container of a node that is gone must have ended before it goes too: somebody may look at it.
const settledFor = time.Hour

// gone tells whether the node of a network is gone for good: nothing of it runs, and its home is no more. It is not
// told of a node whose home this process cannot see.
func gone(n engine.Network, here engine.Owner, served func(engine.Network) bool, now time.Time) bool {
	if n.Owner.Home == "" || n.Owner.Host != here.Host || n.Running > 0 || n.Containers > 0 && now.Sub(n.Ended) < settledFor {
		return false
	}
	id, err := home.ReadIdentity(n.Owner.Home)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil || docker.NetworkName(id.Node) == n.Name: // unreadable, or its home still
		return false
	}
	return !served(n)
}

// Networks lists the networks on a daemon whose nodes are gone.
func Networks(ctx context.Context, rt *engine.Runtime) ([]engine.Network, error) {
	list, err := rt.Networks(ctx)
	if err != nil {
		return nil, err
	}
	here := engine.OwnerOf("")
	var names []engine.Network
	for _, n := range list {
		if gone(n, here, func(n engine.Network) bool { return engine.Served(n.Gateway) }, time.Now()) {
			names = append(names, n)
		}
	}
	return names, nil
}

// Gone does for the nodes of this machine that are gone what Node does for one whose home is still there.
// It does so as far as the Docker daemon knows of them, and returns the names of their networks. Errors:
// CodeUnavailable (no daemon answers).
func Gone(ctx context.Context, log *slog.Logger) ([]string, error) {
	rt, err := engine.New(ctx, engine.Options{})
	if err != nil {
		return nil, err
	}
	names, err := Abandoned(ctx, rt, log)
	return names, errors.Join(err, rt.Close())
}

// Abandoned removes the networks, rules and ended containers of nodes whose home is no more on this machine, and
// tells of which. What runs, and what belongs to a node whose home cannot be seen from here, stays.
func Abandoned(ctx context.Context, rt *engine.Runtime, log *slog.Logger) ([]string, error) {
	list, err := Networks(ctx, rt)
	var names []string
	for _, n := range list {
		if e := rt.Discard(ctx, n.Name, false); e != nil {
			err = errors.Join(err, e)
			continue
		}
		log.InfoContext(ctx, "removed the container network of a node that is gone", "network", n.Name, "home", n.Owner.Home)
		names = append(names, n.Name)
	}
	return names, err
}
