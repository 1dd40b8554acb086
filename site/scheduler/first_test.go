package scheduler_test

import (
	"context"
	"database/sql"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"openflow"
	"openflow/store/catalogue"
)

// proofs counts the mandates that are looked at.
type proofs struct {
	mandates
	asked int
}

func (p *proofs) OfSubmission(ctx context.Context, caller openflow.PartyID, sub openflow.Submission) (openflow.Authority, error) {
	p.asked++
	return p.mandates.OfSubmission(ctx, caller, sub)
}

func full() error { return openflow.Errorf(openflow.CodeExhausted, "the disk is full") }

// A repeat of a submission is answered with the job that is there, also on a full disk, beyond every quota, and when the grant has
// been used up, has expired or is gone. Its decision is written down if it was lost.
func TestRepeatNeedsNothing(t *testing.T) {
	n := newNode(t)
	ctx := t.Context()
	p := &proofs{}
	n.Mandates = p
	grants, err := n.catalogue.Grants(ctx, "10000")
	require.NoError(t, err)
	_, err = n.catalogue.DeleteGrant(ctx, grants[0].ID)
	require.NoError(t, err)
	last, err := n.catalogue.AddGrant(ctx, openflow.Grant{Kind: openflow.GrantInitiate, Initiator: "10000", Uses: 1, Until: time.Now().Add(time.Hour)})
	require.NoError(t, err)
	sub := openflow.Submission{DAG: dag(), ID: "1", IdempotencyKey: "k"}
	_, err = n.CreateJob(ctx, "10000", sub)
	require.NoError(t, err)
	require.Equal(t, 1, p.asked)
	require.ErrorContains(t, second(n.CreateJob(ctx, "10000", openflow.Submission{DAG: dag(), ID: "2"})), "has been used 1 of 1 times")
	p.asked = 0

	db, err := sql.Open("sqlite", "file:"+n.file)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	_, err = db.ExecContext(ctx, `delete from audit`)
	require.NoError(t, err)
	n.Space, n.Quota.Jobs = full, 1
	for _, query := range []string{`select 1`, `update access_grant set until = 1`, `delete from access_grant where uses > 0`} {
		_, err = db.ExecContext(ctx, query)
		require.NoError(t, err)
		got, err := n.CreateJob(ctx, "10000", sub)
		require.NoError(t, err, query)
		require.Equal(t, openflow.JobID("1"), got.ID)
		byID := sub
		byID.IdempotencyKey = ""
		got, err = n.CreateJob(ctx, "10000", byID)
		require.NoError(t, err, query)
		require.Equal(t, openflow.JobID("1"), got.ID)
	}
	require.Zero(t, p.asked)
	done, _, err := n.catalogue.Audit(ctx, catalogue.AuditFilter{Outcome: openflow.OutcomeDone})
	require.NoError(t, err)
	require.Len(t, done, 1, "a repeat is no decision")
	require.Equal(t, []openflow.GrantID{last.ID}, done[0].Grants)

	other := sub
	other.DAG = dag()
	other.DAG.Stage = openflow.StagePredict
	require.Equal(t, openflow.CodeConflict, openflow.CodeOf(second(n.CreateJob(ctx, "10000", other))), "another job is no repeat")
	stranger := second(n.CreateJob(ctx, "8888", openflow.Submission{DAG: dag(), ID: "1"}))
	require.Equal(t, openflow.CodePermission, openflow.CodeOf(stranger), "and nobody learns of the jobs of others")
}

func second[T any](_ T, err error) error { return err }

// Who may not initiate here, has as many jobs as it may have, or finds no room, costs no look at the mandate or the graph.
func TestGrantsComeFirst(t *testing.T) {
	n := newNode(t)
	ctx := t.Context()
	p := &proofs{}
	n.Mandates = p
	broken := dag()
	broken.Tasks = nil // which nobody gets to see
	submit := func(caller openflow.PartyID) openflow.Code {
		return openflow.CodeOf(second(n.CreateJob(ctx, caller, openflow.Submission{DAG: broken, ID: "new"})))
	}
	require.Equal(t, openflow.CodePermission, submit("8888"))
	_, err := n.CreateJob(ctx, "10000", openflow.Submission{DAG: dag(), ID: "1"})
	require.NoError(t, err)
	p.asked = 0
	n.Quota.Jobs = 1
	require.Equal(t, openflow.CodeExhausted, submit("10000"))
	n.Quota.Jobs, n.Space = 2, full
	require.Equal(t, openflow.CodeExhausted, submit("10000"))
	require.Equal(t, openflow.CodeExhausted, submit("9999"), "the site itself needs room")
	require.Zero(t, p.asked)
}

// An ended job that is run again is one more under way, and needs room.
func TestRerunNeedsRoom(t *testing.T) {
	n := newNode(t)
	ctx := t.Context()
	for _, id := range []openflow.JobID{"1", "2"} {
		_, err := n.CreateJob(ctx, "10000", openflow.Submission{DAG: dag(), ID: id})
		require.NoError(t, err)
	}
	require.NoError(t, n.catalogue.SetScheduledTasks(ctx, "1", []openflow.TaskRun{{Name: "reader_0", Version: 1, Status: openflow.TaskWaiting}}))
	n.record(t, "1", openflow.JobFailed)
	n.engine.plans = nil
	n.Quota.Jobs = 1
	for _, caller := range []openflow.PartyID{"10000", "9999"} { // whoever says so, it is the initiator's job
		require.Equal(t, openflow.CodeExhausted, openflow.CodeOf(n.RerunJob(ctx, caller, "1")))
	}
	n.Quota.Jobs, n.Space = 2, full
	require.ErrorContains(t, n.RerunJob(ctx, "10000", "1"), "the disk is full")
	require.Empty(t, n.engine.plans)
	n.Space = nil
	require.NoError(t, n.RerunJob(ctx, "10000", "1"), "also after a rerun that was refused before it started anything")
	require.Len(t, n.engine.plans, 1)
}
