package node

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"sync/atomic"
	"time"

	sdkclient "go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	sdkworker "go.temporal.io/sdk/worker"

	"openflow"
	"openflow/activities"
	"openflow/dialect"
	"openflow/dialect/fateflow"
	"openflow/dialect/native"
	"openflow/node/home"
	"openflow/server"
	"openflow/server/application"
	"openflow/server/base"
	"openflow/server/interconnection"
	"openflow/server/reply"
	"openflow/site/apps"
	"openflow/site/authority"
	"openflow/site/doctor/examine"
	"openflow/site/excerpt"
	"openflow/site/initiator"
	"openflow/site/partner"
	"openflow/site/peers"
	"openflow/site/policy"
	"openflow/site/registry"
	"openflow/site/scheduler"
	"openflow/site/trust"
	"openflow/site/trust/certificates"
	"openflow/site/upkeep"
	"openflow/site/vetting"
	"openflow/store/catalogue"
	"openflow/store/events"
	"openflow/store/events/changes"
	"openflow/store/messages"
	"openflow/store/messages/sessions"
	"openflow/store/objects"
	"openflow/store/objects/logs"
	"openflow/telemetry/counting"
	"openflow/telemetry/metrics"
	"openflow/telemetry/traces"
	"openflow/temporal/embedded"
	"openflow/temporal/taskqueue"
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
	apps      apps.Register
	policy    openflow.SitePolicy
	vetter    *vetting.Vetter
	rows      *catalogue.Catalogue
	objects   objects.Store
	messages  messages.Store
	sessions  *sessions.Sessions
	events    events.Store
	registry  *registry.Registry
	queue     *partner.Queue
	watch     *partner.Watch
	farewell  peers.Farewell
	leases    *peers.Leases
	pace      *peers.Pace
	strays    *upkeep.Reconciler
	temporal  *embedded.Server // nil: a cluster that runs elsewhere
	namespace string           // in Temporal
	ui        http.Handler     // of Temporal
	client    sdkclient.Client
	polling   sdkworker.Worker
	directory *peers.Directory
	metrics   *metrics.Metrics
	traces    *traces.Traces
	counts    *counting.Site
	ahead     *activities.Ahead // nil: the runtime makes containers in no time
	started   time.Time
	ready     atomic.Bool

	application net.Listener
	partners    net.Listener
	plain       net.Listener // of partners without TLS; nil: there is none
	packets     net.Listener // of partners whose calls come in packets; nil: there is none
	lines       *peers.Lines

	users       shown               // to users; nil: they are called without TLS
	peersShown  shown               // to peers, of the operator's; nil: the node's key
	authorities *certificates.Roots // of peers; nil: none
	own         trust.Showing       // the node's key

	workers     net.Listener // for the workers of the pool; nil: there are none
	workerToken trust.WorkerToken
	taking      *taskqueue.Machine  // this node as a machine of its own pool; nil: it is none
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
		n.openHome, n.bind, n.openLines, n.openTelemetry, n.openStores, n.openRuntime, n.openTemporal, n.serve, n.startPolling, n.startUpkeep,
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
	h, err := home.Open(n.config.Home, n.config.Party)
	if err != nil {
		return err
	}
	n.home = h
	if h.Freed {
		n.warnings = append(n.warnings, "the disk of home "+h.Dir+" was full at the start: its reserve was given up, and nothing new is taken until there is room"+
			" (stop jobs, delete tables and models, or make the disk larger)")
	}
	n.onClose("home", func(context.Context) error { return h.Close() })
	if n.policy, _, err = n.policySource().Read(); err != nil {
		return err
	}
	if n.key, err = trust.LoadOrCreateKey(n.secretsDir()); err != nil {
		return err
	}
	if n.secrets, err = trust.LoadOrCreateCredentials(n.secretsDir()); err != nil {
		return err
	}
	if n.apps.Seal, err = n.secrets.Seal(); err != nil {
		return err
	}
	if n.config.Token {
		n.token, err = trust.LoadOrCreateToken(n.secretsDir())
	}
	return err
}

// bind takes the ports that do not depend on the runtime.
func (n *Node) bind(ctx context.Context) error {
	if err := n.bindUsers(ctx); err != nil {
		return err
	}
	if err := n.bindWorkers(ctx); err != nil {
		return err
	}
	var err error
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

// What peers may have under way at once, of calls and as much again of messages. Messages that wait for room take none of
// the calls, so a full queue keeps nobody from stopping a job.
const (
	peerCalls   = 128
	allMessages = 512 << 20 // two of the largest, or many usual ones
)

// maxMessage bounds requests that carry a message: the largest payload, base64 twice, and what is around it.
const maxMessage = messages.DefaultMessageBytes*16/9 + 1<<20

// Dialects are those that every node speaks, the one of peers of which nothing is said first. More are added behind them:
// Config.Dialects.
func Dialects() dialect.All { return dialect.All{native.Dialect{}, fateflow.Dialect{}} }

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
	if n.config.GrantAll {
		n.warnings = append(n.warnings, openflow.GrantsAll)
	}
	engine := &starter.Engine{Client: n.client, Namespace: n.namespace, Queue: Queue}
	mandates := trust.Mandates{Self: n.config.Party, Key: n.key, Sites: n.rows}
	ids := initiator.NewIDs(time.Now)
	part := &partner.Service{
		Self: n.config.Party, Store: n.changes(), Engine: engine, Sessions: n.messages, Components: n.registry, Mandates: mandates,
		Excerpts: excerpt.New(n.objects),
		Limits:   n.config.Limits, Policy: n.policy.Policy, GrantAll: n.config.GrantAll, Pool: n.pool(), Ended: n.ahead.Ended, Log: n.config.Log,
		Space: n.home.CheckSpace,
	}
	sched := &scheduler.Service{
		Self: n.config.Party, Store: n.rows, Mandates: mandates, Engine: engine, Timing: n.config.Timing, NewID: ids.Next,
		Quota: n.config.Limits.Rules().Quota, GrantAll: n.config.GrantAll, Log: n.config.Log,
		Space: n.home.CheckSpace,
	}
	dir := &peers.Directory{
		Self: n.config.Party, Records: n.rows, Signer: peers.Signer{Signer: trust.Signer{Party: n.config.Party, Key: n.key}},
		Lines: n.lines, Partners: part, Schedulers: sched, Dialects: n.config.Dialects, Tokens: &n.apps,
	}
	n.watch = partner.NewWatch(n.config.Party, n.changes(), dir, n.home, n.config.Log)
	sched.Heard = n.watch.Heard
	dir.Called = func(peer openflow.PartyID, took time.Duration, err error) {
		n.metrics.PeerCalled(peer, took, err)
		n.watch.Called(peer, err)
	}
	n.directory = dir
	n.lines.Through = n.traces.Transport
	n.onClose("connections to peers", func(context.Context) error { n.lines.Close(); return nil })
	n.queue = partner.NewQueue(n.config.Party, n.rows, dir, n.config.Limits, n.config.Log)
	part.Freed = n.queue.Freed
	n.rows.WhenFreed(n.queue.Freed)
	jobs := &initiator.Service{
		Self: n.config.Party, Ends: part, Rows: n.rows, Components: n.registry, Mandates: mandates, Directory: dir, NewID: ids.Next, Log: n.config.Log,
	}
	n.farewell = peers.Farewell{
		Self: n.config.Party, Rows: n.rows, Engine: engine, Partner: part, Directory: dir, Log: n.config.Log,
	}
	limits := n.config.Limits
	n.leases = &peers.Leases{
		Self: n.config.Party, Rows: n.rows, Directory: dir, Partner: part, For: limits.Lease, Unrenewed: limits.Unrenewed, Idle: limits.Idle,
		Every: min(peers.AskEndsEvery, limits.Lease/3), Freed: n.queue.Freed, Log: n.config.Log, Now: time.Now,
	}
	n.strays = &upkeep.Reconciler{Self: n.config.Party, Rows: n.rows, Engine: engine, Jobs: sched, Runs: part, Log: n.config.Log, Now: time.Now}
	n.pace = &peers.Pace{Quota: n.rows.Quota, Rule: limits.Rules().Quota, Now: time.Now, Refused: n.tooFast}
	return services{jobs, sched, part, ids.Next}
}

// tooFast records that a peer's calls are refused.
func (n *Node) tooFast(ctx context.Context, peer openflow.PartyID, why error) {
	authority.Ledger{Rows: n.rows, GrantAll: n.config.GrantAll, Log: n.config.Log}.Refused(ctx, authority.Asked{
		Caller: peer, Action: "call", Subject: "calls of party " + string(peer),
	}, why)
}

// serve builds the Temporal worker and the layers of the API on the services, and starts the listeners.
func (n *Node) serve(ctx context.Context) error {
	s, dir := n.connect(), n.directory
	if err := n.preparePolling(ctx, dir); err != nil {
		return err
	}
	signed := trust.Verifier{Self: n.config.Party, Keys: peers.Keys{Records: n.rows}, Nonces: n.messages}
	inter := &interconnection.API{
		Dialects: n.config.Dialects,
		Node: dialect.Node{
			Self:     n.config.Party,
			Verifier: signed, Unsigned: peers.Sources{Self: n.config.Party, Signed: signed, Records: n.rows, Also: n.lines.Also},
			Signer:  trust.Signer{Party: n.config.Party, Key: n.key},
			Apps:    &peers.Apps{Tokens: &n.apps, Records: n.rows},
			Partner: s.partner, Scheduler: s.scheduler, Tasks: dir.Tasks, Prober: dir, Version: n.config.Version,
			Intake: &reply.Intake{Calls: peerCalls, Each: maxMessage, All: allMessages},
			Traced: n.traces.Continue, Pace: n.pace.Call, Space: n.home.CheckSpace, Log: n.config.Log,
		},
		Pace: n.pace.Message,
		Transport: &interconnection.Transport{
			Self: n.config.Party, Names: dir, Store: n.messages, Sessions: n.sessions, MaxBody: maxMessage, Log: n.config.Log,
			Intake: &reply.Intake{Calls: peerCalls, Each: maxMessage, All: allMessages},
			Space:  n.home.CheckSpace, Hindered: n.watch.Hindered,
		},
	}
	containers := &base.Site{
		Policy: n.policy.Policy, Store: n.rows, Objects: n.objects, Credentials: n.secrets, Log: n.config.Log, Space: n.home.CheckSpace,
		Intake: &reply.Intake{Calls: runCalls(), Each: maxMessage, All: allMessages}, Hindered: n.watch.Hindered,
	}
	containers.Traced = n.traces.Contain(func(r *http.Request) openflow.RunID { return base.Run(r).Key.RunID() })
	messages := &base.Transport{
		Site: containers, Self: n.config.Party, Store: n.messages, Peers: dir, Called: n.config.Dialects.Sessions, MaxBody: maxMessage, Log: n.config.Log,
		Space: n.home.CheckSpace,
	}
	if err := n.register(ctx); err != nil { // before anybody calls, a peer or who asks for the warnings
		return err
	}
	asked := n.counted("interconnection", inter)
	n.listen("interconnection", brief, n.partners, n.forPeers(), server.Health{Ready: n.told}, asked)
	if n.plain != nil {
		n.listen("plain interconnection", brief, n.plain, forPlainPeers(), server.Health{Ready: n.told}, asked)
	}
	if n.packets != nil {
		n.listen("packets", brief, n.packets, n.forPackets(), server.Health{Ready: n.told}, n.counted("packets", n.config.Dialects.Packets(inter.Node)))
	}
	n.listen("application", patient, n.application, n.forUsers(), n.usersLayers(s)...)
	n.listen("base", brief, n.base, forContainers(), n.counted("base", n.config.Dialects.Base(containers)), n.counted("base", messages))
	if err := n.serveWorkers(containers, messages); err != nil {
		return err
	}
	// Before the servers, which wait for the streams that it ends.
	n.onClose("streams of events", n.closeEvents)
	return nil
}

// policySource is where the site's policy comes from.
func (n *Node) policySource() policy.Source { return policy.From(n.config.Policy, n.home.Dir) }

// sitePolicy is what is in force, and the file that it would be read from again.
func (n *Node) sitePolicy() application.SitePolicy {
	return application.SitePolicy{File: n.policySource().Path, Policy: n.policy}
}

// logs are those of this site's runs.
func (n *Node) logs() logs.Logs { return logs.Logs{Objects: n.objects, Runtime: n.runtime} }

// changes is the catalogue as those get it who change jobs and runs.
func (n *Node) changes() changes.Rows {
	return changes.Rows{Catalogue: n.rows, Events: n.events, Log: n.config.Log}
}

// usersLayers are what users reach: the application layer, metrics, the UI of Temporal and profiles.
func (n *Node) usersLayers(s services) []server.Layer {
	access := application.Access{Token: n.token, Same: trust.SameToken}
	site := &application.Site{
		Jobs: s.jobs, Catalogue: n.rows, Objects: n.objects, Sites: n.peers(), Logs: n.logs(),
		Events: n.events, About: n.about, Examine: n.Examine, Space: n.home.CheckSpace, Spare: n.home.Spare, Uploads: n.home.Path("uploads"), NewID: s.newID,
		Apps: &n.apps, Providers: n.registry, Vetting: n.vetter, Access: access, Traced: n.traces.Begin,
		Columns: excerpt.New(n.objects).Check, Policy: n.sitePolicy, Log: n.config.Log,
	}
	return []server.Layer{
		server.Health{Ready: n.Ready},
		application.SignInPage{Access: access, To: uiPath},
		n.counted("application", n.config.Dialects.Application(site)),
		server.Guarded{Layer: server.Mount{Prefix: "/metrics", Handler: n.metrics.Handler(n.config.Log)}, Guard: access.Plain},
		server.Guarded{Layer: server.Mount{Prefix: uiPath, Handler: n.ui}, Guard: access.Plain},
		server.Guarded{Layer: server.Profiles{}, Guard: access.Operator},
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

func (n *Node) listen(what string, patience time.Duration, l net.Listener, b server.Bounds, layers ...server.Layer) {
	s := server.Serve(l, server.Handler(n.config.Log, layers...), n.config.Log, b)
	n.onClose(what+" server", within(s, patience))
}

func (n *Node) preparePolling(ctx context.Context, dir *peers.Directory) error {
	taskqueue.Limit()
	running := activities.Running{
		Self: n.config.Party, Tasks: n.runs(), Runtime: n.runtime, Launcher: n.launcher, Logs: n.logs(),
		Directory: dir, Ahead: n.ahead, Reported: n.watch.Reported, Log: n.config.Log,
	}
	n.polling = taskqueue.New(n.client, taskqueue.Options{
		Queue: Queue, Identity: n.identity(), Interceptors: []interceptor.WorkerInterceptor{n.metrics.Activities()},
	},
		&activities.Scheduling{
			Self: n.config.Party, Directory: dir, Jobs: counting.Jobs{Catalogue: n.rows, Metrics: n.metrics}, Quota: n.config.Limits.Rules().Quota,
			Asked: n.watch.Asked,
		},
		&activities.Placing{Tasks: n.changes(), Workers: n.pool()}, &running)
	return n.joinPool(ctx, running)
}

// peers is the list of this node's peers.
func (n *Node) peers() peers.Register {
	return peers.Register{Self: n.config.Party, Records: n.rows, Dialects: n.config.Dialects, Directory: n.directory, Farewell: n.farewell, Rule: n.config.Limits.Rules().Quota}
}

// register writes the peers given at the start into the catalogue that were never there, and warns of what their records say
// otherwise.
func (n *Node) register(ctx context.Context) error {
	s := n.peers()
	for _, p := range n.config.Peers {
		registered, err := s.Introduce(ctx, p)
		if err != nil {
			return err
		}
		if registered {
			n.log.Info("a peer is registered, as the start says", "party", p.Party, "url", p.URL)
		}
	}
	for _, f := range examine.Named(ctx, s, n.config.Peers) {
		if f.Verdict != openflow.VerdictOK {
			n.log.Warn(f.Check+" "+f.Detail, "remedy", f.Remedy)
			n.warnings = append(n.warnings, f.Check+" "+f.Detail+" ("+f.Remedy+")")
		}
	}
	return nil
}

// startPolling frees what earlier processes of this node held, and begins to take what Temporal has for it. The lock on the home
// folder proves that none of them is alive; of other machines, such as other replicas, it says nothing.
func (n *Node) startPolling(ctx context.Context) error {
	if n.temporal != nil {
		if _, err := n.temporal.ReleaseOrphans(ctx, n.kin(), n.identity()); err != nil {
			return err
		}
	}
	if err := n.polling.Start(); err != nil {
		return openflow.Errorf(openflow.CodeInternal, "Temporal worker: %w", err)
	}
	n.onClose("Temporal worker", func(context.Context) error { n.polling.Stop(); return nil })
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
	return n.home.CheckSpace()
}

// told is Ready for strangers: why the node is not ready is its own affair.
func (n *Node) told() error {
	if n.Ready() != nil {
		return openflow.Errorf(openflow.CodeUnavailable, "the node takes no jobs now")
	}
	return nil
}

// Failed delivers an error when the node cannot go on and should be closed.
func (n *Node) Failed() <-chan error {
	if n.temporal == nil {
		return nil
	}
	return n.temporal.Failed()
}

// URL is the address of the application layer.
func (n *Node) URL() string { return address(n.application.Addr().String(), n.users != nil) }

// InterconnectionURL is the address that peers use.
func (n *Node) InterconnectionURL() string {
	return address(n.partners.Addr().String(), true)
}

// BaseURL is the address that containers use.
func (n *Node) BaseURL() string {
	return address(net.JoinHostPort(n.baseAddress.Host, strconv.Itoa(n.baseAddress.Port)), false)
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
func (n *Node) Resources() openflow.Resources { return n.config.Limits.Capacity() }

// Home is the node's folder.
func (n *Node) Home() string { return n.home.Dir }

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
		Durability: durability, Started: n.started, Host: host, Port: number, Warnings: n.warnings, GrantAll: n.config.GrantAll,
	}
}

// Examine looks at everything that can be wrong with this node.
func (n *Node) Examine(ctx context.Context) []openflow.Finding {
	shared := n.config.Shared
	s := examine.Site{
		Party: n.config.Party, Version: n.config.Version, GrantAll: n.config.GrantAll, Capacity: n.config.Limits.Capacity(), Quota: n.config.Limits.Rules().Quota, Home: n.home,
		Secrets: n.secretsDir(), PublicKey: n.PublicKey(), Programs: n.programs, Policy: n.policy, Stands: n.vetter.Stands, Source: n.policySource(),
		Keep: n.config.Retention, Rows: n.rows, Objects: n.objects, Messages: n.messages, Events: n.events,
		Places:    examine.Places{Postgres: shared.Postgres, S3: shared.S3, Redis: shared.Redis},
		Listeners: n.listeners(), Plain: shared.plain(), Authorities: n.authorities,
		Register: n.peers(), Named: n.config.Peers, Directory: n.directory, Pool: n.pool(), Runtime: n.runtime, Has: n.has,
		Orphans: n.orphaned(), Strays: n.strays, Temporal: n.client, Namespace: n.namespace, Queue: Queue,
	}
	return s.Examine(ctx)
}

// Close stops taking requests, finishes those that run, and leaves the containers running for the next process to adopt.
func (n *Node) Close(ctx context.Context) error {
	n.ready.Store(false)
	return n.machine.close(ctx)
}

// address is the base URL of a listener, with a host that a program on this machine can use.
func address(a string, secure bool) string {
	scheme := "http"
	if secure {
		scheme = "https"
	}
	return (&url.URL{Scheme: scheme, Host: a}).String()
}

// TemporalClient is this node's own, with which a tool may look at its workflows, or end one.
func (n *Node) TemporalClient() sdkclient.Client { return n.client }

// History is the recorded history of a workflow of this node as JSON.
func (n *Node) History(ctx context.Context, workflowID string) ([]byte, error) {
	return starter.History(ctx, n.client, workflowID)
}
