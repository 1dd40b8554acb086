package workflows_test

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"openflow"
	"openflow/activities"
	"openflow/store/document"
	"openflow/workflows"
)

// node stands in for the activities of a task workflow: same names, same types.
type node struct {
	run    func(ctx context.Context, attempt int) (activities.Outcome, error)
	record func(attempt int) error

	onRecord *activities.Outcome // the run had ended so before RecordEnd came; nil: it had not

	report func(attempt int) error

	mu      sync.Mutex
	runs    int
	ended   []activities.End
	reports []activities.End
}

func (n *node) RunTask(ctx context.Context, _ activities.TaskOrder) (activities.Outcome, error) {
	n.mu.Lock()
	n.runs++
	attempt := n.runs
	n.mu.Unlock()
	return n.run(ctx, attempt)
}

func (n *node) RecordEnd(_ context.Context, e activities.End) (activities.Outcome, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ended = append(n.ended, e)
	if n.record != nil {
		if err := n.record(len(n.ended)); err != nil {
			return activities.Outcome{}, activities.ToTemporal(err)
		}
	}
	if n.onRecord != nil {
		return *n.onRecord, nil
	}
	return e.Outcome, nil
}

// ReportTask is the real activity, which knows what refusal a repeat may help against.
func (n *node) ReportTask(ctx context.Context, e activities.End) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.reports = append(n.reports, e)
	var answer error
	if n.report != nil {
		answer = n.report(len(n.reports))
	}
	return (&activities.Running{Self: e.Order.Run.Party.ID, Directory: answering{answer: answer}}).ReportTask(ctx, e)
}

// answering is a scheduler that gives one answer to every report.
type answering struct {
	openflow.Directory
	openflow.SchedulerService
	answer error
}

func (a answering) Scheduler(context.Context, openflow.PartyID) (openflow.SchedulerService, error) {
	return a, nil
}

func (a answering) ReportTask(context.Context, openflow.PartyID, openflow.Report) error {
	return a.answer
}

var _ interface {
	RunTask(context.Context, activities.TaskOrder) (activities.Outcome, error)
	RecordEnd(context.Context, activities.End) (activities.Outcome, error)
	ReportTask(context.Context, activities.End) error
} = (*activities.Running)(nil)

func order() activities.TaskOrder {
	return activities.TaskOrder{
		Run: document.Run{Scheduler: "9999", Job: "J", Task: "a", Party: document.Party(host)}, Report: true, Timeout: time.Hour, Component: "noop",
		Revision: workflows.Revision,
	}
}

func taskEnv(n *node) *testsuite.TestWorkflowEnvironment {
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	env := suite.NewTestWorkflowEnvironment()
	env.SetTestTimeout(20 * time.Second)
	env.RegisterActivity(n)
	env.RegisterWorkflow(workflows.Task)
	return env
}

// closed requires that the workflow of a run has closed as the run has ended.
func closed(t *testing.T, env *testsuite.TestWorkflowEnvironment, out activities.Outcome) {
	t.Helper()
	require.True(t, env.IsWorkflowCompleted())
	if err := env.GetWorkflowError(); err != nil || !out.Status.Succeeded() {
		require.Error(t, err)
		closedAs(t, err, out.Status, out.Error)
		return
	}
	var st openflow.TaskStatus
	require.NoError(t, env.GetWorkflowResult(&st))
	require.Equal(t, out.Status, st)
}

func ends(out activities.Outcome, err error) func(context.Context, int) (activities.Outcome, error) {
	return func(context.Context, int) (activities.Outcome, error) { return out, err }
}

func TestTask(t *testing.T) {
	failure := activities.Outcome{Status: openflow.TaskFailed, Error: "exit code 7", Cause: document.Cause{Code: openflow.CodeRejected, Text: "exit code 7"}}
	lost := activities.ToTemporal(openflow.Errorf(openflow.CodeNotFound, "task \"a\" does not exist"))
	for name, tc := range map[string]struct {
		run      func(context.Context, int) (activities.Outcome, error)
		want     activities.Outcome
		recorded bool // by RecordEnd, because RunTask could not
	}{
		"success":             {ends(activities.Outcome{Status: openflow.TaskSuccess}, nil), activities.Outcome{Status: openflow.TaskSuccess}, false},
		"failure is a result": {ends(failure, nil), failure, false},
		"cannot be run": {
			ends(activities.Outcome{}, lost),
			activities.Outcome{Status: openflow.TaskFailed, Error: `task "a" does not exist`, Cause: document.Cause{Code: openflow.CodeNotFound, Text: "its node could not run it"}}, true,
		},
		"no outcome": {
			ends(activities.Outcome{}, nil),
			activities.Outcome{Status: openflow.TaskFailed, Error: "the run ended without an outcome", Cause: document.Cause{Code: openflow.CodeInternal, Text: "its node could not run it"}}, true,
		},
		"timeout of the activity": {
			ends(activities.Outcome{}, temporal.NewTimeoutError(enumspb.TIMEOUT_TYPE_START_TO_CLOSE, nil)),
			activities.Outcome{Status: openflow.TaskTimeout, Error: "the run took longer than its timeout", Cause: document.Cause{Code: openflow.CodeDeadline, Text: "the run took longer than its timeout"}}, true,
		},
		"second attempt": {
			func(_ context.Context, attempt int) (activities.Outcome, error) {
				if attempt < 3 {
					return activities.Outcome{}, activities.ToTemporal(openflow.Errorf(openflow.CodeUnavailable, "the runtime restarts"))
				}
				return activities.Outcome{Status: openflow.TaskSuccess}, nil
			}, activities.Outcome{Status: openflow.TaskSuccess}, false,
		},
	} {
		t.Run(name, func(t *testing.T) {
			n := &node{run: tc.run}
			env := taskEnv(n)
			env.ExecuteWorkflow(workflows.Task, order())
			closed(t, env, tc.want)
			want := activities.End{Order: order(), Outcome: tc.want}
			require.Equal(t, []activities.End{want}, n.reports)
			if tc.recorded {
				require.Equal(t, []activities.End{want}, n.ended)
			} else {
				require.Empty(t, n.ended)
			}
		})
	}
}

func TestEndSignal(t *testing.T) {
	for name, tc := range map[string]struct {
		request workflows.EndRequest
		want    activities.Outcome
	}{
		"canceled": {
			workflows.EndRequest{Status: openflow.TaskCanceled, Reason: "the job is canceled"},
			activities.Outcome{Status: openflow.TaskCanceled, Error: "the job is canceled", Cause: document.Cause{Code: openflow.CodeCanceled, Consequence: true}},
		},
		"failed": {
			workflows.EndRequest{Status: openflow.TaskFailed, Reason: "another party failed"},
			activities.Outcome{Status: openflow.TaskFailed, Error: "another party failed", Cause: document.Cause{Code: openflow.CodeCanceled, Consequence: true}},
		},
		"sent by hand without a status": {
			workflows.EndRequest{}, activities.Outcome{Status: openflow.TaskCanceled, Cause: document.Cause{Code: openflow.CodeCanceled, Consequence: true}},
		},
		"sent by hand with nonsense": {
			workflows.EndRequest{Status: "running"}, activities.Outcome{Status: openflow.TaskCanceled, Cause: document.Cause{Code: openflow.CodeCanceled, Consequence: true}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			n := &node{run: func(ctx context.Context, _ int) (activities.Outcome, error) {
				<-ctx.Done() // when the test environment closes the worker
				return activities.Outcome{}, ctx.Err()
			}}
			env := taskEnv(n)
			env.RegisterDelayedCallback(func() { env.SignalWorkflow(workflows.SignalEnd, tc.request) }, 100*time.Millisecond)
			env.ExecuteWorkflow(workflows.Task, order())
			closed(t, env, tc.want)
			want := []activities.End{{Order: order(), Outcome: tc.want}}
			require.Equal(t, want, n.ended)
			require.Equal(t, want, n.reports)
		})
	}
}

// A scheduler that does not answer may be back; one that refuses the signature may have the right key, or the right time,
// later.
func TestReportIsRepeatedUntilAcknowledged(t *testing.T) {
	for _, code := range []openflow.Code{openflow.CodeUnavailable, openflow.CodeUnauthorized} {
		t.Run(string(code), func(t *testing.T) {
			n := &node{run: ends(activities.Outcome{Status: openflow.TaskSuccess}, nil), report: times(8, code, "not now")}
			env := taskEnv(n)
			env.ExecuteWorkflow(workflows.Task, order())
			closed(t, env, activities.Outcome{Status: openflow.TaskSuccess})
			require.Len(t, n.reports, 9)
		})
	}
}

func TestRefusedReportEndsTheTask(t *testing.T) {
	n := &node{
		run:    ends(activities.Outcome{Status: openflow.TaskFailed, Error: "x"}, nil),
		report: func(int) error { return openflow.Errorf(openflow.CodePermission, "not your task") },
	}
	env := taskEnv(n)
	env.ExecuteWorkflow(workflows.Task, order())
	closed(t, env, activities.Outcome{Status: openflow.TaskFailed, Error: "x"})
	require.Len(t, n.reports, 1)
}

func TestTaskOfAPollJobReportsNothing(t *testing.T) {
	n := &node{run: ends(activities.Outcome{Status: openflow.TaskSuccess}, nil)}
	env := taskEnv(n)
	o := order()
	o.Report = false
	env.ExecuteWorkflow(workflows.Task, o)
	closed(t, env, activities.Outcome{Status: openflow.TaskSuccess})
	require.Empty(t, n.reports)
	require.Empty(t, n.ended)
}

// A full disk is a reason to wait, here and at the scheduler, as a restart is.
func TestEndThatCannotBeRecordedAtOnce(t *testing.T) {
	for _, code := range []openflow.Code{openflow.CodeUnavailable, openflow.CodeExhausted, openflow.CodeInternal} {
		t.Run(string(code), func(t *testing.T) {
			three := times(3, code, "not now")
			n := &node{
				run:    ends(activities.Outcome{}, activities.ToTemporal(openflow.Errorf(openflow.CodeNotFound, "gone"))),
				record: three, report: three,
			}
			env := taskEnv(n)
			env.ExecuteWorkflow(workflows.Task, order())
			closed(t, env, activities.Outcome{Status: openflow.TaskFailed, Error: "gone"})
			require.Len(t, n.ended, 4)
			require.Len(t, n.reports, 4)
		})
	}
}

// A stop that came too late does not change how the run ended.
func TestReportIsWhatIsOnRecord(t *testing.T) {
	done := activities.Outcome{Status: openflow.TaskSuccess}
	n := &node{run: ends(activities.Outcome{}, activities.ToTemporal(openflow.Errorf(openflow.CodeNotFound, "gone"))), onRecord: &done}
	env := taskEnv(n)
	env.ExecuteWorkflow(workflows.Task, order())
	closed(t, env, activities.Outcome{Status: openflow.TaskSuccess})
	require.Equal(t, done, n.reports[0].Outcome)
}

// Somebody cancels the workflow itself, in the Temporal UI: the run is ended, recorded and reported all the same.
func TestCanceledTaskWorkflow(t *testing.T) {
	n := &node{run: func(ctx context.Context, _ int) (activities.Outcome, error) {
		<-ctx.Done()
		return activities.Outcome{}, ctx.Err()
	}}
	env := taskEnv(n)
	env.RegisterDelayedCallback(env.CancelWorkflow, 100*time.Millisecond)
	env.ExecuteWorkflow(workflows.Task, order())
	require.True(t, env.IsWorkflowCompleted())
	require.Len(t, n.ended, 1)
	require.Equal(t, openflow.TaskCanceled, n.ended[0].Outcome.Status)
	closed(t, env, n.ended[0].Outcome)
	require.Len(t, n.reports, 1)
}

func TestNames(t *testing.T) {
	k := openflow.TaskKey{Scheduler: "9999", Job: "1", Task: "a", Version: 2, Party: host}
	require.Equal(t, "1", workflows.JobWorkflowID("1"))
	require.Equal(t, "1_a_2@9999@host_10000", workflows.TaskWorkflowID(k))
	theirs := k
	theirs.Scheduler = "9998"
	require.NotEqual(t, workflows.TaskWorkflowID(k), workflows.TaskWorkflowID(theirs), "two schedulers may use one job ID")
	require.Equal(t, fmt.Sprint(k.RunID()), workflows.TaskWorkflowID(k))
}
