package node

import (
	"context"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	"golang.org/x/sys/unix"

	"openflow"
	"openflow/dialect"
	"openflow/docker/engine"
	"openflow/site/doctor"
	"openflow/site/trust"
	"openflow/store/catalogue"
	"openflow/workflows"
)

// examination bounds all checks together. A peer that does not answer takes 10 s of it.
const examination = 20 * time.Second

// Examine looks at everything that can be wrong with this node. It changes nothing, and what cannot be looked at is a
// finding too.
func (n *Node) Examine(ctx context.Context) []openflow.Finding {
	ctx, cancel := context.WithTimeout(ctx, examination)
	defer cancel()
	parts := []func(context.Context) []openflow.Finding{
		n.examinePeers, n.examineMachine, n.examineDocker, n.examineStores, n.examineTemporal, n.examineWorkers, n.examineWork,
	}
	found := make([][]openflow.Finding, len(parts))
	var all sync.WaitGroup
	for i, look := range parts {
		all.Go(func() { found[i] = look(ctx) })
	}
	all.Wait()
	var list []openflow.Finding
	for _, f := range found {
		list = append(list, f...)
	}
	return list
}

// broken is the finding that something could not be looked at.
func broken(check string, err error) []openflow.Finding {
	return []openflow.Finding{{Check: check, Verdict: openflow.VerdictFail, Detail: err.Error(), Remedy: "read the node's log"}}
}

// examinePeers calls every peer, all at once.
func (n *Node) examinePeers(ctx context.Context) []openflow.Finding {
	known, err := n.rows.Sites(ctx)
	if err != nil {
		return broken("peers", err)
	}
	ids, peers := make([]openflow.PartyID, len(known)), make([]doctor.Peer, len(known))
	var all sync.WaitGroup
	for i, s := range known {
		ids[i] = s.Party
		all.Go(func() { peers[i] = n.examinePeer(ctx, s) })
	}
	all.Wait()
	list := []openflow.Finding{doctor.Peers(ids)}
	for _, p := range peers {
		list = append(list, p.Examine(n.config.Version)...)
	}
	return list
}

func (n *Node) examinePeer(ctx context.Context, s openflow.SiteRecord) doctor.Peer {
	p := doctor.Peer{Party: s.Party, URL: s.URL, Granted: n.config.GrantAll}
	client, err := n.directory.client(ctx, s.Party)
	if err != nil {
		p.Err = err
		return p
	}
	var seen dialect.Seen
	seen, p.Err = client.Examine(ctx, true)
	p.Answered, p.Clock, p.Timed, p.Version, p.CallBack = seen.Answered, seen.Clock, seen.Timed, seen.Version, seen.CallBack
	if grants, err := n.rows.Grants(ctx, s.Party); err == nil && len(grants) > 0 {
		p.Granted = true
	}
	return p
}

func (n *Node) examineMachine(context.Context) []openflow.Finding {
	space := n.space()
	info, stored, err := n.storedKey()
	_, program := executable(n.config.Components)
	return []openflow.Finding{
		doctor.Home(n.home.Format, homeFormat), doctor.OwnKey(info, stored, n.PublicKey(), err), doctor.Disk(space), doctor.Inodes(space),
		doctor.Sync(doctor.WriteFile(n.home.dir)), doctor.Components(n.config.Components, program),
		n.examinePolicy(),
		doctor.Kept(doctor.Retention{
			Workflows: n.config.Retention.Workflows, Jobs: n.config.Retention.Jobs, Logs: n.config.Retention.Logs,
			Messages: n.config.Retention.Messages,
		}),
	}
}

func (n *Node) space() (s doctor.Space) {
	var fs unix.Statfs_t
	if s.Err = unix.Statfs(n.home.dir, &fs); s.Err == nil {
		s.FreeInodes, s.Inodes = fs.Ffree, fs.Files
		s.Free, s.Err = n.home.free(n.home.dir)
	}
	return s
}

// storedKey is the key as the next start would find it.
func (n *Node) storedKey() (info fs.FileInfo, public string, err error) {
	if info, err = os.Lstat(filepath.Join(n.secretsDir(), "node.key")); err != nil {
		return nil, "", err // LoadOrCreateKey would make one
	}
	key, err := trust.LoadOrCreateKey(n.secretsDir())
	if err != nil && info.Mode().Perm()&0o077 == 0 {
		return info, "", err
	}
	return info, key.Public().String(), nil // one that others can read is not loaded; its mode tells why
}

func (n *Node) examineDocker(ctx context.Context) []openflow.Finding {
	list := n.dockerState(ctx).Examine()
	names, err := n.orphans(ctx, n.orphanAge(), n.rows.TaskByExecution)
	if err != nil {
		return append(list, broken("orphans", err)...)
	}
	return append(append(list, doctor.Orphans(names)), n.examineNetworks(ctx)...)
}

// examineNetworks looks for what other nodes have on the same daemon. That it does not answer is a finding of its own.
func (n *Node) examineNetworks(ctx context.Context) []openflow.Finding {
	rt, ok := n.runtime.(*engine.Runtime)
	if !ok {
		return nil
	}
	all, err := rt.Networks(ctx)
	if err != nil {
		return nil
	}
	left, err := abandoned(ctx, rt)
	if err != nil {
		return broken("networks", err)
	}
	names := make([]string, len(left))
	for i, l := range left {
		names[i] = l.Name
	}
	return []openflow.Finding{doctor.Networks(names, len(all)-1)}
}

func (n *Node) dockerState(ctx context.Context) (d doctor.Docker) {
	rt, ok := n.runtime.(*engine.Runtime)
	if !ok {
		return d
	}
	d = doctor.Docker{Used: true, Image: n.launcher.Image, Network: networkName(n.home.Node)}
	if d.Engine, d.API, d.Err = rt.Version(ctx); d.Err != nil {
		return d
	}
	if d.HasImage, d.Err = rt.HasImage(ctx, d.Image); d.Err != nil {
		return d
	}
	if d.Firewall = rt.Firewalled(ctx, n.baseAddress.Port); d.Firewall == nil {
		d.Firewalled = true
		return d
	}
	d.Reachable, d.Err = rt.Reachable(ctx, n.baseAddress.Port)
	return d
}

// Bounds of what is looked at of the open workflows, the oldest first: those are the ones that an update has met.
const (
	lookedAt     = 200
	failingAfter = 3 // attempts; a worker that was restarted costs one
)

func (n *Node) examineTemporal(ctx context.Context) []openflow.Finding {
	service := n.client.WorkflowService()
	info, err := service.GetSystemInfo(ctx, &workflowservice.GetSystemInfoRequest{})
	if err != nil {
		return doctor.Temporal("", []doctor.Queue{{Err: err}})
	}
	queues := []doctor.Queue{
		n.taskQueue(ctx, "of workflows", Queue, enumspb.TASK_QUEUE_TYPE_WORKFLOW),
		n.taskQueue(ctx, "of activities", Queue, enumspb.TASK_QUEUE_TYPE_ACTIVITY),
	}
	list := doctor.Temporal(info.GetServerVersion(), queues)
	failing, looked, open, err := n.failing(ctx)
	return append(list, doctor.Workflows(failing, looked, open, err))
}

func (n *Node) taskQueue(ctx context.Context, name, queue string, kind enumspb.TaskQueueType) doctor.Queue {
	q, err := n.client.WorkflowService().DescribeTaskQueue(ctx, &workflowservice.DescribeTaskQueueRequest{
		Namespace: n.namespace, TaskQueue: &taskqueuepb.TaskQueue{Name: queue, Kind: enumspb.TASK_QUEUE_KIND_NORMAL},
		TaskQueueType: kind, ReportStats: true,
	})
	return doctor.Queue{
		Name: name, Pollers: len(q.GetPollers()), Backlog: q.GetStats().GetApproximateBacklogCount(),
		Age: q.GetStats().GetApproximateBacklogAge().AsDuration(), Err: err,
	}
}

// failing lists open workflows whose next decision has failed several times: they do not replay, or panic.
func (n *Node) failing(ctx context.Context) (failing []doctor.Failing, looked, open int, err error) {
	service, space := n.client.WorkflowService(), n.namespace
	const query = `ExecutionStatus = "Running"`
	count, err := service.CountWorkflowExecutions(ctx, &workflowservice.CountWorkflowExecutionsRequest{Namespace: space, Query: query})
	if err != nil {
		return nil, 0, 0, err
	}
	page, err := service.ListWorkflowExecutions(ctx, &workflowservice.ListWorkflowExecutionsRequest{
		Namespace: space, PageSize: lookedAt, Query: query,
	})
	if err != nil {
		return nil, 0, 0, err
	}
	for _, e := range page.GetExecutions() {
		d, err := service.DescribeWorkflowExecution(ctx, &workflowservice.DescribeWorkflowExecutionRequest{
			Namespace: space, Execution: e.GetExecution(),
		})
		if err != nil {
			continue // it has ended meanwhile
		}
		if a := int(d.GetPendingWorkflowTask().GetAttempt()); a >= failingAfter {
			failing = append(failing, doctor.Failing{Workflow: e.GetExecution().GetWorkflowId(), Attempts: a})
		}
	}
	return failing, len(page.GetExecutions()), int(count.GetCount()), nil
}

func (n *Node) examineWork(ctx context.Context) []openflow.Finding {
	waiting, _, err := n.rows.ScheduledJobsWhere(ctx, catalogue.ScheduledFilter{
		Statuses: []openflow.JobStatus{openflow.JobWaiting}, Limit: dropBatch, Ascending: true,
	})
	if err != nil {
		return broken("waits", err)
	}
	waits := make([]doctor.Waiting, len(waiting))
	for i, j := range waiting {
		waits[i] = doctor.Waiting{Job: j.ID, Reason: j.Reason, For: time.Since(j.CreateTime)}
	}
	jobs, err := n.rows.JobCounts(ctx)
	if err != nil {
		return broken("pool", err)
	}
	used, err := n.rows.PoolUse(ctx)
	if err != nil {
		return broken("pool", err)
	}
	open := jobs[openflow.JobReady] + jobs[openflow.JobWaiting] + jobs[openflow.JobRunning] // each may hold cores already
	return []openflow.Finding{doctor.Waits(waits), doctor.Pool(used, n.config.Limits.Pool(), open)}
}

// noObject is a digest that no object has.
var noObject = strings.Repeat("0", 64)

// examineStores asks every store for something small.
func (n *Node) examineStores(ctx context.Context) []openflow.Finding {
	shared := n.config.Shared
	parts := []struct {
		name, place string
		ask         func() error
	}{
		{"catalogue", place(shared.Postgres, n.home.path("catalogue.db")), func() error {
			_, err := n.rows.Meta(ctx, "doctor")
			return err
		}},
		{"objects", place(shared.S3, n.home.path("objects")), func() error {
			_, err := n.objects.Stat(ctx, noObject)
			if openflow.CodeOf(err) == openflow.CodeNotFound {
				return nil
			}
			return err
		}},
		{"messages", place(shared.Redis, n.home.path("messages")), func() error {
			now := time.Now()
			_, err := n.messages.ClaimNonce(ctx, string(n.config.Party), "doctor-"+strconv.FormatInt(now.UnixNano(), 10), now.Add(examination))
			return err
		}},
		{"events", place(shared.Redis, "memory"), func() error {
			_, err := n.events.Subscribe(ctx, "")
			return err
		}},
	}
	found := make([]openflow.Finding, len(parts))
	var all sync.WaitGroup
	for i, p := range parts {
		all.Go(func() { found[i] = doctor.Store{Name: p.name, Place: p.place, Err: p.ask()}.Examine() })
	}
	all.Wait()
	return found
}

// place is where a store is: what its URL tells without secret and settings, or embedded if there is none.
func place(shared, embedded string) string {
	u, err := url.Parse(shared)
	if shared == "" || err != nil { // a node does not start with such a URL
		return embedded
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

func (n *Node) examineWorkers(ctx context.Context) []openflow.Finding {
	pool := n.pool()
	pooling, err := pool.Pooling(ctx, "")
	if err != nil {
		return broken("workers", err)
	}
	w := doctor.Workers{Alone: pooling == nil, NoTasks: n.config.NoTasks, Cores: n.config.Limits.Cores, Machine: int(machineCPUs())}
	if w.Alive, err = pool.Workers(ctx, ""); err != nil {
		return broken("workers", err)
	}
	labels := []string{""}
	for _, m := range w.Alive {
		labels = append(labels, m.Labels...)
	}
	slices.Sort(labels)
	for _, label := range slices.Compact(labels) {
		// That Temporal does not answer is a finding of its own.
		q := n.taskQueue(ctx, "of the pool", workflows.PoolQueue(label), enumspb.TASK_QUEUE_TYPE_ACTIVITY)
		w.Waiting.Backlog += q.Backlog
		w.Waiting.Age = max(w.Waiting.Age, q.Age)
	}
	return []openflow.Finding{w.Examine()}
}
