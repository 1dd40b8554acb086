package node

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	sdkclient "go.temporal.io/sdk/client"
	sdklog "go.temporal.io/sdk/log"
	"google.golang.org/grpc"

	"openflow"
	"openflow/activities"
	"openflow/dialect"
	"openflow/node/hardware"
	"openflow/node/home"
	"openflow/runtime/driver"
	"openflow/runtime/launch"
	"openflow/sdk/httpclient"
	"openflow/server"
	"openflow/site/programs"
	"openflow/site/registry"
	"openflow/site/trust"
	"openflow/site/trust/certificates"
	"openflow/site/upkeep"
	"openflow/telemetry/traces"
	"openflow/temporal/cluster"
	"openflow/temporal/taskqueue"
	"openflow/worker/client"
	"openflow/worker/form"
	"openflow/worker/roster"
)

// WorkerConfig is everything that a worker of a site's pool is told from outside.
type WorkerConfig struct {
	Site        string // address of the node's listener for workers
	Token       string // the site's worker token, with the node's key behind it; see trust.HandOut
	Authorities string // PEM file of those whose certificates count besides that key; empty: nobody's
	Plain       bool   // the site may be called without TLS although it is on another machine
	Home        string
	Labels      []string
	Runtime     driver.Opener
	Dialects    dialect.All           // those of the node; nil: Dialects()
	Unconfined  bool                  // as of Config
	Components  string                // path of the built-in provider's program
	Trusted     []string              // providers whose programs run although the runtime isolates nothing
	Base        string                // listener for containers; empty: chosen by the runtime and kept in the home folder
	Advertise   string                // where containers find it, for runtimes that cannot tell
	Cores       int                   // that runs share; 0: what the runtime has
	Residents   launch.Residents      // zero value: the default
	TaskDisk    int64                 // bytes that one run may write; 0: DefaultTaskDisk
	Spans       sdktrace.SpanExporter // takes the traces; nil: there are none
	Version     string
	Log         *slog.Logger
}

func (c WorkerConfig) withDefaults() (WorkerConfig, *url.URL, error) {
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Home == "" {
		return c, nil, openflow.Errorf(openflow.CodeInvalid, "no home folder").WithHint("give one with --home")
	}
	if c.Token == "" {
		return c, nil, openflow.Errorf(openflow.CodeInvalid, "no worker token").
			WithHint("the node's operator prints it with: openflow site worker-token --home DIR")
	}
	if c.Runtime == nil {
		return c, nil, openflow.Errorf(openflow.CodeInvalid, "no runtime").WithHint("give one with --runtime")
	}
	if c.Dialects == nil {
		c.Dialects = Dialects()
	}
	if c.Residents == (launch.Residents{}) {
		c.Residents = launch.DefaultResidents()
	}
	if err := c.Residents.Check(); err != nil {
		return c, nil, err
	}
	if c.Cores < 0 {
		return c, nil, openflow.Errorf(openflow.CodeInvalid, "%d cores: a worker needs at least one", c.Cores)
	}
	for _, label := range c.Labels {
		if err := openflow.CheckIdentifier("label", label); err != nil {
			return c, nil, err
		}
	}
	site, err := client.CheckURL(c.Site)
	if err == nil && site.Scheme != "https" && !c.Plain && !openflow.ThisMachine(site.Hostname()) {
		err = openflow.Errorf(openflow.CodeInvalid, "the address of the site, %s, is without TLS: whoever is on the way gets the worker token", c.Site).
			WithHint("use https; or, where something else protects the way, add --plain")
	}
	return c, site, err
}

// known is how the node is known in TLS, and the token without what is there for that.
func (c WorkerConfig) known(site *url.URL) (token string, by *tls.Config, err error) {
	token, key, err := trust.TakeOver(c.Token)
	if err != nil {
		return "", nil, err
	}
	var also trust.Authorities
	if c.Authorities != "" {
		roots, err := certificates.OpenRoots(c.Authorities)
		if err != nil {
			return "", nil, openflow.Errorf(openflow.CodeOf(err), "--ca: %w", err)
		}
		also = roots.Pool
	}
	return token, trust.Joining(site.Hostname(), key, also), nil
}

// Worker is a machine of a site's pool: it runs containers for the node and follows them. It reaches the node's listener
// for workers, and nothing else of the site.
type Worker struct {
	machine
	config  WorkerConfig
	site    *url.URL
	token   string      // without the node's key
	known   *tls.Config // how the node is known
	node    *client.Client
	party   form.Site
	taken   *activities.Machine
	traces  *traces.Traces
	started time.Time
	away    bool // the node, when it was last told of this worker
	failed  chan error
}

// StartWorker runs a worker until Close. ctx bounds the start. Errors: CodeUnavailable (the node does not answer),
// CodeUnauthorized (the token is not its own), CodeConflict (the home folder is in use, or another party's).
func StartWorker(ctx context.Context, c WorkerConfig) (*Worker, error) {
	c, site, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	w := &Worker{machine: machine{log: c.Log}, config: c, site: site, started: time.Now(), failed: make(chan error, 1)}
	if w.token, w.known, err = c.known(site); err != nil {
		return nil, err
	}
	w.node = &client.Client{URL: site.String(), Token: w.token, HTTP: httpclient.New(httpclient.Options{TLS: w.known})}
	for _, step := range []func(context.Context) error{w.meet, w.openMachine, w.join, w.startUpkeep} {
		if err := step(ctx); err != nil {
			stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
			defer cancel()
			_ = w.close(stop) // the first error is the one to tell
			return nil, err
		}
	}
	return w, nil
}

// meet learns whose worker this is, and opens the home folder, which belongs to one party for good.
func (w *Worker) meet(ctx context.Context) (err error) {
	if w.party, err = w.node.Site(ctx); err != nil {
		return err
	}
	if w.home, err = home.Open(w.config.Home, w.party.PartyID); err != nil {
		return err
	}
	w.onClose("home", func(context.Context) error { return w.home.Close() })
	w.traces = traces.New(traces.Options{Party: w.party.PartyID, Version: w.config.Version, Exporter: w.config.Spans})
	w.onClose("traces", w.traces.Close)
	return nil
}

// openMachine prepares the runtime, and the way for containers to their node.
func (w *Worker) openMachine(ctx context.Context) error {
	own, err := ownProgram(w.config.Components, w.config.Dialects)
	if err != nil {
		return err
	}
	err = w.open(ctx, means{
		runtime: w.config.Runtime, owner: w.home.Node, programs: &programs.Programs{
			Machine: hardware.Name(), Device: w.config.Runtime.Traits().Device, BuiltIn: own, Find: w.node.Provider,
			Trusted: w.config.Trusted,
		}, dialects: w.config.Dialects, listen: w.config.Base, advertise: w.config.Advertise,
		supply: w.node.Supply, disk: cmp.Or(w.config.TaskDisk, DefaultTaskDisk), unconfined: w.config.Unconfined, residents: w.config.Residents,
		serves: w.serves, changed: w.serving,
	})
	if err != nil {
		return err
	}
	said, err := registry.Whose(ctx, w.programs, own)
	if err != nil {
		return err
	}
	w.programs.BuiltIn.Name, w.programs.BuiltIn.Version = said.Name, said.Version
	w.config.Cores = cmp.Or(w.config.Cores, w.has.Cores)
	w.launcher.Traced = w.traces.Environment
	forward := server.Forward{To: w.site, Prefixes: w.config.Dialects.ContainerPrefixes(), Transport: w.node.HTTP.Transport}
	s := server.Serve(w.base, server.Handler(w.log, forward), w.log, forForwarding())
	w.onClose("base server", within(s, brief))
	return nil
}

// serves asks the node whether a component may have resident containers. While that cannot be asked, it may.
func (w *Worker) serves(ctx context.Context, component string, of openflow.ProviderRef) bool {
	may, err := w.node.Serves(ctx, component, of)
	return may || err != nil
}

// serving tells the node that this machine has a resident container of a component that serves, or none any more.
func (w *Worker) serving(ctx context.Context, component string, of openflow.ProviderRef, serving bool) {
	if err := w.node.Serving(ctx, hardware.Name(), component, of, serving); err != nil && ctx.Err() == nil {
		w.log.DebugContext(ctx, "the node was not told of a resident container; it is told again", "component", component, "err", err)
	}
}

// join begins to follow what this machine has and to take what it can.
func (w *Worker) join(ctx context.Context) error {
	client, err := w.dial(ctx)
	if err != nil {
		return openflow.Errorf(openflow.CodeUnavailable, "Temporal behind %s does not answer: %w", w.site, err)
	}
	w.onClose("temporal client", func(context.Context) error { client.Close(); return nil })
	w.taken = &activities.Machine{ID: w.home.Node, Name: hardware.Name(), Cores: w.config.Cores}
	if err := w.hello(ctx); err != nil {
		return err
	}
	queues, err := taskqueue.NewMachine(client, taskqueue.MachineOptions{
		Identity: w.identity(), Labels: w.config.Labels, Fatal: w.fail,
	}, &activities.Running{
		Self: w.party.PartyID, Tasks: w.node, Runtime: w.runtime, Launcher: w.launcher, Logs: w.node, Machine: w.taken, Log: w.log,
	})
	if err == nil {
		err = queues.Start()
	}
	if err != nil {
		return openflow.Errorf(openflow.CodeUnavailable, "worker: %w", err)
	}
	w.onClose("queues", func(context.Context) error { queues.Stop(); return nil })
	w.onClose("news to the node", w.goodbye)
	return nil
}

// dial connects to the relay at the node's listener for workers.
func (w *Worker) dial(ctx context.Context) (sdkclient.Client, error) {
	address, secure := w.site.Host, w.site.Scheme == "https"
	if w.site.Port() == "" {
		address += map[bool]string{true: ":443", false: ":80"}[secure]
	}
	connection := sdkclient.ConnectionOptions{TLSDisabled: true}
	if secure {
		connection = sdkclient.ConnectionOptions{TLS: w.known.Clone()} // gRPC changes it
	}
	connection.DialOptions = []grpc.DialOption{cluster.WithDeadlines()}
	interceptors, err := w.traces.Interceptors()
	if err != nil {
		return nil, err
	}
	return sdkclient.DialContext(ctx, sdkclient.Options{
		Interceptors: interceptors,
		HostPort:     address, Namespace: w.party.Namespace, Identity: w.identity(), Logger: sdklog.NewStructuredLogger(cluster.Quiet(w.log)),
		Credentials:       sdkclient.NewAPIKeyStaticCredentials(w.token),
		ConnectionOptions: connection,
	})
}

// identity tells this process from every earlier one of this machine, and from those of the node. The node releases what its
// own processes have left, and nothing else.
func (w *Worker) identity() string {
	return fmt.Sprintf("worker-%s-%d-%d", w.home.Node, os.Getpid(), w.started.UnixNano())
}

func (w *Worker) fail(err error) {
	select {
	case w.failed <- openflow.Errorf(openflow.CodeUnauthorized, "the site refuses this worker: %w", err):
	default: // the first one is told
	}
}

func (w *Worker) startUpkeep(context.Context) error {
	w.rounds = upkeep.Begin(w.log)
	w.rounds.Every(roster.HelloEvery, "news to the node", w.report)
	vigil := home.Vigil{Home: w.home, Log: w.log, Now: time.Now}
	w.rounds.Every(home.ReserveEvery, "reserve", func(context.Context) error { return vigil.Look() })
	w.rounds.Every(upkeep.TrimEvery, "what programs write", w.runtime.Trim)
	w.rounds.Every(upkeep.Settled, "orphans", w.orphans(upkeep.Settled, w.node.TaskByRunID).Sweep)
	return nil
}

// hello tells the node that this worker is alive.
func (w *Worker) hello(ctx context.Context) error {
	return w.node.Register(ctx, w.row(w.taken.Cores))
}

// row is what this worker tells of itself.
func (w *Worker) row(cores int) openflow.WorkerRecord {
	return openflow.WorkerRecord{
		Machine: w.taken.ID, Name: w.taken.Name, Labels: w.config.Labels, Runtime: w.runtime.Kind(), Cores: cores,
		Version: w.config.Version, Running: w.taken.Running(), Started: w.started,
	}
}

// goodbye tells the node that this worker takes nothing more: it offers no cores. A node that is away sees that it is silent.
func (w *Worker) goodbye(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, brief)
	defer cancel()
	if err := w.node.Register(limited, w.row(0)); err != nil {
		w.log.Warn("the node was not told that this worker leaves", "err", err)
	}
	return nil
}

// report says hello, and complains once while the node is away.
func (w *Worker) report(ctx context.Context) error {
	err := w.hello(ctx)
	away := openflow.CodeOf(err) == openflow.CodeUnavailable
	if away && w.away {
		return nil
	}
	w.away = away
	return err
}

// Failed delivers an error when the worker cannot go on and should be closed.
func (w *Worker) Failed() <-chan error { return w.failed }

// Party is whose worker this is.
func (w *Worker) Party() openflow.PartyID { return w.party.PartyID }

// Machine is the ID of this machine, which its home folder keeps.
func (w *Worker) Machine() string { return w.home.Node }

// Home is the worker's folder.
func (w *Worker) Home() string { return w.home.Dir }

// Warnings lists what an operator should know about how this worker runs.
func (w *Worker) Warnings() []string { return w.warnings }

// Close stops taking runs and leaves the containers running for the next process to adopt.
func (w *Worker) Close(ctx context.Context) error { return w.close(ctx) }
