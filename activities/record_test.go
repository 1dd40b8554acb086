package activities_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/activities"
	"openflow/runtime/driver"
	"openflow/runtime/fake"
	"openflow/store/document"
)

func TestRecordEnd(t *testing.T) {
	want := activities.Outcome{Status: openflow.TaskCanceled, Error: "the job is canceled", Cause: document.Cause{Code: openflow.CodeCanceled, Consequence: true}}
	end := activities.End{Order: order(time.Hour), Outcome: want}
	launch := func(p *party) {
		_, err := p.runtime.Ensure(p.t.Context(), driver.Spec{Name: container, Image: "x", Labels: map[string]string{"node": "n"}})
		require.NoError(p.t, err)
		require.NoError(p.t, p.runtime.Start(p.t.Context(), container))
		p.store.rec.PartyStatus, p.store.rec.ContainerName = openflow.TaskRunning, container
	}
	for name, tc := range map[string]struct {
		prepare func(*party)
		want    activities.Outcome
	}{
		"never started":         {func(*party) {}, want},
		"running":               {launch, want},
		"its container is gone": {func(p *party) { p.store.rec.PartyStatus, p.store.rec.ContainerName = openflow.TaskRunning, "other" }, want},
		"ended before": {
			func(p *party) { p.store.rec.PartyStatus, p.store.rec.Reason = openflow.TaskFailed, "exit code 7" },
			activities.Outcome{Status: openflow.TaskFailed, Error: "exit code 7"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newParty(t, fake.Plan{Hold: make(chan struct{})})
			tc.prepare(p)
			got, err := p.activities(p.runtime).RecordEnd(t.Context(), end)
			require.NoError(t, err)
			require.Equal(t, tc.want, got, "what is recorded is what is reported")
			require.Equal(t, tc.want.Status, p.store.rec.PartyStatus)
			p.gone()
		})
	}
	t.Run("runtime away", func(t *testing.T) {
		p := newParty(t, fake.Plan{Hold: make(chan struct{}), LogsErr: openflow.Errorf(openflow.CodeUnavailable, "away")})
		launch(p)
		_, err := p.activities(p.runtime).RecordEnd(t.Context(), end)
		require.True(t, retried(err))
		require.Nil(t, p.store.recorded())
		_, err = p.activities(p.runtime).RecordEnd(t.Context(), end)
		require.NoError(t, err)
	})
}

// A run whose workflow is gone ends as that, although its container is then stopped: whoever follows that comes too late. Its log
// is kept, and what it reported before stands.
func TestRecordEndOfALostRun(t *testing.T) {
	want := activities.NotRun(openflow.Errorf(openflow.CodeUnavailable, "terminated").WithPublic("lost"))
	lost := order(time.Hour)
	lost.Lost = "terminated"
	p := newParty(t, fake.Plan{Hold: make(chan struct{})})
	_, err := p.runtime.Ensure(t.Context(), driver.Spec{Name: container, Image: "x", Labels: map[string]string{"node": "n"}})
	require.NoError(t, err)
	require.NoError(t, p.runtime.Start(t.Context(), container))
	p.store.rec.PartyStatus, p.store.rec.ContainerName = openflow.TaskRunning, container
	p.logs.looked = func() {
		require.Equal(t, openflow.TaskFailed, p.store.rec.PartyStatus, "the container is stopped after that")
	}
	got, err := p.activities(p.runtime).RecordEnd(t.Context(), activities.End{Order: lost, Outcome: want})
	require.NoError(t, err)
	require.Equal(t, want, got)
	require.Equal(t, "terminated", p.store.rec.Reason)
	p.gone()

	p.store.rec.PartyStatus = openflow.TaskSuccess
	got, err = p.activities(p.runtime).RecordEnd(t.Context(), activities.End{Order: lost, Outcome: want})
	require.NoError(t, err)
	require.Equal(t, openflow.TaskSuccess, got.Status)
}

// schedulerNode is the scheduler that reports go to.
type schedulerNode struct {
	openflow.SchedulerService
	err    error
	away   error // of the directory
	caller openflow.PartyID
	got    []openflow.Report
}

func (s *schedulerNode) Partner(context.Context, openflow.PartyID) (openflow.PartnerService, error) {
	return nil, errors.ErrUnsupported
}

func (s *schedulerNode) Scheduler(context.Context, openflow.PartyID) (openflow.SchedulerService, error) {
	return s, s.away
}

func (s *schedulerNode) ReportTask(_ context.Context, caller openflow.PartyID, r openflow.Report) error {
	s.caller, s.got = caller, append(s.got, r)
	return s.err
}

func TestReportTask(t *testing.T) {
	end := activities.End{Order: order(time.Hour), Outcome: activities.Outcome{Status: openflow.TaskFailed, Error: "e", Cause: document.Cause{Code: openflow.CodeRejected, Text: "e"}}}
	for name, tc := range map[string]struct {
		err, away error
		want      openflow.Code
		retry     bool
	}{
		"taken":             {nil, nil, "", false},
		"job not known":     {openflow.Errorf(openflow.CodeNotFound, "no such job"), nil, "", false},
		"scheduler away":    {openflow.Errorf(openflow.CodeUnavailable, "down"), nil, openflow.CodeUnavailable, true},
		"an unknown code":   {openflow.Errorf(openflow.CodeInternal, "4711"), nil, openflow.CodeInternal, true},
		"no valid key":      {openflow.Errorf(openflow.CodeUnauthorized, "5003"), nil, openflow.CodeUnauthorized, true},
		"refused":           {openflow.Errorf(openflow.CodePermission, "no"), nil, openflow.CodePermission, false},
		"address not known": {nil, openflow.Errorf(openflow.CodeInvalid, "party 10000 is not known here"), openflow.CodeInvalid, false},
	} {
		t.Run(name, func(t *testing.T) {
			p := newParty(t, fake.Plan{})
			p.reports.err, p.reports.away = tc.err, tc.away
			var told []bool
			running := p.activities(p.runtime)
			running.Reported = func(k openflow.TaskKey, err error, again bool) {
				require.Equal(t, key, k)
				require.Equal(t, tc.want, openflow.CodeOf(err))
				told = append(told, again)
			}
			err := running.ReportTask(t.Context(), end)
			require.Equal(t, []bool{tc.retry}, told, "the first refusal already")
			require.Equal(t, tc.want, openflow.CodeOf(activities.FromTemporal(err)))
			if tc.want != "" {
				require.Equal(t, tc.retry, retried(err))
				require.ErrorContains(t, activities.FromTemporal(err), "10000")
			}
			if tc.away == nil {
				require.Equal(t, openflow.PartyID("9999"), p.reports.caller)
				require.Equal(t, []openflow.Report{{Key: key, Status: openflow.TaskFailed, Cause: openflow.Cause{Code: openflow.CodeRejected, Text: "e"}}}, p.reports.got)
			}
		})
	}
}
