package activities_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/log"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"openflow"
	"openflow/activities"
	"openflow/runtime/driver"
	"openflow/store/document"
)

// retried reports whether Temporal would run the activity again after err.
func retried(err error) bool {
	var app *temporal.ApplicationError
	var canceled *temporal.CanceledError
	switch {
	case err == nil, errors.As(err, &canceled):
		return false
	case errors.As(err, &app):
		return !app.NonRetryable()
	}
	return true
}

var codes = []openflow.Code{
	openflow.CodeInvalid, openflow.CodeUnauthorized, openflow.CodePermission, openflow.CodeNotFound, openflow.CodeConflict,
	openflow.CodeRejected, openflow.CodeExhausted, openflow.CodeUnavailable, openflow.CodeCanceled, openflow.CodeDeadline,
	openflow.CodeUnimplemented, openflow.CodeInternal,
}

// Temporal's texts are UTF-8, those of a file system or a daemon are bytes.
func TestErrorsThatAreNotUTF8CrossTheActivityBoundary(t *testing.T) {
	cut := "no file \xe6\x97"
	for name, sent := range map[string]error{
		"message": openflow.Errorf(openflow.CodeInvalid, "%s", cut),
		"cause":   openflow.Errorf(openflow.CodeInvalid, "why: %w", errors.New(cut)),
		"plain":   errors.New(cut),
		"hint":    openflow.Errorf(openflow.CodeInvalid, "why").WithHint("%s", cut).WithPublic("%s", cut),
	} {
		t.Run(name, func(t *testing.T) {
			failure := temporal.GetDefaultFailureConverter().ErrorToFailure(activities.ToTemporal(sent))
			for f := failure; f != nil; f = f.GetCause() {
				require.True(t, utf8.ValidString(f.GetMessage()), "%q", f.GetMessage())
			}
			_, err := failure.Marshal()
			require.NoError(t, err)
		})
	}
}

// Through a real activity, whose errors are serialised.
func TestErrorsCrossTheActivityBoundary(t *testing.T) {
	for _, code := range codes {
		t.Run(string(code), func(t *testing.T) {
			sent := &openflow.Error{Code: code, Subject: openflow.AboutTask, Party: "10000", Message: `task "a" (b)`, Hint: "h", Err: io.EOF}
			err := throughAnActivity(t, func() error { return activities.ToTemporal(sent) })
			require.Equal(t, code.Retryable(), retried(err))
			var got *openflow.Error
			require.ErrorAs(t, activities.FromTemporal(err), &got)
			require.Empty(t, cmp.Diff(sent, got, cmpopts.IgnoreFields(openflow.Error{}, "Err")))
			require.Equal(t, sent.Error(), activities.FromTemporal(err).Error())
			again := throughAnActivity(t, func() error { return activities.ToTemporal(activities.FromTemporal(err)) })
			require.Empty(t, cmp.Diff(got, activities.FromTemporal(again), cmpopts.IgnoreFields(openflow.Error{}, "Err")))
		})
	}
}

// An error without a text of its own says once where it has happened, and what helps.
func TestErrorsWithoutATextCrossTheActivityBoundary(t *testing.T) {
	for want, sent := range map[string]*openflow.Error{
		"at party 10000: internal (h)": {Code: openflow.CodeInternal, Party: "10000", Hint: "h"},
		"at party 10000: EOF (h)":      {Code: openflow.CodeInternal, Party: "10000", Hint: "h", Err: io.EOF},
		"permission":                   {Code: openflow.CodePermission},
	} {
		err := throughAnActivity(t, func() error { return activities.ToTemporal(sent) })
		require.EqualError(t, activities.FromTemporal(err), want)
	}
}

func throughAnActivity(t *testing.T, do func() error) error {
	t.Helper()
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(log.NewStructuredLogger(slog.New(slog.DiscardHandler)))
	env := suite.NewTestActivityEnvironment()
	act := func(context.Context) error { return do() }
	env.RegisterActivity(act)
	_, err := env.ExecuteActivity(act)
	require.Error(t, err)
	return err
}

func TestFromTemporal(t *testing.T) {
	require.NoError(t, activities.ToTemporal(nil))
	require.NoError(t, activities.FromTemporal(nil))
	for name, tc := range map[string]struct {
		err  error
		want openflow.Code
	}{
		"canceled":            {temporal.NewCanceledError(), openflow.CodeCanceled},
		"timeout":             {temporal.NewTimeoutError(enumspb.TIMEOUT_TYPE_START_TO_CLOSE, nil), openflow.CodeDeadline},
		"timeout after error": {temporal.NewTimeoutError(enumspb.TIMEOUT_TYPE_SCHEDULE_TO_CLOSE, activities.ToTemporal(openflow.Errorf(openflow.CodeUnavailable, "x"))), openflow.CodeUnavailable},
		"foreign":             {io.EOF, openflow.CodeInternal},
		"context":             {fmt.Errorf("x: %w", context.Canceled), openflow.CodeCanceled},
	} {
		t.Run(name, func(t *testing.T) { require.Equal(t, tc.want, openflow.CodeOf(activities.FromTemporal(tc.err))) })
	}
	foreign := throughAnActivity(t, func() error { return activities.ToTemporal(io.EOF) })
	require.Equal(t, openflow.CodeInternal, openflow.CodeOf(activities.FromTemporal(foreign)))
	require.True(t, retried(foreign))
	noText := throughAnActivity(t, func() error { return activities.ToTemporal(&openflow.Error{Code: openflow.CodeConflict}) })
	require.Equal(t, "conflict", activities.FromTemporal(noText).Error())
}

func TestJudge(t *testing.T) {
	exited := func(code int) driver.Status { return driver.Status{State: driver.StateExited, ExitCode: code} }
	rec := func(reported openflow.TaskStatus, report string) openflow.TaskRecord {
		return openflow.TaskRecord{Reported: reported, ErrorReport: report}
	}
	killed := func(reported, with openflow.TaskStatus) openflow.TaskRecord {
		return openflow.TaskRecord{Reported: reported, Killed: true, StopStatus: with, Reason: "r"}
	}
	timedOut := exited(143)
	timedOut.Reason = "timeout"
	for name, tc := range map[string]struct {
		rec    openflow.TaskRecord
		status driver.Status
		want   openflow.TaskStatus
		code   openflow.Code
		text   string
	}{
		"both say success":                {rec(openflow.TaskSuccess, ""), exited(0), openflow.TaskSuccess, "", ""},
		"exit code against the report":    {rec(openflow.TaskSuccess, ""), exited(1), openflow.TaskFailed, openflow.CodeRejected, "exit code 1"},
		"report against the exit code":    {rec(openflow.TaskFailed, "why\nmore"), exited(0), openflow.TaskFailed, openflow.CodeRejected, "why"},
		"no report":                       {rec("", ""), exited(0), openflow.TaskFailed, openflow.CodeRejected, "without reporting success"},
		"only running":                    {rec(openflow.TaskRunning, ""), exited(0), openflow.TaskFailed, openflow.CodeRejected, "without reporting success"},
		"report and exit code":            {rec(openflow.TaskFailed, "why"), exited(7), openflow.TaskFailed, openflow.CodeRejected, "why"},
		"disk is full":                    {rec(openflow.TaskSuccess, ""), driver.Status{Lost: true, Full: true, ExitCode: -1}, openflow.TaskFailed, openflow.CodeUnavailable, "disk of its machine is full"},
		"lost":                            {rec(openflow.TaskSuccess, ""), driver.Status{Lost: true, ExitCode: -1}, openflow.TaskFailed, openflow.CodeUnavailable, "lost"},
		"docker was restarted":            {rec("", ""), driver.Status{Interrupted: true, ExitCode: 143}, openflow.TaskFailed, openflow.CodeUnavailable, "restarted"},
		"restarted, and stopped before":   {func() openflow.TaskRecord { r := rec("", ""); r.Killed = true; return r }(), driver.Status{Interrupted: true, ExitCode: 143}, openflow.TaskCanceled, openflow.CodeCanceled, "stopped"},
		"restarted, after its failure":    {rec(openflow.TaskFailed, "why"), driver.Status{Interrupted: true, ExitCode: 1}, openflow.TaskFailed, openflow.CodeRejected, "why"},
		"its output broke":                {rec("", ""), driver.Status{Interrupted: true, ExitCode: 2}, openflow.TaskFailed, openflow.CodeUnavailable, "restarted"},
		"a program that ends with 143":    {rec("", ""), driver.Status{ExitCode: 143}, openflow.TaskFailed, openflow.CodeRejected, "exit code 143"},
		"out of memory":                   {rec("", ""), driver.Status{OOMKilled: true, ExitCode: 137}, openflow.TaskFailed, openflow.CodeRejected, "memory"},
		"wrote too much":                  {rec(openflow.TaskSuccess, ""), driver.Status{OverDisk: true, ExitCode: 137, Reason: "too many bytes"}, openflow.TaskFailed, openflow.CodeRejected, "wrote: too many bytes"},
		"it could not be started":         {rec("", ""), driver.Status{Resident: true, ExitCode: 127, Reason: "no such image"}, openflow.TaskFailed, openflow.CodeRejected, "could not be started in a container of its own: no such image"},
		"a program that ends with 127":    {rec("", ""), driver.Status{Resident: true, ExitCode: 127}, openflow.TaskFailed, openflow.CodeRejected, "exit code 127"},
		"timeout":                         {rec("", ""), timedOut, openflow.TaskTimeout, openflow.CodeDeadline, "timeout"},
		"killed":                          {killed("", openflow.TaskCanceled), exited(143), openflow.TaskCanceled, openflow.CodeCanceled, "r"},
		"killed as failed":                {killed("", openflow.TaskFailed), exited(137), openflow.TaskFailed, openflow.CodeCanceled, "r"},
		"killed after a failure":          {killed(openflow.TaskFailed, openflow.TaskCanceled), exited(1), openflow.TaskCanceled, openflow.CodeCanceled, "r"},
		"killed as success":               {killed("", openflow.TaskSuccess), exited(143), openflow.TaskCanceled, openflow.CodeCanceled, "r"},
		"killed with nonsense":            {killed("", openflow.TaskRunning), exited(143), openflow.TaskCanceled, openflow.CodeCanceled, "r"},
		"success before the stop":         {killed(openflow.TaskSuccess, openflow.TaskCanceled), exited(0), openflow.TaskSuccess, "", ""},
		"success said, then it was ended": {killed(openflow.TaskSuccess, openflow.TaskCanceled), exited(143), openflow.TaskFailed, openflow.CodeRejected, "143"},
	} {
		t.Run(name, func(t *testing.T) {
			got := activities.Judge(tc.rec, tc.status)
			require.Equal(t, tc.want, got.Status)
			require.Equal(t, tc.code, got.Cause.Code)
			require.Contains(t, got.Error, tc.text)
			require.Equal(t, tc.text == "", got.Error == "")
		})
	}
}

// What the container said goes to this party's users; to the others goes what it marked, or the node's own words.
func TestJudgeTellsOthersWhatIsMarked(t *testing.T) {
	exited := func(code int) driver.Status { return driver.Status{State: driver.StateExited, ExitCode: code} }
	marked := openflow.Cause{Code: openflow.CodeInvalid, Text: "too few rows"}
	follows := openflow.Cause{Code: openflow.CodeCanceled, Text: "session ended", Consequence: true}
	stop := openflow.Cause{Code: openflow.CodeCanceled, Text: "it was stopped", Consequence: true}
	failed := openflow.TaskRecord{Reported: openflow.TaskFailed, ErrorReport: "cell 4711", Cause: marked}
	killed := func(r openflow.TaskRecord) openflow.TaskRecord {
		r.Killed, r.StopStatus, r.Reason = true, openflow.TaskCanceled, "the job failed"
		return r
	}
	for name, tc := range map[string]struct {
		rec    openflow.TaskRecord
		status driver.Status
		own    string
		told   openflow.Cause
	}{
		"marked":                     {failed, exited(1), "cell 4711", marked},
		"marked, exit code 0":        {failed, exited(0), "cell 4711", marked},
		"marked without a text":      {openflow.TaskRecord{Reported: openflow.TaskFailed, Cause: marked}, exited(1), "too few rows", marked},
		"nothing marked":             {openflow.TaskRecord{Reported: openflow.TaskFailed, ErrorReport: "cell 4711"}, exited(1), "cell 4711", openflow.Cause{Code: openflow.CodeRejected}},
		"said as running":            {openflow.TaskRecord{Reported: openflow.TaskRunning, ErrorReport: "cell 4711"}, exited(3), "cell 4711", openflow.Cause{Code: openflow.CodeRejected}},
		"nothing said":               {openflow.TaskRecord{}, exited(3), "the program ended with exit code 3; openflow job logs shows what it has written", openflow.Cause{Code: openflow.CodeRejected, Text: "the program ended with exit code 3"}},
		"stopped":                    {killed(openflow.TaskRecord{}), exited(143), "the job failed", stop},
		"failed before it was ended": {killed(failed), exited(1), "cell 4711", marked},
		"failed because of the end": {
			killed(openflow.TaskRecord{Reported: openflow.TaskFailed, ErrorReport: "session ended", Cause: follows}), exited(1), "the job failed", stop,
		},
		"memory": {
			openflow.TaskRecord{Reported: openflow.TaskFailed, ErrorReport: "cell 4711", Cause: marked}, driver.Status{OOMKilled: true, ExitCode: 137},
			"the program was killed for using more memory than the task may",
			openflow.Cause{Code: openflow.CodeRejected, Text: "the program was killed for using more memory than the task may"},
		},
		"success": {openflow.TaskRecord{Reported: openflow.TaskSuccess, Cause: marked}, exited(0), "", openflow.Cause{}},
	} {
		t.Run(name, func(t *testing.T) {
			got := activities.Judge(tc.rec, tc.status)
			require.Equal(t, tc.own, got.Error)
			require.Equal(t, document.Cause(tc.told), got.Cause)
		})
	}
}

// What a daemon says of a run that it would not do stays at the node.
func TestNotRun(t *testing.T) {
	out := activities.NotRun(openflow.Errorf(openflow.CodeInvalid, "docker: mount /home/ann: refused"))
	require.Equal(t, openflow.TaskFailed, out.Status)
	require.Equal(t, "docker: mount /home/ann: refused", out.Error)
	require.Equal(t, document.Cause{Code: openflow.CodeInvalid, Text: "its node could not run it"}, out.Cause)
	marked := openflow.Errorf(openflow.CodeInvalid, "mount /home/ann").WithPublic("its parameters are too large")
	require.Equal(t, "its parameters are too large", activities.NotRun(activities.FromTemporal(activities.ToTemporal(marked))).Cause.Text)
}

// What a party has answered may be read by all, and crosses the activity boundary as that; what this node's own database
// has said does not.
func TestPublicTextCrossesActivities(t *testing.T) {
	own := activities.FromTemporal(activities.ToTemporal(openflow.Errorf(openflow.CodeNotFound, "catalogue: %w", io.EOF)))
	require.Equal(t, "only its own site knows why (not_found) (its operator finds that in the log of its node)", openflow.ForPartners(own).Public)
	p := &peers{err: openflow.Errorf(openflow.CodeNotFound, "no component x").WithHint("install it")}
	err := activities.FromTemporal(p.scheduling().StartTask(t.Context(), activities.TaskStart{Run: asked}))
	require.Equal(t, "no component x (install it)", openflow.ForPartners(err).Public)
	p.err = openflow.Errorf(openflow.CodeUnavailable, "dial 10.0.0.7: %w", io.EOF).WithPublic("the node does not answer")
	err = activities.FromTemporal(p.scheduling().StartTask(t.Context(), activities.TaskStart{Run: asked}))
	require.Equal(t, "at party 10000: the node does not answer", openflow.ForPartners(err).Error())
}

// Whatever a text says, Temporal takes the error: otherwise the activity could never end.
func TestHugeErrorsAreCarriedInPart(t *testing.T) {
	big := strings.Repeat("ü", 3<<20)
	inner := openflow.Errorf(openflow.CodeInvalid, "%s", big)
	for name, err := range map[string]error{
		"itself":  inner.WithHint("%s", big).WithPublic("%s", big),
		"a cause": &openflow.Error{Code: openflow.CodeInvalid, Message: "short", Err: inner},
		"foreign": errors.New(big),
	} {
		t.Run(name, func(t *testing.T) {
			failure := temporal.GetDefaultFailureConverter().ErrorToFailure(activities.ToTemporal(err))
			require.Less(t, failure.Size(), 200<<10)
			back := activities.FromTemporal(temporal.GetDefaultFailureConverter().FailureToError(failure))
			require.Equal(t, openflow.CodeOf(err), openflow.CodeOf(back))
		})
	}
}
