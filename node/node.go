package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/temporalproto"
	sdkclient "go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	sdkworker "go.temporal.io/sdk/worker"

	"openflow"
	"openflow/activities"
	"openflow/dialect"
	"openflow/dialect/peer"
	"openflow/server"
	"openflow/server/application"
	"openflow/server/base"
	"openflow/server/interconnection"
	"openflow/site/initiator"
	"openflow/site/partner"
	"openflow/site/scheduler"
	"openflow/site/trust"
	"openflow/store/catalogue"
	"openflow/store/events"
	"openflow/store/messages"
	"openflow/store/objects"
	"openflow/telemetry/metrics"
	"openflow/telemetry/traces"
	"openflow/temporal/embedded"
	"openflow/worker"
	"openflow/workflows/starter"
)

// Queue is the task queue of an embedded node's own worker.
const Queue = "openflow"

// uiPath is where the Temporal UI is mounted.
const uiPath = "/temporal"

// Node is a running site. Close it in the end.
type Node struct {
	machine
	config    Config
	key       trust.Key
	token     string
	secrets   trust.Credentials
	policy    openflow.Policy
	rows      *catalogue.Catalogue
	objects   objects.Store
	messages  messages.Store
	events    events.Store
	catalog   components
	queue     *partner.Queue
	watch     *partner.Watch
	farewell  farewell
	unheard   *unheard
	temporal  *embedded.Server // nil: a cluster that runs elsewhere
	namespace string           // in Temporal
	ui        http.Handler     // of Temporal
	client    sdkclient.Client
	worker    sdkworker.Worker
	directory *directory
	metrics   *metrics.Metrics
	traces    *traces.Traces
	bytes     atomic.Int64 // of objects, when they were last counted
	started   time.Time
	ready     atomic.Bool

	application net.Listener
	partners    net.Listener // nil when the application's listener serves them

	workers     net.Listener // for the workers of the pool; nil: there are none
	workerToken trust.WorkerToken
	taking      *worker.Machine     // this node as a machine of its own pool; nil: it is none
	running     *activities.Machine // what it runs so
}

// Start runs a node until Close. It fails before doing harm: locks, ports, versions and space are checked first.
// ctx bounds the start, not the node's life.
func Start(ctx context.Context, c Config) (*Node, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, err
	}
	n := &Node{machine: machine{log: c.Log}, config: c, started: time.Now()}
	for _, step := range []func(context.Context) error{
		n.openHome, n.bind, n.openTelemetry, n.openStores, n.openRuntime, n.openTemporal, n.serve, n.register, n.startWorker, n.startUpkeep,
	} {
		if err := step(ctx); err != nil {
			stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
			defer cancel()
			return nil, errors.Join(err, n.Close(stop))
		}
	}
	n.ready.Store(true)
	return n, nil
}

func (n *Node) openHome(context.Context) error {
	h, err := openHome(n.config.Home, n.config.Party)
	if err != nil {
		return err
	}
	n.home = h
	n.onClose("home", func(context.Context) error { return h.Close() })
	if n.policy, _, err = n.readPolicy(); err != nil {
		return err
	}
	if n.key, err = trust.LoadOrCreateKey(n.secretsDir()); err != nil {
		return err
	}
	if n.secrets, err = trust.LoadOrCreateCredentials(n.secretsDir()); err != nil {
		return err
	}
	if n.config.Token {
		n.token, err = trust.LoadOrCreateToken(n.secretsDir())
	}
	return err
}

// bind takes the ports that do not depend on the runtime.
func (n *Node) bind(ctx context.Context) error {
	var err error
	if n.application, err = server.Listen(ctx, "the application layer", n.config.Listen); err != nil {
		return err
	}
	n.onClose("application listener", ignoreClosed(n.application))
	if err := n.bindWorkers(ctx); err != nil {
		return err
	}
	if n.config.Interconnection == "" {
		return nil
	}
	if n.partners, err = server.Listen(ctx, "the interconnection layer", n.config.Interconnection); err != nil {
		return err
	}
	n.onClose("interconnection listener", ignoreClosed(n.partners))
	return nil
}

// ignoreClosed closes a listener that a server may have closed before.
func ignoreClosed(l net.Listener) func(context.Context) error {
	return func(context.Context) error {
		if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil
	}
}

// identity tells this process from every earlier one of this node.
func (n *Node) identity() string {
	return fmt.Sprintf("%s%d-%d", n.kin(), os.Getpid(), n.started.UnixNano())
}

// kin begins the identity of every process of this node.
func (n *Node) kin() string { return fmt.Sprintf("node-%s-", n.config.Party) }

// quiet keeps the SDK's warnings about retried activities, which say nothing that the job does not say, out of the log.
func quiet(log *slog.Logger) *slog.Logger {
	if log.Enabled(context.Background(), slog.LevelDebug) { // no request: this is asked once, at the start
		return log
	}
	return slog.New(errorsOnly{log.Handler()})
}

type errorsOnly struct{ slog.Handler }

// Handle implements slog.Handler. That an activity has failed is told by what it was for, and at a stop it means nothing.
func (h errorsOnly) Handle(ctx context.Context, r slog.Record) error {
	if r.Message == "Activity error." {
		return nil
	}
	return h.Handler.Handle(ctx, r)
}

// Enabled implements slog.Handler.
func (h errorsOnly) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelError && h.Handler.Enabled(ctx, l)
}

// WithAttrs implements slog.Handler.
func (h errorsOnly) WithAttrs(a []slog.Attr) slog.Handler { return errorsOnly{h.Handler.WithAttrs(a)} }

// WithGroup implements slog.Handler.
func (h errorsOnly) WithGroup(name string) slog.Handler { return errorsOnly{h.Handler.WithGroup(name)} }

// maxMessage bounds requests that carry a message: the largest payload, base64 twice, and what is around it.
const maxMessage = messages.DefaultMessageBytes*16/9 + 1<<20

// services are this node in its roles.
type services struct {
	jobs      *initiator.Service
	scheduler *scheduler.Service
	partner   *partner.Service
	newID     func() openflow.JobID
}

// connect builds the services, the directory through which they reach the other nodes and each other, and the queue of
// the jobs that wait here.
func (n *Node) connect() services {
	engine := &starter.Engine{Client: n.client, Queue: Queue}
	ids := initiator.NewIDs(time.Now)
	part := &partner.Service{
		Self: n.config.Party, Store: n.changes(), Engine: engine, Sessions: n.messages, Components: n.catalog,
		Limits: n.config.Limits, Policy: n.policy, GrantAll: n.config.GrantAll, Pool: n.pool(), Log: n.config.Log,
	}
	sched := &scheduler.Service{Self: n.config.Party, Store: n.rows, Engine: engine, Timing: n.config.Timing, NewID: ids.Next}
	dir := &directory{
		self: n.config.Party, sites: n.rows, signer: signer{trust.Signer{Party: n.config.Party, Key: n.key}},
		http: peer.NewHTTP(), partner: part, scheduler: sched,
	}
	n.watch = partner.NewWatch(n.config.Party, n.changes(), dir, n.config.Log)
	dir.called = func(peer openflow.PartyID, took time.Duration, err error) {
		n.metrics.PeerCalled(peer, took, err)
		n.watch.Called(peer, err)
	}
	n.directory = dir
	dir.http.Transport = n.traces.Transport(dir.http.Transport)
	n.queue = partner.NewQueue(n.config.Party, n.rows, dir, n.config.Limits, n.config.Log)
	part.Freed = n.queue.Freed
	jobs := &initiator.Service{Self: n.config.Party, Ends: part, Rows: n.rows, Components: n.catalog, Directory: dir, NewID: ids.Next}
	n.farewell = farewell{n.config.Party, n.rows, engine, part, dir, n.config.Log}
	n.unheard = &unheard{self: n.config.Party, rows: n.rows, directory: dir, partner: part, log: n.config.Log, now: time.Now}
	return services{jobs, sched, part, ids.Next}
}

// serve builds the worker and the layers of the API on the services, and starts the listeners.
func (n *Node) serve(ctx context.Context) error {
	s, dir := n.connect(), n.directory
	if err := n.prepareWorker(ctx, dir); err != nil {
		return err
	}
	inter := &interconnection.API{
		Dialects: dialects,
		Node: dialect.Node{
			Verifier: trust.Verifier{Self: n.config.Party, Keys: keys{n.rows}, Nonces: n.messages},
			Signer:   trust.Signer{Party: n.config.Party, Key: n.key},
			Partner:  s.partner, Scheduler: s.scheduler, Prober: dir, Version: n.config.Version, MaxBody: maxMessage,
			Traced: n.traces.Continue, Log: n.config.Log,
		},
		Transport: &interconnection.Transport{
			Self: n.config.Party, Store: n.messages, Sessions: &senders{self: n.config.Party, tasks: n.rows, known: map[string][]openflow.Party{}},
			MaxBody: maxMessage, Log: n.config.Log,
		},
	}
	south := &base.API{
		Policy: n.policy, Store: n.rows, Objects: n.objects, Credentials: n.secrets, Traced: n.traces.Continue, Log: n.config.Log,
		Transport: &base.Transport{Self: n.config.Party, Store: n.messages, Peers: dir, MaxBody: maxMessage, Log: n.config.Log},
	}
	north := n.north(s)
	if n.partners == nil {
		north = append(north, n.counted("interconnection", inter))
	} else {
		n.listen("interconnection", brief, n.partners, server.Health{Ready: n.Ready}, n.counted("interconnection", inter))
	}
	n.listen("application", patient, n.application, north...)
	n.listen("base", brief, n.base, n.counted("base", south))
	if err := n.serveWorkers(south); err != nil {
		return err
	}
	// Before the servers, which wait for the streams that it ends.
	n.onClose("streams of events", n.closeEvents)
	return nil
}

// north is what users reach: the application layer, metrics, the UI of Temporal and profiles.
func (n *Node) north(s services) []server.Layer {
	app := &application.API{
		Jobs: s.jobs, Catalogue: n.rows, Objects: n.objects, Sites: sites{n.config.Party, n.rows, n.directory, n.farewell}, Logs: logs{n.objects, n.runtime},
		Events: n.events, About: n.about, Examine: n.Examine, Space: n.home.checkSpace, Uploads: n.home.path("uploads"), NewID: s.newID,
		Components: func() []string { return slices.Sorted(maps.Keys(n.catalog.described)) },
		Policy:     n.sitePolicy, Log: n.config.Log,
	}
	access := application.Access{Token: n.token, Same: trust.SameToken, Log: n.config.Log}
	return []server.Layer{
		server.Health{Ready: n.Ready},
		n.counted("application", server.Guarded{Layer: server.Guarded{Layer: app, Guard: n.traces.Begin}, Guard: access.Middleware}),
		server.Guarded{Layer: server.Mount{Prefix: "/metrics", Handler: n.metrics.Handler(n.config.Log)}, Guard: access.Plain},
		server.Guarded{Layer: server.Mount{Prefix: uiPath, Handler: n.ui}, Guard: access.Plain},
		server.Guarded{Layer: server.Profiles{}, Guard: access.Plain},
	}
}

// How long requests may take to end at a stop. Containers, workers and partners repeat what is broken off, and wait for
// messages and tasks for minutes; users would have to begin their upload again.
const (
	brief   = time.Second
	patient = 8 * time.Second
)

func within(s *server.Server, patience time.Duration) func(context.Context) error {
	return func(ctx context.Context) error { return s.Close(ctx, patience) }
}

func (n *Node) listen(what string, patience time.Duration, l net.Listener, layers ...server.Layer) {
	s := server.Serve(l, server.Handler(n.config.Log, layers...), n.config.Log)
	n.onClose(what+" server", within(s, patience))
}

func (n *Node) prepareWorker(ctx context.Context, dir *directory) error {
	worker.Limit()
	running := activities.Running{
		Self: n.config.Party, Tasks: n.runs(), Runtime: n.runtime, Launcher: n.launcher, Logs: logs{n.objects, n.runtime},
		Directory: dir, Log: n.config.Log,
	}
	n.worker = worker.New(n.client, worker.Options{
		Queue: Queue, Identity: n.identity(), Interceptors: []interceptor.WorkerInterceptor{n.metrics.Activities()},
	},
		&activities.Scheduling{Self: n.config.Party, Directory: dir, Jobs: measuredJobs{n.rows, n.metrics}},
		&activities.Placing{Tasks: n.changes(), Workers: n.pool()}, &running)
	return n.joinPool(ctx, running)
}

// register writes the peers given at the start into the catalogue.
func (n *Node) register(ctx context.Context) error {
	s := sites{self: n.config.Party, catalogue: n.rows}
	for _, p := range n.config.Peers {
		if err := s.AddSite(ctx, openflow.SiteRecord{Party: p.Party, URL: p.URL, Keys: []string{p.Key}}); err != nil {
			return err
		}
	}
	return nil
}

// startWorker frees what the workers of earlier processes of this node held, and begins to work. The lock on the home
// folder proves that none of them is alive; of workers on other machines, such as other replicas, it says nothing.
func (n *Node) startWorker(ctx context.Context) error {
	if n.temporal != nil {
		if _, err := n.temporal.ReleaseOrphans(ctx, n.kin(), n.identity()); err != nil {
			return err
		}
	}
	if err := n.worker.Start(); err != nil {
		return openflow.Errorf(openflow.CodeInternal, "worker: %w", err)
	}
	n.onClose("worker", func(context.Context) error { n.worker.Stop(); return nil })
	if n.taking == nil {
		return nil
	}
	if err := n.taking.Start(); err != nil {
		return openflow.Errorf(openflow.CodeInternal, "worker of the pool: %w", err)
	}
	n.onClose("worker of the pool", func(context.Context) error { n.taking.Stop(); return nil })
	return nil
}

// Ready is nil once the node can take a job.
func (n *Node) Ready() error {
	if !n.ready.Load() {
		return openflow.Errorf(openflow.CodeUnavailable, "the node is starting or stopping")
	}
	return n.home.checkSpace()
}

// Failed delivers an error when the node cannot go on and should be closed.
func (n *Node) Failed() <-chan error {
	if n.temporal == nil {
		return nil
	}
	return n.temporal.Failed()
}

// URL is the address of the application layer.
func (n *Node) URL() string { return address(n.application.Addr().String()) }

// InterconnectionURL is the address that peers use.
func (n *Node) InterconnectionURL() string {
	if n.partners != nil {
		return address(n.partners.Addr().String())
	}
	return n.URL()
}

// BaseURL is the address that containers use.
func (n *Node) BaseURL() string {
	return address(net.JoinHostPort(n.baseAddress.Host, strconv.Itoa(n.baseAddress.Port)))
}

// UIURL is the address of the Temporal UI, empty without.
func (n *Node) UIURL() string {
	if !n.config.UI {
		return ""
	}
	return n.URL() + uiPath
}

// PublicKey is this node's key as peers need it.
func (n *Node) PublicKey() string { return n.key.Public().String() }

// Party is whose node this is.
func (n *Node) Party() openflow.PartyID { return n.config.Party }

// Resources is what jobs share at this site.
func (n *Node) Resources() openflow.Resources { return n.config.Limits.Pool() }

// Home is the node's folder.
func (n *Node) Home() string { return n.home.dir }

// Warnings lists what an operator should know about how this node runs.
func (n *Node) Warnings() []string { return n.warnings }

func (n *Node) about() application.About {
	host, port, err := net.SplitHostPort(n.application.Addr().String())
	if err != nil {
		host = n.application.Addr().String()
	}
	number, _ := strconv.Atoi(port) // of an address that the kernel has made
	durability := "survives loss of power"
	if n.config.Durability == DurableProcess {
		durability = "survives the end of the process; loss of power may cost the last seconds"
	}
	return application.About{
		Party: n.config.Party, Version: n.config.Version, Runtime: n.runtime.Kind(), TemporalUI: n.UIURL(), PublicKey: n.PublicKey(),
		Durability: durability, Started: n.started, Host: host, Port: number, Warnings: n.warnings,
	}
}

// Close stops taking requests, finishes those that run, and leaves the containers running for the next process to adopt.
func (n *Node) Close(ctx context.Context) error {
	n.ready.Store(false)
	return n.machine.close(ctx)
}

func machineCPUs() float64 { return float64(runtime.NumCPU()) }

// executable checks that the components binary is there before a job needs it.
func executable(path string) (string, error) {
	abs, err := filepath.Abs(path)
	if err == nil {
		var info os.FileInfo
		if info, err = os.Stat(abs); err == nil && (info.IsDir() || info.Mode()&0o111 == 0) {
			err = errors.New("not an executable file")
		}
	}
	if err != nil {
		return "", openflow.Errorf(openflow.CodeInvalid, "the components binary %q cannot be used: %w", path, err).
			WithHint("build it with make build, or name it with --components")
	}
	return abs, nil
}

// History is the recorded history of a workflow of this node as JSON, for replay tests and for support. The workflow ID
// is a job's ID, or a run's: see workflows.TaskWorkflowID.
func (n *Node) History(ctx context.Context, workflowID string) ([]byte, error) {
	var h historypb.History
	events := n.client.GetWorkflowHistory(ctx, workflowID, "", false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		e, err := events.Next()
		if err != nil {
			return nil, openflow.Errorf(openflow.CodeNotFound, "history of workflow %s: %w", workflowID, err)
		}
		h.Events = append(h.Events, e)
	}
	b, err := temporalproto.CustomJSONMarshalOptions{Indent: " "}.Marshal(&h)
	if err != nil {
		return nil, openflow.Errorf(openflow.CodeInternal, "history of workflow %s: %w", workflowID, err)
	}
	return b, nil
}
