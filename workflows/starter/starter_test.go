package starter_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	sdkclient "go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"google.golang.org/grpc"

	"openflow"
	"openflow/activities"
	"openflow/workflows"
	"openflow/workflows/starter"
)

// server is what of Temporal the engine uses: it notes requests and gives prepared answers.
type server struct {
	sdkclient.Client
	err      error // of the request
	busy     int   // how many requests are refused first because the workflow cannot take them
	result   error // of the update
	opts     sdkclient.StartWorkflowOptions
	update   sdkclient.UpdateWorkflowOptions
	args     []any
	signal   [3]any // workflow, name, argument
	fate     enumspb.WorkflowExecutionStatus
	closing  *historypb.HistoryEvent // the last event of a workflow that has closed
	queries  []string
	requests []string // IDs of signals
}

func (s *server) NewWithStartWorkflowOperation(o sdkclient.StartWorkflowOptions, _ any, args ...any) sdkclient.WithStartWorkflowOperation {
	s.opts, s.args = o, args
	return nil
}

func (s *server) UpdateWithStartWorkflow(_ context.Context, o sdkclient.UpdateWithStartWorkflowOptions) (sdkclient.WorkflowUpdateHandle, error) {
	s.update = o.UpdateOptions
	return s.answer()
}

func (s *server) answer() (sdkclient.WorkflowUpdateHandle, error) {
	if s.busy > 0 {
		s.busy--
		return nil, fmt.Errorf("failed workflow update: %w", serviceerror.NewWorkflowNotReady("Workflow Task in failed state"))
	}
	return handle{err: s.result}, s.err
}

func (s *server) UpdateWorkflow(_ context.Context, o sdkclient.UpdateWorkflowOptions) (sdkclient.WorkflowUpdateHandle, error) {
	s.update = o
	return s.answer()
}

func (s *server) ExecuteWorkflow(_ context.Context, o sdkclient.StartWorkflowOptions, _ any, args ...any) (sdkclient.WorkflowRun, error) {
	s.opts, s.args = o, args
	return nil, s.err
}

func (s *server) SignalWorkflow(_ context.Context, id, _, name string, arg any) error {
	s.signal = [3]any{id, name, arg}
	return s.err
}

// DescribeWorkflow is of a workflow that goes on, unless the fate says otherwise.
func (s *server) DescribeWorkflow(_ context.Context, id, _ string) (*sdkclient.WorkflowExecutionDescription, error) {
	d := &sdkclient.WorkflowExecutionDescription{}
	d.WorkflowExecution.ID, d.WorkflowExecution.RunID, d.Status = id, "instance", enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING
	if s.fate != enumspb.WORKFLOW_EXECUTION_STATUS_UNSPECIFIED {
		d.Status = s.fate
	}
	return d, s.err
}

func (s *server) QueryWorkflow(_ context.Context, _, _, query string, _ ...any) (converter.EncodedValue, error) {
	s.queries = append(s.queries, query)
	payloads, err := converter.GetDefaultDataConverter().ToPayloads(workflows.Stopped{Status: openflow.JobCanceled, Reason: "since"})
	return sdkclient.NewValue(payloads), err
}

func (s *server) WorkflowService() workflowservice.WorkflowServiceClient { return signals{of: s} }

// signals takes signals that have an ID.
type signals struct {
	workflowservice.WorkflowServiceClient
	of *server
}

func (s signals) SignalWorkflowExecution(
	_ context.Context, r *workflowservice.SignalWorkflowExecutionRequest, _ ...grpc.CallOption,
) (*workflowservice.SignalWorkflowExecutionResponse, error) {
	var arg workflows.EndRequest
	if err := converter.GetDefaultDataConverter().FromPayloads(r.GetInput(), &arg); err != nil {
		return nil, err
	}
	s.of.signal = [3]any{r.GetWorkflowExecution().GetWorkflowId(), r.GetSignalName(), arg}
	s.of.requests = append(s.of.requests, r.GetRequestId())
	return nil, s.of.err
}

// instance is a run of a workflow, and how it closes.
type instance struct {
	sdkclient.WorkflowRun
	end error
}

func (i instance) GetRunID() string               { return "instance" }
func (i instance) Get(context.Context, any) error { return i.end }

// closes is a server whose workflow has closed before it takes the update.
type closes struct {
	server
	end error
}

func (c *closes) ExecuteWorkflow(context.Context, sdkclient.StartWorkflowOptions, any, ...any) (sdkclient.WorkflowRun, error) {
	return instance{end: c.end}, nil
}

// A rerun that a party refuses at once is refused, whatever Temporal makes of the question that came too late.
func TestRerunThatClosesAtOnce(t *testing.T) {
	aborted := serviceerror.NewNotFound("workflow update was aborted by closing workflow")
	for name, s := range map[string]server{"before it takes the question": {err: aborted}, "before it answers": {result: errMissed}} {
		e := &starter.Engine{Client: &closes{s, refusal(openflow.CodeRejected)}, Queue: "q"}
		err := e.RerunJob(t.Context(), openflow.JobPlan{ID: "1"})
		require.Equal(t, openflow.CodeRejected, openflow.CodeOf(err), "%s: %v", name, err)
		require.ErrorContains(t, err, "no grant", name)
		require.NoError(t, (&starter.Engine{Client: &closes{s, nil}, Queue: "q"}).RerunJob(t.Context(), openflow.JobPlan{ID: "1"}), "it has run to its end")
	}
}

type handle struct {
	sdkclient.WorkflowUpdateHandle
	err error
}

func (h handle) Get(context.Context, any) error { return h.err }

var key = openflow.TaskKey{Scheduler: "9999", Job: "1", Task: "a", Party: openflow.Party{Role: openflow.RoleHost, ID: "10000"}}

// refusal is an error of a workflow as a client gets it.
func refusal(code openflow.Code) error {
	return activities.ToTemporal(openflow.AtParty("10000", openflow.Errorf(code, "no grant")))
}

var (
	notFound  = serviceerror.NewNotFound("workflow not found for ID")
	started   = serviceerror.NewWorkflowExecutionAlreadyStarted("Workflow execution already finished", "", "")
	errMissed = temporal.NewNonRetryableApplicationError("Workflow Update failed because the Workflow completed before the Update completed.", "AcceptedUpdateCompletedWorkflow", nil)
)

func TestAnswersOfTemporal(t *testing.T) {
	calls := map[string]func(*starter.Engine) error{
		"start job": func(e *starter.Engine) error {
			_, err := e.StartJob(t.Context(), openflow.JobPlan{ID: "1"})
			return err
		},
		"stop job": func(e *starter.Engine) error {
			_, err := e.StopJob(t.Context(), "1", openflow.JobCanceled, "r")
			return err
		},
		"report":     func(e *starter.Engine) error { return e.ReportTask(t.Context(), openflow.Report{Key: key}) },
		"wake":       func(e *starter.Engine) error { return e.WakeJobs(t.Context(), []openflow.JobID{"1"}) },
		"start task": func(e *starter.Engine) error { return e.StartTask(t.Context(), openflow.TaskOrder{Key: key}) },
		"stop task": func(e *starter.Engine) error {
			return e.StopTask(t.Context(), key, openflow.TaskFailed, "r")
		},
	}
	for name, tc := range map[string]struct {
		err  error
		want map[string]openflow.Code // by call; a call without an entry succeeds
	}{
		"success": {nil, nil},
		"no such workflow": {notFound, map[string]openflow.Code{
			"start job": openflow.CodeNotFound, "stop job": openflow.CodeNotFound, "report": openflow.CodeNotFound, "start task": openflow.CodeNotFound,
			"stop task": openflow.CodeNotFound,
		}},
		"it has ended": {fmt.Errorf("failed workflow start: %w", started), map[string]openflow.Code{
			"stop job": openflow.CodeNotFound, "report": openflow.CodeNotFound,
			"wake": openflow.CodeInternal, "stop task": openflow.CodeInternal, // signals do not answer so
		}},
		"Temporal is away":       {serviceerror.NewUnavailable("connection refused"), all(calls, openflow.CodeUnavailable)},
		"Temporal is busy":       {serviceerror.NewResourceExhausted(enumspb.RESOURCE_EXHAUSTED_CAUSE_RPS_LIMIT, "busy"), all(calls, openflow.CodeUnavailable)},
		"no time left":           {fmt.Errorf("rpc: %w", context.DeadlineExceeded), all(calls, openflow.CodeDeadline)},
		"called off":             {fmt.Errorf("rpc: %w", context.Canceled), all(calls, openflow.CodeCanceled)},
		"deadline of the server": {serviceerror.NewDeadlineExceeded("context deadline exceeded"), all(calls, openflow.CodeDeadline)},
		"broken":                 {errors.New("boom"), all(calls, openflow.CodeInternal)},
	} {
		for call, do := range calls {
			t.Run(name+", "+call, func(t *testing.T) {
				err := do(&starter.Engine{Client: &server{err: tc.err}, Queue: "q"})
				require.Equal(t, tc.want[call], openflow.CodeOf(err), "%v", err)
			})
		}
	}
}

func all(calls map[string]func(*starter.Engine) error, code openflow.Code) map[string]openflow.Code {
	m := map[string]openflow.Code{}
	for c := range calls {
		m[c] = code
	}
	return m
}

// A workflow that cannot take a request for a moment takes it then, and nobody hears of it. What it cannot take at all is
// worth another try, and no defect.
func TestAWorkflowThatIsNotReady(t *testing.T) {
	for name, do := range map[string]func(context.Context, *starter.Engine) error{
		"start job": func(ctx context.Context, e *starter.Engine) error {
			_, err := e.StartJob(ctx, openflow.JobPlan{ID: "1"})
			return err
		},
		"stop job": func(ctx context.Context, e *starter.Engine) error {
			_, err := e.StopJob(ctx, "1", openflow.JobCanceled, "r")
			return err
		},
		"report": func(ctx context.Context, e *starter.Engine) error {
			return e.ReportTask(ctx, openflow.Report{Key: key})
		},
	} {
		require.NoError(t, do(t.Context(), &starter.Engine{Client: &server{busy: 2}}), name)
		over, cancel := context.WithCancel(t.Context())
		cancel()
		require.Equal(t, openflow.CodeCanceled, openflow.CodeOf(do(over, &starter.Engine{Client: &server{busy: 1 << 20}})), name)
	}
	signal := (&starter.Engine{Client: &server{err: serviceerror.NewWorkflowNotReady("Workflow Task in failed state")}}).StopTask(t.Context(), key, openflow.TaskFailed, "r")
	require.Equal(t, openflow.CodeUnavailable, openflow.CodeOf(signal))
	require.ErrorContains(t, signal, "this node is too busy to go on with the job now")
}

// What a workflow refuses keeps its code, party and words.
func TestRefusalsOfAWorkflow(t *testing.T) {
	for _, code := range []openflow.Code{openflow.CodePermission, openflow.CodeInvalid, openflow.CodeUnavailable} {
		_, err := (&starter.Engine{Client: &server{result: refusal(code)}}).StartJob(t.Context(), openflow.JobPlan{ID: "1"})
		var e *openflow.Error
		require.ErrorAs(t, err, &e)
		require.Equal(t, code, e.Code)
		require.Equal(t, openflow.PartyID("10000"), e.Party)
		require.Equal(t, "no grant", e.Message)
	}
}

// A report that a workflow turns away because it changes nothing has been taken.
func TestStaleReport(t *testing.T) {
	e := &starter.Engine{Client: &server{result: temporal.NewApplicationError("the report changes nothing", workflows.ErrorStale)}}
	require.NoError(t, e.ReportTask(t.Context(), openflow.Report{Key: key}))
}

// A report of a run that has not been started is to be made again.
func TestEarlyReport(t *testing.T) {
	e := &starter.Engine{Client: &server{result: temporal.NewApplicationError("the run has not been started", workflows.ErrorEarly)}}
	require.True(t, openflow.CodeOf(e.ReportTask(t.Context(), openflow.Report{Key: key})).Retryable())
}

// A workflow that completes before it has answered an update.
func TestUpdateThatMissedTheWorkflow(t *testing.T) {
	e := &starter.Engine{Client: &server{result: errMissed}}
	_, err := e.StartJob(t.Context(), openflow.JobPlan{ID: "1"})
	require.NoError(t, err, "it was created, and has ended")
	require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(e.ReportTask(t.Context(), openflow.Report{Key: key})))
	_, err = e.StopJob(t.Context(), "1", openflow.JobCanceled, "r")
	require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(err))
}

func TestStartJob(t *testing.T) {
	s := &server{}
	p := openflow.JobPlan{
		ID: "1", Name: "4 tasks, 3 parties", UserName: "ann", Initiator: "9999", Scheduler: "10000", Parties: []openflow.Party{key.Party},
	}
	_, err := (&starter.Engine{Client: s, Queue: "q"}).StartJob(t.Context(), p)
	require.NoError(t, err)
	p.Revision = workflows.Revision
	require.Equal(t, []any{workflows.EncodePlan(p)}, s.args)
	require.Equal(t, "1", s.opts.ID)
	require.Equal(t, "q", s.opts.TaskQueue)
	require.Equal(t, "job 1: 4 tasks, 3 parties", s.opts.StaticSummary)
	require.False(t, s.opts.EnableEagerStart)
	unique(t, s.opts)
	require.Equal(t, workflows.UpdateCreated, s.update.UpdateName)
	require.Equal(t, workflows.UpdateCreated, s.update.UpdateID, "a repeat gets the first answer")
	attribute(t, s.opts, workflows.AttributeJob, "1")
	attribute(t, s.opts, workflows.AttributeParty, "9999")
	attribute(t, s.opts, workflows.AttributeStatus, "waiting")
	require.Equal(t, map[string]any{
		"name": "4 tasks, 3 parties", "user": "ann",
		"initiator": openflow.PartyID("9999"), "scheduler": openflow.PartyID("10000"), "parties": "host 10000",
	}, s.opts.Memo)
}

// unique checks that a second start finds the first workflow, running or ended.
func unique(t *testing.T, o sdkclient.StartWorkflowOptions) {
	t.Helper()
	require.Equal(t, enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING, o.WorkflowIDConflictPolicy)
	require.Equal(t, enumspb.WORKFLOW_ID_REUSE_POLICY_REJECT_DUPLICATE, o.WorkflowIDReusePolicy)
}

func attribute(t *testing.T, o sdkclient.StartWorkflowOptions, k temporal.SearchAttributeKeyKeyword, want string) {
	t.Helper()
	got, ok := o.TypedSearchAttributes.GetKeyword(k)
	require.True(t, ok)
	require.Equal(t, want, got)
}

func TestStartTask(t *testing.T) {
	s := &server{}
	o := openflow.TaskOrder{Key: key, Component: "psi"}
	require.NoError(t, (&starter.Engine{Client: s, Queue: "q"}).StartTask(t.Context(), o))
	o.Revision = workflows.Revision
	require.Equal(t, []any{activities.EncodeOrder(o)}, s.args)
	require.Equal(t, "1_a_0@9999@host_10000", s.opts.ID)
	require.Equal(t, "a: psi as host", s.opts.StaticSummary)
	require.True(t, s.opts.EnableEagerStart)
	unique(t, s.opts)
	attribute(t, s.opts, workflows.AttributeTask, "a")
	attribute(t, s.opts, workflows.AttributeRole, "host")
	attribute(t, s.opts, workflows.AttributeComponent, "psi")
	attribute(t, s.opts, workflows.AttributeStatus, "running")
	require.Equal(t, map[string]any{"scheduler": openflow.PartyID("9999")}, s.opts.Memo)
}

func TestReportsAreToldApart(t *testing.T) {
	s := &server{}
	e := &starter.Engine{Client: s}
	require.NoError(t, e.ReportTask(t.Context(), openflow.Report{Key: key, Status: openflow.TaskFailed}))
	require.Equal(t, "1", s.update.WorkflowID)
	failed := s.update.UpdateID
	require.NoError(t, e.ReportTask(t.Context(), openflow.Report{Key: key, Status: openflow.TaskFailed, Cause: openflow.Cause{Text: "more words"}}))
	require.Equal(t, failed, s.update.UpdateID, "a repeat is one update")
	require.NoError(t, e.ReportTask(t.Context(), openflow.Report{Key: key, Status: openflow.TaskSuccess}))
	require.NotEqual(t, failed, s.update.UpdateID)
}

// All requests to stop a job are one update. A repeat is told how the job stands by then.
func TestStopsAreOneUpdate(t *testing.T) {
	s := &server{}
	for range 2 {
		got, err := (&starter.Engine{Client: s}).StopJob(t.Context(), "1", openflow.JobCanceled, "r")
		require.NoError(t, err)
		require.Equal(t, openflow.Stopped{Status: openflow.JobCanceled, Reason: "since"}, got)
		require.Equal(t, workflows.UpdateStop, s.update.UpdateID)
	}
	require.Equal(t, []string{workflows.QueryStopped, workflows.QueryStopped}, s.queries)
}

// What has become of a workflow is told with who has ended it, in a line.
func TestFate(t *testing.T) {
	by := &historypb.HistoryEvent{Attributes: &historypb.HistoryEvent_WorkflowExecutionTerminatedEventAttributes{
		WorkflowExecutionTerminatedEventAttributes: &historypb.WorkflowExecutionTerminatedEventAttributes{Identity: "ann", Reason: "bored\n" + strings.Repeat("x", 9000)},
	}}
	w := openflow.Workflow{Job: "1"}
	for name, tc := range map[string]struct {
		server server
		want   openflow.Fate
		code   openflow.Code
	}{
		"goes on":       {server{}, openflow.Fate{Known: true, Open: true, Instance: "instance"}, ""},
		"none":          {server{err: notFound}, openflow.Fate{How: "it was deleted, or never started"}, ""},
		"Temporal away": {server{err: serviceerror.NewUnavailable("refused")}, openflow.Fate{}, openflow.CodeUnavailable},
		"completed": {
			server{fate: enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED, closing: &historypb.HistoryEvent{}},
			openflow.Fate{Known: true, Instance: "instance", How: "it closed before its end was recorded"}, "",
		},
		"timed out": {
			server{fate: enumspb.WORKFLOW_EXECUTION_STATUS_TIMED_OUT, closing: &historypb.HistoryEvent{}},
			openflow.Fate{Known: true, Instance: "instance", How: "it timed out"}, "",
		},
		"terminated": {
			server{fate: enumspb.WORKFLOW_EXECUTION_STATUS_TERMINATED, closing: by},
			openflow.Fate{Known: true, Instance: "instance", How: "terminated by ann: bored"}, "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := (&starter.Engine{Client: &tc.server}).Fate(t.Context(), w)
			require.Equal(t, tc.code, openflow.CodeOf(err))
			require.Equal(t, tc.want, got)
		})
	}
}

func (s *server) GetWorkflowHistory(context.Context, string, string, bool, enumspb.HistoryEventFilterType) sdkclient.HistoryEventIterator {
	return &last{s.closing}
}

// last is a history of which the last event is asked for.
type last struct{ event *historypb.HistoryEvent }

func (l *last) HasNext() bool { return l.event != nil }

func (l *last) Next() (*historypb.HistoryEvent, error) {
	e := l.event
	l.event = nil
	return e, nil
}

// What ends a job or a run in the place of a workflow that is gone has its name, which is a lock.
func TestEndInThePlaceOfAWorkflow(t *testing.T) {
	s := &server{}
	p := openflow.JobPlan{ID: "1", Lost: openflow.Lost{Status: openflow.JobFailed, Reason: "terminated"}, Parties: []openflow.Party{key.Party}}
	require.NoError(t, (&starter.Engine{Client: s, Queue: "q"}).EndJob(t.Context(), p))
	replaces := func(id string) {
		require.Equal(t, id, s.opts.ID)
		require.Equal(t, enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING, s.opts.WorkflowIDConflictPolicy)
		require.Equal(t, enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE, s.opts.WorkflowIDReusePolicy)
	}
	replaces("1")
	p.Revision = workflows.Revision
	require.Equal(t, []any{workflows.EncodePlan(p)}, s.args)
	o := openflow.TaskOrder{Key: key, Component: "psi", Lost: "terminated"}
	require.NoError(t, (&starter.Engine{Client: s, Queue: "q"}).EndTask(t.Context(), o))
	replaces("1_a_0@9999@host_10000")
	o.Revision = workflows.Revision
	require.Equal(t, []any{activities.EncodeOrder(o)}, s.args)
}

func TestStopTask(t *testing.T) {
	s := &server{}
	require.NoError(t, (&starter.Engine{Client: s}).StopTask(t.Context(), key, openflow.TaskFailed, "r"))
	require.Equal(t, [3]any{"1_a_0@9999@host_10000", workflows.SignalEnd, workflows.EndRequest{Status: openflow.TaskFailed, Reason: "r"}}, s.signal)
	require.NoError(t, (&starter.Engine{Client: s}).StopTask(t.Context(), key, openflow.TaskCanceled, "once more"))
	require.Equal(t, s.requests[0], s.requests[1], "Temporal drops the second one: it knows its ID")
}
