package scheduler_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/store/catalogue"
)

// A peer that may not initiate jobs here has none scheduled, whatever it may use; and the last job of a grant is the last.
func TestWhoMayInitiate(t *testing.T) {
	n := newNode(t)
	ctx := t.Context()
	create := func(id openflow.JobID) error {
		_, err := n.CreateJob(ctx, "10000", openflow.Submission{DAG: dag(), ID: id})
		return err
	}
	require.NoError(t, create("1"))
	grants, err := n.catalogue.Grants(ctx, "10000")
	require.NoError(t, err)
	_, err = n.catalogue.DeleteGrant(ctx, grants[0].ID)
	require.NoError(t, err)
	require.Equal(t, openflow.CodePermission, openflow.CodeOf(create("2")))
	require.Equal(t, openflow.CodePermission, openflow.CodeOf(n.RerunJob(ctx, "10000", "1")), "nor are jobs of before run again")

	add := func(g openflow.Grant) {
		t.Helper()
		g.Kind, g.Initiator = openflow.GrantInitiate, "10000"
		_, err := n.catalogue.AddGrant(ctx, g)
		require.NoError(t, err)
	}
	add(openflow.Grant{Scheduler: "10001"})
	add(openflow.Grant{Purpose: "churn study"})
	require.ErrorContains(t, create("2"), "is for the purpose")
	add(openflow.Grant{Uses: 1})
	require.NoError(t, create("2"))
	require.NoError(t, create("2"), "a repeat uses nothing")
	require.ErrorContains(t, create("3"), "has been used 1 of 1 times")
	_, err = n.catalogue.ScheduledJob(ctx, "3")
	require.Equal(t, openflow.CodeNotFound, openflow.CodeOf(err))

	refused, _, err := n.catalogue.Audit(ctx, catalogue.AuditFilter{Party: "10000", Outcome: openflow.OutcomeRefused})
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(refused), 3)
	n.GrantAll = true
	require.NoError(t, create("3"))
}

// A job is run again by its initiator and by this node's own users, so many times and no more, each of which is written down.
func TestWhoRunsAJobAgain(t *testing.T) {
	n := newNode(t)
	ctx := t.Context()
	d := dag()
	d.Conf.Initiator = "10000"
	_, err := n.CreateJob(ctx, "10000", openflow.Submission{DAG: d, ID: "1"})
	require.NoError(t, err)
	n.record(t, "1", openflow.JobRunning)
	n.record(t, "1", openflow.JobFailed)
	require.NoError(t, n.catalogue.SetScheduledTasks(ctx, "1", started))
	for i := range openflow.MaxReruns {
		caller := openflow.PartyID("10000")
		if i == 0 {
			caller = n.Self
		}
		require.NoError(t, n.RerunJob(ctx, caller, "1"))
		for _, s := range []openflow.JobStatus{openflow.JobWaiting, openflow.JobRunning, openflow.JobFailed} {
			n.record(t, "1", s)
		}
	}
	err = n.RerunJob(ctx, "10000", "1")
	require.Equal(t, openflow.CodeConflict, openflow.CodeOf(err))
	require.ErrorContains(t, err, "was run again 10 times")
	_, err = n.catalogue.UpdateScheduledJob(ctx, "1", openflow.JobWaiting, "")
	require.Equal(t, openflow.CodeConflict, openflow.CodeOf(err), "the record stays closed, too")
	events, _, err := n.catalogue.Audit(ctx, catalogue.AuditFilter{Party: "10000", Outcome: openflow.OutcomeDone})
	require.NoError(t, err)
	again := 0
	for _, e := range events {
		if e.Action == "job/rerun" {
			again++
		}
	}
	require.Equal(t, openflow.MaxReruns-1, again)
}

// unwritten is a store that cannot write down what is decided.
type unwritten struct{ *catalogue.Catalogue }

func (unwritten) RecordDecision(context.Context, openflow.AuditEvent) error {
	return openflow.Errorf(openflow.CodeUnavailable, "the catalogue is busy")
}

// No job is run again unless that is written down. Where it fails afterwards, the next try is the same event.
func TestRerunIsWrittenDownFirst(t *testing.T) {
	n := newNode(t)
	ctx := t.Context()
	_, err := n.CreateJob(ctx, "10000", openflow.Submission{DAG: dag(), ID: "1"})
	require.NoError(t, err)
	n.record(t, "1", openflow.JobFailed)
	require.NoError(t, n.catalogue.SetScheduledTasks(ctx, "1", started))
	n.engine.plans = nil
	n.Store = unwritten{n.catalogue}
	require.Equal(t, openflow.CodeUnavailable, openflow.CodeOf(n.RerunJob(ctx, "10000", "1")))
	require.Empty(t, n.engine.plans)
	n.Store = n.catalogue
	n.engine.rerunErr = openflow.Errorf(openflow.CodeUnavailable, "the engine is away")
	for range 2 {
		require.Equal(t, openflow.CodeUnavailable, openflow.CodeOf(n.RerunJob(ctx, "10000", "1")))
	}
	n.engine.rerunErr = nil
	require.NoError(t, n.RerunJob(ctx, "10000", "1"))
	require.Len(t, n.engine.plans, 3)
	again, _, err := n.catalogue.Audit(ctx, catalogue.AuditFilter{Party: "10000", Outcome: openflow.OutcomeDone, Action: "job/rerun"})
	require.NoError(t, err)
	require.Len(t, again, 1)
}

// That an initiator has as many jobs as it may have is written down, whether a job is new or is run again. A full disk is not.
func TestRefusalsOfQuotasAreWrittenDown(t *testing.T) {
	n := newNode(t)
	ctx := t.Context()
	for _, id := range []openflow.JobID{"1", "2"} {
		_, err := n.CreateJob(ctx, "10000", openflow.Submission{DAG: dag(), ID: id})
		require.NoError(t, err)
	}
	require.NoError(t, n.catalogue.SetScheduledTasks(ctx, "1", started))
	n.record(t, "1", openflow.JobFailed)
	refused := func() (actions []string) {
		t.Helper()
		events, _, err := n.catalogue.Audit(ctx, catalogue.AuditFilter{Party: "10000", Outcome: openflow.OutcomeRefused})
		require.NoError(t, err)
		for _, e := range events {
			require.Contains(t, e.Detail, "which is as many as it may have")
			actions = append(actions, e.Action)
		}
		return actions
	}
	n.Quota.Jobs, n.Space = 3, full
	require.Equal(t, openflow.CodeExhausted, openflow.CodeOf(second(n.CreateJob(ctx, "10000", openflow.Submission{DAG: dag(), ID: "3"}))))
	require.Equal(t, openflow.CodeExhausted, openflow.CodeOf(n.RerunJob(ctx, "10000", "1")))
	require.Empty(t, refused())
	n.Quota.Jobs, n.Space = 1, nil
	require.Equal(t, openflow.CodeExhausted, openflow.CodeOf(second(n.CreateJob(ctx, "10000", openflow.Submission{DAG: dag(), ID: "3"}))))
	require.Equal(t, []string{"job/schedule"}, refused())
	require.Equal(t, openflow.CodeExhausted, openflow.CodeOf(n.RerunJob(ctx, "10000", "1")))
	require.ElementsMatch(t, []string{"job/schedule", "job/rerun"}, refused())
}
