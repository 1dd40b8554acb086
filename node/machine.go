package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"openflow"
	"openflow/dialect/fateflow"
	"openflow/docker"
	"openflow/docker/engine"
	"openflow/node/hardware"
	"openflow/node/home"
	"openflow/node/vacate"
	"openflow/runtime/driver"
	"openflow/runtime/process"
	"openflow/site/upkeep"
)

// machine is what runs containers for a site: in the node itself, or in a worker of its pool.
type machine struct {
	home     *home.Home
	log      *slog.Logger
	runtime  driver.Runtime
	launcher *docker.Launcher
	warnings []string

	base        net.Listener // where containers find their node, or the way to it
	baseAddress docker.BaseLayer

	closers  []closer       // in the order of starting
	rounds   *upkeep.Rounds // nil: not begun
	closeErr error
	once     sync.Once
}

type closer struct {
	what string
	stop func(context.Context) error
}

func (m *machine) onClose(what string, stop func(context.Context) error) {
	m.closers = append(m.closers, closer{what, stop})
}

// open prepares the runtime, the algorithms' image and the listener for containers. address is where that listens; empty:
// chosen by the runtime, and kept in the home folder.
func (m *machine) open(
	ctx context.Context, kind, binary, address string, supply func(context.Context, openflow.TaskRecord) (openflow.TaskSupply, error),
) (err error) {
	m.launcher = &docker.Launcher{
		Node: m.home.Node, Image: binary, Command: []string{"run"}, Supply: supply, MachineCPUs: float64(hardware.CPUs()),
		Told: fateflow.Dialect{}.Container().Environment,
		Base: func() docker.BaseLayer { return m.baseAddress },
	}
	if kind == RuntimeDocker {
		return m.openDocker(ctx, binary, address)
	}
	m.warnings = append(m.warnings, "the process runtime isolates nothing: tasks run as this user, with this machine's files and network")
	if m.runtime, err = process.New(m.home.Path("tasks")); err != nil {
		return err
	}
	return m.bindBase(ctx, address, "127.0.0.1", "127.0.0.1")
}

// openDocker loads the image, makes the network, and listens on its gateway.
func (m *machine) openDocker(ctx context.Context, binary, address string) error {
	rt, err := engine.New(ctx, engine.Options{
		Network: docker.NetworkName(m.home.Node), Owner: engine.OwnerOf(m.home.Dir), Logger: m.log,
	})
	if err != nil {
		return err
	}
	m.runtime = rt
	m.onClose("docker client", func(context.Context) error { return rt.Close() })
	// Before the network is made: those of nodes that are gone may have used up what there is room for.
	if _, err := vacate.Abandoned(ctx, rt, m.log); err != nil {
		m.log.WarnContext(ctx, "the remains of nodes that are gone were not removed", "err", err)
	}
	if m.launcher.Image, err = loadImage(ctx, rt, binary); err != nil {
		return err
	}
	gateway, err := rt.Gateway(ctx)
	if err != nil {
		return err
	}
	if err := m.bindBase(ctx, address, gateway.String(), engine.HostAlias); err != nil {
		return err
	}
	return m.confine(ctx, rt)
}

// orphans are what the runs of this machine have left, when they have ended that long ago.
func (m *machine) orphans(age time.Duration, find upkeep.Finder) upkeep.Orphans {
	return upkeep.Orphans{Runtime: m.runtime, Node: m.home.Node, Age: age, Find: find, Log: m.log}
}

// close ends upkeep, then everything in the reverse order of starting. Containers run on.
func (m *machine) close(ctx context.Context) error {
	m.once.Do(func() {
		if m.rounds != nil {
			m.rounds.End()
		}
		var errs []error
		for i := len(m.closers) - 1; i >= 0; i-- {
			if err := m.closers[i].stop(ctx); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", m.closers[i].what, err))
			}
		}
		m.closeErr = errors.Join(errs...)
	})
	return m.closeErr
}
