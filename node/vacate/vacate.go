// Package vacate removes what a node or worker has on a machine outside of its home folder, also of those that are gone.
package vacate

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"openflow"
	"openflow/node/home"
	"openflow/runtime/driver"
)

// Found is what Node has found and removed.
type Found struct {
	Started bool     // a node has started on that home
	Removed []string // a few words each
	Unasked error    // runtimes that could not be asked, and why; nil: all were
}

// Node removes what the node, or worker, with that home has on this machine outside of it, in any of these runtimes:
// programs, containers, networks, firewall rules. What ran is stopped, and its jobs fail. The home itself stays. A folder
// in which no node has ever started has nothing. Errors: CodeConflict (a node runs on it).
func Node(ctx context.Context, dir string, runtimes driver.Openers) (Found, error) {
	o, err := options(dir)
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
	v := Found{Started: true}
	for _, runtime := range runtimes {
		removed, err := runtime.Vacate(ctx, o)
		v.Removed = append(v.Removed, removed...)
		if code := openflow.CodeOf(err); err != nil && (code == openflow.CodeUnavailable || code == openflow.CodePermission) {
			v.Unasked = errors.Join(v.Unasked, fmt.Errorf("%s: %w", runtime.Kind(), err))
			continue
		}
		if err != nil {
			return v, err
		}
	}
	return v, nil
}

func options(dir string) (driver.Options, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return driver.Options{}, err
	}
	node, err := home.NodeOf(dir)
	return driver.Options{Home: dir, Node: node, Identity: home.NodeOf, Log: slog.New(slog.DiscardHandler)}, err
}

// Gone does for the nodes of this machine that are gone what Node does for one whose home is still there. It does so as
// far as the runtimes know of them, and tells what it removed. Errors: CodeUnavailable (a runtime could not be asked).
func Gone(ctx context.Context, runtimes driver.Openers) (removed []string, err error) {
	for _, runtime := range runtimes {
		list, e := runtime.VacateGone(ctx, driver.Options{Identity: home.NodeOf, Log: slog.New(slog.DiscardHandler)})
		removed, err = append(removed, list...), errors.Join(err, e)
	}
	return removed, err
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
