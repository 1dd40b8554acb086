package activities_test

import (
	"context"
	"io"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/testsuite"

	"openflow"
	"openflow/activities"
	"openflow/runtime/driver"
	"openflow/runtime/fake"
	"openflow/store/document"
)

func TestRunTask(t *testing.T) {
	failing := func(code int, s openflow.TaskStatus, report string) func(*party) fake.Plan {
		return func(p *party) fake.Plan {
			return fake.Plan{ExitCode: code, Run: func(context.Context, driver.Spec, io.Writer, io.Writer) int {
				p.says(s, report)
				return code
			}}
		}
	}
	seven, killed := 7, 137
	zero := 0
	for name, tc := range map[string]struct {
		plan func(*party) fake.Plan
		want activities.Outcome
		exit *int
	}{
		"success": {func(*party) fake.Plan { return fake.Plan{} }, activities.Outcome{Status: openflow.TaskSuccess}, &zero},
		"exit code": {
			failing(7, "", ""),
			activities.Outcome{Status: openflow.TaskFailed, Error: "the program ended with exit code 7; openflow job logs shows what it has written", Cause: document.Cause{Code: openflow.CodeRejected, Text: "the program ended with exit code 7"}}, &seven,
		},
		"exit code and report": {
			failing(7, openflow.TaskFailed, "no column x\nat line 3"),
			activities.Outcome{Status: openflow.TaskFailed, Error: "no column x", Cause: document.Cause{Code: openflow.CodeRejected}}, &seven,
		},
		"reported failure, exit code 0": {
			failing(0, openflow.TaskFailed, ""),
			activities.Outcome{Status: openflow.TaskFailed, Error: "the program reported failure; openflow job logs shows what it has written", Cause: document.Cause{Code: openflow.CodeRejected, Text: "the program reported failure"}}, &zero,
		},
		"no report": {
			failing(0, "", ""),
			activities.Outcome{Status: openflow.TaskFailed, Error: "the program ended without reporting success; openflow job logs shows what it has written", Cause: document.Cause{Code: openflow.CodeRejected, Text: "the program ended without reporting success"}}, &zero,
		},
		"out of memory": {
			func(*party) fake.Plan { return fake.Plan{OOM: true} },
			activities.Outcome{
				Status: openflow.TaskFailed, Error: "the program was killed for using more memory than the task may", Cause: document.Cause{Code: openflow.CodeRejected, Text: "the program was killed for using more memory than the task may"},
			}, &killed,
		},
		"lost": {
			func(*party) fake.Plan { return fake.Plan{Lost: true} },
			activities.Outcome{
				Status: openflow.TaskFailed, Error: "the machine lost the program before its end was recorded", Cause: document.Cause{Code: openflow.CodeUnavailable, Text: "the machine lost the program before its end was recorded"},
			}, nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newParty(t, fake.Plan{})
			plan := tc.plan(p)
			plan.Stdout, plan.Stderr = "out", "err"
			if plan.Run == nil {
				plan.Run = func(context.Context, driver.Spec, io.Writer, io.Writer) int {
					p.says(openflow.TaskSuccess, "")
					return 0
				}
			}
			p.runtime = fake.New(func(driver.Spec) fake.Plan { return plan })
			got, err := p.attempt(attempt{}, order(time.Minute))
			require.NoError(t, err)
			require.Equal(t, tc.want, got)
			end := p.store.recorded()
			require.NotNil(t, end)
			require.Equal(t, tc.want.Status, end.Status)
			require.Equal(t, tc.want.Error, end.Reason)
			require.Equal(t, tc.exit, end.ExitCode)
			require.Equal(t, "digest", end.LogDigest)
			require.Equal(t, "outerr", p.logs.got)
			require.Equal(t, "fake", p.store.rec.Runtime)
			require.Equal(t, container, p.store.rec.ContainerName)
			p.gone()
		})
	}
}

func TestTimeoutStopsTheContainer(t *testing.T) {
	p := newParty(t, fake.Plan{Hold: make(chan struct{})})
	got, err := p.attempt(attempt{}, order(50*time.Millisecond))
	require.NoError(t, err)
	require.Equal(t, openflow.TaskTimeout, got.Status)
	require.Equal(t, openflow.CodeDeadline, got.Cause.Code)
	require.Contains(t, got.Error, "timeout")
	require.Equal(t, openflow.TaskTimeout, p.store.recorded().Status)
	p.gone()
}

// The timeout counts from the first start, not from that of the node.
func TestTimeoutAcrossARestart(t *testing.T) {
	p := newParty(t, fake.Plan{Hold: make(chan struct{})})
	p.store.rec.PartyStatus, p.store.rec.StartTime = openflow.TaskRunning, time.Now().Add(-time.Hour)
	got, err := p.attempt(attempt{}, order(time.Hour))
	require.NoError(t, err)
	require.Equal(t, openflow.TaskTimeout, got.Status)
}

// A worker that stops leaves the container alone, and the next attempt takes it over.
func TestWorkerStopLeavesTheContainer(t *testing.T) {
	hold := make(chan struct{})
	p := newParty(t, fake.Plan{Hold: hold})
	stop := make(chan struct{})
	go func() {
		p.running()
		close(stop) // long before the worker gives up and cancels
	}()
	_, err := p.attempt(attempt{t.Context(), stop}, order(time.Hour))
	require.Error(t, err)
	require.True(t, retried(err), "Temporal gives it to the next worker: %v", err)
	require.Nil(t, p.store.recorded(), "nothing has ended")
	st, err := p.container()
	require.NoError(t, err)
	require.Equal(t, driver.StateRunning, st.State)

	close(hold)
	got, err := p.attempt(attempt{}, order(time.Hour))
	require.NoError(t, err)
	require.Equal(t, openflow.TaskSuccess, got.Status)
	require.Equal(t, 1, p.runtime.Runs(container), "the program ran once")
}

// A worker that stops has no time for a program to end: the next one stops it.
func TestWorkerStopDoesNotWaitForAKilledRun(t *testing.T) {
	p := newParty(t, fake.Plan{Hold: make(chan struct{})})
	ctx, cancel := context.WithCancel(t.Context())
	stop := make(chan struct{})
	go func() {
		p.running()
		p.store.change(func(r *openflow.TaskRecord) { r.Killed, r.StopStatus = true, openflow.TaskCanceled })
		close(stop)
		cancel()
	}()
	_, err := p.attempt(attempt{ctx, stop}, order(time.Hour))
	require.True(t, retried(err), "%v", err)
	st, err := p.container()
	require.NoError(t, err)
	require.Equal(t, driver.StateRunning, st.State)
}

// Another attempt may have taken over: then a cancellation is nobody's wish to end the run.
func TestCancellationWithoutAStopLeavesTheContainer(t *testing.T) {
	p := newParty(t, fake.Plan{Hold: make(chan struct{})})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { p.running(); cancel() }()
	_, err := p.attempt(attempt{ctx: ctx}, order(time.Hour))
	require.Error(t, err)
	require.Nil(t, p.store.recorded())
	st, err := p.container()
	require.NoError(t, err)
	require.Equal(t, driver.StateRunning, st.State)
}

func TestCancellationOfAKilledRunStopsIt(t *testing.T) {
	for name, tc := range map[string]struct {
		want openflow.TaskStatus
		with openflow.TaskStatus
	}{
		"canceled": {openflow.TaskCanceled, openflow.TaskCanceled}, "failed": {openflow.TaskFailed, openflow.TaskFailed},
		"unsaid": {openflow.TaskCanceled, ""}, "success is no stop": {openflow.TaskCanceled, openflow.TaskSuccess},
	} {
		t.Run(name, func(t *testing.T) {
			p := newParty(t, fake.Plan{Hold: make(chan struct{}), Run: func(context.Context, driver.Spec, io.Writer, io.Writer) int { return 0 }})
			ctx, cancel := context.WithCancel(t.Context())
			go func() {
				p.running()
				p.store.change(func(r *openflow.TaskRecord) { r.Killed, r.StopStatus, r.Reason = true, tc.with, "the job is canceled" })
				cancel()
			}()
			got, err := p.attempt(attempt{ctx: ctx}, order(time.Hour))
			require.NoError(t, err)
			require.Equal(t, activities.Outcome{Status: tc.want, Error: "the job is canceled", Cause: document.Cause{Code: openflow.CodeCanceled, Text: "it was stopped", Consequence: true}}, got)
			require.Equal(t, tc.want, p.store.recorded().Status)
			p.gone()
		})
	}
}

// Whatever has happened before the node went down, the next attempt ends the run once.
func TestAdoption(t *testing.T) {
	for name, prepare := range map[string]func(*party){
		"created": func(p *party) {
			_, err := p.runtime.Ensure(p.t.Context(), driver.Spec{Name: container, Image: "x", Labels: map[string]string{"node": "n"}})
			require.NoError(p.t, err)
		},
		"exited": func(p *party) {
			_, err := p.runtime.Ensure(p.t.Context(), driver.Spec{Name: container, Image: "x", Labels: map[string]string{"node": "n"}})
			require.NoError(p.t, err)
			require.NoError(p.t, p.runtime.Start(p.t.Context(), container))
			_, err = p.runtime.Wait(p.t.Context(), container)
			require.NoError(p.t, err)
		},
		"store fails at the end": func(p *party) {
			p.store.fail["FinishTask"] = openflow.Errorf(openflow.CodeInternal, "disk full")
			_, err := p.attempt(attempt{}, order(time.Minute))
			require.True(p.t, retried(err))
			_, err = p.container()
			require.NoError(p.t, err, "nothing is removed before its outcome is recorded")
		},
		"log store fails": func(p *party) {
			p.logs.err = openflow.Errorf(openflow.CodeInternal, "disk full")
			_, err := p.attempt(attempt{}, order(time.Minute))
			require.True(p.t, retried(err))
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newParty(t, fake.Plan{})
			prepare(p)
			got, err := p.attempt(attempt{}, order(time.Minute))
			require.NoError(t, err)
			require.Equal(t, activities.Outcome{Status: openflow.TaskSuccess}, got)
			require.Equal(t, 1, p.runtime.Runs(container))
			p.gone()
		})
	}
}

// An answer of the activity that got lost is given again.
func TestRecordedOutcomeIsFinal(t *testing.T) {
	p := newParty(t, fake.Plan{})
	p.store.rec.PartyStatus, p.store.rec.Reason = openflow.TaskFailed, "exit code 7"
	got, err := p.attempt(attempt{}, order(time.Minute))
	require.NoError(t, err)
	require.Equal(t, activities.Outcome{Status: openflow.TaskFailed, Error: "exit code 7"}, got)
	require.Zero(t, p.runtime.Runs(container))
}

// A slow first attempt may end the run and remove the container under the second one, which then finds nothing.
func TestOutcomeOfAnotherAttemptIsKept(t *testing.T) {
	p := newParty(t, fake.Plan{WaitErr: openflow.Errorf(openflow.CodeNotFound, "no container")})
	rec := &racing{memory: p.store}
	r := p.activities(p.runtime)
	r.Tasks = rec
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	env := suite.NewTestActivityEnvironment()
	env.RegisterActivity(r)
	got, err := outcome(env.ExecuteActivity(r.RunTask, order(time.Minute)))
	require.NoError(t, err)
	require.Equal(t, openflow.TaskSuccess, got.Status, "as recorded by the other attempt")
}

// racing is a store in which another attempt records success just before this one records its end.
type racing struct{ *memory }

func (r *racing) FinishTask(ctx context.Context, k openflow.TaskKey, end openflow.TaskEnd) (bool, error) {
	r.change(func(t *openflow.TaskRecord) { t.PartyStatus = openflow.TaskSuccess })
	return r.memory.FinishTask(ctx, k, end)
}

func TestLaunchErrors(t *testing.T) {
	busy := openflow.Errorf(openflow.CodeUnavailable, "the daemon does not answer")
	refused := openflow.Errorf(openflow.CodeNotFound, "no image x here")
	for name, tc := range map[string]struct {
		plan    fake.Plan
		prepare func(*party)
		retry   bool
		want    string
	}{
		"runtime away at create":   {fake.Plan{EnsureErr: busy}, nil, true, ""},
		"runtime away at start":    {fake.Plan{StartErr: busy}, nil, true, ""},
		"runtime away while it is": {fake.Plan{WaitErr: busy}, nil, true, ""},
		"no image":                 {fake.Plan{EnsureErr: refused}, nil, false, "no image x here"},
		"cannot be executed": {
			fake.Plan{StartErr: openflow.Errorf(openflow.CodeInvalid, "not executable")}, nil, false, "not executable",
		},
		"no description": {
			fake.Plan{}, func(p *party) {
				p.launcher.err = openflow.Errorf(openflow.CodeInvalid, "its configuration is too large")
			}, false,
			"its configuration is too large",
		},
		"no description for now": {
			fake.Plan{}, func(p *party) { p.launcher.err = openflow.Errorf(openflow.CodeInternal, "database is locked") }, true, "",
		},
		"store away": {
			fake.Plan{}, func(p *party) {
				p.store.fail["StartTask"] = openflow.Errorf(openflow.CodeInternal, "database is locked")
			}, true, "",
		},
		"store away at the beginning": {
			fake.Plan{}, func(p *party) { p.store.fail["Task"] = openflow.Errorf(openflow.CodeInternal, "database is locked") }, true, "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newParty(t, tc.plan)
			if tc.prepare != nil {
				tc.prepare(p)
			}
			got, err := p.attempt(attempt{}, order(time.Minute))
			if tc.retry {
				require.Error(t, err)
				require.True(t, retried(err), "%v", err)
				require.Nil(t, p.store.recorded())
				p.launcher.err = nil
				got, err = p.attempt(attempt{}, order(time.Minute))
				require.NoError(t, err)
				require.Equal(t, openflow.TaskSuccess, got.Status)
				return
			}
			require.NoError(t, err, "the run has failed, the activity has not")
			require.Equal(t, openflow.TaskFailed, got.Status)
			require.Equal(t, tc.want, got.Error)
			require.Equal(t, openflow.TaskFailed, p.store.recorded().Status)
		})
	}
}

func TestRunThatIsNotKnown(t *testing.T) {
	p := newParty(t, fake.Plan{})
	p.store.none = true
	_, err := p.attempt(attempt{}, order(time.Minute))
	require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(activities.FromTemporal(err)))
	require.False(t, retried(err))
}

// A container that has been started is followed to its end, also when it could not be described again: its program has changed
// since, for example. Where it is gone, nothing takes its place.
func TestStartedContainerIsFollowedWithoutItsProgram(t *testing.T) {
	for name, tc := range map[string]struct {
		gone bool
		want openflow.TaskStatus
	}{"it is there": {false, openflow.TaskSuccess}, "it is gone": {true, openflow.TaskFailed}} {
		t.Run(name, func(t *testing.T) {
			hold := make(chan struct{})
			p := newParty(t, fake.Plan{Hold: hold})
			stop := make(chan struct{})
			go func() {
				p.running()
				close(stop)
			}()
			_, err := p.attempt(attempt{t.Context(), stop}, order(time.Hour))
			require.True(t, retried(err), "%v", err)
			close(hold)
			if tc.gone {
				_, err := p.runtime.Wait(t.Context(), container)
				require.NoError(t, err)
				require.NoError(t, p.runtime.Remove(t.Context(), container))
			}
			p.launcher.err = openflow.Errorf(openflow.CodeConflict, "the program has changed")
			got, err := p.attempt(attempt{}, order(time.Hour))
			require.NoError(t, err)
			require.Equal(t, tc.want, got.Status)
			require.Equal(t, 1, p.runtime.Runs(container), "it ran once")
			if tc.gone {
				require.Equal(t, "the program has changed", got.Error)
			}
		})
	}
}

// What was made and has never run is not started once the site's policy refuses it. The daemon may have been away at its start, or
// the node may have stopped before it.
func TestContainerThatNeverRanIsNotAdopted(t *testing.T) {
	for name, refusal := range map[string]*openflow.Error{
		"for good":   openflow.Errorf(openflow.CodePermission, "the policy refuses it"),
		"for a time": openflow.Errorf(openflow.CodeUnavailable, "nobody knows what the policy says"),
	} {
		t.Run(name, func(t *testing.T) {
			p := newParty(t, fake.Plan{StartErr: openflow.Errorf(openflow.CodeUnavailable, "the daemon is away")})
			_, err := p.attempt(attempt{}, order(time.Hour))
			require.True(t, retried(err), "%v", err)
			st, err := p.container()
			require.NoError(t, err)
			require.Equal(t, driver.StateCreated, st.State)

			p.launcher.err = refusal
			got, err := p.attempt(attempt{}, order(time.Hour))
			if refusal.Code.Retryable() {
				require.True(t, retried(err), "%v", err)
			} else {
				require.NoError(t, err)
				require.Equal(t, openflow.TaskFailed, got.Status)
				require.Equal(t, "the policy refuses it", got.Error)
			}
			require.Zero(t, p.runtime.Runs(container), "it has become no process")
			p.gone()
		})
	}
}
