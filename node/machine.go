package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"openflow"
	"openflow/dialect"
	"openflow/node/hardware"
	"openflow/node/home"
	"openflow/runtime/driver"
	"openflow/runtime/launch"
	"openflow/runtime/resident"
	"openflow/sdk/httpclient"
	"openflow/site/programs"
	"openflow/site/upkeep"
)

// machine is what runs containers for a site: in the node itself, or in a worker of its pool.
type machine struct {
	home     *home.Home
	log      *slog.Logger
	runtime  *resident.Host
	has      openflow.Resources // what containers share
	launcher *launch.Launcher
	programs *programs.Programs
	warnings []string

	base        net.Listener // where containers find their node, or the way to it
	baseAddress launch.BaseLayer

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

// means are what a machine runs containers with.
type means struct {
	runtime   driver.Opener
	owner     string // whose the containers are
	programs  *programs.Programs
	dialects  dialect.All // that containers may speak
	listen    string      // address for containers; empty: the runtime's or, where it has none, the port of advertise everywhere
	advertise string      // address at which containers find that, where the runtime does not know; empty: it does
	supply    func(context.Context, openflow.TaskRecord) (openflow.TaskSupply, error)
	disk      int64 // bytes that a container may write
	residents launch.Residents
	serves    func(ctx context.Context, component string, of openflow.ProviderRef) bool          // see resident.Options
	changed   func(ctx context.Context, component string, of openflow.ProviderRef, serving bool) // likewise

	unconfined bool // see driver.Options
}

// open prepares the runtime, what it runs, and the listener for containers.
func (m *machine) open(ctx context.Context, with means) (err error) {
	opened, err := with.runtime.Open(ctx, driver.Options{
		Home: m.home.Dir, Node: with.owner, Identity: home.NodeOf, Unconfined: with.unconfined, Log: m.log,
	})
	if err != nil {
		return err
	}
	m.runtime, err = resident.Over(opened, resident.Options{
		Node: with.owner, Folder: filepath.Join(m.home.Dir, "resident"), Own: with.runtime.Traits().Followers == driver.AnyReplica,
		Serves: with.serves, Changed: with.changed, HTTP: calls, Log: m.log,
	})
	if err != nil {
		return errors.Join(err, opened.Close())
	}
	m.onClose("runtime", func(context.Context) error { return m.runtime.Close() })
	has, err := m.runtime.Resources(ctx)
	if err != nil {
		return err
	}
	m.has = orOfTheMachine(has)
	m.programs = with.programs
	m.programs.Bring, m.programs.Copies = m.runtime.Bring, filepath.Join(m.home.Dir, "programs")
	m.programs.Images, m.programs.Question, m.programs.Isolated = m.runtime, m.runtime.Ask, with.runtime.Traits().Isolates
	m.programs.Residents, _ = opened.(programs.Residents)
	if _, err := m.programs.Ready(ctx, m.programs.BuiltIn); err != nil {
		return err
	}
	m.launcher = &launch.Launcher{
		Node: with.owner, Program: m.programs.Of, Supply: with.supply, MachineCPUs: float64(m.has.Cores), DiskBytes: with.disk,
		Residents: with.residents,
		Told:      with.dialects.Told,
		Base:      func() launch.BaseLayer { return m.baseAddress },
	}
	port, err := m.bindBase(ctx, with)
	if err != nil {
		return err
	}
	warnings, err := m.runtime.Confine(ctx, port)
	m.warnings = append(m.warnings, warnings...)
	return err
}

// calls are those of a resident container.
func calls(meet func(context.Context, net.Conn) error) *http.Client {
	return httpclient.New(httpclient.Options{Meet: meet})
}

// orOfTheMachine is what a runtime has, which is this machine when it says nothing.
func orOfTheMachine(has openflow.Resources) openflow.Resources {
	if has != (openflow.Resources{}) {
		return has
	}
	return openflow.Resources{Cores: hardware.CPUs(), Memory: hardware.Memory(), GPUs: hardware.GPUs()}
}

// orphans are what the runs of this machine have left, when they have ended that long ago.
func (m *machine) orphans(age time.Duration, find upkeep.Finder) upkeep.Orphans {
	return upkeep.Orphans{Runtime: m.runtime, Node: m.launcher.Node, Age: age, Find: find, Log: m.log}
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
