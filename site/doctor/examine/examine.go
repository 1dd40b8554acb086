// Package examine looks at a running node, and lets package doctor judge what it finds.
package examine

import (
	"context"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	taskqueuepb "go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	sdkclient "go.temporal.io/sdk/client"
	"golang.org/x/sys/unix"

	"openflow"
	"openflow/dialect"
	"openflow/node/home"
	"openflow/runtime/driver"
	"openflow/site/doctor"
	"openflow/site/osv"
	"openflow/site/peers"
	"openflow/site/policy"
	"openflow/site/programs"
	"openflow/site/trust"
	"openflow/site/trust/certificates"
	"openflow/site/upkeep"
	"openflow/store/catalogue"
	"openflow/store/events"
	"openflow/store/messages"
	"openflow/store/objects"
	"openflow/worker/roster"
	"openflow/workflows"
)

// examination bounds all checks together. A peer that does not answer takes 10 s of it.
const examination = 20 * time.Second

// Site is all of a node that is looked at.
type Site struct {
	Party     openflow.PartyID
	Version   string
	GrantAll  bool               // peers need no grants
	Capacity  openflow.Resources // of jobs
	Quota     openflow.Quota     // of each peer of which nothing is said
	Home      *home.Home
	Secrets   string // folder of the keys
	PublicKey string // in use
	Programs  *programs.Programs
	Policy    openflow.SitePolicy
	// Stands refuses a provider that the policy does not let run now; nil: all may.
	Stands func(ctx context.Context, r openflow.ProviderRecord) error
	Source policy.Source // of the policy
	Keep   upkeep.Retention

	Rows      *catalogue.Catalogue
	Objects   objects.Store
	Messages  messages.Store
	Events    events.Store
	Places    Places
	Plain     []string // services on other machines that are called without TLS
	Listeners []doctor.Listener
	// Authorities are those whose certificates count besides the keys of peers; nil: nobody's.
	Authorities *certificates.Roots
	Register    peers.Register
	Named       []peers.Peer // by the start
	Directory   *peers.Directory
	Pool        roster.Pool

	Runtime driver.Host
	Has     openflow.Resources // the runtime
	Orphans upkeep.Orphans
	Strays  *upkeep.Reconciler

	Temporal  sdkclient.Client
	Namespace string
	Queue     string // of the node's own worker
}

// Places are the URLs of stores that are shared; empty: embedded.
type Places struct{ Postgres, S3, Redis string }

// Examine looks at everything that can be wrong with this node. It changes nothing, and what cannot be looked at is a
// finding too.
func (s *Site) Examine(ctx context.Context) []openflow.Finding {
	ctx, cancel := context.WithTimeout(ctx, examination)
	defer cancel()
	parts := []func(context.Context) []openflow.Finding{
		s.examinePeers, s.examineListeners, s.examineMachine, s.examineProviders, s.examineRuntime, s.examineStores, s.examineTemporal, s.examineWorkers, s.examineWork,
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
func (s *Site) examinePeers(ctx context.Context) []openflow.Finding {
	known, err := s.Rows.Sites(ctx)
	if err != nil {
		return broken("peers", err)
	}
	ids, found := make([]openflow.PartyID, len(known)), make([]doctor.Peer, len(known))
	var all sync.WaitGroup
	for i, r := range known {
		ids[i] = r.Party
		all.Go(func() { found[i] = s.examinePeer(ctx, r) })
	}
	all.Wait()
	list := []openflow.Finding{doctor.Peers(ids), doctor.Grants(s.GrantAll)}
	for _, p := range found {
		list = append(list, p.Examine(s.Version)...)
	}
	return append(list, Named(ctx, s.Register, s.Named)...)
}

// Named compares the peers that the start of a node names with their records.
func Named(ctx context.Context, records peers.Register, list []peers.Peer) []openflow.Finding {
	found := make([]openflow.Finding, len(list))
	for i, p := range list {
		n, err := records.Look(ctx, p)
		if err != nil {
			return broken("--peer "+string(p.Party), err)
		}
		found[i] = doctor.Named{
			Party: p.Party, URL: p.URL, Key: p.Key, Plain: p.Plain, Record: n.Record, Known: n.Known, Removed: n.Removed,
		}.Examine()
	}
	return found
}

// examineListeners tells what callers are shown, and until when, and which services are called without TLS.
func (s *Site) examineListeners(context.Context) []openflow.Finding {
	var list []openflow.Finding
	now := time.Now()
	for _, l := range s.Listeners {
		list = append(list, l.Examine(now))
	}
	if s.Authorities != nil {
		ends, err := s.Authorities.State()
		list = append(list, doctor.Authorities(ends, now, err))
	}
	return append(list, doctor.Services(s.Plain))
}

func (s *Site) examinePeer(ctx context.Context, r openflow.SiteRecord) doctor.Peer {
	p := doctor.Peer{Party: r.Party, GrantAll: s.GrantAll, URL: r.URL, Plain: r.Plain, Unsigned: r.Unsigned, Sources: r.Sources, Trust: r.Trust(), Way: r.Way}
	_, given := s.Rows.AppNamed(ctx, openflow.AppPartner, string(r.Party))
	_, made := s.Rows.AppNamed(ctx, openflow.AppSite, string(r.Party))
	p.Calls, p.Called = given == nil, made == nil
	s.quota(ctx, &p)
	client, err := s.Directory.Client(ctx, r.Party)
	if err != nil {
		p.Err = err
		return p
	}
	var seen dialect.Seen
	seen, p.Err = client.Examine(ctx, true)
	p.Answered, p.Clock, p.Timed, p.Version, p.CallBack = seen.Answered, seen.Clock, seen.Timed, seen.Version, seen.CallBack
	grants, err := s.Rows.Grants(ctx, r.Party)
	for _, g := range grants {
		if err == nil && !g.Spent() && !g.Expired(time.Now()) {
			p.Granted = append(p.Granted, g.Kind)
		}
	}
	return p
}

// quota notes what a peer uses of what it may.
func (s *Site) quota(ctx context.Context, p *doctor.Peer) {
	if said, err := s.Rows.Quota(ctx, p.Party); err == nil {
		p.Quota = said.Or(s.Quota)
	}
	if use, err := s.Rows.PeerUse(ctx, p.Party); err == nil {
		p.Use = use
	}
}

func (s *Site) examineMachine(ctx context.Context) []openflow.Finding {
	space := s.space()
	info, stored, err := s.storedKey()
	return []openflow.Finding{
		doctor.Home(s.Home.Format, home.Format), doctor.OwnKey(info, stored, s.PublicKey, err), doctor.Disk(space), doctor.Inodes(space),
		doctor.Sync(doctor.WriteFile(s.Home.Dir)), doctor.Components(s.Programs.BuiltIn.Place, s.Programs.Verify(ctx, s.Programs.BuiltIn)),
		s.examinePolicy(ctx),
		doctor.Kept(doctor.Retention{
			Workflows: s.Keep.Workflows, Jobs: s.Keep.Jobs, Logs: s.Keep.Logs,
			Messages: s.Keep.Messages,
		}),
	}
}

// examineProviders compares the programs of providers with what was registered, and tells which components have failed.
func (s *Site) examineProviders(ctx context.Context) []openflow.Finding {
	known, err := s.Rows.Providers(ctx)
	if err != nil {
		return broken("providers", err)
	}
	found := map[openflow.ProviderRef]doctor.Provider{}
	for _, p := range known {
		if p.Kind != openflow.ProviderBuiltIn {
			one := doctor.Provider{Wrong: s.Programs.Verify(ctx, p), Exposed: s.Programs.Exposed(p)}
			if one.Wrong == nil && s.Stands != nil {
				one.Refused = s.Stands(ctx, p)
			}
			found[p.Ref()] = one
		}
	}
	failed, err := s.Rows.FailedComponents(ctx)
	if err != nil {
		return broken("components", err)
	}
	failed = slices.DeleteFunc(failed, func(c openflow.ComponentRecord) bool {
		return found[c.Provider].Wrong != nil || found[c.Provider].Refused != nil // that is said
	})
	return append(doctor.Providers(found), doctor.Failed(failed)...)
}

// examinePolicy compares the file with what the node has read at its start, and looks for the folder that it names.
func (s *Site) examinePolicy(ctx context.Context) openflow.Finding {
	stored, file, err := s.Source.Read()
	var folder error
	if s.Policy.Images.Vulnerabilities != "" {
		folder = osv.Folder(s.Policy.Images.Vulnerabilities).Check(ctx)
	}
	return doctor.Policy(file, err == nil && !reflect.DeepEqual(stored, s.Policy), err, folder)
}

func (s *Site) space() (found doctor.Space) {
	var fs unix.Statfs_t
	if found.Err = unix.Statfs(s.Home.Dir, &fs); found.Err == nil {
		found.FreeInodes, found.Inodes = fs.Ffree, fs.Files
		found.Free, found.Err = s.Home.Free(s.Home.Dir)
	}
	return found
}

// storedKey is the key as the next start would find it.
func (s *Site) storedKey() (info fs.FileInfo, public string, err error) {
	if info, err = os.Lstat(filepath.Join(s.Secrets, "node.key")); err != nil {
		return nil, "", err // LoadOrCreateKey would make one
	}
	key, err := trust.LoadOrCreateKey(s.Secrets)
	if err != nil && info.Mode().Perm()&0o077 == 0 {
		return info, "", err
	}
	return info, key.Public().String(), nil // one that others can read is not loaded; its mode tells why
}

// examineRuntime has the runtime look at itself, and looks for what runs have left in it.
func (s *Site) examineRuntime(ctx context.Context) []openflow.Finding {
	list := s.Runtime.Examine(ctx)
	names, err := s.Orphans.List(ctx)
	if err != nil {
		return append(list, broken("orphans", err)...)
	}
	return append(list, doctor.Orphans(names))
}

// Bounds of what is looked at of the open workflows, the oldest first: those are the ones that an update has met.
const (
	lookedAt     = 200
	failingAfter = 3 // attempts; a worker that was restarted costs one
)

func (s *Site) examineTemporal(ctx context.Context) []openflow.Finding {
	service := s.Temporal.WorkflowService()
	info, err := service.GetSystemInfo(ctx, &workflowservice.GetSystemInfoRequest{})
	if err != nil {
		return doctor.Temporal("", []doctor.Queue{{Err: err}})
	}
	queues := []doctor.Queue{
		s.taskQueue(ctx, "of workflows", s.Queue, enumspb.TASK_QUEUE_TYPE_WORKFLOW),
		s.taskQueue(ctx, "of activities", s.Queue, enumspb.TASK_QUEUE_TYPE_ACTIVITY),
	}
	list := doctor.Temporal(info.GetServerVersion(), queues)
	failing, looked, open, err := s.failing(ctx)
	return append(list, doctor.Workflows(failing, looked, open, err), s.strays())
}

// strays tells what had lost its workflow, or its row, since the start of the node.
func (s *Site) strays() openflow.Finding {
	var ended []string
	for _, stray := range s.Strays.Ended() {
		ended = append(ended, stray.String()+" at "+stray.Found.UTC().Format(time.RFC3339)+": "+stray.Text())
	}
	return doctor.Strays(ended)
}

func (s *Site) taskQueue(ctx context.Context, name, queue string, kind enumspb.TaskQueueType) doctor.Queue {
	q, err := s.Temporal.WorkflowService().DescribeTaskQueue(ctx, &workflowservice.DescribeTaskQueueRequest{
		Namespace: s.Namespace, TaskQueue: &taskqueuepb.TaskQueue{Name: queue, Kind: enumspb.TASK_QUEUE_KIND_NORMAL},
		TaskQueueType: kind, ReportStats: true,
	})
	return doctor.Queue{
		Name: name, Pollers: len(q.GetPollers()), Backlog: q.GetStats().GetApproximateBacklogCount(),
		Age: q.GetStats().GetApproximateBacklogAge().AsDuration(), Err: err,
	}
}

// failing lists open workflows whose next decision has failed several times: they do not replay, or panic.
func (s *Site) failing(ctx context.Context) (failing []doctor.Failing, looked, open int, err error) {
	service, space := s.Temporal.WorkflowService(), s.Namespace
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

// waitsLookedAt bounds the waiting jobs that are looked at, the oldest first.
const waitsLookedAt = 500

func (s *Site) examineWork(ctx context.Context) []openflow.Finding {
	waiting, _, err := s.Rows.ScheduledJobsWhere(ctx, catalogue.ScheduledFilter{
		Statuses: []openflow.JobStatus{openflow.JobWaiting}, Limit: waitsLookedAt, Ascending: true,
	})
	if err != nil {
		return broken("waits", err)
	}
	waits := make([]doctor.Waiting, len(waiting))
	for i, j := range waiting {
		waits[i] = doctor.Waiting{Job: j.ID, Reason: j.Reason, For: time.Since(j.CreateTime)}
	}
	jobs, err := s.Rows.JobCounts(ctx)
	if err != nil {
		return broken("capacity", err)
	}
	used, err := s.Rows.CapacityUse(ctx)
	if err != nil {
		return broken("capacity", err)
	}
	open := jobs[openflow.JobReady] + jobs[openflow.JobWaiting] + jobs[openflow.JobRunning] // each may hold cores already
	return []openflow.Finding{doctor.Waits(waits), doctor.Capacity(used, s.Capacity, open)}
}

// noObject is a digest that no object has.
var noObject = strings.Repeat("0", 64)

// examineStores asks every store for something small.
func (s *Site) examineStores(ctx context.Context) []openflow.Finding {
	parts := []struct {
		name, place string
		ask         func() error
	}{
		{"catalogue", place(s.Places.Postgres, s.Home.Path("catalogue.db")), func() error {
			_, err := s.Rows.Meta(ctx, "doctor")
			return err
		}},
		{"objects", place(s.Places.S3, s.Home.Path("objects")), func() error {
			_, err := s.Objects.Stat(ctx, noObject)
			if openflow.CodeOf(err) == openflow.CodeNotFound {
				return nil
			}
			return err
		}},
		{"messages", place(s.Places.Redis, s.Home.Path("messages")), func() error {
			now := time.Now()
			_, err := s.Messages.UseNonce(ctx, string(s.Party), "doctor-"+strconv.FormatInt(now.UnixNano(), 10), now.Add(examination))
			return err
		}},
		{"events", place(s.Places.Redis, "memory"), func() error {
			_, err := s.Events.Subscribe(ctx, "")
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

func (s *Site) examineWorkers(ctx context.Context) []openflow.Finding {
	pooling, err := s.Pool.Pooling(ctx, "")
	if err != nil {
		return broken("workers", err)
	}
	w := doctor.Workers{Alone: pooling == nil, NoTasks: s.Pool.NoTasks, Cores: s.Capacity.Cores, Machine: s.Has.Cores, Gone: s.Pool.Times.Gone}
	if w.ShutOut, err = s.Pool.ShutOut(ctx); err != nil {
		return broken("workers", err)
	}
	if s.Pool.Open || s.Pool.Shared { // nobody misses others where the node has no pool any more
		if w.Silent, err = s.Pool.Silent(ctx); err != nil {
			return broken("workers", err)
		}
	}
	if w.Alive, err = s.Pool.Workers(ctx, ""); err != nil {
		return broken("workers", err)
	}
	labels := []string{""}
	for _, m := range w.Alive {
		labels = append(labels, m.Labels...)
	}
	slices.Sort(labels)
	for _, label := range slices.Compact(labels) {
		// That Temporal does not answer is a finding of its own.
		q := s.taskQueue(ctx, "of the pool", workflows.PoolQueue(label), enumspb.TASK_QUEUE_TYPE_ACTIVITY)
		w.Waiting.Backlog += q.Backlog
		w.Waiting.Age = max(w.Waiting.Age, q.Age)
	}
	return []openflow.Finding{w.Examine()}
}
