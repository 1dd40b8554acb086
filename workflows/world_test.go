package workflows_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"openflow"
	"openflow/activities"
	"openflow/store/document"
	"openflow/workflows"
)

var (
	guest   = openflow.Party{Role: openflow.RoleGuest, ID: "9999"}
	host    = openflow.Party{Role: openflow.RoleHost, ID: "10000"}
	arbiter = openflow.Party{Role: openflow.RoleArbiter, ID: "10001"}
)

// world is everything around one job workflow: the parties' nodes, the scheduler's record, and the clock. The
// activities are the real ones.
type world struct {
	full  bool // of jobs of the initiator
	freed bool // the submission may be made again under its key
	t     *testing.T
	env   *testsuite.TestWorkflowEnvironment

	// answer says what a party answers to a call; nil is success. n counts the calls of that kind at that party, from 1.
	answer map[string]func(n int) error
	// runs says how a run ends, by "task role"; the zero run succeeds after a second and reports it.
	runs map[string]run

	mu        sync.Mutex
	calls     []call
	count     map[string]int
	status    map[openflow.TaskKey]openflow.TaskStatus // as the parties know it
	over      map[openflow.Party]bool                  // where the job has ended
	records   []activities.JobNews                     // what the scheduler's record was told
	local     map[string]int                           // local activities by name
	regular   map[string]int                           // activities by name, every attempt
	ended     []openflow.TaskRun                       // as the scheduler's record has it
	accepted  map[string]error                         // how updates ended, by ID
	answers   map[string]any                           // to updates
	says      map[openflow.Party][]openflow.Spoken     // what a party would run tasks with
	protocols map[openflow.TaskKey]openflow.Protocol   // with which its runs were started
	warnings  []string                                 // of the job, at the scheduler's site
}

type call struct {
	what   string // "create guest"; of tasks: "start a guest"
	at     time.Time
	status string
	reason string
}

type run struct {
	after   time.Duration
	status  openflow.TaskStatus
	err     string
	code    openflow.Code
	follows bool // from what failed at another party
	silent  bool // its report is lost
	repeats int  // of its report
	never   bool // it does not end by itself
	undying bool // nor when it is stopped
}

func newWorld(t *testing.T) *world {
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	w := &world{
		t: t, env: suite.NewTestWorkflowEnvironment(), answer: map[string]func(int) error{}, runs: map[string]run{},
		count: map[string]int{}, status: map[openflow.TaskKey]openflow.TaskStatus{}, local: map[string]int{},
		regular: map[string]int{}, accepted: map[string]error{}, answers: map[string]any{}, protocols: map[openflow.TaskKey]openflow.Protocol{}, over: map[openflow.Party]bool{},
	}
	w.env.SetTestTimeout(20 * time.Second)
	w.env.RegisterActivity(&activities.Scheduling{Self: "9999", Directory: w, Jobs: w})
	w.env.RegisterWorkflow(workflows.Job)
	w.env.SetOnLocalActivityStartedListener(func(info *activity.Info, _ context.Context, _ []any) { w.note(w.local, info) })
	w.env.SetOnActivityStartedListener(func(info *activity.Info, _ context.Context, _ converter.EncodedValues) { w.note(w.regular, info) })
	return w
}

func (w *world) note(counts map[string]int, info *activity.Info) {
	w.mu.Lock()
	defer w.mu.Unlock()
	counts[info.ActivityType.Name]++
}

func timing() openflow.Timing {
	return openflow.Timing{Create: time.Minute, Partner: 10 * time.Minute, Undo: 24 * time.Hour, Collect: 12 * time.Hour}
}

func task(name openflow.TaskName, ups ...openflow.TaskName) openflow.PlannedTask {
	return openflow.PlannedTask{Name: name, Component: "noop", Upstreams: ups, Parties: []openflow.Party{guest, host}}
}

func jobOf(tasks ...openflow.PlannedTask) openflow.JobPlan {
	return openflow.JobPlan{
		ID: "J", Scheduler: "9999", Initiator: "9999", Parties: []openflow.Party{guest, host}, Tasks: tasks, Timing: timing(), Revision: workflows.Revision,
	}
}

func chain() openflow.JobPlan { return jobOf(task("a"), task("b", "a"), task("c", "b")) }

func diamond() openflow.JobPlan {
	return jobOf(task("a"), task("b", "a"), task("c", "a"), task("d", "b", "c"))
}

// run runs the job to the end of its workflow, which closes as the job ends.
func (w *world) run(p openflow.JobPlan) openflow.JobStatus {
	w.t.Helper()
	w.env.ExecuteWorkflow(workflows.Job, workflows.EncodePlan(p))
	require.True(w.t, w.env.IsWorkflowCompleted())
	var st openflow.JobStatus
	err := w.env.GetWorkflowError()
	if err == nil {
		require.NoError(w.t, w.env.GetWorkflowResult(&st))
		require.Equal(w.t, openflow.JobSuccess, st)
		return st
	}
	last := w.last()
	closedAs(w.t, err, openflow.TaskStatus(last.Status), last.Reason)
	return last.Status
}

// closedAs requires that a workflow has closed as its job or run has ended: canceled, or failed with the reason.
func closedAs(t *testing.T, err error, status openflow.TaskStatus, reason string) {
	t.Helper()
	var failed *temporal.ApplicationError
	var canceled *temporal.CanceledError
	if status == openflow.TaskCanceled {
		require.ErrorAs(t, err, &canceled)
		var said string
		require.NoError(t, canceled.Details(&said))
		require.Equal(t, reason, said)
		return
	}
	require.False(t, errors.As(err, &canceled), "%v", err)
	require.ErrorAs(t, err, &failed)
	require.Equal(t, reason, failed.Message())
	require.NotEmpty(t, failed.Type())
	require.True(t, failed.NonRetryable())
}

// after does something when that much time has passed since the start.
func (w *world) after(d time.Duration, do func()) { w.env.RegisterDelayedCallback(do, d) }

type updated struct {
	w  *world
	id string
}

func (u updated) Accept()          {}
func (u updated) Reject(err error) { u.Complete(nil, fmt.Errorf("rejected: %w", err)) }
func (u updated) Complete(answer any, err error) {
	u.w.mu.Lock()
	defer u.w.mu.Unlock()
	u.w.accepted[u.id], u.w.answers[u.id] = err, answer
}

func (w *world) update(name, id string, args ...any) {
	w.env.UpdateWorkflow(name, id, updated{w, id}, args...)
}

func (w *world) stop(s openflow.JobStatus, reason string) {
	w.update(workflows.UpdateStop, "stop", workflows.StopRequest{Status: s, Reason: reason})
}

// called lists the calls whose kind begins with prefix, in order.
func (w *world) called(prefix string) []call {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []call
	for _, c := range w.calls {
		if strings.HasPrefix(c.what, prefix) {
			list = append(list, c)
		}
	}
	return list
}

func (w *world) kinds(prefix string) []string {
	var kinds []string
	for _, c := range w.called(prefix) {
		kinds = append(kinds, c.what)
	}
	slices.Sort(kinds)
	return kinds
}

func (w *world) last() activities.JobNews {
	w.mu.Lock()
	defer w.mu.Unlock()
	require.NotEmpty(w.t, w.records)
	return w.records[len(w.records)-1]
}

// take notes a call and returns the party's answer.
func (w *world) take(what string, status, reason string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls = append(w.calls, call{what, w.env.Now(), status, reason})
	w.count[what]++
	if f := w.answer[what]; f != nil {
		return f(w.count[what])
	}
	return nil
}

// Partner implements openflow.Directory.
func (w *world) Partner(context.Context, openflow.PartyID) (openflow.PartnerService, error) {
	return partnerNode{w}, nil
}

// Scheduler implements openflow.Directory.
func (w *world) Scheduler(context.Context, openflow.PartyID) (openflow.SchedulerService, error) {
	return nil, openflow.Errorf(openflow.CodeInternal, "the job workflow calls no scheduler")
}

// ScheduledJob implements activities.JobStore.
func (w *world) ScheduledJob(_ context.Context, id openflow.JobID) (openflow.ScheduledJob, error) {
	return openflow.ScheduledJob{
		ID: id, UserName: "u", DAG: &openflow.DAG{Parties: []openflow.Party{guest, host}, Tasks: []openflow.Task{{Name: "a"}, {Name: "b"}, {Name: "c"}}},
	}, nil
}

// UpdateScheduledJob implements activities.JobStore.
func (w *world) UpdateScheduledJob(_ context.Context, id openflow.JobID, to openflow.JobStatus, reason string) (bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if n := len(w.records); n > 0 && w.records[n-1].Status.Terminal() && to != openflow.JobWaiting {
		return false, openflow.Errorf(openflow.CodeConflict, "job %s is %s", id, w.records[n-1].Status)
	}
	w.records = append(w.records, activities.JobNews{Job: id, Status: to, Reason: reason})
	return true, nil
}

// QueueScheduledJob implements activities.JobStore.
func (w *world) QueueScheduledJob(ctx context.Context, _ openflow.Quota, _ openflow.PartyID, id openflow.JobID, reason string) (bool, error) {
	if w.full {
		return false, openflow.OverQuota(openflow.CodeExhausted, "10000", "has as many jobs as it may have")
	}
	return w.UpdateScheduledJob(ctx, id, openflow.JobWaiting, reason)
}

// SetScheduledReason implements activities.JobStore.
func (w *world) SetScheduledReason(_ context.Context, id openflow.JobID, reason string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	last := w.records[len(w.records)-1]
	w.records = append(w.records, activities.JobNews{Job: id, Status: last.Status, Reason: reason, Progress: last.Progress})
	return nil
}

// FreeKey implements activities.JobStore.
func (w *world) FreeKey(context.Context, openflow.JobID) error {
	w.freed = true
	return nil
}

// SetScheduledTasks implements activities.JobStore.
func (w *world) SetScheduledTasks(_ context.Context, _ openflow.JobID, runs []openflow.TaskRun) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = runs
	return nil
}

// JobWarnings implements activities.JobStore.
func (w *world) JobWarnings(context.Context, openflow.PartyID, openflow.JobID) ([]string, error) {
	return w.warnings, nil
}

// SetScheduledProgress implements activities.JobStore.
func (w *world) SetScheduledProgress(_ context.Context, _ openflow.JobID, percent int) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.records[len(w.records)-1].Progress = percent
	return nil
}

// partnerNode is any party's node.
type partnerNode struct{ w *world }

var _ openflow.PartnerService = partnerNode{}

// OpenJob creates the job and asks for its resources.
func (p partnerNode) OpenJob(ctx context.Context, o openflow.JobOrder) (openflow.Reservation, error) {
	p.w.opened(o.Key.Party)
	if err := p.w.take("create "+string(o.Key.Party.Role), "", o.UserName); err != nil {
		return openflow.Reservation{}, err
	}
	r, err := p.Reserve(ctx, o.Key)
	r.Spoken = p.w.says[o.Key.Party]
	return r, err
}

func (p partnerNode) Reserve(_ context.Context, k openflow.JobKey) (openflow.Reservation, error) {
	return openflow.Reserved(openflow.About(openflow.AboutResource, p.w.take("apply "+string(k.Party.Role), "", "")))
}

func (p partnerNode) Release(_ context.Context, k openflow.JobKey) error {
	return p.w.take("return "+string(k.Party.Role), "", "")
}

func (p partnerNode) Tell(_ context.Context, k openflow.JobKey, n openflow.News) error {
	for _, u := range n.Tasks {
		if err := p.tellOf(u); err != nil {
			return err
		}
	}
	switch {
	case n.Status == openflow.JobRunning:
		return p.w.take("startjob "+string(k.Party.Role), "", "")
	case n.Status != "" || n.Reason != "":
		return p.w.take("update "+string(k.Party.Role), string(n.Status), n.Reason)
	}
	return nil
}

func (p partnerNode) StopJob(_ context.Context, k openflow.JobKey, end openflow.JobEnd) error {
	if err := p.w.take("stop "+string(k.Party.Role), string(end.Status), end.Reason); err != nil {
		return err
	}
	for _, u := range end.Tasks {
		if err := p.w.take(fmt.Sprintf("told %s %s", u.Key.Task, u.Key.Party.Role), string(u.Status), u.Reason); err != nil {
			return err
		}
	}
	p.w.mu.Lock()
	p.w.over[k.Party] = true
	p.w.mu.Unlock()
	p.w.halt(func(t openflow.TaskKey) bool { return t.Party == k.Party })
	return nil
}

func (p partnerNode) StartTask(ctx context.Context, o openflow.TaskStart) error {
	k := o.TaskKey
	name := string(k.Task) + " " + string(k.Party.Role)
	p.w.mu.Lock()
	p.w.protocols[k] = o.Protocol
	p.w.mu.Unlock()
	for _, u := range o.Ended {
		if err := p.tellOf(u); err != nil {
			return err
		}
	}
	if o.StartsJob {
		if err := p.Tell(ctx, k.JobKey(), openflow.News{Status: openflow.JobRunning}); err != nil {
			return err
		}
	}
	if k.Version > 0 {
		if err := p.w.take(fmt.Sprintf("rerun %s %s", k.Task, k.Party.Role), fmt.Sprint(k.Version), ""); err != nil {
			return err
		}
	}
	if err := p.w.take("start "+name, "", ""); err != nil {
		return err
	}
	p.w.mu.Lock()
	r, over := p.w.runs[name], p.w.over[k.Party]
	if !over {
		p.w.status[k] = openflow.TaskRunning
	}
	p.w.mu.Unlock()
	if over {
		return openflow.Errorf(openflow.CodeConflict, "the job has ended here")
	}
	if r.never {
		return nil
	}
	if r.after == 0 {
		r.after = time.Second
	}
	if r.status == "" {
		r.status = openflow.TaskSuccess
	}
	p.w.after(r.after, func() { p.w.end(k, r) })
	return nil
}

// opened notes that a party was asked for creation and resources at once.
func (w *world) opened(p openflow.Party) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.count["open "+string(p.Role)]++
}

// halt lets the runs end that somebody stops, as their containers would.
func (w *world) halt(which func(openflow.TaskKey) bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for k, s := range w.status {
		r := w.runs[string(k.Task)+" "+string(k.Party.Role)]
		if s == openflow.TaskRunning && which(k) && !r.undying {
			w.after(10*time.Millisecond, func() { w.end(k, run{status: openflow.TaskCanceled, silent: r.silent}) })
		}
	}
}

// end lets a run end and report, once.
func (w *world) end(k openflow.TaskKey, r run) {
	w.mu.Lock()
	was := w.status[k]
	if !was.Terminal() {
		w.status[k] = r.status
	}
	w.mu.Unlock()
	if was.Terminal() && was != r.status {
		return
	}
	if r.silent {
		return
	}
	for i := range r.repeats + 1 {
		id := fmt.Sprintf("%s/%s/%d", k.RunID(), r.status, i)
		w.update(workflows.UpdateReport, id, activities.Report{Run: document.EncodeRun(k), Status: r.status, Cause: document.Cause{Code: r.code, Text: r.err, Consequence: r.follows}})
	}
}

func (p partnerNode) tellOf(u openflow.TaskUpdate) error {
	if u.Status.Terminal() {
		p.w.halt(func(k openflow.TaskKey) bool { return k == u.Key })
	}
	return p.w.take(fmt.Sprintf("announce %s %s", u.Key.Task, u.Key.Party.Role), string(u.Status), u.Reason)
}

func (p partnerNode) AskTask(_ context.Context, k openflow.TaskKey) (openflow.TaskStanding, error) {
	name := string(k.Task) + " " + string(k.Party.Role)
	if err := p.w.take("collect "+name, "", ""); err != nil {
		return openflow.TaskStanding{}, err
	}
	p.w.mu.Lock()
	defer p.w.mu.Unlock()
	return openflow.TaskStanding{Key: k, PartyStatus: p.w.status[k], Cause: openflow.Cause{Text: p.w.runs[name].err}}, nil
}

// Faults.

func answers(code openflow.Code, text string) func(int) error {
	return func(int) error { return openflow.Errorf(code, "%s", text) }
}

func times(n int, code openflow.Code, text string) func(int) error {
	return func(i int) error {
		if i > n {
			return nil
		}
		return openflow.Errorf(code, "%s", text)
	}
}
