package node

import (
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/interceptor"

	"openflow"
	"openflow/activities"
	"openflow/sdk/wire"
	"openflow/server"
	"openflow/server/base"
	"openflow/site/trust"
	"openflow/store/catalogue"
	"openflow/worker"
	"openflow/worker/relay"
)

// A worker tells of itself every few seconds, and counts as alive for some of them.
const (
	helloEvery = 5 * time.Second
	aliveFor   = 4 * helloEvery
)

// A machine that has missed its turn to tell of itself is named as silent on its runs, and within 15 s on their jobs: it is
// looked at so often, and the watch of jobs follows. New runs are offered to it for as long as it counts as alive.
const (
	silentAfter = 2 * helloEvery
	silentEvery = time.Second
)

// sitePool is the site's pool as its node sees it.
type sitePool struct {
	rows  *catalogue.Catalogue
	self  string // the node's own machine
	idle  bool   // which runs no tasks
	alone bool   // the node runs tasks itself, and there may be nobody else
	only  bool   // nor can there be: no worker can reach it
	wait  openflow.Pooling
}

func (n *Node) pool() sitePool {
	idle := n.config.NoTasks
	return sitePool{n.rows, n.home.Node, idle, !idle && n.temporal != nil, n.workers == nil, n.config.Pooling}
}

// Workers implements activities.Workers. A worker that has left offers no cores, and this node none when it runs no tasks
// since its last start.
func (p sitePool) Workers(ctx context.Context, label string) ([]openflow.WorkerRecord, error) {
	list, err := p.rows.WorkersWith(ctx, label, time.Now().Add(-aliveFor))
	return slices.DeleteFunc(list, func(w openflow.WorkerRecord) bool {
		return w.Cores == 0 || p.idle && w.Machine == p.self
	}), err
}

// Pooling implements partner.Pool. Without a label, and while nobody else is there, the node runs its tasks itself, which
// saves the choice.
func (p sitePool) Pooling(ctx context.Context, label string) (*openflow.Pooling, error) {
	if label == "" && p.alone {
		if p.only {
			return nil, nil
		}
		others, err := p.Workers(ctx, "")
		others = slices.DeleteFunc(others, func(w openflow.WorkerRecord) bool { return w.Machine == p.self })
		if err != nil || len(others) == 0 {
			return nil, err
		}
	}
	return &p.wait, nil
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
	n.warnings = append(n.warnings, notEncrypted(n.workers)...)
	return nil
}

// serveWorkers offers the workers of the pool what they need: the base layer for them and for their containers, and the
// part of Temporal that is theirs.
func (n *Node) serveWorkers(south *base.API) error {
	if n.workers == nil {
		return nil
	}
	frontend, err := relay.Handler(n.client.WorkflowService(), n.namespace, n.workerToken.Check)
	if err != nil {
		return err
	}
	rows := &base.Pool{
		Site: wire.PoolSite{PartyID: n.config.Party, Namespace: n.namespace}, Check: n.workerToken.Check, Store: n.runs(),
		Logs: logs{n.objects, n.runtime}, Grant: n.grant, Log: n.config.Log,
	}
	// Polls of Temporal wait for a minute: how long they take would say nothing.
	n.listen("workers'", brief, n.workers, server.Health{Ready: n.Ready}, n.counted("workers", south), n.counted("workers", rows),
		server.Mount{Prefix: relay.Prefix, Handler: frontend})
	return nil
}

// WorkersURL is the address that workers of the pool use, empty without a pool.
func (n *Node) WorkersURL() string {
	if n.workers == nil {
		return ""
	}
	return address(n.workers.Addr().String())
}

// formerly is how long a pool is remembered: a run that was offered to it has found a machine by then, or has failed.
const formerly = 24 * time.Hour

// pooled reports whether runs may be offered to a pool: one can be reached, or there was one, and runs that were offered
// to it wait in its queues for whoever takes them.
func (n *Node) pooled(ctx context.Context) (bool, error) {
	if n.workers != nil || len(n.config.Labels) > 0 || n.temporal == nil {
		return true, nil
	}
	seen, err := n.rows.Workers(ctx, time.Now().Add(-max(formerly, 2*n.config.Pooling.Wait)))
	seen = slices.DeleteFunc(seen, func(w openflow.WorkerRecord) bool { return w.Machine == n.home.Node })
	return len(seen) > 0, err
}

// joinPool makes this node a machine of its own pool, unless there is no pool. Where Temporal is shared, replicas of this
// node are machines of the pool as well. A node that runs no tasks keeps its own queue all the same, for containers of an
// earlier start.
func (n *Node) joinPool(ctx context.Context, running activities.Running) error {
	pooled, err := n.pooled(ctx)
	if err != nil || !pooled {
		return err
	}
	running.Machine = &activities.Machine{ID: n.home.Node, Name: hostName(), Cores: n.ownCores()}
	n.taking, err = worker.NewMachine(n.client, worker.MachineOptions{
		Identity: n.identity(), Labels: n.config.Labels, Idle: n.config.NoTasks,
		Interceptors: []interceptor.WorkerInterceptor{n.metrics.Activities()},
	}, &running)
	n.running = running.Machine
	return err
}

// ownCores is what this machine takes at a time: of a site that has others, no more than it has itself.
func (n *Node) ownCores() int {
	if n.workers == nil && n.temporal != nil {
		return n.config.Limits.Cores
	}
	return min(n.config.Limits.Cores, int(machineCPUs()))
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
	if err != nil || loopback(host) {
		return nil
	}
	return []string{"what passes between workers and " + l.Addr().String() + " is not encrypted, their token included: " +
		"put TLS in front of it, or a private network around it"}
}

// tellSilent says on the rows of runs that their machine is silent, since when, and takes that back when it is heard of
// again. The machine may be dead or out of reach: nobody follows its runs meanwhile.
func (n *Node) tellSilent(ctx context.Context) error {
	now := time.Now()
	list, err := n.rows.Workers(ctx, now.Add(-formerly))
	if err != nil {
		return err
	}
	for _, w := range list {
		reason := ""
		if w.Machine != n.home.Node && w.Seen.Before(now.Add(-silentAfter)) {
			reason = fmt.Sprintf("%s%s (%s) is silent since %s; the run fails when it does not come back within %s of that",
				silentMachine, w.Machine, w.Name, w.Seen.UTC().Format(time.RFC3339), n.config.Pooling.Gone)
		}
		for _, id := range w.Running {
			t, err := n.rows.TaskByExecution(ctx, id)
			if openflow.CodeOf(err) == openflow.CodeNotFound {
				continue
			}
			if err != nil {
				return err
			}
			said := strings.HasPrefix(t.Reason, silentMachine)
			if t.PartyStatus.Terminal() || t.Killed || t.Reason == reason || reason == "" && !said {
				continue
			}
			if err := n.changes().SetTaskReason(ctx, t.Key, reason); err != nil {
				return err
			}
		}
	}
	return nil
}

// silentMachine is how the reason of a run begins whose machine is silent.
const silentMachine = "machine "
