package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"

	"openflow"
	"openflow/activities"
	"openflow/dialect"
	"openflow/node/hardware"
	"openflow/runtime/driver"
	"openflow/runtime/launch"
	"openflow/server"
	"openflow/server/application"
	"openflow/site/doctor"
	"openflow/site/programs"
	"openflow/site/registry"
	"openflow/site/trust/supplies"
	"openflow/site/vetting"
	"openflow/telemetry/counting"
)

// openRuntime prepares what runs the tasks, and the listener that they find this node at.
func (n *Node) openRuntime(ctx context.Context) error {
	own, err := ownProgram(n.config.Components, n.config.Dialects)
	if err != nil {
		return err
	}
	device := n.config.Runtime.Traits().Device
	known := &programs.Programs{Machine: hardware.Name(), Device: device, BuiltIn: own, Find: n.rows.Provider, Trusted: n.config.Trusted}
	n.vetter = &vetting.Vetter{
		Policy: n.policy, Rows: n.rows, Temp: n.home.Dir,
		Layers: func(ctx context.Context, id string, each func(io.Reader) error) error {
			return known.Images.Layers(ctx, id, each)
		},
	}
	n.registry = &registry.Registry{
		Judge: n.vetter,
		Self:  n.config.Party, Rows: n.rows, Device: device, Speaks: n.config.Dialects.Spoken, Machine: known, ID: n.home.Node, Name: known.Machine,
		Tell: n.tellComponent,
	}
	err = n.machine.open(ctx, means{
		runtime: n.config.Runtime, owner: n.owner(), programs: known, dialects: n.config.Dialects, listen: n.config.Base, advertise: n.config.Advertise,
		supply: n.supplies().Issue, disk: n.config.Bounds.TaskDisk,
		unconfined: n.config.Unconfined || n.config.NoTasks, // without tasks there is nothing to confine
		residents:  n.config.Residents, serves: n.registry.Serves, changed: n.noteServing,
	})
	if err != nil {
		return err
	}
	if err := registry.Carry(ctx, n.rows, n.config.Log); err != nil {
		return err
	}
	if known.BuiltIn, err = registry.BuiltIn(ctx, known, n.rows, own); err != nil {
		return err
	}
	if err := n.takeOver(ctx); err != nil {
		return err
	}
	if err := n.registerFolder(ctx); err != nil {
		return err
	}
	if n.runtime.Able() && n.config.Residents.Most > 0 {
		n.registry.Residents = serving{n}
	}
	if err := n.stopped(ctx); err != nil {
		return err
	}
	n.launcher.Traced = n.traces.Environment
	if n.config.Runtime.Traits().Ahead {
		n.ahead = &activities.Ahead{Jobs: n.rows, Runtime: n.runtime, Launcher: n.launcher, Log: n.config.Log}
		n.onClose("containers made ahead", func(context.Context) error { n.ahead.Close(); return nil })
	}
	if err := n.checkPrograms(ctx); err != nil {
		return err
	}
	if err := n.checkComponents(ctx); err != nil {
		return err
	}
	n.config.Limits = limited(n.config.Limits, n.has)
	n.counts = &counting.Site{Capacity: n.config.Limits.Capacity(), Rows: n.rows, Messages: n.messages, Objects: n.objects, Home: n.home}
	return nil
}

// ownProgram is the program of the built-in provider. Its containers speak the usual dialect.
func ownProgram(path string, known dialect.All) (openflow.ProviderRecord, error) {
	speaks, err := known.Spoken("")
	if err != nil {
		return openflow.ProviderRecord{}, err
	}
	return programs.Own(path, speaks)
}

// takeOver has this node look after components that machines have found to fail which are not there any more, such as this one
// with another home.
func (n *Node) takeOver(ctx context.Context) error {
	if n.config.NoTasks {
		return nil // it looks after none
	}
	alive, err := n.pool().Workers(ctx, "")
	if err != nil {
		return err
	}
	ids := make([]string, len(alive))
	for i, w := range alive {
		ids[i] = w.Machine
	}
	return n.registry.TakeOver(ctx, ids)
}

// registerFolder registers what is in the site's folder of components. What cannot be registered is a warning: the node starts.
func (n *Node) registerFolder(ctx context.Context) error {
	if n.config.ComponentsFolder == "" {
		return nil
	}
	made, wrong, err := n.registry.RegisterFolder(ctx, n.config.ComponentsFolder)
	n.warnings = append(n.warnings, wrong...)
	for _, p := range made {
		err = errors.Join(err, n.rows.AppendAudit(ctx, openflow.AuditEvent{
			Actor: registry.FolderActor, Action: "provider/register", Subject: application.ProviderSubject(p),
		}))
	}
	return err
}

// checkPrograms warns of registered programs that are not what they were. Runs of theirs are refused; the node starts.
func (n *Node) checkPrograms(ctx context.Context) error {
	list, err := n.rows.Providers(ctx)
	for _, p := range list {
		if p.Kind == openflow.ProviderBuiltIn {
			continue // each server has its own
		}
		if p.Kind == openflow.ProviderImage {
			continue // it is looked after while the node runs, and its components tell
		}
		if wrong := n.programs.Verify(ctx, p); wrong != nil {
			n.warnings = append(n.warnings, wrong.Error())
		} else if n.programs.Exposed(p) {
			n.warnings = append(n.warnings, fmt.Sprintf("programs of provider %s run as the node's user: this runtime isolates nothing, and --trust-provider names it", p.Ref()))
		}
	}
	return err
}

// stockTime bounds what a start waits for, until it says which components have failed: their runtime may be slow.
const stockTime = 5 * time.Second

// checkComponents looks once whether components can run here, as the node does while it runs, and warns of those that cannot.
func (n *Node) checkComponents(ctx context.Context) error {
	if !n.config.NoTasks {
		limited, cancel := context.WithTimeout(ctx, stockTime)
		defer cancel()
		if err := n.registry.Probe(limited); err != nil && limited.Err() == nil {
			return err
		}
	}
	failed, err := n.registry.Failed(ctx)
	for _, f := range doctor.Failed(failed) {
		n.warnings = append(n.warnings, f.Check+": "+f.Detail+" ("+f.Remedy+")")
	}
	return err
}

// anywhere tells that every replica of this node may follow its containers.
func (n *Node) anywhere() bool { return n.config.Runtime.Traits().Followers == driver.AnyReplica }

// owner is whose the containers of this node are: its home's or, where any replica follows them, all replicas'.
func (n *Node) owner() string {
	if n.anywhere() {
		return n.secrets.Name()
	}
	return n.home.Node
}

// bindBase listens for containers, and tells the port. The port is kept in the home folder, because containers that
// outlive this process will look for the next one there.
func (m *machine) bindBase(ctx context.Context, with means) (port int, err error) {
	gateway, err := m.runtime.Gateway(ctx)
	if err != nil {
		return 0, err
	}
	found, listen, err := wayOf(gateway, with)
	if err != nil {
		return 0, err
	}
	if m.base, err = m.listenBase(ctx, listen, gateway.Listen); err != nil {
		return 0, err
	}
	m.onClose("base listener", ignoreClosed(m.base))
	if with.advertise != "" && !openflow.ThisMachine(found.Host) {
		m.warnings = append(m.warnings, "containers on other machines call this one without TLS at "+with.advertise+
			": their credentials and tables can be read on the way, so keep that a network of their own")
	}
	_, text, err := net.SplitHostPort(m.base.Addr().String())
	if err == nil {
		port, err = strconv.Atoi(text)
	}
	if err != nil {
		return 0, openflow.Errorf(openflow.CodeInternal, "address of the base layer: %w", err)
	}
	if found.Port == 0 {
		found.Port = port
	}
	m.baseAddress = found
	if m.home.BasePort == port {
		return port, nil
	}
	m.home.BasePort = port
	return port, m.home.Save()
}

// wayOf is where containers find the base layer, and where that listens, as far as both are known before it does. The
// way is the runtime's gateway or, without one, the address that the operator gives.
func wayOf(gateway driver.Gateway, with means) (found launch.BaseLayer, listen string, err error) {
	kind := with.runtime.Kind()
	if gateway != (driver.Gateway{}) {
		if with.advertise != "" {
			return found, "", openflow.Errorf(openflow.CodeInvalid, "containers of the %s runtime find the base layer by themselves, not at %q", kind, with.advertise).
				WithHint("leave --advertise-base out")
		}
		return launch.BaseLayer{Host: gateway.Host}, with.listen, nil
	}
	if with.advertise == "" {
		return found, "", openflow.Errorf(openflow.CodeInvalid, "containers of the %s runtime do not find this machine by themselves", kind).
			WithHint("give the address at which they reach its base layer: --advertise-base HOST:PORT")
	}
	host, text, err := net.SplitHostPort(with.advertise)
	port, err2 := strconv.ParseUint(text, 10, 16)
	if err != nil || err2 != nil || host == "" || port == 0 {
		return found, "", openflow.Errorf(openflow.CodeInvalid, "%q is not the address of a base layer", with.advertise).
			WithHint("--advertise-base wants HOST:PORT")
	}
	if listen = with.listen; listen == "" {
		listen = net.JoinHostPort("", text)
	}
	return launch.BaseLayer{Host: host, Port: int(port)}, listen, nil
}

// listenBase listens where the operator or the home folder says, and in a new home on a port that is free.
func (m *machine) listenBase(ctx context.Context, address, host string) (net.Listener, error) {
	const what = "the base layer"
	if address != "" {
		return server.Listen(ctx, what, address)
	}
	if m.home.BasePort != 0 {
		return server.Listen(ctx, what, net.JoinHostPort(host, strconv.Itoa(m.home.BasePort)))
	}
	return server.ListenAnywhere(ctx, what, host)
}

// grants says what each run is given.
func (n *Node) supplies() supplies.Issuer {
	return supplies.Issuer{Jobs: n.rows, Secrets: n.secrets, Policy: n.policy.Policy, Approve: n.vetter.Approve, Defaults: n.registry.Given}
}
