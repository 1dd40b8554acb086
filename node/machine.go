package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"openflow"
	"openflow/dialect/fateflow"
	"openflow/docker"
	"openflow/docker/engine"
	"openflow/runtime/driver"
	"openflow/runtime/process"
)

// machine is what runs containers for a site: in the node itself, or in a worker of its pool.
type machine struct {
	home     *home
	log      *slog.Logger
	runtime  driver.Runtime
	launcher *docker.Launcher
	warnings []string

	base        net.Listener // where containers find their node, or the way to it
	baseAddress docker.BaseLayer

	closers  []closer // in the order of starting
	upkeep   sync.WaitGroup
	closing  context.CancelFunc
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
	ctx context.Context, kind, binary, address string, grant func(context.Context, openflow.TaskRecord) (openflow.TaskGrant, error),
) (err error) {
	m.launcher = &docker.Launcher{
		Node: m.home.Node, Image: binary, Command: []string{"run"}, Grant: grant, MachineCPUs: machineCPUs(),
		Config: fateflow.ContainerConfig,
		Base:   func() docker.BaseLayer { return m.baseAddress },
	}
	if kind == RuntimeDocker {
		return m.openDocker(ctx, binary, address)
	}
	m.warnings = append(m.warnings, "the process runtime isolates nothing: tasks run as this user, with this machine's files and network")
	if m.runtime, err = process.New(m.home.path("tasks")); err != nil {
		return err
	}
	return m.bindBase(ctx, address, "127.0.0.1", "127.0.0.1")
}

// openDocker loads the image, makes the network, and listens on its gateway.
func (m *machine) openDocker(ctx context.Context, binary, address string) error {
	rt, err := engine.New(ctx, engine.Options{
		Network: networkName(m.home.Node), Owner: engine.OwnerOf(m.home.dir), Logger: m.log,
	})
	if err != nil {
		return err
	}
	m.runtime = rt
	m.onClose("docker client", func(context.Context) error { return rt.Close() })
	// Before the network is made: those of nodes that are gone may have used up what there is room for.
	if _, err := removeAbandoned(ctx, rt, m.log); err != nil {
		m.log.WarnContext(ctx, "what nodes have left that are gone was not removed", "err", err)
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

// finder finds the run that a container belongs to.
type finder func(context.Context, openflow.ExecutionID) (openflow.TaskRecord, error)

// orphans lists the containers of this machine whose run has ended that long ago, or is not known. What a run in progress
// owns is its workflow's.
func (m *machine) orphans(ctx context.Context, age time.Duration, find finder) ([]string, error) {
	containers, err := m.runtime.List(ctx, map[string]string{docker.LabelNode: m.home.Node})
	if err != nil {
		return nil, err
	}
	var names []string
	for _, c := range containers {
		t, err := find(ctx, openflow.ExecutionID(c.Labels[docker.LabelExecution]))
		switch {
		case openflow.CodeOf(err) == openflow.CodeNotFound:
		case err != nil:
			return nil, err
		case !t.PartyStatus.Terminal() || time.Since(t.EndTime) < age:
			continue // running, or its own removal is on the way
		}
		names = append(names, c.Name)
	}
	return names, nil
}

// sweep removes orphans.
func (m *machine) sweep(ctx context.Context, age time.Duration, find finder) error {
	names, err := m.orphans(ctx, age, find)
	if err != nil {
		return err
	}
	for _, name := range names {
		m.log.Info("removing a container that nothing needs", "container", name)
		if err := m.runtime.Stop(ctx, name, stopGrace); err != nil {
			return err
		}
		if err := m.runtime.Remove(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// trimEvery is how often logs are bounded where the runtime does not do that by itself.
const trimEvery = 10 * time.Second

// trimLogs keeps the output of programs that run from filling the disk, until ctx ends.
func (m *machine) trimLogs(ctx context.Context) {
	if rt, ok := m.runtime.(interface {
		TrimLogs(ctx context.Context) error
	}); ok {
		m.every(ctx, trimEvery, "logs of programs", rt.TrimLogs)
	}
}

// every runs do now and then every period, until ctx ends.
func (m *machine) every(ctx context.Context, period time.Duration, what string, do func(context.Context) error) {
	m.upkeep.Go(func() {
		t := time.NewTicker(period)
		defer t.Stop()
		for {
			if err := do(ctx); err != nil && ctx.Err() == nil {
				m.log.Error("upkeep failed; it is tried again", "what", what, "err", err)
			}
			select {
			case <-ctx.Done():
				return
			case <-t.C:
			}
		}
	})
}

// close ends upkeep, then everything in the reverse order of starting. Containers run on.
func (m *machine) close(ctx context.Context) error {
	m.once.Do(func() {
		if m.closing != nil {
			m.closing()
		}
		m.upkeep.Wait()
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

// hostName is what people call this machine.
func hostName() string {
	name, err := os.Hostname()
	if err != nil {
		return "" // the machine's ID must do
	}
	return name
}
