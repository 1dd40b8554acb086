package node

import (
	"context"
	"net"

	"go.temporal.io/sdk/interceptor"

	"openflow"
	"openflow/activities"
	"openflow/node/hardware"
	"openflow/server"
	"openflow/server/base"
	"openflow/site/doctor"
	"openflow/site/trust"
	"openflow/temporal/taskqueue"
	"openflow/worker/relay"
	"openflow/worker/roster"
)

// pool is the site's pool as this node sees it.
func (n *Node) pool() roster.Pool {
	return roster.Pool{
		Rows: n.rows, Self: n.home.Node, Labels: n.config.Labels, NoTasks: n.config.NoTasks, Open: n.workers != nil,
		Shared: n.temporal == nil, Anywhere: n.anywhere(), Times: n.config.Pooling, Up: n.started,
	}
}

// bindWorkers listens for the workers of the pool, and makes the token that they need.
func (n *Node) bindWorkers(ctx context.Context) (err error) {
	if n.config.Workers == "" {
		return nil
	}
	if n.workerToken, _, err = trust.LoadOrCreateWorkerToken(n.secretsDir()); err != nil {
		return err
	}
	if n.workers, err = server.Listen(ctx, "the listener for workers", n.config.Workers); err != nil {
		return err
	}
	n.onClose("workers' listener", ignoreClosed(n.workers))
	if n.config.PlainWorkers {
		n.warnings = append(n.warnings, notEncrypted(n.workers)...)
	}
	return nil
}

// serveWorkers offers the workers of the pool what they need: the base layer for them and for their containers, and the
// part of Temporal that is theirs.
func (n *Node) serveWorkers(containers *base.Site, messages *base.Transport) error {
	if n.workers == nil {
		return nil
	}
	frontend, err := relay.Handler(n.client.WorkflowService(), n.namespace)
	if err != nil {
		return err
	}
	site := *containers
	site.Pool = &base.Pool{
		Party: n.config.Party, Namespace: n.namespace, Check: n.workerToken.Check, Store: n.runs(),
		Logs: n.logs(), Supply: n.supplies().Issue, Residents: n.registry,
	}
	// Polls of Temporal wait for a minute: how long they take would say nothing.
	n.listen("workers'", brief, n.workers, n.forWorkers(), server.Health{Ready: n.Ready}, n.counted("workers", n.config.Dialects.Base(&site)),
		n.counted("workers", messages), server.Mount{Prefix: relay.Prefix, Handler: n.admitted(frontend)})
	return nil
}

// WorkersURL is the address that workers of the pool use, empty without a pool.
func (n *Node) WorkersURL() string {
	if n.workers == nil {
		return ""
	}
	return address(n.workers.Addr().String(), !n.config.PlainWorkers)
}

// joinPool makes this node a machine of its own pool, if there is one. Where Temporal is shared, replicas of this node are
// machines of the pool as well, unless their containers belong to no machine. A node that runs no tasks keeps its own queue
// all the same, for containers of an earlier start.
func (n *Node) joinPool(ctx context.Context, running activities.Running) error {
	away, err := n.pool().ShutOut(ctx)
	if err != nil {
		return err
	}
	if len(away) > 0 {
		n.warnings = append(n.warnings, doctor.ShutOut(away)+": restart the node with --listen-workers within "+
			n.config.Pooling.Gone.String()+", or those runs fail")
	}
	offered, err := n.pool().Offered(ctx)
	if err != nil || !offered {
		return err
	}
	running.Machine = &activities.Machine{ID: n.home.Node, Name: hardware.Name(), Cores: n.pool().Cores(n.config.Limits.Cores, n.has.Cores)}
	n.taking, err = taskqueue.NewMachine(n.client, taskqueue.MachineOptions{
		Identity: n.identity(), Labels: n.config.Labels, Idle: n.config.NoTasks,
		Interceptors: []interceptor.WorkerInterceptor{n.metrics.Activities()},
	}, &running)
	n.running = running.Machine
	return err
}

// hello keeps this node among the workers of its pool.
func (n *Node) hello(ctx context.Context) error {
	return n.rows.SaveWorker(ctx, openflow.WorkerRecord{
		Machine: n.running.ID, Name: n.running.Name, Labels: n.config.Labels, Runtime: n.runtime.Kind(), Cores: n.running.Cores,
		Version: n.config.Version, Running: n.running.Running(), Started: n.started,
	})
}

// notEncrypted warns of what can be read on the way, where that leaves this machine.
func notEncrypted(l net.Listener) []string {
	host, _, err := net.SplitHostPort(l.Addr().String())
	if err != nil || openflow.ThisMachine(host) {
		return nil
	}
	return []string{"what passes between workers and " + l.Addr().String() + " is not encrypted, their token included: " +
		"see that something before it speaks TLS, or that the way is private"}
}
